"""Whether nets that are trained in threads take turns."""

from __future__ import annotations

import torch

from skautoencoder.training.callbacks import DRAW_NOTHING
from skautoencoder.training.net import AutoencoderNet

# Floating-point operations of a step of a dense network below which it takes less time
# than the calls that it is made of. In several threads these would wait for each other
# at each call, as only one thread at a time runs Python. At 3e7, two fits in two
# threads take 1.15 times as long as one after the other, at 5e5, 2.6 times; at 5e7 as
# long, at 1e8, 0.7 times.
_MOSTLY_CALLS = 4e7


def takes_turns(net: AutoencoderNet) -> bool:
    """Return whether only one thread at a time should train a net like this one.

    Small steps are quicker one after the other. Steps that draw from torch's generator
    have to take turns: there is one for the process, as dropout, modules and callbacks
    of the user's own use.
    """
    is_dense = all(weight.dim() <= 2 for weight in net.module_.parameters())
    own = [net.optimizer_, *getattr(net.criterion_, "penalties", ())]
    return (
        (is_dense and net.step_work < _MOSTLY_CALLS)
        or torch.device(net.device).type != "cpu"
        or not getattr(net.criterion_, "splits", False)
        or not net.module_.can_shard()
        or any(getattr(layer, "p", 0) for layer in net.module_.modules())
        or any(type(callback) not in DRAW_NOTHING for _, callback in net.callbacks_)
        or not all(
            type(o).__module__.startswith(("torch.", "skautoencoder.")) for o in own
        )
    )
