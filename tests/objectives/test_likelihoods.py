"""Against torch's own distributions."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Bernoulli, Normal

from skautoencoder.objectives import BernoulliLikelihood, GaussianLikelihood
from skautoencoder.objectives.likelihoods import bounded_below


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_bernoulli_of_ones_and_zeros() -> None:
    outputs = 3 * numbers(20, 7)
    rows = (numbers(20, 7, seed=1) > 0).float()
    expected = Bernoulli(logits=outputs).log_prob(rows).sum(dim=1)
    torch.testing.assert_close(
        BernoulliLikelihood().log_likelihood(outputs, rows), expected
    )


def test_bernoulli_of_a_probability_is_the_expected_one() -> None:
    outputs, probability = torch.tensor([[1.3]]), 0.3
    of = BernoulliLikelihood().log_likelihood
    one, zero = of(outputs, torch.ones(1, 1)), of(outputs, torch.zeros(1, 1))
    torch.testing.assert_close(
        of(outputs, torch.tensor([[probability]])),
        probability * one + (1 - probability) * zero,
    )


def test_bernoulli_is_finite_where_the_sigmoid_rounds() -> None:
    outputs, rows = torch.tensor([[200.0, -200.0]]), torch.tensor([[0.0, 1.0]])
    assert BernoulliLikelihood().log_likelihood(outputs, rows).item() == -400


def test_bernoulli_draws_ones_as_often_as_it_says() -> None:
    outputs = torch.tensor([-1.0, 0.0, 2.0]).expand(40_000, 3)
    likelihood = BernoulliLikelihood()
    drawn = likelihood.sample(outputs, torch.Generator().manual_seed(0))
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(
        drawn.mean(dim=0), likelihood.mean(outputs)[0], atol=0.01, rtol=0
    )


@pytest.mark.parametrize("shared", [False, True])
def test_gaussian_density(shared: bool) -> None:
    likelihood = GaussianLikelihood(5, shared=shared)
    with torch.no_grad():
        likelihood.raw_log_variance.copy_(
            0.2 * numbers(len(likelihood.raw_log_variance), seed=2)
        )
    outputs, rows = numbers(30, 5), numbers(30, 5, seed=1)
    deviation = (0.5 * likelihood.log_variance).exp()
    expected = Normal(outputs, deviation.expand(30, 5)).log_prob(rows).sum(dim=1)
    torch.testing.assert_close(likelihood.log_likelihood(outputs, rows), expected)


def test_gaussian_learns_the_variance_of_what_is_left() -> None:
    likelihood = GaussianLikelihood(3)
    deviation = torch.tensor([0.05, 1.0, 4.0])
    rows = deviation * numbers(4000, 3)
    optimizer = torch.optim.Adam(likelihood.parameters(), lr=1e-2)
    for _ in range(400):
        optimizer.zero_grad()
        (-likelihood.log_likelihood(torch.zeros(4000, 3), rows).mean()).backward()
        optimizer.step()
    learnt = (0.5 * likelihood.log_variance).exp()
    torch.testing.assert_close(learnt, rows.std(dim=0), rtol=0.02, atol=0)


def test_gaussian_draws_have_its_moments() -> None:
    likelihood = GaussianLikelihood(2)
    outputs = torch.tensor([1.0, -3.0]).expand(40_000, 2)
    drawn = likelihood.sample(outputs, torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn.mean(dim=0), outputs[0], atol=0.03, rtol=0)
    torch.testing.assert_close(
        drawn.var(dim=0), likelihood.log_variance.exp(), atol=0, rtol=0.03
    )


def test_variance_has_a_floor() -> None:
    likelihood = GaussianLikelihood(1)
    with torch.no_grad():
        likelihood.raw_log_variance.fill_(-1e4)
    assert likelihood.log_variance.item() == pytest.approx(math.log(1e-6))


def test_bounded_below() -> None:
    raw = torch.tensor([-1e6, -5.0, 0.0, 50.0], requires_grad=True)
    bounded = bounded_below(raw, -5.0)
    assert (bounded >= -5).all()
    assert bounded[3].item() == pytest.approx(50)
    bounded[1:].sum().backward()
    assert (raw.grad[1:] > 0).all()
