"""What goes in with an index or as a type comes out with it, of every estimator."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import OF_ROWS, noise
from sklearn.base import clone
from sklearn.model_selection import train_test_split

from skautoencoder import (
    VAESampler,
)
from skautoencoder._estimator.containers import cast, to_integers

ESTIMATORS = OF_ROWS
# What answers with a row for each row.
TO_ROWS = ["transform", "fit_transform", "predict", "inverse_transform", "explain"]
TO_SCORES = ["score_samples", "decision_function", "p_values"]
each = pytest.mark.parametrize("name", ESTIMATORS)

NAMES = ["a", "b", "c", "d"]
TABLE = pd.DataFrame(noise(60, 4), columns=NAMES, index=[f"row {i}" for i in range(60)])
TRAIN, TEST = train_test_split(TABLE, random_state=0)
IS_DETECTOR = ("detector", "novelty")


def fresh(name: str) -> Any:
    return clone(ESTIMATORS[name])


@functools.cache
def fitted(name: str, output: str = "default") -> Any:
    estimator = fresh(name)
    if hasattr(estimator, "set_output"):
        estimator = estimator.set_output(transform=output)
    return estimator.fit(TRAIN)


def asked(name: str, method: str, X: Any) -> Any:
    """Return what goes into a method: codes with the index of `X`, or `X`."""
    if method != "inverse_transform":
        return X
    columns = ["first", "second"]
    codes = noise(len(X), 2)
    if isinstance(X, pl.DataFrame):
        return pl.DataFrame(codes, schema=columns)
    return pd.DataFrame(codes, index=X.index, columns=columns)


def may_be_asked(name: str, method: str) -> bool:
    if name in IS_DETECTOR and method == "predict":
        return False  # which is a label for each row
    return hasattr(ESTIMATORS[name], method)


# ---- the index -----------------------------------------------------------------------


@pytest.mark.parametrize("method", TO_ROWS)
@each
def test_frames_come_out_with_the_index_they_came_with(name: str, method: str) -> None:
    if not may_be_asked(name, method):
        return
    X = asked(name, method, TEST)
    for output in ("default", "pandas"):
        answer = getattr(fitted(name, output), method)(X)
        if "transform" in method and method != "inverse_transform":
            if output == "default":  # scikit-learn's own word on it
                assert isinstance(answer, np.ndarray)
                continue
        elif not method.endswith("transform"):
            assert list(answer.columns) == NAMES
        assert isinstance(answer, pd.DataFrame), output
        pd.testing.assert_index_equal(answer.index, TEST.index)
        # In the order of the rows.
        alone = getattr(fitted(name, output), method)
        if method != "fit_transform":
            np.testing.assert_allclose(answer[3:4], alone(X[3:4]), rtol=1e-4)


@pytest.mark.parametrize("method", TO_SCORES)
@each
def test_scores_are_arrays(name: str, method: str) -> None:
    if (method == "p_values" and name == "novelty") or not may_be_asked(name, method):
        return
    assert isinstance(getattr(fitted(name), method)(TEST), np.ndarray)


def test_codes_of_a_posterior_come_out_as_those_of_transform() -> None:
    assert isinstance(fitted("table").sample_posterior(TEST), np.ndarray)
    sampler = fitted("table", "pandas")
    drawn, codes = sampler.sample_posterior(TEST), sampler.transform(TEST)
    pd.testing.assert_index_equal(drawn.index, TEST.index)
    assert list(drawn.columns) == list(codes.columns)
    assert list(sampler.inverse_transform(drawn).index) == list(TEST.index)


@each
def test_columns_of_reconstructions_are_those_of_fit(name: str) -> None:
    estimator = fitted(name)
    if not hasattr(estimator, "inverse_transform"):
        return
    codes = pd.DataFrame(noise(3, 2), index=[7, 5, 9])
    rows = estimator.inverse_transform(codes)
    assert list(rows.columns) == NAMES
    assert list(rows.index) == [7, 5, 9]
    # Names of codes are none of features, also if there are as many.
    wide = fresh(name).set_params(code_size=4).fit(TRAIN.to_numpy())
    codes_of_four = pd.DataFrame(noise(3, 4), columns=list("wxyz"))
    assert list(wide.inverse_transform(codes_of_four).columns) == [0, 1, 2, 3]
    # Without names there are numbers, and of arrays there are arrays.
    nameless = fresh(name).fit(TRAIN.to_numpy())
    assert list(nameless.inverse_transform(codes).index) == [7, 5, 9]
    assert isinstance(nameless.inverse_transform(codes.to_numpy()), np.ndarray)
    # The sampler's rows are what fit saw.
    is_sampler = isinstance(estimator, VAESampler)
    given = estimator.inverse_transform(codes.to_numpy())
    assert isinstance(given, pd.DataFrame if is_sampler else np.ndarray)


@each
def test_frames_of_polars_come_out_as_such(name: str) -> None:
    X = pl.DataFrame({name: TRAIN[name].to_numpy() for name in NAMES})
    estimator = fresh(name).fit(X)
    for method in ("predict", "inverse_transform", "explain"):
        if may_be_asked(name, method):
            answer = getattr(estimator, method)(asked(name, method, X))
            assert isinstance(answer, pl.DataFrame), method
            assert answer.columns == NAMES


def test_tables_of_arrow_are_taken() -> None:
    """Also as codes and as clean samples, and their columns are named in errors."""
    pytest.importorskip("pyarrow")
    table, codes = pl.from_pandas(TABLE).to_arrow(), noise(5, 2)
    for name in ("transformer", "table"):
        answer = fitted(name).inverse_transform(pl.DataFrame(codes).to_arrow())
        assert np.array_equal(answer, fitted(name).inverse_transform(codes))
    named = pl.DataFrame(codes, schema=[*fitted("table").get_feature_names_out()[::-1]])
    with pytest.raises(ValueError, match="in their order"):
        fitted("table").inverse_transform(named.to_arrow())
    denoiser = fresh("denoiser").fit(table, X_clean=table)
    with pytest.raises(ValueError, match="X_clean has the column 'b' where X has 'a'"):
        denoiser.fit(table, X_clean=table.select(NAMES[::-1][2:] + NAMES[2:]))
    words = table.append_column("city", [["x"] * len(TABLE)])
    with pytest.raises(ValueError, match="Column 'city' of X has strings"):
        denoiser.fit(words)


def test_images_fit_into_no_frame() -> None:
    images = noise(30, 4, 4)
    for estimator in (fresh("transformer"), fresh("table")):
        estimator.set_output(transform="pandas").fit(images)
        codes = estimator.transform(images)
        assert estimator.inverse_transform(codes).shape == (30, 4, 4)


@each
def test_names_are_forgotten_by_another_fit(name: str) -> None:
    estimator = fresh(name).fit(TRAIN)
    assert list(estimator.feature_names_in_) == NAMES
    estimator.fit(TRAIN.to_numpy())
    assert not hasattr(estimator, "feature_names_in_")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator.score_samples(TEST.to_numpy()) if name != "imputer" else None


# ---- types ---------------------------------------------------------------------------


def kinds_of_rows(folder: Path) -> dict[str, tuple[Any, Any]]:
    """Return rows in many containers, and the type of what is made of them."""
    whole = np.random.RandomState(0).randint(0, 100, (40, 4))
    numbers = noise(40, 4)
    read_only = numbers.copy()
    read_only.flags.writeable = False
    mapped = np.memmap(folder / "rows", dtype=np.float32, mode="w+", shape=(40, 4))
    mapped[:] = numbers
    frame = pd.DataFrame(whole, columns=NAMES)
    return {
        "float64": (numbers, np.float64),
        "float32": (numbers.astype(np.float32), np.float32),
        "float16": (numbers.astype(np.float16), np.float64),
        "longdouble": (numbers.astype(np.longdouble), np.float64),
        "big endian": (numbers.astype(">f4"), np.float32),
        **{
            kind: (whole.astype(kind), np.float64)
            for kind in ("int8", "uint8", "int16", "uint32", "int64", "uint64", ">i4")
        },
        "bool": (whole > 50, np.float64),
        "object": (whole.astype(object), np.float64),
        "list": (numbers.tolist(), np.float64),
        "list of integers": (whole.tolist(), np.float64),
        "fortran": (np.asfortranarray(numbers.astype(np.float32)), np.float32),
        "read only": (read_only, np.float64),
        "memmap": (np.memmap(folder / "rows", np.float32, "r", shape=(40, 4)), "f4"),
        "frame": (frame, np.float64),
        "float32 frame": (frame.astype(np.float32), np.float32),
        "Int64": (frame.astype("Int64"), np.float64),
        "Float32": (frame.astype("Float32"), np.float32),
        "boolean": ((frame > 50).astype("boolean"), np.float64),
        "mixed": (frame.astype({"a": np.float32, "b": "Int8", "c": bool}), np.float64),
        "polars": (pl.DataFrame(whole, schema=NAMES), np.float64),
        "polars float32": (pl.DataFrame(mapped, schema=NAMES), np.float32),
    }


# All are checked in the same way: only the sampler of tables asks columns for theirs.
OF_OTHERS = {"float32", "uint8", "bool", "read only", "float32 frame", "mixed"}


@each
def test_types_of_answers(name: str, tmp_path: Path) -> None:
    estimator = fresh(name)
    is_sampler = isinstance(estimator, VAESampler)
    if is_sampler:
        estimator.set_params(prior="normal")  # which is fitted at once
    for kind, (X, expected) in kinds_of_rows(tmp_path).items():
        if kind not in OF_OTHERS and name not in ("transformer", "table"):
            continue
        dtype = np.dtype(expected)
        before = X.copy() if hasattr(X, "copy") else X
        estimator.fit(X)
        for method in ("transform", "predict", "inverse_transform"):
            if not may_be_asked(name, method):
                continue
            given = X
            if method == "inverse_transform":
                given = noise(40, 2).astype(dtype)
            answer = getattr(estimator, method)(given)
            if is_sampler and method != "transform":
                continue  # in the type that came, see test_exact_values
            assert np.asarray(answer).dtype == dtype, (kind, method)
            assert answer.shape == (40, 2 if answer.shape[1] == 2 else 4)
        for method in TO_SCORES[:2]:
            if hasattr(estimator, method):
                assert getattr(estimator, method)(X).dtype == np.float64, kind
        if hasattr(estimator, "score"):
            assert type(estimator.score(X)) is float, kind
        if isinstance(X, np.ndarray):
            np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "boolean", "Float32"])
def test_holes_of_nullable_columns_are_filled(dtype: str) -> None:
    whole = np.random.RandomState(0).randint(0, 2, (40, 3))
    frame = pd.DataFrame(whole, columns=list("abc")).astype(dtype)
    frame.iloc[3, 1] = pd.NA
    filled = clone(OF_ROWS["imputer"]).fit_transform(frame)
    assert filled.dtype == (np.float32 if dtype == "Float32" else np.float64)
    assert np.isfinite(filled).all()
    known = np.arange(40) != 3
    np.testing.assert_array_equal(filled[known], whole[known])


# ---- what is no number ---------------------------------------------------------------


@each
def test_dates_are_refused_by_fit_and_later(name: str) -> None:
    dates = pd.date_range("2020", periods=60)
    of_dates = [
        dates.to_numpy().reshape(-1, 1).repeat(4, axis=1),
        (dates - dates[0]).to_numpy().reshape(-1, 1).repeat(4, axis=1),
        TABLE.assign(b=dates),
        TABLE.assign(b=dates - dates[0]),
        TABLE.assign(**dict.fromkeys(NAMES, dates)),
        TABLE.assign(b=dates.tz_localize("UTC")),
        pl.DataFrame({name: dates.to_numpy() for name in NAMES}),
    ]
    methods = ["transform", "predict", "score_samples", "score", "explain"]
    for X in of_dates:
        with pytest.raises(TypeError, match="neither a number|not a number"):
            fresh(name).fit(X)
        fitted_before = fitted(name)
        for method in methods:
            if hasattr(fitted_before, method):
                with pytest.raises(TypeError, match="neither a number|not a number"):
                    _ask_quietly(fitted_before, method, X)


@each
def test_complex_numbers_are_refused_by_fit_and_later(name: str) -> None:
    methods = ["transform", "predict", "score_samples", "score", "explain"]
    for X in (
        1j * TABLE.to_numpy(),
        TABLE.assign(b=1j),
        TABLE.assign(b=1j).astype("O"),
    ):
        with pytest.raises((TypeError, ValueError), match="(?i)complex"):
            fresh(name).fit(X)
        for method in methods:
            if hasattr(fitted(name), method):
                with pytest.raises((TypeError, ValueError), match="(?i)complex"):
                    _ask_quietly(fitted(name), method, X)


def _ask_quietly(estimator: Any, method: str, X: Any) -> None:
    with warnings.catch_warnings():
        # That arrays have no names is not what is asked here.
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        getattr(estimator, method)(X)


# ---- casting -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
@pytest.mark.parametrize("single", [np.float32, np.float64])
def test_integers_end_where_their_type_does(kind: str, single: Any) -> None:
    dtype = np.dtype(kind)
    limits = np.iinfo(dtype)
    numbers = np.array([-1e30, -3e9, -0.6, 0.4, 99.6, 3e30], dtype=single)
    integers = cast(numbers, dtype)
    assert integers.dtype == dtype
    expected = [min(max(round(float(n)), limits.min), limits.max) for n in numbers]
    assert integers.tolist() == expected
    ends = to_integers(numbers, dtype, 3, 90).tolist()
    assert ends == [3, 3, 3, 3, 90, 90]


def test_floats_end_where_their_type_does() -> None:
    numbers = np.array([-1e300, 0.1, 1e300])
    for dtype in (np.float16, np.float32):
        most = np.finfo(dtype).max
        np.testing.assert_array_equal(
            cast(numbers, np.dtype(dtype)), np.array([-most, 0.1, most], dtype=dtype)
        )
