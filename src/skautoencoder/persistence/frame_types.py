"""Types, indices and intervals of pandas and polars as JSON, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from skautoencoder.tensor_files import UnreadableFile

if TYPE_CHECKING:
    from skautoencoder.persistence.values import Decoder, Encoder

Json = Any

# polars' types without parameters.
_POLARS = {
    "Binary",
    "Boolean",
    "Categorical",
    "Date",
    "Float16",
    "Float32",
    "Float64",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "Int128",
    "Null",
    "String",
    "Time",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "UInt128",
}


# Arrow's types with a precision and a scale.
_DECIMALS = {"decimal32", "decimal64", "decimal128", "decimal256"}


class CannotBeStored(TypeError):
    """A value that a file cannot hold."""


def tagged(tag: str, **content: Json) -> Json:
    """Return the JSON of a value that is no number, string or list."""
    return {"$": tag, **content}


def encode_index(encoder: Encoder, index: Any) -> Json:
    """Return an index as JSON."""
    if isinstance(index, pd.RangeIndex):
        span = [index.start, index.stop, index.step]
        return tagged("range_index", of=span, name=encoder.encode(index.name))
    if isinstance(index, pd.MultiIndex):
        return tagged(
            "multi_index",
            of=encoder.encode(index.tolist()),
            names=encoder.encode(list(index.names)),
        )
    return tagged(
        "index",
        of=encoder.encode(index.tolist()),
        dtype=encoder.encode(index.dtype),
        name=encoder.encode(index.name),
    )


def encode_dtype(encoder: Encoder, dtype: Any) -> Json:
    """Return a NumPy type as JSON."""
    if dtype.names is not None:
        raise CannotBeStored(f": the type {dtype}")
    return tagged("dtype", of=dtype.str)


def encode_pandas_dtype(encoder: Encoder, dtype: Any) -> Json:
    """Return a type of pandas as JSON."""
    if isinstance(dtype, pd.CategoricalDtype):
        categories = dtype.categories
        return tagged(
            "categories",
            of=None if categories is None else encoder.encode(categories),
            ordered=dtype.ordered,
        )
    if isinstance(dtype, pd.SparseDtype):
        return tagged(
            "sparse",
            of=encoder.encode(dtype.subtype),
            fill_value=encoder.encode(dtype.fill_value),
        )
    try:
        same = pd.api.types.pandas_dtype(str(dtype)) == dtype
    except (TypeError, NotImplementedError):
        same = False
    if same:
        return tagged("pandas_dtype", of=str(dtype))
    if isinstance(dtype, pd.ArrowDtype):
        return tagged("arrow", of=_parts_of_arrow(dtype.pyarrow_dtype))
    raise CannotBeStored(f": the pandas type {dtype}")


def _parts_of_arrow(dtype: Any) -> Json:
    """Return the name of a type of Arrow, and what it is made of."""
    name, _, parameters = str(dtype).partition("(")
    if name.startswith("dictionary"):
        parts = _parts_of_arrow(dtype.index_type), _parts_of_arrow(dtype.value_type)
        return ["dictionary", *parts, dtype.ordered]
    if name in _DECIMALS:
        return [name, dtype.precision, dtype.scale]
    if parameters or name.endswith("]"):
        raise CannotBeStored(f": the pandas type {dtype}[pyarrow]")
    return [name]


def decode_arrow(decoder: Decoder, of: Json) -> Any:
    """Return the type of Arrow of JSON, for pandas."""
    return pd.ArrowDtype(_arrow_type(of))


def _arrow_type(of: Json) -> Any:
    import pyarrow

    name, *parts = of
    if name == "dictionary":
        index, values, ordered = parts
        return pyarrow.dictionary(_arrow_type(index), _arrow_type(values), ordered)
    if name in _DECIMALS:
        return getattr(pyarrow, name)(*parts)
    return pyarrow.type_for_alias(name)


def encode_interval(encoder: Encoder, interval: Any) -> Json:
    """Return an interval as JSON."""
    return tagged(
        "interval",
        left=encoder.encode(interval.left),
        right=encoder.encode(interval.right),
        closed=interval.closed,
    )


def decode_interval(decoder: Decoder, left: Json, right: Json, closed: str) -> Any:
    """Return the interval of JSON."""
    return pd.Interval(decoder.decode(left), decoder.decode(right), closed)


def is_polars_type(value: Any, polars: Any) -> bool:
    """Return whether a value is a type of polars, or an object of one."""
    if isinstance(value, type):
        return issubclass(value, polars.DataType)
    return isinstance(value, polars.DataType)


def encode_polars(encoder: Encoder, dtype: Any) -> Json:
    """Return a type of polars as JSON."""
    import polars

    name = dtype.__name__ if isinstance(dtype, type) else type(dtype).__name__
    if isinstance(dtype, polars.Enum):
        return tagged("polars", name=name, of=[dtype.categories.to_list()])
    if isinstance(dtype, polars.Decimal):
        return tagged("polars", name=name, of=[dtype.precision, dtype.scale])
    if name not in _POLARS:
        raise CannotBeStored(f": the polars type {dtype}")
    return tagged("polars", name=name, of=None)


def decode_polars(decoder: Decoder, name: str, of: Json) -> Any:
    """Return the polars type of JSON."""
    import polars

    if name in ("Enum", "Decimal"):
        return getattr(polars, name)(*of)
    if name not in _POLARS:
        raise UnreadableFile(f"No polars type {name!r} is known.")
    # As a column's type: an object, not the class.
    return polars.Series([], dtype=getattr(polars, name)).dtype


def decode_index(decoder: Decoder, of: Json, dtype: Json, name: Json) -> Any:
    """Return the index of JSON."""
    return pd.Index(
        decoder.decode(of), dtype=decoder.decode(dtype), name=decoder.decode(name)
    )
