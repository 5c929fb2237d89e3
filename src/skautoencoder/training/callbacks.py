"""Callbacks that a user hands in."""

from __future__ import annotations

import copy
from typing import Any

from skorch.callbacks import Callback


def copy_callbacks(callbacks: Any) -> list[Any]:
    """Return copies of callbacks: skorch changes those it is given.

    Parameters
    ----------
    callbacks : list or None
        Skorch callbacks, instances or classes, or pairs of a name and one.

    Raises
    ------
    TypeError
        If something else is among them.
    """
    for item in callbacks or []:
        callback = item
        if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
            callback = item[1]
        is_class = isinstance(callback, type) and issubclass(callback, Callback)
        if not is_class and not isinstance(callback, Callback):
            raise TypeError(
                "callbacks must hold skorch callbacks or pairs of a name and a "
                f"callback, got {item!r}. Derive your class from "
                "skorch.callbacks.Callback."
            )
    return list(copy.deepcopy(callbacks) or [])
