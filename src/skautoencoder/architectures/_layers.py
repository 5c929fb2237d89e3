"""Layers and their initialisation, shared by the architectures."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skautoencoder.architectures.hook_checks import has_hooks

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

# These change the variance of their input about as relu does, so He's initialisation
# suits them; the others get Glorot's.
_RELU_LIKE = frozenset({"elu", "gelu", "leaky_relu", "relu", "silu", "softplus"})


# Activations that return positive inputs unchanged.
_PASS_POSITIVE = frozenset({"elu", "leaky_relu", "relu"})

# Initial mean of hidden values, in a network whose rows have a spread of 1. With 0.5,
# nearly all units of a narrow layer are active for most rows, and wide layers are
# non-linear from the first step; from 0.5 to 2 no reference network collapses.
_LIFT = 0.5

_STEP = 2.0**-14

MONOTONE = frozenset(ACTIVATIONS) - {"gelu", "silu"}

# Their derivative is a function of their output, so they can be computed in place, with
# less memory traffic.
_IN_PLACE = frozenset({"elu", "leaky_relu", "relu"})


def make_activation(name: str) -> nn.Module:
    """Return a new module for the activation `name`."""
    kind = ACTIVATIONS[name]
    return kind(inplace=True) if name in _IN_PLACE else kind()


def initialize(
    layer: nn.Module, activation: str = "identity", *, normalized: bool = False
) -> nn.Module:
    """Initialise a layer's weights for the activation that follows it.

    Before batch normalisation, the scale of the weights does not change the output; it
    only divides the learning rate. torch's own small weights are kept there, as they
    learn faster.

    References
    ----------
    He, Zhang, Ren and Sun, "Delving deep into rectifiers", ICCV 2015.
    Glorot and Bengio, "Understanding the difficulty of training deep
    feedforward neural networks", AISTATS 2010.
    """
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, Tensor)
    if weight.is_meta:  # only the shapes are wanted
        return layer
    if not normalized:
        if activation in _RELU_LIKE:
            nn.init.kaiming_normal_(weight, nonlinearity="relu")
        else:
            nn.init.xavier_uniform_(weight)
    if bias is not None:
        assert isinstance(bias, Tensor)
        nn.init.zeros_(bias)
    return layer


def lift_of(activation: str, batch_norm: bool) -> float:
    """Return the initial mean of the hidden values of a dense network.

    With He's initialisation a relu unit is inactive for half of the rows. In a layer of
    hundreds of units that does no harm. In a layer of three, one or two may be inactive
    for every row, at the start or after a few steps, and then get no gradient any more.
    So hidden units start with a positive bias, where relu is linear: the network starts
    close to a linear one and learns its non-linearity.
    """
    return _LIFT if activation in _PASS_POSITIVE and not batch_norm else 0.0


def linear(
    n_in: int,
    n_out: int,
    activation: str = "identity",
    *,
    normalized: bool = False,
    lift: float = 0.0,
    lifted: float = 0.0,
) -> nn.Module:
    """Return an initialised linear layer.

    Parameters
    ----------
    n_in, n_out : int
        Number of input and output features.
    activation : str, default="identity"
        The activation after the layer.
    normalized : bool, default=False
        Whether batch normalisation comes between the two.
    lift : float, default=0.0
        The initial mean of the layer's outputs, see :func:`lift_of`.
    lifted : float, default=0.0
        The initial mean of the layer's inputs, which the bias compensates: multiplied
        by the weights it could have any size, and make units inactive.

    References
    ----------
    Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks", ICLR 2014: orthogonal weights.
    """
    layer = nn.Linear(n_in, n_out)
    initialize(layer, activation, normalized=normalized)
    if layer.weight.is_meta:
        return layer
    if lift or (lifted and activation == "identity"):
        # In a network that starts out linear, orthogonal weights lose no direction.
        nn.init.orthogonal_(layer.weight)
    if lift or (lifted and not normalized):
        with torch.no_grad():
            # float32 adds multiples of this step without rounding, so the network maps
            # the mean row exactly to itself: for data without variance the gradient is
            # exactly zero, and Adam has no rounding errors to scale up.
            layer.weight.copy_(torch.round(layer.weight / _STEP) * _STEP)
        set_means(layer.bias, layer.weight, lift, lifted)
    return layer


def set_means(bias: Tensor, weight: Tensor, lift: float, lifted: float) -> None:
    """Set the bias so that inputs of mean `lifted` give outputs of mean `lift`."""
    if weight.is_meta:
        return
    with torch.no_grad():
        bias.copy_(lift - lifted * weight.sum(dim=1))


def dense_stack(
    sizes: tuple[int, ...],
    activation: str,
    *,
    batch_norm: bool = False,
    dropout: float = 0.0,
) -> list[nn.Module]:
    """Return hidden layers of given sizes.

    Parameters
    ----------
    sizes : tuple of int
        Sizes from the input to the last hidden layer.
    activation : str
        The activation after every layer.
    batch_norm : bool, default=False
        Whether each layer is normalised before its activation.
    dropout : float, default=0.0
        Share of hidden values set to zero in training.
    """
    layers: list[nn.Module] = []
    lift, lifted = lift_of(activation, batch_norm), 0.0
    for n_in, n_out in pairwise(sizes):
        layers.append(
            linear(
                n_in,
                n_out,
                activation,
                normalized=batch_norm,
                lift=lift,
                lifted=lifted,
            )
        )
        lifted = lift
        if batch_norm:
            layers.append(nn.BatchNorm1d(n_out))
        layers.append(make_activation(activation))
        if dropout:
            layers.append(nn.Dropout(dropout))
    return layers


class TopK(nn.Module):
    """Keeps the largest numbers of each code and sets the others to zero.

    The code's units are first normalised over the batch, so that they have the same
    scale. Without that, half of them are never among the largest, get no gradient and
    stay unused.

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
        """Return what `repr` shows besides the submodules."""
        return f"n_nonzero_coefs={self.n_nonzero_coefs}"

    def forward(self, codes: Tensor) -> Tensor:
        """Return sparse codes of the same shape."""
        # In full precision: rounding to bfloat16 would make ties and change the order.
        codes = self.normalization(codes.float())
        values, places = codes.topk(self.n_nonzero_coefs, dim=1, sorted=False)
        return torch.zeros_like(codes).scatter(1, places, values)


