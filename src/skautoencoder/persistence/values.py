"""Values as JSON and arrays, and back.

Numbers, strings, None and lists are themselves in JSON; anything else is an object
with its kind under "$".
"""

from __future__ import annotations

import datetime
import math
import os
import sys
from collections.abc import Callable
from dataclasses import is_dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from skorch.history import History
from torch import Tensor

from skautoencoder._estimator.estimator_protocol import EstimatorProtocol, is_nested
from skautoencoder.persistence import classes
from skautoencoder.persistence.frame_types import (
    CannotBeStored,
    decode_arrow,
    decode_index,
    decode_interval,
    decode_polars,
    encode_dtype,
    encode_index,
    encode_interval,
    encode_pandas_dtype,
    encode_polars,
    is_polars_type,
    tagged,
)
from skautoencoder.persistence.nets import decode_net, encode_net
from skautoencoder.tensor_files import TensorFile, UnreadableFile
from skautoencoder.training import AutoencoderNet

Json = Any

# Kinds of NumPy's types that are stored as they are, or as integers of 8 bytes.
_NUMBERS, _TIMES = "biuf", "mM"

_BIT_GENERATORS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")

# Values that are made from a string.
_FROM_STRING: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    "date": (datetime.date, str, datetime.date.fromisoformat),
    "datetime": (
        datetime.datetime,
        datetime.datetime.isoformat,
        datetime.datetime.fromisoformat,
    ),
    "decimal": (Decimal, str, Decimal),
    "device": (torch.device, str, torch.device),
    "fraction": (Fraction, str, Fraction),
    "timedelta": (pd.Timedelta, pd.Timedelta.isoformat, pd.Timedelta),
    "timestamp": (pd.Timestamp, pd.Timestamp.isoformat, pd.Timestamp),
}
_TAGS = {kind: tag for tag, (kind, _, _) in _FROM_STRING.items()}

_TORCH_TYPES = {
    str(dtype): dtype for dtype in (torch.float32, torch.bfloat16, torch.float16)
}


