"""Names for kinds of arrays, and sums over arrays that are too large to copy."""

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


# MinMaxScaler returns 1.0000000000000002.
_UNIT_RANGE_MARGIN = 1e-6
_CHUNK = 4096
# Share of a mean below which a distance from it is nothing but rounding.
ROUNDING = 1e-12


def is_in_unit_range(values: Array | Range, margin: float = _UNIT_RANGE_MARGIN) -> bool:
    """Return whether values, or the lowest and the highest, lie in [0, 1]."""
    return bool(np.min(values) >= -margin and np.max(values) <= 1 + margin)


def fills_unit_range(values: Array | Range) -> bool:
    """Return whether values lie in [0, 1] and make use of it.

    Small numbers of another unit lie there too, and a sigmoid could not tell them
    from zero.
    """
    return is_in_unit_range(values) and bool(np.ptp(values) >= 0.5)


def parts(rows: NDArray[Any], size: int = _CHUNK) -> Iterator[slice]:
    """Go through rows a part at a time, so that no copy of them all is made."""
    for start in range(0, len(rows), size):
        yield slice(start, start + size)


def mean_and_spread(rows: Array) -> tuple[NDArray[np.float64], float]:
    """Return the mean row and the root mean squared distance from it per feature.

    Both are summed in double precision, a part of the rows at a time.
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
    # Below the rounding of the mean there is nothing but noise to be blown up.
    rounding = ROUNDING * float(mean.abs().max())
    return mean.numpy(), spread if spread > rounding else 1.0


def feature_spread(rows: Array) -> NDArray[np.float64]:
    """Return each feature's standard deviation, none of them zero.

    A feature that does not vary takes the median of those that do: in that unit a
    value that was never seen is far away, and rounding is not.
    """
    mean = rows.mean(axis=0, dtype=np.float64)
    with np.errstate(over="ignore"):
        square = sum(np.square(rows[part] - mean).sum(axis=0) for part in parts(rows))
    # Infinite is only the square of a large mean's rounding.
    spread = np.sqrt(np.where(np.isfinite(square), square, 0.0) / len(rows))
    rounding = max(ROUNDING, 8 * float(np.finfo(rows.dtype).eps))
    varies = spread > rounding * np.abs(mean)
    usual = float(np.median(spread[varies])) if varies.any() else 1.0
    return np.where(varies, spread, usual)
