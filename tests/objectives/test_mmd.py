"""Against a double loop, and against the integral that its mean is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from skautoencoder.objectives import MMD, Objective, maximum_mean_discrepancy

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Stub(torch.nn.Module):
    """A network, as far as a penalty on codes asks for one."""


def normal(n_rows: int, code_size: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n_rows, code_size, generator=generator)


def kernel(x: np.ndarray, y: np.ndarray, scales: Any) -> float:
    """Return the inverse multiquadratic kernel of Tolstikhin et al."""
    lengths = [2 * len(x) * scale for scale in scales]
    return sum(c / (c + np.square(x - y).sum()) for c in lengths)


@pytest.mark.parametrize("scales", [SCALES, [0.3], np.array([1, 4])], ids=str)
@pytest.mark.parametrize("shapes", [(2, 2), (5, 9)], ids=str)
def test_the_formula(shapes: tuple[int, int], scales: Any) -> None:
    n, m = shapes
    codes, draws = normal(n, 3) * 2 + 1, normal(m, 3, seed=1)
    x, z = codes.double().numpy(), draws.double().numpy()
    expected = (
        sum(kernel(x[i], x[j], scales) for i in range(n) for j in range(n) if i != j)
        / (n * (n - 1))
        + sum(kernel(z[i], z[j], scales) for i in range(m) for j in range(m) if i != j)
        / (m * (m - 1))
        - 2 * np.mean([[kernel(a, b, scales) for b in z] for a in x])
    )
    assert maximum_mean_discrepancy(codes, draws, scales).item() == pytest.approx(
        expected, abs=1e-5
    )


def mean_kernel(code_size: int, variance: float, shift: float) -> float:
    """Return the mean kernel of two points whose difference is N(shift, variance).

    With c / (c + r²) = ∫ c exp(-c t) exp(-r² t) dt, and the mean of exp(-r² t) of a
    normal difference known.
    """

    def mean(length: float) -> float:
        def integrand(t: float) -> float:
            width = 1 + 2 * t * variance
            of_distance = np.exp(-t * code_size * shift**2 / width)
            return length * np.exp(-length * t) * of_distance / width ** (code_size / 2)

        return quad(integrand, 0, np.inf)[0]

    return sum(mean(2 * code_size * scale) for scale in SCALES)


@pytest.mark.parametrize("n_rows", [2, 30])
@pytest.mark.parametrize(
    ("code_size", "spread", "shift"), [(3, 1.0, 0.0), (3, 2.0, 0.0), (8, 1.0, 0.5)]
)
def test_the_mean_is_the_discrepancy_of_normal_distributions(
    code_size: int, spread: float, shift: float, n_rows: int
) -> None:
    expected = (
        mean_kernel(code_size, 2 * spread**2, 0.0)
        + mean_kernel(code_size, 2.0, 0.0)
        - 2 * mean_kernel(code_size, spread**2 + 1, shift)
    )
    penalty, network = MMD(), Stub()
    torch.manual_seed(0)
    found = torch.stack(
        [
            penalty(spread * torch.randn(n_rows, code_size) + shift, None, network)
            for _ in range(200)
        ]
    )
    error = found.std().item() / len(found) ** 0.5
    assert found.mean().item() == pytest.approx(expected, abs=4 * error)
    if (spread, shift) == (1.0, 0.0):
        assert expected == pytest.approx(0, abs=1e-6)
    elif n_rows == 30:
        assert expected > 8 * error


@pytest.mark.parametrize(("spread", "shift"), [(1, 2), (3, 0), (0.3, 0)])
def test_gradients_draw_codes_to_the_normal_distribution(
    spread: float, shift: float
) -> None:
    codes = (spread * normal(200, 3) + shift).requires_grad_()
    torch.manual_seed(0)
    MMD()(codes, None, Stub()).backward()
    where = codes.detach()
    move = -codes.grad
    if shift:
        assert (move.mean(dim=0) < 0).all()
    else:
        outward = (move * where).sum(dim=0)
        assert ((outward < 0) == (spread > 1)).all()


def test_large_batches_are_compared_in_parts() -> None:
    codes = normal(1300, 4) + 0.5
    torch.manual_seed(0)
    found = MMD()(codes, None, Stub())
    torch.manual_seed(0)
    whole = maximum_mean_discrepancy(codes, torch.randn(1300, 4))
    assert found.item() == pytest.approx(whole.item(), rel=0.1)
    assert found != whole


def test_one_row_has_nothing_to_be_compared_with() -> None:
    assert MMD()(normal(1, 4), None, Stub()) == 0


def test_equal_codes_have_finite_gradients() -> None:
    codes = torch.zeros(6, 3, requires_grad=True)
    MMD()(codes, None, Stub()).backward()
    assert codes.grad.isfinite().all()


def test_in_evaluation_the_draws_are_always_the_same() -> None:
    codes, penalty, network = normal(20, 3), MMD(), Stub()
    state = torch.get_rng_state()
    network.eval()
    assert penalty(codes, None, network) == penalty(codes, None, network)
    assert torch.equal(torch.get_rng_state(), state)
    network.train()
    assert penalty(codes, None, network) != penalty(codes, None, network)


def test_in_reduced_precision_distances_keep_their_digits() -> None:
    codes = normal(40, 3) + 5
    draws = normal(40, 3, seed=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = maximum_mean_discrepancy(codes, draws)
    torch.testing.assert_close(rounded, maximum_mean_discrepancy(codes, draws))


def test_it_is_no_mean_over_rows() -> None:
    assert not Objective(penalties=[MMD()]).splits
