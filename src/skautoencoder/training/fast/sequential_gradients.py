"""Gradients of simple sequential networks, computed without autograd.

Autograd records every operation of the forward pass and then traverses the record. In
a network of a few thousand weights that takes three times as long as the arithmetic.
The derivatives of linear layers, activations, dropout and batch normalisation are
known, and in a sequence without branches the chain rule is a loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skautoencoder.architectures import Network
from skautoencoder.architectures._layers import flat_layers
from skautoencoder.architectures.hook_checks import (
    has_global_hooks,
    has_hooks,
    has_weight_hooks,
)


def _derivative(name: str) -> Callable[..., Any]:
    """Return a private function of torch; AttributeError if it has not got it."""
    derivative: Callable[..., Any] = getattr(torch.ops.aten, name).default
    return derivative


class LayerGradient(Protocol):
    """One layer of a chain."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the layer's outputs, which may overwrite the inputs."""

    def backward(self, gradient: Tensor) -> Tensor:
        """Return the gradient by the inputs, given the gradient by the outputs.

        May overwrite what `forward` returned, which is not used afterwards.
        """


class _Linear:
    def __init__(self, layer: nn.Linear) -> None:
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, inputs: Tensor) -> Tensor:
        self.inputs = inputs
        return F.linear(inputs, self.weight, self.bias)

    def backward(self, gradient: Tensor) -> Tensor:
        self.learn(gradient)
        return torch.mm(gradient, self.weight)

    def learn(self, gradient: Tensor) -> None:
        """Set the weights' ``grad``, given the gradient by the outputs."""
        learn_weight(self.weight, self.inputs, gradient)
        if self.bias.grad is None:
            self.bias.grad = gradient.sum(0)
        else:
            torch.sum(gradient, 0, out=self.bias.grad)


def learn_weight(weight: Tensor, inputs: Tensor, gradient: Tensor) -> None:
    """Set the ``grad`` of a linear layer's weight, given the gradient by the outputs.

    The tensor of the previous step is reused if there is one: assigning a new one to
    ``grad`` takes as long as computing it.
    """
    if weight.grad is None:
        weight.grad = torch.mm(gradient.t(), inputs)
    else:
        torch.mm(gradient.t(), inputs, out=weight.grad)


@dataclass
class _Activation:
    """An activation whose derivative is a function of its output, or of its input.

    Parameters
    ----------
    function : callable
        The activation.
    derivative : callable
        Given the gradient by the outputs, and outputs or inputs, returns the gradient
        by the inputs.
    is_of_output : bool, default=True
        Whether the derivative takes outputs.
    """

    function: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor, Tensor], Tensor]
    is_of_output: bool = True

    def forward(self, inputs: Tensor) -> Tensor:
        outputs = self.function(inputs)
        self.kept = outputs if self.is_of_output else inputs
        return outputs

    def backward(self, gradient: Tensor) -> Tensor:
        return self.derivative(gradient, self.kept)


class _Dropout:
    def __init__(self, layer: nn.Dropout) -> None:
        self.kept = 1 - layer.p

    def forward(self, inputs: Tensor) -> Tensor:
        self.factors = torch.empty_like(inputs).bernoulli_(self.kept).div_(self.kept)
        return inputs * self.factors

    def backward(self, gradient: Tensor) -> Tensor:
        return gradient * self.factors


class _BatchNorm:
    def __init__(self, layer: nn.BatchNorm1d) -> None:
        self.weight, self.bias = layer.weight, layer.bias
        self.moments = layer.running_mean, layer.running_var
        assert layer.momentum is not None
        self.momentum, self.eps = layer.momentum, layer.eps
        self.n_batches = layer.num_batches_tracked
        self.normalize = torch.native_batch_norm
        self.derivative = _derivative("native_batch_norm_backward")

    def forward(self, inputs: Tensor) -> Tensor:
        assert self.n_batches is not None
        self.n_batches.add_(1)
        self.inputs = inputs
        outputs: Tensor
        outputs, *self.statistics = self.normalize(
            inputs,
            self.weight,
            self.bias,
            *self.moments,
            training=True,
            momentum=self.momentum,
            eps=self.eps,
        )
        return outputs

    def backward(self, gradient: Tensor) -> Tensor:
        wanted = [True, True, True]
        gradient, self.weight.grad, self.bias.grad = self.derivative(
            gradient,
            self.inputs,
            self.weight,
            *self.moments,
            *self.statistics,
            True,
            self.eps,
            wanted,
        )
        return gradient


def _relu(layer: nn.ReLU) -> LayerGradient:
    return _Activation(
        torch.relu_, lambda gradient, outputs: gradient * outputs.sign_()
    )


def _leaky_relu(layer: nn.LeakyReLU) -> LayerGradient:
    slope, slopes = layer.negative_slope, _derivative("leaky_relu_backward")
    return _Activation(
        partial(F.leaky_relu_, negative_slope=slope),
        lambda gradient, outputs: slopes(gradient, outputs, slope, True),
    )


def _elu(layer: nn.ELU) -> LayerGradient:
    alpha, slopes = layer.alpha, _derivative("elu_backward")
    return _Activation(
        partial(F.elu_, alpha=alpha),
        lambda gradient, outputs: slopes(gradient, alpha, 1, 1, True, outputs),
    )


def _gelu(layer: nn.GELU) -> LayerGradient:
    kind, slopes = layer.approximate, _derivative("gelu_backward")
    return _Activation(
        partial(F.gelu, approximate=kind),
        partial(slopes, approximate=kind),
        is_of_output=False,
    )


