"""Ending a fit early, with the best weights."""

from __future__ import annotations

from typing import Any

import torch
from skorch.callbacks import Callback
from torch import Tensor


class StopTraining(Exception):
    """A signal, not an error: ends a fit after the current epoch.

    skorch's own early stopping raises KeyboardInterrupt, which its ``partial_fit``
    cannot tell from the user's Ctrl-C.
    """


class EarlyStopping(Callback):
    """Ends training when the validation loss no longer falls.

    The weights of the best epoch are restored at the end.

    Parameters
    ----------
    patience : int, default=10
        Epochs without improvement after which training ends.
    threshold : float, default=1e-4
        Share of the best loss by which a new loss must be lower to count.
    """

    def __init__(self, patience: int = 10, threshold: float = 1e-4) -> None:
        self.patience = patience
        self.threshold = threshold

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Reset the state of earlier fits."""
        self.best_loss_ = float("inf")
        self.n_waited_ = 0
        self.best_weights_: dict[str, Tensor] | None = None
        # The lowest loss decides which weights are kept, even if it is not lower by
        # `threshold`.
        self.lowest_loss_ = float("inf")

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Keep the weights if they are the best so far, or stop."""
        loss = net.history[-1].get("valid_loss")
        if loss is None:  # partial_fit keeps no rows back
            return
        if loss < self.lowest_loss_:
            self.lowest_loss_ = loss
            self.best_weights_ = {
                name: value.detach().clone()
                for name, value in net.module_.state_dict().items()
            }
        required = self.threshold * abs(self.best_loss_)
        if self.best_loss_ == float("inf") or self.best_loss_ - loss > required:
            self.best_loss_ = loss
            self.n_waited_ = 0
            return
        self.n_waited_ += 1
        if self.n_waited_ >= self.patience:
            raise StopTraining

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Restore the best weights."""
        if self.best_weights_ is not None:
            with torch.no_grad():
                net.module_.load_state_dict(self.best_weights_)
        # They would double the size of a pickled estimator.
        self.best_weights_ = None
