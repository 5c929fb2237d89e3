"""Fully connected autoencoders."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from skautoencoder.architectures._architecture import (
    Architecture,
    require_code_size,
)
from skautoencoder.architectures._layers import (
    ACTIVATIONS,
    TiedDecoder,
    dense_stack,
    lift_of,
    linear,
    make_activation,
)


class Dense(Architecture):
    """A fully connected encoder and its mirror image as the decoder.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(512, 128)
        Sizes of the encoder's hidden layers, from the input to the code; the
        decoder has them in reverse. ``()`` is a single layer each way.
    activation : str, default="elu"
        Activation of the hidden layers: "elu", "gelu", "identity",
        "leaky_relu", "relu", "sigmoid", "silu", "softplus" or "tanh".
    code_activation : str, default="auto"
        Activation of the code, any of the above. "auto" is "identity", and
        "sigmoid" where the objective needs a code in (0, 1).
    code_batch_norm : bool, default=False
        Whether the code is normalised over the batch, after its activation.
    output_activation : {"auto", "identity", "sigmoid"}, default="auto"
        Activation of the reconstruction. "auto" is "sigmoid" where the
        training data lie in [0, 1] and span at least half of it, or the loss is
        "bce"; "identity" elsewhere.
    batch_norm : bool, default=False
        Whether hidden layers are normalised over the batch.
    dropout : float in [0, 1), default=0.0
        Share of hidden values set to zero in training.
    tied_weights : bool, default=False
        Whether the decoder's matrices are the encoder's transposed, which
        halves the number of weights.

    See Also
    --------
    Conv : Convolutions, for images.
    Conv1d : Convolutions, for sequences.
    Custom : Modules of your own.

    Notes
    -----
    Hidden units that pass positive numbers on as they are ("relu", "leaky_relu",
    "elu"; without batch normalisation) start with orthogonal weights and a positive
    bias. Units of relu then are on for most rows and do not die in narrow layers.

    References
    ----------
    Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural
    networks", Science 313, 2006.

    Examples
    --------
    >>> from skautoencoder.architectures import Dense
    >>> network = Dense(hidden_layer_sizes=(32, 16)).build((64,), 4)
    >>> network.encoder
    Sequential(
      (0): Linear(in_features=64, out_features=32, bias=True)
      (1): ELU(alpha=1.0, inplace=True)
      (2): Linear(in_features=32, out_features=16, bias=True)
      (3): ELU(alpha=1.0, inplace=True)
      (4): Linear(in_features=16, out_features=4, bias=True)
    )
    """

    _parameter_constraints = {
        "hidden_layer_sizes": ["array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "code_activation": [StrOptions({"auto", *ACTIVATIONS})],
        "code_batch_norm": ["boolean"],
        "output_activation": [StrOptions({"auto", "identity", "sigmoid"})],
        "batch_norm": ["boolean"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "tied_weights": ["boolean"],
    }

    def __init__(
        self,
        hidden_layer_sizes: tuple[int, ...] = (512, 128),
        *,
        activation: str = "elu",
        code_activation: str = "auto",
        code_batch_norm: bool = False,
        output_activation: str = "auto",
        batch_norm: bool = False,
        dropout: float = 0.0,
        tied_weights: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.code_activation = code_activation
        self.code_batch_norm = code_batch_norm
        self.output_activation = output_activation
        self.batch_norm = batch_norm
        self.dropout = dropout
        self.tied_weights = tied_weights

    @property
    def _has_laterals(self) -> bool:  # type: ignore[override]
        return len(self.hidden_layer_sizes) > 0

    def check(self) -> None:
        """Raise an error that names the parameter whose value is not allowed."""
        super().check()
        check_sizes("hidden_layer_sizes", self.hidden_layer_sizes, allow_empty=True)

    def _build_encoder_decoder(
        self, sample_shape: tuple[int, ...], code_size: int | None, code_activation: str
    ) -> tuple[nn.Module, nn.Module]:
        code_size = require_code_size(code_size, self)
        sizes = (math.prod(sample_shape), *self.hidden_layer_sizes)
        lift = lift_of(self.activation, self.batch_norm)
        lifted = lift if len(sizes) > 1 else 0.0
        encoder = nn.Sequential(
            *dense_stack(
                sizes,
                self.activation,
                batch_norm=self.batch_norm,
                dropout=self.dropout,
            ),
            *code_layers(
                sizes[-1],
                code_size,
                code_activation,
                self.code_batch_norm,
                lifted=lifted,
            ),
        )
        if self.tied_weights:
            return encoder, TiedDecoder(encoder, self.activation, lift)
        decoder = nn.Sequential(
            *dense_stack(
                (code_size, *sizes[:0:-1]),
                self.activation,
                batch_norm=self.batch_norm,
                dropout=self.dropout,
            ),
            linear(sizes[1] if len(sizes) > 1 else code_size, sizes[0], lifted=lifted),
        )
        return encoder, decoder


def code_layers(
    n_in: int,
    code_size: int,
    activation: str,
    batch_norm: bool = False,
    *,
    lifted: float = 0.0,
) -> list[nn.Module]:
    """Return the layers that end an encoder with a flat code.

    The code itself has no positive bias: a relu code is meant to have zeros.
    """
    layers = [linear(n_in, code_size, activation, lifted=lifted)]
    if activation != "identity":
        layers.append(make_activation(activation))
    if batch_norm:
        layers.append(nn.BatchNorm1d(code_size))
    return layers


def check_sizes(name: str, sizes: Any, *, allow_empty: bool = False) -> None:
    """Raise unless `sizes` is a sequence of positive integers."""
    sizes = tuple(sizes)
    good = all(
        isinstance(n, Integral) and not isinstance(n, bool) and int(n) > 0
        for n in sizes
    )
    if not good or not (sizes or allow_empty):
        raise ValueError(
            f"{name} must be a tuple of positive integers, such as (64, 32), "
            f"got {sizes!r}."
        )
