"""Arrays and data frames: in what rows came, and how they go out the same way."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skautoencoder._estimator.arrays import Array, Shape

# Pixels of 8 and 16 bits that use more than half of what there is may use the rest.
_FULL_SCALES = (2**8 - 1, 2**16 - 1)

AnyArray = NDArray[Any]


# ---- data frames -------------------------------------------------------------------


def is_polars(X: object, kind: str = "DataFrame") -> bool:
    """Return whether `X` is polars', which is imported then if it ever was."""
    polars = sys.modules.get("polars")
    return polars is not None and isinstance(X, getattr(polars, kind))


def is_frame(X: object) -> bool:
    """Return whether `X` is a data frame that can be given back."""
    return isinstance(X, pd.DataFrame) or is_polars(X)


def as_pandas(X: Any) -> pd.DataFrame:
    """Return a data frame as one of pandas, value by value."""
    if isinstance(X, pd.DataFrame):
        return X
    columns = {i: pd.Series(values_of(column)) for i, column in enumerate(X)}
    table = pd.DataFrame(columns, index=range(len(X)))
    table.columns = pd.Index(X.columns)
    return table


def values_of(column: Any) -> AnyArray:
    """Return the values of a column as they are: integers stay integers.

    Parameters
    ----------
    column : array-like, pandas.Series or polars.Series
        What may have a type that NumPy does not know.
    """
    if isinstance(column, pd.Series):
        kind = numpy_type(column.dtype)
        if kind.kind in "iu" and not column.isna().any():
            return column.to_numpy(dtype=kind)
        return column
    if not is_polars(column, "Series"):
        return column
    dtype = column.dtype
    if dtype.is_temporal() or dtype.is_float() or dtype.is_integer():
        values: AnyArray = column.to_numpy()
        return values
    values = np.empty(len(column), dtype=object)
    values[:] = column.to_list()
    holds_bools = str(dtype) == "Boolean" and not column.null_count()
    return values.astype(bool) if holds_bools else values


@dataclass(frozen=True)
class Frame:
    """A kind of data frame: names and types of columns, and whose it is.

    Parameters
    ----------
    names : pandas.Index
        Names of the columns.
    schema : dict or None
        Types of the columns of a polars frame; None for pandas.
    """

    names: pd.Index
    schema: dict[str, Any] | None = None

    @classmethod
    def of(cls, X: Any) -> Self:
        """Return what kind of frame `X` is."""
        if isinstance(X, pd.DataFrame):
            return cls(X.columns)
        return cls(pd.Index(X.columns), dict(X.schema))

    def build(self, columns: Sequence[pd.Series], index: Any = None) -> Any:
        """Return a frame with these columns, and of pandas with this index."""
        if self.schema is not None:
            import polars

            pairs = zip(self.schema.items(), columns, strict=True)
            return polars.DataFrame(
                [
                    polars.Series(name, values.tolist(), dtype=dtype)
                    for (name, dtype), values in pairs
                ]
            )
        table = pd.concat(columns, axis=1)
        table.columns = self.names
        if index is not None:
            table.index = index
        return table


def in_frame_like(X: Any, rows: Array, names: Any = None) -> Any:
    """Return rows in a data frame if `X` is one.

    Parameters
    ----------
    X : array-like or DataFrame
        What the rows were made of, row by row.
    rows : ndarray of shape (n_samples, ...)
        The rows; of several dimensions they fit into no frame.
    names : array-like of str, default=None
        Names of the columns. None: numbers.

    Returns
    -------
    rows : DataFrame or ndarray
        Of pandas with the index of `X`.
    """
    if rows.ndim != 2 or not is_frame(X):
        return rows
    if isinstance(X, pd.DataFrame):
        return pd.DataFrame(rows, index=X.index, columns=names)
    import polars

    return polars.DataFrame(rows, schema=None if names is None else list(names))


# ---- types of values ---------------------------------------------------------------


def numpy_type(dtype: Any) -> np.dtype[Any]:
    """Return the type of NumPy that holds what a column has exactly, or object."""
    if isinstance(dtype, pd.SparseDtype):
        dtype = dtype.subtype
    dtype = getattr(dtype, "numpy_dtype", dtype)
    return dtype if isinstance(dtype, np.dtype) else np.dtype(object)


