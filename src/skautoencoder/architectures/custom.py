"""Encoders and decoders of the user's own."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import torch
from sklearn.utils._param_validation import StrOptions
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from skautoencoder.architectures._architecture import Architecture
from skautoencoder.architectures._layers import Reshaped


class Custom(Architecture):
    """An encoder and a decoder that you bring yourself.

    Parameters
    ----------
    encoder : torch.nn.Module or callable
        Maps samples of shape (n_samples, ...) to codes. A callable
        that returns such a module (a class, a ``functools.partial``) is called
        anew at each fit; where its signature has parameters called `code_size`
        or `sample_shape`, it is given them. A module is copied at each fit, so
        that every fit starts from the weights that it has.
    decoder : torch.nn.Module or callable
        Maps codes to samples of shape (n_samples, ...).
    output_activation : {"identity", "sigmoid"}, default="identity"
        What is applied to the decoder's output. With "identity" the decoder's
        output is the reconstruction.

    See Also
    --------
    Dense : Fully connected layers.
    Conv : Convolutions.

    Notes
    -----
    The modules see the data as they are, neither centred nor scaled.

    For :class:`~skautoencoder.VAESampler` a code is a distribution, and the encoder
    answers with its means and then its log-variances: it is given, and returns, twice
    the `code_size` of the estimator, while the decoder is given codes of `code_size`.

    Modules, unlike callables, have the size of their code built in: `code_size` does
    not reach them, and searching over it changes nothing.

    A code may have any shape: outside it is a row of ``code_size_`` numbers, and
    the decoder is given the shape that the encoder returned.

    Modules are given samples, and keep their weights, in torch's default memory layout,
    not with channels last, in which strided 1×1 convolutions of fewer than 8 channels
    are not safe in torch: a layer ``nn.Conv2d`` of that kind is given its input in the
    default layout whatever the layers before it do. Where a module calls
    ``torch.nn.functional.conv2d`` itself, that is up to it.

    Only callables draw their weights from `random_state`; give callables where
    fits with different seeds should start differently.

    Examples
    --------
    >>> from torch import nn
    >>> from sklearn.datasets import load_digits
    >>> from skautoencoder import AutoencoderTransformer
    >>> from skautoencoder.architectures import Custom
    >>> X = load_digits().data / 16
    >>> architecture = Custom(
    ...     encoder=lambda code_size: nn.Linear(64, code_size),
    ...     decoder=lambda code_size: nn.Linear(code_size, 64),
    ... )
    >>> autoencoder = AutoencoderTransformer(
    ...     code_size=8, architecture=architecture, max_epochs=5, random_state=0
    ... )
    >>> autoencoder.fit_transform(X).shape
    (1797, 8)
    """

    _parameter_constraints = {
        "encoder": [nn.Module, callable],
        "decoder": [nn.Module, callable],
        "output_activation": [StrOptions({"identity", "sigmoid"})],
    }

    standardizes = False

    def __init__(
        self,
        encoder: nn.Module | Callable[..., nn.Module],
        decoder: nn.Module | Callable[..., nn.Module],
        *,
        output_activation: str = "identity",
    ) -> None:
        self.encoder = encoder
        self.decoder = decoder
        self.output_activation = output_activation

    def _build_encoder_decoder(
        self, sample_shape: tuple[int, ...], code_size: int | None, code_activation: str
    ) -> tuple[nn.Module, nn.Module]:
        known = {"code_size": code_size, "sample_shape": sample_shape}
        given_encoder, given_decoder = self._copies()
        encoder = _make_module(given_encoder, "encoder", known)
        code_shape = _code_shape(encoder, sample_shape)
        decoder = _make_module(given_decoder, "decoder", known)
        return _between_flat_rows(encoder, decoder, sample_shape, code_shape)

    def _build_variational(
        self, sample_shape: tuple[int, ...], code_size: int, n_classes: int
    ) -> tuple[nn.Module, nn.Module]:
        known = {"code_size": 2 * code_size, "sample_shape": sample_shape}
        given_encoder, given_decoder = self._copies()
        encoder = _make_module(given_encoder, "encoder", known)
        n_first, *others = _code_shape(encoder, sample_shape)
        if n_first % 2 or (others and n_classes):
            raise ValueError(
                "The encoder of Custom has to return two numbers for each unit of the "
                "code here, its mean and its log-variance, along the first axis after "
                "the samples' (and no other axis where classes are learnt too): "
                f"{2 * code_size} numbers for code_size={code_size}. It returned codes "
                f"of shape {(n_first, *others)}."
            )
        code_shape = (n_first // 2 + n_classes, *others)
        known["code_size"] = code_size + n_classes
        decoder = _make_module(given_decoder, "decoder", known)
        try:
            return _between_flat_rows(encoder, decoder, sample_shape, code_shape)
        except ValueError as error:
            raise ValueError(
                f"{error} (The encoder returned {n_first} numbers, which here are the "
                f"means and the log-variances of a code of {n_first // 2}. For codes "
                f"of code_size={code_size} let it return {2 * code_size}.)"
            ) from error

    def _copies(self) -> tuple[Any, Any]:
        """Return copies of encoder and decoder; shared weights stay shared."""
        copies: dict[int, Any] = {}
        encoder, decoder = (
            copy.deepcopy(given, copies) if isinstance(given, nn.Module) else given
            for given in (self.encoder, self.decoder)
        )
        return encoder, decoder

    def __sklearn_clone__(self) -> Custom:
        # clone() would copy each on its own, and so duplicate shared weights.
        encoder, decoder = self._copies()
        others = self.get_params(deep=False)
        return type(self)(**{**others, "encoder": encoder, "decoder": decoder})

    def _start_code_at(self, activity: float, encoder: nn.Module) -> None:
        """Leave the user's weights alone."""


