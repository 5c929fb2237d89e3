"""What is not ours goes through skops; our estimators in it are stored by us."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import numpy as np

from skautoencoder.architectures import ARCHITECTURES
from skautoencoder.objectives import PENALTIES
from skautoencoder.persistence import classes
from skautoencoder.persistence.frame_types import CannotBeStored
from skautoencoder.persistence.values import Decoder, Encoder
from skautoencoder.tensor_files import UnreadableFile, tensor_of

#: Names of our estimators for the parameter `trusted` of ``skops.io.load``, and of what
#: a search may hold. Objects of these classes are made from data alone.
SKOPS_TYPES = [
    *(
        f"{kind.__module__}.{kind.__name__}"
        for known in (classes.ESTIMATORS, ARCHITECTURES, PENALTIES)
        for kind in known.values()
    ),
    # By name, as their module imports scikit-learn's searches.
    "skautoencoder.model_selection.AutoencoderSearchCV",
    "skautoencoder.model_selection.smallest_within_one_standard_error",
]

_HARMLESS = {
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.metrics._scorer._CurveScorer",
    "sklearn.metrics._scorer._MultimetricScorer",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
}

# Our estimators within an object that skops takes apart or puts together.
_members: ContextVar[list[Any] | None] = ContextVar("members", default=None)


def place_of(estimator: Any) -> int | None:
    """Return the place of an estimator in the object that is being stored, if any."""
    members = _members.get()
    if members is None:
        return None
    for place, member in enumerate(members):
        if member is estimator:
            return place
    members.append(estimator)
    return len(members) - 1


def member_at(place: int) -> Any:
    """Return the estimator at a place in the object that is being loaded."""
    members = _members.get()
    if members is None:
        raise ValueError("An estimator refers to a file that it is no longer part of.")
    return members[place]


def encode(encoder: Encoder, made: Any) -> Any:
    """Return an object that is not ours as JSON, and store its arrays."""
    io_of = _skops_io()
    members: list[Any] = []
    with _with_members(members):
        try:
            content = io_of.dumps(made)
        except Exception as error:  # of any kind: objects are asked for their state
            raise CannotBeStored(f"its part for skops: {error}") from error
    for name in io_of.get_untrusted_types(data=content):
        if "<" in name:  # as in <lambda> and <locals>: skops would not find it again
            raise CannotBeStored(
                f"its part for skops: {name}, which cannot be found by its name (write "
                "it with def, in a module)"
            )
    return {
        "$": "skops",
        "of": encoder.add(tensor_of(content)),
        "members": [encoder.encode(member) for member in members],
    }


def decode(decoder: Decoder, node: Any) -> Any:
    """Return the object that :func:`encode` was given."""
    io_of = _skops_io()
    content = decoder.tensor(*node["of"]).numpy().tobytes()
    try:
        with ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
    except BadZipFile as error:
        raise UnreadableFile("The part for skops is no archive.") from error
    # skops itself would inflate whatever is there.
    is_plain = all(entry.compress_type == ZIP_STORED for entry in entries)
    if not is_plain or sum(entry.file_size for entry in entries) > len(content):
        raise UnreadableFile("The part for skops is compressed.")
    # Names with a dot are those of classes; others are of parameters.
    named = {name for name in decoder.own if "." in name}
    for name in named:
        given = decoder.own[name]
        if name != f"{given.__module__}.{given.__qualname__}":
            raise ValueError(f"custom_objects has {given!r} as {name!r}.")
    asked = set(io_of.get_untrusted_types(data=content))
    trusted = [*SKOPS_TYPES, *named, *(name for name in asked if _is_harmless(name))]
    unknown = sorted(asked - {*trusted})
    if unknown:
        wanted = ", ".join(f"{name!r}: ..." for name in unknown)
        raise UnreadableFile(
            "The file has objects of classes that neither skautoencoder nor skops "
            "trusts. If you do, pass the classes in custom_objects, by these names: "
            f"{{{wanted}}}."
        )
    members = [decoder.decode(member) for member in node["members"]]
    with _with_members(members):
        return io_of.loads(content, trusted=trusted)


def _is_harmless(name: str) -> bool:
    """Return whether a class of scikit-learn's or NumPy's is data alone.

    Searches hold splitters, metrics and scorers, ColumnTransformers selectors and kinds
    of numbers; skops does not trust them of its own accord.
    """
    from sklearn import metrics, model_selection

    if name in _HARMLESS:
        return True
    package, _, short = name.rpartition(".")
    if package == "numpy":
        made = getattr(np, short, None)
        return isinstance(made, type) and issubclass(made, np.generic)
    for module in (metrics, model_selection):
        made = getattr(module, short, None) if short in module.__all__ else None
        if made is not None and f"{made.__module__}.{made.__qualname__}" == name:
            is_splitter = isinstance(made, type) and hasattr(made, "get_n_splits")
            return module is metrics or is_splitter
    return False


@contextmanager
def _with_members(members: list[Any]) -> Iterator[None]:
    token = _members.set(members)
    try:
        yield
    finally:
        _members.reset(token)


def _skops_io() -> Any:
    try:
        import skops.io
    except ImportError as error:
        raise ImportError(
            "Objects that are not skautoencoder's own are saved and loaded with skops: "
            "pip install 'skautoencoder[save]'."
        ) from error
    return skops.io
