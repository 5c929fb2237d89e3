"""Searches on two workers against the same ones in one process.

A worker takes seconds to start: `processes.run` calls these in the one place whose
workers are tested.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from helpers import (
    DIGITS,
    IMAGES,
    ROWS,
    assert_same_answers,
    assert_same_weights,
    tiny_conv,
    tiny_dense,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

from skautoencoder.model_selection import AutoencoderSearchCV

X, y = ROWS[:160], DIGITS.target[:160]


def check_that_two_jobs_give_the_same_bits() -> None:
    for make in (tiny_dense, tiny_conv):
        search_estimators(make)
    search_pipelines(tiny_dense, X)
    search_pipelines(tiny_conv, IMAGES[:160])
    search_many_at_once()


def assert_same_results(one: GridSearchCV, other: GridSearchCV) -> None:
    assert one.cv_results_["params"] == other.cv_results_["params"]
    for name, column in one.cv_results_.items():
        if "score" in name and "time" not in name:
            np.testing.assert_array_equal(column, other.cv_results_[name], err_msg=name)
    assert one.best_params_ == other.best_params_
    assert one.best_score_ == other.best_score_


def search_estimators(make: Any) -> None:
    grid = {"code_size": [2, 4], "optimizer__weight_decay": [0.0, 0.1]}
    estimator = make(early_stopping=True)
    one, two = (GridSearchCV(estimator, grid, cv=2, n_jobs=n).fit(X) for n in (1, 2))
    scores = one.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert len(set(scores)) == 4
    assert_same_results(one, two)
    assert_same_weights(one.best_estimator_, two.best_estimator_)
    assert_same_answers(one.best_estimator_, two.best_estimator_, X)


def search_pipelines(make: Any, data: Any) -> None:
    pipeline = _pipeline(make(max_epochs=8, batch_size=16), data)
    grid = {"code__code_size": [2, 8]}
    one, two = (
        GridSearchCV(pipeline, grid, cv=2, n_jobs=n).fit(data, y) for n in (1, 2)
    )
    assert_same_results(one, two)
    assert one.best_params_ == {"code__code_size": 8}
    assert_same_weights(one.best_estimator_["code"], two.best_estimator_["code"])
    mine, theirs = one.best_estimator_["classifier"], two.best_estimator_["classifier"]
    np.testing.assert_array_equal(mine.coef_, theirs.coef_)
    np.testing.assert_array_equal(one.predict_proba(data), two.predict_proba(data))


def search_many_at_once() -> None:
    pipeline = _pipeline(tiny_dense(batch_size=32), X)
    grid = {"code__code_size": [2, 4], "classifier__C": [0.1, 1.0]}
    one, two = (
        AutoencoderSearchCV(pipeline, grid, cv=3, n_jobs=n).fit(X, y) for n in (1, 2)
    )
    assert_same_results(one, two)


def _pipeline(estimator: Any, data: Any) -> Pipeline:
    steps: list[Any] = [
        ("code", estimator),
        ("classifier", LogisticRegression(max_iter=200)),
    ]
    if data.ndim == 2:
        steps.insert(0, ("scale", MinMaxScaler()))
    return Pipeline(steps)
