from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import rel_entr

from skautoencoder.objectives import kl_sparsity, l1_sparsity

codes_in = st.floats(-5, 5, width=32)
activities = st.floats(0.0625, 0.9375, width=32)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(arrays(np.float32, (5, 3), elements=codes_in))
def test_l1_is_the_mean_norm_of_a_code(codes: np.ndarray) -> None:
    expected = np.linalg.norm(codes.astype(float), ord=1, axis=1).mean()
    assert l1_sparsity(torch.from_numpy(codes)).item() == pytest.approx(
        expected, rel=1e-5
    )


@settings(deadline=None, max_examples=30, derandomize=True)
@given(
    arrays(np.float32, (5, 3), elements=activities), st.sampled_from([0.05, 0.3, 0.7])
)
def test_kl_is_the_relative_entropy_of_two_coins(
    codes: np.ndarray, target: float
) -> None:
    mean = codes.astype(float).mean(0)
    expected = rel_entr(target, mean) + rel_entr(1 - target, 1 - mean)
    assert kl_sparsity(torch.from_numpy(codes), target).item() == pytest.approx(
        expected.sum(), rel=1e-4, abs=1e-6
    )


@pytest.mark.parametrize("target", [0.05, 0.2, 0.5, 0.9])
def test_kl_is_zero_at_the_target_and_positive_elsewhere(target: float) -> None:
    # Only the mean over the batch counts, not each row's value.
    step = min(target, 1 - target) / 2
    codes = torch.tensor([[target - step] * 4, [target + step] * 4])
    assert kl_sparsity(codes, target).item() == pytest.approx(0, abs=1e-6)
    for shift in (-step, step):
        assert kl_sparsity(codes + shift, target).item() > 1e-3


@pytest.mark.parametrize(("activity", "sign"), [(0.5, 1), (0.01, -1)])
def test_kl_pulls_activity_to_the_target(activity: float, sign: int) -> None:
    codes = torch.full((4, 2), activity, requires_grad=True)
    kl_sparsity(codes, 0.05).backward()
    # d/dm [KL] = (m - t) / (m (1 - m)), shared by the 4 rows of the mean
    slope = (activity - 0.05) / (activity * (1 - activity)) / 4
    np.testing.assert_allclose(codes.grad.numpy(), slope, rtol=1e-4)
    assert np.sign(slope) == sign


@pytest.mark.parametrize("activity", [0.0, 1.0])
def test_kl_of_dead_and_of_saturated_units_is_finite(activity: float) -> None:
    codes = torch.full((4, 2), activity, requires_grad=True)
    penalty = kl_sparsity(codes, 0.05)
    penalty.backward()
    assert penalty.isfinite()
    assert penalty > 0.1
    assert codes.grad.isfinite().all()


def test_penalties_do_not_depend_on_the_number_of_rows() -> None:
    codes = torch.rand(6, 3)
    doubled = torch.cat([codes, codes])
    torch.testing.assert_close(l1_sparsity(codes), l1_sparsity(doubled))
    torch.testing.assert_close(kl_sparsity(codes, 0.1), kl_sparsity(doubled, 0.1))
