from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, huber
from sklearn.metrics import log_loss, mean_absolute_error, mean_squared_error

from skautoencoder.objectives import LOSSES, reconstruction_loss

finite = st.floats(-50, 50, width=32)
shares = st.floats(0, 1, width=32)


def of(loss: str, logits: np.ndarray, target: np.ndarray, activation: str) -> float:
    tensors = (torch.from_numpy(np.asarray(a, np.float32)) for a in (logits, target))
    return reconstruction_loss(loss, *tensors, activation).item()


@settings(deadline=None, max_examples=30, derandomize=True)
@given(arrays(np.float32, (3, 4), elements=finite), st.integers(0, 9))
def test_losses_by_other_implementations(logits: np.ndarray, seed: int) -> None:
    target = np.random.RandomState(seed).uniform(-3, 3, (3, 4)).astype(np.float32)
    close = {"rel": 1e-5, "abs": 1e-6}
    for activation, output in (("identity", logits), ("sigmoid", expit(logits))):
        assert of("mse", logits, target, activation) == pytest.approx(
            mean_squared_error(target, output), **close
        )
        assert of("l1", logits, target, activation) == pytest.approx(
            mean_absolute_error(target, output), **close
        )
        assert of("huber", logits, target, activation) == pytest.approx(
            huber(1.0, target.astype(float) - output).mean(), **close
        )


@settings(deadline=None, max_examples=30, derandomize=True)
@given(
    arrays(np.float32, (3, 4), elements=st.floats(-10, 10, width=32)),
    arrays(np.float32, (3, 4), elements=shares),
)
def test_bce_by_the_formula(logits: np.ndarray, target: np.ndarray) -> None:
    share = expit(logits.astype(float))
    expected = -(target * np.log(share) + (1 - target) * np.log1p(-share)).mean()
    assert of("bce", logits, target, "sigmoid") == pytest.approx(expected, rel=1e-4)
    # Without a sigmoid the output itself is the probability.
    assert of("bce", share, target, "identity") == pytest.approx(
        expected, rel=1e-2, abs=1e-3
    )


def test_bce_of_binary_targets_is_the_log_loss() -> None:
    rng = np.random.RandomState(0)
    target, logits = rng.randint(0, 2, 50), rng.randn(50)
    assert of("bce", logits[:, None], target[:, None], "sigmoid") == pytest.approx(
        log_loss(target, expit(logits)), rel=1e-5
    )


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("activation", ["identity", "sigmoid"])
def test_a_perfect_answer_has_the_smallest_loss(loss: str, activation: str) -> None:
    target = np.random.RandomState(0).uniform(0.1, 0.9, (4, 5))
    perfect = np.log(target / (1 - target)) if activation == "sigmoid" else target
    best = of(loss, perfect, target, activation)
    for step in (-0.05, 0.05):
        assert of(loss, perfect + step, target, activation) > best
    if loss != "bce":
        assert best == pytest.approx(0, abs=1e-7)


def test_bce_is_exact_where_the_sigmoid_rounds() -> None:
    logits = torch.tensor([[200.0, -200.0]], requires_grad=True)
    target = torch.tensor([[0.0, 1.0]])
    loss = reconstruction_loss("bce", logits, target, "sigmoid")
    assert loss.item() == pytest.approx(200.0)
    loss.backward()
    # The derivative of the mean over two features: (sigmoid - target) / 2.
    np.testing.assert_allclose(logits.grad.numpy(), [[0.5, -0.5]], atol=1e-6)


@pytest.mark.parametrize("output", [0.0, 1.0, -0.3, 1.4])
def test_bce_survives_modules_that_answer_with_0_1_or_beyond(output: float) -> None:
    for target in (0.0, 1.0):
        loss = of("bce", np.full((2, 2), output), np.full((2, 2), target), "identity")
        assert 0 <= loss < 20
        assert (loss < 1e-3) == ((output > 0.5) == (target > 0.5))


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_the_mean_is_over_rows_and_features(loss: str) -> None:
    rng = np.random.RandomState(0)
    logits, target = rng.randn(4, 3), rng.uniform(0, 1, (4, 3))
    whole = of(loss, logits, target, "sigmoid")
    rows = [of(loss, logits[i : i + 1], target[i : i + 1], "sigmoid") for i in range(4)]
    assert whole == pytest.approx(np.mean(rows), rel=1e-5)
    twice = of(loss, np.hstack([logits] * 2), np.hstack([target] * 2), "sigmoid")
    assert whole == pytest.approx(twice, rel=1e-5)
