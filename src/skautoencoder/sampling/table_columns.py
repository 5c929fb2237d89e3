"""The columns of a table, and their encoding for a network."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral, Number
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from skautoencoder._estimator.containers import (
    Frame,
    PythonNumbers,
    as_pandas,
    cast,
    is_frame,
    numpy_type,
    to_series,
)
from skautoencoder._estimator.user_warnings import warn_user
from skautoencoder.objectives.table_likelihood import ColumnBlock
from skautoencoder.sampling.column_transforms import Levels, Numbers, learn_numbers

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
Table = Any  # a DataFrame or a 2-D array
Values = Any  # a Series, or an array of numbers

# A column with more levels than `_FEW_LEVELS`, and than this share of the rows, looks
# like an identifier: a warning. So it is with more than `_MANY_LEVELS`, and with more
# than `_USELESS_SHARE`, too, an error: the one-hot matrix grows with the square of the
# rows.
_FEW_LEVELS = 50
_MANY_LEVELS = 1000
_IDENTIFYING_SHARE = 0.5
_USELESS_SHARE = 0.9
# Types that a column of objects may hold, and that are neither numbers nor levels.
_DATES = (datetime.date, datetime.timedelta, np.datetime64, np.timedelta64)


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    name : object
        Its name, or its index in an array.
    dtype : dtype
        Type of what `to_data` returns.
    kind : Levels or Numbers
        Its kind.
    block : ColumnBlock
        Its position in the rows that are the network's input.
    objects : PythonNumbers or None
        Python type of the numbers in a column of objects.
    """

    name: Any
    dtype: Any
    kind: Levels | Numbers
    block: ColumnBlock
    objects: PythonNumbers | None = None

    def read(self, values: Values) -> NDArray[Any]:
        """Return a table's values of this column in the type that its kind expects."""
        if isinstance(self.kind, Levels) and not self.kind.nearest:
            return _plain(self.name, values)
        if not (_is_number(self.name, values) or types.is_bool_dtype(values)):
            if pd.isna(values).all():
                raise ValueError(_missing(self.name))
            raise ValueError(
                f"Column {self.name!r} of X had numbers in fit, but now it has dtype "
                f"{values.dtype}. Turn it into numbers, as pandas.to_numeric does."
            )
        return _numbers(self.name, values)

    def to_data(self, shown: Float64) -> NDArray[Any]:
        """Return the values of this column for a network's outputs."""
        if isinstance(self.kind, Levels):
            values = self.kind.values[shown.argmax(axis=1)]
        else:
            values = self.kind.to_data(shown[:, 0], self._cast)
        kind = numpy_type(self.dtype)
        if values.dtype == kind or kind.kind not in "biuf":
            return values
        return cast(values, kind)

    def _cast(self, numbers: Float64) -> NDArray[Any]:
        if self.objects is not None:
            return self.objects.cast(numbers)
        return cast(numbers, numpy_type(self.dtype))


