"""Warnings that point to the user's own line."""

from __future__ import annotations

import sys
import warnings
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
    frame, search = sys._getframe(), frame_of_search()
    while _is_between(frame):
        if frame.f_back is not None:
            frame = frame.f_back
        elif search is not None:  # this is the first call of its thread
            frame, search = search, None
        else:
            break
    warnings.warn_explicit(
        message,
        category,
        frame.f_code.co_filename,
        frame.f_lineno,
        frame.f_globals.get("__name__"),
        frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _is_between(frame: FrameType) -> bool:
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0] in _BETWEEN