def _softplus(layer: nn.Softplus) -> LayerGradient:
    settings, slopes = (layer.beta, layer.threshold), _derivative("softplus_backward")
    return _Activation(
        lambda inputs: F.softplus(inputs, *settings),
        lambda gradient, inputs: slopes(gradient, inputs, *settings),
        is_of_output=False,
    )


def _sigmoid(layer: nn.Sigmoid) -> LayerGradient:
    return _Activation(torch.sigmoid_, _derivative("sigmoid_backward"))


def _silu(layer: nn.SiLU) -> LayerGradient:
    return _Activation(F.silu, _derivative("silu_backward"), is_of_output=False)


def _tanh(layer: nn.Tanh) -> LayerGradient:
    return _Activation(torch.tanh_, _derivative("tanh_backward"))


# Exact types only: a subclass may compute something else.
LAYER_GRADIENTS: dict[type[nn.Module], Callable[[Any], LayerGradient]] = {
    nn.BatchNorm1d: _BatchNorm,
    nn.Dropout: _Dropout,
    nn.ELU: _elu,
    nn.GELU: _gelu,
    nn.LeakyReLU: _leaky_relu,
    nn.Linear: _Linear,
    nn.ReLU: _relu,
    nn.SiLU: _silu,
    nn.Sigmoid: _sigmoid,
    nn.Softplus: _softplus,
    nn.Tanh: _tanh,
}


# Layers whose outputs are new tensors that their backward pass does not use, so that
# the next layer may overwrite them.
_FRESH = (nn.BatchNorm1d, nn.Dropout, nn.Linear)


@dataclass
class Chain:
    """A sequence of layers that sets the gradients of its weights.

    Parameters
    ----------
    links : list of LayerGradient
        The layers. For `backward`, the first one is linear.
    before, after : callable, default=None
        Applied to rows before the first layer, and to the output of the last one. None:
        nothing is.
    """

    links: list[LayerGradient]
    before: Callable[[Tensor], Tensor] | None = None
    after: Callable[[Tensor], Tensor] | None = None

    def forward(self, rows: Tensor) -> Tensor:
        """Return the logits of rows."""
        if self.before is not None:
            rows = self.before(rows)
        for link in self.links:
            rows = link.forward(rows)
        return rows if self.after is None else self.after(rows)

    def backward_to_inputs(self, gradient: Tensor) -> Tensor:
        """Set each weight's ``grad``; return the gradient by the inputs."""
        for link in reversed(self.links):
            gradient = link.backward(gradient)
        return gradient

    def backward(self, gradient: Tensor) -> None:
        """Set each weight's ``grad``, given the gradient by the logits."""
        for link in reversed(self.links[1:]):
            gradient = link.backward(gradient)
        first: Any = self.links[0]
        first.learn(gradient)


def chain_of(network: nn.Module) -> Chain | None:
    """Return the layers from rows to logits as a chain.

    Parameters
    ----------
    network : torch.nn.Module
        The network, in training mode.

    Returns
    -------
    chain : Chain or None
        None if a layer's gradient is not implemented here, or if it has hooks or a
        replaced ``forward``: these need autograd.
    """
    if type(network) is not Network or network.is_changed():
        return None
    chain = chain_of_layers(network.encoder, network.decoder)
    if chain is not None and network.center is not None:
        chain.before = network.encoder_input
    if chain is not None and network.output_offset is not None:
        chain.after = network.with_offset
    return chain


def chain_of_layers(*modules: nn.Module) -> Chain | None:
    """Return the layers of modules, one after the other, as a chain.

    Parameters
    ----------
    *modules : torch.nn.Module
        The modules, in training mode.

    Returns
    -------
    chain : Chain or None
        None as by :func:`chain_of`.
    """
    if has_global_hooks():
        return None
    layers = layers_of(*modules)
    if not layers or type(layers[0]) is not nn.Linear:
        return None
    if not all(_is_simple(layer) for layer in layers):
        return None
    weights = [weight for layer in layers for weight in layer.parameters()]
    if len(set(weights)) < len(weights):
        # A shared weight would need the sum of the gradients of its layers.
        return None
    # An in-place activation overwrites its input, which is the output that the layer
    # before may need for its derivative.
    for before, layer in pairwise(layers):
        if not isinstance(layer, _FRESH) and not isinstance(before, _FRESH):
            return None
    try:
        return Chain([LAYER_GRADIENTS[type(layer)](layer) for layer in layers])
    except AttributeError:  # a private function of torch, which is not there any more
        return None


def layers_of(*modules: nn.Module) -> list[nn.Module]:
    """Return the layers of modules, without those that change nothing."""
    layers = [layer for module in modules for layer in flat_layers(module)]
    return [layer for layer in layers if type(layer) is not nn.Identity]


def is_plain(weight: object) -> bool:
    """Return whether a gradient that is set without autograd suits a weight."""
    return (
        isinstance(weight, nn.Parameter)
        and weight.requires_grad
        and weight.dtype == torch.float32
        and weight.is_contiguous()  # as its gradient will be
        and not has_weight_hooks(weight)
    )


def _is_simple(layer: nn.Module) -> bool:
    if type(layer) not in LAYER_GRADIENTS or has_hooks(layer) or not layer.training:
        return False
    # At these values of their parameters the derivatives differ.
    if isinstance(layer, nn.Dropout) and layer.p == 1:
        return False
    if isinstance(layer, nn.LeakyReLU) and layer.negative_slope < 0:
        return False
    if isinstance(layer, nn.ELU) and layer.alpha < 0:
        return False
    if isinstance(layer, nn.BatchNorm1d):
        if not layer.track_running_stats or layer.momentum is None:
            return False
    elif not isinstance(layer, nn.Linear):
        return True
    return is_plain(layer.weight) and is_plain(layer.bias)
