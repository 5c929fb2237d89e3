"""torch's optimizers without torch's compiler."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer


class Eager(Optimizer):
    """What goes before an optimizer of torch's to leave its compiler alone.

    torch wraps what optimizers do, to tell its compiler to let it be, and imports the
    compiler for that at the first call: two seconds, which is longer than many a fit,
    and a changed environment of the process. The same is called here without.
    """

    # What torch's class is made of otherwise.
    state_dict = inspect.unwrap(Optimizer.state_dict)
    zero_grad = inspect.unwrap(Optimizer.zero_grad)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of weights, as torch's does."""
        inspect.unwrap(Optimizer.add_param_group)(self, param_group)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state, as torch's does."""
        inspect.unwrap(Optimizer.load_state_dict)(self, state_dict)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step, as torch's does.

        Parameters
        ----------
        closure : callable, default=None
            Leaves gradients with the weights and returns the loss.

        Returns
        -------
        loss : object
            What the closure returned.
        """
        step = inspect.unwrap(super(Eager, type(self)).step)
        with torch.set_grad_enabled(self.defaults.get("differentiable", False)):
            return step(self, closure)


def _eager(kind: type[Optimizer]) -> type[Optimizer]:
    """Return an optimizer of torch's that leaves the compiler alone."""
    # Objects are pickled by the name of their class, so it must be found here.
    what = {"__module__": __name__, "__doc__": f"torch's {kind.__name__}."}
    made = globals()[kind.__name__] = type(kind.__name__, (Eager, kind), what)
    return made


EAGER = {
    kind.__name__.lower(): _eager(kind)
    for kind in (
        torch.optim.Adadelta,
        torch.optim.Adafactor,
        torch.optim.Adagrad,
        torch.optim.Adamax,
        torch.optim.AdamW,
        torch.optim.ASGD,
        torch.optim.NAdam,
        torch.optim.RAdam,
        torch.optim.RMSprop,
        torch.optim.Rprop,
        torch.optim.SGD,
    )
}
