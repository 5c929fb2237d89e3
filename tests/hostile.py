"""Tables in odd containers, types and layouts, and other odd arguments, at random."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import scipy.sparse as sp
import torch
from hypothesis import strategies as st

Table = np.ndarray[Any, np.dtype[np.float64]]

SCALES = [1.0, 0.0, 1e-300, 1e-30, 1e-6, 1e3, 1e6, 1e20, 1e30, 1e38, 1e150, 1e300]
CELLS = [np.nan, np.inf, -np.inf, -0.0, 5e-324, 1e-300, 1e39, -1e300, 1.7e308, 255, -1]
DTYPES = [
    *("f2", "f4", "f8", "g", "c8", "c16", "?", "i1", "u1", "i2", "u2", "i4", "u4"),
    *("i8", "u8", ">f4", ">f8", ">i4", "O", "U", "S", "M8[ns]", "m8[s]"),
]
NAMES: dict[str, Callable[[int], Any]] = {
    "words": lambda n: [f"c{i}" for i in range(n)],
    "other alphabets": lambda n: [f"größe-Ω-名-{i}\u200b🙂" for i in range(n)],
    "integers": range,
    "duplicates": lambda n: ["same"] * n,
    "mixed": lambda n: [i if i % 2 else str(i) for i in range(n)],
    "floats": lambda n: [i + 0.5 for i in range(n)],
    "missing": lambda n: [None, np.nan, pd.NA, pd.NaT, "", " ", "c"][:n],
    "tuples": lambda n: pd.MultiIndex.from_product([["a"], range(n)]),
    "dates": lambda n: pd.date_range("2020", periods=n),
    "turned": lambda n: [f"c{n - 1 - i}" for i in range(n)],
}
INDEXES: dict[str, Callable[[int], Any]] = {
    "numbers": range,
    "duplicates": lambda n: [7] * n,
    "names": lambda n: [f"ж{i}" for i in range(n)],
    "dates": lambda n: pd.date_range("2020", periods=n)[::-1],
    "missing": lambda n: [np.nan] * n,
    "levels": lambda n: pd.MultiIndex.from_arrays([range(n)] * 2),
}


def _made(make: Callable[[Any], Any], X: Any) -> Any:
    """Return what is made of `X`; itself if a library refuses to make it."""
    try:
        with np.errstate(all="ignore"):
            return make(X)
    except Exception:  # of any library
        return X


# ---- arrays --------------------------------------------------------------------------


def _mapped(X: Table) -> Any:
    if not X.size or X.dtype.hasobject:
        return X
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "X.npy")
        np.save(path, X)
        return np.load(path, mmap_mode="r")


def _frozen(X: Table) -> Any:
    X = X.copy()
    X.flags.writeable = False
    return X


def _unaligned(X: Table) -> Any:
    if X.dtype.hasobject:
        return X
    buffer = np.empty(X.nbytes + 1, np.uint8)
    view = buffer[1:].view(X.dtype).reshape(X.shape)
    view[...] = X
    return view


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "rows": lambda X: X,
    "columns": np.asfortranarray,
    "backwards": lambda X: X[::-1].copy()[::-1] if X.ndim else X,
    "steps": lambda X: np.repeat(X, 2, axis=0)[::2] if X.ndim else X,
    "repeated": lambda X: np.broadcast_to(X[:1], X.shape) if X.ndim else X,
    "read-only": _frozen,
    "mapped": _mapped,
    "unaligned": _unaligned,
    "transposed": lambda X: X.T.copy().T,
}
RANKS: dict[str, Callable[[Table], Any]] = {
    "table": lambda X: X,
    "scalar": lambda X: X.sum(),
    "vector": lambda X: X.ravel(),
    "one sample": lambda X: X[0] if len(X) else X,
    "column": lambda X: X[:, :1],
    "channels": lambda X: X[:, np.newaxis],
    "images": lambda X: X.reshape(len(X), 2, -1) if X.shape[1] % 2 == 0 else X,
    "five": lambda X: X[:, np.newaxis, np.newaxis, :, np.newaxis],
    "no sample": lambda X: X.reshape(0, *X.shape) if not len(X) else X[:0],
}


@st.composite
def _numbers(draw: Any, n_features: int, most_rows: int) -> Table:
    """Draw numbers: usual ones, of any size, constant, repeated, some not finite."""
    n_rows = draw(st.sampled_from([most_rows] * 3 + [2, 1, 0, 3]))
    widths = [n_features] * 12 + [0, 1, n_features - 1, n_features + 1]
    n_columns = draw(st.sampled_from(widths))
    random = np.random.RandomState(draw(st.integers(0, 2**16)))
    X = random.normal(size=(n_rows, n_columns))
    how = draw(st.sampled_from(["", "", "", "whole", "same rows", "same columns"]))
    if how == "whole":
        X = np.rint(3 * X)
    elif how == "same rows":
        X[:] = X[:1]
    elif how == "same columns":
        X[:] = X[:, :1]
    X *= draw(st.one_of(st.just(1.0), st.just(1.0), st.sampled_from(SCALES)))
    if X.size and not draw(st.integers(0, 3)):
        places = st.tuples(st.integers(0, n_rows - 1), st.integers(0, n_columns - 1))
        cells = st.dictionaries(places, st.sampled_from(CELLS), max_size=3)
        for place, value in draw(cells).items():
            X[place] = value
    return X


@st.composite
def arrays(draw: Any, n_features: int, most_rows: int = 7) -> Any:
    """Draw an array of any type, rank and layout."""
    X = draw(_numbers(n_features, most_rows))
    rank = draw(st.sampled_from(["table"] * 20 + [*RANKS]))
    dtype = draw(st.one_of(st.just("f8"), st.sampled_from(DTYPES)))
    layout = draw(st.sampled_from([*LAYOUTS]))
    X = np.asarray(_made(RANKS[rank], X))
    return _made(LAYOUTS[layout], _made(lambda X: X.astype(dtype), X))


# ---- other containers ----------------------------------------------------------------


def _objects(*values: Any) -> Callable[[Table], Any]:
    """Return what puts odd objects into an array of objects."""

    def put(X: Table) -> Any:
        X = X.astype(object)
        if X.size:
            X.flat[0] = values[0]
            X.flat[-1] = values[-1]
        return X

    return put


def _nullable(dtype: str) -> Callable[[Table], Any]:
    """Return what makes a frame of one of pandas's types; missing is where it must."""

    def make(X: Table) -> Any:
        frame = pd.DataFrame(X)
        if dtype.lower().startswith(("int", "uint", "bool")):
            frame = frame.where(np.abs(frame) < 100).round()
            if dtype == "boolean":
                frame = frame.where(frame.isna(), frame > 0)
        return frame.astype(dtype)

    return make


