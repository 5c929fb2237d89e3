"""Layers and their first weights, shared by the architectures."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "leaky_relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}

# What these do to the variance of a signal is close to what relu does, so He's
# initialisation fits them; the others get Glorot's.
_RELU_LIKE = frozenset({"elu", "gelu", "leaky_relu", "relu", "silu", "softplus"})


MONOTONE = frozenset(ACTIVATIONS) - {"gelu", "silu"}

# Their gradient can be had from their output, so that it may take the place of the
# input: less memory to fill and to read.
_IN_PLACE = frozenset({"elu", "leaky_relu", "relu"})


def make_activation(name: str) -> nn.Module:
    """Return a new module of the activation called `name`."""
    kind = ACTIVATIONS[name]
    return kind(inplace=True) if name in _IN_PLACE else kind()


def initialize(
    layer: nn.Module, activation: str = "identity", *, normalized: bool = False
) -> nn.Module:
    """Draw a layer's first weights to suit the activation that follows it.

    Where batch normalisation follows, the scale of the weights does not reach the
    signal; it only divides the learning rate. torch's own small weights are kept
    there: they learn faster.

    References
    ----------
    He, Zhang, Ren and Sun, "Delving deep into rectifiers", ICCV 2015.
    Glorot and Bengio, "Understanding the difficulty of training deep
    feedforward neural networks", AISTATS 2010.
    """
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, Tensor)
    if not normalized:
        if activation in _RELU_LIKE:
            nn.init.kaiming_normal_(weight, nonlinearity="relu")
        else:
            nn.init.xavier_uniform_(weight)
    if bias is not None:
        assert isinstance(bias, Tensor)
        nn.init.zeros_(bias)
    return layer


def linear(
    n_in: int, n_out: int, activation: str = "identity", *, normalized: bool = False
) -> nn.Module:
    """Return an initialised linear layer."""
    return initialize(nn.Linear(n_in, n_out), activation, normalized=normalized)


def dense_stack(
    sizes: tuple[int, ...],
    activation: str,
    *,
    batch_norm: bool = False,
    dropout: float = 0.0,
) -> list[nn.Module]:
    """Return the hidden layers between the sizes of neighbouring layers.

    Parameters
    ----------
    sizes : tuple of int
        Sizes from the input to the last hidden layer.
    activation : str
        Follows every layer.
    batch_norm : bool, default=False
        Whether each layer is normalised before its activation.
    dropout : float, default=0.0
        Share of hidden values set to zero in training.
    """
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers.append(linear(n_in, n_out, activation, normalized=batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm1d(n_out))
        layers.append(make_activation(activation))
        if dropout:
            layers.append(nn.Dropout(dropout))
    return layers


class TopK(nn.Module):
    """Keeps the largest numbers of each code and sets the others to zero.

    The code's units are normalised over the batch first, so that all compete on
    equal terms. Without it, half of them are never among the largest, get no
    gradient and are lost for good.

    Parameters
    ----------
    code_size : int
        How many numbers a code has.
    n_nonzero_coefs : int or None
        How many of them to keep. None: a tenth, at least one.

    References
    ----------
    Makhzani and Frey, "k-sparse autoencoders", ICLR 2014.
    """

    def __init__(self, code_size: int, n_nonzero_coefs: int | None) -> None:
        super().__init__()
        if n_nonzero_coefs is None:
            n_nonzero_coefs = max(code_size // 10, 1)
        if n_nonzero_coefs > code_size:
            raise ValueError(
                f"n_nonzero_coefs={n_nonzero_coefs} is more than the {code_size} "
                "numbers of a code. Lower it or raise code_size."
            )
        self.n_nonzero_coefs = int(n_nonzero_coefs)
        self.normalization = nn.BatchNorm1d(code_size, affine=False)

    def extra_repr(self) -> str:
        """Return what the printed modules do not say."""
        return f"n_nonzero_coefs={self.n_nonzero_coefs}"

    def forward(self, codes: Tensor) -> Tensor:
        """Return sparse codes of the same shape."""
        # What is kept goes on in full precision; the rank of a rounded number is
        # anyone's guess.
        codes = self.normalization(codes.float())
        values, places = codes.topk(self.n_nonzero_coefs, dim=1, sorted=False)
        return torch.zeros_like(codes).scatter(1, places, values)
