"""Callbacks: those that are known not to change a network, and copies of others."""

from __future__ import annotations

import copy
from typing import Any

from skorch.callbacks import (
    BatchScoring,
    Callback,
    EpochScoring,
    EpochTimer,
    GradientNormClipping,
    LRScheduler,
)

from skautoencoder.training.checkpoint import KeepsState
from skautoencoder.training.epoch_hooks import EpochHooks
from skautoencoder.training.progress import EpochTable, FitProgress
from skautoencoder.training.stopping import EarlyStopping

# Callbacks that neither change the network during an epoch nor keep its gradients.
KNOWN_CALLBACKS = {
    EarlyStopping,
    EpochHooks,
    EpochTable,
    EpochTimer,
    FitProgress,
    GradientNormClipping,
    KeepsState,
    LRScheduler,
}
# Those of them that use no random numbers.
DRAW_NOTHING = KNOWN_CALLBACKS - {EpochHooks, KeepsState}


def copy_callbacks(callbacks: Any) -> list[Any]:
    """Return copies of callbacks, because skorch changes those it receives.

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
        kind = callback if is_class else type(callback)
        if issubclass(kind, EpochScoring | BatchScoring):
            raise TypeError(
                f"callbacks cannot hold {kind.__name__}: it scores predictions of "
                "skorch's own loop. The losses are in history_; for other scores, "
                "call score after fit or in cross-validation."
            )
    return list(copy.deepcopy(callbacks) or [])