FRAMES: dict[str, Callable[[Table], Any]] = {
    "float64": pd.DataFrame,
    "float32": lambda X: pd.DataFrame(X).astype("float32"),
    "Float64": _nullable("Float64"),
    "Float32": _nullable("Float32"),
    "Int64": _nullable("Int64"),
    "Int8": _nullable("Int8"),
    "boolean": _nullable("boolean"),
    "objects": lambda X: pd.DataFrame(X).astype(object),
    "strings": lambda X: pd.DataFrame(X).astype("str"),
    "category": lambda X: pd.DataFrame(X).astype("category"),
    "sparse": lambda X: pd.DataFrame(X).astype(pd.SparseDtype("float64", 0.0)),
    "complex": lambda X: pd.DataFrame(X + 1j),
    "bools": lambda X: pd.DataFrame(X > 0),
    "mixed": lambda X: pd.DataFrame(
        {
            i: [column, column > 0, column.astype("f4"), pd.array(column)][i % 4]
            for i, column in enumerate(X.T)
        }
    ),
    "dates": lambda X: pd.DataFrame(X).map(lambda _: pd.Timestamp(0)),
    "polars": pl.DataFrame,
    "polars float32": lambda X: pl.DataFrame(X).cast(pl.Float32),
    "polars nulls": lambda X: pl.DataFrame(X).fill_nan(None),
    "polars strings": lambda X: pl.DataFrame(X).cast(pl.String),
    "polars bools": lambda X: pl.DataFrame(X > 0),
    "polars int8": lambda X: pl.DataFrame(X).cast(pl.Int8, strict=False),
    "polars decimal": lambda X: pl.DataFrame(np.clip(X, -1e3, 1e3)).cast(
        pl.Decimal(20, 6), strict=False
    ),
    "polars lists": lambda X: pl.DataFrame({"a": X.tolist()}),
    "polars lazy": lambda X: pl.DataFrame(X).lazy(),
}
OTHERS: dict[str, Callable[[Table], Any]] = {
    "lists": lambda X: X.tolist(),
    "tuples": lambda X: tuple(map(tuple, X.tolist())),
    "list of arrays": list,
    "lengths": lambda X: [row[: i + 1].tolist() for i, row in enumerate(X)],
    "None": lambda X: [[None, *row[1:]] for row in X.tolist()],
    "numbers as text": lambda X: [list(map(str, row)) for row in X.tolist()],
    "matrix": lambda X: np.ma.asarray(X).view(np.matrix) if X.size else X,
    "masked": lambda X: np.ma.masked_less(X, -5.0),
    "records": lambda X: np.zeros(len(X), [("a", "f8"), ("b", "i4")]),
    "text": _objects("Paris"),
    "long integers": _objects(10**400, -(10**400)),
    "fractions": _objects(Fraction(1, 3)),
    "decimals": _objects(Decimal("0.1"), Decimal("NaN")),
    "no numbers": _objects(None, pd.NA),
    "dicts": _objects({}, object()),
    "arrays in cells": _objects(np.ones(2), [1, 2]),
    "complex in cells": _objects(1j),
    "series": lambda X: pd.Series(X.ravel(), name="x"),
    "polars series": lambda X: pl.Series("x", X.ravel()),
    "tensor": lambda X: torch.tensor(X),
    "tensor float32": lambda X: torch.tensor(X, dtype=torch.float32),
    "tensor bfloat16": lambda X: torch.tensor(X).to(torch.bfloat16),
    "tensor with gradients": lambda X: torch.tensor(X, requires_grad=True),
    "complex tensor": lambda X: torch.tensor(X).to(torch.complex64),
    "sparse tensor": lambda X: torch.tensor(X).to_sparse(),
    "tensor of no device": lambda X: torch.tensor(X).to("meta"),
    **{
        f"sparse {kind.__name__}": kind
        for kind in (
            *(sp.csr_matrix, sp.csc_array, sp.coo_array, sp.lil_array, sp.dok_array),
            *(sp.dia_matrix, sp.bsr_array),
        )
    },
    "nothing": lambda X: None,
    "word": lambda X: "table.csv",
    "number": lambda X: 3,
    "dict": lambda X: {"a": X},
    "iterator": iter,
    "class": lambda X: np.ndarray,
    "empty list": lambda X: [],
}
if find_spec("pyarrow"):
    FRAMES["arrow in pandas"] = _nullable("double[pyarrow]")
    FRAMES["arrow integers"] = _nullable("int64[pyarrow]")
    OTHERS["arrow"] = lambda X: pl.DataFrame(X).to_arrow()


