"""Optimizers by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
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


OPTIMIZERS: dict[str, type[Optimizer]] = {
    kind.__name__.lower(): _eager(kind)
    for kind in (
        torch.optim.Adadelta,
        torch.optim.Adafactor,
        torch.optim.Adagrad,
        torch.optim.Adam,
        torch.optim.Adamax,
        torch.optim.AdamW,
        torch.optim.ASGD,
        torch.optim.LBFGS,
        torch.optim.NAdam,
        torch.optim.RAdam,
        torch.optim.RMSprop,
        torch.optim.Rprop,
        torch.optim.SGD,
    )
}

# What stands for a class of torch's.
_OWN = {getattr(torch.optim, kind.__name__): kind for kind in OPTIMIZERS.values()}

_ADAM_LIKE = {OPTIMIZERS[name] for name in ("adam", "adamw", "nadam")}

# One pass over all weights instead of several a weight.
_FUSED = {OPTIMIZERS[name] for name in ("adam", "adamw", "sgd")}

# Those that change weights by the one gradient that they find with them.
_ONE_GRADIENT = {*OPTIMIZERS.values()} - {OPTIMIZERS["lbfgs"]}


def takes_one_gradient(optimizer: Optimizer) -> bool:
    """Return whether a step needs no closure and keeps no gradient for the next."""
    return type(optimizer) in _ONE_GRADIENT


def resolve_optimizer(
    optimizer: str | type[Optimizer],
    given: dict[str, Any],
    device: torch.device,
    betas: tuple[float, float] = (0.9, 0.99),
) -> tuple[type[Optimizer], dict[str, Any]]:
    """Return an optimizer's class and the arguments to make it with.

    Parameters
    ----------
    optimizer : str or type
        A key of :data:`OPTIMIZERS` or a class like those of ``torch.optim``.
    given : dict
        Arguments that the user gave (``optimizer__*``).
    device : torch.device
        Where the weights are.
    betas : tuple of float, default=(0.9, 0.99)
        "betas" of Adam and its like, unless given. The default is a memory of a
        hundred steps: fits have a few thousand, and torch's own default of a
        thousand is still warming up in much of them.

    Raises
    ------
    ValueError
        If the optimizer has no parameter of a given name.
    """
    kind = OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer
    kind = _OWN.get(kind, kind)
    if not (isinstance(kind, type) and issubclass(kind, Optimizer)):
        raise TypeError(
            f"optimizer must be a name ({', '.join(OPTIMIZERS)}) or a subclass of "
            f"torch.optim.Optimizer, got {optimizer!r}."
        )
    known = _parameters_of(kind)  # type: ignore[arg-type]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in known.values())
    # skorch's own: settings for groups of weights
    unknown = sorted(set(given) - set(known) - {"param_groups"})
    if unknown and not takes_any:
        allowed = sorted(set(known) - {"params"})
        raise ValueError(
            f"optimizer__{unknown[0]} is not a parameter of {kind.__name__}. It "
            f"has {', '.join(allowed)}."
        )
    arguments = dict(given)
    if kind in _ADAM_LIKE:
        arguments.setdefault("betas", betas)
    implementation = {"fused", "foreach", "differentiable", "capturable"}
    has_fused = kind in _FUSED and device.type in ("cpu", "cuda")
    if has_fused and not implementation & set(given):
        arguments["fused"] = True
    return kind, arguments


@cache
def _parameters_of(kind: Callable[..., Optimizer]) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of an optimizer; to read them takes as long as a step."""
    return inspect.signature(kind).parameters
