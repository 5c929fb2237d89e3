"""Faster training: gradients of dense chains, a prepared Adam step, many nets at once.

And faster answers: layers called directly.

This package can be deleted: :mod:`skautoencoder.training.net` then uses autograd and
torch's own optimizers, which is slower and gives the same results up to rounding, and
:mod:`skautoencoder.training.inference` has torch call the layers. Code
that depends on private names of torch is in this package only, and looks them up when
it uses them.
"""

from __future__ import annotations

from typing import Any

from skautoencoder.objectives import OrderedObjective
from skautoencoder.training.fast.adam import update_for
from skautoencoder.training.fast.many import fit_many
from skautoencoder.training.fast.objective_gradient import gradient_for
from skautoencoder.training.fast.ordered_gradient import ordered_gradient_for
from skautoencoder.training.step_functions import StepFunctions

__all__ = ["fit_many", "step_for"]


def step_for(network: Any, objective: Any, optimizer: Any) -> StepFunctions:
    """Return faster ways to take a step of training.

    Parameters
    ----------
    network : torch.nn.Module
        The network, in training mode.
    objective : torch.nn.Module
        The objective to minimise.
    optimizer : torch.optim.Optimizer
        The optimizer of the network's weights.

    Returns
    -------
    step : StepFunctions
        Functions that set the gradients and that update the weights; None where there
        is no faster one.
    """
    if type(objective) is OrderedObjective:
        gradient = ordered_gradient_for(objective, network)
    else:
        gradient = gradient_for(objective, network)
    return StepFunctions(gradient, update_for(optimizer))
