"""Whether nets that are trained in threads take turns."""

from __future__ import annotations

import torch

from skautoencoder.training.callbacks import DRAW_NOTHING
from skautoencoder.training.net import AutoencoderNet
from skautoencoder.training.threads import are_mostly_calls


def takes_turns(net: AutoencoderNet) -> bool:
    """Return whether only one thread at a time should train a net like this one.

    Steps that draw from torch's generator have to: there is one for the process, as
    dropout, modules and callbacks of the user's own use. Small steps are quicker
    one after the other, see :func:`are_mostly_calls`.
    """
    weights = net.module_.parameters()
    is_small = are_mostly_calls(net.step_work) and all(w.dim() <= 2 for w in weights)
    return is_small or not _has_own_draws(net)


def _has_own_draws(net: AutoencoderNet) -> bool:
    own = [net.optimizer_, *getattr(net.criterion_, "penalties", ())]
    return (
        torch.device(net.device).type == "cpu"
        and getattr(net.criterion_, "splits", False)
        and net.module_.can_shard()
        and not any(getattr(layer, "p", 0) for layer in net.module_.modules())
        and all(type(callback) in DRAW_NOTHING for _, callback in net.callbacks_)
        and all(
            type(o).__module__.startswith(("torch.", "skautoencoder.")) for o in own
        )
    )
