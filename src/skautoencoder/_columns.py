"""What the columns of a table are, and how a network is shown them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from skautoencoder._column_kinds import Levels, Numbers, learn_numbers
from skautoencoder.objectives.columns import ColumnBlock

Float64 = NDArray[np.float64]
Table = Any  # a DataFrame or a 2-D array


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    name : object
        Its name, or its index in an array.
    dtype : dtype
        What `to_data` gives back.
    kind : Levels or Numbers
        What is in it.
    block : ColumnBlock
        Where it stands in the rows that a network is shown.
    """

    name: Any
    dtype: Any
    kind: Levels | Numbers
    block: ColumnBlock

    def read(self, values: pd.Series) -> NDArray[Any]:
        """Return what a table has in this column, as its kind wants it."""
        if isinstance(self.kind, Levels) and not self.kind.nearest:
            return _plain(self.name, values)
        return _numbers(self.name, values)


class TableColumns:
    """The columns of a table, and the way to a network's units and back.

    Parameters
    ----------
    columns : sequence of Column
        The columns, in order.
    names : pandas.Index or None
        Names of a DataFrame's columns; None for an array.
    dtype : dtype, default=None
        Type of an array.

    Attributes
    ----------
    blocks : list of ColumnBlock
        What a likelihood has to know of the columns.
    n_shown : int
        Length of the rows that a network is shown.

    Notes
    -----
    Numbers are brought to a normal distribution, column by column, with the inverse of
    which everything that a network says has a place among the values of `fit`: many
    modes and heavy tails are no matter. What is left to the network is how the
    columns go together.

    Examples
    --------
    >>> import pandas as pd
    >>> from skautoencoder._columns import TableColumns
    >>> table = pd.DataFrame({"size": [3.1, 4.5, 3.9], "kind": ["a", "b", "a"]})
    >>> columns = TableColumns.fit(table)
    >>> columns.to_network(table).shape
    (3, 3)
    >>> columns.to_data(columns.to_network(table))
       size kind
    0   3.1    a
    1   4.5    b
    2   3.9    a
    """

    def __init__(
        self, columns: Sequence[Column], names: pd.Index | None, dtype: Any = None
    ) -> None:
        self.columns = tuple(columns)
        self.names = names
        self.dtype = dtype
        self.blocks = [column.block for column in self.columns]
        self.n_shown = self.blocks[-1].stop if self.blocks else 0

    @property
    def kinds(self) -> dict[Any, str]:
        """What each column was taken for, by its name or index."""
        return {column.name: column.kind.name for column in self.columns}

    @classmethod
    def fit(cls, X: Table, categorical_features: Any = "from_dtype") -> Self:
        """Learn what the columns of a table are.

        Columns of strings, booleans and pandas categories have levels, and so have
        the columns that are named. The others are numbers. A number that takes few
        values, or some values again and again, is told so from the data.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n_samples, n_features)
            The table, without missing values.
        categorical_features : "from_dtype", None, or array-like, default="from_dtype"
            Columns of numbers that are to be taken as levels too: a mask, indices,
            or names. "from_dtype" and None: no others.

        Returns
        -------
        columns : TableColumns
            What was learnt.

        Raises
        ------
        ValueError
            If the table has missing or infinite values, or `categorical_features`
            does not fit it.
        TypeError
            If a column holds neither numbers nor levels, such as dates.
        """
        series = _series_of(X)
        declared = _declared(categorical_features, X)
        columns, start = [], 0
        for i, (name, values) in enumerate(series):
            kind: Levels | Numbers
            if declared[i] or not _is_number(name, values):
                kind = Levels.learn(_plain(name, values))
            else:
                kind = learn_numbers(_numbers(name, values))
            atoms = kind.atoms if isinstance(kind, Numbers) else ()
            block = ColumnBlock(kind.shown_as, start, start + kind.width, atoms)
            columns.append(Column(name, values.dtype, kind, block))
            start = block.stop
        if _is_frame(X):
            return cls(columns, X.columns)
        return cls(columns, None, np.asarray(X).dtype)

    def to_network(self, X: Table) -> NDArray[np.float32]:
        """Return rows as a network is shown them.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n_samples, n_features)
            Rows with the columns that `fit` saw.

        Returns
        -------
        shown : ndarray of shape (n_samples, n_shown)
            A 1 at each level that a row has, and numbers that were normal with mean 0
            and standard deviation 1 in `fit`.

        Raises
        ------
        ValueError
            If the columns are not those of `fit`, a value is missing or infinite,
            or a level was not there in `fit`.
        """
        shown = np.zeros((len(X), self.n_shown), dtype=np.float32)
        for column, values in self._pairs(X):
            kind, place = column.kind, column.block.place
            if isinstance(kind, Levels):
                index = kind.index(column.read(values), column.name)
                shown[np.arange(len(index)), column.block.start + index] = 1.0
            else:
                numbers = kind.to_network(column.read(values))
                _check_size(numbers, column.name)
                shown[:, place] = numbers[:, np.newaxis]
        return shown

    def log_jacobian(self, X: Table) -> Float64:
        """Return how much the network's units stretch the place of each row.

        A log-density in the network's units plus this is one in the table's.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n_samples, n_features)
            Rows with the columns that `fit` saw.

        Returns
        -------
        log_jacobian : ndarray of shape (n_samples,)
            Logarithm of the determinant of the derivatives of what is shown by
            what is in the table. Levels and atoms have probabilities instead of
            densities, and add nothing.
        """
        total = np.zeros(len(X))
        for column, values in self._pairs(X):
            if isinstance(column.kind, Numbers):
                total += column.kind.log_slope(column.read(values))
        return total

    def to_data(self, shown: NDArray[np.floating]) -> Table:
        """Return the table that rows in the network's units stand for.

        Parameters
        ----------
        shown : ndarray of shape (n_samples, n_shown)
            Rows as a network is shown them, or answers with them: the largest
            number of a block of levels says which level it is.

        Returns
        -------
        X : DataFrame or ndarray of shape (n_samples, n_features)
            A table with the columns, names and types that `fit` saw.
        """
        in_double: Float64 = np.asarray(shown, dtype=np.float64)
        values = []
        for column in self.columns:
            part = in_double[:, column.block.place]
            if isinstance(column.kind, Levels):
                found = column.kind.values[part.argmax(axis=1)]
            else:
                found = column.kind.to_data(part[:, 0])
            values.append(found)
        if self.names is None:
            return np.column_stack([_cast(found, self.dtype) for found in values])
        series = [
            pd.Series(_cast(found, column.dtype), dtype=column.dtype)
            for found, column in zip(values, self.columns, strict=True)
        ]
        table = pd.concat(series, axis=1)
        table.columns = self.names
        return table

    def _pairs(self, X: Table) -> list[tuple[Column, pd.Series]]:
        """Return the columns of `fit`, each with the values that it has in `X`."""
        series = _series_of(X)
        names = [name for name, _ in series]
        wanted = [column.name for column in self.columns]
        if len(names) != len(wanted):
            raise ValueError(
                f"X has {len(names)} columns, but {len(wanted)} were there in fit."
            )
        if self.names is not None and _is_frame(X) and names != wanted:
            raise ValueError(
                f"The columns of X are {names}, but in fit they were {wanted}. Give "
                "the same columns in the same order: X[list_of_names]."
            )
        return [(c, s) for c, (_, s) in zip(self.columns, series, strict=True)]


