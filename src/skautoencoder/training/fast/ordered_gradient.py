"""Gradients of networks with ordered codes, computed without autograd.

The decoders of leading parts have layers of the same shapes, so that each product of
stacked matrices computes for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skautoencoder.architectures import Network
from skautoencoder.architectures._ordered import OrderedDecoder, OrderedEncoder
from skautoencoder.architectures.hook_checks import has_hooks
from skautoencoder.objectives import OrderedObjective
from skautoencoder.objectives.ordered import OrderedPart
from skautoencoder.training.fast.objective_gradient import (
    Gradient,
    has_gradient,
    losses_and_gradient,
)
from skautoencoder.training.fast.sequential_gradients import (
    LAYER_GRADIENTS,
    Chain,
    chain_of_layers,
    is_plain,
    layers_of,
    learn_weight,
)


class _Stack:
    """Linear layers of one shape, one of each decoder.

    The first layers read different numbers of units. They get all, and have weights of
    zero for those that are not theirs.
    """

    def __init__(self, layers: Sequence[nn.Linear], n_in: int) -> None:
        self.layers = layers
        shape = len(layers), layers[0].out_features
        self.weight, self.weight_grad = torch.zeros(2, *shape, n_in)
        self.bias, self.bias_grad = torch.zeros(2, *shape)
        self.is_padded = any(layer.in_features < n_in for layer in layers)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs of shape (n_decoders, n_rows, n_out)."""
        self.inputs = inputs
        if self.is_padded:
            for weight, layer in zip(self.weight, self.layers, strict=True):
                weight[:, : layer.in_features] = layer.weight
        else:
            torch.stack([layer.weight for layer in self.layers], out=self.weight)
        torch.stack([layer.bias for layer in self.layers], out=self.bias)
        return torch.baddbmm(self.bias[:, None], inputs, self.weight.transpose(1, 2))

    def backward(self, gradient: Tensor) -> Tensor:
        """Set the weights' ``grad``; return the gradient by the inputs."""
        torch.bmm(gradient.transpose(1, 2), self.inputs, out=self.weight_grad)
        torch.sum(gradient, 1, out=self.bias_grad)
        for place, layer in enumerate(self.layers):
            found = self.weight_grad[place]
            if self.is_padded:
                layer.weight.grad = found[:, : layer.in_features].contiguous()
            elif layer.weight.grad is None:
                layer.weight.grad = found
            if layer.bias.grad is None:
                layer.bias.grad = self.bias_grad[place]
        return torch.bmm(gradient, self.weight)


class _JoinedLayers:
    """The first hidden layers of leading decoders, each of which reads that before."""

    # The gradient of the last decoder by the last of these layers.
    by_last: Tensor

    def __init__(
        self,
        stack: _Stack,
        activations: Sequence[nn.Module],
        laterals: Sequence[Tensor],
    ) -> None:
        self.stack, self.laterals = stack, laterals
        self.activations = [LAYER_GRADIENTS[type(a)](a) for a in activations]

    def forward(self, inputs: Tensor) -> Tensor:
        """Return hidden values of shape (n_decoders, n_rows, n_out)."""
        hidden: list[Tensor] = []
        for place, one in enumerate(self.stack.forward(inputs)):
            if place:
                one = torch.addmm(one, hidden[-1], self.laterals[place - 1].t())
            hidden.append(self.activations[place].forward(one))
        # A copy, as derivatives may overwrite what activations returned.
        self.hidden = torch.stack(hidden)
        return self.hidden

    def backward(self, gradient: Tensor) -> Tensor:
        """Set the weights' ``grad``; return the gradient by the inputs."""
        gradient[-1].add_(self.by_last)
        found = []
        for place in reversed(range(len(gradient))):
            one = self.activations[place].backward(gradient[place])
            found.append(one)
            if place:
                lateral = self.laterals[place - 1]
                learn_weight(lateral, self.hidden[place - 1], one)
                gradient[place - 1].addmm_(one, lateral)
        return self.stack.backward(torch.stack(found[::-1]))


