"""Arrays in files: the safetensors format, with a checksum in front.

A file of :func:`skautoencoder.save` is a safetensors file: the length of a header, the
header, which is JSON, and the arrays' bytes. The header starts with fields of fixed
place, so that nothing is parsed before the checksum of the whole file is verified.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Raised when files of this version can no longer be read by older packages.
FORMAT_VERSION = 1

# The format's names of types, and torch's.
_DTYPES = {
    "BF16": torch.bfloat16,
    "BOOL": torch.bool,
    "F16": torch.float16,
    "F32": torch.float32,
    "F64": torch.float64,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "U8": torch.uint8,
    "U16": torch.uint16,
    "U32": torch.uint32,
    "U64": torch.uint64,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_SIZES = {name: dtype.itemsize for name, dtype in _DTYPES.items()}

_FIRST = b'{"__metadata__":{"format":"skautoencoder","format_version":"'
_START = re.compile(
    re.escape(_FIRST) + rb'(\d{1,4})",'
    rb'"n_bytes":"(\d{1,18})","sha256":"([0-9a-f]{64})"[,}]'
)
_NO_DIGEST = b"0" * 64
_MOST_HEADER = 100_000_000  # that of the safetensors format
_CHUNK = 2**20

# What other files that people have at hand begin with.
_OTHER_KINDS = {
    b"\x80": (
        "a pickle. It is never unpickled here, as that may run any code. If you trust "
        "whoever made it, use joblib.load, and save it anew with skautoencoder.save"
    ),
    b"PK\x03\x04": "a zip archive, as skops.io and torch.save make them",
    b"\x89HDF": "an HDF5 file",
}


# Name of the tensor that holds what is not one, as JSON.
DOCUMENT = "document"


class UnreadableFile(ValueError):
    """A file that cannot be loaded: it was damaged, or something is missing."""


@dataclass(frozen=True)
class _Entry:
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Yield a new file, which takes the place of another one when it is complete.

    It is written beside it, and on the disk before it is moved: the file that was there
    is lost in no case.

    Parameters
    ----------
    path : path
        The file, which may not exist yet.
    """
    target = Path(os.path.realpath(path))
    unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
        with open(unfinished, "x+b") as file:
            # Who may read it stays as it was, where the file system knows of that.
            with suppress(OSError):
                shutil.copymode(target, unfinished)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, target)
    except OSError as error:
        if error.filename == str(unfinished):  # a name that tells the user nothing
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        unfinished.unlink(missing_ok=True)
    if os.name == "posix":
        # The new name, too, survives a loss of power.
        descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# ---- writing -------------------------------------------------------------------


def write(file: BinaryIO, tensors: Mapping[str, Tensor], written_by: str) -> None:
    """Write tensors to a file that can be read and sought in.

    Parameters
    ----------
    file : binary file
        The file, empty.
    tensors : mapping of str to Tensor
        Contiguous tensors on the CPU.
    written_by : str
        Version of the package.
    """
    header: dict[str, Any] = {}
    stop = 0
    for name, tensor in tensors.items():
        start, stop = stop, stop + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, stop],
        }
    metadata = {
        "format": "skautoencoder",
        "format_version": str(FORMAT_VERSION),
        "n_bytes": str(stop),
        "sha256": _NO_DIGEST.decode(),
        "written_by": written_by,
    }
    raw = json.dumps({"__metadata__": metadata, **header}, separators=(",", ":"))
    encoded = raw.encode()
    encoded += b" " * (-len(encoded) % 8)
    digest = hashlib.sha256()
    for part in _parts(encoded, tensors):
        digest.update(part)
        file.write(part)
    file.seek(8 + encoded.index(_NO_DIGEST))
    file.write(digest.hexdigest().encode())


def _parts(header: bytes, tensors: Mapping[str, Tensor]) -> Iterator[Any]:
    yield len(header).to_bytes(8, "little") + header
    for tensor in tensors.values():
        if tensor.numel():
            yield bytes_of(tensor)


def tensor_of(content: bytes) -> Tensor:
    """Return bytes as a tensor."""
    return torch.from_numpy(np.frombuffer(content, np.uint8).copy())


def bytes_of(tensor: Tensor) -> NDArray[np.uint8]:
    """Return the memory of a contiguous tensor, as a view."""
    view: NDArray[np.uint8] = tensor.detach().reshape(-1).view(torch.uint8).numpy()
    return view


# ---- reading -------------------------------------------------------------------