class TableColumns:
    """The columns of a table, and the conversion to a network's units and back.

    Parameters
    ----------
    columns : sequence of Column
        The columns, in order.
    frame : Frame or None
        Library and schema of a DataFrame; None for an array.
    dtype : dtype, default=None
        Type of an array.

    Attributes
    ----------
    blocks : list of ColumnBlock
        The columns as the likelihood needs them.
    n_shown : int
        Length of the rows that are the network's input.

    Notes
    -----
    Each column of numbers is transformed to a normal distribution. The inverse maps all
    but far outputs of the network to the range of the values of `fit`, so that columns
    may have several modes or heavy tails. The network learns how the columns depend on
    each other.

    Examples
    --------
    >>> import pandas as pd
    >>> from skautoencoder.sampling.table_columns import TableColumns
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
        self, columns: Sequence[Column], frame: Frame | None, dtype: Any = None
    ) -> None:
        self.columns = tuple(columns)
        self.frame = frame
        self.dtype = dtype
        self.blocks = [column.block for column in self.columns]
        self.n_shown = self.blocks[-1].stop if self.blocks else 0

    @property
    def kinds(self) -> dict[Any, str]:
        """The kind of each column, by its name or index."""
        return {column.name: column.kind.name for column in self.columns}

    @classmethod
    def fit(cls, X: Table, categorical_features: Any = "from_dtype") -> Self:
        """Learn the kinds of the columns of a table.

        Columns of strings, booleans and pandas categories have levels, and so have
        those in `categorical_features`. The others are numbers, also in columns of
        objects. The data decide whether a number takes only few values, or has values
        that occur repeatedly.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n_samples, n_features)
            The table, without missing values.
        categorical_features : "from_dtype", None, or array-like, default="from_dtype"
            Columns of numbers to be treated as levels too: a mask, indices, or names.
            "from_dtype" and None: no others.

        Returns
        -------
        columns : TableColumns
            The columns.

        Raises
        ------
        ValueError
            If the table has missing or infinite values, `categorical_features`
            does not fit it, or nearly every row has a level of its own.
        TypeError
            If a column holds neither numbers nor levels, such as dates.

        Warns
        -----
        UserWarning
            If a column has so many levels that it looks like an identifier.
        """
        return cls.fit_to_network(X, categorical_features)[0]

    @classmethod
    def fit_to_network(
        cls, X: Table, categorical_features: Any = "from_dtype"
    ) -> tuple[Self, NDArray[np.float32]]:
        """Return what `fit` learns of a table, and the table as the network's input.

        It is read once for both. See `fit` and `to_network`.
        """
        given = _values_of(X)
        declared = _declared(categorical_features, X)
        columns, read, start = [], [], 0
        for i, (name, values) in enumerate(given):
            if pd.isna(values).all():
                raise ValueError(
                    f"Column {name!r} of X has no values: all are missing (NaN). Drop "
                    f"it, in pandas with X.drop(columns=[{name!r}])."
                )
            kind: Levels | Numbers
            objects = None
            if declared[i] or not _is_number(name, values):
                cells = _plain(name, values)
                kind = _levels(name, cells)
            else:
                cells = _numbers(name, values)
                _check_span(name, cells)
                kind = learn_numbers(cells)
                if cells.dtype == object:
                    objects = PythonNumbers.of(cells)
            atoms = kind.atoms if isinstance(kind, Numbers) else ()
            block = ColumnBlock(kind.shown_as, start, start + kind.width, atoms)
            columns.append(Column(name, values.dtype, kind, block, objects))
            read.append(cells)
            start = block.stop
        _warn_of_identifiers(columns, len(X))
        if is_frame(X):
            learnt = cls(columns, Frame.of(X))
        else:
            learnt = cls(columns, None, np.asarray(X).dtype)
        return learnt, learnt._encode(read, len(X))[0]

    def to_network(self, X: Table) -> NDArray[np.float32]:
        """Return rows as the network's input.

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
            or `fit` did not see a level.
        """
        return self.to_network_with_log_jacobian(X)[0]

    def to_network_with_log_jacobian(
        self, X: Table
    ) -> tuple[NDArray[np.float32], Float64]:
        """Return rows as the network's input, and the log-Jacobian of each.

        A log-density in the network's units plus the log-Jacobian is one in the table's
        units.

        Parameters
        ----------
        X : DataFrame or ndarray of shape (n_samples, n_features)
            Rows with the columns that `fit` saw.

        Returns
        -------
        shown : ndarray of shape (n_samples, n_shown)
            What `to_network` returns.
        log_jacobian : ndarray of shape (n_samples,)
            Logarithm of the determinant of the derivatives of the network's input by
            the table's values. Levels and atoms have probabilities instead of
            densities, and add nothing.
        """
        read = (column.read(values) for column, values in self._pairs(X))
        return self._encode(read, len(X))

    def _encode(
        self, read: Iterable[NDArray[Any]], n_rows: int
    ) -> tuple[NDArray[np.float32], Float64]:
        """Return rows and their log-Jacobian, given the cells of each column."""
        shown = np.zeros((n_rows, self.n_shown), dtype=np.float32)
        log_jacobian = np.zeros(n_rows)
        with np.errstate(over="ignore"):  # rejected below
            for column, cells in zip(self.columns, read, strict=True):
                kind, start = column.kind, column.block.start
                if isinstance(kind, Levels):
                    index = kind.index(cells, column.name)
                    shown[np.arange(len(index)), start + index] = 1.0
                    continue
                shown[:, start], log_slope = kind.to_network(cells)
                log_jacobian += log_slope
        self._check_size(shown)
        return shown, log_jacobian

    def _check_size(self, shown: NDArray[np.float32]) -> None:
        """Raise if numbers overflow in the network's units."""
        fits: Mask = np.asarray(np.isfinite(shown).all(axis=0))
        if fits.all():
            return
        name = next(c.name for c in self.columns if not fits[c.block.place].all())
        raise ValueError(
            f"Column {name!r} of X has values too far away from those of fit to be "
            "computed with."
        )

    def to_data(self, shown: NDArray[np.floating], index: Any = None) -> Table:
        """Return a table, given rows in the network's units.

        Parameters
        ----------
        shown : ndarray of shape (n_samples, n_shown)
            Inputs or outputs of the network: the largest number of a block of levels
            determines the level.
        index : pandas.Index, default=None
            Index of a pandas DataFrame. None: a new one.

        Returns
        -------
        X : DataFrame or ndarray of shape (n_samples, n_features)
            A table with the columns, names and types that `fit` saw. Levels and atoms
            are returned exactly.
        """
        in_double: Float64 = np.asarray(shown, dtype=np.float64)
        values = [c.to_data(in_double[:, c.block.place]) for c in self.columns]
        if self.frame is None:
            return np.column_stack([found.astype(self.dtype) for found in values])
        series = [
            to_series(found, column.dtype)
            for found, column in zip(values, self.columns, strict=True)
        ]
        return self.frame.build(series, index)

    def _pairs(self, X: Table) -> list[tuple[Column, Values]]:
        """Return pairs of the columns of `fit` and their values in `X`."""
        given = _values_of(X)
        names = [name for name, _ in given]
        wanted = [column.name for column in self.columns]
        if len(names) != len(wanted):
            raise ValueError(
                f"X has {len(names)} columns, but {len(wanted)} were there in fit."
            )
        if self.frame is not None and is_frame(X) and names != wanted:
            raise ValueError(
                f"The columns of X are {names}, but in fit they were {wanted}. Give "
                "the same columns in the same order: X[list_of_names]."
            )
        return [(c, v) for c, (_, v) in zip(self.columns, given, strict=True)]