def _series_of(X: Table) -> list[tuple[Any, pd.Series]]:
    """Return the columns of a table with their names."""
    if _is_frame(X):
        return [(name, X.iloc[:, i]) for i, name in enumerate(X.columns)]
    X = np.asarray(X)
    if X.ndim != 2:
        raise ValueError(f"X must be a table with 2 dimensions, but has {X.ndim}.")
    return [(i, pd.Series(X[:, i]).infer_objects()) for i in range(X.shape[1])]


def _is_frame(X: Table) -> bool:
    return hasattr(X, "iloc")


def _declared(categorical_features: Any, X: Table) -> NDArray[np.bool_]:
    """Return which columns the user says have levels."""
    n_features = X.shape[1]
    chosen = np.zeros(n_features, dtype=bool)
    if isinstance(categorical_features, str) and categorical_features == "from_dtype":
        return chosen
    given = np.asarray(categorical_features)
    how = (
        "Give 'from_dtype', the names of columns, their indices, or a mask with "
        "an entry for each column."
    )
    if given.ndim != 1:
        raise ValueError(
            f"categorical_features={categorical_features!r} is not allowed. {how}"
        )
    if given.dtype.kind == "b":
        if len(given) != n_features:
            raise ValueError(
                f"categorical_features is a mask with {len(given)} entries, but X has "
                f"{n_features} columns. {how}"
            )
        return given
    names = list(X.columns) if _is_frame(X) else []
    for entry in given.tolist():
        if isinstance(entry, Integral) and 0 <= int(entry) < n_features:
            chosen[int(entry)] = True
        elif entry in names:
            chosen[names.index(entry)] = True
        else:
            raise ValueError(
                f"categorical_features has {entry!r}, which is no column of X. {how}"
            )
    return chosen


