"""Balancing classes with drawn rows."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from helpers import noise
from imblearn.pipeline import make_pipeline
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError

from skautoencoder import VAEOverSampler, VAESampler
from skautoencoder.architectures import Dense


def quick(strategy: Any = "auto", **params: Any) -> VAEOverSampler:
    sampler = VAESampler(2, architecture=Dense((8,)), prior="normal", max_epochs=2)
    defaults = {"sampling_strategy": strategy, "random_state": 0}
    return VAEOverSampler(sampler, **{**defaults, **params})


def counts(y: Any) -> dict[Any, int]:
    return {name: int(n) for name, n in pd.Series(y).value_counts().items()}


Y = np.repeat(["often", "rare", "some"], [40, 10, 22])
X = noise(72, 4) + (Y == "rare")[:, np.newaxis]


# ---- how many ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("auto", {"often": 40, "rare": 40, "some": 40}),
        ("not majority", {"often": 40, "rare": 40, "some": 40}),
        ("all", {"often": 40, "rare": 40, "some": 40}),
        ("minority", {"often": 40, "rare": 40, "some": 22}),
        ({"rare": 15}, {"often": 40, "rare": 15, "some": 22}),
        ({"often": 50, "some": 22}, {"often": 50, "rare": 10, "some": 22}),
        ({}, {"often": 40, "rare": 10, "some": 22}),
    ],
    ids=str,
)
def test_balance(strategy: Any, expected: dict[str, int]) -> None:
    over_sampler = quick(strategy)
    X_new, y_new = over_sampler.fit_resample(X, Y)
    assert counts(y_new) == expected
    assert len(X_new) == len(y_new)
    # The given rows come first, as they were.
    np.testing.assert_array_equal(X_new[:72], X)
    np.testing.assert_array_equal(y_new[:72], Y)
    drawn = over_sampler.sampling_strategy_
    assert sum(drawn.values()) == len(y_new) - 72
    for name, number in drawn.items():
        assert expected[name] == counts(Y)[name] + number


@pytest.mark.parametrize("y", [Y == "rare", np.where(Y == "rare", 2, 7), Y])
def test_classes_of_any_type(y: np.ndarray) -> None:
    over_sampler = quick()
    _, y_new = over_sampler.fit_resample(X, y)
    assert len(set(counts(y_new).values())) == 1
    assert y_new.dtype == y.dtype
    np.testing.assert_array_equal(over_sampler.classes_, np.unique(y))


@pytest.mark.parametrize("strategy", ["auto", "all", "minority"])
def test_nothing_to_draw(strategy: str) -> None:
    balanced = np.arange(72) % 3
    X_new, y_new = quick(strategy).fit_resample(X, balanced)
    np.testing.assert_array_equal(X_new, X)
    np.testing.assert_array_equal(y_new, balanced)


def test_a_class_with_one_row() -> None:
    y = np.repeat([0, 1], [71, 1])
    X_new, y_new = quick().fit_resample(X, y)
    assert counts(y_new) == {0: 71, 1: 71}
    assert np.isfinite(X_new).all()


def test_one_class() -> None:
    with pytest.raises(ValueError, match=r"one class alone, 'rare'.*VAESampler"):
        quick().fit_resample(X, np.repeat("rare", 72))


# ---- which rows --------------------------------------------------------------------


def test_the_seed_decides() -> None:
    one, same, other, none = (
        quick(random_state=seed).fit_resample(X, Y)[0] for seed in (0, 0, 1, None)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, none)
    # A fit is a fresh one.
    over_sampler = quick()
    over_sampler.fit_resample(X, Y)
    np.testing.assert_array_equal(over_sampler.fit_resample(X, Y)[0], one)


def test_a_random_state_is_drawn_from() -> None:
    state = np.random.RandomState(0)
    over_sampler = quick(random_state=state)
    one, other = (over_sampler.fit_resample(X, Y)[0] for _ in range(2))
    assert not np.array_equal(one, other)


def test_new_rows_are_of_their_class_and_no_copies() -> None:
    seed = 1
    y = np.repeat([0, 1], [270, 30])
    rows = noise(300, 3, seed=seed) + 5 * y[:, np.newaxis]
    sampler = VAESampler(architecture=Dense((32,)), lr=0.03, max_epochs=50)
    X_new, y_new = VAEOverSampler(sampler, random_state=seed).fit_resample(rows, y)
    new = X_new[300:]
    assert (y_new[300:] == 1).all()
    assert np.mean(new.mean(axis=1) > 2.5) > 0.9
    np.testing.assert_allclose(new.mean(axis=0), 5, atol=1.0)
    assert np.abs(new[:, np.newaxis] - rows).max(axis=2).min() > 1e-4


def test_global_generators_stay_as_they_are() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    quick(random_state=None).fit_resample(X, Y)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


# ---- containers --------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_come_back_as_arrays(dtype: Any) -> None:
    X_new, y_new = quick().fit_resample(X.astype(dtype), Y)
    assert isinstance(X_new, np.ndarray)
    assert isinstance(y_new, np.ndarray)
    assert X_new.dtype == dtype
    assert y_new.dtype == Y.dtype


def test_lists_come_back_as_arrays() -> None:
    X_new, y_new = quick().fit_resample(X.tolist(), Y.tolist())
    assert X_new.shape == (120, 4)
    assert counts(y_new) == {"often": 40, "rare": 40, "some": 40}


def test_images_come_back_as_images() -> None:
    X_new, y_new = quick().fit_resample(X.reshape(72, 2, 2), Y)
    assert X_new.shape == (len(y_new), 2, 2)


def table() -> pd.DataFrame:
    random = np.random.RandomState(0)
    return pd.DataFrame(
        {
            "number": random.normal(size=72),
            "whole": random.randint(0, 100, 72),
            "kind": pd.Categorical(random.choice(["a", "b"], 72), ["b", "a", "unused"]),
            "yes": random.rand(72) < 0.5,
            "visits": pd.array(random.poisson(9, 72), dtype="Int64"),
        },
        index=np.arange(72) + 100,
    )


@pytest.mark.parametrize(
    "y",
    [
        pd.Series(Y, name="how often"),
        pd.Series(pd.Categorical(Y, ["rare", "some", "often"]), name="how often"),
        pd.Series(np.where(Y == "rare", 1, 0), dtype="Int64", name="rare"),
        pd.Series(Y == "rare", name="rare"),
    ],
    ids=["strings", "categories", "nullable", "booleans"],
)
def test_frames_and_series_come_back_as_such(y: pd.Series) -> None:
    X_frame = table()
    y.index = X_frame.index
    over_sampler = quick()
    X_new, y_new = over_sampler.fit_resample(X_frame, y)
    pd.testing.assert_series_equal(X_new.dtypes, X_frame.dtypes)
    assert y_new.dtype == y.dtype
    assert y_new.name == y.name
    assert len(set(counts(y_new).values())) == 1
    # Rows and classes still go together.
    assert X_new.index.equals(y_new.index)
    given = X_frame.reset_index(drop=True)
    pd.testing.assert_frame_equal(X_new[:72], given)
    pd.testing.assert_series_equal(y_new[:72], y.reset_index(drop=True))
    assert set(X_new["kind"]) == {"a", "b"}
    assert list(over_sampler.feature_names_in_) == list(X_frame.columns)
    assert over_sampler.n_features_in_ == 5


def test_nothing_to_draw_leaves_frames_as_they_are() -> None:
    X_frame, y = table(), pd.Series(np.arange(72) % 2, index=table().index)
    X_new, y_new = quick().fit_resample(X_frame, y)
    assert isinstance(X_new, pd.DataFrame)
    assert isinstance(y_new, pd.Series)
    assert len(X_new) == len(y_new) == 72


def containers_of_rows() -> dict[str, Any]:
    whole = np.random.RandomState(0).randint(0, 100, (72, 4))
    names = list("abcd")
    frame = pd.DataFrame(whole, columns=names, index=np.arange(72) + 100)
    return {
        "int32": whole.astype(np.int32),
        "uint8 images": whole.reshape(72, 2, 2).astype(np.uint8),
        "float16": X.astype(np.float16),
        "bool": whole > 50,
        "fortran": np.asfortranarray(whole.astype(np.int16)),
        "frame": frame.astype({"a": np.int8, "b": "Int64", "c": np.float32}),
        "sparse": frame.astype(pd.SparseDtype(np.int64, 0)),
        "some sparse": frame.assign(s=pd.arrays.SparseArray(np.arange(72) % 5 == 0)),
        "polars": pl.DataFrame(whole, schema=names).cast({"a": pl.Int8}),
    }


def containers_of_classes() -> dict[str, Any]:
    numbers = np.where(Y == "rare", 1, 0).astype(np.int8)
    large = numbers.astype(np.int64) + 2**60
    return {
        "int8": numbers,
        "column": numbers[:, np.newaxis],
        "bool": numbers == 1,
        "strings": Y,
        "frame": pd.DataFrame({"class": numbers}),
        "frame of strings": pd.DataFrame({"class": Y}).astype("category"),
        "large": large,
        "large Int64": pd.Series(large, dtype="Int64", name="class"),
        "polars": pl.Series("class", numbers),
        "polars frame": pl.DataFrame({"class": Y}),
    }


@pytest.mark.parametrize("name", containers_of_rows())
def test_rows_come_out_in_what_they_came_in(name: str) -> None:
    given = containers_of_rows()[name]
    X_new, y_new = quick().fit_resample(given, Y)
    assert type(X_new) is type(given)
    assert len(X_new) == len(y_new) == 120
    if isinstance(given, np.ndarray):
        assert X_new.dtype == given.dtype
        np.testing.assert_array_equal(X_new[:72], given)
    elif isinstance(given, pl.DataFrame):
        assert X_new.schema == given.schema
        assert X_new[:72].equals(given)
    else:
        pd.testing.assert_frame_equal(X_new[:72], given.reset_index(drop=True))
        pd.testing.assert_series_equal(X_new.dtypes, given.dtypes)


@pytest.mark.parametrize("name", containers_of_classes())
def test_classes_come_out_in_what_they_came_in(name: str) -> None:
    given = containers_of_classes()[name]
    _, y_new = quick().fit_resample(X, given)
    assert type(y_new) is type(given)
    assert y_new.shape[1:] == given.shape[1:]
    values, old = np.asarray(y_new).ravel(), np.asarray(given).ravel()
    np.testing.assert_array_equal(values[: len(old)], old)
    assert len(set(counts(values.tolist()).values())) == 1
    if isinstance(given, pl.DataFrame):
        assert y_new.schema == given.schema
    elif isinstance(given, pd.DataFrame):
        pd.testing.assert_series_equal(y_new.dtypes, given.dtypes)
    else:
        assert y_new.dtype == given.dtype


def test_frames_that_cannot_come_out_are_refused_before_training() -> None:
    class Table:
        columns = ("a",)

        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            return X

    over_sampler = quick()
    with pytest.raises(TypeError, match=r"X is a \S+\.Table.*pandas or polars"):
        over_sampler.fit(Table(), Y)
    with pytest.raises(TypeError, match=r"y is a \S+\.Table.*pandas or polars"):
        over_sampler.fit_resample(X, Table())
    with pytest.raises(ValueError, match="y has 2 columns, but must have one"):
        over_sampler.fit_resample(X, pd.DataFrame({"a": Y, "b": Y}))
    with pytest.raises(TypeError, match="Sparse data"):
        over_sampler.fit_resample(sparse.csr_array(X), Y)
    assert not hasattr(over_sampler, "sampler_")


def test_names_are_forgotten_by_another_fit() -> None:
    over_sampler = quick().fit(pd.DataFrame(X, columns=list("abcd")), Y)
    assert list(over_sampler.feature_names_in_) == list("abcd")
    assert not hasattr(over_sampler.fit(X, Y), "feature_names_in_")


# ---- refusals ----------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["most", None, 0.5, ["rare"]])
def test_strategies_that_are_none(strategy: Any) -> None:
    with pytest.raises(InvalidParameterError, match="sampling_strategy"):
        quick(strategy).fit_resample(X, Y)


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        ({"rare": 9}, "9 rows of class 'rare', which has 10 already"),
        ({"rare": 20.5}, "20.5 rows of class 'rare'.*whole number"),
        ({"rare": "20"}, "'20' rows of class 'rare'.*whole number"),
        ({"never": 20}, "the class 'never', but y has only.*'often'"),
    ],
    ids=str,
)
def test_numbers_of_rows_that_cannot_be(strategy: Any, words: str) -> None:
    over_sampler = quick(strategy)
    with pytest.raises(ValueError, match=words):
        over_sampler.fit_resample(X, Y)
    assert not hasattr(over_sampler, "sampler_")


@pytest.mark.parametrize(
    ("name", "value"),
    [("sampler", "vae"), ("sampler", VAESampler), ("random_state", "seed")],
)
def test_invalid_parameter(name: str, value: Any) -> None:
    with pytest.raises(InvalidParameterError, match=name):
        quick().set_params(**{name: value}).fit_resample(X, Y)


def test_classes_that_are_none() -> None:
    with pytest.raises(ValueError, match="requires y to be passed"):
        quick().fit_resample(X, None)
    with pytest.raises(ValueError, match="continuous"):
        quick().fit_resample(X, X[:, 0])
    with pytest.raises(ValueError, match="inconsistent numbers"):
        quick().fit_resample(X, Y[:70])
    with pytest.raises(ValueError, match="y should be a 1d array"):
        quick().fit_resample(X, np.nan)
    for container in (sparse.bsr_array, sparse.dia_matrix, sparse.csr_array):
        with pytest.raises(TypeError, match="Sparse data was passed for y"):
            quick().fit_resample(X, container(np.ones((len(X), 1))))


def test_a_fit_that_fails_leaves_the_one_before() -> None:
    over_sampler = quick().fit(X, Y)
    before = vars(over_sampler).copy()
    with pytest.raises(ValueError, match="NaN|missing"):
        over_sampler.fit(np.full_like(X, np.nan), Y)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        over_sampler.fit(X, Y[:70])
    assert vars(over_sampler) == before


# ---- trained together with others -------------------------------------------------


def test_the_sampler_that_is_given_stays_as_it_is() -> None:
    sampler = VAESampler(2, architecture=Dense((8,)), max_epochs=2)
    over_sampler = VAEOverSampler(sampler, random_state=0).fit(X, Y)
    assert not hasattr(sampler, "net_")
    assert sampler.conditional is False
    assert over_sampler.sampler_.conditional is True
    assert over_sampler.sampler_.code_size_ == 2


def test_parameters_of_the_sampler() -> None:
    over_sampler = quick().set_params(sampler__max_epochs=3, sampler__lr=1e-3)
    assert over_sampler.get_params()["sampler__max_epochs"] == 3
    assert clone(over_sampler).fit(X, Y).sampler_.n_iter_ == 3


def imbalanced(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    y = np.repeat([0, 1], [280, 20])
    return noise(300, 4, seed=seed) + 1.5 * y[:, np.newaxis], y


def test_in_a_pipeline() -> None:
    rows, y = imbalanced()
    sampler = VAESampler(architecture=Dense((32,)), max_epochs=30)
    pipeline = make_pipeline(
        StandardScaler(),
        VAEOverSampler(sampler, random_state=0),
        LogisticRegression(),
    ).fit(rows, y)
    test, truth = imbalanced(seed=1)
    # Asked, it answers for each row: rows are drawn in fit only.
    predicted = pipeline.predict(test)
    assert predicted.shape == truth.shape
    plain = LogisticRegression().fit(rows, y).predict(test)
    balanced, unbalanced = (
        balanced_accuracy_score(truth, answer) for answer in (predicted, plain)
    )
    assert balanced > max(unbalanced, 0.8)


def test_in_a_search() -> None:
    rows, y = imbalanced()
    pipeline = make_pipeline(quick(), LogisticRegression())
    search = GridSearchCV(
        pipeline,
        {"vaeoversampler__sampler__code_size": [1, 2]},
        cv=2,
        scoring="balanced_accuracy",
    ).fit(rows, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    scores = cross_val_score(pipeline, rows, y, cv=3)
    np.testing.assert_array_equal(scores, cross_val_score(pipeline, rows, y, cv=3))


@pytest.mark.parametrize(
    "y",
    [
        np.where(np.arange(40) < 30, 1e300, -1.0),
        np.where(np.arange(40) < 30, np.float16(np.inf), np.float16(0.5)),
    ],
    ids=["large", "infinite"],
)
def test_targets_that_no_integer_can_hold_are_refused_without_warnings(
    y: np.ndarray,
) -> None:
    X = np.random.RandomState(0).rand(40, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(
            ValueError,
            match="y: Unknown label type: continuous|y contains inf",
        ):
            VAEOverSampler().fit_resample(X, y)


def test_rows_and_classes_may_be_tensors_that_require_a_gradient() -> None:
    numbers = torch.tensor(np.repeat([0.0, 1.0], [62, 10]), requires_grad=True)
    rows = torch.tensor(X, requires_grad=True)
    X_drawn, y_drawn = quick().fit_resample(rows, numbers)
    assert counts(y_drawn) == {0.0: 62, 1.0: 62}
    np.testing.assert_array_equal(X_drawn, quick().fit_resample(X, numbers)[0])


def test_validation_samples_are_passed_to_the_sampler() -> None:
    held_out = slice(None, None, 3)
    watched = quick()
    for classes in (Y[held_out], pd.DataFrame({"class": Y[held_out]})):
        drawn = watched.fit_resample(X, Y, X_valid=(X[held_out], classes))[0]
        assert len(drawn) == 120
        assert "valid_kl" in watched.sampler_.history_[-1]
    assert "valid_kl" in watched.fit(X, Y, X_valid=(X, Y)).sampler_.history_[-1]
    with pytest.raises(ValueError, match=r"a pair of samples and their classes"):
        quick().fit(X, Y, X_valid=X)
    with pytest.raises(ValueError, match="'never'"):
        quick().fit(X, Y, X_valid=(X[:2], ["never", "rare"]))