class Encoder:
    """Collects the arrays of an estimator while its values become JSON.

    Attributes
    ----------
    tensors : dict of str to Tensor
        The arrays, contiguous, on the CPU.
    needed : dict of str to str
        Names of the objects of the user's own, and what they were.
    stored : dict
        Each object that may stand in several places, and its JSON, by its id.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.needed: dict[str, str] = {}
        self._own: dict[str, Any] = {}
        # What stands in several places is stored once. The objects are kept, as another
        # might get the same id.
        self.stored: dict[int, tuple[Any, Json]] = {}
        # Name of the parameter that is being encoded.
        self._parameter: str | None = None

    def encode(self, value: Any) -> Json:
        """Return a value as JSON."""
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else tagged("float", value=str(value))
        if kind is list:
            return [self.encode(item) for item in value]
        encode = _ENCODERS.get(kind)
        if encode is not None:
            return encode(self, value)
        for parent, encode in _ENCODERS_OF_SUBCLASSES.items():
            if isinstance(value, parent):
                return encode(self, value)
        if kind in _TAGS:
            return tagged(_TAGS[kind], value=_FROM_STRING[_TAGS[kind]][1](value))
        name = classes.name_of_callable(value)
        if name is not None:
            return tagged("name", name=name)
        name = classes.name_of(kind)
        if name is not None:
            return self._encode_object(name, value)
        if classes.is_estimator(value):
            return self.encode_estimator(value)
        polars = sys.modules.get("polars")
        if polars is not None and is_polars_type(value, polars):
            return encode_polars(self, value)
        return self._encode_own(value)

    def _encode_object(self, name: str, value: Any) -> Json:
        if id(value) in self.stored:
            return self.stored[id(value)][1]
        fields = self.encode_fields(
            classes.describe(value), classes.may_hold_own(type(value))
        )
        if not is_dataclass(value):
            return tagged("object", kind=name, fields=fields)
        # Dataclasses are immutable, and the same columns stand in several places.
        number = len(self.stored)
        self.stored[id(value)] = value, tagged("same", number=number)
        return tagged("object", kind=name, fields=fields, number=number)

    def encode_fields(
        self, values: dict[str, Any], are_parameters: bool = False
    ) -> dict[str, Json]:
        """Return named values as JSON.

        Parameters
        ----------
        values : dict
            The values.
        are_parameters : bool, default=False
            Whether they are parameters: objects of the user's own among them get the
            parameter's name.
        """
        before, found = self._parameter, {}
        for name, value in values.items():
            if are_parameters:
                self._parameter = name.rpartition("__")[2]
            try:
                found[name] = self.encode(value)
            except CannotBeStored as error:
                raise CannotBeStored(f"{name}.{error}") from None
        self._parameter = before
        return found

    def encode_estimator(self, estimator: Any) -> Json:
        """Return an estimator's parameters, and what its fit set."""
        kind = type(estimator)
        if classes.ESTIMATORS.get(kind.__name__) is not kind:
            self._need(kind.__name__, kind)
        attributes = vars(estimator)
        state = {n: attributes[n] for n in kind._fitted_state if n in attributes}
        return tagged(
            "estimator",
            kind=kind.__name__,
            params=self._encode_params(estimator.get_params(deep=False)),
            state=self.encode_fields(state),
            settings=self.encode_fields(classes.settings_of(estimator)),
        )

    def _encode_params(self, params: dict[str, Any]) -> Json:
        callbacks = params.get("callbacks")
        if not callbacks:
            return self.encode_fields(params, True)
        # They are not encoded one by one, as they have done their work.
        self._need("callbacks", callbacks)
        encoded = self.encode_fields(params | {"callbacks": None}, True)
        return encoded | {"callbacks": tagged("own", name="callbacks")}

    def add(self, tensor: Tensor) -> Json:
        """Store a tensor; return its name, and the order of its axes in memory."""
        strides = tensor.stride()
        order = sorted(range(tensor.dim()), key=lambda axis: -strides[axis])
        if not tensor.permute(order).is_contiguous():
            order = list(range(tensor.dim()))
        name = str(len(self.tensors))
        self.tensors[name] = tensor.detach().permute(order).cpu().contiguous()
        return [name] if order == sorted(order) else [name, order]

    def once(self, value: Any, encode: Callable[[], Json]) -> Json:
        """Return what `encode` returned when this value was first met."""
        if id(value) not in self.stored:
            self.stored[id(value)] = value, encode()
        return self.stored[id(value)][1]

    def _encode_own(self, value: Any) -> Json:
        """Return the name of an object of the user's own."""
        if self._parameter is None:
            raise CannotBeStored(f": {type(value).__name__}")
        kind = type(value)
        if not isinstance(value, type) and classes.has_parameters(kind):
            self._need(kind.__name__, kind)
            fields = self.encode_fields(value.get_params(deep=False), True)
            return tagged("own", name=kind.__name__, fields=fields)
        self._need(self._parameter, value)
        return tagged("own", name=self._parameter)

    def _need(self, name: str, value: Any) -> None:
        known = getattr(value, "__qualname__", None)
        where = value if known else type(value)
        what = f"{where.__module__}.{where.__qualname__}"
        self.needed[name] = what if known else f"an object of class {what}"


