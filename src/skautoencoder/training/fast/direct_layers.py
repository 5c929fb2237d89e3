"""Layers of trained networks, without torch's calls from a network to its functions.

For a single row, to find the function of each layer takes longer than most functions.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode, handle_torch_function

from skautoencoder.architectures._calls import called_by
from skautoencoder.architectures._conv_layers import (
    Crop,
    ResidualBlock,
    SkipDecoder,
    SkipEncoder,
    StridedPixels,
)

# The function of a layer in evaluation mode, and its arguments after the rows. None:
# the layer has settings that are not known here.
Function = tuple[Callable[..., Tensor], tuple[Any, ...]] | None


def _weights(layer: nn.Module) -> tuple[Tensor, Tensor | None]:
    """Return weight and bias, past the search of ``Module.__getattr__``."""
    weights = vars(layer)["_parameters"]
    return weights["weight"], weights["bias"]


def _linear(layer: nn.Linear) -> Function:
    return F.linear, _weights(layer)


def _conv(layer: nn.Conv2d) -> Function:
    if layer.padding_mode != "zeros":
        return None
    settings = layer.stride, layer.padding, layer.dilation, layer.groups
    return F.conv2d, (*_weights(layer), *settings)


def _conv_transpose(layer: nn.ConvTranspose2d) -> Function:
    shape = layer.stride, layer.padding, layer.output_padding
    settings = *shape, layer.groups, layer.dilation
    return F.conv_transpose2d, (*_weights(layer), *settings)


def _batch_norm(layer: nn.BatchNorm1d | nn.BatchNorm2d) -> Function:
    statistics = vars(layer)["_buffers"]
    mean, variance = statistics["running_mean"], statistics["running_var"]
    if mean is None:  # that of the batch is taken
        return None
    settings = False, 0.0, layer.eps, torch.backends.cudnn.enabled
    return torch.batch_norm, (*_weights(layer), mean, variance, *settings)


def _elu(layer: nn.ELU) -> Function:
    return F.elu, (layer.alpha, layer.inplace)


def _silu(layer: nn.SiLU) -> Function:
    return F.silu, (layer.inplace,)


_FUNCTIONS: dict[type[nn.Module], Callable[[Any], Function]] = {
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.Conv2d: _conv,
    nn.ConvTranspose2d: _conv_transpose,
    nn.ELU: _elu,
    nn.Linear: _linear,
    nn.SiLU: _silu,
}
# Layers without functions that BatchInvariant replaces, but for those of inner layers.
_PLAIN = {
    Crop,
    ResidualBlock,
    SkipDecoder,
    SkipEncoder,
    StridedPixels,
    nn.Dropout,
    nn.Flatten,
    nn.Identity,
    nn.MaxPool2d,
    nn.ReLU,
    nn.Tanh,
    nn.Unflatten,
}


def direct_layers(mode: TorchFunctionMode) -> AbstractContextManager[None]:
    """Return a context in which networks' parts are called directly.

    For networks in evaluation mode, of layers without hooks.

    Parameters
    ----------
    mode : TorchFunctionMode
        The innermost mode of the block, which is given the functions of layers.
    """

    def apply(part: nn.Module, rows: Tensor) -> Tensor:
        kind = type(part)
        if kind is nn.Sequential:
            layers: Any = part
            for layer in layers:
                rows = apply(layer, rows)
            return rows
        if kind in _PLAIN:
            return part.forward(rows)
        function_of = _FUNCTIONS.get(kind)
        found = None if function_of is None else function_of(part)
        if found is None:
            with mode, called_by(within_mode):
                return part(rows)
        function, args = found
        return mode.__torch_function__(function, (), (rows, *args))

    def without_mode(part: nn.Module, rows: Tensor) -> Tensor:
        with called_by(apply):
            return apply(part, rows)

    def within_mode(part: nn.Module, rows: Tensor) -> Tensor:
        # What a mode is given as a function, it calls without itself.
        return handle_torch_function(without_mode, (rows,), part, rows)

    return called_by(within_mode)
