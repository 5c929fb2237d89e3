"""Statistics of arrays that are too large to copy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from torch import Tensor

from skautoencoder._estimator.array_types import Array, Range
from skautoencoder.training import to_tensor

# MinMaxScaler may return 1.0000000000000002.
_UNIT_RANGE_MARGIN = 1e-6
_CHUNK = 4096
# Distances from a mean below this share of it are rounding errors.
ROUNDING = 1e-12
# As many samples of the mean of a channel are added to those of a step.
_USUAL_SAMPLES = 8


def is_in_unit_range(values: Array | Range, margin: float = _UNIT_RANGE_MARGIN) -> bool:
    """Return whether values, or a pair of minimum and maximum, lie in [0, 1]."""
    return bool(np.min(values) >= -margin and np.max(values) <= 1 + margin)


def fills_unit_range(values: Array | Range) -> bool:
    """Return whether values lie in [0, 1] and span at least half of it.

    Small numbers in other units lie in [0, 1] too, but for a sigmoid they would all be
    close to zero.
    """
    return is_in_unit_range(values) and bool(np.ptp(values) >= 0.5)


def row_chunks(rows: NDArray[Any], size: int = _CHUNK) -> Iterator[slice]:
    """Yield slices of rows, to process large arrays without a copy of the whole."""
    for start in range(0, len(rows), size):
        yield slice(start, start + size)


def row_parts(rows: NDArray[Any], size: int = _CHUNK) -> Iterator[NDArray[Any]]:
    """Yield the rows in parts that lie row by row in memory, so that sums add alike.

    Arrays may be stored by columns, as data frames mostly are.
    """
    for part in row_chunks(rows, size):
        yield np.ascontiguousarray(rows[part])


def mean_row(rows: Array) -> NDArray[np.float64]:
    """Return the mean row, computed in double precision."""
    total = sum(part.sum(axis=0, dtype=np.float64) for part in row_parts(rows))
    mean: NDArray[np.float64] = np.asarray(total) / len(rows)
    return mean


def range_of(rows: Array) -> Range:
    """Return the lowest and the highest value; NaN in sequences after their end aside.

    Without NaN, which costs no copy.
    """
    low, high = float(rows.min()), float(rows.max())
    if np.isnan(low):
        low, high = float(np.nanmin(rows)), float(np.nanmax(rows))
    return low, high


def mean_and_spread(rows: Array) -> tuple[NDArray[np.float64], float]:
    """Return the mean row and the root mean squared distance from it per feature.

    Both are computed in double precision, from a part of the rows at a time.
    """
    mean = sum(to_tensor(part).double().sum(0) for part in row_parts(rows))
    assert isinstance(mean, Tensor)
    mean = mean / len(rows)
    variance = sum(
        float((to_tensor(part).double() - mean).square_().sum())
        for part in row_parts(rows)
    )
    spread = float(np.sqrt(variance / rows.size))
    return _checked(mean.numpy(), spread)


def feature_spread(rows: Array) -> NDArray[np.float64]:
    """Return each feature's standard deviation, with a substitute for zero.

    A constant feature gets the median of the others: in this unit, new values are far
    away and rounding errors are not.
    """
    mean = mean_row(rows)
    with np.errstate(over="ignore"):
        square = sum(np.square(part - mean).sum(axis=0) for part in row_parts(rows))
    # Only the square of the rounding error of a large mean can be infinite.
    spread = np.sqrt(np.where(np.isfinite(square), square, 0.0) / len(rows))
    rounding = max(ROUNDING, 8 * float(np.finfo(rows.dtype).eps))
    varies = spread > rounding * np.abs(mean)
    usual = float(np.median(spread[varies])) if varies.any() else 1.0
    return np.where(varies, spread, usual)


def mean_and_spread_of_sequences(
    rows: Array, n_channels: int
) -> tuple[NDArray[np.float64], float]:
    """Return what `mean_and_spread` does, for sequences that are NaN after their end.

    Late steps, of which there may be few, have means that are drawn to the mean of
    their channel, as if each step had a few samples of that mean more.
    """
    steps = rows.reshape(len(rows), -1, n_channels)
    total = np.zeros(steps.shape[1:])
    count = np.zeros(steps.shape[1:])
    for part in row_chunks(steps):
        count += (~np.isnan(steps[part])).sum(axis=0)
        total += np.nansum(steps[part], axis=0, dtype=np.float64)
    usual = total.sum(axis=0) / count.sum(axis=0)
    mean = (total + _USUAL_SAMPLES * usual) / (count + _USUAL_SAMPLES)
    with np.errstate(over="ignore"):
        squares = sum(
            float(np.nansum(np.square(steps[part] - mean)))
            for part in row_chunks(steps)
        )
    spread = float(np.sqrt(squares / count.sum()))
    return _checked(mean.ravel(), spread)


def _checked(
    mean: NDArray[np.float64], spread: float
) -> tuple[NDArray[np.float64], float]:
    """Return a mean and a spread that can be divided by."""
    require_finite_spread(spread)
    # Smaller spreads are rounding errors of the mean, and would amplify noise.
    rounding = ROUNDING * float(np.abs(mean).max())
    return mean, spread if spread > rounding else 1.0


def require_finite_spread(spread: float | NDArray[np.float64]) -> None:
    """Raise if a spread, or that of some feature, is no number that can be used."""
    if np.isnan(spread).any() and get_config()["assume_finite"]:
        raise ValueError(
            "X has NaN or infinity, although assume_finite=True says that it has not. "
            "AutoencoderImputer fills NaN."
        )
    if not np.isfinite(spread).all():
        raise ValueError(
            "X has values so large that their squares overflow. Scale the data, for "
            "example with StandardScaler."
        )
