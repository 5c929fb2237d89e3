"""Layers of several networks at once: stacked weights, and products of stacks."""

from __future__ import annotations

import math
from functools import lru_cache, partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skautoencoder.training.batch_invariance import VECTOR
from skautoencoder.training.fast.objective_gradient import losses_and_gradient
from skautoencoder.training.fast.sequential_gradients import (
    LAYER_GRADIENTS,
    LayerGradient,
)

# Numbers in a line of the cache (a multiple of it); tensors begin with one.
LINE = 16


def aligned_zeros(n_nets: int, *shape: int) -> Tensor:
    """Return a stack of zeros in which each net's begin where a cache line does.

    As tensors of their own do: products round differently for other addresses.
    """
    size = math.prod(shape)
    wide = torch.zeros(n_nets, size + -size % LINE)
    return wide[:, :size].unflatten(1, shape)


def _aligned(stacked: Tensor) -> list[Tensor]:
    """Return the numbers of each net, which begin where a cache line does."""
    parts = [*stacked.unbind()]
    return [x.clone() for x in parts] if parts[0].numel() % LINE else parts


class WeightStack:
    """The weights of one linear layer of several nets.

    Parameters
    ----------
    layers : list of torch.nn.Linear
        The layers, of one shape.
    """

    def __init__(self, layers: list[nn.Linear]) -> None:
        self.layers = layers
        n_nets, (n_out, n_in) = len(layers), layers[0].weight.shape
        # Weights, gradients, and Adam's two averages.
        self.weights = [aligned_zeros(n_nets, n_out, n_in) for _ in range(4)]
        self.biases = [aligned_zeros(n_nets, n_out) for _ in range(4)]
        for place, layer in enumerate(layers):
            self.weights[0][place] = layer.weight
            self.biases[0][place] = layer.bias

    def write_back(self) -> None:
        """Copy the weights into the nets."""
        for layer, weight, bias in zip(
            self.layers, self.weights[0], self.biases[0], strict=True
        ):
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)