def _between_flat_rows(
    encoder: nn.Module,
    decoder: nn.Module,
    sample_shape: tuple[int, ...],
    code_shape: tuple[int, ...],
) -> tuple[nn.Module, nn.Module]:
    """Return encoder and decoder as modules between flat rows and flat codes."""
    output_shape = _output_shape(decoder, code_shape, sample_shape)
    return (
        _for_flat_rows(encoder, sample_shape, code_shape),
        _for_flat_rows(decoder, code_shape, output_shape),
    )


def _for_flat_rows(
    module: nn.Module, shape: tuple[int, ...], output_shape: tuple[int, ...]
) -> nn.Module:
    """Return a module from flat rows to flat rows, which may be the given one.

    Weights with channels last are converted to torch's default layout, and so are the
    images that a module may give to strided 1×1 convolutions of few channels: with
    channels last, the gradient of these crashes on processors without AVX-512, see
    :func:`_conv_layers.conv`.
    """
    for weight in module.parameters():
        if not is_lazy(weight):
            weight.data = weight.data.clone(memory_format=torch.contiguous_format)
    for layer in module.modules():
        # A hook, as layers keep their class and their names. Other layers get none: it
        # stands in the way of shards and of fits in threads.
        if isinstance(layer, nn.Conv2d) and _may_crash(layer):
            layer.register_forward_pre_hook(_in_default_layout)
    is_flat = len(shape) == len(output_shape) == 1
    return module if is_flat else Reshaped(module, shape)


def _may_crash(layer: nn.Conv2d) -> bool:
    is_strided = max(layer.stride) > 1
    return is_strided and layer.kernel_size == (1, 1) and layer.in_channels < 8


def _in_default_layout(layer: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
    # contiguous() would leave the stride of a single channel, which tells the layout.
    return tuple(x.clone(memory_format=torch.contiguous_format) for x in inputs)


def _make_module(
    module: nn.Module | Callable[..., nn.Module], name: str, known: dict[str, Any]
) -> nn.Module:
    if isinstance(module, nn.Module):
        return module
    wanted: Mapping[str, Any] = {}
    with suppress(ValueError):  # some callables written in C have no signature
        wanted = inspect.signature(module).parameters
    if "code_size" in wanted and known["code_size"] is None:
        raise ValueError(
            f"The {name} of Custom asks for code_size, which is None. Give the number "
            "of values in the code, such as code_size=10."
        )
    try:
        made = module(**{key: value for key, value in known.items() if key in wanted})
    except TypeError as error:
        raise TypeError(
            f"The {name} of Custom could not be made: {error}. Give a module, or a "
            "function of code_size, sample_shape, both or none that returns one."
        ) from error
    if not isinstance(made, nn.Module):
        raise TypeError(
            f"The {name} of Custom must be a torch.nn.Module or a callable that "
            f"returns one, got a callable that returned {type(made).__name__}."
        )
    return made


def _probe(module: nn.Module, shape: tuple[int, ...], name: str) -> Tensor:
    """Return the module's output for two samples; its state stays unchanged."""
    probe = copy.deepcopy(module).eval()
    with torch.no_grad():
        try:
            outputs = probe(torch.zeros(2, *shape))
        except Exception as error:  # whatever a module of the user's own raises
            raise ValueError(
                f"The {name} of Custom does not accept inputs of shape "
                f"(n_samples, {', '.join(map(str, shape))}): {error}"
            ) from error
    if not isinstance(outputs, Tensor) or outputs.ndim < 2 or len(outputs) != 2:
        got = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs)
        raise ValueError(
            f"The {name} of Custom must return a tensor with one row for each "
            f"sample; given 2 samples of shape {shape}, it returned {got}."
        )
    return outputs


def _code_shape(encoder: nn.Module, sample_shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(_probe(encoder, sample_shape, "encoder").shape[1:])


def _output_shape(
    decoder: nn.Module, code_shape: tuple[int, ...], sample_shape: tuple[int, ...]
) -> tuple[int, ...]:
    outputs = _probe(decoder, code_shape, "decoder")
    if outputs[0].numel() != math.prod(sample_shape):
        raise ValueError(
            "The decoder of Custom returns samples of the wrong shape: "
            f"{tuple(outputs.shape[1:])} where the data have {sample_shape}. Let "
            "its last layer return what the encoder was given."
        )
    return tuple(outputs.shape[1:])
