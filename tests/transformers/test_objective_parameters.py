"""Parameters that say what the network minimises."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from fits import either
from helpers import (
    ROWS,
    ValidationRecorder,
    have_same_weights,
    tiny_conv,
    tiny_dense,
)
from numpy.testing import assert_allclose
from torch import nn

X = ROWS[:100]


@functools.cache
def after_one_epoch(make: Any, loss: str) -> Any:
    return make(loss=loss, max_epochs=1).fit(X)


@pytest.mark.parametrize("loss", ["mse", "l1", "huber", "bce"])
@either
def test_loss(make: Any, loss: str) -> None:
    estimator = make(loss=loss, max_epochs=10, lr=2e-2).fit(X)
    losses = estimator.history_[:, "train_loss"]
    assert losses[-1] < 0.95 * losses[0]
    assert estimator.score(X) > 0
    others = [after_one_epoch(make, other) for other in ("mse", "l1", "bce")]
    last = make(loss=loss, max_epochs=1).fit(X)
    same = sum(have_same_weights(last, other) for other in others)
    assert same == (loss != "huber")


@pytest.mark.parametrize("loss", ["mse", "l1", "huber", "bce"])
def test_the_recorded_loss_is_the_loss(loss: str) -> None:
    said: list[Any] = []
    estimator = tiny_dense(
        loss=loss, early_stopping=True, callbacks=[ValidationRecorder(said)]
    ).fit(X)
    rows = next(what for event, what in said if event == "valid")
    answer = torch.from_numpy(estimator.predict(rows.numpy()))
    expected = {
        "mse": nn.functional.mse_loss,
        "l1": nn.functional.l1_loss,
        "huber": nn.functional.huber_loss,
        "bce": nn.functional.binary_cross_entropy,
    }[loss](answer, rows)
    best = min(estimator.history_[:, "valid_loss"])
    assert float(expected) == pytest.approx(best, rel=1e-4)


def test_an_l1_penalty_makes_codes_small() -> None:
    ten = {"max_epochs": 10, "lr": 6e-3}
    plain = tiny_dense(**ten).fit(X).transform(X)
    weak = tiny_dense(**ten, sparsity="l1").fit(X).transform(X)
    strong = tiny_dense(**ten, sparsity="l1", sparsity_weight=0.1)
    off = tiny_dense(**ten, sparsity="l1", sparsity_weight=0).fit(X)
    strong_codes = strong.fit(X).transform(X)
    assert np.abs(strong_codes).mean() < 0.5 * np.abs(plain).mean()
    assert not np.array_equal(weak, plain)
    assert_allclose(off.transform(X), plain, atol=1e-4)


@pytest.mark.parametrize(("make", "target"), [(tiny_dense, 0.05), (tiny_conv, 0.4)])
def test_a_kl_penalty_draws_the_mean_activity_to_its_target(
    make: Any, target: float
) -> None:
    estimator = make(
        sparsity="kl",
        sparsity_weight=1.0,
        sparsity_target=target,
        batch_size=50,
        max_epochs=30,
        lr=3e-2,
    ).fit(X)
    codes = estimator.transform(X)
    assert codes.min() > 0
    assert codes.max() < 1
    assert_allclose(codes.mean(axis=0), target, atol=0.04)
