from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from skautoencoder.architectures import Conv, Custom, Dense
from skautoencoder.architectures._layers import TopK


def make(code_size: int, n_nonzero_coefs: int | None) -> TopK:
    return TopK(code_size, n_nonzero_coefs)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n_kept", [1, 4, 10])
def test_the_largest_are_kept(n_kept: int, seed: int) -> None:
    codes = np.random.RandomState(seed).normal(size=(50, 10)).astype(np.float32)
    kept = make(10, n_kept)(torch.from_numpy(codes)).numpy()
    # Units are compared by how far they are from their own mean.
    standard = (codes - codes.mean(axis=0)) / codes.std(axis=0)
    for row, wanted in zip(kept, standard, strict=True):
        places = np.argsort(wanted)[-n_kept:]
        expected = np.zeros(10)
        expected[places] = wanted[places]
        np.testing.assert_allclose(row, expected, atol=1e-3)


def test_units_of_any_scale_win_as_often() -> None:
    torch.manual_seed(0)
    codes = torch.randn(4000, 20) * torch.logspace(-1, 3, 20) + torch.arange(20)
    uses = (make(20, 4)(codes) != 0).float().mean(dim=0)
    np.testing.assert_allclose(uses, 0.2, atol=0.04)


@pytest.mark.parametrize(("code_size", "expected"), [(5, 1), (10, 1), (39, 3)])
def test_none_is_a_tenth(code_size: int, expected: int) -> None:
    layer = make(code_size, None)
    assert layer.n_nonzero_coefs == expected
    assert f"n_nonzero_coefs={expected}" in repr(layer)


def test_too_many() -> None:
    with pytest.raises(ValueError, match="n_nonzero_coefs=6 is more than the 5"):
        make(5, 6)


def test_in_evaluation_rows_do_not_see_each_other() -> None:
    torch.manual_seed(0)
    layer, codes = make(8, 2), torch.randn(30, 8)
    layer(codes)
    layer.eval()
    together = layer(codes)
    alone = torch.cat([layer(row[None]) for row in codes])
    torch.testing.assert_close(alone, together)


def test_gradients_go_to_what_is_kept() -> None:
    layer = make(6, 2).eval()
    codes = torch.randn(4, 6, requires_grad=True)
    kept = layer(codes)
    kept.sum().backward()
    assert torch.equal(codes.grad != 0, kept != 0)


def test_reduced_precision_does_not_reach_the_ranks() -> None:
    codes = torch.randn(40, 12).bfloat16()
    assert make(12, 3)(codes).dtype == torch.float32
    assert ((make(12, 3)(codes) != 0).sum(dim=1) == 3).all()


@pytest.mark.parametrize(
    ("architecture", "code_size"),
    [
        (Dense((8,)), 20),
        (Dense((), tied_weights=True), 20),
        (Conv((4, 5)), None),
        (Custom(nn.Linear(64, 20), nn.Linear(20, 64)), 3),
    ],
    ids=str,
)
def test_it_ends_the_encoder(architecture: Dense, code_size: int | None) -> None:
    network = architecture.build((64,), code_size, top_k=True)
    codes = network.encode(torch.rand(30, 64))
    assert ((codes != 0).sum(dim=1) == 2).all()
    assert network.decode(codes).shape == (30, 64)


@pytest.mark.parametrize("activity", [0.05, 0.5, 0.9])
@pytest.mark.parametrize("architecture", [Dense((8,)), Conv((4,))], ids=str)
def test_sigmoid_codes_start_at_the_activity_asked_for(
    architecture: Dense, activity: float
) -> None:
    torch.manual_seed(0)
    network = architecture.build(
        (64,), 40, code_activation="sigmoid", code_activity=activity
    )
    codes = network.encode(torch.zeros(2, 64))
    assert codes.mean().item() == pytest.approx(activity, abs=0.05)
