"""Against scipy's distributions, and on codes whose distribution is known."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from skautoencoder.sampling.priors import MixturePrior, NormalPrior, fit_mixture


def test_normal_density() -> None:
    codes = np.random.RandomState(0).normal(size=(20, 3))
    expected = multivariate_normal(np.zeros(3), np.eye(3)).logpdf(codes)
    found = NormalPrior(3).log_density(torch.from_numpy(codes))
    np.testing.assert_allclose(found.numpy(), expected)


def some_mixture() -> MixturePrior:
    factors = np.array([[[1.0, 0.0], [0.8, 0.3]], [[0.2, 0.0], [-0.1, 2.0]]])
    return MixturePrior(np.array([0.3, 0.7]), np.array([[0, 0], [4.0, -1.0]]), factors)


def test_mixture_density() -> None:
    prior = some_mixture()
    codes = 2 * np.random.RandomState(0).normal(size=(20, 2))
    expected = np.log(
        sum(
            weight * multivariate_normal(mean, factor @ factor.T).pdf(codes)
            for weight, mean, factor in zip(
                prior.weights, prior.means, prior.factors, strict=True
            )
        )
    )
    found = prior.log_density(torch.from_numpy(codes))
    np.testing.assert_allclose(found.numpy(), expected)


def test_what_a_mixture_keeps_changes_no_answer() -> None:
    codes = torch.from_numpy(np.random.RandomState(0).normal(size=(20, 2))).float()
    with torch.inference_mode():
        first = (prior := some_mixture()).log_density(codes)
    for same in (prior, pickle.loads(pickle.dumps(prior)), copy.deepcopy(prior)):
        assert torch.equal(same.log_density(codes), first)
    # In the precision of the codes.
    np.testing.assert_allclose(prior.log_density(codes.double()), first, rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_mixture_draws_have_its_moments(seed: int) -> None:
    prior = some_mixture()
    codes = prior.sample(50_000, np.random.RandomState(seed))
    mean = prior.weights @ prior.means
    np.testing.assert_allclose(codes.mean(axis=0), mean, atol=0.05)
    second = sum(
        weight * (factor @ factor.T + np.outer(center, center))
        for weight, center, factor in zip(
            prior.weights, prior.means, prior.factors, strict=True
        )
    )
    covariance = second - np.outer(mean, mean)
    np.testing.assert_allclose(np.cov(codes.T), covariance, rtol=0.03, atol=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_fit_finds_the_groups(seed: int) -> None:
    random = np.random.RandomState(seed)
    centers = np.array([[-5.0, 0], [5, 0], [0, 7]])
    # Posteriors have a width, which adds to that of their means.
    truth = MixturePrior(
        np.full(3, 1 / 3), centers, np.tile(np.hypot(0.3, 0.4) * np.eye(2), (3, 1, 1))
    )
    means = centers[random.randint(3, size=600)] + 0.3 * random.normal(size=(600, 2))
    prior = fit_mixture(means, np.full_like(means, 0.4), seed)
    assert 3 <= len(prior.weights) <= 6
    fresh = torch.from_numpy(truth.sample(5000, random))
    lost = truth.log_density(fresh) - prior.log_density(fresh)
    assert 0 < lost.mean() < 0.06


@pytest.mark.parametrize("seed", range(3))
def test_one_group_is_one_component(seed: int) -> None:
    means = np.random.RandomState(seed).normal(size=(500, 4))
    assert len(fit_mixture(means, np.full_like(means, 0.3), seed).weights) <= 2


@pytest.mark.parametrize("n_rows", [1, 2, 4])
def test_few_rows_are_as_wide_as_their_posteriors(n_rows: int) -> None:
    random = np.random.RandomState(0)
    means = random.normal(size=(n_rows, 5))
    prior = fit_mixture(means, np.full_like(means, 0.5), 0)
    covariance = prior.factors[0] @ prior.factors[0].T
    assert np.linalg.eigvalsh(covariance).min() > 0.02


def test_the_same_seed_gives_the_same_mixture() -> None:
    means = np.random.RandomState(0).normal(size=(100, 3))
    one, other = (fit_mixture(means, np.ones_like(means), 7) for _ in range(2))
    np.testing.assert_array_equal(one.factors, other.factors)