class Reshaped(nn.Module):
    """Reshapes flat rows to the input shape of a module, and flattens its output."""

    def __init__(self, module: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.module = module
        self.shape = shape

    def forward(self, rows: Tensor) -> Tensor:
        """Return the module's output for rows, flattened."""
        outputs: Tensor = self.module(rows.reshape(-1, *self.shape))
        # Not len(rows), which an exporter would take for a constant.
        return outputs.reshape(rows.shape[0], -1)


class TiedDecoder(nn.Module):
    """A decoder that uses the encoder's matrices, transposed.

    The matrices are read from the encoder at each call and are not parameters of
    this module, so that file formats that reject shared tensors can store it.
    """

    def __init__(
        self, encoder: nn.Sequential, activation: str, lift: float = 0.0
    ) -> None:
        super().__init__()
        matrices = [m for m in encoder if isinstance(m, nn.Linear)]
        # nn.Module does not register the modules in a tuple as its own.
        self._matrices = tuple(reversed(matrices))
        self.activation = make_activation(activation)
        self.biases = nn.ParameterList(
            torch.zeros(m.in_features) for m in self._matrices
        )
        last = len(matrices) - 1
        for i, (matrix, bias) in enumerate(
            zip(self._matrices, self.biases, strict=True)
        ):
            set_means(
                bias,
                matrix.weight.t(),
                lift if i < last else 0.0,
                lift if i else 0.0,
            )

    def forward(self, codes: Tensor) -> Tensor:
        """Return the rows that `codes` stand for, before the activation."""
        rows = codes
        for i, (matrix, bias) in enumerate(
            zip(self._matrices, self.biases, strict=True)
        ):
            rows = self.activation(rows) if i else rows
            rows = F.linear(rows, matrix.weight.t(), bias)
        return rows


def flat_layers(
    module: nn.Module, *, opens_hooked: bool = False
) -> Iterator[nn.Module]:
    """Yield the layers of nested ``nn.Sequential`` modules in order.

    Parameters
    ----------
    module : torch.nn.Module
        The modules.
    opens_hooked : bool, default=False
        Whether sequences of layers that have hooks are opened, too: their hooks are
        not called by who calls the layers.
    """
    if type(module) is nn.Sequential and (opens_hooked or not has_hooks(module)):
        for part in module:
            yield from flat_layers(part, opens_hooked=opens_hooked)
    else:
        yield module
