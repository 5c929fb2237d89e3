"""Saving estimators to files, and loading them."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from skautoencoder.persistence import classes, skops
from skautoencoder.persistence.values import CannotBeStored, Decoder, Encoder
from skautoencoder.tensor_files import (
    DOCUMENT,
    TensorFile,
    UnreadableFile,
    replacing,
    tensor_of,
    write,
)

# Errors of files that have a valid checksum, but were not written by `save`.
_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
)


def save(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Save an estimator to a file that can hold no code.

    The file is a safetensors file: weights and other arrays, and a description of the
    rest as JSON. It is written beside its place and moved there when it is complete, so
    that there is never half a file.

    Parameters
    ----------
    estimator : estimator object
        An estimator of this package, fitted or not, or a Pipeline, a search or another
        object of scikit-learn, with or without such estimators in it. For the latter
        skops is needed (``pip install skautoencoder[save]``).
    path : str or path-like
        The file. It is replaced if it exists.

    Raises
    ------
    TypeError
        If the estimator holds something that a file cannot; says where.
    ImportError
        If skops is needed and not installed.

    See Also
    --------
    load : The inverse.

    Notes
    -----
    All that methods answer from is stored. What only training needs is not: callbacks
    and, after `fit`, the optimizer's averages. After `partial_fit` these are stored,
    since the next call goes on from them.

    Objects of your own in parameters (modules, noise, penalties, callbacks) are not
    stored but named, and given to :func:`load`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_digits
    >>> from skautoencoder import AutoencoderTransformer, load, save
    >>> X = load_digits().data[:200] / 16
    >>> autoencoder = AutoencoderTransformer(4, max_epochs=2, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(autoencoder, Path(folder, "digits.safetensors"))
    ...     loaded = load(Path(folder, "digits.safetensors"))
    >>> bool((loaded.transform(X) == autoencoder.transform(X)).all())
    True
    """
    encoder = _encoded(estimator)
    with replacing(Path(path)) as file:
        _write(file, encoder)


def load(
    path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None = None
) -> Any:
    """Load an estimator that :func:`save` saved.

    Nothing in the file is run, nothing is unpickled, and no object is made whose class
    is not in a list of this package's (or, for what is not ours, in that of skops).

    Parameters
    ----------
    path : str or path-like
        The file.
    custom_objects : dict, default=None
        Objects of your own that the estimator had been given, which a file cannot hold.
        Their names are those of the parameters they were given as (``"noise"``,
        ``"encoder"``, ``"callbacks"``, where None will do), or of their classes, for
        penalties, architectures and estimators that you derived. If one is missing the
        error says which.

    Returns
    -------
    estimator : estimator object
        The estimator; all of its methods answer as before, bit for bit on the same
        kind of processor. One that was fitted on a device that this machine does not
        have is on the CPU.

    Raises
    ------
    ValueError
        If the file is not what was saved: it is another kind of file, was cut or
        changed, or is of a later version; or if `custom_objects` lack one.
    ImportError
        If skops is needed and not installed.

    See Also
    --------
    save : The inverse.
    """
    with open(path, "rb") as file:
        try:
            return _read(file, dict(custom_objects or {}))
        except UnreadableFile as error:
            raise UnreadableFile(f"{os.fspath(path)}: {error}") from error.__cause__


def state_for_skops(estimator: Any) -> dict[str, Any]:
    """Return what `skops` stores of an estimator of ours."""
    place = skops.place_of(estimator)
    if place is not None:
        return {"member": place}
    file = io.BytesIO()
    _write(file, _encoded(estimator))
    return {"file": file.getvalue()}


def attributes_from_skops(state: dict[str, Any]) -> dict[str, Any]:
    """Return an estimator's attributes, given the result of `state_for_skops`."""
    if "file" in state:
        return vars(_read(io.BytesIO(state["file"]), {}))
    return vars(skops.member_at(state["member"]))


def _encoded(estimator: Any) -> Encoder:
    encoder = Encoder()
    try:
        if classes.is_estimator(estimator):
            content = encoder.encode(estimator)
        else:
            content = skops.encode(encoder, estimator)
    except CannotBeStored as error:
        raise CannotBeStored(
            f"{type(estimator).__name__} cannot be saved, as it holds what a file "
            f"cannot hold, at {error}. pickle and joblib may."
        ) from None
    document = {"needed": encoder.needed, "content": content}
    # Without ensure_ascii, names in other scripts take fewer bytes.
    raw = json.dumps(
        document, separators=(",", ":"), allow_nan=False, ensure_ascii=False
    ).encode("utf-8", "surrogatepass")
    encoder.tensors[DOCUMENT] = tensor_of(raw)
    return encoder


def _write(file: BinaryIO, encoder: Encoder) -> None:
    # Not imported, as the package itself stands above this module.
    version = getattr(sys.modules.get("skautoencoder"), "__version__", "unknown")
    write(file, encoder.tensors, version)


def _read(file: BinaryIO, own: dict[str, Any]) -> Any:
    tensors = TensorFile(file)
    try:
        raw = tensors.read_bytes(DOCUMENT)
        document = json.loads(raw.decode("utf-8", "surrogatepass"))
        missing = {k: v for k, v in document["needed"].items() if k not in own}
    except _ERRORS as error:
        raise _not_valid(error, tensors) from error
    if missing:
        wanted = ", ".join(f"{name!r}: {what}" for name, what in missing.items())
        raise UnreadableFile(
            "The estimator was given objects that a file cannot hold. Give them to "
            f"load in custom_objects, by these names: {{{wanted}}}. (For callbacks, "
            "None will do.)"
        )
    decoder = Decoder(tensors, own)
    try:
        if document["content"].get("$") == "skops":
            return skops.decode(decoder, document["content"])
        return decoder.decode(document["content"])
    except UnreadableFile:
        raise
    except _ERRORS as error:
        raise _not_valid(error, tensors) from error


def _not_valid(error: Exception, tensors: TensorFile) -> UnreadableFile:
    return UnreadableFile(
        "The file's content is not that of an estimator of this version of the package "
        f"({type(error).__name__}: {error}). It was written by version "
        f"{tensors.written_by}, or by something else."
    )
