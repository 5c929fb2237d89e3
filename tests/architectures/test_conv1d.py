from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fits import waves
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.decomposition import PCA
from torch import nn
from torch.nn import functional as F

from skautoencoder import AutoencoderTransformer
from skautoencoder.architectures import Conv1d


@settings(deadline=None, max_examples=25, derandomize=True)
@given(
    n_steps=st.integers(1, 13),
    n_channels=st.integers(1, 3),
    channels=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    kernel_size=st.sampled_from([3, 5, 7]),
    hidden=st.lists(st.integers(1, 4), max_size=2),
    batch_norm=st.booleans(),
)
def test_any_sizes_give_codes_and_rows(
    n_steps: int,
    n_channels: int,
    channels: list[int],
    kernel_size: int,
    hidden: list[int],
    batch_norm: bool,
) -> None:
    network = Conv1d(
        tuple(channels),
        kernel_size=kernel_size,
        hidden_layer_sizes=tuple(hidden),
        batch_norm=batch_norm,
    ).build((n_steps, n_channels), 2)
    rows = torch.randn(4, n_steps * n_channels)
    assert network.encode(rows).shape == (4, 2)
    assert network(rows).shape == rows.shape


def test_each_stage_halves_the_steps_and_doubles_them_again() -> None:
    network = Conv1d((2, 3, 4), hidden_layer_sizes=()).build((13, 2), 5)
    seen: list[torch.Size] = []
    for layer in network.modules():
        if isinstance(layer, nn.Conv1d | nn.ConvTranspose1d):
            layer.register_forward_hook(lambda *given: seen.append(given[2].shape[1:]))
    network(torch.randn(4, 26))
    assert seen == [(2, 7), (3, 4), (4, 2), (3, 4), (2, 7), (2, 13)]


def test_output_by_the_formula() -> None:
    torch.manual_seed(0)
    architecture = Conv1d((3,), hidden_layer_sizes=())
    network = architecture.build((6, 2), 4)
    there, to_code, from_code, back = (
        m for m in network.modules() if hasattr(m, "weight")
    )
    rows = torch.randn(5, 12)
    steps = rows.reshape(5, 6, 2).transpose(1, 2)
    maps = F.elu(F.conv1d(steps, there.weight, there.bias, stride=2, padding=2))
    codes = to_code(maps.reshape(5, 9))
    torch.testing.assert_close(network.encode(rows), codes)
    maps = F.elu(from_code(codes)).reshape(5, 3, 3)
    answers = F.conv_transpose1d(
        maps, back.weight, back.bias, stride=2, padding=2, output_padding=1
    )
    torch.testing.assert_close(network(rows), answers.transpose(1, 2).flatten(1))


def test_planes_are_channels_of_each_step() -> None:
    torch.manual_seed(0)
    planes = Conv1d((3,)).build((2, 6, 4), 3).eval()
    torch.manual_seed(0)
    channels = Conv1d((3,)).build((6, 8), 3).eval()
    rows = torch.randn(5, 48)
    beside = rows.reshape(5, 2, 6, 4).transpose(1, 2).flatten(1)
    torch.testing.assert_close(planes.encode(rows), channels.encode(beside))
    answers = planes(rows).reshape(5, 2, 6, 4).transpose(1, 2).flatten(1)
    torch.testing.assert_close(answers, channels(beside))


@pytest.mark.parametrize("shape", [(1,), (2, 1), (9, 3), (1000, 1)], ids=str)
def test_gradients_reach_every_weight_and_are_finite(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = Conv1d((3, 4)).build(shape, 2)
    rows = torch.randn(8, int(np.prod(shape)))
    F.mse_loss(network(rows), rows).backward()
    for name, weight in network.named_parameters():
        assert weight.grad.isfinite().all(), name
        assert weight.grad.any(), name


@pytest.mark.parametrize("seed", range(2))
def test_it_learns(seed: int) -> None:
    X, X_test = waves(400, 10), waves(100, 10, seed=1)
    autoencoder = AutoencoderTransformer(
        1,
        architecture=Conv1d((8, 8)),
        lr=0.02,
        batch_size=64,
        max_epochs=20,
        random_state=seed,
    ).fit(X)
    rows = X_test.reshape(100, -1)
    pca = PCA(1).fit(X.reshape(400, -1))
    error = ((pca.inverse_transform(pca.transform(rows)) - rows) ** 2).mean()
    assert ((autoencoder.predict(X_test) - X_test) ** 2).mean() < 0.5 * error


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"channels": ()}, "channels"),
        ({"channels": (0,)}, "channels"),
        ({"kernel_size": 4}, "kernel_size must be odd"),
        ({"kernel_size": 1}, "kernel_size"),
        ({"activation": "rely"}, "activation"),
        ({"batch_norm": "yes"}, "batch_norm"),
        ({"hidden_layer_sizes": (-1,)}, "hidden_layer_sizes"),
        ({"code_activation": "softmax"}, "code_activation"),
        ({"output_activation": "tanh"}, "output_activation"),
    ],
)
def test_a_bad_parameter_is_named(params: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Conv1d(**params).build((6, 2), 2)


def test_samples_that_are_no_sequences_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(n_steps, n_channels\).* got .*4, 5"):
        Conv1d().build((2, 3, 4, 5), 2)
    with pytest.raises(ValueError, match="code_size=None has no meaning for Conv1d"):
        Conv1d().build((6, 2), None)


def test_a_grid_search_s_integers() -> None:
    channels = tuple(np.array([2, 3]))
    architecture = Conv1d(channels, kernel_size=np.int64(3))
    assert clone(architecture).build((5, 2), 2)(torch.randn(3, 10)).shape == (3, 10)
