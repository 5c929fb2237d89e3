"""Ctrl-C, again and again, at any time: what was fitted stays as it was."""

from __future__ import annotations

import copy
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from helpers import ROWS, assert_same_weights, tiny_conv, tiny_dense
from processes import in_child

from skautoencoder.architectures import Dense

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="no timers that send signals"
)

X = ROWS[:64]


class Storm:
    """Interrupts what runs, several times in a row.

    Parameters
    ----------
    delay : float
        Seconds until the first interrupt.
    n_times : int
        How many there are, half a millisecond apart.
    """

    def __init__(self, delay: float, n_times: int) -> None:
        self.delay, self.n_left = delay, n_times

    def strike(self, *_: Any) -> None:
        if self.n_left:
            self.n_left -= 1
            raise KeyboardInterrupt

    def over(self, function: Callable[[], Any]) -> bool:
        """Return whether a call was interrupted."""
        before = signal.signal(signal.SIGALRM, self.strike)
        try:
            try:
                signal.setitimer(signal.ITIMER_REAL, self.delay, 5e-4)
                function()
            finally:
                self.n_left = 0
        except KeyboardInterrupt:
            self.n_left = 0
            return True
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        return False


def seconds_of(method: str, estimator: Any) -> float:
    start = time.perf_counter()
    getattr(estimator, method)(X)
    return time.perf_counter() - start


def check_that_interrupts_leave_no_trace(make: Any, method: str) -> None:
    # It reports interrupts in finalizers; pytest's would fail on the next one.
    sys.unraisablehook = sys.__unraisablehook__
    estimator = make(warm_start=True, max_epochs=3, batch_size=8).partial_fit(X)
    expected, n_epochs = make(batch_size=8).partial_fit(X), estimator.n_iter_
    assert (estimator.net_.n_shards_ > 1) == (make is large_dense)
    codes = estimator.transform(X)
    learn = getattr(estimator, method)
    usual = min(seconds_of(method, copy.deepcopy(estimator)) for _ in range(2))
    n_interrupted = 0
    for i in range(4):
        if not Storm(usual * (i + 1) / 6, 3).over(lambda: learn(X)):
            break
        if estimator.n_iter_ > n_epochs:  # all was done already
            break
        n_interrupted += 1
        assert estimator.n_iter_ == len(estimator.history_) == n_epochs
        assert estimator.history_ is estimator.net_.history
        assert torch.is_grad_enabled()
        assert not estimator.net_.module_.training
        assert_same_weights(estimator, expected)
        np.testing.assert_array_equal(estimator.transform(X), codes)
    assert n_interrupted
    learn(X)
    assert estimator.n_iter_ > n_epochs


def large_dense(**params: Any) -> Any:
    """Return an estimator whose batches are cut into shards."""
    architecture = Dense((900, 700))
    return tiny_dense(architecture=architecture, **{**params, "batch_size": 64})


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("method", ["partial_fit", "fit"])
@pytest.mark.parametrize("make", [tiny_dense, tiny_conv, large_dense])
def test_repeated_interrupts_leave_no_trace(make: Any, method: str) -> None:
    # In a process of its own: pytest does not bear interrupts in its hooks.
    check = partial(check_that_interrupts_leave_no_trace, make, method)
    assert in_child(check) == "works"
