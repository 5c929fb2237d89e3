"""Any input is answered or refused in words, and leaves everything as it was.

`make fuzz` tries many more cases than `make test`, others each time, and counts them.
"""

from __future__ import annotations

import copy
import functools
import inspect
import os
import pickle
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import hostile
import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import OF_ROWS, noise
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from skautoencoder import SeriesOutlierDetector, VAEOverSampler
from skautoencoder.architectures import Dense

#: How many cases are tried in all; `make fuzz` sets more.
N_CASES = int(os.environ.get("SKAUTOENCODER_INPUTS", "250"))
N_FEATURES, CODE_SIZE = 4, 2

SERIES = SeriesOutlierDetector(
    4, architecture=Dense((6,)), max_epochs=1, random_state=0
)
ESTIMATORS: dict[str, Any] = {
    **OF_ROWS,
    "series": SERIES,
    "over-sampler": VAEOverSampler(OF_ROWS["table"], random_state=0),
}
ROWS = noise(24, N_FEATURES)
CLASSES = np.repeat([0, 1], [16, 8])
REFERENCE = noise(3, N_FEATURES, seed=1)

X = hostile.anything(N_FEATURES)
CODES = hostile.anything(CODE_SIZE)
ONE = hostile.anything(N_FEATURES, 1)
ODD = hostile.odd_values
VECTOR = st.one_of(hostile.anything(1), ODD)
# The arguments of each method; those in brackets are given or not.
QUESTIONS: dict[str, dict[str, Any]] = {
    "transform": {"X": X},
    "predict": {"X": X, "[before]": X},
    "score_samples": {"X": X, "[y]": VECTOR, "[before]": X},
    "decision_function": {"X": X, "[before]": X},
    "score": {"X": X, "[y]": VECTOR, "[sample_weight]": VECTOR, "[X_clean]": X},
    "inverse_transform": {"X": CODES},
    "interpolate": {"start": ONE, "stop": ONE, "[n_steps]": ODD},
    "explain": {"X": X, "[before]": X},
    "p_values": {"X": X},
    "discover": {"X": X, "[false_discovery_rate]": ODD},
    "code_maps": {"X": X},
    "sample": {"n_samples": ODD, "[random_state]": ODD, "[y]": VECTOR},
    "sample_posterior": {"X": X, "[random_state]": ODD},
    "get_feature_names_out": {},  # scikit-learn's
}
FITS: dict[str, dict[str, Any]] = {
    "fit": {"X": X, "[sample_weight]": VECTOR, "[X_valid]": X, "[X_clean]": X},
    "partial_fit": {"X": X, "[X_clean]": X},
    "fit_transform": {"X": X},
    "fit_predict": {"X": X},
    "fit_resample": {"X": hostile.anything(N_FEATURES, 12), "y": VECTOR},
}
COUNTS: Counter[str] = Counter()


@functools.cache
def fitted(name: str) -> Any:
    estimator = copy.deepcopy(ESTIMATORS[name])
    return estimator.fit(ROWS, CLASSES if name == "over-sampler" else None)


def bits_of(estimator: Any) -> bytes:
    """Return what a fitted estimator answers, to the last bit."""
    if isinstance(estimator, VAEOverSampler):
        learnt = estimator.sampling_strategy_, estimator.classes_.tolist()
        drawn = estimator.sampler_.sample(3, random_state=0, y=estimator.classes_[0])
        # Its method is a fit, which is of no use to what comes after.
        X, y = copy.deepcopy(estimator).fit_resample(ROWS, CLASSES)
        others = repr(learnt).encode() + drawn.tobytes() + X.tobytes() + y.tobytes()
        return others + bits_of(estimator.sampler_)
    ask = getattr(estimator, "score_samples", None) or estimator.transform
    return np.ascontiguousarray(ask(REFERENCE)).tobytes()


@functools.cache
def reference_bits(name: str) -> bytes:
    return bits_of(fitted(name))


def frozen(value: Any) -> Any:
    """Return what tells whether a value was changed."""
    if isinstance(value, pd.DataFrame):
        parts = [value.to_numpy(object), value.index, value.columns]
        texts = [[repr(cell) for cell in np.ravel(part)] for part in parts]
        return texts, [*map(str, value.dtypes)]
    try:
        return pickle.dumps(value)
    except (TypeError, AttributeError, NotImplementedError, pickle.PicklingError):
        return repr(value)


def arguments(draw: Any, estimator: Any, method: str, asked: dict[str, Any]) -> Any:
    """Draw arguments that a method has."""
    code = getattr(type(estimator), method)
    known = getattr(code, "__wrapped__", code)
    taken = inspect.signature(known).parameters
    drawn = {}
    for name, strategy in asked.items():
        bare = name.strip("[]")
        is_taken = bare in taken or (bare == "sample_weight" and "fit_params" in taken)
        if is_taken and (bare == name or not draw(st.integers(0, 3))):
            drawn[bare] = draw(strategy)
    return drawn


