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
    assert_same_weights,
    tiny_conv,
    tiny_dense,
)
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline

from skautoencoder.architectures import Conv, Dense

X, y = ROWS[:160], DIGITS.target[:160]
either = pytest.mark.parametrize("make", BOTH)


def test_threads_give_the_same_bits() -> None:
    from joblib import parallel_backend

    grid = {"code_size": [2, 4], "architecture": [Dense((8,)), Conv((3,))]}
    one = GridSearchCV(tiny_dense(max_epochs=1), grid, cv=2).fit(X)
    with parallel_backend("threading", n_jobs=3):
        many = GridSearchCV(tiny_dense(max_epochs=1), grid, cv=2, n_jobs=3).fit(X)
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
    search = GridSearchCV(tiny_conv(max_epochs=1), grid, cv=2).fit(IMAGES[:40])
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
    scores = cross_val_score(make(max_epochs=8, lr=0.03), X, cv=2)
    assert scores.shape == (2,)
    assert (scores > 0).all()


def test_a_failed_candidate_does_not_end_the_search() -> None:
    search = GridSearchCV(tiny_dense(), {"code_size": [0, 3]}, cv=2, error_score=-9.0)
    with pytest.warns(match="code_size"):
        search.fit(X)
    assert search.best_params_ == {"code_size": 3}
