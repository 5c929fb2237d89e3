"""Arrays and data frames: converting results to the container of the input."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skautoencoder._estimator.array_types import Array, Shape

# Highest values of pixels of 8 and 16 bits: the scale of integers whose maximum is more
# than half of it.
_FULL_SCALES = (2**8 - 1, 2**16 - 1)

AnyArray = NDArray[Any]


# ---- data frames -------------------------------------------------------------------


def is_polars(X: object, kind: str = "DataFrame") -> bool:
    """Return whether `X` is a polars object, without importing polars."""
    polars = sys.modules.get("polars")
    return polars is not None and isinstance(X, getattr(polars, kind))


def is_frame(X: object) -> bool:
    """Return whether `X` is a data frame of pandas or polars."""
    return isinstance(X, pd.DataFrame) or is_polars(X)


def as_pandas(X: Any) -> pd.DataFrame:
    """Return a data frame as a pandas data frame with the same values."""
    if isinstance(X, pd.DataFrame):
        return X
    columns = {i: pd.Series(values_of(column)) for i, column in enumerate(X)}
    table = pd.DataFrame(columns, index=range(len(X)))
    table.columns = pd.Index(X.columns)
    return table


def values_of(column: Any) -> AnyArray:
    """Return the values of a column as an array; integers stay integers.

    Parameters
    ----------
    column : array-like, pandas.Series or polars.Series
        The column, which may have a type that NumPy does not have.
    """
    if isinstance(column, pd.Series):
        kind = numpy_type(column.dtype)
        if kind.kind in "iu" and not column.isna().any():
            return column.to_numpy(dtype=kind)
        return column
    if not is_polars(column, "Series"):
        return column
    dtype = column.dtype
    # NumPy has no integers of 128 bits.
    is_integer = dtype.is_integer() and "128" not in str(dtype)
    if dtype.is_temporal() or dtype.is_float() or is_integer:
        values: AnyArray = column.to_numpy()
        return values
    values = np.empty(len(column), dtype=object)
    values[:] = column.to_list()
    holds_bools = str(dtype) == "Boolean" and not column.null_count()
    return values.astype(bool) if holds_bools else values


@dataclass(frozen=True)
class Frame:
    """The library and the schema of a data frame.

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
        """Return the library and the schema of `X`."""
        if isinstance(X, pd.DataFrame):
            return cls(X.columns)
        return cls(pd.Index(X.columns), dict(X.schema))

    def build(self, columns: Sequence[pd.Series], index: Any = None) -> Any:
        """Return a frame with these columns, and with this index if it is pandas."""
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
        The input from which the rows were made, row by row.
    rows : ndarray of shape (n_samples, ...)
        The rows; those of more dimensions are returned as an array.
    names : array-like of str, default=None
        Names of the columns. None: numbers.

    Returns
    -------
    rows : DataFrame or ndarray
        A pandas DataFrame has the index of `X`.
    """
    if rows.ndim != 2 or not is_frame(X):
        return rows
    if isinstance(X, pd.DataFrame):
        return pd.DataFrame(rows, index=X.index, columns=names)
    import polars

    return polars.DataFrame(rows, schema=None if names is None else list(names))


# ---- types of values ---------------------------------------------------------------


def numpy_type(dtype: Any) -> np.dtype[Any]:
    """Return the NumPy type that holds a column's values exactly, or object."""
    if isinstance(dtype, pd.SparseDtype):
        dtype = dtype.subtype
    dtype = getattr(dtype, "numpy_dtype", dtype)
    return dtype if isinstance(dtype, np.dtype) else np.dtype(object)


def cast(values: AnyArray, dtype: np.dtype[Any]) -> AnyArray:
    """Return numbers in the type of a column or an array.

    Floats are rounded if the type is one of integers, and clipped to the type's range.
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

    Large bounds may not be representable as floats, so numbers beyond them are
    replaced, not clipped, before the conversion to integers.
    """
    rounded = np.rint(values)
    integers = np.where(rounded <= low, dtype.type(low), dtype.type(high))
    inside = (rounded > low) & (rounded < high)
    integers[inside] = rounded[inside].astype(dtype)
    return integers