def outcome(estimator: Any, method: str, drawn: dict[str, Any]) -> Any:
    """Return a method's answer, or the error by which it refuses its arguments."""
    note(f"{type(estimator).__name__}.{method}(**{drawn!r})")
    before = {name: frozen(value) for name, value in drawn.items()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", RuntimeWarning)
            answer = getattr(estimator, method)(**drawn)
    except (TypeError, ValueError) as error:
        answer = error
    if isinstance(answer, Exception):
        # What is wrong with data may be that they do not go with a parameter.
        names = [type(estimator).__name__, "VAESampler", *drawn]
        named = "|".join([*names, *estimator.get_params(deep=False)])
        assert re.search(rf"\b({named})\b", str(answer)), repr(answer)
    for name, value in drawn.items():
        if name != "random_state":
            assert frozen(value) == before[name], f"{name} was changed"
    COUNTS["refused" if isinstance(answer, Exception) else "answered"] += 1
    return answer


def numbers_in(answer: Any) -> Iterator[np.ndarray]:
    """Yield the numbers of an answer as arrays."""
    if isinstance(answer, list | tuple):
        for part in answer:
            yield from numbers_in(part)
        return
    if isinstance(answer, pl.DataFrame | pl.Series | pd.DataFrame | pd.Series):
        answer = answer.to_numpy()
    answer = np.asarray(answer)
    if answer.dtype.kind in "biuf":
        yield answer


def assert_finite(answer: Any) -> None:
    for numbers in numbers_in(answer):
        assert np.isfinite(numbers).all(), answer


def methods_of(table: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the pairs of an estimator and a method of it."""
    return [
        (name, method)
        for name, estimator in ESTIMATORS.items()
        for method in table
        if hasattr(estimator, method)
    ]


N_METHODS = len(methods_of(QUESTIONS)) + len(methods_of(FITS))


@pytest.fixture(scope="module", autouse=True)
def _count() -> Iterator[None]:
    yield
    print(f"\ninput: {dict(COUNTS)}")


def as_plain(X: Any) -> Any:
    """Return the numbers of an array or a frame as an ordinary array, or None."""
    if isinstance(X, np.ndarray) and not isinstance(X, np.ma.MaskedArray | np.matrix):
        return np.array(X, order="C", subok=False)
    if isinstance(X, pd.DataFrame):
        return X.to_numpy(dtype=np.float64, na_value=np.nan)
    if isinstance(X, pl.DataFrame):
        return X.cast(pl.Float64).to_numpy()
    return None


def try_question(name: str, method: str, drawn: dict[str, Any]) -> None:
    estimator = fitted(name)
    attributes = vars(estimator).copy()
    answer = outcome(estimator, method, drawn)
    assert vars(estimator) == attributes
    assert bits_of(estimator) == reference_bits(name)
    if isinstance(answer, Exception):
        return
    assert_finite(answer)
    plain = as_plain(drawn.get("X"))
    # Columns of a table have kinds, and draws are others each time.
    if plain is None or name == "table" or method == "sample_posterior":
        return
    same = outcome(estimator, method, {**drawn, "X": plain})
    for found, wanted in zip(numbers_in(answer), numbers_in(same), strict=True):
        if isinstance(drawn["X"], np.ndarray):
            np.testing.assert_array_equal(found, wanted)
        else:
            np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5)


def try_fit(name: str, method: str, drawn: dict[str, Any]) -> None:
    estimator = copy.deepcopy(fitted(name))
    attributes = vars(estimator).copy()
    answer = outcome(estimator, method, drawn)
    if isinstance(answer, Exception):
        assert vars(estimator) == attributes
        assert bits_of(estimator) == reference_bits(name)
    elif answer is not estimator:
        assert_finite(answer)


def run(name: str, method: str, table: dict[str, Any], attempt: Any) -> None:
    """Try a method again and again."""

    @settings(
        max_examples=max(N_CASES // N_METHODS, 1),
        deadline=None,
        database=None,
        derandomize="SKAUTOENCODER_INPUTS" not in os.environ,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @given(st.data())
    def ask(data: Any) -> None:
        attempt(name, method, arguments(data.draw, fitted(name), method, table[method]))

    ask()


@pytest.mark.parametrize(("name", "method"), methods_of(QUESTIONS))
def test_any_question_is_answered_or_refused(name: str, method: str) -> None:
    run(name, method, QUESTIONS, try_question)


@pytest.mark.parametrize(("name", "method"), methods_of(FITS))
def test_any_fit_succeeds_or_changes_nothing(name: str, method: str) -> None:
    run(name, method, FITS, try_fit)
