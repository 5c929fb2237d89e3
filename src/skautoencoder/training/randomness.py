"""Seeds, without a trace in the process-wide generators."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

_MAX_SEED = 2**31 - 1

# torch has one default generator for the whole process, so fits in several Python
# threads take turns.
_one_at_a_time = threading.RLock()


def _forget_others() -> None:
    """Make the lock anew, which a thread may hold that a forked process has not got."""
    global _one_at_a_time
    _one_at_a_time = threading.RLock()


if hasattr(os, "register_at_fork"):
    # The default generator has a lock of its own, which a thread that draws may hold.
    # To ask for the state waits for it.
    os.register_at_fork(
        before=torch.default_generator.get_state, after_in_child=_forget_others
    )


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """Return a seed for one fit.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        None takes entropy from the operating system: unlike scikit-learn's
        None, it neither reads nor moves numpy's global generator.
    """
    if random_state is None:
        return int(np.random.default_rng().integers(_MAX_SEED))
    return int(check_random_state(random_state).randint(_MAX_SEED))


@contextmanager
def isolated_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch within the block and put its generators back afterwards.

    Parameters
    ----------
    seed : int
        Seed of torch's default generators within the block.
    device : torch.device
        The device whose generator is used besides the CPU's.
    """
    fork: dict[str, Any] = {"devices": []}
    if device.type != "cpu":
        index = device.index
        if index is None:
            index = torch.cuda.current_device() if device.type == "cuda" else 0
        fork = {"devices": [index], "device_type": device.type}
    with _one_at_a_time, torch.random.fork_rng(**fork):
        # torch.manual_seed would seed every accelerator, and only one is kept.
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.manual_seed(seed)
        elif device.type == "mps":
            torch.mps.manual_seed(seed)
        yield
