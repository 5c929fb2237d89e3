"""Warnings that point to the user's own line."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from types import FrameType

from skautoencoder.training import frame_of_search

# Packages whose lines tell the user nothing, by their names at the top.
_BETWEEN = [
    "contextlib",
    "functools",
    "imblearn",
    "joblib",
    "skautoencoder",
    "sklearn",
    "skorch",
    "threading",
]


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn, and name the line outside of this package that led to it.

    How many calls lie between differs: a fit may be a step of a Pipeline in a search.

    Parameters
    ----------
    message : str
        The message.
    category : type of Warning, default=UserWarning
        Its kind.
    """
    frames = _callers()
    frame = next(frames)
    while _is_between(frame) and (caller := next(frames, None)):
        frame = caller
    warnings.warn_explicit(
        message,
        category,
        frame.f_code.co_filename,
        frame.f_lineno,
        frame.f_globals.get("__name__"),
        frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _callers() -> Iterator[FrameType]:
    """Yield what led to this call, and then what led to the search that makes it."""
    for last in (sys._getframe(), frame_of_search()):
        frame = last
        while frame is not None:
            yield frame
            frame = frame.f_back


def _is_between(frame: FrameType) -> bool:
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0] in _BETWEEN
