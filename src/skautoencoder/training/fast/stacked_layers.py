"""Layers of several networks at once: stacked weights, and products of stacks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
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
# Sums of a net that are compared with those of a stack.
_SUMS = 128


def aligned_zeros(n_nets: int, *shape: int) -> Tensor:
    """Return a stack of zeros in which each net's begin where a cache line does.

    As tensors of their own do: products round differently for other addresses.
    """
    size = math.prod(shape)
    wide = torch.zeros(n_nets, size + -size % LINE)
    return wide[:, :size].unflatten(1, shape)


class WeightStack:
    """The weights of one linear layer of several nets.

    Parameters
    ----------
    layer_of : dict of int to torch.nn.Linear
        The layer of each net, all of one shape.
    """

    def __init__(self, layer_of: dict[int, nn.Linear]) -> None:
        self.layers = layers = [*layer_of.values()]
        # Where in the stack a net is.
        self.places = {net: place for place, net in enumerate(layer_of)}
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


@dataclass(frozen=True)
class StackedRows:
    """How many rows of a stack of batches are a batch.

    Parameters
    ----------
    counts : tuple of int
        The rows of each net's batch. The stack is filled up with rows of any finite
        numbers, whose gradients are zero.
    n_rows : int
        Rows of the stack, which make each net's numbers begin where a cache line does.
    """

    counts: tuple[int, ...]
    n_rows: int

    def of_each(self, *stacks: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """Yield the batch of each net."""
        for count, *parts in zip(self.counts, *stacks, strict=True):
            yield tuple(part[:count] for part in parts)

    def joined(self, batches: Iterable[Tensor]) -> Tensor:
        """Return a stack of batches."""
        first, *others = batches
        stack = first.new_zeros(len(self.counts), self.n_rows, first.shape[1])
        for place, batch in enumerate([first, *others]):
            stack[place, : self.counts[place]] = batch
        return stack


class StackedLinear:
    """A linear layer of several nets, which are a part of a stack."""

    def __init__(self, stack: WeightStack, part: slice, rows: StackedRows) -> None:
        self.weight, self.weight_grad = (x[part] for x in stack.weights[:2])
        self.bias, self.bias_grad = (x[part] for x in stack.biases[:2])
        self.transposed, self.row = self.weight.transpose(1, 2), self.bias[:, None]
        self.rows = rows
        self.exact = _exact_products(rows, *self.weight.shape[1:])

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs, given inputs of shape (n_nets, n_rows, n_in)."""
        self.inputs = inputs
        if self.exact.outputs:
            return torch.baddbmm(self.row, inputs, self.transposed)
        parts = zip(self.rows.of_each(inputs), self.weight, self.bias, strict=True)
        return self.rows.joined(F.linear(x, w, b) for (x,), w, b in parts)

    def backward(self, gradient: Tensor) -> Tensor:
        """Set the gradients of the weights; return those of the inputs."""
        self.learn(gradient)
        if self.exact.by_inputs:
            return torch.bmm(gradient, self.weight)
        pairs = zip(self.rows.of_each(gradient), self.weight, strict=True)
        return self.rows.joined(torch.mm(g, w) for (g,), w in pairs)

    def learn(self, gradient: Tensor) -> None:
        """Set the gradients of the weights."""
        if self.exact.by_weights:
            torch.bmm(gradient.transpose(1, 2), self.inputs, out=self.weight_grad)
        else:
            both = self.rows.of_each(gradient, self.inputs)
            for (g, x), out in zip(both, self.weight_grad, strict=True):
                torch.mm(g.t(), x, out=out)
        if self.exact.by_biases:
            torch.sum(gradient, 1, out=self.bias_grad)
        else:
            each = self.rows.of_each(gradient)
            for (g,), out in zip(each, self.bias_grad, strict=True):
                torch.sum(g, 0, out=out)


@dataclass(frozen=True)
class _Exact:
    """Which stacked products have the bits of single ones.

    Parameters
    ----------
    outputs, by_inputs, by_weights, by_biases : bool
        Outputs of a linear layer, and the gradients by its inputs, weights and biases.
    """

    outputs: bool
    by_inputs: bool
    by_weights: bool
    by_biases: bool


