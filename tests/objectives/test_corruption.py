from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kstest, norm
from torch import nn

from skautoencoder.architectures import Dense
from skautoencoder.objectives import NOISES, Corruption, Objective

N_ROWS, N_FEATURES = 400, 50


@pytest.fixture
def rows() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.2 + 0.6 * torch.rand(N_ROWS, N_FEATURES, generator=generator)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("level", [0.1, 2.0])
def test_gaussian_noise_is_normal(rows: torch.Tensor, level: float, seed: int) -> None:
    torch.manual_seed(seed)
    noise = (Corruption("gaussian", level)(rows) - rows).numpy().ravel()
    assert kstest(noise / level, norm.cdf).pvalue > 1e-3


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("level", [0.1, 0.6])
def test_masking_sets_a_share_to_zero(
    rows: torch.Tensor, level: float, seed: int
) -> None:
    torch.manual_seed(seed)
    noisy = Corruption("masking", level)(rows)
    masked = noisy == 0
    # Five standard deviations of a share of 20 000 coins.
    assert masked.float().mean().item() == pytest.approx(level, abs=0.02)
    assert torch.equal(noisy[~masked], rows[~masked])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("level", [0.1, 0.6])
def test_salt_and_pepper_are_as_frequent(
    rows: torch.Tensor, level: float, seed: int
) -> None:
    torch.manual_seed(seed)
    noisy = Corruption("salt_and_pepper", level, low=-1.0, high=3.0)(rows)
    pepper, salt = noisy == -1, noisy == 3
    for chosen in (pepper, salt):
        assert chosen.float().mean().item() == pytest.approx(level / 2, abs=0.02)
    untouched = ~pepper & ~salt
    assert torch.equal(noisy[untouched], rows[untouched])


@pytest.mark.parametrize("noise", NOISES)
def test_no_noise_at_level_zero_and_all_of_it_at_one(
    rows: torch.Tensor, noise: str
) -> None:
    assert torch.equal(Corruption(noise, 0.0)(rows), rows)
    if noise == "gaussian":
        return
    allowed = {0.0} if noise == "masking" else {0.0, 1.0}
    assert set(Corruption(noise, 1.0)(rows).unique().tolist()) == allowed


@pytest.mark.parametrize("noise", NOISES)
def test_every_call_draws_anew_from_the_seed(rows: torch.Tensor, noise: str) -> None:
    corruption = Corruption(noise, 0.5)
    torch.manual_seed(3)
    first, second = corruption(rows), corruption(rows)
    torch.manual_seed(3)
    assert torch.equal(corruption(rows), first)
    assert not torch.equal(first, second)
    # Rows differ in their noise, too.
    noise_of = (first - rows)[:2]
    assert not torch.equal(noise_of[0], noise_of[1])


@pytest.mark.parametrize("noise", NOISES)
def test_rows_are_left_as_they_are(rows: torch.Tensor, noise: str) -> None:
    before = rows.clone()
    Corruption(noise, 0.5, clip=True)(rows)
    assert torch.equal(rows, before)


def test_clipping(rows: torch.Tensor) -> None:
    torch.manual_seed(0)
    free = Corruption("gaussian", 0.5)(rows)
    torch.manual_seed(0)
    clipped = Corruption("gaussian", 0.5, low=0.1, high=0.9, clip=True)(rows)
    assert free.min() < 0.1
    assert free.max() > 0.9
    torch.testing.assert_close(clipped, free.clamp(0.1, 0.9))


OFFSET, SCALE = np.array([5.0, -2.0, 100.0]), 4.0


@pytest.mark.parametrize(
    ("noise", "level"), [("gaussian", 8.0), ("masking", 0.5), ("salt_and_pepper", 0.5)]
)
@pytest.mark.parametrize("clip", [False, True])
def test_numbers_are_in_units_of_the_data(noise: str, level: float, clip: bool) -> None:
    data = torch.from_numpy(np.random.RandomState(0).normal(OFFSET, SCALE, (5000, 3)))
    params = {"low": -9.0, "high": 110.0, "clip": clip}
    torch.manual_seed(0)
    expected = Corruption(noise, level, **params)(data.float())
    offset = torch.from_numpy(OFFSET)
    in_network = ((data - offset) / SCALE).float()
    torch.manual_seed(0)
    noisy = Corruption(noise, level, offset=offset, scale=SCALE, **params)(in_network)
    torch.testing.assert_close(
        noisy * SCALE + offset, expected.double(), rtol=1e-5, atol=1e-4
    )


