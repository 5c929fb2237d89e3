"""Optimizers by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class Uncompiled(Optimizer):
    """Mixin for optimizers of torch whose methods do not import torch's compiler.

    torch decorates the methods of optimizers to exclude them from compilation, and the
    decorator imports the compiler at the first call: this takes two seconds, longer
    than many a fit, and changes environment variables. Here the undecorated methods
    are called.
    """

    # The undecorated methods.
    state_dict = inspect.unwrap(Optimizer.state_dict)
    zero_grad = inspect.unwrap(Optimizer.zero_grad)
    add_param_group = inspect.unwrap(Optimizer.add_param_group)
    load_state_dict = inspect.unwrap(Optimizer.load_state_dict)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step, see torch.optim.Optimizer.

        Parameters
        ----------
        closure : callable, default=None
            Sets the gradients of the weights and returns the loss.

        Returns
        -------
        loss : object
            What the closure returned.
        """
        step = inspect.unwrap(super(Uncompiled, type(self)).step)
        with torch.set_grad_enabled(self.defaults.get("differentiable", False)):
            return step(self, closure)


class SGD(Uncompiled, torch.optim.SGD):
    """torch's SGD, for weights of which some learn later than others."""

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step, torch's plain one where a layer was frozen until now.

        The fused kernel either makes the momentum of all weights or needs that of all.
        """
        late = [group for group in self.param_groups if self._starts_late(group)]
        for group in late:
            group["fused"] = False
        try:
            return super().step(closure)
        finally:
            for group in late:
                group["fused"] = True

    def _starts_late(self, group: dict[str, Any]) -> bool:
        """Return whether some of a group's weights have a momentum, and not all."""
        if not (group["fused"] and group["momentum"]):
            return False
        learning = (w for w in group["params"] if w.grad is not None)
        have = {"momentum_buffer" in self.state.get(w, {}) for w in learning}
        return len(have) > 1


def _eager(kind: type[Optimizer]) -> type[Optimizer]:
    """Return a subclass of an optimizer of torch that does not import the compiler."""
    # Pickle looks classes up by name, so the class must be an attribute of this module.
    what = {"__module__": __name__, "__doc__": f"torch's {kind.__name__}."}
    made = globals()[kind.__name__] = type(kind.__name__, (Uncompiled, kind), what)
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
    )
} | {"sgd": SGD}

# The subclass for each class of torch.
_OWN = {getattr(torch.optim, kind.__name__): kind for kind in OPTIMIZERS.values()}

_ADAM_LIKE = {OPTIMIZERS[name] for name in ("adam", "adamw", "nadam")}

# Optimizers with a fused kernel: one pass over all weights.
_FUSED = {OPTIMIZERS[name] for name in ("adam", "adamw", "sgd")}

# Optimizers whose step takes the gradients from ``grad`` and needs no closure.
_ONE_GRADIENT = {*OPTIMIZERS.values()} - {OPTIMIZERS["lbfgs"]}


def takes_one_gradient(optimizer: Optimizer) -> bool:
    """Return whether a step needs no closure and keeps no gradient for the next."""
    return type(optimizer) in _ONE_GRADIENT


def lay_out_gradients(weights: Iterable[Tensor]) -> None:
    """Let gradients lie in memory as their weights do.

    Fused optimizers go through memory and do not look at strides. ``backward`` takes
    care of this; :func:`torch.autograd.grad` and callbacks that set ``grad`` do not.

    Parameters
    ----------
    weights : iterable of Tensor
        The weights.
    """
    for weight in weights:
        gradient = weight.grad
        if gradient is not None and gradient.stride() != weight.stride():
            weight.grad = torch.empty_like(weight).copy_(gradient)


def lay_out_states(optimizer: Optimizer) -> None:
    """Let an optimizer's averages lie in memory as the weights do, and weights densely.

    For the same reason as gradients: a callback may have replaced weights, a file may
    hold averages in another layout, and weights may be part of a larger matrix, which a
    fused optimizer would write over.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        The optimizer.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for weight in weights:
        # Only of dense tensors are the strides preserved.
        if torch.empty_like(weight).stride() != weight.stride():
            weight.data = weight.data.clone()
        state = optimizer.state.get(weight, {})
        for name, value in state.items():
            if not isinstance(value, Tensor) or value.shape != weight.shape:
                continue
            if value.stride() != weight.stride():
                state[name] = torch.empty_like(weight, dtype=value.dtype).copy_(value)


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
        The device of the weights.
    betas : tuple of float, default=(0.9, 0.99)
        "betas" of Adam, AdamW and NAdam, unless given. The default averages squared
        gradients over about 100 steps: fits have a few thousand, and torch's own
        default, about 1000 steps, is still warming up in much of them.

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
    if issubclass(kind, torch.optim.SparseAdam):
        raise ValueError(
            "optimizer=SparseAdam takes sparse gradients only, which these networks do "
            "not have. Use 'adam'."
        )
    known = _parameters_of(kind)  # type: ignore[arg-type]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in known.values())
    # param_groups is skorch's own argument.
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
    """Return an optimizer's parameters, cached, as reading them takes a step's time."""
    return inspect.signature(kind).parameters
