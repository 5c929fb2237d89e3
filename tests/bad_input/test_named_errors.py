"""Errors that come from other libraries name what they are about, and so do ours."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from helpers import OF_ROWS, noise
from sklearn.base import clone

from skautoencoder import SeriesOutlierDetector, VAEOverSampler

X = noise(20, 4)
ALL = [*OF_ROWS, "series"]
SERIES = SeriesOutlierDetector(4, max_epochs=1, random_state=0)


def unfitted(name: str) -> Any:
    return clone(SERIES if name == "series" else OF_ROWS[name])


@functools.cache
def fitted(name: str) -> Any:
    return unfitted(name).fit(X)


def put(value: Any) -> np.ndarray:
    cells = X.astype(object)
    cells[3, 1] = value
    return cells


UNREADABLE: dict[str, tuple[Any, type[Exception], str]] = {
    "complex": (X + 1j, ValueError, "X: Complex data not supported"),
    "complex frame": (pd.DataFrame(X + 1j), (ValueError, TypeError), "X.*omplex"),
    "scalar": (np.array(3.0), ValueError, "X: Expected 2D array, got scalar"),
    "word": ("table.csv", ValueError, "X: "),
    "large integers": (put(10**400), ValueError, "X.*(int too large|overflow)"),
    "sparse tensor": (
        torch.tensor(X).to_sparse(),
        TypeError,
        r"X is a tensor with the layout torch\.sparse_coo.*to_dense",
    ),
    "tensor without values": (
        torch.tensor(X).to("meta"),
        TypeError,
        "X is a tensor with no values",
    ),
    "lazy frame": (pl.DataFrame(X).lazy(), (ValueError, TypeError), r"\bX\b"),
    "same names": (
        pd.DataFrame(X, columns=["same"] * 4).astype(object).assign(cell=[{}] * 20),
        (ValueError, TypeError),
        r"Column 'cell' of X|X: Expected unique column names.*columns\.duplicated",
    ),
}


# polars warns when its columns are asked for, and scikit-learn before 1.7 of names.
@pytest.mark.filterwarnings(
    "ignore:Determining the .* of a LazyFrame", "ignore:X has feature names, but"
)
@pytest.mark.parametrize("case", UNREADABLE)
@pytest.mark.parametrize("name", ALL)
def test_what_cannot_be_read_is_x(name: str, case: str) -> None:
    bad, kind, message = UNREADABLE[case]
    with pytest.raises(kind, match=f"(?s){message}"):
        unfitted(name).fit(bad)
    estimator = fitted(name)
    ask = getattr(estimator, "score_samples", None) or estimator.transform
    with pytest.raises((TypeError, ValueError), match=r"\bX\b"):
        ask(bad)


ONE, TWO = X[:1], X[:2]
WRONG: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "start": ("transformer", "interpolate", {"start": X[:1, :2], "stop": ONE}, "start"),
    "stop": ("gaussian", "interpolate", {"start": ONE, "stop": ONE + 1j}, "stop"),
    "n_steps": (
        "transformer",
        "interpolate",
        {"start": ONE, "stop": ONE, "n_steps": 10**30},
        "n_steps",
    ),
    "X_valid": ("transformer", "fit", {"X": X, "X_valid": X[:, :2]}, "X_valid: X has"),
    "X_clean": ("denoiser", "fit", {"X": X, "X_clean": X + 1j}, "X_clean: Complex"),
    "partial": ("denoiser", "partial_fit", {"X": X, "X_clean": X}, "X_clean"),
    "before": ("series", "predict", {"X": X, "before": X[:, :2]}, "before: X has"),
    "text": (
        "transformer",
        "score",
        {"X": TWO, "sample_weight": ["a", "b"]},
        "sample_weight: could not convert",
    ),
    "complex weights": (
        "gaussian",
        "fit",
        {"X": TWO, "sample_weight": [1j, 2]},
        "sample_weight has complex",
    ),
    "random_state": ("table", "sample", {"random_state": [1]}, "random_state must"),
    "draws": ("table", "sample_posterior", {"X": X, "random_state": -1}, "random_stat"),
    "n_samples": ("gaussian", "sample", {"n_samples": 10**30}, "n_samples"),
    "rate": (
        "detector",
        "discover",
        {"X": X, "false_discovery_rate": [1]},
        "false_discovery_rate",
    ),
    "no rows": ("table", "predict", {"X": pd.DataFrame(X[:0])}, "by VAESampler"),
}


@pytest.mark.parametrize("case", WRONG)
def test_errors_name_the_parameter(case: str) -> None:
    name, method, arguments, message = WRONG[case]
    with pytest.raises((TypeError, ValueError), match=message):
        getattr(fitted(name), method)(**arguments)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (X, [0, 1], "y: Found input variables with inconsistent"),
        (X, X[:, 0], "y: Unknown label type"),
        (X[:0], [], "y has no rows"),
        (None, [0, 1], "X: Expected sequence"),
    ],
)
def test_the_over_sampler_names_x_and_y(X: Any, y: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        VAEOverSampler(OF_ROWS["table"]).fit_resample(X, y)


@pytest.mark.parametrize("make", [pd.Series, pl.Series])
def test_a_series_is_no_table(make: Any) -> None:
    with pytest.raises(ValueError, match=r"X: Expected (2D array|a 2-dimensional)"):
        fitted("transformer").transform(make(X[0]))