@st.composite
def frames(draw: Any, n_features: int, most_rows: int = 7) -> Any:
    """Draw a data frame with any types, names and index."""
    X = draw(_numbers(n_features, most_rows))
    frame = _made(FRAMES[draw(st.sampled_from([*FRAMES]))], X)
    names = NAMES[draw(st.one_of(st.just("words"), st.sampled_from([*NAMES])))]
    if isinstance(frame, pd.DataFrame):
        index = INDEXES[draw(st.sampled_from([*INDEXES]))]
        frame.columns, frame.index = names(frame.shape[1]), index(len(frame))
    elif isinstance(frame, pl.DataFrame):
        columns = dict(enumerate(map(str, names(frame.shape[1]))))
        frame = _made(lambda X: X.rename(lambda name: columns[int(name[7:])]), frame)
    return frame


@st.composite
def others(draw: Any, n_features: int, most_rows: int = 7) -> Any:
    """Draw what is neither an array nor a frame."""
    X = draw(_numbers(n_features, most_rows))
    return _made(OTHERS[draw(st.sampled_from([*OTHERS]))], X)


def anything(n_features: int, most_rows: int = 7) -> st.SearchStrategy[Any]:
    """Return a strategy of samples, most of them of `n_features` numbers."""
    kinds = (arrays, arrays, frames, frames, others)
    return st.one_of(*(kind(n_features, most_rows) for kind in kinds))


#: Values for a parameter that wants a number, a seed, a class or weights. Copies, as a
#: generator that is drawn from is another one then.
odd_values = st.sampled_from(
    [
        *(0, 1, 2, 3, -1, True, None, 0.1, 0.5, 1.5, np.nan, np.inf, 1e300, 10**30),
        *("", "word", b"bytes", 1j, [], [1], {}, (), object, np.int8(2), np.float16(2)),
        *(np.array(2), np.array([2]), np.zeros((2, 2)), Decimal(2), pd.NA),
        *(np.random.RandomState(0), np.random.default_rng(0), torch.tensor(2)),
    ]
).map(copy.deepcopy)
