"""Fits that wait for each other, so that their networks are trained at once.

The tasks of a search (a candidate on a fold each) prepare their samples in any way they
like before a network is trained, and use it in any way afterwards. So each task runs in
a thread of its own up to its training and waits there; when all do, the networks are
trained together and the tasks go on. Only one thread runs at any time. Tasks continue
in the reverse of the order in which they stopped, so that what they have set for a
while (warning filters, default types) is undone in the right order.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from skautoencoder.training.batches import Rows
from skautoencoder.training.net import AutoencoderNet, fit_many


class _Here(threading.local):
    """State of the current thread.

    Attributes
    ----------
    task : _Task or None
        The task that it runs, if its training may still be shared.
    searching : int or None
        Identifier of the thread that waits for this one's task.
    """

    task: _Task | None = None
    searching: int | None = None


class _Cancelled(BaseException):
    """Ends a task that waits while another one failed."""


@dataclass(frozen=True)
class Finished:
    """A task that has come to its end.

    Parameters
    ----------
    value : object
        What it returned.
    alone : str or None
        Why its network was not trained together with others; None if it was. Empty if
        it trained no network.
    extra_seconds : float
        What to add to the seconds between its start and its end, so that they are its
        own: its share of the common training less the time in which it waited.
    """

    value: Any
    alone: str | None
    extra_seconds: float


_here = _Here()


def frame_of_search() -> FrameType | None:
    """Return where the thread is that waits for the task which this one runs."""
    if _here.searching is None:
        return None
    return sys._current_frames().get(_here.searching)


def train_together(
    nets: Sequence[AutoencoderNet], rows: Rows, turn: AbstractContextManager[Any]
) -> list[bool]:
    """Train nets together, and with those of other tasks if there are any.

    Parameters
    ----------
    nets : sequence of AutoencoderNet
        The nets, initialised.
    rows : Rows
        The rows to train each of them on.
    turn : context manager
        What to train in if there are no other tasks.

    Returns
    -------
    trained : list of bool
        Whether each was trained. If not, it has to be trained by itself.
    """
    task, _here.task = _here.task, None
    if task is not None:
        return task.wait(nets, rows)
    if len(nets) == 1:
        return [False]
    with turn:
        return _trained(fit_many(nets, [rows] * len(nets)))


def _trained(outcomes: Sequence[Any]) -> list[bool]:
    """Return which nets were trained; raise if an error ended a training."""
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return [outcome is True for outcome in outcomes]


class _Task:
    """A function in a thread of its own that stops where a network is to be trained."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._searching = threading.get_ident()
        # The nets to train and their rows, while it waits.
        self.fit: tuple[Sequence[AutoencoderNet], Rows] | None = None
        # What became of each net.
        self.outcomes: Sequence[Any] = ()
        self.is_cancelled = False
        self.error: BaseException | None = None
        self.value: Any = None
        self.extra_seconds = 0.0

    def start(self) -> None:
        """Run up to the training of a network, or to the end."""
        self._thread.start()
        self._wait_for_stop()

    @property
    def alone(self) -> str | None:
        """Why a net was not trained with others; None if all were, "" if none is."""
        reasons = [o for o in self.outcomes if isinstance(o, str)]
        return reasons[0] if reasons else None if self.outcomes else ""

    def resume(self, outcomes: Sequence[Any]) -> None:
        """Run on to the end, after the training."""
        self.outcomes = outcomes
        self._go.release()
        self._wait_for_stop()
        self._thread.join()

    def _wait_for_stop(self) -> None:
        try:
            self._stopped.acquire()
        except BaseException:  # Ctrl-C: one thread at a time, even then
            self._stopped.acquire()
            raise

    def _run(self) -> None:
        _here.task, _here.searching = self, self._searching
        try:
            self.value = self._function()
        except BaseException as error:
            self.error = error
        finally:
            self.fit = None
            self._stopped.release()

    def wait(self, nets: Sequence[AutoencoderNet], rows: Rows) -> list[bool]:
        """Let the others run up to here; return which nets were then trained."""
        start = time.time()
        self.fit = nets, rows
        self._stopped.release()
        self._go.acquire()
        self.fit = None
        self.extra_seconds += start - time.time()
        if self.is_cancelled:
            raise _Cancelled
        return _trained(self.outcomes)


def run_together(functions: Sequence[Callable[[], Any]]) -> list[Finished]:
    """Call functions, and train the networks that they fit together where possible.

    Parameters
    ----------
    functions : sequence of callable
        The functions, without arguments. The first network that each of them trains
        is trained together with those of the others.

    Returns
    -------
    finished : list of Finished
        What they returned, in order. If one raises, the others are ended and its error
        is raised.
    """
    tasks = [_Task(function) for function in functions]
    waiting: list[_Task] = []
    try:
        for task in tasks:
            task.start()
            if task.fit is not None:
                waiting.append(task)
            elif task.error is not None:
                raise task.error
        start = time.time()
        fits = [task.fit for task in waiting if task.fit is not None]
        nets = [net for some, _ in fits for net in some]
        outcomes = fit_many(nets, [rows for some, rows in fits for _ in some])
        n_trained = max(sum(outcome is True for outcome in outcomes), 1)
        share = (time.time() - start) / n_trained
        for (some, _), task in reversed([*zip(fits, waiting, strict=True)]):
            cut = len(outcomes) - len(some)
            outcomes, own = outcomes[:cut], outcomes[cut:]
            task.extra_seconds += share * sum(outcome is True for outcome in own)
            waiting.remove(task)
            task.resume(own)
            if task.error is not None:
                raise task.error
    finally:
        for task in reversed(waiting):
            task.is_cancelled = True
            task.resume(())
    return [Finished(task.value, task.alone, task.extra_seconds) for task in tasks]
