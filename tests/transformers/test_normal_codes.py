"""With the penalty MMD, codes are normal numbers and normal numbers are codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import BOTH, ROWS, assert_same_weights, have_same_weights, tiny_dense
from sklearn.neighbors import NearestNeighbors

from skautoencoder import (
    MMD,
    AutoencoderTransformer,
    DenoisingAutoencoder,
)
from skautoencoder.architectures import Dense

X, X_TEST = ROWS[:600], ROWS[1000:]

either = pytest.mark.parametrize("make", BOTH)


def fitted(kind: Any, **params: Any) -> Any:
    return kind(
        code_size=4,
        architecture=Dense((64,)),
        batch_size=64,
        max_epochs=16,
        lr=5e-3,
        random_state=0,
        **params,
    ).fit(X)


def distances_from_normal(estimator: Any) -> tuple[float, float]:
    """Return how far means and covariances of codes are from 0 and the identity."""
    codes = estimator.transform(X_TEST)
    return np.abs(codes.mean(axis=0)).max(), np.abs(np.cov(codes.T) - np.eye(4)).max()


def distance_to_samples(estimator: Any) -> float:
    """Return how far digits are from the nearest decoded draw."""
    draws = np.random.RandomState(0).normal(size=(300, 4))
    samples = estimator.inverse_transform(draws).reshape(300, -1)
    return float(np.median(NearestNeighbors().fit(samples).kneighbors(X_TEST, 1)[0]))


@pytest.mark.parametrize("kind", [AutoencoderTransformer, DenoisingAutoencoder])
def test_codes_are_normal_and_draws_decode_to_digits(kind: Any) -> None:
    plain, penalised = fitted(kind), fitted(kind, penalty="mmd")
    mean, covariance = distances_from_normal(penalised)
    assert mean < 0.3
    assert covariance < 0.7
    assert distances_from_normal(plain)[1] > 2
    assert distance_to_samples(penalised) < 0.94 * distance_to_samples(plain)
    # It costs a little of the reconstruction.
    assert penalised.score(X_TEST) > plain.score(X_TEST) - 0.07


@either
def test_it_follows_the_seed(make: Any) -> None:
    params = {"early_stopping": True, "max_epochs": 2}
    first = make(penalty="mmd", **params).fit(X[:100])
    assert_same_weights(first, make(penalty="mmd", **params).fit(X[:100]))
    assert not have_same_weights(first, make(**params).fit(X[:100]))


@either
def test_in_reduced_precision(make: Any) -> None:
    estimator = make(penalty=MMD(0.1), precision="bfloat16", max_epochs=5, lr=1e-2)
    assert estimator.fit(X[:200]).score(X[:200]) > 0


def test_one_row_has_nothing_to_be_compared_with() -> None:
    estimator = tiny_dense(penalty="mmd", early_stopping=True)
    with pytest.raises(ValueError, match="at least 2 rows, but they would have 1"):
        estimator.fit(X[:2])
    estimator.partial_fit(X[:2])
    with pytest.raises(ValueError, match="give more rows at a time"):
        estimator.partial_fit(X[2:3])