class Decoder:
    """Makes the values that an :class:`Encoder` turned into JSON and arrays.

    Parameters
    ----------
    file : TensorFile
        The arrays.
    own : dict
        The objects of the user's own, by name.
    """

    def __init__(self, file: TensorFile, own: dict[str, Any]) -> None:
        self.file = file
        self.own = own
        self.n_bytes = file.n_bytes
        self.made: dict[str, Any] = {}

    def decode(self, node: Json) -> Any:
        """Return the value that JSON stands for."""
        if isinstance(node, list):
            return [self.decode(item) for item in node]
        if not isinstance(node, dict):
            return node
        given = dict(node)
        return _DECODERS[given.pop("$")](self, **given)

    def decode_fields(self, fields: dict[str, Json]) -> dict[str, Any]:
        """Return the values of named fields."""
        return {name: self.decode(node) for name, node in fields.items()}

    def tensor(self, name: str, order: list[int] | None = None) -> Tensor:
        """Return a tensor of the file, with its axes in their order in memory."""
        tensor = self.file.read(name)
        return tensor if order is None else tensor.permute(_inverse(order))

    def shape_of(
        self, name: str, order: list[int] | None = None
    ) -> tuple[tuple[int, ...], torch.dtype]:
        """Return the shape and the type of a tensor, without reading it."""
        shape, dtype = self.file.kind(name)
        if order is not None:
            shape = tuple(shape[axis] for axis in _inverse(order))
        return shape, dtype

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what `make` returned when this name was first met."""
        if name not in self.made:
            self.made[name] = make()
        return self.made[name]

    def estimator(self, kind: str, params: Json, state: Json, settings: Json) -> Any:
        """Return an estimator, without calling its constructor."""
        made_of: Any = classes.ESTIMATORS.get(kind) or self.own[kind]
        if not classes.is_kind_of_estimator(made_of):
            raise UnreadableFile(
                f"custom_objects[{kind!r}] must be a class derived from an estimator "
                "of this package."
            )
        estimator = object.__new__(made_of)
        given = self.decode_fields(params)
        known = {*made_of._get_param_names()}
        has_nested = issubclass(made_of, EstimatorProtocol)
        for name in given.keys() - known:
            if not (has_nested and is_nested(name, known)):
                raise UnreadableFile(
                    f"{kind} of this version has no parameter {name!r}."
                )
        unknown = state.keys() - {*made_of._fitted_state}
        if unknown:
            raise UnreadableFile(f"{kind} of this version has no {sorted(unknown)}.")
        if not given.get("callbacks") and self.own.get("callbacks", self) is None:
            given = {k: v for k, v in given.items() if not k.startswith("callbacks__")}
        defaults = classes.defaults_of(made_of)
        estimator.__dict__ = defaults | given | self.decode_fields(state)
        classes.set_settings(estimator, self.decode_fields(settings))
        return estimator


def _inverse(order: list[int]) -> list[int]:
    return [order.index(axis) for axis in range(len(order))]


# ---- containers ----------------------------------------------------------------


def _encode_dict(encoder: Encoder, value: Any) -> Json:
    if all(type(key) is str for key in value):
        return tagged("dict", of={k: encoder.encode(v) for k, v in value.items()})
    pairs = [[encoder.encode(k), encoder.encode(v)] for k, v in value.items()]
    return tagged("pairs", of=pairs)


def _encode_tuple(encoder: Encoder, value: Any) -> Json:
    if _is_table(value):
        # Tables of the sampler have many of them.
        array = torch.tensor(value, dtype=torch.float64, device="cpu")
        return encoder.once(value, lambda: tagged("rows", of=encoder.add(array)))
    return tagged("tuple", of=[encoder.encode(item) for item in value])


def _is_table(rows: Any) -> bool:
    """Return whether a tuple holds tuples of as many floats each, and at least one."""
    if not rows or type(rows[0]) is not tuple or not rows[0]:
        return False
    return all(
        type(row) is tuple
        and len(row) == len(rows[0])
        and all(type(number) is float for number in row)
        for row in rows
    )


def _decode_rows(decoder: Decoder, of: list[Any]) -> Any:
    def make() -> Any:
        return tuple(tuple(row) for row in decoder.tensor(*of).tolist())

    return decoder.once(f"rows {of[0]}", make)


def _encode_history(encoder: Encoder, history: Any) -> Json:
    def encode() -> Json:
        number = str(len(encoder.stored))
        rows = [encoder.encode_fields(row) for row in history]
        return tagged("history", number=f"history {number}", rows=rows)

    return encoder.once(history, encode)


def _decode_history(decoder: Decoder, number: str, rows: Json) -> History:
    return decoder.once(
        number, lambda: History(decoder.decode_fields(row) for row in rows)
    )


# ---- arrays --------------------------------------------------------------------


def _encode_tensor(encoder: Encoder, tensor: Any) -> Json:
    return encoder.once(tensor, lambda: tagged("tensor", of=encoder.add(tensor)))


def _encode_array(encoder: Encoder, array: Any) -> Json:
    return encoder.once(array, lambda: _new_array(encoder, array))


def _new_array(encoder: Encoder, array: Any) -> Json:
    kind = array.dtype.kind
    if kind in "OUS" and array.dtype.names is None:
        values = [encoder.encode(value) for value in array.ravel().tolist()]
        return tagged(
            "objects", of=values, shape=list(array.shape), dtype=array.dtype.str
        )
    numbers = array.view(np.int64) if kind in _TIMES else array
    if kind not in _NUMBERS + _TIMES or array.dtype.itemsize > 8:
        raise CannotBeStored(f": an array of type {array.dtype}")
    # A copy, as torch takes no reversed arrays, and warns of read-only ones. By name:
    # NumPy has two types of unsigned integers of 64 bits, and torch knows one of them.
    native = numbers.astype(numbers.dtype.newbyteorder("=").name, order="K")
    stored = encoder.add(torch.from_numpy(native))
    return tagged("array", of=stored, dtype=array.dtype.str)


def _decode_array(decoder: Decoder, of: list[Any], dtype: str) -> Any:
    def make() -> Any:
        array, wanted = decoder.tensor(*of).numpy(), np.dtype(dtype)
        if wanted.kind in _TIMES:
            return array.view(wanted)
        if wanted.newbyteorder("=") != array.dtype:
            raise UnreadableFile(f"An array of {array.dtype} should be of {wanted}.")
        return array.astype(wanted, copy=False)

    return decoder.once(f"array {of[0]}", make)


def _decode_objects(decoder: Decoder, of: Json, shape: list[int], dtype: str) -> Any:
    array = np.empty(len(of), dtype=np.dtype(dtype))
    array[:] = [decoder.decode(value) for value in of]
    return array.reshape(shape)


def _encode_scalar(encoder: Encoder, value: Any) -> Json:
    kind = value.dtype.kind
    if kind in _TIMES:
        item: Any = int(value.astype(np.int64))
    elif kind in "US" or (kind in _NUMBERS and value.dtype.itemsize <= 8):
        item = value.item()
    else:
        raise CannotBeStored(f": a number of type {value.dtype}")
    return tagged("scalar", of=encoder.encode(item), dtype=value.dtype.str)


def _decode_scalar(decoder: Decoder, of: Json, dtype: str) -> Any:
    wanted, item = np.dtype(dtype), decoder.decode(of)
    if wanted.kind in _TIMES:
        return np.int64(item).view(wanted)
    return wanted.type(item)


# ---- generators ------------------------------------------------------------------


def _encode_random(encoder: Encoder, random: Any) -> Json:
    is_legacy = isinstance(random, np.random.RandomState)
    state = random.get_state(legacy=False) if is_legacy else random.bit_generator.state
    return tagged("random", legacy=is_legacy, state=encoder.encode(state))


def _decode_random(decoder: Decoder, legacy: bool, state: Json) -> Any:
    found = decoder.decode(state)
    if found["bit_generator"] not in _BIT_GENERATORS:
        raise UnreadableFile(f"No generator {found['bit_generator']!r} is known.")
    bits = getattr(np.random, found["bit_generator"])(0)
    if not legacy:
        bits.state = found
        return np.random.Generator(bits)
    random = np.random.RandomState(bits)
    random.set_state(found)
    return random


# ---- the table -------------------------------------------------------------------

_ENCODERS: dict[type, Callable[[Encoder, Any], Json]] = {
    AutoencoderNet: encode_net,
    History: _encode_history,
    complex: lambda _, value: tagged("complex", real=value.real, imag=value.imag),
    dict: _encode_dict,
    frozenset: lambda encoder, value: tagged("frozenset", of=encoder.encode([*value])),
    pd.Interval: encode_interval,
    set: lambda encoder, value: tagged("set", of=encoder.encode([*value])),
    slice: lambda encoder, value: tagged(
        "slice", of=encoder.encode([value.start, value.stop, value.step])
    ),
    torch.Size: lambda encoder, value: tagged("tuple", of=list(value)),
    torch.dtype: lambda _, value: tagged("torch_dtype", of=str(value)),
    tuple: _encode_tuple,
}
_ENCODERS_OF_SUBCLASSES: dict[Any, Callable[[Encoder, Any], Json]] = {
    Tensor: _encode_tensor,
    np.dtype: encode_dtype,
    np.generic: _encode_scalar,
    np.ndarray: _encode_array,
    np.random.Generator: _encode_random,
    np.random.RandomState: _encode_random,
    os.PathLike: lambda _, value: tagged("path", of=os.fspath(value)),
    pd.Index: encode_index,
    pd.api.extensions.ExtensionDtype: encode_pandas_dtype,
}


def _decode_object(
    decoder: Decoder, kind: str, fields: Json, number: int | None = None
) -> Any:
    made = classes.make(kind, decoder.decode_fields(fields), decoder.n_bytes)
    return made if number is None else decoder.once(f"object {number}", lambda: made)


def _decode_same(decoder: Decoder, number: int) -> Any:
    return decoder.made[f"object {number}"]


def _decode_own(decoder: Decoder, name: str, fields: Json = None) -> Any:
    if fields is None:
        return decoder.own[name]
    kind = decoder.own[name]
    if not (isinstance(kind, type) and classes.has_parameters(kind)):
        raise UnreadableFile(
            f"custom_objects[{name!r}] must be a class with parameters."
        )
    return kind(**decoder.decode_fields(fields))


_DECODERS: dict[str, Callable[..., Any]] = {
    "array": _decode_array,
    "arrow": decode_arrow,
    "categories": lambda decoder, of, ordered: pd.CategoricalDtype(
        decoder.decode(of), ordered
    ),
    "complex": lambda _, real, imag: complex(real, imag),
    "dict": lambda decoder, of: decoder.decode_fields(of),
    "dtype": lambda _, of: np.dtype(of),
    "estimator": Decoder.estimator,
    "float": lambda _, value: float(value),
    "frozenset": lambda decoder, of: frozenset(decoder.decode(of)),
    "history": _decode_history,
    "index": decode_index,
    "interval": decode_interval,
    "multi_index": lambda decoder, of, names: pd.MultiIndex.from_tuples(
        decoder.decode(of), names=decoder.decode(names)
    ),
    "name": lambda _, name: classes.callable_named(name),
    "net": decode_net,
    "object": _decode_object,
    "objects": _decode_objects,
    "own": _decode_own,
    "pairs": lambda decoder, of: {decoder.decode(k): decoder.decode(v) for k, v in of},
    "pandas_dtype": lambda _, of: pd.api.types.pandas_dtype(of),
    "path": lambda _, of: Path(of),
    "polars": decode_polars,
    "random": _decode_random,
    "range_index": lambda decoder, of, name: pd.RangeIndex(
        *of, name=decoder.decode(name)
    ),
    "rows": _decode_rows,
    "same": _decode_same,
    "scalar": _decode_scalar,
    "set": lambda decoder, of: set(decoder.decode(of)),
    "slice": lambda decoder, of: slice(*decoder.decode(of)),
    "sparse": lambda decoder, of, fill_value: pd.SparseDtype(
        decoder.decode(of), decoder.decode(fill_value)
    ),
    "tensor": lambda decoder, of: decoder.once(
        f"tensor {of[0]}", lambda: decoder.tensor(*of)
    ),
    "torch_dtype": lambda _, of: _TORCH_TYPES[of],
    "tuple": lambda decoder, of: tuple(decoder.decode(of)),
    **{
        tag: lambda _, value, make=make: make(value)
        for tag, (_, _, make) in _FROM_STRING.items()
    },
}