class _JoinedLayer:
    """The first layer of the last decoder, which also reads that of the one before."""

    def __init__(self, layer: Any, lateral: Tensor, joined: _JoinedLayers) -> None:
        self.layer, self.lateral, self.joined = layer, lateral, joined

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs; those of the leading decoders must have been computed."""
        outputs = self.layer.forward(inputs)
        return torch.addmm(outputs, self.joined.hidden[-1], self.lateral.t())

    def backward(self, gradient: Tensor) -> Tensor:
        """Set the weights' ``grad``; return the gradient by the inputs."""
        learn_weight(self.lateral, self.joined.hidden[-1], gradient)
        self.joined.by_last = torch.mm(gradient, self.lateral)
        by_inputs: Tensor = self.layer.backward(gradient)
        return by_inputs


class _LeadingDecoders:
    """The decoders of leading parts of a code."""

    def __init__(
        self,
        decoders: Sequence[nn.Module],
        sizes: Sequence[int],
        laterals: Sequence[Tensor],
    ) -> None:
        links: list[Any] = []
        # Which units each decoder reads, and which of them belong to smaller codes.
        self.is_read, self.is_earlier = torch.zeros(2, len(sizes), 1, max(sizes))
        for place, size in enumerate(sizes):
            self.is_read[place, :, :size] = 1
            self.is_earlier[place + 1 :, :, :size] = 1
        self.is_own = self.is_read - self.is_earlier
        for layers in zip(*map(layers_of, decoders), strict=True):
            if isinstance(layers[0], nn.Linear):
                n_in = max(layer.in_features for layer in layers)
                links.append(_Stack(layers, n_in))
            else:
                links.append(LAYER_GRADIENTS[type(layers[0])](layers[0]))
        self.joined = None
        if laterals:
            activations = [layers_of(decoder)[1] for decoder in decoders]
            self.joined = _JoinedLayers(links[0], activations, laterals)
            links[:2] = [self.joined]
        # Its inputs are codes of shape (n_decoders, n_rows, n_units).
        self.chain = Chain(links)

    def shared(self, gradient: Tensor, share: float) -> Tensor:
        """Return the gradient by codes; units of smaller ones get a share of it."""
        kept = torch.add(self.is_own, self.is_earlier, alpha=share)
        return gradient.mul_(kept).sum(0)


class _OrderedChain:
    """A network with ordered codes that sets the gradients of its weights."""

    def __init__(self, network: Any, encoder: Chain, whole: Chain) -> None:
        self.network, self.encoder, self.whole = network, encoder, whole
        decoder = network.decoder
        self.sizes, self.absent = decoder.sizes, decoder.absent
        # Linear layers without a bias, beside the chains.
        self.to_code, self.to_rows = network.encoder.line, decoder.line
        self.leading = None
        if len(self.sizes) > 1:
            laterals = [lateral.weight for lateral in decoder.laterals or ()]
            self.leading = _LeadingDecoders(
                decoder.decoders[:-1], self.sizes[:-1], laterals
            )
            joined = self.leading.joined
            if joined is not None:
                whole.links[0] = _JoinedLayer(whole.links[0], laterals[-1], joined)

    def forward(self, rows: Tensor, parts: Sequence[OrderedPart]) -> list[Tensor]:
        """Return the logits of leading decoders, stacked, and of the last one."""
        self.shown = self.network.encoder_input(rows)
        codes = self.encoder.forward(self.shown)
        if self.to_code is not None:
            codes = torch.addmm(codes, self.shown, self.to_code.weight.t())
        self.codes, outputs = codes, []
        if self.leading is not None:
            given = codes[:, : self.sizes[-2]] * self.leading.is_read
            for part in parts[:-1]:
                self._cut(part, given[part.place])
            outputs.append(self.leading.chain.forward(given))
        part = parts[-1]
        if part.n_cut:
            codes = codes.clone()
            self._cut(part, codes)
        self.given = codes
        whole = self.whole.forward(codes)
        if self.to_rows is not None:
            whole = torch.addmm(whole, codes, self.to_rows.weight.t())
        outputs.append(whole[None])
        return [self.network.with_offset(one) for one in outputs]

    def _cut(self, part: OrderedPart, codes: Tensor) -> None:
        if part.n_cut:
            absent = self.absent[part.place, part.n_units : part.size]
            codes[: part.n_cut, part.n_units : part.size] = absent

    def backward(
        self, gradients: list[Tensor], parts: Sequence[OrderedPart], share: float
    ) -> None:
        """Set each weight's ``grad``, given the gradients by the logits."""
        if self.absent.grad is None:
            self.absent.grad = torch.zeros_like(self.absent)
        else:
            self.absent.grad.zero_()
        last = gradients[-1][0]
        by_codes = self.whole.backward_to_inputs(last)
        if self.to_rows is not None:
            learn_weight(self.to_rows.weight, self.given, last)
            by_codes.addmm_(last, self.to_rows.weight)
        self._uncut(parts[-1], by_codes)
        if self.leading is not None:
            by_given = self.leading.chain.backward_to_inputs(gradients[0])
            for part in parts[:-1]:
                self._uncut(part, by_given[part.place])
            earlier = by_codes[:, : self.sizes[-2]]
            earlier.mul_(share).add_(self.leading.shared(by_given, share))
        if self.to_code is not None:
            learn_weight(self.to_code.weight, self.shown, by_codes)
        self.encoder.backward(by_codes)

    def _uncut(self, part: OrderedPart, gradient: Tensor) -> None:
        """Move what is the gradient by absent units from that by codes."""
        if part.n_cut:
            assert self.absent.grad is not None
            lacking = gradient[: part.n_cut, part.n_units : part.size]
            self.absent.grad[part.place, part.n_units : part.size] = lacking.sum(0)
            lacking.zero_()


