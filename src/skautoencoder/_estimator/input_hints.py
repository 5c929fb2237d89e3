"""Hints for samples that scikit-learn's checks reject."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray

_IMPUTER = (
    "Here AutoencoderImputer fills them, in tables and in images: put it in front, for "
    "example with make_pipeline."
)

# A message names so many columns or levels.
_MOST_NAMED = 10
# Why an estimator takes no sequences of different lengths.
_ONE_LENGTH = {
    "AutoencoderImputer": "NaN marks the holes that AutoencoderImputer fills, so it "
    "cannot mark the ends of sequences too. Cut them to one length.",
    "VAESampler": "VAESampler draws samples of one size. Cut sequences to one length.",
}
_OTHERS = (
    "For sequences of a single channel, architecture='conv1d' or 'recurrent' takes "
    "them in AutoencoderTransformer, DenoisingAutoencoder and "
    "AutoencoderOutlierDetector."
)


@contextmanager
def with_hints(X: Any, name: str) -> Iterator[None]:
    """Add the offending cells of `X` and the cure to an error of the block.

    Errors of libraries that read `X` may name neither it nor the estimator: they are
    given both, and are ValueErrors or TypeErrors then.

    NumPy does not warn of invalid sums within the block: scikit-learn sums the values
    to find infinity.

    Parameters
    ----------
    X : array-like
        The samples that the block checks.
    name : str
        Name of the estimator.
    """
    try:
        with np.errstate(invalid="ignore"):
            yield
    except (TypeError, ValueError, OverflowError) as error:
        message, hint = str(error), _hint(str(error), X, name)
        is_named = re.search(rf"\b(X|{name})\b", message) is not None
        if is_named and not hint:
            raise
        if not is_named:
            message = f"{name} cannot read X: {message}"
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{message}\n{hint}".rstrip()) from error


@contextmanager
def naming(parameter: str) -> Iterator[None]:
    """Let errors of the block say which parameter they are about.

    What checks `X` also checks other samples, and then speaks of `X`. NumPy does not
    warn of invalid sums, see `with_hints`.

    Parameters
    ----------
    parameter : str
        Name of the parameter whose value the block reads.
    """
    try:
        with np.errstate(invalid="ignore"):
            yield
    except (TypeError, ValueError, OverflowError) as error:
        if re.search(rf"\b{parameter}\b", str(error)):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{parameter}: {error}") from error


def first_few(names: list[Any]) -> str:
    """Return names for a message, and how many more there are."""
    n_more = len(names) - _MOST_NAMED
    return f"{names[:_MOST_NAMED]}" + (f" and {n_more} more" if n_more > 0 else "")


def _hint(message: str, X: Any, name: str) -> str:
    """Return a sentence to add to an error message, or an empty string."""
    if "feature names" in message:
        return ""  # compared before cells are read
    if "unique column names" in message:
        return (
            "Rename them, or keep the first of each: X.loc[:, ~X.columns.duplicated()]."
        )
    infinite = _infinite_columns(X) if "contains infinity" in message else []
    if infinite:
        return (
            f"Infinite values are in the columns {first_few(infinite)}. Replace them, "
            "or remove these rows."
        )
    if "dense data is required" in message:
        if hasattr(X, "sparse"):
            return "X is a frame of sparse columns: pass X.sparse.to_dense()."
        return (
            "In a Pipeline, let the steps before answer with dense arrays: "
            "OneHotEncoder(sparse_output=False), ColumnTransformer(sparse_threshold=0)."
        )
    if "contains NaN" in message:
        return "" if name == "AutoencoderImputer" else _IMPUTER
    if isinstance(X, list) and len({_length(row) for row in X}) > 1:
        cure = _ONE_LENGTH.get(name, _OTHERS)
        return (
            f"Rows of X have different lengths. Every sample needs all features. {cure}"
        )
    if _is_no_array(X):
        return (
            f"X is of type {type(X).__name__}. Pass its samples, as an array, a data "
            "frame or a list of rows."
        )
    for place, cells in _columns(X):
        for cell in cells:
            if not _is_number(cell):
                return f"{place} has {_advice(cell, name)}"
    return ""


def _length(row: Any) -> int:
    return len(row) if hasattr(row, "__len__") else -1


def _is_no_array(X: Any) -> bool:
    """Return whether NumPy takes `X` for a single object."""
    if isinstance(X, np.ndarray) or hasattr(X, "columns"):
        return False
    try:
        return np.asarray(X, dtype=object).ndim == 0
    except ValueError:  # arrays of different shapes
        return False


def column_names(X: Any) -> list[Any] | None:
    """Return the names of a frame's columns, whatever library it is of, or None."""
    if hasattr(type(X), "column_names"):  # a table of Arrow: values are its columns
        return list(X.column_names)
    return list(X.columns) if hasattr(X, "columns") else None


