"""Checks of a net before and during training, and the errors that they raise."""

from __future__ import annotations

import inspect
import math
from contextlib import suppress
from itertools import zip_longest

import torch
from skorch import NeuralNet
from skorch.callbacks import LRScheduler
from torch import Tensor, nn

from skautoencoder.architectures._thread_safety import NORMALIZATIONS
from skautoencoder.training.batches import RowBatches, Rows, n_training_rows
from skautoencoder.training.devices import evaluating

# Parameters of batches that a user may set.
_BATCH_PARAMETERS = sorted(
    {*inspect.signature(RowBatches).parameters} - {"dataset", "batch_size"}
)

# Parts of torch's messages when memory is exhausted or a size overflows an integer.
_TOO_LARGE = ("allocate", "out of memory", "verflow")


def check_net(net: NeuralNet, data: Rows, valid: Rows | None = None) -> None:
    """Raise if parameters of a net contradict each other or do not suit its rows.

    Parameters
    ----------
    net : AutoencoderNet
        The initialised net.
    data : Rows
        The rows that it is to be trained on.
    valid : Rows, default=None
        Rows of the user's own to measure the loss on.
    """
    _check_nested(net)
    schedulers = [cb for _, cb in net.callbacks_ if isinstance(cb, LRScheduler)]
    if schedulers and net.lr_schedule != "constant":
        raise ValueError(
            f"lr_schedule={net.lr_schedule!r} sets the learning rate, and so does "
            "an LRScheduler in callbacks. Set lr_schedule='constant' with it."
        )
    if net.validation_fraction is None and valid is None:
        _check_monitors(net)
    n_rows = n_training_rows(len(data), net.validation_fraction)
    smallest_batch = min(net.batch_size, n_rows)
    if hasattr(net.criterion_, "check_batch_size"):
        net.criterion_.check_batch_size(smallest_batch)
    normalizes = any(isinstance(m, NORMALIZATIONS) for m in net.module_.modules())
    if normalizes and smallest_batch < 2:
        raise ValueError(
            f"With batch_size={net.batch_size} and {n_rows} rows to train on "
            "there are batches of one row, which batch normalisation cannot use. "
            "Set batch_size to 2 or more, batch_norm=False (sparsity='top_k' has "
            "a normalisation of its own), or leave more rows to train on "
            "(early_stopping keeps validation_fraction of them)."
        )
    if hasattr(net.criterion_, "check"):
        with evaluating(net.module_):
            net.criterion_.check(net.module_, data.rows[:64].to(net.device))


def _check_nested(net: NeuralNet) -> None:
    """Raise if a nested parameter is for a callback or setting that does not exist."""
    # Not callbacks_: skorch leaves out callbacks that are set to None.
    callbacks = [name for name, _ in net._uniquely_named_callbacks()]
    for name in net.get_params_for("callbacks"):
        callback = name.partition("__")[0]
        if callback not in callbacks:
            raise ValueError(
                f"callbacks__{name} is for a callback called {callback!r}, but "
                f"there are only {callbacks}."
            )
    for name in net.get_params_for("iterator_train"):
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


def _check_monitors(net: NeuralNet) -> None:
    """Raise if a callback monitors a loss that is not computed."""
    for name, callback in net.callbacks_:
        monitor = getattr(callback, "monitor", None)
        if isinstance(monitor, str) and monitor.startswith("valid_"):
            raise ValueError(
                f"The callback {name!r} watches {monitor!r}, but no rows are kept "
                "out of training to measure it on. Set early_stopping=True, which "
                "keeps some and needs no callback (partial_fit keeps none), give "
                "samples of your own to fit, as X_valid, or "
                f"let it watch {monitor.replace('valid', 'train')!r}."
            )


def require_finite(net: NeuralNet, loss: float, name: str) -> None:
    """Raise if a loss is not a finite number."""
    if math.isfinite(loss):
        return
    epoch = net.history[-1]["epoch"]
    raise ValueError(
        f"Training diverged: {name} became {loss} in epoch {epoch}. Lower lr "
        f"(now {net.lr}), scale the data (StandardScaler, MinMaxScaler), or "
        "clip gradients with skorch's GradientNormClipping in callbacks."
    )


def require_finite_weights(net: NeuralNet) -> None:
    """Raise if a weight is not a finite number.

    The loss of the last step was computed before its update, which may overflow.
    """
    weights = [weight.detach() for weight in net.module_.parameters()]
    # A sum is not finite if one of its terms is not. Checking each weight takes longer
    # than a step.
    if math.isfinite(sum(weight.sum() for weight in weights)):
        return
    if not all(weight.isfinite().all() for weight in weights):
        require_finite(net, math.nan, "a weight of the network")


def is_memory_error(error: Exception) -> bool:
    """Return whether an error means that a network does not fit into memory."""
    return any(word in str(error) for word in _TOO_LARGE)


def network_too_large(net: NeuralNet) -> ValueError:
    """Return the error for a network that does not fit into memory."""
    given = net.get_params_for("module")
    message = "The network is too large for the memory there is."
    # Tensors on the meta device have no data, so a network of any size fits.
    with suppress(RuntimeError, TypeError, NotImplementedError):
        with torch.device("meta"):
            weights = list(net.module(**given).parameters())
        largest = max(weights, key=Tensor.numel)
        n_weights = sum(weight.numel() for weight in weights)
        message = (
            f"The network is too large for the memory there is: it would have "
            f"{n_weights:.3g} weights, {largest.numel():.3g} of them in a layer "
            f"of shape {tuple(largest.shape)}."
        )
    return ValueError(
        f"{message} Lower code_size (now {given.get('code_size')}) or the sizes of "
        "the architecture's layers."
    )


def refused_by_optimizer(net: NeuralNet, error: Exception) -> ValueError:
    """Return an error with the parameter that an optimizer does not take."""
    args, arguments = net.get_params_for_optimizer(
        "optimizer", list(net.get_all_learnable_params())
    )
    name = net.optimizer.__name__
    for parameter in net.get_params_for("optimizer"):
        others = {k: v for k, v in arguments.items() if k != parameter}
        # The argument without which the optimizer can be made is the wrong one.
        with suppress(TypeError, ValueError, RuntimeError):
            net.optimizer(*args, **others)
            return ValueError(
                f"optimizer__{parameter}={arguments[parameter]!r} is not a value "
                f"that {name} takes: {error}"
            )
    return ValueError(f"{name} cannot be the optimizer of this network: {error}")


def require_same_layers(network: nn.Module, before: nn.Module) -> None:
    """Raise if a network is not that of the fit before, whose weights it takes over."""
    # The shapes of another network's weights may agree by chance: compare layers.
    if repr(network) != repr(before):
        pairs = zip_longest(repr(before).splitlines(), repr(network).splitlines())
        old, new = next((b, n) for b, n in pairs if b != n)
        raise ValueError(
            "warm_start=True continues with the network of the fit before, but "
            "the parameters now describe another one. Set warm_start=False or "
            f"put them back. First difference: {old}, now {new}."
        )
