"""The same steps of training, quicker: gradients of dense chains, a prepared Adam.

A room of its own, that may be deleted: :mod:`skautoencoder.training.net` then goes on
with autograd and torch's own optimizers, slower, and with the same results but for
rounding. What leans on names of torch's that are not for the public stands here, and
is looked up when it is used.
"""

from __future__ import annotations

from typing import Any

from skautoencoder.training.fast.adam import update_for
from skautoencoder.training.fast.gradient import gradient_for
from skautoencoder.training.step import Step


def step_for(network: Any, objective: Any, optimizer: Any) -> Step:
    """Return quicker ways to take a step of training.

    Parameters
    ----------
    network : torch.nn.Module
        The network, in training mode.
    objective : torch.nn.Module
        What is minimised.
    optimizer : torch.optim.Optimizer
        What changes the weights.

    Returns
    -------
    step : Step
        Ways to the gradients and to new weights; None for those that are not known.
    """
    return Step(gradient_for(objective, network), update_for(optimizer))
