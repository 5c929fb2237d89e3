"""On how many threads to compute, so that no digit depends on their number.

torch divides an operation among all threads that it has. A sum that is divided
otherwise is added in another order and ends in other digits, so that a fit among the
workers of a grid search, which joblib allows fewer threads, would not be the fit of a
process of its own. Here torch has one thread. What is worth several is divided into
pieces that are the same everywhere, and how many threads there are decides how many
pieces are computed at the same time, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager

import joblib
import torch
from torch import Tensor

# Floating-point operations of one call up to which one thread is used. Far below,
# a second one costs more than it brings.
_ONE_THREAD_WORK = 5e8

# Operations of a step in which there is time for threads to wait for each other at each
# layer.
_MEETING_WORK = 2e9

# Operations that make up for what it costs to treat a part of a batch by itself, and
# the most threads that are ever used.
_PART_WORK = 1e9
_MOST_THREADS = 8


def is_large(work: float) -> bool:
    """Return whether several threads are worth it for this many operations."""
    return work >= _ONE_THREAD_WORK


def has_time_to_meet(work: float) -> bool:
    """Return whether several threads are worth it that meet at each layer.

    Parameters
    ----------
    work : float
        Floating-point operations of a step.
    """
    return work >= _MEETING_WORK


def n_threads_for(work: float) -> int:
    """Return among how many threads a step is divided.

    The number depends on the machine's processors, not on how many of them this
    process may use.

    Parameters
    ----------
    work : float
        Floating-point operations of the step.
    """
    return min(joblib.cpu_count(), _MOST_THREADS) if is_large(work) else 1


def n_parts_for(work: float) -> int:
    """Return into how many parts a batch is divided that is computed on threads.

    Parameters
    ----------
    work : float
        Floating-point operations of a step.
    """
    return min(max(int(work / _PART_WORK), 2), n_threads_for(work))


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread within the block."""
    n_threads = torch.get_num_threads()
    if n_threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


class Crew:
    """Threads that compute together, of which each computes alone.

    Parameters
    ----------
    n_threads : int
        How many tasks work is divided into at most.
    n_running : int
        How many of them may be done at the same time.
    pool : ThreadPoolExecutor
        Has `n_threads` threads.
    """

    def __init__(self, n_threads: int, n_running: int, pool: ThreadPoolExecutor):
        self.n_threads = n_threads
        self.n_running = n_running
        self.pool = pool

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        # Threads are not for a file; a net that is stored during a fit has none.
        return type(None), ()

    def do(self, tasks: Sequence[Callable[[], object]]) -> None:
        """Do all tasks, the calling thread its share of them; without autograd."""
        n_running = max(min(self.n_running, len(tasks)), 1)
        inference = torch.is_inference_mode_enabled()

        def do(first: int) -> None:
            with torch.inference_mode(inference), torch.no_grad():
                for task in tasks[first::n_running]:
                    task()

        others = [self.pool.submit(do, first) for first in range(1, n_running)]
        try:
            do(0)
        finally:
            wait(others)
        for other in others:
            other.result()


@contextmanager
def crew_of(n_threads: int) -> Iterator[Crew]:
    """Make threads within the block.

    Parameters
    ----------
    n_threads : int
        How many. As many of them compute at the same time as torch has threads.
    """
    n_running = min(n_threads, torch.get_num_threads())
    with one_thread():
        pool = ThreadPoolExecutor(n_threads, initializer=_compute_alone)
        try:
            yield Crew(n_threads, n_running, pool)
        finally:
            pool.shutdown(cancel_futures=True)


def _compute_alone() -> None:
    """Let torch use no more than this thread for what this thread asks."""
    # A new thread takes over the process's setting when it first looks at it.
    torch.get_num_threads()
    torch.set_num_threads(1)


def added(tensors: Sequence[Tensor]) -> Tensor:
    """Return the sum of tensors, added from the first to the last."""
    first, *others = tensors
    for other in others:
        first = first + other
    return first