def ordered_gradient_for(objective: OrderedObjective, network: Any) -> Gradient | None:
    """Return a function that sets the gradients of a network without autograd.

    Parameters
    ----------
    objective : OrderedObjective
        The objective to minimise.
    network : torch.nn.Module
        The network, in training mode.

    Returns
    -------
    gradient : callable or None
        None if the gradients need autograd.
    """
    loss, activation = objective.loss, network.output_activation
    if objective.added or not has_gradient(loss, activation):
        return None
    chain = _chain_of(network)
    if chain is None:
        return None

    def learn(rows: Tensor, target: Tensor) -> Tensor:
        if objective.corruption is not None:
            rows = objective.corruption(rows)
        parts = objective.parts(network, chain.sizes, len(rows), chain.sizes[-1])
        values, gradients = [], []
        for logits in chain.forward(rows, parts):
            found, gradient = losses_and_gradient(loss, logits, target, activation)
            values += found
            gradients.append(gradient)
        mean, factors = objective.combined(torch.stack(values), parts)
        gradients[-1].mul_(factors[-1])
        if len(gradients) > 1:  # those of the leading decoders
            gradients[0].mul_(factors[:-1, None, None])
        chain.backward(gradients, parts, objective.share)
        return mean

    return learn


def _chain_of(network: Any) -> _OrderedChain | None:
    """Return a network with ordered codes; None if it has layers of another kind."""
    if type(network) is not Network or network.is_changed():
        return None
    encoder, decoder = network.encoder, network.decoder
    if type(encoder) is not OrderedEncoder or type(decoder) is not OrderedDecoder:
        return None
    if encoder.n_kept < decoder.sizes[-1]:
        return None
    laterals: Any = decoder.laterals or ()
    lines = [line for line in (encoder.line, decoder.line) if line is not None]
    lines.extend(laterals)
    holders = [encoder, decoder, decoder.decoders, *lines]
    loose = [decoder.absent, *(line.weight for line in lines)]
    if any(map(has_hooks, holders)) or not all(map(is_plain, loose)):
        return None
    *leading, whole = decoder.decoders
    if len(laterals) and isinstance(layers_of(whole)[1], nn.Linear):
        return None  # hidden layers without an activation
    # Also that no weight is shared.
    if chain_of_layers(encoder.encoder, *leading, whole) is None:
        return None
    chains = [chain_of_layers(part) for part in (encoder.encoder, whole)]
    if chains[0] is None or chains[1] is None or not _can_stack(leading):
        return None
    return _OrderedChain(network, chains[0], chains[1])


def _can_stack(decoders: Sequence[nn.Module]) -> bool:
    """Return whether decoders have layers of the same shapes, without a state."""
    shapes = []
    for decoder in decoders:
        first, *others = layers_of(decoder)
        if any(isinstance(layer, nn.Dropout | nn.BatchNorm1d) for layer in others):
            return False
        shapes.append((type(first), getattr(first, "out_features", None), repr(others)))
    return all(shape == shapes[0] and shape[0] is nn.Linear for shape in shapes)
