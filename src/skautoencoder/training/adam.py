"""Adam for small networks."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# torch's own, and not for the public: without it, all is left to torch.
_has_kernel = hasattr(torch, "_fused_adam_")


@dataclass
class _Lists:
    """What one call of the fused kernel takes, for a group of weights."""

    weights: list[Tensor]
    means: list[Tensor]
    squares: list[Tensor]
    steps: list[Tensor]
    # The counters of `steps`, all in one.
    counters: Tensor


class Adam(torch.optim.Adam):
    """:class:`torch.optim.Adam` that prepares a step only once.

    The same numbers. torch's looks weights and states up, sorts them by device and
    type, and counts the steps of each weight by itself, at every step; for a few small
    matrices this takes several times as long as the fused kernel, which is called just
    the same. And it imports torch's compiler, which takes a second: longer than many a
    fit. Other settings, and steps in which a weight has no gradient, are left to it.

    References
    ----------
    Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    """

    # Neither pickled nor copied with the state.
    _lists: list[_Lists] | None = None

    # Without the wrapper that tells the compiler to leave them alone, and imports it.
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step.

        Parameters
        ----------
        closure : callable, default=None
            Leaves gradients with the weights and returns the loss.

        Returns
        -------
        loss : object
            What the closure returned.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        gradients = [
            [weight.grad for weight in group["params"]] for group in self.param_groups
        ]
        missing = any(weight is None for found in gradients for weight in found)
        if self._lists is None and not missing and self._has_plain_groups():
            self._lists = [self._gather(group) for group in self.param_groups]
        if self._lists is None or missing:
            super().step()
            return loss
        for group, lists, found in zip(
            self.param_groups, self._lists, gradients, strict=True
        ):
            lists.counters.add_(1)
            torch._fused_adam_(
                lists.weights,
                found,
                lists.means,
                lists.squares,
                [],
                lists.steps,
                lr=group["lr"],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=group["maximize"],
            )
        return loss

    def _has_plain_groups(self) -> bool:
        """Return whether there is a kernel that does what all groups ask for."""
        return _has_kernel and all(map(_is_plain, self.param_groups))

    def _gather(self, group: dict[str, Any]) -> _Lists:
        """Return what the kernel takes for a group, from the state that Adam keeps."""
        states: list[dict[str, Tensor]] = [self.state[p] for p in group["params"]]
        for weight, state in zip(group["params"], states, strict=True):
            if not state:
                state["step"] = torch.zeros(())
                state["exp_avg"] = torch.zeros_like(weight)
                state["exp_avg_sq"] = torch.zeros_like(weight)
        # Views of one tensor: counted all at once, and by torch's step one by one.
        counters = torch.stack([state["step"] for state in states])
        for state, counter in zip(states, counters, strict=True):
            state["step"] = counter
        return _Lists(
            weights=group["params"],
            means=[state["exp_avg"] for state in states],
            squares=[state["exp_avg_sq"] for state in states],
            steps=list(counters),
            counters=counters,
        )

    # What replaces weights or their state.

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of weights, as torch's Adam does."""
        self._lists = None
        inspect.unwrap(torch.optim.Optimizer.add_param_group)(self, param_group)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state, as torch's Adam does."""
        self._lists = None
        inspect.unwrap(torch.optim.Optimizer.load_state_dict)(self, state_dict)


def _is_plain(group: dict[str, Any]) -> bool:
    """Whether the fused kernel does what a group of weights asks for."""
    return (
        bool(group["fused"])
        and not group["amsgrad"]
        and not group["differentiable"]
        and not group.get("decoupled_weight_decay", False)
        and not isinstance(group["lr"], Tensor)
        and {weight.device.type for weight in group["params"]} == {"cpu"}
        and len({weight.dtype for weight in group["params"]}) == 1
    )
