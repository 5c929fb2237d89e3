"""Tables with columns of many kinds: what is drawn, and how likely rows are."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import noise
from sklearn.base import clone

from skautoencoder import VAESampler
from skautoencoder.architectures import Dense

QUICK: dict[str, Any] = {
    "architecture": Dense((24,)),
    "prior": "normal",
    "max_epochs": 3,
    "random_state": 0,
    "n_importance_samples": 9,
}


def mixed_table(n_rows: int = 300, seed: int = 0) -> pd.DataFrame:
    random = np.random.RandomState(seed)
    colour = random.choice(["red", "green", "blue"], n_rows)
    size = random.choice(["S", "M", "L"], n_rows)
    return pd.DataFrame(
        {
            "income": random.lognormal(10, 1, n_rows),
            "colour": pd.Categorical(colour, ["red", "green", "unused", "blue"]),
            "size": pd.Categorical(size, ["S", "M", "L", "XL"], ordered=True),
            "rank": pd.Categorical(random.randint(1, 4, n_rows), [3, 2, 1]),
            "member": random.rand(n_rows) < 0.3,
            "opted": pd.array(random.rand(n_rows) < 0.5, dtype="boolean"),
            "city": random.choice(["Oslo", "Rome"], n_rows).astype(object),
            "street": pd.array(random.choice(["A", "B"], n_rows), dtype="string"),
            "children": random.poisson(1.5, n_rows),
            "year": random.randint(1, 10**6, n_rows),
            "byte": random.randint(100, 128, n_rows).astype(np.int8),
            "visits": pd.array(random.poisson(40, n_rows), dtype="Int64"),
            "grade": random.choice([1.0, 1.3, 1.7, 2.0], n_rows),
            "rain": np.where(
                random.rand(n_rows) < 0.6, 0.0, random.gamma(2, 3, n_rows)
            ),
            "weight": random.normal(70, 10, n_rows).astype(np.float32),
            "share": pd.array(random.rand(n_rows), dtype="Float64"),
            "always": 3.5,
        },
        index=np.arange(n_rows) + 7,
    )


TABLE = mixed_table()


@functools.cache
def fitted() -> VAESampler:
    return VAESampler(**QUICK).fit(TABLE)


@functools.cache
def drawn() -> pd.DataFrame:
    return fitted().sample(2000, random_state=0)


WAYS_TO_ROWS: dict[str, Callable[[], pd.DataFrame]] = {
    "sample": drawn,
    "predict": lambda: fitted().predict(TABLE),
    "inverse_transform": lambda: fitted().inverse_transform(fitted().transform(TABLE)),
    "interpolate": lambda: fitted().interpolate(TABLE[:1], TABLE[1:2]),
}


def test_what_columns_were_taken_for_is_told() -> None:
    kinds = fitted().column_kinds_
    assert list(kinds) == list(TABLE.columns)
    assert kinds["rain"] == "mixed"
    assert kinds["weight"] == "continuous"
    images = np.random.RandomState(0).rand(20, 6, 6)
    again = clone(fitted()).fit(TABLE).set_params(architecture="conv").fit(images)
    assert again.column_kinds_ is None


# ---- the same columns --------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS_TO_ROWS)
def test_columns_order_and_types_are_those_of_the_data(way: str) -> None:
    rows = WAYS_TO_ROWS[way]()
    assert fitted().likelihood_ == "columns"
    assert list(rows.columns) == list(TABLE.columns)
    # Of categories also their order, and those that no row has.
    pd.testing.assert_series_equal(rows.dtypes, TABLE.dtypes)
    assert not rows.isna().any(axis=None)
    index = TABLE.index if way == "predict" else np.arange(len(rows))
    assert (rows.index == index).all()


LEVELS = ["colour", "size", "rank", "member", "opted", "city", "street"]


@pytest.mark.parametrize("name", LEVELS)
def test_only_levels_that_were_seen(name: str) -> None:
    assert set(drawn()[name]) == set(TABLE[name])
    share, expected = (
        table[name].value_counts(normalize=True).astype(float).sort_index()
        for table in (drawn(), TABLE)
    )
    np.testing.assert_allclose(share[expected > 0], expected[expected > 0], atol=0.2)


@pytest.mark.parametrize("name", ["children", "byte", "visits", "grade", "always"])
def test_columns_of_few_values_take_these(name: str) -> None:
    assert set(drawn()[name]) <= set(TABLE[name])


def test_an_atom_among_other_numbers() -> None:
    rain = drawn()["rain"]
    assert (rain == 0).mean() == pytest.approx((TABLE["rain"] == 0).mean(), abs=0.25)
    assert rain.min() == 0


def test_integers_of_many_values_are_integers_and_new() -> None:
    year = drawn()["year"]
    assert year.dtype == TABLE["year"].dtype
    assert len(set(year) - set(TABLE["year"])) > 1000


@pytest.mark.parametrize("name", ["income", "weight", "share"])
def test_continuous_values_are_no_copies(name: str) -> None:
    values = drawn()[name]
    # Of thousands of float32, one may be the same by chance.
    assert values.isin(TABLE[name]).mean() <= 0.001
    assert values.nunique() > 0.99 * len(values)


def test_no_row_is_a_copy() -> None:
    X = noise(200, 4)
    rows = VAESampler(**QUICK).fit(X).sample(1000, random_state=0)
    gaps = np.abs(rows[:, np.newaxis] - X).max(axis=2)
    assert gaps.min() > 1e-4


def test_a_constant_column() -> None:
    for constant in (0, 3.5, -1e9, "one", True):
        X = pd.DataFrame({"a": noise(60, 1)[:, 0], "same": constant})
        sampler = VAESampler(2, **QUICK).fit(X)
        rows = sampler.sample(50, random_state=0)
        assert (rows["same"] == constant).all()
        assert rows["same"].dtype == X["same"].dtype
        assert np.isfinite(sampler.score_samples(X)).all()


def test_only_categories() -> None:
    # The log-likelihood is then that of a row among all that there can be.
    X = pd.DataFrame({"a": list("xxxy") * 50, "b": [True, False, True, False] * 50})
    sampler = VAESampler(
        2,
        architecture=Dense((8,)),
        n_importance_samples=100,
        max_epochs=20,
        lr=0.1,
        random_state=0,
    ).fit(X)
    every = pd.DataFrame({"a": list("xxyy"), "b": [True, False] * 2})
    probability = np.exp(sampler.score_samples(every))
    assert probability.sum() == pytest.approx(1, abs=0.03)
    np.testing.assert_allclose(probability, [0.5, 0.25, 0, 0.25], atol=0.08)


# ---- likelihoods -------------------------------------------------------------------


def test_scores_do_not_depend_on_the_rows_around() -> None:
    scores = fitted().score_samples(TABLE)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    order = np.random.RandomState(0).permutation(len(TABLE))
    np.testing.assert_array_equal(
        fitted().score_samples(TABLE.iloc[order]), scores[order]
    )
    np.testing.assert_array_equal(fitted().score_samples(TABLE[5:6]), scores[5:6])
    assert fitted().score(TABLE) == pytest.approx(scores.mean())
    assert np.isfinite(fitted().score_samples(drawn())).all()


def test_frames_of_numbers_are_scored_like_arrays() -> None:
    X = pd.DataFrame(noise(80, 3), columns=["a", "b", "c"])
    of_frame = VAESampler(2, **QUICK).fit(X)
    of_array = VAESampler(2, **QUICK).fit(X.to_numpy())
    np.testing.assert_array_equal(
        of_frame.score_samples(X), of_array.score_samples(X.to_numpy())
    )
    np.testing.assert_array_equal(
        of_frame.sample(5, 0).to_numpy(), of_array.sample(5, 0)
    )


def test_units_of_columns_change_the_density_by_their_logarithm() -> None:
    X = pd.DataFrame(noise(200, 2), columns=["metres", "other"]).assign(kind="a")
    in_millimetres = X.assign(metres=1000 * X["metres"])
    one, other = (
        VAESampler(2, **QUICK).fit(table).score_samples(table)
        for table in (X, in_millimetres)
    )
    np.testing.assert_allclose(one - other, np.log(1000), rtol=1e-3)


# ---- which columns have levels -----------------------------------------------------


@pytest.mark.parametrize(
    "declared", [["code"], [1], [False, True, False], np.array([1]), ("code",)]
)
def test_numbers_that_name_categories_in_a_frame(declared: Any) -> None:
    X = pd.DataFrame(noise(90, 3), columns=["a", "code", "c"])
    X["code"] = np.random.RandomState(0).choice([3, 50, 1000], 90)
    sampler = VAESampler(2, categorical_features=declared, **QUICK).fit(X)
    rows = sampler.sample(100, random_state=0)
    assert set(rows["code"]) <= {3, 50, 1000}
    assert rows["code"].dtype == X["code"].dtype
    with pytest.raises(ValueError, match="'code' of X has the level 4"):
        sampler.score_samples(X.assign(code=4))


@pytest.mark.parametrize("declared", [[1], [False, True, False], np.array([1])])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_that_name_categories_in_an_array(declared: Any, dtype: Any) -> None:
    X = noise(90, 3).astype(dtype)
    X[:, 1] = np.random.RandomState(0).choice([3, 50, 1000], 90)
    sampler = VAESampler(2, categorical_features=declared, **QUICK).fit(X)
    rows = sampler.sample(100, random_state=0)
    assert rows.dtype == dtype
    assert set(rows[:, 1]) <= {3, 50, 1000}
    X[0, 1] = 4
    with pytest.raises(ValueError, match="Column 1 of X has the level 4"):
        sampler.score_samples(X)


def test_levels_by_type() -> None:
    sampler = VAESampler(categorical_features="from_dtype", **QUICK).fit(TABLE)
    assert set(sampler.sample(50, 0)["colour"]) <= {"red", "green", "blue"}


# ---- rows that are refused ---------------------------------------------------------

ASKS = ["score_samples", "score", "transform", "predict"]


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize(
    ("name", "level"),
    [("colour", "unused"), ("city", "Bonn"), ("street", "C"), ("size", "XL")],
)
def test_a_level_that_fit_did_not_see(ask: str, name: str, level: str) -> None:
    rows = TABLE[:3].copy()
    rows.loc[rows.index[1], name] = level
    with pytest.raises(
        ValueError, match=f"'{name}' of X has the level '{level}'.*Seen"
    ):
        getattr(fitted(), ask)(rows)


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("name", ["colour", "opted", "city", "visits", "weight"])
def test_missing_values(ask: str, name: str) -> None:
    rows = TABLE[:3].copy()
    rows.loc[rows.index[1], name] = None
    with pytest.raises(ValueError, match=f"'{name}' of X has missing values"):
        getattr(fitted(), ask)(rows)
    with pytest.raises(ValueError, match=f"'{name}' of X has missing values"):
        VAESampler(**QUICK).fit(rows)


@pytest.mark.parametrize("ask", ASKS)
def test_other_columns(ask: str) -> None:
    other_order = TABLE[TABLE.columns[::-1]]
    for rows in (
        other_order,
        TABLE.rename(columns={"rain": "snow"}),
        TABLE.drop(columns="rain"),
        TABLE.assign(new=1.0),
    ):
        with pytest.raises(ValueError, match="feature names"):
            getattr(fitted(), ask)(rows)


def test_infinite_values() -> None:
    rows = TABLE[:3].copy()
    rows["income"] = np.inf
    with pytest.raises(ValueError, match="'income' of X has infinite values"):
        fitted().score_samples(rows)


def test_dates_are_refused() -> None:
    X = pd.DataFrame({"when": pd.date_range("2020", periods=9), "a": noise(9, 1)[:, 0]})
    with pytest.raises(TypeError, match="'when' of X has dtype datetime64"):
        VAESampler(**QUICK).fit(X)


# ---- codes -------------------------------------------------------------------------


def test_codes_of_a_table() -> None:
    sampler = fitted()
    means, deviations = sampler.transform(TABLE, return_std=True)
    assert means.shape == deviations.shape == (len(TABLE), sampler.code_size_)
    assert sampler.code_size_ == 8
    assert list(sampler.feature_names_in_) == list(TABLE.columns)
    codes = pd.DataFrame(means, index=TABLE.index)
    pd.testing.assert_frame_equal(
        sampler.inverse_transform(codes), sampler.predict(TABLE)
    )


def test_set_output_is_for_codes() -> None:
    sampler = VAESampler(3, **QUICK)
    codes = sampler.set_output(transform="pandas").fit_transform(TABLE)
    assert list(codes.columns) == ["vaesampler0", "vaesampler1", "vaesampler2"]
    assert (codes.index == TABLE.index).all()
    means, deviations = sampler.transform(TABLE, return_std=True)
    pd.testing.assert_frame_equal(means, codes)
    assert deviations.shape == codes.shape
    assert isinstance(
        sampler.set_output(transform="polars").transform(TABLE), pl.DataFrame
    )
    # Rows are in what fit saw.
    assert sampler.interpolate(TABLE[:1], TABLE[1:2], 4).shape == (4, TABLE.shape[1])
    assert isinstance(sampler.sample(2), pd.DataFrame)
    assert isinstance(sampler.predict(TABLE), pd.DataFrame)
    array = VAESampler(3, **QUICK).set_output(transform="pandas").fit(noise(60, 4))
    assert isinstance(array.sample(2), np.ndarray)


def test_column_names_that_are_no_strings() -> None:
    X = pd.DataFrame(noise(60, 3), columns=[10, 20, 30])
    sampler = VAESampler(2, **QUICK).fit(X)
    assert list(sampler.sample(3).columns) == [10, 20, 30]
    assert not hasattr(sampler, "feature_names_in_")
    with pytest.raises(ValueError, match="in the same order"):
        sampler.score_samples(X[[30, 20, 10]])