def _values_of(X: Table) -> list[tuple[Any, Values]]:
    """Return the columns of a table with their names.

    Columns of NumPy numbers are returned as arrays: to make a Series for each column of
    a single row takes longer than the network.
    """
    if is_frame(X):
        X = as_pandas(X)
        return [(name, s.to_numpy() if _is_plain(s) else s) for name, s in X.items()]
    X = np.asarray(X)
    if X.ndim != 2:
        raise ValueError(f"X must be a table with 2 dimensions, but has {X.ndim}.")
    if _is_plain(X):
        return list(enumerate(X.T))
    return [(i, pd.Series(X[:, i]).infer_objects()) for i in range(X.shape[1])]


def _is_plain(values: Values) -> bool:
    """Return whether values have a NumPy type of real numbers."""
    return isinstance(values.dtype, np.dtype) and values.dtype.kind in "iuf"


def _declared(categorical_features: Any, X: Table) -> NDArray[np.bool_]:
    """Return a mask of the columns in `categorical_features`."""
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
    names = list(X.columns) if is_frame(X) else []
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


def _is_number(name: Any, values: Values) -> bool:
    """Return whether a column holds numbers, not levels."""
    if _is_plain(values):
        return True
    if isinstance(values.dtype, pd.CategoricalDtype) or types.is_bool_dtype(values):
        return False
    if str(values.dtype).startswith("dictionary"):  # the categories of Arrow
        return False
    if types.is_object_dtype(values):
        return _holds_numbers(name, values)
    if types.is_complex_dtype(numpy_type(values.dtype)):
        raise TypeError(f"Column {name!r} of X has complex numbers. Give their parts.")
    if types.is_numeric_dtype(values):
        return True
    if types.is_string_dtype(values):
        return False
    raise TypeError(_no_number_or_level(name, f"dtype {values.dtype}"))


def _no_number_or_level(name: Any, what: str) -> str:
    return (
        f"Column {name!r} of X has {what}, which is neither a number nor a level. Turn "
        "it into numbers (dates into days, for example) or strings."
    )


