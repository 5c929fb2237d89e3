"""How strongly the columns of a table depend on each other, pair by pair."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

Float64 = NDArray[np.float64]
Levels = NDArray[np.intp]


def associations(table: pd.DataFrame, categorical: list[bool]) -> Float64:
    """Return the association of each pair of columns.

    Parameters
    ----------
    table : DataFrame of shape (n_samples, n_columns)
        The table.
    categorical : list of bool
        Which columns hold levels, not numbers.

    Returns
    -------
    associations : ndarray of shape (n_columns, n_columns)
        Spearman's rank correlation of two columns of numbers, from -1 to 1; from 0 to
        1, Cramér's V of two columns of levels, and the correlation ratio of ranks for
        a column of each kind. NaN where a column is constant.
    """
    columns: list[Any] = [
        pd.factorize(table.iloc[:, i])[0] if is_levels else _ranks(table.iloc[:, i])
        for i, is_levels in enumerate(categorical)
    ]
    result = np.eye(len(columns))
    for i, one in enumerate(columns):
        for j in range(i):
            pair = (categorical[i], categorical[j])
            other = columns[j]
            if pair == (False, False):
                value = _correlation(one, other)
            elif pair == (True, True):
                value = _cramers_v(one, other)
            else:
                value = _correlation_ratio(*((one, other) if pair[0] else (other, one)))
            result[i, j] = result[j, i] = value
    return result


def _ranks(values: pd.Series) -> Float64:
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    ranks: Float64 = rankdata(np.nan_to_num(numbers, nan=np.nanmedian(numbers)))
    return ranks


def _correlation(one: Float64, other: Float64) -> float:
    one, other = one - one.mean(), other - other.mean()
    norm = float(np.sqrt(np.square(one).sum() * np.square(other).sum()))
    return float((one * other).sum() / norm) if norm else np.nan


def _correlation_ratio(levels: Levels, numbers: Float64) -> float:
    levels = levels - levels.min()
    counts = np.bincount(levels)
    means = np.bincount(levels, weights=numbers) / np.maximum(counts, 1)
    total = float(np.square(numbers - numbers.mean()).sum())
    between = float((counts * np.square(means - numbers.mean())).sum())
    return float(np.sqrt(between / total)) if total else np.nan


def _cramers_v(one: Levels, other: Levels) -> float:
    counts = pd.crosstab(one, other).to_numpy(dtype=np.float64)
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    chi_square = float((np.square(counts - expected) / expected).sum())
    most = min(counts.shape) - 1
    return float(np.sqrt(chi_square / (counts.sum() * most))) if most else np.nan
