"""Which networks the parts of a batch can go through at the same time."""

from __future__ import annotations

from torch import nn

from skautoencoder.architectures._conv_layers import (
    Crop,
    Enlarge,
    EnlargedConv,
    ResidualBlock,
    SkipDecoder,
    SkipEncoder,
)
from skautoencoder.architectures._layers import Reshaped, TopK
from skautoencoder.architectures._listening import (
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
_NORMALIZATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

# They keep nothing between calls and draw no random numbers. A subclass may: only
# these very types.
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
    Enlarge,
    Reshaped,
    ResidualBlock,
    SkipDecoder,
    SkipEncoder,
    TopK,
}


def can_split(*modules: nn.Module) -> bool:
    """Return whether parts of a batch may go through modules at the same time.

    Worth it for convolutions alone: where a batch is short beside the weights, as in
    dense layers, adding up the gradients of its parts takes too long.

    Parameters
    ----------
    *modules : torch.nn.Module
        The modules.

    Returns
    -------
    splits : bool
        False if there is no convolution, a layer that is not known here, or somebody
        who listens to what a layer does and expects to be told of whole batches.
    """
    layers = [layer for module in modules for layer in module.modules()]
    if not any(isinstance(layer, _CONVOLUTIONS) for layer in layers):
        return False
    if has_global_hooks() or not all(_is_known(layer) for layer in layers):
        return False
    return not any(
        has_weight_hooks(weight) for module in modules for weight in module.parameters()
    )


def _is_known(layer: nn.Module) -> bool:
    if has_hooks(layer):
        return False
    if type(layer) in _NORMALIZATIONS:
        # Without a momentum, each call would weigh less than the one before.
        return bool(layer.track_running_stats) and layer.momentum is not None
    return type(layer) in _STATELESS
