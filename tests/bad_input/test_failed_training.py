"""Training that diverges or is interrupted, and what it leaves behind."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest
from helpers import (
    Interrupts,
    noise,
    tiny_dense,
    unchanged,
)
from refusals import X, assert_says, either
from sklearn.model_selection import GridSearchCV
from torch import nn

from skautoencoder.architectures import Custom

DIVERGES: dict[str, Any] = {
    "lr": 1e6,
    "optimizer": "sgd",
    "lr_schedule": "constant",
    "max_epochs": 5,
}


@either
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_loss_that_is_not_finite_ends_the_fit(
    make: Any, early_stopping: bool
) -> None:
    data = noise(60, 64)
    fresh = make(**DIVERGES, early_stopping=early_stopping)
    before = vars(fresh).copy()
    with pytest.raises(ValueError, match=r"diverged: .* in epoch [1-5]\.") as caught:
        fresh.fit(data)
    assert_says(caught.value, ("Lower lr", "now 1000000.0", "Scaler"))
    assert vars(fresh) == before

    fitted = make().fit(data)
    fitted.set_params(**DIVERGES, early_stopping=early_stopping)
    with unchanged(fitted, data), pytest.raises(ValueError, match="in epoch"):
        fitted.fit(data)
    fitted.set_params(warm_start=True)
    with unchanged(fitted, data), pytest.raises(ValueError, match="in epoch"):
        fitted.fit(data)


def test_the_epoch_named_is_the_one_that_diverged() -> None:
    estimator = tiny_dense(
        architecture=Custom(nn.Linear(4, 2), nn.Linear(2, 4)),
        optimizer="sgd",
        lr_schedule="constant",
        lr=10.0,
        max_epochs=200,
    )
    data = noise(40, 4)
    with pytest.raises(ValueError, match="in epoch") as caught:
        estimator.fit(data)
    epoch = int(re.search(r"in epoch (\d+)", str(caught.value)).group(1))  # type: ignore[union-attr]
    assert epoch > 1
    estimator.set_params(max_epochs=epoch - 1).fit(data)
    assert np.isfinite(estimator.history_[:, "train_loss"]).all()


@either
def test_partial_fit_that_diverges_changes_nothing(make: Any) -> None:
    data = noise(60, 64)
    estimator = make(lr=1e-3, optimizer="sgd").partial_fit(data)
    huge = np.full((10, 64), 1e300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with unchanged(estimator, data), pytest.raises(ValueError, match="in epoch 2"):
            estimator.partial_fit(huge)
    estimator.partial_fit(data)
    assert estimator.n_iter_ == 2


def test_diverging_fits_are_failed_fits_of_a_grid_search() -> None:
    search = GridSearchCV(
        tiny_dense(**DIVERGES), {"lr": [1e6, 1e-3]}, cv=2, error_score=-9.0
    )
    with pytest.warns(match="diverged"):
        search.fit(noise(60, 64))
    assert search.best_params_ == {"lr": 1e-3}
    assert search.cv_results_["mean_test_score"][0] == -9.0


@either
def test_ctrl_c_leaves_through_fit(make: Any) -> None:
    estimator = make(callbacks=[Interrupts()])
    before = vars(estimator).copy()
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X)
    assert vars(estimator) == before

    fitted = make().fit(X)
    fitted.set_params(callbacks=[Interrupts()])
    with unchanged(fitted, X), pytest.raises(KeyboardInterrupt):
        fitted.fit(X)
    fitted.set_params(warm_start=True)
    with unchanged(fitted, X), pytest.raises(KeyboardInterrupt):
        fitted.fit(X)


@either
def test_ctrl_c_leaves_through_partial_fit(make: Any) -> None:
    estimator = make(callbacks=[Interrupts(epoch=3)]).partial_fit(X).partial_fit(X)
    with unchanged(estimator, X), pytest.raises(KeyboardInterrupt):
        estimator.partial_fit(X)


def test_ctrl_c_leaves_through_a_grid_search() -> None:
    search = GridSearchCV(
        tiny_dense(callbacks=[Interrupts()]), {"code_size": [2, 3]}, cv=2
    )
    with pytest.raises(KeyboardInterrupt):
        search.fit(X)
    assert not hasattr(search, "best_estimator_")
