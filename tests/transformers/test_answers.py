"""What codes, reconstructions and scores mean."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from fits import NORMAL, X, each_dtype, either, fitted
from helpers import (
    DIGITS,
    IMAGES,
    ROWS,
    answers,
    assert_same_answers,
    assert_same_weights,
    noise,
    tiny_dense,
)
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import GradientNormClipping

from skautoencoder import AutoencoderTransformer
from skautoencoder.architectures import Dense


def fit_on(make: Any, kind: str, dtype: Any) -> tuple[Any, np.ndarray]:
    data = {
        "digits": X,
        "images": IMAGES[:50],
        "normal": NORMAL,
        "large": NORMAL * 1e3 + 1e4,
    }[kind].astype(dtype)
    return make().fit(data), data


@each_dtype
@pytest.mark.parametrize("kind", ["digits", "images", "normal", "large"])
@either
def test_the_answers_agree(make: Any, kind: str, dtype: Any) -> None:
    estimator, data = fit_on(make, kind, dtype)
    reconstructed = estimator.predict(data)
    unit = data.std()
    assert_allclose(
        estimator.inverse_transform(estimator.transform(data)),
        reconstructed,
        rtol=1e-6,
        atol=1e-5 * unit,
    )
    wide, flat = data.astype(np.float64), (len(data), -1)
    errors = ((wide - reconstructed).reshape(flat) ** 2).mean(axis=1)
    assert_allclose(estimator.score_samples(data), -errors, rtol=1e-3)
    assert errors.min() > 0

    score = estimator.score(data)
    assert type(score) is float
    assert score == pytest.approx(explained(wide, reconstructed), abs=1e-4)
    # Of other samples, their own mean is what counts.
    part = estimator.score(data[:7])
    assert part == pytest.approx(explained(wide[:7], reconstructed[:7]), abs=1e-4)
    if kind in ("normal", "large"):
        # scikit-learn leaves out features that are constant.
        theirs = r2_score(wide, reconstructed, multioutput="variance_weighted")
        assert score == pytest.approx(theirs, abs=1e-4)


def explained(data: np.ndarray, reconstructed: np.ndarray) -> float:
    """Return the fraction of the variance explained, in its closed form."""
    rows, answered = data.reshape(len(data), -1), reconstructed.reshape(len(data), -1)
    return 1 - ((rows - answered) ** 2).sum() / ((rows - rows.mean(axis=0)) ** 2).sum()


@pytest.mark.parametrize("n_components", [1, 5, 12])
def test_a_linear_network_explains_as_much_as_pca(n_components: int) -> None:
    data = StandardScaler().fit_transform(DIGITS.data[:400])
    pca = PCA(n_components).fit(data)
    linear = AutoencoderTransformer(
        n_components, architecture=Dense(()), max_epochs=40, lr=3e-2, random_state=0
    ).fit(data)
    best = pca.explained_variance_ratio_.sum()
    # PCA is the best there is, and by the same measure.
    assert best - 0.01 < linear.score(data) <= best + 1e-6
    assert explained(data, pca.inverse_transform(pca.transform(data))) == pytest.approx(
        best
    )


def test_a_linear_network_finds_the_subspace_of_pca() -> None:
    linear = tiny_dense(
        3,
        architecture=Dense(()),
        optimizer="lbfgs",
        optimizer__line_search_fn="strong_wolfe",
        lr=1.0,
        lr_schedule="constant",
        batch_size=100,
        max_epochs=20,
    ).fit(NORMAL)
    pca = PCA(3).fit(NORMAL)
    expected = pca.inverse_transform(pca.transform(NORMAL))
    assert_allclose(linear.predict(NORMAL), expected, atol=0.03 * NORMAL.std())


def test_score_of_samples_without_variance() -> None:
    estimator = fitted(tiny_dense)
    assert estimator.score(np.repeat(X[:1], 5, axis=0)) == 0.0
    constant = tiny_dense().fit(np.full((10, 4), 2.0))
    assert constant.score(np.full((5, 4), 2.0)) == 1.0


@either
def test_an_answer_does_not_depend_on_the_rows_around(make: Any) -> None:
    estimator, data = fitted(make), ROWS[:1200]  # more than a batch of answers
    order = np.random.RandomState(0).permutation(len(data))
    for method in ("transform", "predict", "score_samples"):
        answer = getattr(estimator, method)
        whole = answer(data)
        assert_array_equal(answer(data[order]), whole[order])
        assert_array_equal(answer(data[1030:1040]), whole[1030:1040])
        assert_array_equal(
            np.vstack([answer(data[[i]]) for i in (0, 7)]).ravel(),
            whole[[0, 7]].ravel(),
        )
    codes = estimator.transform(data)
    assert_array_equal(
        estimator.inverse_transform(codes[order]),
        estimator.inverse_transform(codes)[order],
    )


@either
def test_applying_changes_nothing(make: Any) -> None:
    estimator = copy.deepcopy(fitted(make))
    before = copy.deepcopy(vars(estimator))
    stored = pickle.dumps(estimator.net_.module_.state_dict())
    given = X.copy()
    answers(estimator, given)
    estimator.get_feature_names_out()
    assert_array_equal(given, X)
    assert vars(estimator).keys() == before.keys()
    assert pickle.dumps(estimator.net_.module_.state_dict()) == stored


@either
def test_fit_transform_and_what_fit_returns(make: Any) -> None:
    estimator = make()
    assert estimator.fit(X) is estimator
    assert_array_equal(make().fit_transform(X), estimator.transform(X))
    # The target is ignored.
    y = DIGITS.target[:50]
    assert_array_equal(make().fit_transform(X, y), estimator.transform(X))
    assert estimator.score(X, y) == estimator.score(X)
    assert make().partial_fit(X, y).n_iter_ == 1


@either
def test_a_second_fit_forgets_the_first(make: Any) -> None:
    estimator = make().fit(noise(40, 5, 5))
    estimator.fit(X)
    assert_same_weights(estimator, fitted(make))
    assert_same_answers(estimator, fitted(make), X)
    assert estimator.n_iter_ == 3
    assert estimator.sample_shape_ == (64,)


@either
def test_fit_leaves_the_parameters_alone(make: Any) -> None:
    estimator = make(callbacks=[GradientNormClipping(1.0)])
    before = {name: repr(v) for name, v in estimator.get_params().items()}
    callback = estimator.callbacks[0]
    state = vars(callback).copy()
    estimator.fit(X)
    assert {name: repr(v) for name, v in estimator.get_params().items()} == before
    assert estimator.callbacks[0] is callback
    assert vars(callback) == state
