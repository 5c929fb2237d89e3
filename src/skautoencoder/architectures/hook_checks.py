"""Checks for torch hooks on modules and weights, and for a replaced ``forward``."""

from __future__ import annotations

from itertools import repeat

from torch import Tensor, nn

# torch has no public function for this. If an attribute is missing, assume hooks.
_GLOBAL_HOOKS = (
    "_global_forward_hooks",
    "_global_forward_pre_hooks",
    "_global_backward_hooks",
    "_global_backward_pre_hooks",
)
_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
)
_WEIGHT_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


def has_global_hooks() -> bool:
    """Return whether there may be hooks for all modules."""
    return any(getattr(nn.modules.module, name, True) for name in _GLOBAL_HOOKS)


def has_hooks(module: nn.Module) -> bool:
    """Return whether a module may have hooks, or its ``forward`` was replaced."""
    attributes = vars(module)
    # Asked of each layer for each single row: quicker than a loop.
    hooks = map(attributes.get, _HOOKS, repeat(True))
    return any(hooks) or "forward" in attributes


def has_weight_hooks(weight: Tensor) -> bool:
    """Return whether there may be hooks on the gradient of a weight."""
    return any(getattr(weight, name, True) for name in _WEIGHT_HOOKS)
