"""Optimizers, learning rates, batches and epochs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fits import NORMAL, BatchRecorder, X, either
from helpers import (
    Recorder,
    assert_same_weights,
    noise,
    tiny_dense,
)

from skautoencoder import AutoencoderTransformer
from skautoencoder.architectures import Dense

OPTIMIZERS = {
    "adadelta": torch.optim.Adadelta,
    "adafactor": torch.optim.Adafactor,
    "adagrad": torch.optim.Adagrad,
    "adam": torch.optim.Adam,
    "adamax": torch.optim.Adamax,
    "adamw": torch.optim.AdamW,
    "asgd": torch.optim.ASGD,
    "lbfgs": torch.optim.LBFGS,
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "rmsprop": torch.optim.RMSprop,
    "rprop": torch.optim.Rprop,
    "sgd": torch.optim.SGD,
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer(name: str) -> None:
    lr = 0.05 if name in ("lbfgs", "sgd") else 0.01
    params: dict[str, Any] = {"lr": lr, "max_epochs": 4}
    if name == "lbfgs":  # is made for whole data
        params |= {"batch_size": 100, "optimizer__line_search_fn": "strong_wolfe"}
    estimator = tiny_dense(optimizer=name, **params).fit(NORMAL)
    assert isinstance(estimator.net_.optimizer_, OPTIMIZERS[name])
    losses = estimator.history_[:, "train_loss"]
    assert losses[-1] < losses[0]
    by_class = tiny_dense(optimizer=OPTIMIZERS[name], **params).fit(NORMAL)
    assert_same_weights(estimator, by_class)
    assert f'"{name}"' in AutoencoderTransformer.__doc__


def test_optimizer_of_the_users_own() -> None:
    class Downhill(torch.optim.SGD):
        pass

    estimator = tiny_dense(optimizer=Downhill, optimizer__momentum=0.5).fit(X)
    assert type(estimator.net_.optimizer_) is Downhill
    assert estimator.net_.optimizer_.param_groups[0]["momentum"] == 0.5


@pytest.mark.parametrize("lr", [1e-4, 0.02])
def test_lr_is_the_highest_learning_rate(lr: float) -> None:
    constant = tiny_dense(lr=lr, lr_schedule="constant").fit(X)
    assert constant.history_[:, "lr"] == [lr] * 3
    cycle = tiny_dense(lr=lr, max_epochs=20).fit(X)
    assert 0.9 * lr < max(cycle.history_[:, "lr"]) <= lr


def test_lr_schedule() -> None:
    rates = {
        schedule: tiny_dense(
            max_epochs=20,
            lr=1.0,
            lr_schedule=schedule,
            batch_size=5,
            optimizer="sgd",
            optimizer__weight_decay=0,
        )
        .set_params(lr=1e-3)
        .fit(X)
        .history_[:, "lr"]
        for schedule in ("one_cycle", "cosine", "constant")
    }
    assert rates["constant"] == [1e-3] * 20
    assert rates["cosine"] == sorted(rates["cosine"], reverse=True)
    # Half of the way down is half of the rate.
    assert rates["cosine"][9] == pytest.approx(0.5e-3, rel=0.02)
    assert rates["cosine"][-1] < 1e-5
    peak = int(np.argmax(rates["one_cycle"]))
    assert peak in (1, 2)
    assert rates["one_cycle"][0] < 0.6e-3
    assert rates["one_cycle"][peak:] == sorted(rates["one_cycle"][peak:], reverse=True)
    assert rates["one_cycle"][-1] < 1e-5


@either
def test_schedules_give_different_networks(make: Any) -> None:
    names = ("one_cycle", "cosine", "constant")
    codes = [make(lr_schedule=name).fit(X).transform(X) for name in names]
    assert not np.array_equal(codes[0], codes[1])
    assert not np.array_equal(codes[1], codes[2])


@pytest.mark.parametrize(("batch_size", "n_batches"), [(50, 1), (10, 5), (12, 5)])
def test_batch_size(batch_size: int, n_batches: int) -> None:
    said: list[Any] = []
    estimator = tiny_dense(
        batch_size=batch_size, max_epochs=2, callbacks=[BatchRecorder(said)]
    ).fit(X)
    sizes = [what for _, what in said]
    assert len(sizes) == 2 * n_batches
    assert max(sizes) == batch_size
    assert sum(sizes) == 100
    assert estimator.history_[:, "train_batch_count"] == [n_batches] * 2


def test_a_single_row_left_over_joins_the_batch_before() -> None:
    said: list[Any] = []
    estimator = tiny_dense(
        architecture=Dense((4,), batch_norm=True),
        batch_size=7,
        max_epochs=1,
        callbacks=[BatchRecorder(said)],
    )
    estimator.fit(X)
    assert [what for _, what in said] == [7] * 6 + [8]


@pytest.mark.parametrize(("n_rows", "batch_size"), [(20, 20), (100, 32), (9000, 128)])
def test_the_auto_batch_size(n_rows: int, batch_size: int) -> None:
    said: list[Any] = []
    tiny_dense(max_epochs=1, callbacks=[BatchRecorder(said)]).fit(noise(n_rows, 2))
    assert max(what for _, what in said) == batch_size


@pytest.mark.parametrize(
    ("n_rows", "n_features", "max_epochs"),
    [
        (32, 7, 200),
        (1600, 7, 50),
        (3200, 7, 40),
        (64_000, 7, 8),
        (32, 6, 500),
        (1600, 2, 80),
        (3200, 2, 40),
    ],
)
def test_the_auto_number_of_epochs(
    n_rows: int, n_features: int, max_epochs: int
) -> None:
    class Counted(Exception):
        pass

    class Counts(Recorder):
        def on_train_begin(self, net: Any, **kwargs: Any) -> None:
            self.said.append(("max_epochs", net.max_epochs))
            raise Counted

    said: list[Any] = []
    estimator = tiny_dense(max_epochs="auto", batch_size=32, callbacks=[Counts(said)])
    with pytest.raises(Counted):
        estimator.fit(noise(n_rows, n_features))
    assert said == [("max_epochs", max_epochs)]


@pytest.mark.parametrize("max_epochs", [1, 5])
@either
def test_max_epochs(make: Any, max_epochs: int) -> None:
    estimator = make(max_epochs=max_epochs).fit(X)
    assert estimator.n_iter_ == len(estimator.history_) == max_epochs
