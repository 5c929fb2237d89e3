"""What may go wrong with a net, and what to tell the user then."""

from __future__ import annotations

import inspect
import math
from contextlib import suppress
from typing import Any, Self

import torch
from skorch import NeuralNet
from skorch.callbacks import LRScheduler
from torch import Tensor

from skautoencoder.training.batches import RowBatches
from skautoencoder.training.shards import NORMALIZATIONS

# Those that a user may set.
_BATCH_PARAMETERS = sorted(
    {*inspect.signature(RowBatches).parameters} - {"dataset", "batch_size"}
)

# What torch says when there is no room for so many numbers, or no number for them.
_TOO_LARGE = ("allocate", "out of memory", "verflow")


class ChecksMixin(NeuralNet):
    """The part of a net that finds mistakes in parameters and in results."""

    lr_schedule: str
    history: Any

    def _require_finite(self, loss: float, name: str) -> None:
        if math.isfinite(loss):
            return
        epoch = self.history[-1]["epoch"]
        raise ValueError(
            f"Training diverged: {name} became {loss} in epoch {epoch}. Lower lr "
            f"(now {self.lr}), scale the data (StandardScaler, MinMaxScaler), or "
            "clip gradients with skorch's GradientNormClipping in callbacks."
        )

    def _require_finite_weights(self) -> None:
        weights = [weight.detach() for weight in self.module_.parameters()]
        # One of them that is not finite makes a sum that is not; a look at each takes
        # longer than a step.
        if math.isfinite(sum(weight.sum() for weight in weights)):
            return
        if all(weight.isfinite().all() for weight in weights):
            return
        # The last step can break what its own loss does not yet show.
        self._require_finite(math.nan, "a weight of the network")

    def initialize(self) -> Self:
        """Make the network and all that trains it."""
        try:
            return super().initialize()
        except (MemoryError, RuntimeError, TypeError) as error:
            if not any(word in str(error) for word in _TOO_LARGE):
                raise
            raise ValueError(self._too_large()) from error

    def _too_large(self) -> str:
        given = self.get_params_for("module")
        message = "The network is too large for the memory there is."
        # Where numbers are none, there is room for any network.
        with suppress(RuntimeError, TypeError, NotImplementedError):
            with torch.device("meta"):
                weights = list(self.module(**given).parameters())
            largest = max(weights, key=Tensor.numel)
            n_weights = sum(weight.numel() for weight in weights)
            message = (
                f"The network is too large for the memory there is: it would have "
                f"{n_weights:.3g} weights, {largest.numel():.3g} of them in a layer "
                f"of shape {tuple(largest.shape)}."
            )
        return (
            f"{message} Lower code_size (now {given.get('code_size')}) or the sizes of "
            "the architecture's layers."
        )

    def initialize_optimizer(self, triggered_directly: None = None) -> Self:
        """Make the optimizer."""
        try:
            return super().initialize_optimizer()
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(self._refused_by_optimizer(error)) from error

    def _refused_by_optimizer(self, error: Exception) -> str:
        """Return a message with the parameter that an optimizer does not take."""
        args, arguments = self.get_params_for_optimizer(
            "optimizer", list(self.get_all_learnable_params())
        )
        name = self.optimizer.__name__
        for parameter in self.get_params_for("optimizer"):
            others = {k: v for k, v in arguments.items() if k != parameter}
            # The one without which all is well.
            with suppress(TypeError, ValueError, RuntimeError):
                self.optimizer(*args, **others)
                return (
                    f"optimizer__{parameter}={arguments[parameter]!r} is not a value "
                    f"that {name} takes: {error}"
                )
        return f"{name} cannot be the optimizer of this network: {error}"

    def check_nested(self) -> None:
        """Raise if a nested parameter belongs to nothing."""
        # Not callbacks_: skorch leaves out those that are set to None.
        callbacks = [name for name, _ in self._uniquely_named_callbacks()]
        for name in self.get_params_for("callbacks"):
            callback = name.partition("__")[0]
            if callback not in callbacks:
                raise ValueError(
                    f"callbacks__{name} is for a callback called {callback!r}, but "
                    f"there are only {callbacks}."
                )
        for name in self.get_params_for("iterator_train"):
            if name == "batch_size":
                raise ValueError(
                    "iterator_train__batch_size is batch_size: the number of epochs "
                    "and much else follow from it. Set batch_size."
                )
            if name not in _BATCH_PARAMETERS:
                raise ValueError(
                    f"iterator_train__{name} is not a parameter of the batches. They "
                    f"have {', '.join(_BATCH_PARAMETERS)}."
                )

    def check_callbacks(self) -> None:
        """Raise if a callback would work against the learning-rate schedule."""
        schedulers = [cb for _, cb in self.callbacks_ if isinstance(cb, LRScheduler)]
        if schedulers and self.lr_schedule != "constant":
            raise ValueError(
                f"lr_schedule={self.lr_schedule!r} sets the learning rate, and so does "
                "an LRScheduler in callbacks. Set lr_schedule='constant' with it."
            )

    def check_monitors(self) -> None:
        """Raise if a callback watches a loss that nobody measures."""
        if self.validation_fraction is not None:
            return
        for name, callback in self.callbacks_:
            monitor = getattr(callback, "monitor", None)
            if isinstance(monitor, str) and monitor.startswith("valid_"):
                raise ValueError(
                    f"The callback {name!r} watches {monitor!r}, but no rows are kept "
                    "out of training to measure it on. Set early_stopping=True, which "
                    "keeps some and needs no callback (partial_fit keeps none), or "
                    f"let it watch {monitor.replace('valid', 'train')!r}."
                )

    def check_batch_size(self, n_rows: int) -> None:
        """Raise if there would be batches that cannot be normalised or compared."""
        check = getattr(self.criterion_, "check_batch_size", None)
        if check is not None:
            check(min(self.batch_size, n_rows))
        normalizes = any(isinstance(m, NORMALIZATIONS) for m in self.module_.modules())
        if normalizes and min(self.batch_size, n_rows) < 2:
            raise ValueError(
                f"With batch_size={self.batch_size} and {n_rows} rows to train on "
                "there are batches of one row, which batch normalisation cannot use. "
                "Set batch_size to 2 or more, batch_norm=False (sparsity='top_k' has "
                "a normalisation of its own), or leave more rows to train on "
                "(early_stopping keeps validation_fraction of them)."
            )
