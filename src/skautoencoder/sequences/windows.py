"""Windows of a series: their length, their rows, and back from windows to steps."""

from __future__ import annotations

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from skautoencoder._estimator.array_types import Array

# Window of a series without a period, and the largest share of the series that it is.
_USUAL_WINDOW, _USUAL_SHARE = 100, 10
# Shortest and longest period that is looked for, and the steps it is looked for in.
_SHORTEST_PERIOD, _LONGEST_PERIOD = 4, 400
_STEPS_LOOKED_AT = 20_000
# A peak rises above the lowest autocorrelation before it by at least this, and by this
# many standard errors.
_LEAST_RISE, _STANDARD_ERRORS = 0.1, 4.0
# The period is at the first peak that rises by this share of the highest rise, so that
# a multiple of the period is not taken for it. Noise puts small peaks on the slopes of
# large ones: it is the highest up to this multiple of the first lag.
_SHARE_OF_HIGHEST, _WIDTH_OF_PEAK = 0.8, 1.3
# A series has at least so many periods.
_FEWEST_PERIODS = 2


def usual_window(series: list[Array]) -> int:
    """Return the window for ``window="auto"``: the period, if there is one.

    Parameters
    ----------
    series : list of ndarray of shape (n_timepoints, n_channels)
        The series, without NaN.
    """
    longest = max(series, key=len)
    usual = min(_USUAL_WINDOW, max(len(longest) // _USUAL_SHARE, 1))
    return find_period(longest) or usual


def find_period(values: Array) -> int | None:
    """Return the period of a series in steps, or None if there is none.

    It is the first strong peak of the autocorrelation, averaged over the channels. A
    peak is strong if it rises far above the lowest value before it, for slow changes
    raise the autocorrelation at all lags.

    Parameters
    ----------
    values : ndarray of shape (n_timepoints, n_channels)
        The series.
    """
    values = values[:_STEPS_LOOKED_AT]
    n_steps = len(values)
    n_lags = min(_LONGEST_PERIOD, n_steps // _FEWEST_PERIODS)
    if n_lags <= _SHORTEST_PERIOD:
        return None
    correlation = _autocorrelation(values, n_lags + 1)
    rise = correlation - np.minimum.accumulate(correlation)
    rise[:_SHORTEST_PERIOD] = 0.0
    least = max(_LEAST_RISE, _STANDARD_ERRORS / np.sqrt(n_steps))
    # What still rises at the last lag is no peak.
    inner = rise[1:-1]
    is_peak = (inner > rise[:-2]) & (inner >= rise[2:]) & (inner >= least)
    lags = np.flatnonzero(is_peak) + 1
    if not len(lags):
        return None
    first = lags[rise[lags] >= _SHARE_OF_HIGHEST * rise[lags].max()][0]
    near = lags[(lags >= first) & (lags <= _WIDTH_OF_PEAK * first)]
    return int(near[rise[near].argmax()])


def _autocorrelation(values: Array, n_lags: int) -> NDArray[np.float64]:
    """Return the autocorrelation at lags 0 to `n_lags`, averaged over the channels.

    Trends are removed first: they correlate at all lags.
    """
    steps = np.arange(len(values), dtype=np.float64)
    steps -= steps.mean()
    centred = torch.from_numpy(values.astype(np.float64))
    centred = centred - centred.mean(dim=0)
    slope = torch.from_numpy(steps)[:, None]
    centred -= slope * (slope * centred).sum(dim=0) / slope.square().sum()
    spectrum = torch.fft.rfft(centred, 2 * len(values), dim=0).abs().square()
    products = torch.fft.irfft(spectrum, dim=0)[: n_lags + 1]
    lengths = products[0].clamp_min(1e-300)
    correlation: NDArray[np.float64] = (products / lengths).mean(dim=1).numpy()
    return correlation


def window_rows(values: Array, window: int, stride: int = 1) -> Array:
    """Return windows as rows of shape (n_windows, window * n_channels), a view.

    Parameters
    ----------
    values : ndarray of shape (n_timepoints, n_channels), C-contiguous
        The series, at least as long as a window.
    window : int
        Steps of a window.
    stride : int, default=1
        Steps from one window to the next.
    """
    n_channels = values.shape[1]
    flat = np.ascontiguousarray(values).reshape(-1)
    return sliding_window_view(flat, window * n_channels)[:: stride * n_channels]


def window_starts(n_steps: int, window: int, stride: int) -> NDArray[np.intp]:
    """Return the first steps of the windows of a series; the last ends with it."""
    last = n_steps - window
    starts = np.arange(0, last + 1, stride)
    return starts if starts[-1] == last else np.append(starts, last)


def share_missing(
    values: Array, starts: NDArray[np.intp], window: int
) -> NDArray[np.float64]:
    """Return the share of missing values of each window."""
    missing = np.isnan(values).mean(axis=1)
    if not missing.any():
        return np.zeros(len(starts))
    n_channels = values.shape[1]
    # Counts, as sums of shares would be rounded.
    until = np.concatenate(([0], np.cumsum(np.rint(missing * n_channels)).astype(int)))
    return (until[starts + window] - until[starts]) / (window * n_channels)


def mean_over_windows(
    of_windows: NDArray[np.float64],
    weights: NDArray[np.float64],
    starts: NDArray[np.intp],
    window: int,
) -> NDArray[np.float64]:
    """Return the weighted mean over the windows that each step lies in.

    Parameters
    ----------
    of_windows : ndarray of shape (n_windows,) or (n_windows, n_channels)
        Numbers of windows.
    weights : ndarray of shape (n_windows,)
        Weights of the windows.
    starts : ndarray of shape (n_windows,)
        First step of each window.
    window : int
        Steps of a window.

    Returns
    -------
    of_steps : ndarray of shape (n_steps,) or (n_steps, n_channels)
        The means up to the end of the last window; NaN for steps in no window, or in
        such without a weight.
    """
    n_steps = int(starts[-1]) + window
    total, weight = np.zeros((n_steps, *of_windows.shape[1:])), np.zeros(n_steps)
    weighted = (of_windows.T * weights).T
    for offset in range(window):
        # No two windows have the same first step. A running sum would be quicker, but
        # carries rounding errors of large numbers on to all later steps.
        total[starts + offset] += weighted
        weight[starts + offset] += weights
    weight[weight == 0] = np.nan
    return (total.T / weight).T
