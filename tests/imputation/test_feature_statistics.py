"""Statistics of observed values against those of NumPy."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from helpers import noise

from skautoencoder.imputation.feature_statistics import FeatureStatistics


def rows_with_holes(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rows = 3 + 2 * noise(50, 4, seed=seed)
    observed = np.random.RandomState(seed).rand(50, 4) < 0.7
    return np.where(observed, rows, np.nan), observed


@pytest.mark.parametrize("seed", range(3))
def test_they_are_those_of_what_is_observed(seed: int) -> None:
    rows, observed = rows_with_holes(seed)
    statistics = FeatureStatistics.from_rows(rows, observed)
    np.testing.assert_allclose(statistics.mean, np.nanmean(rows, axis=0))
    np.testing.assert_allclose(statistics.spread, np.nanstd(rows, axis=0))
    np.testing.assert_array_equal(statistics.low, np.nanmin(rows, axis=0))
    np.testing.assert_array_equal(statistics.high, np.nanmax(rows, axis=0))
    assert not statistics.is_empty.any()


def test_a_feature_never_observed_is_zero() -> None:
    rows, observed = rows_with_holes(0)
    observed[:, 2] = False
    statistics = FeatureStatistics.from_rows(rows, observed)
    np.testing.assert_array_equal(statistics.is_empty, [False, False, True, False])
    for values in (statistics.mean, statistics.low, statistics.high):
        assert values[2] == 0
    assert not statistics.to_standard(rows, observed)[:, 2].any()


@pytest.mark.parametrize("value", [0.0, 0.1, -1e9])
def test_a_constant_feature_has_the_unit_one(value: float) -> None:
    rows = np.full((30, 1), value)
    statistics = FeatureStatistics.from_rows(rows, np.ones_like(rows, dtype=bool))
    assert statistics.spread == 1


def test_there_and_back() -> None:
    rows, observed = rows_with_holes(1)
    statistics = FeatureStatistics.from_rows(rows, observed)
    standard = statistics.to_standard(rows, observed)
    np.testing.assert_array_equal(standard[~observed], 0)
    back = statistics.from_standard(standard)
    np.testing.assert_allclose(back, statistics.fill(rows, observed))


def test_guesses_are_limited_and_empty_rows_get_the_mean() -> None:
    rows, observed = rows_with_holes(2)
    statistics = FeatureStatistics.from_rows(rows, observed)
    known = np.ones((3, 4), dtype=bool)
    known[2] = False
    guesses = np.array([[1e9] * 4, [-1e9] * 4, [1e9] * 4])
    limited = statistics.limit(guesses, known)
    np.testing.assert_array_equal(
        limited, [statistics.high, statistics.low, statistics.mean]
    )


def test_guesses_that_are_no_numbers_become_the_mean() -> None:
    rows, observed = rows_with_holes(2)
    statistics = FeatureStatistics.from_rows(rows, observed)
    guesses = np.full((2, 4), np.nan)
    limited = statistics.limit(guesses, np.ones((2, 4), dtype=bool))
    np.testing.assert_array_equal(limited, [statistics.mean] * 2)


@pytest.mark.parametrize("value", [0.1, 1000.1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_mean_of_equal_values_is_that_value(value: float, dtype: type) -> None:
    rows = np.full((10_007, 1), value, dtype=dtype)
    statistics = FeatureStatistics.from_rows(rows, np.ones_like(rows, dtype=bool))
    assert statistics.mean[0] == rows[0, 0]


def test_values_whose_squares_overflow_are_refused() -> None:
    rows = np.array([[1e300], [-1e300]])
    with pytest.raises(ValueError, match="Scale the data"):
        FeatureStatistics.from_rows(rows, np.ones_like(rows, dtype=bool))


def test_large_tables_are_not_copied() -> None:
    rows = np.ones((200_000, 8), dtype=np.float32)
    observed = np.ones_like(rows, dtype=bool)
    tracemalloc.start()
    statistics = FeatureStatistics.from_rows(rows, observed)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < rows.nbytes / 2
    np.testing.assert_array_equal(statistics.mean, 1)
