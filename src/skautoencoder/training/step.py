"""What a step of training is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Step:
    """Quicker ways to take a step of training, where there are any.

    Parameters
    ----------
    gradient : callable, default=None
        Given rows and targets, sets the gradients of the weights and returns the
        objective. To be called within :class:`torch.no_grad`. None: autograd.
    update : callable, default=None
        Changes the weights by their gradients. None: the optimizer's ``step``.
    """

    gradient: Callable[[Tensor, Tensor], Tensor] | None = None
    update: Callable[[], object] | None = None

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        # Not for a file; a net that is stored during a fit has none.
        return type(None), ()
