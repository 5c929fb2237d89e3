"""Which networks shards of a batch can go through at the same time."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from skautoencoder.architectures import Conv, Conv1d, Custom, Dense, Recurrent
from skautoencoder.architectures._thread_safety import can_shard, is_thread_safe


def conv(**params: Any) -> nn.Module:
    code_size = None if params.get("skip_connections") else 2
    network = Conv((2, 3), **params).build(sample_shape=(1, 8, 8), code_size=code_size)
    assert isinstance(network, nn.Module)
    return network


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"batch_norm": False},
        {"downsampling": "max_pool", "upsampling": "nearest", "residual": True},
        {"upsampling": "nearest", "upsampling_kernel_size": 3},
        {"skip_connections": True},
        {"kernel_size": 4, "hidden_layer_sizes": (5,)},
        *({"activation": name} for name in ("relu", "gelu", "tanh", "elu")),
    ],
)
def test_convolutions_can(params: dict[str, Any]) -> None:
    assert conv(**params).can_shard()


@pytest.mark.parametrize("architecture", [Conv1d((2,)), Recurrent(), Recurrent("gru")])
def test_architectures_for_sequences_can(architecture: Any) -> None:
    assert architecture.build(sample_shape=(5, 2), code_size=2).can_shard()


def test_modules_of_torch_between_flat_rows_can() -> None:
    encoder = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AvgPool2d(2), nn.Dropout2d(0.0))
    decoder = nn.Sequential(nn.Flatten(), nn.Linear(18, 64))
    can = Custom(encoder[:2], decoder).build(sample_shape=(1, 8, 8), code_size=None)
    assert can.can_shard()
    # Whose random numbers would be whose?
    cannot = Custom(encoder, decoder).build(sample_shape=(1, 8, 8), code_size=None)
    assert not cannot.can_shard()


@pytest.mark.parametrize(
    "params", [{"batch_norm": True, "dropout": 0.2}, {"tied_weights": True}]
)
def test_dense_layers_can(params: dict[str, Any]) -> None:
    network = Dense((8,), **params).build(sample_shape=(6,), code_size=2)
    assert network.can_shard()
    assert network.is_thread_safe()


def test_top_k_can() -> None:
    assert Dense((8,)).build((6,), 4, top_k=True).can_shard()


class OwnConv(nn.Conv2d):
    """May do anything."""


class OwnNorm(nn.BatchNorm2d):
    """May do anything."""


@pytest.mark.parametrize(
    "layer",
    [
        OwnConv(1, 1, 3),
        OwnNorm(1),
        nn.Dropout2d(0.1),
        nn.RReLU(),
        nn.InstanceNorm2d(1, track_running_stats=True),
        nn.GRU(1, 1, 2, dropout=0.1),
        nn.BatchNorm2d(1, momentum=None),
        nn.BatchNorm2d(1, track_running_stats=False),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_what_may_keep_or_draw_something_cannot(layer: nn.Module) -> None:
    assert can_shard(nn.Conv2d(1, 1, 3))
    assert not can_shard(nn.Conv2d(1, 1, 3), layer)


@pytest.mark.parametrize(
    ("layer", "shares"),
    [
        (nn.Dropout(0.1), True),
        (nn.BatchNorm2d(1, momentum=None), True),
        (OwnConv(1, 1, 3), False),
        (nn.LSTM(1, 1, 2, dropout=0.1), True),
        (nn.LSTMCell(1, 1), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_which_layers_several_threads_may_ask(layer: nn.Module, shares: bool) -> None:
    assert is_thread_safe(nn.Conv2d(1, 1, 3), layer) is shares


def test_not_past_hooks() -> None:
    def hook(*args: Any) -> None: ...

    network = conv()
    for handle in (
        network.encoder[1].register_forward_hook(hook),
        network.decoder.register_full_backward_hook(hook),
        network.encoder[1].weight.register_hook(hook),
        nn.modules.module.register_module_forward_hook(hook),
    ):
        assert not network.can_shard()
        handle.remove()
    assert network.can_shard()
    handle = network.decoder[0].register_forward_pre_hook(hook)
    assert not network.is_thread_safe()


def test_not_past_another_forward() -> None:
    network = conv()

    def encode(rows: Tensor) -> Tensor:
        return torch.zeros(len(rows), 2)

    network.encode = encode
    assert not network.can_shard()
    network = conv()
    network.encoder[1].forward = encode
    assert not network.can_shard()
