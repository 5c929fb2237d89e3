"""Functions that are called at the begin and at the end of each epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skorch.callbacks import Callback

from skautoencoder.training.stopping import StopTraining


class EpochHooks(Callback):
    """Calls functions at the begin and at the end of each epoch.

    Parameters
    ----------
    begin : callable
        Called without arguments before each epoch.
    end : callable
        Called without arguments after each epoch. Training ends if it returns True.
    """

    def __init__(self, begin: Callable[[], Any], end: Callable[[], bool]) -> None:
        self.begin = begin
        self.end = end

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Call `begin`."""
        self.begin()

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Call `end`; stop training if it says so."""
        if self.end():
            raise StopTraining
