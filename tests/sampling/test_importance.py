"""Against linear models, whose likelihood is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch import nn

from skautoencoder.architectures import VariationalNetwork
from skautoencoder.objectives import GaussianLikelihood
from skautoencoder.sampling.importance import importance_weighted
from skautoencoder.sampling.priors import MixturePrior, NormalPrior, Prior

# Orthogonal, so that posteriors are independent from unit to unit.
LOADINGS = torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, -2.0]])


def linear_network(wider: float = 0.0) -> VariationalNetwork:
    """Return a network whose posteriors are exact, but for their width.

    Rows are LOADINGS @ code + noise of variance 1.
    """
    precision = 1 + LOADINGS.square().sum(dim=0)
    encoder, decoder = nn.Linear(4, 4), nn.Linear(2, 4, bias=False)
    with torch.no_grad():
        encoder.weight[:2] = (LOADINGS / precision).T
        encoder.weight[2:] = 0.0
        encoder.bias[:2] = 0.0
        encoder.bias[2:] = -precision.log() + wider
        decoder.weight.copy_(LOADINGS)
    likelihood = GaussianLikelihood(4)
    return VariationalNetwork(encoder, decoder, likelihood, nn.Identity()).eval()


def some_rows(n_rows: int = 50) -> torch.Tensor:
    random = np.random.RandomState(0)
    rows = random.normal(size=(n_rows, 2)) @ LOADINGS.numpy().T
    return torch.from_numpy(rows + random.normal(size=(n_rows, 4))).float()


def some_noise(n_samples: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n_samples, 2, generator=torch.Generator().manual_seed(seed))


def estimate(
    network: VariationalNetwork, noise: torch.Tensor, prior: Prior | None = None
) -> np.ndarray:
    with torch.no_grad():
        found = importance_weighted(
            network, prior or NormalPrior(2), some_rows(), noise
        )
    assert found.dtype == torch.float64
    return found.numpy()


def exact(covariance: np.ndarray | None = None) -> np.ndarray:
    loadings = LOADINGS.numpy()
    inner = np.eye(2) if covariance is None else covariance
    covariance = loadings @ inner @ loadings.T + np.eye(4)
    return multivariate_normal(np.zeros(4), covariance).logpdf(some_rows().numpy())


@pytest.mark.parametrize("n_samples", [1, 3, 200])
def test_an_exact_posterior_gives_the_likelihood_from_any_noise(
    n_samples: int,
) -> None:
    found = estimate(linear_network(), some_noise(n_samples))
    np.testing.assert_allclose(found, exact(), atol=2e-5)


def test_another_posterior_gives_a_bound_that_closes() -> None:
    network = linear_network(wider=1.0)
    gaps = []
    # All rows share their noise, so the mean is over draws of it.
    for n_samples, n_draws in ((1, 300), (10, 100), (100, 50), (10_000, 3)):
        found = [
            estimate(network, some_noise(n_samples, seed)) for seed in range(n_draws)
        ]
        gaps.append(np.mean(exact() - np.mean(found, axis=0)))
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] > -0.01
    assert abs(gaps[3]) < 5e-3


def test_a_mixture_as_the_prior() -> None:
    # One component with another covariance, against the model that it makes.
    factor = np.array([[0.7, 0.0], [0.0, 1.3]])
    prior = MixturePrior(np.ones(1), np.zeros((1, 2)), factor[np.newaxis])
    network = linear_network(wider=0.3)
    found = estimate(network, some_noise(10_000), prior)
    np.testing.assert_allclose(found, exact(factor @ factor.T), atol=0.05)


def test_rows_far_away_are_finite() -> None:
    with torch.no_grad():
        found = importance_weighted(
            linear_network(), NormalPrior(2), 1e6 * some_rows(), some_noise(10)
        )
    assert found.isfinite().all()
    assert (found < -1e9).all()