def cast(values: AnyArray, dtype: np.dtype[Any]) -> AnyArray:
    """Return numbers in the type that a column or an array had.

    What is of an exact type already stays what it is. Other numbers are rounded to
    integers, and end where the type does.
    """
    if values.dtype.kind != "f":
        return values.astype(dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return to_integers(values, dtype, limits.min, limits.max)
    if dtype.kind == "b":
        return values > 0.5
    if dtype.kind == "f":
        most = np.finfo(dtype).max
        return np.clip(values, -most, most).astype(dtype)
    return values.astype(dtype)


def to_integers(
    values: NDArray[np.floating], dtype: np.dtype[Any], low: int, high: int
) -> AnyArray:
    """Return numbers rounded to integers from `low` to `high`.

    The ends have no float of their own where they are large: numbers beyond them
    are told apart before they are turned into integers.
    """
    rounded = np.rint(values)
    integers = np.where(rounded <= low, dtype.type(low), dtype.type(high))
    inside = (rounded > low) & (rounded < high)
    integers[inside] = rounded[inside].astype(dtype)
    return integers


@dataclass(frozen=True)
class PythonNumbers:
    """What the numbers in a column of objects are.

    Parameters
    ----------
    kind : type
        int, float or Decimal.
    decimals : int
        Digits that Decimals have after the point.
    """

    kind: type
    decimals: int = 0

    @classmethod
    def of(cls, values: AnyArray) -> Self:
        """Return what all of these are: float if they differ."""
        if all(isinstance(value, int | np.integer) for value in values):
            return cls(int)
        if not all(isinstance(value, Decimal) for value in values):
            return cls(float)
        exponents = [value.as_tuple().exponent for value in values]
        return cls(Decimal, max(0, *(-int(exponent) for exponent in exponents)))

    def cast(self, values: AnyArray) -> AnyArray:
        """Return numbers as objects of this kind."""
        objects = np.empty(len(values), dtype=object)
        if self.kind is Decimal:
            objects[:] = [Decimal(f"{value:.{self.decimals}f}") for value in values]
        elif self.kind is int:
            objects[:] = [round(value) for value in values.tolist()]
        else:
            objects[:] = values.tolist()
        return objects


# ---- rows that are no table --------------------------------------------------------


@dataclass(frozen=True)
class Container:
    """In what rows that are no table came, and how a network is shown them.

    Parameters
    ----------
    data_shape : tuple of int
        Shape of one sample.
    dtypes : tuple of dtype
        Type of the values: one for an array, and one for each column of a frame.
    frame : Frame or None
        What kind of data frame it is. None: an array.
    limits : (int, int) or None
        The lowest and the highest integer of an array of integers.
    scale : int, default=1
        What a network is shown as 1.
    """

    data_shape: Shape
    dtypes: tuple[Any, ...]
    frame: Frame | None
    limits: tuple[int, int] | None
    scale: int = 1

    @classmethod
    def of(cls, X: Any, rows: AnyArray, data_shape: Shape) -> Self:
        """Return what `X` is, whose validated rows are `rows`."""
        if is_frame(X):
            return cls(data_shape, tuple(as_pandas(X).dtypes), Frame.of(X), None)
        limits = None
        if rows.dtype.kind in "iu":
            limits = int(rows.min()), int(rows.max())
        return cls(data_shape, (rows.dtype,), None, limits)

    @property
    def full_scale(self) -> int | None:
        """What the brightest pixel has, if rows are integers from 0 on."""
        if self.limits is None or self.limits[0] < 0:
            return None
        most = self.limits[1]
        for full in _FULL_SCALES:
            if full // 2 < most <= full:
                return full
        return max(most, 1)

    def read(self, rows: AnyArray) -> Array:
        """Return flat rows as a network is shown them, but for their spread."""
        if self.scale != 1:
            return np.divide(rows, self.scale, dtype=np.float32)
        if rows.dtype in (np.float32, np.float64):
            return rows
        return rows.astype(np.float32 if rows.dtype.kind == "b" else np.float64)

    def wrap(self, rows: Array, index: Any = None) -> Any:
        """Return flat rows in what the user gave them in."""
        if self.frame is not None:
            columns = [
                _to_number_series(values, dtype)
                for values, dtype in zip(rows.T, self.dtypes, strict=True)
            ]
            return self.frame.build(columns, index)
        (dtype,) = self.dtypes
        rows = rows * self.scale
        if self.limits is None:
            values = cast(rows, dtype)
        else:
            most = self.full_scale if self.full_scale in _FULL_SCALES else None
            values = to_integers(rows, dtype, self.limits[0], most or self.limits[1])
        return values.reshape(-1, *self.data_shape)


def _to_number_series(values: Array, dtype: Any) -> pd.Series:
    """Return numbers in the type that a column had, or as they are if it had none."""
    kind = numpy_type(dtype)
    if kind.kind not in "biuf":
        return pd.Series(values)
    return to_series(cast(values, kind), dtype)


def to_series(values: AnyArray, dtype: Any) -> pd.Series:
    """Return the values of a column in the type that it had."""
    if isinstance(dtype, pd.SparseDtype):
        return pd.Series(pd.arrays.SparseArray(values, dtype=dtype))
    return pd.Series(values, dtype=dtype)
