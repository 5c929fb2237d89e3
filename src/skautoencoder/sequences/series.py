"""Validation of series, and results with one row for each time step."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data
from torch import Tensor

from skautoencoder._estimator.array_types import Array
from skautoencoder._estimator.containers import in_frame_like, is_frame
from skautoencoder._estimator.image_detection import axes_seem_turned
from skautoencoder._estimator.input_hints import first_few, with_hints
from skautoencoder._estimator.sample_validation import float_types, from_torch
from skautoencoder._estimator.user_warnings import warn_user

_ONE_OR_MANY = (
    "A series has the shape (n_timepoints,) or (n_timepoints, n_channels); several "
    "series are a list of them."
)
# Fewest steps by which a channel is known to go one way only, and the share of them
# that are no standstill: a switch that is turned on once is no counter.
_FEWEST_STEPS, _LEAST_CHANGES = 50, 0.5


@dataclass(frozen=True)
class SeriesInput:
    """One series or several, validated.

    Parameters
    ----------
    values : list of ndarray of shape (n_timepoints, n_channels)
        The series, with NaN where there is no value.
    given : list
        What each of them came in, for the container of the results.
    is_list : bool
        Whether there were several, so that results are a list too.
    """

    values: list[Array]
    given: list[Any]
    is_list: bool

    @classmethod
    def check(
        cls, estimator: Any, X: Any, *, is_fitted: bool, least: int = 1
    ) -> SeriesInput:
        """Validate what `fit` or another method was given.

        Parameters
        ----------
        estimator : estimator instance
            ``n_features_in_`` and ``feature_names_in_`` are set on it, or compared.
        X : array-like or list of array-like
            The series.
        is_fitted : bool
            Whether to compare the channels with those of the estimator.
        least : int, default=1
            How many time steps a series has at least.
        """
        if not _is_list_of_series(X):
            return cls([_check_one(estimator, X, is_fitted, least)], [X], False)
        if not len(X):
            raise ValueError("X is an empty list. Pass at least one series.")
        values = []
        for i, series in enumerate(X):
            try:
                values.append(_check_one(estimator, series, is_fitted or i > 0, least))
            except ValueError as error:
                raise ValueError(f"Series {i} of the list: {error}") from error
        return cls(values, list(X), True)

    def wrap(self, results: list[NDArray[Any]]) -> Any:
        """Return results, one row for each time step, in the containers of the input.

        A vector of a pandas object becomes a Series with its index, a table a DataFrame
        with its index and columns.
        """
        wrapped = [
            _wrap_one(given, result)
            for given, result in zip(self.given, results, strict=True)
        ]
        return wrapped if self.is_list else wrapped[0]


def warn_of_channels(values: Array, names: Sequence[object] | None) -> None:
    """Warn if a series seems to be a collection, or a channel to count its steps.

    Parameters
    ----------
    values : ndarray of shape (n_timepoints, n_channels)
        The series.
    names : sequence or None
        Names of the channels.
    """
    n_steps, n_channels = values.shape
    if axes_seem_turned(values.reshape(1, -1), values.shape):
        warn_user(
            f"X is taken for one series of {n_steps} steps of {n_channels} channels, "
            "but values change little from channel to channel and much from step to "
            f"step. For {n_steps} series of one channel pass list(X), for one series "
            f"of {n_channels} steps X.T."
        )
    one_way = [place for place, c in enumerate(values.T) if _goes_one_way(c)]
    if one_way and n_channels == 1:
        warn_user(
            "X goes one way only, as times and running totals do. No stretch of it is "
            "like another, which hides its outliers. Pass its differences."
        )
    elif one_way:
        named = one_way if names is None else [names[place] for place in one_way]
        warn_user(
            f"Channels {first_few(named)} of X go one way only, as times, row numbers "
            "and running totals do. No stretch of them is like another, which hides "
            "the outliers of all channels. Leave them out, or pass their differences."
        )


def _goes_one_way(channel: Array) -> bool:
    known = channel[~np.isnan(channel)]
    if len(known) < _FEWEST_STEPS or known[0] == known[-1]:
        return False
    goes_on = np.diff(known) * np.sign(known[-1] - known[0])
    return bool((goes_on >= 0).all() and (goes_on > 0).mean() > _LEAST_CHANGES)


def _is_list_of_series(X: Any) -> bool:
    """Return whether `X` is a list of series, rather than rows of one.

    Elements that are arrays or frames are series; lists in lists are rows of numbers,
    unless they are nested three times.
    """
    if not isinstance(X, list | tuple):
        return False
    kinds = (np.ndarray, pd.DataFrame, pd.Series, Tensor)
    if any((isinstance(x, kinds) and np.ndim(x)) or is_frame(x) for x in X):
        return True
    first = X[0] if len(X) else None
    return not len(X) or (
        isinstance(first, list | tuple)
        and len(first) > 0
        and isinstance(first[0], list | tuple)
    )


def _check_one(estimator: Any, X: Any, is_fitted: bool, least: int) -> Array:
    name = type(estimator).__name__
    X = from_torch(X)
    _check_order(X)
    _refuse_times(X)
    if isinstance(X, pd.Series):
        # Of a frame, scikit-learn also reads missing values of nullable types.
        X = X.to_frame(X.name if isinstance(X.name, str) else 0)
    checks: dict[str, Any] = {
        "dtype": float_types(X),
        "ensure_all_finite": "allow-nan",
        "ensure_min_samples": least,
        "order": "C",
    }
    with with_hints(X, name):
        if not hasattr(X, "columns"):
            X = X if hasattr(X, "ndim") else np.asarray(X)
            has_one_channel = not is_fitted or estimator.n_features_in_ == 1
            if X.ndim == 1 and has_one_channel:
                X = check_array(
                    X, ensure_2d=False, estimator=estimator, input_name="X", **checks
                )[:, np.newaxis]
            elif X.ndim > 2:
                raise ValueError(
                    f"Found array with dim {X.ndim}, of shape {np.shape(X)}. "
                    f"{_ONE_OR_MANY}"
                )
        values: Array = validate_data(estimator, X, reset=not is_fitted, **checks)
    return values


def _check_order(X: Any) -> None:
    """Raise if the time index of a pandas object does not go up."""
    index = getattr(X, "index", None)
    kinds = (pd.DatetimeIndex, pd.PeriodIndex, pd.TimedeltaIndex)
    if not isinstance(index, kinds):
        return
    if index.hasnans:
        raise ValueError(
            "The time index of X has no time (NaT) for some steps. Leave them out: "
            "X[X.index.notna()]."
        )
    if not index.is_monotonic_increasing:
        raise ValueError(
            "The time index of X is not in order, but the rows of a series are time "
            "steps that follow one another. Pass X.sort_index()."
        )


def _refuse_times(X: Any) -> None:
    """Raise if a column of a frame holds the times of the steps."""
    if not is_frame(X) or not len(X):
        return
    is_pandas = isinstance(X, pd.DataFrame)
    for place, name in enumerate(X.columns):
        cell = X.iat[0, place] if is_pandas else X[name][0]
        if _is_time(cell):
            cure = f"times belong in the index: pass X.set_index({name!r})."
            if not is_pandas:  # polars has no index
                cure = f"leave times out: X.drop({name!r})."
            raise TypeError(
                f"Column {name!r} of X holds times, such as {str(cell)!r}. The rows of "
                f"a series are its steps; {cure}"
            )


def _is_time(cell: Any) -> bool:
    if not isinstance(cell, str):
        return isinstance(cell, datetime.date | datetime.time | pd.Period)
    try:
        float(cell)
    except ValueError:
        with suppress(ValueError, OverflowError):
            return not pd.isna(pd.Timestamp(cell))
    return False


def _wrap_one(given: Any, result: NDArray[Any]) -> Any:
    if isinstance(given, pd.Series):
        vector = result if result.ndim == 1 else result[:, 0]
        return pd.Series(vector, index=given.index, name=given.name)
    if result.ndim == 1 and isinstance(given, pd.DataFrame):
        return pd.Series(result, index=given.index)
    if result.ndim == 1:
        return result
    if np.ndim(given) == 1:
        return result[:, 0]
    return in_frame_like(given, result, getattr(given, "columns", None))
