"""Values that are finite, but too large to be computed with: an error, no infinity."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np
import pytest
from helpers import OF_ROWS, noise
from sklearn.base import clone

from skautoencoder import VAESampler
from skautoencoder.architectures import Conv

ESTIMATORS: dict[str, Any] = {
    **OF_ROWS,
    "images": VAESampler(
        2,
        architecture=Conv((3,)),
        n_importance_samples=2,
        max_epochs=1,
        random_state=0,
    ),
}
METHODS = (
    "transform predict score_samples score decision_function explain p_values"
).split()
# Squares, sums and sums of squares leave float32 and float64 at some of these.
MAGNITUDES = [
    1e-320,
    1e-150,
    1e-45,
    1e18,
    1e25,
    1e37,
    1e40,
    1e77,
    1e150,
    1e200,
    1.7e308,
]
SINGLE = (2e38, np.float32)  # the range of such values leaves float32
ALLOWED = "too large|overflow|too far away|diverged"


def rows_of(name: str, magnitude: float, dtype: Any, seed: int = 0) -> np.ndarray:
    shape = (4, 4) if name == "images" else (5,)
    most = np.finfo(dtype).max
    with np.errstate(over="ignore"):
        rows = np.clip(noise(20, *shape, seed=seed) * magnitude, -most, most)
    rows = rows.astype(dtype)
    if name == "imputer":
        rows[noise(20, *shape, seed=1) > 1] = np.nan
    return rows


@functools.cache
def fitted(name: str) -> Any:
    return clone(ESTIMATORS[name]).fit(rows_of(name, 1.0, np.float64))


def _fit_and_say_nothing(estimator: Any, X: np.ndarray) -> float:
    estimator.fit(X)
    return 0.0


def assert_finite_or_refused(ask: Any, what: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            answer = ask()
        except ValueError as error:
            said = str(error)
            what = f"{what}: {said}"
            answer = 0.0 if any(words in said for words in ALLOWED) else np.nan
    assert np.isfinite(np.asarray(answer, dtype=np.float64)).all(), what


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_asked_for_values_of_another_magnitude(name: str, dtype: Any) -> None:
    estimator = fitted(name)
    for magnitude in MAGNITUDES:
        X = rows_of(name, magnitude, dtype, seed=2)
        for method in METHODS:
            if hasattr(estimator, method) and (name, method) != ("novelty", "p_values"):
                ask = functools.partial(getattr(estimator, method), X)
                assert_finite_or_refused(ask, f"{method} at {magnitude}")
        if hasattr(estimator, "inverse_transform"):
            codes = rows_of("codes", magnitude, dtype)[:, :2]
            ask = functools.partial(estimator.inverse_transform, codes)
            assert_finite_or_refused(ask, f"inverse_transform at {magnitude}")


@pytest.mark.parametrize("name", ESTIMATORS)
def test_fitted_to_values_of_any_magnitude(name: str) -> None:
    in_double = [1e-320, 1e-150, 1e30, 1e100, 1e150, 1e200, 1.7e308]
    for magnitude, dtype in [*dict.fromkeys(in_double, np.float64).items(), SINGLE]:
        estimator, X = clone(ESTIMATORS[name]), rows_of(name, magnitude, dtype)
        ask = functools.partial(_fit_and_say_nothing, estimator, X)
        assert_finite_or_refused(ask, f"fit at {magnitude}")
        if not hasattr(estimator, "net_"):
            continue
        for method in METHODS:
            if hasattr(estimator, method) and (name, method) != ("novelty", "p_values"):
                for rows in (X, rows_of(name, min(magnitude, 1e37), np.float32)):
                    ask = functools.partial(getattr(estimator, method), rows)
                    assert_finite_or_refused(ask, f"{method} at {magnitude}")
        if hasattr(estimator, "sample"):
            assert np.isfinite(estimator.sample(20, random_state=0)).all()


def test_what_the_errors_say() -> None:
    sampler = fitted("images")
    with pytest.raises(ValueError, match=r"too large for VAESampler.* up to 1e\+25"):
        sampler.score_samples(np.full((2, 4, 4), 1e25))
    for name in ("transformer", "conv", "denoiser", "table", "gaussian", "images"):
        kind = type(ESTIMATORS[name]).__name__
        with pytest.raises(ValueError, match=rf"too large for {kind}.* up to 1e\+39"):
            fitted(name).inverse_transform(np.full((3, 2), 1e39))
    huge = 1e100 * noise(30, 4)
    one, holed = np.ones((2, 4), dtype=np.float32), np.ones((2, 4), dtype=np.float32)
    holed[:, 0] = np.nan
    imputer = clone(ESTIMATORS["imputer"]).fit(huge)
    transformer = clone(ESTIMATORS["transformer"]).fit(huge)
    for ask, rows in ((imputer.transform, holed), (transformer.predict, one)):
        with pytest.raises(ValueError, match="learnt in fit is too large for float32"):
            ask(rows)
        assert np.isfinite(ask(rows.astype(np.float64))).all()
