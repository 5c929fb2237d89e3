"""Optimizers by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from skautoencoder.training.adam import Adam
from skautoencoder.training.eager import EAGER, Eager


class LBFGS(Eager, torch.optim.LBFGS):
    """:class:`torch.optim.LBFGS` for convolutions too, which can be copied."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Find the weights again, which torch leaves out."""
        super().__setstate__(state)
        self._params = self.param_groups[0]["params"]
        self._numel_cache = None

    def _gather_flat_grad(self) -> Tensor:
        """Return all gradients in a row, whatever their layout."""
        for weight in self._params:
            if weight.grad is not None:
                weight.grad = weight.grad.contiguous()
        gathered: Tensor = super()._gather_flat_grad()
        return gathered


OPTIMIZERS: dict[str, type[Optimizer]] = dict(
    sorted({**EAGER, "adam": Adam, "lbfgs": LBFGS}.items())
)

# What stands for a class of torch's.
_OWN = {getattr(torch.optim, kind.__name__): kind for kind in OPTIMIZERS.values()}

_ADAM_LIKE = {OPTIMIZERS[name] for name in ("adam", "adamw", "nadam")}

# One pass over all weights instead of several a weight.
_FUSED = {OPTIMIZERS[name] for name in ("adam", "adamw", "sgd")}

# Those that change weights by the one gradient that they find with them.
_ONE_GRADIENT = {*OPTIMIZERS.values()} - {LBFGS}


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
