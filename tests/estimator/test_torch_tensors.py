"""Tensors of torch's stand for arrays, also those that autograd knows of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers import noise, tiny_conv, tiny_dense

from skautoencoder import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    DenoisingAutoencoder,
    VAESampler,
)
from skautoencoder.architectures import Dense

METHODS = [
    "transform",
    "predict",
    "inverse_transform",
    "score_samples",
    "score",
    "decision_function",
    "explain",
    "fit_transform",
    "fit_predict",
    "partial_fit",
]
small: dict[str, Any] = {
    "architecture": Dense((4,)),
    "max_epochs": 1,
    "random_state": 0,
}
ESTIMATORS = {
    "dense": tiny_dense(2),
    "conv": tiny_conv(2),
    "denoiser": DenoisingAutoencoder(**small),
    "detector": AutoencoderOutlierDetector(**small),
    "imputer": AutoencoderImputer(**small),
    "sampler": VAESampler(2, **small),
    "sampler of numbers": VAESampler(2, likelihood="gaussian", **small),
}


def tensor(X: np.ndarray) -> torch.Tensor:
    return torch.tensor(X, requires_grad=True)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_tensors_that_require_a_gradient(name: str) -> None:
    X = noise(40, 4).astype(np.float32)
    estimator = ESTIMATORS[name].fit(X)
    answers = {}
    for method in filter(lambda method: hasattr(estimator, method), METHODS):
        given = X
        if method == "inverse_transform":
            given = estimator.transform(X)
        answers[method] = given, getattr(estimator, method)(given)
    estimator.fit(tensor(X))
    for method, (given, expected) in answers.items():
        found = getattr(estimator, method)(tensor(given))
        if method != "partial_fit":
            np.testing.assert_array_equal(found, expected, err_msg=method)
    if hasattr(estimator, "interpolate"):
        between = estimator.interpolate(tensor(X[0]), tensor(X[1]))
        np.testing.assert_array_equal(between, estimator.interpolate(X[0], X[1]))


def test_pairs_that_require_a_gradient() -> None:
    X = noise(40, 4)
    denoiser = DenoisingAutoencoder(**small).fit(X, X_clean=X / 2)
    score = denoiser.score(X, X_clean=X / 2)
    denoiser.fit(tensor(X), X_clean=tensor(X / 2))
    assert denoiser.score(tensor(X), X_clean=tensor(X / 2)) == score


def test_tensors_of_types_that_numpy_does_not_have() -> None:
    X = torch.tensor(noise(40, 4)).bfloat16()
    codes = tiny_dense(2).fit(X).transform(X)
    np.testing.assert_array_equal(codes, tiny_dense(2).fit(X.float()).transform(X))