class StackedLinear:
    """A linear layer of several nets, which are a part of a stack."""

    def __init__(self, stack: WeightStack, part: slice) -> None:
        self.weight, self.weight_grad = (x[part] for x in stack.weights[:2])
        self.bias, self.bias_grad = (x[part] for x in stack.biases[:2])
        self.transposed, self.row = self.weight.transpose(1, 2), self.bias[:, None]
        self.shape = tuple(self.weight.shape)
        # Which products are exact, for each number of rows.
        self.known: dict[int, tuple[bool, ...]] = {}
        self.single = [*zip(self.weight, self.bias, strict=True)]
        self.single_grads = [*zip(self.weight_grad, self.bias_grad, strict=True)]

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs, given inputs of shape (n_nets, n_rows, n_in)."""
        self.inputs, n_rows = inputs, inputs.shape[1]
        if n_rows not in self.known:
            self.known[n_rows] = _exact_products(n_rows, *self.shape)
        self.exact = self.known[n_rows]
        if self.exact[0]:
            return torch.baddbmm(self.row, inputs, self.transposed)
        return torch.stack(
            [
                F.linear(x, w, b)
                for x, (w, b) in zip(_aligned(inputs), self.single, strict=True)
            ]
        )

    def backward(self, gradient: Tensor) -> Tensor:
        """Set the gradients of the weights; return those of the inputs."""
        self.learn(gradient)
        if self.exact[1]:
            return torch.bmm(gradient, self.weight)
        pairs = zip(_aligned(gradient), self.single, strict=True)
        return torch.stack([torch.mm(g, w) for g, (w, _) in pairs])

    def learn(self, gradient: Tensor) -> None:
        """Set the gradients of the weights."""
        _, _, products, sums = self.exact
        if products:
            torch.bmm(gradient.transpose(1, 2), self.inputs, out=self.weight_grad)
        if sums:
            torch.sum(gradient, 1, out=self.bias_grad)
        if products and sums:
            return
        parts = zip(
            _aligned(gradient), _aligned(self.inputs), self.single_grads, strict=True
        )
        for g, x, (weight, bias) in parts:
            if not products:
                torch.mm(g.t(), x, out=weight)
            if not sums:
                torch.sum(g, 0, out=bias)


@lru_cache(maxsize=4096)
def _exact_products(
    n_rows: int, n_nets: int, n_out: int, n_in: int
) -> tuple[bool, bool, bool, bool]:
    """Return whether stacked products have the bits of single ones.

    For the outputs of a linear layer, the gradients by its inputs, by its weights and
    by its biases. The order of sums does not depend on the values, so that random
    numbers can tell; but it does depend on where matrices begin in memory.
    """
    x_begins, g_begins = not n_rows * n_in % LINE, not n_rows * n_out % LINE
    x, w, b, g = (
        _random_numbers(n_nets, *shape)
        for shape in ((n_rows, n_in), (n_out, n_in), (n_out,), (n_rows, n_out))
    )
    w, out = (aligned_zeros(n_nets, n_out, n_in).copy_(w) for _ in range(2))
    out_sum = torch.empty_like(b)
    stacked = (
        torch.baddbmm(b[:, None], x, w.transpose(1, 2)),
        torch.bmm(g, w),
        torch.bmm(g.transpose(1, 2), x, out=out),
        torch.sum(g, 1, out=out_sum),
    )
    single = (
        [F.linear(x[i], w[i], b[i]) for i in range(n_nets)],
        [torch.mm(g[i], w[i]) for i in range(n_nets)],
        [torch.mm(g[i].t(), x[i]) for i in range(n_nets)],
        [g[i].sum(0) for i in range(n_nets)],
    )
    outputs, by_inputs, by_weights, by_biases = (
        torch.equal(many, torch.stack(ones))
        for many, ones in zip(stacked, single, strict=True)
    )
    return (
        outputs and x_begins,
        by_inputs and g_begins,
        by_weights and x_begins and g_begins,
        by_biases,
    )


def _random_numbers(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.empty(shape).uniform_(-1, 1, generator=generator)


class StackedActivation:
    """An activation of several nets."""

    def __init__(self, layer: nn.Module, n_nets: int) -> None:
        make = partial(LAYER_GRADIENTS[type(layer)], layer)
        self.joint: LayerGradient = make()
        self.single: list[LayerGradient] = [make() for _ in range(n_nets)]
        # The signs of numbers are not rounded.
        self.is_exact = isinstance(layer, nn.ReLU)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs."""
        self.at_once = self.is_exact or not inputs[0].numel() % VECTOR
        if self.at_once:
            return self.joint.forward(inputs)
        pairs = zip(self.single, inputs, strict=True)
        return torch.stack([link.forward(x) for link, x in pairs])

    def backward(self, gradient: Tensor) -> Tensor:
        """Return the gradients of the inputs."""
        if self.at_once:
            return self.joint.backward(gradient)
        pairs = zip(self.single, gradient, strict=True)
        return torch.stack([link.backward(g) for link, g in pairs])


def losses_of_stack(
    loss: str, logits: Tensor, targets: Tensor, activation: str
) -> tuple[Tensor, Tensor]:
    """Return the loss of each net, and the gradient by the logits of all."""
    size = logits[0].numel()
    if activation == "sigmoid" or loss != "mse":
        # More than differences and products, whose bits do not depend on their place.
        pairs = [
            losses_and_gradient(loss, logit[None], target, activation)
            for logit, target in zip(logits, targets, strict=True)
        ]
        values, gradients = zip(*pairs, strict=True)
        return torch.stack([value for (value,) in values]), torch.cat(gradients)
    residual = logits - targets
    flat = residual.flatten(1).unbind()
    if size % VECTOR:
        # Sums of products depend on where their numbers start in memory.
        flat = tuple(map(torch.clone, flat))
    squares = torch.stack([numbers.dot(numbers) for numbers in flat])
    return squares.div_(size), residual.mul_(2.0 / size)
