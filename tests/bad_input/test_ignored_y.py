"""Samples given as `y` to estimators that learn without one."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import IMAGES, assert_same_weights, noise, tiny_conv, tiny_dense
from refusals import X, either
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from skautoencoder import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAESampler,
)
from skautoencoder.architectures import Dense, Recurrent

CURE = r"DenoisingAutoencoder and its fit\(X_noisy, X_clean=X_clean\)"
SMALL: dict[str, Any] = {"architecture": Dense((4,)), "max_epochs": 1}
OTHERS = [
    AutoencoderImputer(**SMALL),
    AutoencoderOutlierDetector(**SMALL),
    VAESampler(likelihood="gaussian", **SMALL),
]
OTHER = 2 * X + noise(*X.shape)


@either
@pytest.mark.parametrize("method", ["fit", "partial_fit", "score"])
def test_other_samples_as_y(make: Any, method: str) -> None:
    estimator = make(max_epochs=1, random_state=0).fit(X)
    for y in (OTHER, pd.DataFrame(OTHER), OTHER.astype(int)):
        with pytest.warns(UserWarning, match=CURE) as caught:
            getattr(estimator, method)(X, y)
        assert len(caught) == 1
        assert str(caught[0].message).startswith(type(estimator).__name__)


@pytest.mark.parametrize("estimator", OTHERS, ids=lambda e: type(e).__name__)
def test_other_samples_as_y_of_other_estimators(estimator: Any) -> None:
    with pytest.warns(UserWarning, match=CURE):
        estimator.fit(X, OTHER)
    estimator.fit(X, X.copy())
    if hasattr(estimator, "score"):
        with pytest.warns(UserWarning, match=CURE):
            estimator.score(X, OTHER)


@pytest.mark.parametrize("backend", ["numpy_nullable", "pyarrow", "object"])
def test_other_samples_of_types_that_numpy_has_not(backend: Any) -> None:
    as_object = backend == "object"
    noisy, clean = (
        pd.DataFrame(rows).astype(object)
        if as_object
        else pd.DataFrame(rows).convert_dtypes(dtype_backend=backend)
        for rows in (X, OTHER)
    )
    with pytest.warns(UserWarning, match=CURE):
        tiny_dense(max_epochs=1).fit(noisy, clean)
    tiny_dense(max_epochs=1).fit(noisy, noisy.copy())
    with pytest.raises(ValueError, match="Pass clean samples by name"):
        DenoisingAutoencoder(**SMALL).fit(noisy, clean)


def test_sequences_as_y() -> None:
    noisy = [noise(5 + i % 3, 2) for i in range(20)]
    clean = [sequence / 2 for sequence in noisy]
    recurrent: dict[str, Any] = {"code_size": 3, "architecture": Recurrent("gru")}
    with pytest.warns(UserWarning, match=CURE):
        AutoencoderTransformer(max_epochs=1, **recurrent).fit(noisy, clean)
    AutoencoderTransformer(max_epochs=1, **recurrent).fit(noisy, noisy.copy())
    with pytest.raises(ValueError, match="Pass clean samples by name"):
        DenoisingAutoencoder(max_epochs=1, **recurrent).fit(noisy, clean)


def test_images_as_y() -> None:
    estimator = tiny_conv(max_epochs=1)
    with pytest.warns(UserWarning, match=CURE):
        estimator.fit(IMAGES[:20], 1 - IMAGES[:20])
    with pytest.warns(UserWarning, match=CURE):
        estimator.fit(IMAGES[:20], 1 - X[:20])


def test_y_that_is_no_cause_for_a_warning() -> None:
    frame = pd.DataFrame(X).astype(object)
    estimator = tiny_dense(max_epochs=1).fit(frame)
    expected = tiny_dense(max_epochs=1).fit(X)
    targets = [X, X.copy(), frame, X[:, 0], X[:, :1], X[:, :9], OTHER.astype(str)]
    targets += [OTHER.astype(str).astype(object)]
    for y in targets:
        assert_same_weights(estimator.fit(frame, y), expected)
        estimator.score(X, y)
    column = tiny_dense(1, max_epochs=1).fit(X[:, 20:21], OTHER[:, :1])
    column.score(X[:, 20:21], OTHER[:, :1])
    holes = np.where(X > 0.9, np.nan, X)
    AutoencoderImputer(**SMALL).fit(holes, holes.copy())


@pytest.mark.parametrize(
    "step", [tiny_dense(max_epochs=1), *OTHERS[::2]], ids=lambda e: type(e).__name__
)
def test_targets_that_come_down_a_pipeline(step: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipeline = make_pipeline(step.set_params(random_state=0), Ridge())
        pipeline.fit(X, OTHER).score(X, OTHER)
    first = pipeline[0]
    assert_same_weights(first, type(first)(**step.get_params(deep=False)).fit(X))
