"""Convolutional autoencoders for sequences."""

from __future__ import annotations

import math
from itertools import pairwise
from numbers import Integral

from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from skautoencoder.architectures._architecture import (
    Architecture,
    require_code_size,
)
from skautoencoder.architectures._conv_layers import halving
from skautoencoder.architectures._layers import (
    ACTIVATIONS,
    dense_stack,
    initialize,
    lift_of,
    linear,
    make_activation,
)
from skautoencoder.architectures._sequence_layers import (
    FromSteps,
    ToSteps,
    as_sequence_shape,
)
from skautoencoder.architectures.dense import check_sizes, code_layers


class Conv1d(Architecture):
    """A convolutional encoder along the steps of sequences, and a decoder to match.

    Each stage of the encoder is a convolution that takes every second step, rounding
    up; each stage of the decoder doubles the steps again with a transposed one, to as
    many as there were. So every number of steps works.

    Parameters
    ----------
    channels : tuple of int, default=(32, 32, 32)
        Number of channels of each stage of the encoder.
    kernel_size : int, default=5
        Steps that a kernel sees. An odd number, at least 3.
    activation : str, default="elu"
        Follows every convolution: "elu", "gelu", "identity", "leaky_relu",
        "relu", "sigmoid", "silu", "softplus" or "tanh".
    batch_norm : bool, default=False
        Whether to normalise over the batch before each activation.
    hidden_layer_sizes : tuple of int, default=(128,)
        Dense layers between the convolutions and the code.
    code_activation : str, default="auto"
        Activation of the code, any of the above. "auto" is "identity", and
        "sigmoid" where the objective needs a code in (0, 1).
    output_activation : {"auto", "identity", "sigmoid"}, default="auto"
        Activation of the reconstruction. "auto" is "sigmoid" where the
        training data lie in [0, 1] and span at least half of it, or the loss is
        "bce"; "identity" elsewhere.

    See Also
    --------
    Recurrent : Layers that go through the steps one by one.
    Conv : Convolutions, for images.
    Dense : Fully connected layers, which see the steps as any other features.

    Notes
    -----
    A sample has the shape (n_steps, n_channels); one of shape (n_steps,) has a single
    channel. Three lengths are (n_planes, n_steps, n_channels): several arrays of the
    same steps and channels, such as values and flags that say which are missing.

    Sequences of different lengths see zeros after their ends, where nothing is learnt
    from; see :ref:`ragged_sequences`.

    References
    ----------
    LeCun and Bengio, "Convolutional networks for images, speech, and time series",
    The Handbook of Brain Theory and Neural Networks, 1995.

    Examples
    --------
    >>> import torch
    >>> from skautoencoder.architectures import Conv1d
    >>> network = Conv1d().build((50, 3), code_size=4)
    >>> sequences = torch.zeros(5, 50 * 3)
    >>> network.encode(sequences).shape
    torch.Size([5, 4])
    >>> network(sequences).shape
    torch.Size([5, 150])
    """

    _parameter_constraints = {
        "channels": ["array-like"],
        "kernel_size": [Interval(Integral, 3, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "batch_norm": ["boolean"],
        "hidden_layer_sizes": ["array-like"],
        "code_activation": [StrOptions({"auto", *ACTIVATIONS})],
        "output_activation": [StrOptions({"auto", "identity", "sigmoid"})],
    }

    takes_ragged = True

    def __init__(
        self,
        channels: tuple[int, ...] = (32, 32, 32),
        *,
        kernel_size: int = 5,
        activation: str = "elu",
        batch_norm: bool = False,
        hidden_layer_sizes: tuple[int, ...] = (128,),
        code_activation: str = "auto",
        output_activation: str = "auto",
    ) -> None:
        self.channels = channels
        self.kernel_size = kernel_size
        self.activation = activation
        self.batch_norm = batch_norm
        self.hidden_layer_sizes = hidden_layer_sizes
        self.code_activation = code_activation
        self.output_activation = output_activation

    def check(self) -> None:
        """Raise an error that names the parameter whose value is not allowed."""
        super().check()
        check_sizes("channels", self.channels)
        check_sizes("hidden_layer_sizes", self.hidden_layer_sizes, allow_empty=True)
        if self.kernel_size % 2 == 0:
            raise ValueError(
                "kernel_size must be odd, so that a kernel has a step in its middle, "
                f"got {self.kernel_size}."
            )

    def grid_shape(self, sample_shape: tuple[int, ...]) -> tuple[int, int, int]:
        """Return the shape of the sequences that samples are."""
        return as_sequence_shape(sample_shape)

    def _build_encoder_decoder(
        self, sample_shape: tuple[int, ...], code_size: int | None, code_activation: str
    ) -> tuple[nn.Module, nn.Module]:
        code_size = require_code_size(code_size, self)
        shape = as_sequence_shape(sample_shape)
        n_planes, n_steps, n_channels = shape
        # A grid search may hand over numpy's integers, which torch refuses.
        channels = (n_planes * n_channels, *(int(n) for n in self.channels))
        lengths = [n_steps]
        for _ in self.channels:
            lengths.append((lengths[-1] + 1) // 2)
        map_shape = channels[-1], lengths[-1]
        encoder = [
            ToSteps(shape),
            *self._halvings(channels, lengths),
            nn.Flatten(),
            *self._map_to_code(map_shape, code_size, code_activation),
        ]
        decoder = [
            *self._code_to_map(map_shape, code_size),
            nn.Unflatten(1, map_shape),
            *self._doublings(channels, lengths),
            FromSteps(shape),
        ]
        return nn.Sequential(*encoder), nn.Sequential(*decoder)

    def _halvings(
        self, channels: tuple[int, ...], lengths: list[int]
    ) -> list[nn.Module]:
        kernel_size = int(self.kernel_size)
        layers: list[nn.Module] = []
        for level, (n_in, n_out) in enumerate(pairwise(channels)):
            layer = nn.Conv1d(
                n_in,
                n_out,
                kernel_size,
                stride=_stride(lengths[level]),
                padding=kernel_size // 2,
            )
            initialize(layer, self.activation, normalized=self.batch_norm)
            layers += [layer, *self._normalized_activation(n_out)]
        return layers

    def _doublings(
        self, channels: tuple[int, ...], lengths: list[int]
    ) -> list[nn.Module]:
        kernel_size = int(self.kernel_size)
        layers: list[nn.Module] = []
        for level in reversed(range(len(self.channels))):
            n_in, n_out, last = channels[level + 1], channels[level], level == 0
            layer = nn.ConvTranspose1d(
                n_in,
                n_out,
                kernel_size,
                stride=_stride(lengths[level]),
                padding=kernel_size // 2,
                # An odd length had been rounded up.
                output_padding=1 - lengths[level] % 2,
            )
            activation = "identity" if last else self.activation
            normalized = self.batch_norm and not last
            initialize(layer, activation, normalized=normalized)
            layers += [*self._normalized_activation(n_in), layer]
        return layers

    def _map_to_code(
        self, map_shape: tuple[int, int], code_size: int, code_activation: str
    ) -> list[nn.Module]:
        sizes = (math.prod(map_shape), *self.hidden_layer_sizes)
        return [
            *dense_stack(sizes, self.activation, batch_norm=self.batch_norm),
            *code_layers(
                sizes[-1], code_size, code_activation, lifted=self._hidden_lift
            ),
        ]

    def _code_to_map(
        self, map_shape: tuple[int, int], code_size: int
    ) -> list[nn.Module]:
        sizes = (code_size, *reversed(self.hidden_layer_sizes))
        return [
            *dense_stack(sizes, self.activation, batch_norm=self.batch_norm),
            linear(
                sizes[-1],
                math.prod(map_shape),
                self.activation,
                normalized=self.batch_norm,
                lifted=self._hidden_lift,
            ),
        ]

    @property
    def _hidden_lift(self) -> float:
        has_hidden = len(self.hidden_layer_sizes) > 0
        return lift_of(self.activation, self.batch_norm) if has_hidden else 0.0

    def _normalized_activation(self, n_channels: int) -> list[nn.Module]:
        norm = [nn.BatchNorm1d(n_channels)] if self.batch_norm else []
        return [*norm, make_activation(self.activation)]


def _stride(n_steps: int) -> int:
    """Return the stride that halves steps, of which a single one stays, see halving."""
    _, stride = halving((1, n_steps))
    return stride
