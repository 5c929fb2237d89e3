"""Seeds and random number generators; the global generators stay unchanged."""

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

# torch has one default generator per process, so fits in several Python threads take
# turns.
_one_at_a_time = threading.RLock()


def _forget_others() -> None:
    """Replace the lock in a forked process: a thread of the parent may hold it."""
    global _one_at_a_time
    _one_at_a_time = threading.RLock()


if hasattr(os, "register_at_fork"):
    # A thread that is drawing numbers holds the lock of the default generator. Reading
    # the state waits for that lock, so that it is free when the process is forked.
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
    try:
        generator = check_random_state(random_state)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "random_state must be None, an integer from 0 to 2**32 - 1 or a "
            f"numpy.random.RandomState, got {random_state!r}."
        ) from error
    return int(generator.randint(_MAX_SEED))


def seeds_of_starts(seed: int, n_starts: int) -> list[int]:
    """Return seeds for several trainings of one fit: `seed`, and others drawn from it.

    More starts have the seeds of fewer, and others after them.
    """
    others = np.random.RandomState(seed).randint(_MAX_SEED, size=n_starts - 1)
    return [seed, *others.tolist()]


@contextmanager
def isolated_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch within the block and restore its generators afterwards.

    Parameters
    ----------
    seed : int
        Seed of torch's default generators within the block.
    device : torch.device
        The device whose generator is used in addition to the CPU's.
    """
    fork: dict[str, Any] = {"devices": []}
    if device.type != "cpu":
        index = device.index
        if index is None:
            index = torch.cuda.current_device() if device.type == "cuda" else 0
        fork = {"devices": [index], "device_type": device.type}
    with _one_at_a_time, torch.random.fork_rng(**fork):
        # torch.manual_seed would seed all accelerators, of which only one is restored.
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.manual_seed(seed)
        elif device.type == "mps":
            torch.mps.manual_seed(seed)
        yield