@dataclass(frozen=True)
class PythonNumbers:
    """The type of the numbers in a column of Python objects.

    Parameters
    ----------
    kind : type
        int, float or Decimal.
    decimals : int
        Number of decimals of Decimals.
    """

    kind: type
    decimals: int = 0

    @classmethod
    def of(cls, values: AnyArray) -> Self:
        """Return the common type of the values, float if they differ."""
        if all(isinstance(value, int | np.integer) for value in values):
            return cls(int)
        if not all(isinstance(value, Decimal) for value in values):
            return cls(float)
        exponents = [value.as_tuple().exponent for value in values]
        return cls(Decimal, max(0, *(-int(exponent) for exponent in exponents)))

    def cast(self, values: AnyArray) -> AnyArray:
        """Return numbers as objects of this type."""
        objects = np.empty(len(values), dtype=object)
        if self.kind is Decimal:
            objects[:] = [Decimal(f"{value:.{self.decimals}f}") for value in values]
        elif self.kind is int:
            objects[:] = [round(value) for value in values.tolist()]
        else:
            objects[:] = values.tolist()
        return objects


# ---- rows that are not a table -----------------------------------------------------


@dataclass(frozen=True)
class Container:
    """The container and types of rows that are not a table, and their scale.

    Parameters
    ----------
    data_shape : tuple of int
        Shape of one sample.
    dtypes : tuple of dtype
        Type of the values: one for an array, and one for each column of a frame.
    frame : Frame or None
        Library and schema of a data frame. None: an array.
    limits : (int, int) or None
        The lowest and the highest integer of an array of integers.
    scale : int, default=1
        The value that becomes 1 in the network's input.
    """

    data_shape: Shape
    dtypes: tuple[Any, ...]
    frame: Frame | None
    limits: tuple[int, int] | None
    scale: int = 1

    @classmethod
    def of(cls, X: Any, rows: AnyArray, data_shape: Shape) -> Self:
        """Return the container of `X`, whose validated rows are `rows`."""
        if is_frame(X):
            return cls(data_shape, tuple(as_pandas(X).dtypes), Frame.of(X), None)
        limits = None
        if rows.dtype.kind in "iu":
            limits = int(rows.min()), int(rows.max())
        return cls(data_shape, (rows.dtype,), None, limits)

    @property
    def full_scale(self) -> int | None:
        """The value of the brightest possible pixel, if rows are integers >= 0."""
        if self.limits is None or self.limits[0] < 0:
            return None
        most = self.limits[1]
        for full in _FULL_SCALES:
            if full // 2 < most <= full:
                return full
        return max(most, 1)

    def read(self, rows: AnyArray) -> Array:
        """Return flat rows for the network, before standardisation."""
        if self.scale != 1:
            return np.divide(rows, self.scale, dtype=np.float32)
        # Also of the other byte order; the same numbers are computed with in one way.
        is_single = rows.dtype.kind == "f" and rows.dtype.itemsize == 4
        return rows.astype(np.float32 if is_single else np.float64, copy=False)

    def wrap(self, rows: Array, index: Any = None) -> Any:
        """Return flat rows in the user's container."""
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
    """Return numbers as a Series in the type of a column of numbers, if it has one."""
    kind = numpy_type(dtype)
    if kind.kind not in "biuf":
        return pd.Series(values)
    return to_series(cast(values, kind), dtype)


def to_series(values: AnyArray, dtype: Any) -> pd.Series:
    """Return the values of a column as a Series in its type."""
    if isinstance(dtype, pd.SparseDtype):
        return pd.Series(pd.arrays.SparseArray(values, dtype=dtype))
    return pd.Series(values, dtype=dtype)
