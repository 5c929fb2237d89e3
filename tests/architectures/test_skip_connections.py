"""Skip connections: the decoder sees the encoder's maps of its own sizes."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pytest
import torch
from helpers import IMAGES
from hypothesis import given, settings
from hypothesis import strategies as st

from skautoencoder import AutoencoderTransformer, DenoisingAutoencoder
from skautoencoder.architectures import Conv


def skipping(channels: tuple[int, ...] = (3, 4, 5), **params: Any) -> Conv:
    return Conv(channels, skip_connections=True, **params)


@settings(deadline=None, max_examples=40, derandomize=True)
@given(
    n_channels=st.integers(1, 3),
    height=st.integers(1, 21),
    width=st.integers(1, 21),
    channels=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    n_downsamplings=st.none() | st.integers(2, 4),
    kernel_size=st.integers(1, 5),
    downsampling=st.sampled_from(["stride", "max_pool"]),
    upsampling=st.sampled_from(["transpose", "nearest"]),
    upsampling_kernel_size=st.integers(2, 5),
    residual=st.booleans(),
    batch_norm=st.booleans(),
)
def test_every_size_comes_back_and_the_code_is_all_maps(
    n_channels: int, height: int, width: int, **params: Any
) -> None:
    channels = params["channels"]
    if params["n_downsamplings"] is not None:
        params["n_downsamplings"] = min(params["n_downsamplings"], len(channels))
    n_halvings = params["n_downsamplings"] or len(channels)
    network = Conv(skip_connections=True, **params).build(
        (n_channels, height, width), None
    )
    rows = torch.rand(2, n_channels * height * width)
    codes = network.encode(rows)
    n_numbers, size = 0, (height, width)
    for level in range(n_halvings):
        size = (-(-size[0] // 2), -(-size[1] // 2))
        last = level == n_halvings - 1
        n_numbers += (channels[-1] if last else channels[level]) * prod(size)
    assert codes.shape == (2, n_numbers)
    assert network.decode(codes).shape == rows.shape


@pytest.mark.parametrize("upsampling", ["transpose", "nearest"])
@pytest.mark.parametrize("residual", [False, True])
def test_each_map_reaches_the_answer_and_gradients_each_weight(
    residual: bool, upsampling: str
) -> None:
    torch.manual_seed(0)
    network = skipping(
        activation="tanh", residual=residual, upsampling=upsampling, batch_norm=False
    ).build((12, 12), None)
    codes = network.encode(torch.rand(4, 144))
    answers = network.decode(codes)
    answers.square().mean().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name
    start = 0
    # 5 channels of 2x2 pixels, then 4 of 3x3, then 3 of 6x6.
    for n_numbers in (5 * 4, 4 * 9, 3 * 36):
        changed = codes.detach().clone()
        changed[:, start : start + n_numbers] += 1
        assert not torch.allclose(network.decode(changed), answers)
        start += n_numbers
    assert start == codes.shape[1]


def test_a_skipped_map_goes_by_its_place() -> None:
    """A pixel of the largest map matters near its place and nowhere else."""
    torch.manual_seed(0)
    network = skipping((3, 4), batch_norm=False).build((16, 16), None)
    codes = torch.zeros(1, 4 * 16 + 3 * 64)
    changed = codes.clone()
    # Channels last: the three numbers of the pixel in row 1, column 6 of 8.
    first = 4 * 16 + 3 * (8 * 1 + 6)
    changed[0, first : first + 3] = 1
    difference = (network.decode(changed) - network.decode(codes)).detach().abs()
    rows, columns = np.nonzero(difference.reshape(16, 16).numpy() > 1e-7)
    assert set(rows) <= set(range(6))
    assert set(columns) <= set(range(10, 16))
    assert len(rows)


def test_without_them_nothing_is_another_network() -> None:
    torch.manual_seed(0)
    plain = Conv((3, 4)).build((8, 8), None)
    torch.manual_seed(0)
    told = Conv((3, 4), skip_connections=False).build((8, 8), None)
    assert repr(plain) == repr(told)
    rows = torch.rand(3, 64)
    assert torch.equal(plain(rows), told(rows))


@pytest.mark.parametrize("seed", range(2))
def test_noise_is_taken_away_better_with_them(seed: int) -> None:
    noisy = IMAGES + 0.3 * np.random.RandomState(seed).normal(size=IMAGES.shape)
    errors = []
    for skip_connections in (False, True):
        denoiser = DenoisingAutoencoder(
            noise_level=0.3,
            clip=None,
            architecture=Conv((4, 6), skip_connections=skip_connections),
            max_epochs=5,
            lr=1e-2,
            random_state=seed,
        ).fit(IMAGES[:300])
        denoised = denoiser.predict(noisy[1200:])
        errors.append(np.mean(np.square(denoised - IMAGES[1200:])))
    assert errors[1] < errors[0]


@pytest.mark.parametrize(
    ("architecture", "code_size", "message"),
    [
        (skipping(), 10, "Set code_size=None and hidden_layer_sizes"),
        (skipping(hidden_layer_sizes=(6,)), None, "Set code_size=None and hidden_"),
        (skipping((4,)), None, "at least two stages that halve"),
        (skipping(n_downsamplings=1), None, "n_downsamplings=1 have 1"),
        (skipping(n_downsamplings=0), None, "n_downsamplings=0 have 0"),
    ],
)
def test_what_cannot_be_is_refused(
    architecture: Conv, code_size: int | None, message: str
) -> None:
    estimator = AutoencoderTransformer(code_size, architecture=architecture)
    with pytest.raises(ValueError, match=message):
        estimator.fit(IMAGES[:20])
    assert not hasattr(estimator, "net_")


@pytest.mark.parametrize("value", ["yes", None, 2])
def test_the_parameter_is_validated(value: Any) -> None:
    with pytest.raises(ValueError, match="'skip_connections' parameter of Conv"):
        Conv((3, 4), skip_connections=value).build((8, 8), None)
