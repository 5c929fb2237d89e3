"""Gradients of simple layers in a row, worked out in parts of a batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skautoencoder.architectures._chain import DropoutLink
from skautoencoder.objectives import DirectGradient
from skautoencoder.objectives.draws import generator
from skautoencoder.training.batch_statistics import SharedNorm
from skautoencoder.training.blocks import Task, product
from skautoencoder.training.parts import Part, Parts


class DirectParts:
    """A gradient without autograd, for which a batch is divided twice.

    First by rows: a thread goes with its part there and back through the network, and
    notes what each linear layer was given and the gradient by its outputs. Then by
    weights: from these notes about the whole batch, a thread works out the gradients of
    its share of the weights. So nothing has to be added up, as it would if each part
    had gradients of its own: where a batch is short beside the weights, they take
    longer to add than to compute.

    Parameters
    ----------
    find : callable
        Takes a network and the links of its chain, and returns a DirectGradient, or
        None if there is no other way than autograd.
    network : torch.nn.Module
        The network that is learning.
    parts : Parts
        Divides batches.
    dtype : torch.dtype
        Type in which matrices are multiplied.
    """

    def __init__(
        self,
        find: Callable[[Any, Any], DirectGradient | None],
        network: nn.Module,
        parts: Parts,
        dtype: torch.dtype,
    ) -> None:
        self.parts = parts
        self.dtype = dtype
        self._notes: dict[nn.Linear, _Notes] = {}
        self._tasks: list[Task] = []
        self._places = [_Place() for _ in range(parts.n_parts)]
        self._ways = [find(network, self._links(place)) for place in self._places]

    @property
    def is_possible(self) -> bool:
        """Whether there is such a way through the network."""
        return None not in self._ways

    def __call__(self, rows: Tensor, target: Tensor, share: float = 1.0) -> Tensor:
        """Set the gradients of the weights and return the objective."""
        self._make_room(len(rows))

        def learn(part: Part) -> Tensor:
            place, way = self._places[part.number], self._ways[part.number]
            assert way is not None
            place.part = part
            with torch.no_grad():
                return way(*part.batch, share * part.share)

        losses = self.parts.ask(learn, (rows, target))
        self.parts.crew.do(self._tasks)
        return torch.stack(losses).sum()

    def _links(self, place: _Place) -> dict[type[nn.Module], Callable[[Any], Any]]:
        """Return what makes the links of the way that goes with parts of one number."""

        def linear(layer: nn.Linear) -> _PartOfLinear:
            notes = self._notes.setdefault(layer, _Notes(layer, self.dtype))
            return _PartOfLinear(notes, place)

        return {
            nn.BatchNorm1d: partial(_PartOfBatchNorm, place=place),
            nn.Dropout: partial(DropoutLink, generator=generator),
            nn.Linear: linear,
        }

    def _make_room(self, n_rows: int) -> None:
        """Make room for notes about a batch and for the gradients of the weights."""
        # Not any() of a generator: all of them are to be asked.
        if not any([notes.make_room(n_rows) for notes in self._notes.values()]):
            return
        # The longest first, and sums last, so that threads have equally much to do.
        layers = sorted(self._notes.values(), key=lambda notes: -notes.weight.numel())
        each = sum(notes.weight.numel() for notes in layers) / self.parts.crew.n_threads
        self._tasks = [task for notes in layers for task in notes.products(each)]
        self._tasks += [notes.add_up for notes in layers]


class _Place:
    """Where the part is that a way is going with."""

    part: Part


class _Notes:
    """What all parts note about a linear layer."""

    def __init__(self, layer: nn.Linear, dtype: torch.dtype) -> None:
        self.weight, self.bias, self.dtype = layer.weight, layer.bias, dtype
        self.inputs = self.gradients = torch.empty(0)
        self.by_weight = self.by_bias = torch.empty(0)

    def make_room(self, n_rows: int) -> bool:
        """Make room for a batch and for gradients; return whether there was none."""
        by_weight, by_bias = self.weight.grad, self.bias.grad
        has_room = len(self.inputs) == n_rows
        if has_room and by_weight is self.by_weight and by_bias is self.by_bias:
            return False
        n_out, n_in = self.weight.shape
        self.inputs = torch.empty(n_rows, n_in, dtype=self.dtype)
        self.gradients = torch.empty(n_rows, n_out, dtype=self.dtype)
        if by_weight is None or by_bias is None:
            by_weight = self.weight.grad = torch.empty_like(self.weight)
            by_bias = self.bias.grad = torch.empty_like(self.bias)
        self.by_weight, self.by_bias = by_weight, by_bias
        return True

    def products(self, n_each: float) -> list[Task]:
        """Return what is to be done for the gradient by the matrix.

        Parameters
        ----------
        n_each : float
            How many numbers of all matrices there are for a thread.
        """
        n_blocks = math.ceil(2 * self.weight.numel() / n_each)
        return product(self.gradients.t(), self.inputs, self.by_weight, n_blocks)

    def add_up(self) -> None:
        """Set the gradient by the bias."""
        torch.sum(self.gradients, 0, dtype=self.bias.dtype, out=self.by_bias)


class _PartOfLinear:
    def __init__(self, notes: _Notes, place: _Place) -> None:
        self.notes, self.place = notes, place

    def forward(self, inputs: Tensor) -> Tensor:
        notes = self.notes
        self.weight = notes.weight.to(notes.dtype)
        noted = self._own(notes.inputs).copy_(inputs)
        return F.linear(noted, self.weight, notes.bias.to(notes.dtype))

    def backward(self, gradient: Tensor) -> Tensor:
        return torch.mm(self.learn(gradient), self.weight)

    def learn(self, gradient: Tensor) -> Tensor:
        """Note the gradient by the outputs, and return it as it is there."""
        return self._own(self.notes.gradients).copy_(gradient)

    def _own(self, notes: Tensor) -> Tensor:
        part = self.place.part
        return notes[part.start : part.start + len(part.batch[0])]


class _PartOfBatchNorm:
    def __init__(self, layer: nn.BatchNorm1d, place: _Place) -> None:
        assert layer.momentum is not None
        running: Any = (layer.running_mean, layer.running_var, layer.momentum)
        self.norm = SharedNorm(layer.weight, layer.bias, running, layer.eps)
        self.layer, self.place = layer, place

    def forward(self, inputs: Tensor) -> Tensor:
        part = self.place.part
        if part.number == 0:
            assert self.layer.num_batches_tracked is not None
            self.layer.num_batches_tracked.add_(1)
        self.inputs = inputs
        return self.norm.forward(inputs, part.meeting, part.number)

    def backward(self, gradient: Tensor) -> Tensor:
        by_inputs = self.norm.backward(gradient, self.inputs)[0]
        if self.place.part.number == 0:
            self.layer.weight.grad, self.layer.bias.grad = self.norm.sums
        return by_inputs