def _is_number(name: Any, values: pd.Series) -> bool:
    """Return whether a column has numbers, and not levels."""
    if isinstance(values.dtype, pd.CategoricalDtype) or types.is_bool_dtype(values):
        return False
    if types.is_complex_dtype(values):
        raise TypeError(f"Column {name!r} has complex numbers. Give their parts.")
    if types.is_numeric_dtype(values):
        return True
    if types.is_object_dtype(values) or types.is_string_dtype(values):
        return False
    raise TypeError(
        f"Column {name!r} has dtype {values.dtype}, which is neither a number nor a "
        "level. Turn it into numbers (dates into days, for example) or strings."
    )


def _plain(name: Any, values: pd.Series) -> NDArray[Any]:
    """Return the levels of a column as an array of objects."""
    if values.isna().any():
        raise ValueError(_missing(name))
    return values.to_numpy(dtype=object)


def _numbers(name: Any, values: pd.Series) -> Float64:
    """Return the numbers of a column in double precision."""
    if not (types.is_numeric_dtype(values) or types.is_bool_dtype(values)):
        try:
            values = pd.to_numeric(values)
        except (ValueError, TypeError):
            raise ValueError(
                f"Column {name!r} had numbers in fit, but now it has "
                f"dtype {values.dtype}."
            ) from None
    if values.isna().any():
        raise ValueError(_missing(name))
    numbers = values.to_numpy(dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError(
            f"Column {name!r} has infinite values. Remove these rows, or replace the "
            "values."
        )
    return numbers


def _missing(name: Any) -> str:
    return (
        f"Column {name!r} has missing values (NaN). Fill them first, for example "
        "with AutoencoderImputer or SimpleImputer, or remove these rows."
    )


def _check_size(numbers: Float64, name: Any) -> None:
    largest = np.finfo(np.float32).max
    if len(numbers) and np.abs(numbers).max() > largest:
        raise ValueError(
            f"Column {name!r} has values too far away from those of fit to be computed "
            "with."
        )


def _cast(values: NDArray[Any], dtype: Any) -> Any:
    """Return values as the type that a column had."""
    if types.is_object_dtype(dtype) or not types.is_numeric_dtype(dtype):
        return values  # levels as they are
    kind = getattr(dtype, "numpy_dtype", dtype)
    if types.is_integer_dtype(dtype):
        limits = np.iinfo(kind)
        values = np.clip(np.rint(values.astype(float)), limits.min, limits.max)
    return values.astype(kind)
