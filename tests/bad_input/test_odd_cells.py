"""Cells that are no numbers, classes that are missing: which ones, and the cure."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import IMAGES, noise, tiny_dense
from refusals import X
from sklearn import config_context

from skautoencoder import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    SeriesOutlierDetector,
    VAEOverSampler,
    VAESampler,
)
from skautoencoder._estimator.input_hints import with_hints

OF_NUMBERS = [
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
]


@pytest.mark.parametrize("estimator", [*OF_NUMBERS[1:], VAESampler])
def test_nan_names_the_imputer(estimator: Any) -> None:
    for bad in (X, IMAGES[:20]):
        bad = bad.copy()
        bad[3, 5] = np.nan
        with pytest.raises(ValueError, match="(?s)HistGradient.*AutoencoderImputer"):
            estimator().fit(bad)


def test_nan_names_the_imputer_after_fit() -> None:
    fitted = tiny_dense().fit(X)
    bad = np.where(X == 1, np.nan, X)
    for method in ("transform", "predict", "score", "partial_fit"):
        with pytest.raises(ValueError, match="(?s)contains NaN.*AutoencoderImputer"):
            getattr(fitted, method)(bad)


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, AutoencoderImputer])
def test_values_that_need_not_be_finite_are_no_large_values(estimator: Any) -> None:
    fitted, bad = tiny_dense().fit(X), np.where(X == 1, np.inf, X)
    with config_context(assume_finite=True):
        with pytest.raises(ValueError, match="X has NaN or infinity, although assume_"):
            estimator().fit(bad)
        with pytest.raises(ValueError, match="contains infinity"):
            fitted.transform(bad)
        with pytest.raises(ValueError, match="squares overflow"):
            estimator().fit(X * 1e300)


def test_what_a_mask_hides_is_missing() -> None:
    masked = np.ma.masked_greater(X, 0.9)
    holes = np.where(masked.mask, np.nan, X)
    imputer = AutoencoderImputer(max_epochs=1, random_state=0)
    assert np.array_equal(imputer.fit_transform(masked), imputer.transform(holes))
    counts = np.ma.masked_greater((X * 100).astype(int), 90)
    assert np.isfinite(imputer.fit_transform(counts)).all()
    with pytest.raises(ValueError, match="(?s)contains NaN.*AutoencoderImputer"):
        tiny_dense().fit(masked)


def test_only_masked_arrays_have_masks() -> None:
    frame = pd.DataFrame(X).rename(columns={0: "_mask"}).rename(columns=str)
    assert np.array_equal(
        tiny_dense().fit_transform(frame), tiny_dense().fit_transform(X)
    )
    series = pd.array([*X[:, 9], None], dtype="Float64")
    assert SeriesOutlierDetector(window=5, max_epochs=1).fit(series).window_ == 5


@pytest.mark.parametrize("frame", [pd.DataFrame(index=range(9)), pl.DataFrame()])
@pytest.mark.parametrize("estimator", OF_NUMBERS)
def test_a_frame_without_columns(estimator: Any, frame: Any) -> None:
    with pytest.raises(ValueError, match="X is a frame without columns"):
        estimator().fit(frame)


@pytest.mark.parametrize("estimator", OF_NUMBERS)
def test_columns_of_infinite_values_are_named(estimator: Any) -> None:
    frame = pd.DataFrame(X[:, :3], columns=["a", "b", "c"])
    frame.loc[4, "b"] = np.inf
    with pytest.raises(ValueError, match=r"(?s)infinity.*in the columns \['b'\]"):
        estimator().fit(frame)


def test_of_many_infinite_columns_some_are_named() -> None:
    frame = pd.DataFrame(np.full((9, 300), np.inf)).add_prefix("c")
    with pytest.raises(ValueError, match=r"'c9'\] and 290 more\. Replace"):
        AutoencoderTransformer().fit(frame)


def test_columns_of_one_name() -> None:
    # Old releases of scikit-learn take them.
    frame = pd.DataFrame([["x", 1, "y"]] * 9, columns=["a", "b", "a"])
    with (
        pytest.raises(ValueError, match="(?s)unique.*columns.duplicated") as caught,
        with_hints(frame, "VAESampler"),
    ):
        raise ValueError("Expected unique column names, got:\n- 'a' 2 times")
    assert "has strings" not in str(caught.value)


@pytest.mark.parametrize("estimator", OF_NUMBERS)
def test_frames_whose_cells_are_not_there(estimator: Any) -> None:
    with pytest.raises(TypeError, match=r"X is a LazyFrame, .* Pass X.collect\(\)"):
        estimator().fit(pl.DataFrame(X).lazy())
    with pytest.raises(TypeError, match=r"pass X.sparse.to_dense\(\)"):
        estimator().fit(pd.DataFrame(X).astype(pd.SparseDtype(float)))


def test_other_columns_are_no_matter_of_their_cells() -> None:
    table = pd.DataFrame({"city": ["Rome", "Bern"] * 10, "count": range(20)})
    sampler = VAESampler(max_epochs=1, prior="normal").fit(table)
    with pytest.raises(ValueError, match="feature names should match") as caught:
        sampler.predict(table[["count", "city"]])
    assert "strings" not in str(caught.value)


def test_a_sampler_of_strings_wants_a_frame() -> None:
    cities = np.array([["Rome", 1.0], ["Bern", 2.0]] * 10, dtype=object)
    with pytest.raises(ValueError, match="such as 'Rome'. Pass a data frame"):
        VAESampler().fit(cities)


def test_the_imputer_does_not_name_itself() -> None:
    bad = np.where(X == 1, np.nan, X)
    with pytest.raises(ValueError, match="contains NaN") as caught:
        AutoencoderImputer(missing_values=-1).fit(bad)
    assert "Here AutoencoderImputer" not in str(caught.value)


FRAME = pd.DataFrame(noise(20, 3), columns=["a", "b", "c"])
COUNT = pd.Series(range(20))
STRINGS = "has strings, such as 'Paris'. Encode them, .*OneHotEncoder.*VAESampler"
ODD_CELLS: dict[str, tuple[Any, type[Exception], str]] = {
    "strings": (
        FRAME.assign(city="Paris"),
        ValueError,
        f"Column 'city' of X {STRINGS}",
    ),
    "categories": (
        FRAME.assign(city=pd.Categorical(["Paris"] * 20)),
        ValueError,
        f"Column 'city' of X {STRINGS}",
    ),
    "polars": (
        pl.DataFrame({"a": list(range(20)), "city": ["Paris"] * 20}),
        ValueError,
        f"Column 'city' of X {STRINGS}",
    ),
    "array": (
        FRAME.assign(d="1.5", city="Paris").to_numpy(),
        ValueError,
        f"Column 4 of X {STRINGS}",
    ),
    "lists": (
        FRAME.assign(city=COUNT.map(lambda i: [i, i])),
        ValueError,
        "Column 'city' of X has cells with a list.*np.stack",
    ),
    "arrays": (
        FRAME.assign(city=COUNT.map(lambda i: np.full(3, i)))[["city"]],
        ValueError,
        "Column 'city' of X has cells with a ndarray.*np.stack",
    ),
    "series of arrays": (
        COUNT.map(lambda i: np.full(3, i)),
        ValueError,
        "X has cells with a ndarray.*np.stack",
    ),
    "polars arrays": (
        pl.DataFrame({"a": pl.Series([[1, 2]] * 20, dtype=pl.Array(pl.Int64, 2))}),
        ValueError,
        "Column 'a' of X has cells with a ndarray.*np.stack",
    ),
    "no samples": (
        {"data": FRAME},
        TypeError,
        "X is of type dict. Pass its samples, as an array",
    ),
    "dicts": (
        FRAME.assign(city=COUNT.map(lambda i: {i: i})),
        TypeError,
        "Column 'city' of X has cells with a dict",
    ),
    "dates": (
        FRAME.assign(day=[pd.Timestamp(2020, 1, 1 + i) for i in range(20)]),
        TypeError,
        "Column 'day' of X has .* into days",
    ),
    "lengths": ([[1, 2], [3], [4, 5]], ValueError, "Rows of X have different lengths"),
}


@pytest.mark.parametrize("case", ODD_CELLS)
@pytest.mark.parametrize("estimator", OF_NUMBERS)
def test_cells_that_are_no_numbers(estimator: Any, case: str) -> None:
    bad, kind, message = ODD_CELLS[case]
    with pytest.raises(kind, match=f"(?s){message}"):
        estimator().fit(bad)


def test_targets_beside_the_samples() -> None:
    with pytest.raises(ValueError, match="X_valid: .* pass the samples alone"):
        tiny_dense().fit(FRAME, X_valid=(FRAME.to_numpy(), COUNT.to_numpy()))


def test_cells_that_are_no_numbers_after_fit() -> None:
    fitted = tiny_dense(2, max_epochs=1).fit(FRAME)
    for method in ("transform", "predict", "score", "partial_fit"):
        with pytest.raises(ValueError, match=f"(?s)Column 'c' of X {STRINGS}"):
            getattr(fitted, method)(FRAME.assign(c="Paris"))


CLASSES = np.array(["a", "b"] * 10, dtype=object)


def without(value: Any) -> Any:
    return np.where(np.arange(20) == 3, value, CLASSES)


@pytest.mark.parametrize(
    ("y", "shown"),
    [
        (without(None), "None"),
        (without(np.nan), "nan"),
        (pd.Series(without(None), dtype="string"), "<NA>"),
        (pd.Series(without(np.nan), dtype="category"), "nan"),
        (np.where(np.arange(20) == 3, np.nan, np.arange(20) % 2), "nan"),
        (pd.Series([0, 1, 1, None, *[0, 1] * 8], dtype="Int64"), "<NA>"),
        (without(None).tolist(), "None"),
    ],
    ids="none nan string category float Int64 list".split(),
)
def test_rows_without_a_class(y: Any, shown: str) -> None:
    message = re.escape(
        f"no class for 1 of 20 rows; the first is row 3, where it is {shown}"
    )
    for ask in (VAEOverSampler().fit_resample, VAESampler(conditional=True).fit):
        with pytest.raises(ValueError, match=message):
            ask(X[:20], y)
