"""Several threads: each gets the bits it would get alone, and none waits for others."""

from __future__ import annotations

import functools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from helpers import OF_ROWS, assert_same_weights, noise, tiny_conv, tiny_dense
from sklearn.base import clone
from torch import nn

from skautoencoder import AutoencoderImputer, SeriesOutlierDetector
from skautoencoder.architectures import Dense
from skautoencoder.objectives import Penalty
from skautoencoder.training import takes_turns
from skautoencoder.training.net import AutoencoderNet

ROWS = noise(200, 9)
SERIES = SeriesOutlierDetector(
    8, architecture=Dense((6,)), max_epochs=1, random_state=0
)
ASKED = (
    *("transform", "predict", "score_samples", "decision_function", "score"),
    *("explain", "p_values"),
)


@pytest.mark.parametrize("name", [*OF_ROWS, "series"])
def test_eight_threads_get_the_bits_that_one_gets(name: str) -> None:
    estimator = clone(SERIES if name == "series" else OF_ROWS[name]).fit(ROWS)
    methods = [method for method in ASKED if hasattr(estimator, method)]
    if name == "novelty":
        methods.remove("p_values")  # no rows were kept for it
    asked = [
        (method, ROWS[start : start + 40])
        for method in methods
        for start in range(0, 160, 40)
    ]

    def ask(question: tuple[str, Any]) -> np.ndarray:
        method, rows = question
        return np.asarray(getattr(estimator, method)(rows))

    alone = [ask(question) for question in asked]
    with ThreadPoolExecutor(8) as pool:
        for found, expected in zip(pool.map(ask, asked), alone, strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.fixture
def meeting(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Let each training wait for another; tells whether one came."""
    barrier, met = threading.Barrier(2), []
    train = AutoencoderNet.partial_fit

    def wait_and_train(net: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            barrier.wait(timeout=30)
            met.append(True)
        except threading.BrokenBarrierError:
            met.append(False)
        return train(net, *args, **kwargs)

    monkeypatch.setattr(AutoencoderNet, "partial_fit", wait_and_train)
    return met


# A network whose steps are arithmetic more than calls.
WIDE = {"architecture": Dense((256, 256)), "batch_size": 160}


def wide(name: str) -> Any:
    estimator = clone(OF_ROWS[name])
    return estimator if name == "conv" else estimator.set_params(**WIDE)


@pytest.mark.parametrize("name", OF_ROWS)
def test_fits_train_at_the_same_time(name: str, meeting: list[bool]) -> None:
    with ThreadPoolExecutor(2) as pool:
        fits = [pool.submit(wide(name).fit, ROWS) for _ in range(2)]
        one, other = (fit.result() for fit in fits)
    assert meeting == [True, True]
    assert_same_weights(one, other)


def test_fits_of_small_steps_train_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # At the same time they take twice as long: each call waits for the other thread.
    train, events = AutoencoderNet.partial_fit, []

    def train_and_say(net: Any, *args: Any, **kwargs: Any) -> Any:
        events.append(("begin", id(net)))
        train(net, *args, **kwargs)
        events.append(("end", id(net)))
        return net

    monkeypatch.setattr(AutoencoderNet, "partial_fit", train_and_say)
    with ThreadPoolExecutor(3) as pool:
        fits = list(pool.map(lambda _: tiny_dense(max_epochs=20).fit(ROWS), range(3)))
    for begin, end in zip(events[::2], events[1::2], strict=True):
        assert begin[0] == "begin"
        assert end == ("end", begin[1])
    assert_same_weights(fits[0], fits[1])


@pytest.mark.parametrize("name", [*OF_ROWS, "images"])
def test_fits_beside_others_do_not_draw_from_torchs_generator(name: str) -> None:
    if name == "images":
        rows = np.where(noise(40, 12, 12) > 1, np.nan, noise(40, 12, 12))
        estimator: Any = AutoencoderImputer(max_epochs=1, random_state=0)
    else:
        rows, estimator = ROWS, wide(name)
    before = torch.get_rng_state()
    assert not takes_turns(estimator.fit(rows).net_)
    assert torch.equal(torch.get_rng_state(), before)


class OwnPenalty(Penalty):
    """A penalty that may draw numbers, for all that is known."""

    is_mean_over_rows = True

    def __call__(self, codes: Any, rows: Any, network: Any) -> Any:
        return codes.square().mean()


@pytest.mark.parametrize(
    "params",
    [
        {"architecture": Dense((12,), dropout=0.3)},
        {"penalty": OwnPenalty()},
        {"architecture": Dense((12,), batch_norm=True), "penalty": "kl"},
    ],
    ids=["dropout", "own penalty", "kl"],
)
def test_what_draws_from_torchs_generator_takes_turns(params: Any) -> None:
    # Bits are what matters: the numbers of one fit must not go to the other.
    alone = [tiny_dense(**params, random_state=seed).fit(ROWS) for seed in range(3)]
    with ThreadPoolExecutor(3) as pool:
        together = pool.map(
            lambda seed: tiny_dense(**params, random_state=seed).fit(ROWS), range(3)
        )
        for one, other in zip(alone, together, strict=True):
            assert_same_weights(one, other)
            assert takes_turns(one.net_)


def test_dropout_takes_turns() -> None:
    for make in (functools.partial(tiny_dense, **WIDE), tiny_conv):
        net = make().fit(ROWS).net_
        assert not takes_turns(net)
        net.module_.encoder.append(nn.Dropout(0.5))
        assert takes_turns(net)
