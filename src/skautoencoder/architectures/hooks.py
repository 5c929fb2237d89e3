"""Whether somebody listens to modules, or has changed what they do."""

from __future__ import annotations

from torch import Tensor, nn

# torch has no public question for these.
_GLOBAL_HOOKS = (
    "_global_forward_hooks",
    "_global_forward_pre_hooks",
    "_global_backward_hooks",
    "_global_backward_pre_hooks",
)


def has_global_hooks() -> bool:
    """Return whether somebody listens to all modules."""
    return any(getattr(nn.modules.module, name, None) for name in _GLOBAL_HOOKS)


def has_hooks(module: nn.Module) -> bool:
    """Return whether somebody listens to a module, or has given it another forward."""
    return bool(
        "forward" in vars(module)
        or module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )


def has_weight_hooks(weight: Tensor) -> bool:
    """Return whether somebody listens to the gradient of a weight."""
    return bool(
        weight._backward_hooks or getattr(weight, "_post_accumulate_grad_hooks", None)
    )
