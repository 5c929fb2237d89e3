"""Numbers of threads, chosen so that results do not depend on them.

torch divides an operation among all its threads. With another number of threads, sums
are added in another order and rounded differently, so that a fit in a worker of a grid
search, which joblib gives fewer threads, would differ from a fit in a process of its
own. So torch is limited to one thread here. Large batches are divided into shards, the
same ones on every machine; the number of threads decides only how many shards are
computed at the same time.
"""

from __future__ import annotations

import _thread
import ctypes
import math
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any

import torch
from threadpoolctl import threadpool_limits

# Floating-point operations of a call up to which one thread is used. Far below that, a
# second thread costs more time than it saves.
_ONE_THREAD_WORK = 5e8

# Operations that take as long as the overhead of a shard, and as adding its gradient by
# one weight to those of the others; and the maximum number of shards. They are
# constants: the number of processors would differ between processes, as some may not
# use them all.
_SHARD_WORK = 1e9
_WORK_A_WEIGHT = 2500
_MOST_SHARDS = 8

_lock = threading.Lock()
_numpy_lock = threading.RLock()
# The locks of all threads, each held by its thread while it computes; and those that a
# thread that forks the process has acquired, until the fork is done.
_operations: weakref.WeakSet[Any] = weakref.WeakSet()
_held: list[Any] = []
_forks = threading.Lock()
_is_forked = False
# Seconds that a fork waits for a thread that is computing.
_LONGEST_WAIT = 10.0


def is_large(work: float) -> bool:
    """Return whether several threads are worth it for this many operations."""
    return work >= _ONE_THREAD_WORK


def n_shards_for(work: float, n_weights: int) -> int:
    """Return the number of shards of a batch.

    It depends on the network alone, so that a step is divided in the same way wherever
    it is computed. It is a power of two, as the number of processors mostly is.

    Parameters
    ----------
    work : float
        Floating-point operations of a step.
    n_weights : int
        Number of weights with gradients.
    """
    n_shards = work / max(_SHARD_WORK, _WORK_A_WEIGHT * n_weights)
    return int(2 ** math.floor(math.log2(min(max(n_shards, 2), _MOST_SHARDS))))


class _Here(threading.local):
    """State of the current thread.

    Attributes
    ----------
    n_allowed : int
        Number of torch's threads before :func:`one_thread`; 0 outside of it.
    operation : RLock
        Held by :func:`operating`.
    """

    n_allowed = 0

    def __init__(self) -> None:
        self.operation = threading.RLock()
        with _lock:
            _operations.add(self.operation)


_here = _Here()


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit torch to one thread within the block; other threads are not affected.

    So torch does not start its thread pool. A forked process would inherit the pool
    without its threads, and wait for them forever.

    New tensors are on the CPU, whatever torch.set_default_device says: what goes
    elsewhere is sent there.
    """
    with _lock:
        n_threads = torch.get_num_threads()
    is_usual = torch.get_default_device().type == "cpu"
    on_cpu: Any = nullcontext() if is_usual else torch.device("cpu")
    if n_threads == 1:
        with on_cpu:
            yield
        return
    before, _here.n_allowed = _here.n_allowed, n_threads
    try:
        _set_own_threads(1)
        with on_cpu:
            yield
    finally:
        _set_own_threads(n_threads)
        _here.n_allowed = before


def n_allowed_threads() -> int:
    """Return how many threads may compute at the same time."""
    return _here.n_allowed or torch.get_num_threads()


def _set_own_threads(n_threads: int) -> None:
    """Set the number of threads that torch uses in calls from the current thread.

    torch.set_num_threads sets the number of the current thread and, with it, the
    default of new threads of the process. So the setters of OpenMP and MKL are called
    directly, which have a number per thread; where these are not available, another
    thread restores the default of the process.
    """
    with _lock:
        # torch initialises the number of a new thread at the first call of this.
        torch.get_num_threads()
    for set_number in _library_setters():
        set_number(n_threads)
    if torch.get_num_threads() != n_threads:
        _set_and_put_back(n_threads)


@cache
def _library_setters() -> list[Callable[[int], object]]:
    """Return the functions of OpenMP and MKL that set the calling thread's number.

    Empty if torch's library does not export them.
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
        n_before = torch.get_num_threads()  # a new thread has the process's default
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
    """Limit NumPy and scikit-learn to one thread within the block.

    The limit holds for the whole process, so a lock lets one thread at a time set it.
    """
    with _numpy_lock, threadpool_limits(limits=1):
        yield


def operating() -> AbstractContextManager[Any]:
    """Return a context that keeps other threads from forking the process.

    Libraries such as MKL have locks, which a forked process would inherit as they are,
    without the threads that hold them. So a fork waits for the end of a training step
    or of a batch.
    """
    return _here.operation


def _wait_for_operations() -> None:
    """Wait until no other thread computes, nor has a lock of ours."""
    _forks.acquire()
    waited_for: list[Any] = []
    while True:
        _lock.acquire()
        others = [lock for lock in _operations if lock not in waited_for]
        if not others:
            return
        _lock.release()
        for operation in others:
            waited_for.append(operation)
            # Not forever: its thread may wait for one whose lock is held here.
            if operation.acquire(timeout=_LONGEST_WAIT):
                _held.append(operation)


def _let_go_on() -> None:
    _lock.release()
    while _held:
        _held.pop().release()
    _forks.release()


def _forget_others() -> None:
    """Forget locks in a forked process that threads of the parent may hold."""
    global _numpy_lock, _is_forked
    _is_forked = True
    _let_go_on()
    _operations.clear()
    _operations.add(_here.operation)
    _numpy_lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_wait_for_operations,
        after_in_parent=_let_go_on,
        after_in_child=_forget_others,
    )


@contextmanager
def torchs_threads() -> Iterator[None]:
    """Restore torch's own number of threads, within a block of :func:`one_thread`.

    For batches that cannot be sharded: these use all processors, and the last digits of
    their results depend on the number of threads.
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
    """Start a thread pool within the block, in which each thread has one of torch's.

    Parameters
    ----------
    n_tasks : int
        Number of tasks. At most as many are computed at the same time as torch may use
        threads, and one in a forked process.

    Yields
    ------
    run : callable
        Calls a function for each of several arguments, as :func:`map` does.
    """
    # In a forked process, torch may crash if two threads begin to compute at the same
    # time: one process of a thousand did.
    n_threads = 1 if _is_forked else min(n_tasks, n_allowed_threads())
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
            with operating():  # threads that end give memory back
                pool.shutdown(cancel_futures=True)
