"""Layers of networks for sequences."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from skautoencoder.architectures._layers import linear

# (n_planes, n_steps, n_channels)
SequenceShape = tuple[int, int, int]


def as_sequence_shape(sample_shape: tuple[int, ...]) -> SequenceShape:
    """Return a sample shape as (n_planes, n_steps, n_channels).

    Planes are arrays of the same steps and channels, such as values and flags that say
    which of them are missing.
    """
    if len(sample_shape) == 3:
        n_planes, n_steps, n_channels = sample_shape
        return n_planes, n_steps, n_channels
    if len(sample_shape) == 2:
        return 1, *sample_shape
    if len(sample_shape) == 1:
        return 1, sample_shape[0], 1
    raise ValueError(
        "An architecture for sequences takes samples of shape (n_steps, n_channels), "
        f"or (n_steps,) for a single channel, got sample_shape={sample_shape}."
    )


class ToSteps(nn.Module):
    """Makes flat rows sequences of shape (n_samples, n_inputs, n_steps).

    What each step has as inputs are its channels in all planes.
    """

    def __init__(self, shape: SequenceShape) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, rows: Tensor) -> Tensor:
        """Return the sequences."""
        return rows.unflatten(1, self.shape).transpose(2, 3).flatten(1, 2)


class FromSteps(nn.Module):
    """Makes sequences of shape (n_samples, n_inputs, n_steps) flat rows again."""

    def __init__(self, shape: SequenceShape) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, sequences: Tensor) -> Tensor:
        """Return the rows."""
        n_planes, _, n_channels = self.shape
        planes = sequences.unflatten(1, (n_planes, n_channels))
        return planes.transpose(2, 3).flatten(1)


class Steps(nn.Module):
    """Recurrent layers, and a linear map of what they say at each step.

    Parameters
    ----------
    layers : torch.nn.LSTM or torch.nn.GRU
        The layers, with the samples as first axis.
    n_outputs : int
        Numbers that come out at a step.
    """

    def __init__(self, layers: nn.LSTM | nn.GRU, n_outputs: int) -> None:
        super().__init__()
        n_directions = 2 if layers.bidirectional else 1
        self.layers = layers
        self.answer = linear(n_directions * layers.hidden_size, n_outputs)

    def forward(self, sequences: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return sequences of shape (n_samples, n_outputs, n_steps).

        Parameters
        ----------
        sequences : Tensor of shape (n_samples, n_inputs, n_steps)
            Inputs of each step.
        lengths : Tensor of shape (n_samples,), default=None
            Numbers of steps, after which outputs have no meaning. None: all.
        """
        inputs = sequences.transpose(1, 2)
        if self._needs_float32(inputs):
            with torch.autocast("cpu", enabled=False):
                hidden = self._hidden(inputs.float(), lengths)
        else:
            hidden = self._hidden(inputs, lengths)
        answers: Tensor = self.answer(hidden).transpose(1, 2)
        return answers

    def _needs_float32(self, inputs: Tensor) -> bool:
        """Return whether autocast would raise.

        On processors without AVX-512, oneDNN has no LSTM in bfloat16.
        """
        if inputs.device.type != "cpu" or not isinstance(self.layers, nn.LSTM):
            return False
        # torch has no public function for this; without the private one, use float32.
        supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", bool)
        return torch.is_autocast_enabled("cpu") and not supported()

    def _hidden(self, inputs: Tensor, lengths: Tensor | None) -> Tensor:
        if lengths is not None and self.layers.bidirectional:
            return self._both_ways(inputs, lengths)
        hidden: Tensor = self.layers(inputs)[0]
        return hidden

    def _both_ways(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Return the outputs of bidirectional layers that go back from each end."""
        layers = self.layers
        run: Any = torch.lstm if isinstance(layers, nn.LSTM) else torch.gru
        steps = torch.arange(inputs.shape[1], device=inputs.device)
        # Its own inverse: steps before the end in reverse order, others as they are.
        order = lengths[:, None] - 1 - steps
        order = torch.where(order >= 0, order, steps)[:, :, None]
        state = inputs.new_zeros(1, len(inputs), layers.hidden_size)
        start = (state, state) if isinstance(layers, nn.LSTM) else state
        # One layer and direction; with biases; no dropout; samples first.
        settings = True, 1, 0.0, layers.training, False, True
        for level in range(layers.num_layers):
            outputs = []
            for direction in ("", "_reverse"):
                weights = [
                    getattr(layers, f"{name}_l{level}{direction}")
                    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                ]
                given = inputs
                if direction:
                    given = given.gather(1, order.expand_as(given))
                output = run(given, start, weights, *settings)[0]
                if direction:
                    output = output.gather(1, order.expand_as(output))
                outputs.append(output)
            inputs = torch.cat(outputs, dim=2)
        return inputs
