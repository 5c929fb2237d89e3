"""Type aliases for arrays, and statistics of arrays that are too large to copy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from skautoencoder.training import one_thread, to_tensor

Shape = tuple[int, ...]
Range = tuple[float, float]
Array = NDArray[np.floating]
Rows64 = NDArray[np.float64]
Mask = NDArray[np.bool_]


# MinMaxScaler may return 1.0000000000000002.
_UNIT_RANGE_MARGIN = 1e-6
_CHUNK = 4096
# Distances from a mean below this share of it are rounding errors.
ROUNDING = 1e-12


def is_in_unit_range(values: Array | Range, margin: float = _UNIT_RANGE_MARGIN) -> bool:
    """Return whether values, or a pair of minimum and maximum, lie in [0, 1]."""
    return bool(np.min(values) >= -margin and np.max(values) <= 1 + margin)


def fills_unit_range(values: Array | Range) -> bool:
    """Return whether values lie in [0, 1] and span at least half of it.

    Small numbers in other units lie in [0, 1] too, but for a sigmoid they would all be
    close to zero.
    """
    return is_in_unit_range(values) and bool(np.ptp(values) >= 0.5)


def parts(rows: NDArray[Any], size: int = _CHUNK) -> Iterator[slice]:
    """Yield slices of rows, to process large arrays without a copy of the whole."""
    for start in range(0, len(rows), size):
        yield slice(start, start + size)


def mean_and_spread(rows: Array) -> tuple[NDArray[np.float64], float]:
    """Return the mean row and the root mean squared distance from it per feature.

    Both are computed in double precision, from a part of the rows at a time.
    """
    with one_thread():
        mean = sum(to_tensor(rows[part]).double().sum(0) for part in parts(rows))
        assert isinstance(mean, Tensor)
        mean = mean / len(rows)
        variance = sum(
            float((to_tensor(rows[part]).double() - mean).square_().sum())
            for part in parts(rows)
        )
    spread = float(np.sqrt(variance / rows.size))
    if not np.isfinite(spread):
        raise ValueError(
            "X has values so large that their squares overflow. Scale the data, for "
            "example with StandardScaler."
        )
    # Smaller spreads are rounding errors of the mean, and would amplify noise.
    rounding = ROUNDING * float(mean.abs().max())
    return mean.numpy(), spread if spread > rounding else 1.0


def feature_spread(rows: Array) -> NDArray[np.float64]:
    """Return each feature's standard deviation, with a substitute for zero.

    A constant feature gets the median of the others: in this unit, new values are far
    away and rounding errors are not.
    """
    mean = rows.mean(axis=0, dtype=np.float64)
    with np.errstate(over="ignore"):
        square = sum(np.square(rows[part] - mean).sum(axis=0) for part in parts(rows))
    # Only the square of the rounding error of a large mean can be infinite.
    spread = np.sqrt(np.where(np.isfinite(square), square, 0.0) / len(rows))
    rounding = max(ROUNDING, 8 * float(np.finfo(rows.dtype).eps))
    varies = spread > rounding * np.abs(mean)
    usual = float(np.median(spread[varies])) if varies.any() else 1.0
    return np.where(varies, spread, usual)
