"""Mean, spread and range of the observed values of each feature."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from skautoencoder._estimator.array_statistics import (
    ROUNDING,
    require_finite_spread,
    row_parts,
)
from skautoencoder._estimator.array_types import Array, Mask, Rows64

_FURTHEST = 1e6


@dataclass(frozen=True)
class FeatureStatistics:
    """Mean, spread and range of the observed values of each feature.

    Parameters
    ----------
    mean : ndarray of shape (n_features,)
        Their mean; 0 where nothing was observed.
    spread : ndarray of shape (n_features,)
        Their standard deviation; 1 where it is 0.
    low, high : ndarray of shape (n_features,)
        The lowest and the highest of them; 0 where nothing was observed.
    is_empty : ndarray of bool of shape (n_features,)
        Where nothing was observed.
    """

    mean: Rows64
    spread: Rows64
    low: Rows64
    high: Rows64
    is_empty: Mask

    @classmethod
    def from_rows(cls, rows: Array, observed: Mask) -> Self:
        """Compute the statistics of the observed values of rows.

        Parameters
        ----------
        rows : ndarray of shape (n_samples, n_features)
            The rows.
        observed : ndarray of bool of shape (n_samples, n_features)
            Which of their values count.

        Raises
        ------
        ValueError
            If the squares of values overflow.
        """
        counts = observed.sum(axis=0)
        is_empty, n_values = counts == 0, np.maximum(counts, 1)
        total, squares = np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
        lows, highs = [], []
        # In double precision, as sums of many float32 numbers lose digits.
        with np.errstate(over="ignore", invalid="ignore"):
            for part, known in _parts(rows, observed):
                total += np.where(known, part, 0.0).sum(axis=0, dtype=np.float64)
                lows.append(np.where(known, part, np.inf).min(axis=0))
                highs.append(np.where(known, part, -np.inf).max(axis=0))
            mean = total / n_values
            for part, known in _parts(rows, observed):
                squares += np.square(np.where(known, part - mean, 0.0)).sum(axis=0)
        spread = np.sqrt(squares / n_values)
        require_finite_spread(spread)
        # Smaller spreads are rounding errors of the mean, and would amplify noise.
        spread[spread <= ROUNDING * np.abs(mean)] = 1.0
        low, high = np.min(lows, axis=0), np.max(highs, axis=0)
        low[is_empty] = high[is_empty] = 0.0
        # Due to rounding, the mean of equal numbers may differ from them.
        mean = np.clip(mean, low, high)
        return cls(mean, spread, low, high, is_empty)

    def to_standard(self, rows: Array, observed: Mask) -> Rows64:
        """Return rows in standard units, with 0 where nothing was observed.

        Values are clipped at a million standard deviations, so that their squares fit
        into float32.
        """
        with np.errstate(over="ignore"):
            standard = (rows - self.mean) / self.spread
        return np.where(observed, np.clip(standard, -_FURTHEST, _FURTHEST), 0.0)

    def from_standard(self, rows: Rows64) -> Rows64:
        """Return rows in the units of the data."""
        return rows * self.spread + self.mean

    def fill(self, rows: Array, observed: Mask) -> Array:
        """Return rows with the mean where nothing was observed."""
        with np.errstate(over="ignore"):  # results that overflow are rejected later
            return np.where(observed, rows, self.mean).astype(rows.dtype)

    def limit(self, guesses: Rows64, observed: Mask) -> Rows64:
        """Return guesses clipped to the observed range.

        Empty rows get the mean, and so do guesses that are NaN.
        """
        numbers = np.where(np.isnan(guesses), self.mean, guesses)
        limited = np.clip(numbers, self.low, self.high)
        limited[~observed.any(axis=1)] = self.mean
        return limited


def _parts(rows: Array, observed: Mask) -> Iterator[tuple[Array, Mask]]:
    """Yield parts of the rows, and which of their values are observed."""
    return zip(row_parts(rows), row_parts(observed), strict=True)
