"""Layers of networks for sequences."""

from __future__ import annotations

import math

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


class Reader(nn.Module):
    """Recurrent layers that say in which state they end.

    Parameters
    ----------
    layers : torch.nn.LSTM or torch.nn.GRU
        The layers, with the samples as first axis.
    """

    def __init__(self, layers: nn.LSTM | nn.GRU) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, sequences: Tensor) -> Tensor:
        """Return the last layer's last states in each direction, one after another."""
        _, states = self.layers(sequences.transpose(1, 2))
        hidden = states[0] if isinstance(states, tuple) else states
        n_directions = 2 if self.layers.bidirectional else 1
        return torch.cat(hidden[-n_directions:].unbind(), dim=1)


class Writer(nn.Module):
    """Recurrent layers that say a sequence, from its last step to the first.

    Parameters
    ----------
    layers : torch.nn.LSTM or torch.nn.GRU
        The layers, with the samples as first axis.
    n_outputs : int
        Numbers in a step.
    n_steps : int
        Steps.
    """

    def __init__(self, layers: nn.LSTM | nn.GRU, n_outputs: int, n_steps: int) -> None:
        super().__init__()
        n_directions = 2 if layers.bidirectional else 1
        # Of an LSTM, hidden and cell states.
        n_states = 2 if isinstance(layers, nn.LSTM) else 1
        n_layers, hidden_size = layers.num_layers * n_directions, layers.hidden_size
        self.state_shape = n_states, n_layers, hidden_size
        self.n_steps = n_steps
        self.start = linear(layers.input_size, math.prod(self.state_shape), "tanh")
        self.layers = layers
        self.answer = linear(n_directions * hidden_size, n_outputs)

    def forward(self, codes: Tensor) -> Tensor:
        """Return sequences of shape (n_samples, n_outputs, n_steps)."""
        start = self.start(codes).tanh().unflatten(1, self.state_shape)
        # As the layers want them, with the samples as the last axis but one.
        hidden, *cells = start.permute(1, 2, 0, 3).contiguous()
        inputs = codes[:, None].expand(-1, self.n_steps, -1)
        outputs, _ = self.layers(inputs, (hidden, *cells) if cells else hidden)
        return self.answer(outputs).flip(1).transpose(1, 2)
