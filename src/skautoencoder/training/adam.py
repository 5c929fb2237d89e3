"""Adam for small networks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import optimizer as torch_optimizer

from skautoencoder.training.eager import Eager

# torch's own, and not for the public: without it, all is left to torch.
_has_kernel = hasattr(torch, "_fused_adam_")


def without_autograd() -> AbstractContextManager[Any]:
    """Return :class:`torch.no_grad`, or nothing within one already.

    Entering it takes as long as the product of two small matrices.
    """
    return torch.no_grad() if torch.is_grad_enabled() else nullcontext()


@dataclass
class _Lists:
    """What one call of the fused kernel takes, for a group of weights."""

    weights: list[Tensor]
    means: list[Tensor]
    squares: list[Tensor]
    steps: list[Tensor]
    # The counters of `steps`, all in one.
    counters: Tensor


class Adam(Eager, torch.optim.Adam):
    """:class:`torch.optim.Adam` that prepares a step only once.

    The same numbers. torch's looks weights and states up, sorts them by device and
    type, and counts the steps of each weight by itself, at every step; for a few small
    matrices this takes several times as long as the fused kernel, which is called just
    the same. Other settings, and steps in which a weight has no gradient, are left to
    it.

    References
    ----------
    Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    """

    # Neither pickled nor copied with the state.
    _lists: list[_Lists] | None = None

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
        if self._is_watched():
            return _watched_step(self, closure)
        if closure is None and not torch.is_grad_enabled():
            return self._update()
        return self._step(closure)

    # torch would make every step look for hooks and tell a profiler of itself, which
    # takes twice as long as the kernel. This one does so if there are any.
    step.hooked = True  # type: ignore[attr-defined]

    def _is_watched(self) -> bool:
        """Return whether somebody wants to hear of steps."""
        return bool(
            self._optimizer_step_pre_hooks
            or self._optimizer_step_post_hooks
            or torch_optimizer._global_optimizer_pre_hooks
            or torch_optimizer._global_optimizer_post_hooks
            or torch.autograd._profiler_enabled()
        )

    def _step(self, closure: Callable[[], Any] | None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with without_autograd():
            self._update()
        return loss

    def _update(self) -> None:
        """Change the weights by what their gradients say."""
        gradients = [
            [weight.grad for weight in group["params"]] for group in self.param_groups
        ]
        # Each of these lines is run before each small step.
        if not self.state:
            # Somebody has emptied it, to start anew.
            self._lists = None
        missing = any(type(None) in map(type, found) for found in gradients)
        if self._lists is None and not missing and self._has_plain_groups():
            self._lists = [self._gather(group) for group in self.param_groups]
        if self._lists is None or missing:
            super().step()
            return
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

    def _has_plain_groups(self) -> bool:
        """Return whether there is a kernel that does what all groups ask for."""
        return _has_kernel and all(map(_is_plain, self.param_groups))

    def _gather(self, group: dict[str, Any]) -> _Lists:
        """Return what the kernel takes for a group, from the state that Adam keeps."""
        states: list[dict[str, Tensor]] = [self.state[p] for p in group["params"]]
        for weight, state in zip(group["params"], states, strict=True):
            if not state:
                state["step"] = torch.zeros((), dtype=torch.float32)
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
        super().add_param_group(param_group)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state, as torch's Adam does."""
        self._lists = None
        super().load_state_dict(state_dict)


_watched_step = torch.optim.Optimizer.profile_hook_step(Adam._step)


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
