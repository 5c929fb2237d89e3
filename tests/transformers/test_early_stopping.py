"""Early stopping: rows kept out, patience, the best weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fits import X, either, fitted
from helpers import (
    ROWS,
    ValidationRecorder,
    assert_same_weights,
    tiny_conv,
    tiny_dense,
)


def fit_with_validation(make: Any, data: Any, **params: Any) -> tuple[Any, Any, Any]:
    said: list[Any] = []
    estimator = make(
        early_stopping=True, callbacks=[ValidationRecorder(said)], **params
    ).fit(data)
    parts = dict(said[:2])
    return estimator, parts["train"], parts["valid"]


class Spoils(ValidationRecorder):
    """Spoils what was learned, from the fifth epoch on."""

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        if len(net.history) >= 5:
            with torch.no_grad():
                for weight in net.module_.parameters():
                    weight.mul_(2)


@either
def test_early_stopping_puts_the_best_weights_back(make: Any) -> None:
    said: list[Any] = []
    estimator = make(
        max_epochs=8, early_stopping=True, lr=0.01, callbacks=[Spoils(said)]
    ).fit(X)
    losses = estimator.history_[:, "valid_loss"]
    assert len(losses) == estimator.n_iter_ == 8
    assert losses[-1] > min(losses)
    rows = next(what for event, what in said if event == "valid")
    reached = -estimator.score_samples(rows.numpy()).mean()
    assert reached == pytest.approx(min(losses), rel=1e-4)


def test_early_stopping_keeps_running_means_of_the_best_epoch_too() -> None:
    estimator = tiny_conv(early_stopping=True, lr=0.03, max_epochs=4).fit(X)
    best = int(np.argmin(estimator.history_[:, "valid_loss"])) + 1
    batches = [
        value
        for name, value in estimator.net_.module_.state_dict().items()
        if name.endswith("num_batches_tracked")
    ]
    per_epoch = estimator.history_[-1, "train_batch_count"]
    assert batches
    assert {int(value) for value in batches} == {best * per_epoch}


@pytest.mark.parametrize("patience", [1, 4])
def test_early_stopping_waits_for_n_iter_no_change_epochs(patience: int) -> None:
    # No loss falls by all of itself.
    estimator = tiny_dense(
        early_stopping=True, tol=1.0, n_iter_no_change=patience, max_epochs=50
    ).fit(X)
    assert estimator.n_iter_ == 1 + patience


def test_tol_is_the_share_by_which_the_loss_must_fall() -> None:
    params: dict[str, Any] = {
        "early_stopping": True,
        "n_iter_no_change": 2,
        "max_epochs": 60,
        "lr_schedule": "constant",
    }
    n_epochs = [
        tiny_dense(tol=tol, **params).fit(ROWS[:100]).n_iter_
        for tol in (0.0, 0.02, 0.2, 1.0)
    ]
    assert n_epochs == sorted(n_epochs, reverse=True)
    assert n_epochs[0] > n_epochs[1] > n_epochs[-1] == 3


@pytest.mark.parametrize(("fraction", "n_valid"), [(0.1, 10), (0.25, 25), (0.001, 1)])
def test_validation_fraction(fraction: float, n_valid: int) -> None:
    _, train, valid = fit_with_validation(
        tiny_dense, ROWS[:100], max_epochs=1, validation_fraction=fraction
    )
    assert len(valid) == n_valid
    assert len(train) == 100 - n_valid


def rows_in(part: torch.Tensor, data: np.ndarray) -> list[int]:
    rows = data.astype(np.float32)
    return [int(np.flatnonzero((rows == row).all(1))[0]) for row in part.numpy()]


def test_the_validation_part_is_shuffled_and_seeded() -> None:
    data = np.random.RandomState(0).uniform(size=(100, 4))
    held_out = []
    for seed in (0, 0, 1):
        _, train, valid = fit_with_validation(
            tiny_dense, data, max_epochs=1, random_state=seed
        )
        index = rows_in(valid, data)
        assert sorted(index + rows_in(train, data)) == list(range(100))
        held_out.append(index)
    assert held_out[0] == held_out[1]
    assert held_out[0] != held_out[2]
    for index in held_out:
        assert min(index) < 50 < max(index)


@either
def test_early_stopping_off_trains_on_all(make: Any) -> None:
    estimator = make(validation_fraction=0.5, n_iter_no_change=1, tol=1.0).fit(X)
    assert estimator.n_iter_ == 3
    assert_same_weights(estimator, fitted(make))
