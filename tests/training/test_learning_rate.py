from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skorch.callbacks import Callback

from skautoencoder import AutoencoderTransformer
from skautoencoder.architectures import Dense
from skautoencoder.training import SCHEDULES
from skautoencoder.training.learning_rate import learning_rate_factor

progress = st.floats(0, 1)


@given(progress)
def test_constant(share: float) -> None:
    assert learning_rate_factor("constant", share) == 1.0


@given(progress)
def test_cosine_by_the_formula_of_sgdr(share: float) -> None:
    # eta_min + (eta_max - eta_min) (1 + cos(pi t / T)) / 2
    expected = 1e-3 + (1 - 1e-3) * (1 + math.cos(math.pi * share)) / 2
    assert learning_rate_factor("cosine", share) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("share", "factor"),
    [(0.0, 0.05), (0.05, 0.525), (0.1, 1.0), (0.55, 0.5005), (1.0, 0.001)],
)
def test_one_cycle_at_its_landmarks(share: float, factor: float) -> None:
    assert learning_rate_factor("one_cycle", share) == pytest.approx(factor)


def test_one_cycle_rises_then_falls_without_a_jump() -> None:
    shares = np.linspace(0, 1, 2001)
    factors = np.array([learning_rate_factor("one_cycle", s) for s in shares])
    top = factors.argmax()
    assert shares[top] == pytest.approx(0.1, abs=1e-3)
    assert (np.diff(factors[: top + 1]) > 0).all()
    assert (np.diff(factors[top:]) <= 0).all()
    assert np.abs(np.diff(factors)).max() < 0.01


@pytest.mark.parametrize("schedule", SCHEDULES)
@given(share=st.floats(0, 2))
def test_factors_are_positive_and_never_above_one(schedule: str, share: float) -> None:
    assert 0 < learning_rate_factor(schedule, share) <= 1


def test_cosine_is_torchs_own() -> None:
    n_steps, lr = 20, 0.3
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, n_steps, eta_min=1e-3 * lr
    )
    for step in range(n_steps):
        expected = optimizer.param_groups[0]["lr"]
        assert lr * learning_rate_factor("cosine", step / n_steps) == pytest.approx(
            expected, rel=1e-6
        )
        optimizer.step()
        theirs.step()


class Rates(Callback):
    """Prints nothing, remembers the learning rate of every step."""

    def on_train_begin(self, net: object, **kwargs: object) -> None:
        self.rates_: list[float] = []

    def on_batch_end(self, net: object, training: bool = True, **_: object) -> None:
        if training:
            self.rates_.append(net.optimizer_.param_groups[0]["lr"])


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_step_of_a_fit_has_its_rate(schedule: str) -> None:
    X = np.random.RandomState(0).randn(50, 4)
    autoencoder = AutoencoderTransformer(
        2,
        architecture=Dense((4,)),
        lr=0.02,
        lr_schedule=schedule,
        batch_size=16,
        max_epochs=5,
        callbacks=[("rates", Rates())],
        random_state=0,
    ).fit(X)
    n_steps = 5 * 4
    expected = [0.02 * learning_rate_factor(schedule, i / n_steps) for i in range(20)]
    rates = dict(autoencoder.net_.callbacks_)["rates"].rates_
    assert rates == pytest.approx(expected)
    assert autoencoder.history_[:, "lr"] == pytest.approx(expected[3::4])


def test_partial_fit_stays_at_the_highest_rate() -> None:
    X = np.random.RandomState(0).randn(50, 4)
    autoencoder = AutoencoderTransformer(2, lr=0.02, max_epochs=2, random_state=0)
    autoencoder.fit(X).partial_fit(X).partial_fit(X)
    assert autoencoder.history_[-2:, "lr"] == [0.02, 0.02]


def test_groups_of_weights_keep_their_own_rates() -> None:
    X = np.random.RandomState(0).randn(50, 4)
    autoencoder = AutoencoderTransformer(
        2,
        architecture=Dense((4,)),
        lr=0.02,
        lr_schedule="cosine",
        max_epochs=2,
        random_state=0,
        optimizer__param_groups=[("decoder*", {"lr": 0.001})],
    ).fit(X)
    rates = {group["lr"] for group in autoencoder.net_.optimizer_.param_groups}
    assert len(rates) == 2
    assert max(rates) / min(rates) == pytest.approx(20)