def _holds_numbers(name: Any, values: pd.Series) -> bool:
    """Return whether a column of objects holds numbers."""
    found = values.to_numpy()
    if any(isinstance(value, complex | np.complexfloating) for value in found):
        raise TypeError(f"Column {name!r} of X has complex numbers. Give their parts.")
    dates = [type(value) for value in found if isinstance(value, _DATES)]
    if dates:
        raise TypeError(_no_number_or_level(name, f"cells of {dates[0].__name__}"))
    # Missing values decide nothing: they are neither numbers nor levels.
    found = found[~np.asarray(values.isna())]
    return bool(len(found)) and all(
        isinstance(value, Number) and not isinstance(value, bool) for value in found
    )


def _levels(name: Any, cells: NDArray[Any]) -> Levels:
    """Return the levels of a column."""
    try:
        levels = Levels.learn(cells)
    except TypeError:
        kind = next(type(c) for c in cells if getattr(c, "__hash__", None) is None)
        raise TypeError(
            f"Column {name!r} of X has cells that hold a {kind.__name__}. A cell must "
            "hold one number or one level: give the parts columns of their own."
        ) from None
    n_rows = len(cells)
    if levels.width > max(_MANY_LEVELS, _USELESS_SHARE * n_rows):
        raise ValueError(
            f"Column {name!r} of X has {levels.width} levels in {n_rows} rows: nearly "
            "every row has one of its own, as names and identifiers have. Drop the "
            "column (X.drop(columns=...)), or put its levels together to a few."
        )
    return levels


def _warn_of_identifiers(columns: list[Column], n_rows: int) -> None:
    """Warn of columns of many levels, or nearly as many as there are rows."""
    most = min(max(_FEW_LEVELS, _IDENTIFYING_SHARE * n_rows), _MANY_LEVELS)
    named = [
        f"{column.name!r} ({column.kind.width})"
        for column in columns
        if column.kind.width > most
    ]
    if named:
        warn_user(
            f"Columns with many levels for {n_rows} rows: {', '.join(named)}. Each "
            "level becomes a column, and of identifiers nothing can be learnt. Drop "
            "them (X.drop(columns=...)), or put their levels together to a few.",
        )


def _plain(name: Any, values: Values) -> NDArray[Any]:
    """Return the levels of a column as an array of objects."""
    if isinstance(values, pd.Series):  # a fourth of the time for a single row
        values = values.to_numpy(dtype=object)
    cells = np.asarray(values, dtype=object)
    if pd.isna(cells).any():
        # AutoencoderImputer refuses strings, and SimpleImputer leaves None alone.
        how = "the most frequent level, in pandas "
        how += f"X[{name!r}].fillna(X[{name!r}].mode()[0])"
        raise ValueError(_missing(name, how))
    return cells


def _numbers(name: Any, values: Values) -> NDArray[Any]:
    """Return the numbers of a column in a type that holds them exactly."""
    if not _is_plain(values) and pd.isna(values).any():
        raise ValueError(_missing(name))
    numbers = np.asarray(values, dtype=numpy_type(values.dtype))
    if numbers.dtype.kind == "b":
        numbers = numbers.astype(np.int64)
    try:
        finite = np.isfinite(numbers.astype(np.float64))
    except OverflowError:  # a large Python integer
        raise ValueError(_too_large(name)) from None
    if not finite.all():
        if pd.isna(values).any():
            raise ValueError(_missing(name))
        raise ValueError(
            f"Column {name!r} of X has infinite values. Remove these rows, or replace "
            "the values."
        )
    return numbers


def _check_span(name: Any, numbers: NDArray[Any]) -> None:
    largest = np.abs(numbers.astype(np.float64)).max(initial=0.0)
    if largest > np.finfo(np.float64).max / 4:
        raise ValueError(_too_large(name))


def _too_large(name: Any) -> str:
    return (
        f"Column {name!r} of X has values so large that their differences overflow. "
        "Scale the column, for example with StandardScaler."
    )


def _missing(name: Any, cure: str = "AutoencoderImputer or SimpleImputer") -> str:
    return (
        f"Column {name!r} of X has missing values (NaN). Fill them first, for example "
        f"with {cure}, or remove these rows."
    )
