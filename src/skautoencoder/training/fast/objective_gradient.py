"""Gradients of an objective without autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skautoencoder.objectives import Objective
from skautoencoder.objectives.losses import RESCUE
from skautoencoder.training.fast.sequential_gradients import chain_of

# Sets the gradients of the weights and returns the objective. The caller enters
# torch.no_grad once for many batches, as entering it takes long beside a small batch.
Gradient = Callable[[Tensor, Tensor], Tensor]


def _mean_square(residual: Tensor) -> Tensor:
    flat = residual.reshape(-1)
    return flat.dot(flat).div_(flat.numel())


def _huber(residual: Tensor) -> Tensor:
    return F.huber_loss(residual, torch.zeros_like(residual))


# For each loss: the loss as a function of the residual, its derivative up to a factor
# (which may overwrite the residual), and that factor.
_OF_RESIDUAL: dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor], float]] = {
    "mse": (_mean_square, lambda residual: residual, 2.0),
    "l1": (lambda residual: residual.abs().mean(), torch.sign, 1.0),
    "huber": (_huber, lambda residual: residual.clamp_(-1, 1), 1.0),
}


def gradient_for(objective: nn.Module, network: Any) -> Gradient | None:
    """Return a function that sets the gradients of a network without autograd.

    Parameters
    ----------
    objective : torch.nn.Module
        The objective to minimise.
    network : torch.nn.Module
        The network, in training mode.

    Returns
    -------
    gradient : callable or None
        None if the gradients need autograd.
    """
    if type(objective) is not Objective or objective.added:
        return None
    loss, activation = objective.loss, network.output_activation
    if not has_gradient(loss, activation):
        return None
    chain = chain_of(network)
    if chain is None:
        return None

    def learn(rows: Tensor, target: Tensor) -> Tensor:
        if objective.corruption is not None:
            rows = objective.corruption(rows)
        logits = chain.forward(rows)[None]
        values, gradients = losses_and_gradient(loss, logits, target, activation)
        chain.backward(gradients[0])
        return values[0]

    return learn


def has_gradient(loss: str, output_activation: str) -> bool:
    """Return whether :func:`losses_and_gradient` knows this loss of this activation."""
    if loss == "bce":
        return output_activation == "sigmoid"
    return loss in _OF_RESIDUAL


def losses_and_gradient(
    loss: str, logits: Tensor, target: Tensor, output_activation: str
) -> tuple[list[Tensor], Tensor]:
    """Return :func:`reconstruction_loss` of several outputs, and the gradients.

    Parameters
    ----------
    loss : {"mse", "l1", "huber", "bce"}
        The loss, see :func:`has_gradient`.
    logits : Tensor of shape (n_outputs, n_samples, n_features)
        The outputs before their activation.
    target : Tensor of shape (n_samples, n_features)
        The wanted output after the activation.
    output_activation : {"identity", "sigmoid"}
        The activation.

    Returns
    -------
    losses : list of Tensor of shape ()
        The mean loss of each output.
    gradient : Tensor of shape (n_outputs, n_samples, n_features)
        The derivatives of each one's mean loss.
    """
    size = target.numel()
    has_sigmoid = output_activation == "sigmoid"
    outputs = logits.sigmoid() if has_sigmoid else logits
    residual = outputs - target
    if loss == "bce":
        values = [F.binary_cross_entropy_with_logits(one, target) for one in logits]
        return values, residual.div_(size)
    function, derivative, factor = _OF_RESIDUAL[loss]
    values = [function(one) for one in residual]
    gradient = derivative(residual).mul_(factor / size)
    if has_sigmoid:
        gradient = gradient * outputs * (1 - outputs)
        gradient.add_(outputs - target.clamp(0, 1), alpha=RESCUE / size)
    return values, gradient