@lru_cache(maxsize=4096)
def _exact_products(rows: StackedRows, n_out: int, n_in: int) -> _Exact:
    """Return which stacked products have the bits of single ones.

    The order of sums does not depend on the values, so that random numbers can tell;
    but it does depend on where matrices begin in memory.
    """
    n_nets, n_rows, fewest = len(rows.counts), rows.n_rows, min(rows.counts)
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        # Numbers of uniform_ are multiples of one, whose sums are often exact.
        return torch.empty(n_nets, *shape).normal_(generator=generator)

    def random_weights() -> Tensor:
        return aligned_zeros(n_nets, n_out, n_in).copy_(random(n_out, n_in))

    def random_gradient() -> Tensor:
        stack = random(n_rows, n_out)
        for count, one in zip(rows.counts, stack, strict=True):
            one[count:] = 0
        return stack

    def are_equal(many: Tensor, ones: Iterable[Tensor]) -> bool:
        pairs = zip(many, ones, strict=True)
        return all(torch.equal(some[: len(one)], one) for some, one in pairs)

    def outputs() -> bool:
        x, w, b = random(n_rows, n_in), random_weights(), random(n_out)
        each = zip(rows.of_each(x), w, b, strict=True)
        many = torch.baddbmm(b[:, None], x, w.transpose(1, 2))
        return are_equal(many, (F.linear(x, w, b) for (x,), w, b in each))

    def by_inputs() -> bool:
        g, w = random_gradient(), random_weights()
        each = zip(rows.of_each(g), w, strict=True)
        return are_equal(torch.bmm(g, w), (torch.mm(g, w) for (g,), w in each))

    def by_weights() -> bool:
        x, g, out = random(n_rows, n_in), random_gradient(), random_weights()
        many = torch.bmm(g.transpose(1, 2), x, out=out)
        return are_equal(many, (torch.mm(g.t(), x) for x, g in rows.of_each(x, g)))

    def by_biases() -> bool:
        g, sums = random_gradient(), random(n_out)
        many = torch.sum(g, 1, out=sums)
        return are_equal(many, (g.sum(0) for (g,) in rows.of_each(g)))

    def always(are_exact: Callable[[], bool], n_sums: int) -> bool:
        # Sums in another order are equal nine times of ten.
        return all(are_exact() for _ in range(_SUMS // n_sums + 1))

    return _Exact(
        always(outputs, fewest * n_out),
        always(by_inputs, fewest * n_in),
        always(by_weights, n_out * n_in),
        always(by_biases, n_out),
    )


class StackedActivation:
    """An activation of several nets."""

    def __init__(self, layer: nn.Module, n_units: int, rows: StackedRows) -> None:
        make = partial(LAYER_GRADIENTS[type(layer)], layer)
        self.joint: LayerGradient = make()
        self.single: list[LayerGradient] = [make() for _ in rows.counts]
        self.rows = rows
        numbers = [n_rows * n_units for n_rows in (*rows.counts, rows.n_rows)]
        # The signs of numbers are not rounded.
        self.at_once = isinstance(layer, nn.ReLU) or not any(
            n % VECTOR for n in numbers
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs."""
        if self.at_once:
            return self.joint.forward(inputs)
        pairs = zip(self.single, self.rows.of_each(inputs), strict=True)
        return self.rows.joined(link.forward(x) for link, (x,) in pairs)

    def backward(self, gradient: Tensor) -> Tensor:
        """Return the gradients of the inputs."""
        if self.at_once:
            return self.joint.backward(gradient)
        pairs = zip(self.single, self.rows.of_each(gradient), strict=True)
        return self.rows.joined(link.backward(g) for link, (g,) in pairs)


class StackedLoss:
    """A loss of several nets.

    Parameters
    ----------
    loss : str
        The loss.
    activation : str
        The activation of the outputs.
    n_features : int
        Number of outputs.
    rows : StackedRows
        The rows of the batches.
    """

    def __init__(
        self, loss: str, activation: str, n_features: int, rows: StackedRows
    ) -> None:
        self.loss, self.activation, self.rows = loss, activation, rows
        # Differences and products, whose bits do not depend on their place.
        self.is_simple = activation == "identity" and loss == "mse"
        sizes = [count * n_features for count in rows.counts]
        self.sizes, self.divisors = sizes, torch.tensor(sizes, dtype=torch.float32)
        self.factor: float | Tensor = 2.0 / sizes[0]
        self.are_full = {*rows.counts} == {rows.n_rows}
        if not self.are_full:
            self.factor = torch.zeros(len(sizes), rows.n_rows, 1)
            for (factors,), size in zip(rows.of_each(self.factor), sizes, strict=True):
                factors.fill_(2.0 / size)

    def __call__(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of each net, and the gradient by the logits of all."""
        if not self.is_simple:
            values, gradients = [], []
            for logit, target in self.rows.of_each(logits, targets):
                (value,), gradient = losses_and_gradient(
                    self.loss, logit[None], target, self.activation
                )
                values.append(value)
                gradients.append(gradient[0])
            return torch.stack(values), self.rows.joined(gradients)
        residual = logits - targets
        flat = residual.flatten(1).unbind()
        if not self.are_full:
            pairs = zip(flat, self.sizes, strict=True)
            flat = tuple(numbers[:size] for numbers, size in pairs)
        squares = torch.stack([numbers.dot(numbers) for numbers in flat])
        return squares.div_(self.divisors), residual.mul_(self.factor)