class TensorFile:
    """A verified file, whose tensors are read one by one.

    Parameters
    ----------
    file : binary file
        The file, which stays open as long as tensors are read.

    Raises
    ------
    UnreadableFile
        If it is not a file that :func:`write` wrote, bit for bit, or is one of a later
        version of the format.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        size = file.seek(0, os.SEEK_END)
        header, n_bytes, digest, self.written_by = _read_header(file, size)
        self._first = 8 + len(header)
        expected = self._first + n_bytes
        if size != expected:
            what = "Its end is missing" if size < expected else "Something follows it"
            raise UnreadableFile(
                f"The file has {size} bytes where {expected} were written. {what}: "
                "copy it again."
            )
        if self._digest(header, digest) != digest:
            raise UnreadableFile(
                "The file's bytes are not those that were written: the checksum is not "
                "theirs. "
                "It was damaged, or changed by something other than save. Copy or save "
                "it again."
            )
        self._entries = _read_entries(header, n_bytes)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    @property
    def n_bytes(self) -> int:
        """Number of bytes of all tensors."""
        return sum(entry.stop - entry.start for entry in self._entries.values())

    def kind(self, name: str) -> tuple[tuple[int, ...], torch.dtype]:
        """Return the shape and the type of a tensor."""
        entry = self._entry(name)
        return entry.shape, _DTYPES[entry.dtype]

    def _entry(self, name: str) -> _Entry:
        if name not in self._entries:
            raise UnreadableFile(f"The file has no array {name!r}.")
        return self._entries[name]

    def read(self, name: str) -> Tensor:
        """Return a tensor, in memory of its own."""
        entry = self._entry(name)
        tensor = torch.empty(entry.shape, dtype=_DTYPES[entry.dtype], device="cpu")
        if tensor.numel():
            self._file.seek(self._first + entry.start)
            memory = memoryview(bytes_of(tensor))  # type: ignore[arg-type]
            n_read = 0
            while n_read < len(memory):
                n_more = self._file.readinto(memory[n_read:])  # type: ignore[attr-defined]
                if not n_more:
                    raise UnreadableFile("The file became shorter while it was read.")
                n_read += n_more
        if entry.dtype == "BOOL" and bool((tensor.view(torch.uint8) > 1).any()):
            raise UnreadableFile(f"The array {name!r} of booleans has other values.")
        return tensor

    def read_bytes(self, name: str) -> bytes:
        """Return the bytes that :func:`tensor_of` made a tensor of."""
        return self.read(name).numpy().tobytes()

    def _digest(self, header: bytes, written: str) -> str:
        """Return the checksum of the file, computed as if it had none."""
        digest = hashlib.sha256(len(header).to_bytes(8, "little"))
        digest.update(header.replace(written.encode(), _NO_DIGEST, 1))
        self._file.seek(self._first)
        while chunk := self._file.read(_CHUNK):
            digest.update(chunk)
        return digest.hexdigest()


def _read_header(file: BinaryIO, size: int) -> tuple[bytes, int, str, str]:
    """Return the header, the number of bytes after it, and the checksum."""
    file.seek(0)
    start = file.read(8 + len(_FIRST))
    if not start[8:] or not _FIRST.startswith(start[8:]):
        known = (
            kind for first, kind in _OTHER_KINDS.items() if start.startswith(first)
        )
        kind = next(known, None)
        raise UnreadableFile(
            "This is no file of skautoencoder.save"
            + (f", but looks like {kind}." if kind else ".")
        )
    length = int.from_bytes(start[:8], "little")
    if not len(_FIRST) < length <= min(size - 8, _MOST_HEADER):
        raise UnreadableFile(
            f"The file ends after {size} bytes, within its header of {length}: copy it "
            "again."
        )
    file.seek(8)
    header = file.read(length)
    found = _START.match(header)
    if found is None:
        raise UnreadableFile("This is no file of skautoencoder.save, or was changed.")
    version, n_bytes, digest = found.groups()
    written = re.search(rb'"written_by":"([\w.+-]{1,40})"', header[:400])
    written_by = written[1].decode() if written else "unknown"
    if int(version) > FORMAT_VERSION:
        raise UnreadableFile(
            f"The file has version {int(version)} of the format, and this package "
            f"reads versions up to {FORMAT_VERSION}. It was written by skautoencoder "
            f"{written_by}: update."
        )
    return header, int(n_bytes), digest.decode(), written_by


def _read_entries(header: bytes, n_bytes: int) -> dict[str, _Entry]:
    """Return what the header says of the tensors, verified."""
    try:
        said = json.loads(header)
        del said["__metadata__"]
        entries = {name: _entry(**described) for name, described in said.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UnreadableFile(f"The file's header is not valid: {error}.") from error
    stop = 0
    for entry in entries.values():
        if entry.start != stop:
            raise UnreadableFile("The arrays in the file overlap, or have gaps.")
        stop = entry.stop
    if stop != n_bytes:
        raise UnreadableFile("The arrays do not fill the file.")
    return entries


def _entry(dtype: str, shape: list[int], data_offsets: list[int]) -> _Entry:
    start, stop = data_offsets
    numbers = (*shape, start, stop)
    if any(type(n) is not int or n < 0 for n in numbers):
        raise ValueError("sizes must be whole numbers")
    n_bytes = _SIZES[dtype]
    for length in shape:
        n_bytes *= length
    if n_bytes != stop - start:
        raise ValueError(f"an array of shape {shape} cannot have {stop - start} bytes")
    return _Entry(dtype, tuple(shape), start, stop)
