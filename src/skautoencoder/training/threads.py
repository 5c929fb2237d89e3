"""On how many threads to compute, so that no digit depends on their number.

torch divides an operation among all threads that it has. A sum that is divided
otherwise is added in another order and ends in other digits, so that a fit among the
workers of a grid search, which joblib allows fewer threads, would not be the fit of a
process of its own. Here torch has one thread. Large batches are cut into shards that
are the same everywhere, and how many threads there are decides how many of them are
computed at the same time, and nothing else.
"""

from __future__ import annotations

import _thread
import ctypes
import math
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from threadpoolctl import threadpool_limits

# Floating-point operations of one call up to which one thread is used. Far below,
# a second one costs more than it brings.
_ONE_THREAD_WORK = 5e8

# Operations that make up for what it costs to treat a shard of a batch by itself, and
# to add its gradient by one weight to those of the others; and the most shards there
# are. A number of the machine's, such as that of its processors, would be another one
# for a process that may not use them all.
_SHARD_WORK = 1e9
_WORK_A_WEIGHT = 2500
_MOST_SHARDS = 8

_lock = threading.Lock()
_numpy_lock = threading.RLock()


def is_large(work: float) -> bool:
    """Return whether several threads are worth it for this many operations."""
    return work >= _ONE_THREAD_WORK


def n_shards_for(work: float, n_weights: int) -> int:
    """Return into how many shards a batch is cut that is computed on threads.

    The number depends on the network alone, so that a step is cut alike wherever it is
    computed. It is a power of two, as the number of processors mostly is.

    Parameters
    ----------
    work : float
        Floating-point operations of a step.
    n_weights : int
        Weights that have gradients.
    """
    n_shards = work / max(_SHARD_WORK, _WORK_A_WEIGHT * n_weights)
    return int(2 ** math.floor(math.log2(min(max(n_shards, 2), _MOST_SHARDS))))


class _Here(threading.local):
    """What is known of this thread.

    Attributes
    ----------
    n_allowed : int
        How many threads torch had here before :func:`one_thread`; 0 outside of it.
    """

    n_allowed = 0


_here = _Here()


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread within the block, for this thread alone.

    No pool of torch's threads is started then. A process that is forked would inherit
    the pool without its threads, and wait for them for good.
    """
    with _lock:
        n_threads = torch.get_num_threads()
    if n_threads == 1:
        yield
        return
    before, _here.n_allowed = _here.n_allowed, n_threads
    try:
        _set_own_threads(1)
        yield
    finally:
        _set_own_threads(n_threads)
        _here.n_allowed = before


def n_allowed_threads() -> int:
    """Return how many threads may compute at the same time."""
    return _here.n_allowed or torch.get_num_threads()


def _set_own_threads(n_threads: int) -> None:
    """Set how many threads torch uses for what this thread asks, and no other.

    torch itself has a number for each thread and one for the process, with which new
    threads begin, and sets both at once. So its libraries are told, which count for
    each thread; where they cannot be, another thread puts the process's number back.
    """
    with _lock:
        # torch sets a new thread's number when it is first asked for it.
        torch.get_num_threads()
    for tell in _library_setters():
        tell(n_threads)
    if torch.get_num_threads() != n_threads:
        _set_and_put_back(n_threads)


@cache
def _library_setters() -> list[Callable[[int], object]]:
    """Return what sets the numbers of OpenMP and MKL for the thread that calls it.

    None of them if torch does not show those that it brings along.
    """
    names = ["omp_set_num_threads"]
    if torch.backends.mkl.is_available():
        names.insert(0, "MKL_Set_Num_Threads_Local")
    end = "dylib" if sys.platform == "darwin" else "so"
    try:
        library = ctypes.CDLL(f"{torch.__path__[0]}/lib/libtorch_cpu.{end}")
        return [getattr(library, name) for name in names]
    except (OSError, AttributeError):
        return []


def _set_and_put_back(n_threads: int) -> None:
    known, done = _thread.allocate_lock(), _thread.allocate_lock()
    told = _thread.allocate_lock()
    for event in (known, told, done):
        event.acquire()

    def keep_process() -> None:
        n_before = torch.get_num_threads()  # the process's, as this thread is new
        known.release()
        told.acquire()
        torch.set_num_threads(n_before)
        done.release()

    with _lock:
        # threading.Thread takes three times as long to start.
        _thread.start_new_thread(keep_process, ())
        try:
            known.acquire()
            torch.set_num_threads(n_threads)
        finally:
            told.release()
            done.acquire()


@contextmanager
def one_thread_for_numpy() -> Iterator[None]:
    """Let NumPy and scikit-learn compute on one thread within the block.

    Their libraries count threads for the whole process: one at a time may change that.
    """
    with _numpy_lock, threadpool_limits(limits=1):
        yield


def _forget_others() -> None:
    """Make a lock anew that a thread may hold which a forked process does not have."""
    global _numpy_lock
    _lock.release()
    _numpy_lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire,
        after_in_parent=_lock.release,
        after_in_child=_forget_others,
    )


@contextmanager
def torchs_threads() -> Iterator[None]:
    """Let torch use its own threads again, within a block of :func:`one_thread`.

    For what cannot be cut into shards: it then takes all processors, and its last
    digits follow the number of threads.
    """
    if not _here.n_allowed:
        yield
        return
    try:
        _set_own_threads(_here.n_allowed)
        yield
    finally:
        _set_own_threads(1)


@contextmanager
def threads_for(n_tasks: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """Make threads within the block, each of which computes alone.

    Parameters
    ----------
    n_tasks : int
        How many tasks there are at a time. As many of them are computed at the same
        time as torch may use threads.

    Yields
    ------
    run : callable
        Calls a function for each of several arguments, as :func:`map` does.
    """
    n_threads = min(n_tasks, n_allowed_threads())
    with one_thread():
        if n_threads == 1:
            yield map
            return
        pool = ThreadPoolExecutor(
            n_threads, initializer=_set_own_threads, initargs=(1,)
        )
        try:
            yield pool.map
        finally:
            pool.shutdown(cancel_futures=True)
