"""The replaceable parts of a training step: gradient and update of the weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class StepFunctions:
    """Faster functions for the parts of a training step, where there are any.

    Parameters
    ----------
    gradient : callable, default=None
        Given rows and targets, sets the gradients of the weights and returns the
        objective. Must be called within :class:`torch.no_grad`. None: autograd.
    update : callable, default=None
        Updates the weights from their gradients. None: the optimizer's ``step``.
    """

    gradient: Callable[[Tensor, Tensor], Tensor] | None = None
    update: Callable[[], object] | None = None

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        # Functions cannot be pickled: a net that is pickled during a fit has None.
        return type(None), ()