def _columns(X: Any) -> Iterator[tuple[str, Any]]:
    """Yield the columns of a table that may hold other cells than numbers."""
    if column_names(X) is not None:
        for name, named, n_inside in _named_columns(X):
            if n_inside and len(named):  # a column of arrays, such as polars' Array
                yield f"Column {name!r} of X", [named[0]]
            if named.dtype.kind not in "buifc":
                for column in np.atleast_2d(named.T):  # there may be several
                    yield f"Column {name!r} of X", column.tolist()
        return
    if isinstance(X, np.ndarray) and X.dtype.kind in "buifc":
        return
    try:
        cells = np.asarray(X, dtype=object)
    except ValueError:  # arrays of different shapes
        return
    if cells.ndim == 1:
        yield "X", cells.tolist()
    if cells.ndim == 2:
        for place, column in enumerate(cells.T):
            yield f"Column {place} of X", column.tolist()


def _named_columns(X: Any) -> Iterator[tuple[Any, NDArray[Any], int]]:
    """Yield a frame's columns: names, values, and the axes that a cell has."""
    for name in column_names(X) or []:
        try:
            named = np.asarray(X[name])
            # A column of Arrow has one axis, and no shape.
            n_inside = named.ndim - len(getattr(X[name], "shape", (len(named),)))
        except Exception:  # of a library whose frames are not read like this
            return
        yield name, named, n_inside


def _infinite_columns(X: Any) -> list[Any]:
    """Return the names of a frame's columns that have infinite values."""
    columns = _named_columns(X)
    return [n for n, c, _ in columns if c.dtype.kind == "f" and np.isinf(c).any()]


def _is_number(cell: Any) -> bool:
    if isinstance(cell, Number):
        return True
    try:
        float(cell)
    except (TypeError, ValueError):
        return cell is None or type(cell).__name__ == "NAType"
    return True


def _advice(cell: Any, name: str) -> str:
    if isinstance(cell, str | bytes):
        cure = (
            "Encode them, for example with OneHotEncoder in a ColumnTransformer. "
            "(VAESampler takes them as they are, in a frame.)"
        )
        if name == "AutoencoderImputer":
            cure = (
                "Encode them, for example with OrdinalEncoder, which leaves missing "
                "ones NaN. (OneHotEncoder makes a level of them, and VAESampler takes "
                "strings as they are, in a frame.)"
            )
        if name == "VAESampler":
            cure = "Pass a data frame: there columns of strings are categories."
        return f"strings, such as {cell!r}. {cure}"
    kind = type(cell).__name__
    if hasattr(cell, "__len__"):
        return (
            f"cells with a {kind}, but one cell is one number. Spread what they hold "
            "over columns, or give samples of several dimensions as one array, such as "
            "np.stack of them."
        )
    return (
        f"a {kind} where a number is wanted, {cell!r}. Turn it into numbers, a date "
        "for example into days, or leave the column out."
    )
