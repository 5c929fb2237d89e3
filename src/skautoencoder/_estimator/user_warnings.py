"""Warnings that point to the user's own line."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

# Packages whose lines tell the user nothing, by their names at the top.
_BETWEEN = [
    "contextlib",
    "functools",
    "imblearn",
    "joblib",
    "skautoencoder",
    "sklearn",
    "skorch",
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
    level = 1
    frame: FrameType | None = sys._getframe()
    while frame is not None and _is_between(frame):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_between(frame: FrameType) -> bool:
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0] in _BETWEEN
