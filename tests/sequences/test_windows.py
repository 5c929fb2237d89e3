"""Windows of series: their length, and back from windows to steps."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import noise

from skautoencoder.sequences.windows import (
    find_period,
    mean_over_windows,
    share_missing,
    usual_window,
    window_rows,
    window_starts,
)


def sine(n_steps: int, period: float) -> np.ndarray:
    return np.sin(np.arange(n_steps) * 2 * np.pi / period)[:, None]


@pytest.mark.parametrize("period", [5, 24, 100, 288])
@pytest.mark.parametrize("slope", [0.0, 0.01])
def test_period_of_a_sine_with_noise(period: int, slope: float) -> None:
    series = (
        sine(2000, period) + 0.5 * noise(2000, 1) + slope * np.arange(2000)[:, None]
    )
    assert find_period(series) == pytest.approx(period, abs=max(1, 0.03 * period))


def test_period_is_not_a_multiple() -> None:
    pulses = (np.arange(3000) % 50 < 10).astype(float)[:, None]
    assert find_period(pulses + 0.1 * noise(3000, 1)) == 50


@pytest.mark.parametrize(
    "series", [noise(1000, 2), np.ones((1000, 1)), np.arange(1000.0)[:, None]]
)
def test_no_period(series: np.ndarray) -> None:
    assert find_period(series) is None
    assert usual_window([series]) == 100
    assert usual_window([series[:200]]) == 20
    assert usual_window([series[:2]]) == 1


def test_rows_are_windows() -> None:
    series = np.arange(20.0).reshape(10, 2)
    rows = window_rows(series, 3, 2)
    assert rows.shape == (4, 6)
    np.testing.assert_array_equal(rows[1], series[2:5].ravel())


@pytest.mark.parametrize("stride", [1, 2, 3, 50])
def test_mean_over_windows(stride: int) -> None:
    starts = window_starts(30, 7, stride)
    assert starts[-1] == 23
    numbers, weights = noise(len(starts)), np.arange(len(starts)) + 1.0
    means = mean_over_windows(numbers, weights, starts, 7)
    for step in range(30):
        inside = (starts <= step) & (step < starts + 7)
        if inside.any():
            expected = np.average(numbers[inside], weights=weights[inside])
            assert means[step] == pytest.approx(expected)
        else:
            assert np.isnan(means[step])


def test_share_of_missing_values() -> None:
    series = noise(50, 2)
    series[noise(50, 2, seed=1) > 0] = np.nan
    starts = window_starts(50, 8, 3)
    expected = [np.isnan(series[start : start + 8]).mean() for start in starts]
    np.testing.assert_allclose(share_missing(series, starts, 8), expected)
