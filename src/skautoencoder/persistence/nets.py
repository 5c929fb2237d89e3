"""The trained net: what it was made with, its weights, and its optimizer's state."""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from skautoencoder.architectures import Custom
from skautoencoder.persistence import classes
from skautoencoder.tensor_files import UnreadableFile
from skautoencoder.training import (
    AutoencoderNet,
    EarlyStopping,
    copy_callbacks,
    isolated_randomness,
    one_thread,
    resolve_device,
)

if TYPE_CHECKING:
    from skautoencoder.persistence.values import Decoder, Encoder

Json = Any

# Arguments of the net; besides these, what it passes on to its parts.
_PARAMETERS = (
    "batch_size",
    "compute_dtype",
    "criterion",
    "device",
    "label",
    "lr",
    "lr_schedule",
    "max_epochs",
    "module",
    "optimizer",
    "seed",
    "step_work",
    "validation_fraction",
    "verbose",
)
_PARTS = ("callbacks__", "criterion__", "iterator_train__", "module__", "optimizer__")


def encode_net(encoder: Encoder, net: AutoencoderNet) -> Json:
    """Return a net as JSON, and store its arrays.

    The optimizer's state is there after `partial_fit`, whose next call goes on from it.
    Callbacks are not stored: they have done their work.
    """
    params = {
        name: value
        for name, value in vars(net).items()
        if name in _PARAMETERS or name.startswith(_PARTS)
    }
    weights = net.module_.state_dict()
    state = net.optimizer_.state_dict() if net.optimizer_.state else None
    stopping = [c for _, c in net.callbacks_ if type(c) is EarlyStopping]
    return {
        "$": "net",
        "params": encoder.encode_fields(params, True),
        "weights": {name: encoder.add(weight) for name, weight in weights.items()},
        "layers": _layers(net.module_),
        "optimizer": encoder.encode(state),
        "history": encoder.encode(net.history),
        "n_shards": net.n_shards_,
        "stopping": encoder.encode(stopping),
    }


def decode_net(
    decoder: Decoder,
    params: Json,
    weights: Json,
    layers: Json,
    optimizer: Json,
    history: Json,
    n_shards: int,
    stopping: Json,
) -> AutoencoderNet:
    """Return a net with the weights in the file, on a device that is there."""
    given = decoder.decode_fields(params)
    if not all(name in _PARAMETERS or name.startswith(_PARTS) for name in given):
        raise UnreadableFile(f"A net has no parameters {sorted(given)}.")
    callbacks = copy_callbacks(decoder.own.get("callbacks"))
    if not callbacks:
        given = {k: v for k, v in given.items() if not k.startswith("callbacks__")}
    for callback in decoder.decode(stopping):
        callbacks.append(("early_stopping", callback))
    given["device"] = str(_device_like(given["device"]))
    make = given.pop("module")
    arguments = {
        name.removeprefix("module__"): value
        for name, value in given.items()
        if name.startswith("module__")
    }
    module = _module(decoder, lambda: make(**arguments), arguments, weights, layers)
    net = AutoencoderNet(lambda **_: module, callbacks=callbacks, **given)
    net.initialize()
    net.module = make
    net.module_.eval()
    net.criterion_.eval()
    if optimizer is not None:
        net.optimizer_.load_state_dict(decoder.decode(optimizer))
    net.history = decoder.decode(history)
    net.n_shards_ = n_shards
    return net


def _module(
    decoder: Decoder,
    make: Callable[[], nn.Module],
    arguments: dict[str, Any],
    weights: dict[str, Json],
    layers: Json,
) -> nn.Module:
    """Return a network with the weights in the file.

    Ours is made without memory for weights first, so that a file cannot ask for more
    than it has.
    """
    architecture = arguments["architecture"]
    is_ours = type(architecture) is not Custom and (
        classes.name_of(type(architecture)) is not None
    )
    with one_thread(), isolated_randomness(0, torch.device("cpu")):
        if is_ours:
            with torch.device("meta"), _WithoutDraws():
                module = make()
        else:
            module = make()
    found = _layers(module)
    if found != layers:
        pairs = zip_longest(layers, found)
        before, now = next((b, n) for b, n in pairs if b != n)
        raise UnreadableFile(
            "The network that was saved is not the one that its description makes: "
            f"first difference {before}, now {now}."
            + ("" if is_ours else " Are custom_objects those that it was made with?")
        )
    wanted = module.state_dict()
    if wanted.keys() != weights.keys():
        names = ", ".join(sorted(wanted.keys() ^ weights.keys())[:5])
        raise UnreadableFile(
            f"The network's weights and those in the file differ: {names}."
        )
    state = {}
    for name, weight in wanted.items():
        like = decoder.shape_of(*weights[name])
        if like != (tuple(weight.shape), weight.dtype):
            raise UnreadableFile(
                f"The network's {name} is of shape {tuple(weight.shape)} and type "
                f"{weight.dtype}, but in the file of {like[0]} and {like[1]}."
            )
        state[name] = decoder.tensor(*weights[name])
        # With the axes in the order in memory that the network's weights have.
        if state[name].stride() != weight.stride():
            state[name] = torch.empty_strided(
                weight.shape, weight.stride(), dtype=weight.dtype, device="cpu"
            ).copy_(state[name])
    module.load_state_dict(state, assign=True)
    tensors = [*module.parameters(), *module.buffers()]
    assert not any(tensor.is_meta for tensor in tensors)
    return module


class _WithoutDraws(TorchFunctionMode):
    """Leaves out the drawing of weights that have no memory.

    torch would import its compiler for it, which takes two seconds.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Return a tensor that is to be drawn as it is; call other functions."""
        if func in (Tensor.normal_, Tensor.uniform_) and args[0].is_meta:
            return args[0]
        return func(*args, **(kwargs or {}))


def _layers(module: nn.Module) -> list[str]:
    """Return the classes of all layers, in their order."""
    return [type(layer).__name__ for layer in module.modules()]


def _device_like(device: str) -> torch.device:
    """Return the device of a fit if this machine has it, or else the CPU."""
    try:
        return resolve_device(device)
    except ValueError:
        return torch.device("cpu")
