"""Searches over parameters, in one process and in several."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import (
    BOTH,
    DIGITS,
    IMAGES,
    ROWS,
    assert_same_answers,
    assert_same_weights,
    tiny_conv,
    tiny_dense,
)
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

from skautoencoder.architectures import Conv, Dense

X, y = ROWS[:160], DIGITS.target[:160]
either = pytest.mark.parametrize("make", BOTH)


def assert_same_results(one: GridSearchCV, other: GridSearchCV) -> None:
    assert one.cv_results_["params"] == other.cv_results_["params"]
    for name, column in one.cv_results_.items():
        if "score" in name and "time" not in name:
            np.testing.assert_array_equal(column, other.cv_results_[name], err_msg=name)
    assert one.best_params_ == other.best_params_
    assert one.best_score_ == other.best_score_


@either
def test_two_jobs_give_the_same_bits_as_one(make: Any) -> None:
    grid = {"code_size": [2, 4], "optimizer__weight_decay": [0.0, 0.1]}
    estimator = make(early_stopping=True)
    one, two = (GridSearchCV(estimator, grid, cv=2, n_jobs=n).fit(X) for n in (1, 2))
    scores = one.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert len(set(scores)) == 4
    assert_same_results(one, two)
    assert_same_weights(one.best_estimator_, two.best_estimator_)
    assert_same_answers(one.best_estimator_, two.best_estimator_, X)


@pytest.mark.parametrize(("make", "data"), [(tiny_dense, X), (tiny_conv, IMAGES[:160])])
def test_two_jobs_give_the_same_bits_in_a_pipeline(make: Any, data: Any) -> None:
    steps: list[Any] = [
        ("code", make(max_epochs=8, batch_size=16)),
        ("classifier", LogisticRegression(max_iter=200)),
    ]
    if data.ndim == 2:
        steps.insert(0, ("scale", MinMaxScaler()))
    pipeline = Pipeline(steps)
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


def test_threads_give_the_same_bits() -> None:
    from joblib import parallel_backend

    grid = {"code_size": [2, 4], "architecture": [Dense((8,)), Conv((3,))]}
    one = GridSearchCV(tiny_dense(), grid, cv=2).fit(X)
    with parallel_backend("threading", n_jobs=3):
        many = GridSearchCV(tiny_dense(), grid, cv=2, n_jobs=3).fit(X)
    np.testing.assert_array_equal(
        one.cv_results_["mean_test_score"], many.cv_results_["mean_test_score"]
    )
    assert_same_weights(one.best_estimator_, many.best_estimator_)


def test_nested_parameters_are_searched() -> None:
    grid = {
        "architecture__hidden_layer_sizes": [(3,), (20, 10)],
        "optimizer__weight_decay": [0.0, 0.25],
        "iterator_train__drop_last": [True],
    }
    search = GridSearchCV(tiny_dense(max_epochs=8), grid, cv=2).fit(X)
    assert len(set(search.cv_results_["mean_test_score"])) == 4
    best = search.best_estimator_
    for name, value in search.best_params_.items():
        assert best.get_params()[name] == value
    sizes = search.best_params_["architecture__hidden_layer_sizes"]
    assert best.net_.module_.encoder[0].out_features == sizes[0]
    group = best.net_.optimizer_.param_groups[0]
    assert group["weight_decay"] == search.best_params_["optimizer__weight_decay"]
    # The estimator that was given is not touched.
    assert search.estimator.architecture.hidden_layer_sizes == (12,)


def test_parameters_of_the_convolutions_are_searched() -> None:
    grid = {"channels": [(2,), (4, 6)], "upsampling": ["nearest", "transpose"]}
    search = GridSearchCV(tiny_conv(), grid, cv=2).fit(IMAGES[:80])
    assert len(set(search.cv_results_["mean_test_score"])) == 4
    assert search.best_estimator_.channels == search.best_params_["channels"]


def test_the_score_is_the_one_of_pca() -> None:
    # By the same measure a search can choose between the two.
    pipeline = Pipeline([("reduce", PCA(2))])
    candidates = [PCA(2), tiny_dense(2, architecture=Dense(()), max_epochs=40, lr=0.02)]
    search = GridSearchCV(
        pipeline, {"reduce": candidates}, scoring=variance_explained, cv=2
    ).fit(X * 10)
    pca, linear = search.cv_results_["mean_test_score"]
    assert linear == pytest.approx(pca, abs=0.03)


def variance_explained(pipeline: Pipeline, data: np.ndarray) -> float:
    decoded = pipeline.inverse_transform(pipeline.transform(data))
    return 1 - ((data - decoded) ** 2).sum() / ((data - data.mean(axis=0)) ** 2).sum()


@either
def test_cross_val_score(make: Any) -> None:
    scores = cross_val_score(make(max_epochs=10, lr=0.02), X, cv=3)
    assert scores.shape == (3,)
    assert (scores > 0).all()


def test_a_failed_candidate_does_not_end_the_search() -> None:
    search = GridSearchCV(tiny_dense(), {"code_size": [0, 3]}, cv=2, error_score=-9.0)
    with pytest.warns(match="code_size"):
        search.fit(X)
    assert search.best_params_ == {"code_size": 3}
