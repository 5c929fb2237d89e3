"""Whether a network is thread-safe, and whether a batch may be divided into shards."""

from __future__ import annotations

from torch import nn

from skautoencoder.architectures._conv_layers import (
    Crop,
    Enlarge,
    EnlargedConv,
    ResidualBlock,
    SkipDecoder,
    SkipEncoder,
    StridedPixels,
)
from skautoencoder.architectures._curved_decoder import CurvedDecoder
from skautoencoder.architectures._layers import Reshaped, TiedDecoder, TopK
from skautoencoder.architectures._ordered import OrderedDecoder, OrderedEncoder
from skautoencoder.architectures._ragged import RaggedDecoder, RaggedEncoder
from skautoencoder.architectures._sequence_layers import FromSteps, Steps, ToSteps
from skautoencoder.architectures.hook_checks import (
    has_global_hooks,
    has_hooks,
    has_weight_hooks,
)

_CONVOLUTIONS: tuple[type[nn.Module], ...] = (
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
    EnlargedConv,
)
NORMALIZATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
# But for the dropout between their layers.
_RECURRENT = (nn.GRU, nn.LSTM)
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)

# Layers without state between calls and without random numbers. Exact types only, as a
# subclass may have either.
_STATELESS = {
    *_CONVOLUTIONS,
    nn.AdaptiveAvgPool2d,
    nn.AvgPool2d,
    nn.ELU,
    nn.Flatten,
    nn.GELU,
    nn.GroupNorm,
    nn.Hardswish,
    nn.Identity,
    nn.LayerNorm,
    nn.LeakyReLU,
    nn.Linear,
    nn.MaxPool2d,
    nn.ModuleList,
    nn.ParameterList,
    nn.PReLU,
    nn.PixelShuffle,
    nn.ReLU,
    nn.ReLU6,
    nn.SELU,
    nn.Sequential,
    nn.SiLU,
    nn.Sigmoid,
    nn.Softplus,
    nn.Tanh,
    nn.Unflatten,
    nn.Upsample,
    nn.ZeroPad2d,
    Crop,
    CurvedDecoder,
    Enlarge,
    FromSteps,
    OrderedDecoder,
    OrderedEncoder,
    RaggedDecoder,
    RaggedEncoder,
    Reshaped,
    ResidualBlock,
    SkipDecoder,
    SkipEncoder,
    Steps,
    StridedPixels,
    TiedDecoder,
    ToSteps,
    TopK,
}


# The same in evaluation mode.
_STATELESS_AFTERWARDS = {
    *_STATELESS,
    *NORMALIZATIONS,
    *_DROPOUTS,
    *_RECURRENT,
}


def is_thread_safe(*modules: nn.Module) -> bool:
    """Return whether several threads may call trained modules at the same time.

    Parameters
    ----------
    *modules : torch.nn.Module
        The modules, in evaluation mode.

    Returns
    -------
    shares : bool
        False if there is a layer of an unknown type, or a hook.
    """
    if has_global_hooks():
        return False
    layers = list(modules)
    for layer in layers:
        if type(layer) not in _STATELESS_AFTERWARDS or has_hooks(layer):
            return False
        # Quicker than module.modules(), for single rows.
        layers.extend(vars(layer)["_modules"].values())
    return True


def can_shard(*modules: nn.Module) -> bool:
    """Return whether a batch may be divided into shards while modules are trained.

    Parameters
    ----------
    *modules : torch.nn.Module
        The modules, in training mode.

    Returns
    -------
    splits : bool
        False if there is a layer of an unknown type, or a hook, which expects the
        whole batch.
    """
    layers = [layer for module in modules for layer in module.modules()]
    if not is_thread_safe(*modules) or not all(map(_keeps_nothing, layers)):
        return False
    return not any(
        has_weight_hooks(weight) for module in modules for weight in module.parameters()
    )


def _keeps_nothing(layer: nn.Module) -> bool:
    """Return whether shards of a batch do not interact through a layer in training."""
    if type(layer) in NORMALIZATIONS:
        # With momentum=None the average is cumulative: the number of calls matters.
        return bool(layer.track_running_stats) and layer.momentum is not None
    if type(layer) in _RECURRENT:
        return not layer.dropout
    return type(layer) in _STATELESS or type(layer) is nn.Dropout