def test_a_large_offset_keeps_the_digits() -> None:
    offset = torch.full((4,), 1e7, dtype=torch.float64)
    rows = torch.rand(300, 4)
    for noise in NOISES:
        corruption = Corruption(
            noise, 0.5, low=1e7, high=1e7 + 1, offset=offset, clip=noise != "masking"
        )
        noisy = corruption(rows)
        if noise != "masking":
            assert ((noisy >= 0) & (noisy <= 1)).all()
        if noise == "salt_and_pepper":
            untouched = (noisy != 0) & (noisy != 1)
            assert torch.equal(noisy[untouched], rows[untouched])


def test_a_callable_sees_samples_in_units_of_the_data() -> None:
    seen = []

    def darken(samples: torch.Tensor) -> torch.Tensor:
        seen.append(samples.clone())
        samples[:, 0] = 0.0  # it may change what it is given
        return samples

    offset, scale = torch.full((6,), 3.0), 2.0
    rows = torch.randn(5, 6)
    before = rows.clone()
    corruption = Corruption(
        darken, 0.0, offset=offset, scale=scale, sample_shape=(2, 3)
    )
    noisy = corruption(rows)
    assert torch.equal(rows, before)
    assert seen[0].shape == (5, 2, 3)
    torch.testing.assert_close(seen[0].reshape(5, 6), rows * 2 + 3)
    torch.testing.assert_close(noisy[:, :3], torch.full((5, 3), -1.5))
    torch.testing.assert_close(noisy[:, 3:], rows[:, 3:])


def test_a_callable_may_change_its_input_where_nothing_is_scaled() -> None:
    rows = torch.rand(4, 3)
    before = rows.clone()
    noisy = Corruption(lambda samples: samples.zero_(), 0.0)(rows)
    assert torch.equal(rows, before)
    assert not noisy.any()


def test_a_callable_may_return_an_array(rows: torch.Tensor) -> None:
    noisy = Corruption(lambda samples: np.flip(samples.numpy(), 1).copy(), 0.0)(rows)
    torch.testing.assert_close(noisy, rows.flip(1))
    assert noisy.dtype == torch.float32


def test_a_callable_that_changes_the_shape_is_an_error(rows: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"shape that it is given, \(400, 50\), but"):
        Corruption(lambda samples: samples[:, :3], 0.0)(rows)


@pytest.mark.parametrize(
    ("noise", "error", "message"),
    [
        (lambda samples: None, TypeError, "returned None. .Does it end in a return"),
        (lambda samples: (samples, samples), TypeError, r"returned \(tensor"),
        (lambda samples: samples * torch.nan, ValueError, "noise returned .* NaN"),
        (lambda samples: samples.double() * 1e300, ValueError, "too large"),
        (lambda samples: samples.to(torch.complex64), ValueError, "complex"),
    ],
)
def test_a_callable_that_returns_no_samples_is_named(
    rows: torch.Tensor, noise: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Corruption(noise, 0.0)(rows)


def test_no_gradient_goes_through_a_callable(rows: torch.Tensor) -> None:
    factor = nn.Parameter(torch.ones(1))
    assert not Corruption(lambda samples: samples * factor, 0.0)(rows).requires_grad


# ---- in the objective ------------------------------------------------------------


class Recording(nn.Module):
    """Wraps a network and keeps what it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Dense((4,)).build((N_FEATURES,), 2)
        self.output_activation = self.network.output_activation

    def encode(self, rows: torch.Tensor) -> torch.Tensor:
        self.shown = rows
        return self.network.encode(rows)

    def decode_logits(self, codes: torch.Tensor) -> torch.Tensor:
        self.logits = self.network.decode_logits(codes)
        return self.logits


def test_noise_is_shown_and_clean_rows_are_compared(rows: torch.Tensor) -> None:
    network = Recording().train()
    objective = Objective(corruption=Corruption("gaussian", 0.5))
    loss = objective(network, rows, rows)
    assert not torch.equal(network.shown, rows)
    torch.testing.assert_close(loss, (network.logits - rows).square().mean())
    first = network.shown
    objective(network, rows, rows)
    assert not torch.equal(network.shown, first)


def test_there_is_no_noise_outside_of_training(rows: torch.Tensor) -> None:
    network = Recording().eval()
    Objective(corruption=Corruption("gaussian", 0.5))(network, rows, rows)
    assert network.shown is rows
