"""Levels and values that come again go out as they came in, in the same types."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skautoencoder import VAEOverSampler, VAESampler, load, save
from skautoencoder.architectures import Dense

QUICK: dict[str, Any] = {
    "code_size": 2,
    "architecture": Dense((6,)),
    "prior": "normal",
    "max_epochs": 2,
    "random_state": 0,
}
N = 80


def chosen(values: Any, seed: int = 0) -> list[Any]:
    # As Python's numbers, so that nothing is lost on the way here.
    places = np.random.RandomState(seed).randint(0, len(values), N)
    return [values[place] for place in places]


IDS = [2**60, 2**60 + 1, 2**60 + 2, 2**63 - 1, 2**63 - 2, -(2**63), -(2**63) + 1]
UNSIGNED = [2**64 - 1, 2**64 - 2, 2**63, 2**63 + 1, 3]
PRICES = [Decimal("1.10"), Decimal("2.25"), Decimal("3.00"), Decimal("0.10")]


def exact_columns() -> dict[str, pd.Series]:
    """Return columns of which no value may be drawn that is not there."""
    ids, unsigned, two = chosen(IDS), chosen(UNSIGNED), chosen([2**62, 2**62 + 1])
    return {
        "int64": pd.Series(ids, dtype=np.int64),
        "uint64": pd.Series(unsigned, dtype=np.uint64),
        "two": pd.Series(two, dtype=np.int64),
        "Int64": pd.Series(pd.array(ids, dtype="Int64")),
        "UInt64": pd.Series(pd.array(unsigned, dtype="UInt64")),
        "two of Int64": pd.Series(pd.array(two, dtype="Int64")),
        "category": pd.Series(ids, dtype=np.int64).astype("category"),
        "category of Int64": pd.Series(pd.array(ids, dtype="Int64")).astype("category"),
        "int8": pd.Series(chosen([-128, 127, 0]), dtype=np.int8),
        "float16": pd.Series(chosen([65504.0, 0.1, -65504.0]), dtype=np.float16),
        "float32": pd.Series(chosen([3.4e38, 0.1, -3.4e38]), dtype=np.float32),
        "float64": pd.Series(chosen([0.1, 1 / 3, 2e300])),
        "Float32": pd.Series(pd.array(chosen([0.1, 0.2, 7.0]), dtype="Float32")),
        "sparse": pd.Series(pd.arrays.SparseArray(chosen([0, 0, 2**60 + 1, 5]))),
        "Python's integers": pd.Series(chosen([2**70, 2**70 + 1, 1]), dtype=object),
        "Decimal": pd.Series(chosen(PRICES), dtype=object),
        "two Decimals": pd.Series(chosen(PRICES[:2]), dtype=object),
        "objects": pd.Series(chosen([1, 2.5, Decimal("0.1")]), dtype=object),
    }


def ways_to_rows(sampler: VAESampler, X: Any) -> dict[str, Any]:
    codes = sampler.transform(X)
    return {
        "sample": sampler.sample(300, random_state=0),
        "predict": sampler.predict(X),
        "inverse_transform": sampler.inverse_transform(codes),
        "interpolate": sampler.interpolate(X[:1], X[1:2]),
    }


@pytest.mark.parametrize("declared", [False, True], ids=["as they are", "declared"])
def test_values_of_frames(declared: bool) -> None:
    table = pd.DataFrame(exact_columns())
    levels = list(table.columns) if declared else "from_dtype"
    sampler = VAESampler(categorical_features=levels, **QUICK).fit(table)
    kinds = set(sampler.column_kinds_.values())
    assert kinds == ({"categorical"} if declared else {"categorical", "discrete"})
    for way, rows in ways_to_rows(sampler, table).items():
        assert list(rows.dtypes) == list(table.dtypes), way
        for name in table:
            assert set(rows[name].tolist()) <= set(table[name].tolist()), (way, name)
            assert {type(v) for v in rows[name]} <= {type(v) for v in table[name]}
    assert np.isfinite(sampler.score_samples(table)).all()


def test_numbers_of_objects_are_numbers() -> None:
    table = pd.DataFrame(exact_columns())
    kinds = VAESampler(**QUICK).fit(table).column_kinds_
    assert kinds["Python's integers"] == kinds["Decimal"] == "discrete"
    random = np.random.RandomState(0)
    table = pd.DataFrame(
        {
            "price": [Decimal(int(n)).scaleb(-2) for n in random.randint(0, 9999, N)],
            "share": pd.Series(random.rand(N), dtype=object),
            "count": pd.Series(random.randint(0, 10**6, N).tolist(), dtype=object),
        }
    )
    sampler = VAESampler(**QUICK).fit(table)
    assert set(sampler.column_kinds_.values()) == {"continuous"}
    drawn = sampler.sample(50, random_state=0)
    assert {type(value) for value in drawn["price"]} == {Decimal}
    assert {value.as_tuple().exponent for value in drawn["price"]} == {-2}
    assert {type(value) for value in drawn["share"]} == {float}
    assert {type(value) for value in drawn["count"]} == {int}
    # As arrays of the same numbers are.
    array = VAESampler(**QUICK).fit(table.to_numpy().astype(float))
    np.testing.assert_array_equal(
        drawn.to_numpy().astype(float), array.sample(50, random_state=0)
    )


ARRAYS = {
    "int64": np.array([chosen(IDS), chosen(IDS, 1), chosen(IDS[:2])]).T,
    "uint64": np.array([chosen(UNSIGNED), chosen(UNSIGNED, 1)], dtype=np.uint64).T,
    "int8": np.array([chosen([-128, 127, 3]), chosen([1, 2, 9])], dtype=np.int8).T,
    "bool": np.array([chosen([True, False]), chosen([True, False], 1)]).T,
    "float16": np.array([chosen([65504, 0.1]), chosen([1, 2, 9])], np.float16).T,
    "object": np.array([chosen(IDS), chosen(PRICES)], dtype=object).T,
}


@pytest.mark.parametrize("name", ARRAYS)
def test_values_of_arrays(name: str) -> None:
    X = ARRAYS[name]
    sampler = VAESampler(**QUICK).fit(X)
    for way, rows in ways_to_rows(sampler, X).items():
        assert rows.dtype == X.dtype, way
        for values, given in zip(rows.T, X.T, strict=True):
            assert set(values.tolist()) <= set(given.tolist()), way
    assert sampler.transform(X).dtype == np.float64
    if np.asarray(X.tolist()).dtype != X.dtype:
        return  # NumPy's own reading of lists
    listed = VAESampler(**QUICK).fit(X.tolist())
    np.testing.assert_array_equal(
        listed.sample(9, random_state=0), sampler.sample(9, random_state=0)
    )


@pytest.mark.parametrize(
    "dtype", [np.int64, np.uint64, np.int8, np.float16, np.float32, np.float64]
)
def test_numbers_near_the_limit_of_their_type(dtype: Any) -> None:
    is_integer = np.dtype(dtype).kind in "iu"
    limits: Any = np.iinfo(dtype) if is_integer else np.finfo(dtype)
    most = int(limits.max) if is_integer else float(limits.max)
    if dtype == np.float64:
        most /= 8
    shares = np.random.RandomState(0).rand(N)
    values = [most - int(share * most / 9) for share in shares]
    table = pd.DataFrame({"near": np.array(values, dtype=dtype), "other": shares})
    sampler = VAESampler(**QUICK).fit(table)
    drawn = sampler.sample(500, random_state=0)["near"]
    assert drawn.dtype == dtype
    assert np.isfinite(drawn.to_numpy(dtype=float)).all()
    assert drawn.min() > most // 2
    assert np.isfinite(sampler.score_samples(table)).all()


def test_large_integers_of_another_type_are_found() -> None:
    ids = pd.DataFrame({"id": chosen([2**53, 2**53 + 1, 5]), "x": np.arange(N) / 7})
    sampler = VAESampler(categorical_features=["id"], **QUICK).fit(ids)
    discrete = VAESampler(**QUICK).fit(ids)
    for dtype in ("Int64", "uint64", object):
        again = ids.astype({"id": dtype})
        for fitted in (sampler, discrete):
            np.testing.assert_array_equal(
                fitted.score_samples(again), fitted.score_samples(ids)
            )


def polars_table() -> pl.DataFrame:
    numbers = np.random.RandomState(0).rand(N)
    names = {"Int128", "UInt128", "Float16"} & set(dir(pl))  # not in older versions
    return pl.DataFrame(
        {
            name: pl.Series(chosen([2**15, 2**14, 2]), dtype=getattr(pl, name))
            for name in names
        }
        | {
            "id": pl.Series(chosen(IDS), dtype=pl.Int64),
            "unsigned": pl.Series(chosen(UNSIGNED), dtype=pl.UInt64),
            "price": pl.Series(chosen(PRICES), dtype=pl.Decimal(8, 2)),
            "cost": pl.Series(
                [Decimal(f"{x:.3f}") for x in numbers], dtype=pl.Decimal(8, 3)
            ),
            "kind": pl.Series(chosen(["a", "b"]), dtype=pl.Categorical),
            "rank": pl.Series(chosen(["low", "high"]), dtype=pl.Enum(["low", "high"])),
            "name": chosen(["x", "y", "z"]),
            "yes": chosen([True, False]),
            "small": pl.Series(chosen([1, 2, 100]), dtype=pl.Int8),
            "single": pl.Series(numbers, dtype=pl.Float32),
            "double": numbers,
        }
    )


def test_frames_of_polars(tmp_path: Path) -> None:
    table = polars_table()
    sampler = VAESampler(**QUICK).fit(table)
    assert list(sampler.feature_names_in_) == table.columns
    for way, rows in ways_to_rows(sampler, table).items():
        assert isinstance(rows, pl.DataFrame), way
        assert rows.schema == table.schema
        for name in table.drop("cost", "single", "double").columns:
            assert set(rows[name]) <= set(table[name]), (way, name)
    save(sampler, tmp_path / "sampler")
    assert load(tmp_path / "sampler").sample(9).schema == table.schema
    # The same numbers in a frame of pandas are the same table.
    numbers = table.select("id", "small", "double")
    twin = pd.DataFrame({name: numbers[name].to_numpy() for name in numbers.columns})
    np.testing.assert_array_equal(
        VAESampler(**QUICK).fit(numbers).score_samples(numbers),
        VAESampler(**QUICK).fit(twin).score_samples(twin),
    )
    with pytest.raises(ValueError, match="feature names"):
        sampler.score_samples(table.select(table.columns[::-1]))
    with pytest.raises(ValueError, match="'name' of X has missing values"):
        sampler.score_samples(table.with_columns(name=pl.lit(None, dtype=pl.String)))


def test_frames_of_arrow() -> None:
    pytest.importorskip("pyarrow")
    columns = exact_columns()
    table = pd.DataFrame(
        {
            "id": columns["int64"].astype("int64[pyarrow]"),
            "unsigned": columns["uint64"].astype("uint64[pyarrow]"),
            "single": pd.Series(chosen([0.1, 0.2, 7]), dtype="float[pyarrow]"),
            "yes": pd.Series(chosen([True, False]), dtype="bool[pyarrow]"),
            "name": pd.Series(chosen(["x", "y", "z"]), dtype="string[pyarrow]"),
        }
    )
    sampler = VAESampler(**QUICK).fit(table)
    for way, rows in ways_to_rows(sampler, table).items():
        assert list(rows.dtypes) == list(table.dtypes), way
        for name in table:
            assert set(rows[name]) <= set(table[name]), (way, name)


def test_over_sampling() -> None:
    y = np.repeat([0, 1], [60, 20])
    sampler = VAESampler(2, architecture=Dense((6,)), max_epochs=2)
    over_sampler = VAEOverSampler(sampler, random_state=0)
    for table in (pd.DataFrame(exact_columns()), polars_table().drop("cost")):
        X_new, _ = over_sampler.fit_resample(table, y)
        assert len(X_new) == 120
        names = set(table.columns) - {"single", "double"}
        for name in names:
            assert set(X_new[name].to_list()) == set(table[name].to_list()), name


def test_columns_of_a_gaussian_sampler_keep_their_types() -> None:
    table = pd.DataFrame(
        {
            "byte": np.arange(N, dtype=np.int8),
            "single": np.linspace(0, 1, N, dtype=np.float32),
            "nullable": pd.array(np.arange(N), dtype="Int64"),
            "category": pd.Categorical(np.arange(N) % 3),
        }
    )
    sampler = VAESampler(likelihood="gaussian", **QUICK).fit(table)
    for rows in (sampler.sample(9), sampler.predict(table)):
        assert list(rows.dtypes[:3]) == list(table.dtypes[:3])
        assert not rows.isna().any(axis=None)


@pytest.mark.parametrize("dtype", [">f4", ">f8", "bool", ">i4"])
def test_the_same_numbers_in_another_type_have_the_same_bits(dtype: str) -> None:
    table = np.random.RandomState(0).normal(size=(40, 5))
    sampler = VAESampler(2, likelihood="gaussian", max_epochs=1, random_state=0)
    sampler.fit(table)
    odd = (table > 0).astype(dtype)
    plain = odd.astype(np.float32 if dtype == ">f4" else np.float64)
    for method in ("transform", "predict", "score_samples"):
        answers = getattr(sampler, method)(odd), getattr(sampler, method)(plain)
        np.testing.assert_array_equal(*answers)
