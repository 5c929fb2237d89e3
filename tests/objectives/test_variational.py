"""Against torch's own distributions and optima in closed form."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.distributions import kl_divergence as torch_kl_divergence

from skautoencoder.objectives import (
    BernoulliLikelihood,
    GaussianLikelihood,
    VariationalObjective,
    bounded_log_variance,
    kl_divergence,
)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class Fixed(nn.Module):
    """Answers with the posteriors and means that it was given."""

    def __init__(self, mean: Tensor, log_variance: Tensor, likelihood: nn.Module):
        super().__init__()
        self.mean, self.log_variance = mean, log_variance
        self.likelihood = likelihood
        self.n_classes = 0
        self.told: list[Tensor | None] = []
        self.shown: list[Tensor] = []

    def posterior(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        self.shown.append(rows)
        return self.mean, self.log_variance

    def decode_logits(self, codes: Tensor, labels: Tensor | None) -> Tensor:
        self.told.append(labels)
        return torch.zeros(len(codes), 4)


def test_divergence_from_the_standard_normal() -> None:
    mean, log_variance = 2 * numbers(50, 3), numbers(50, 3, seed=1)
    posterior = Normal(mean, (0.5 * log_variance).exp())
    torch.testing.assert_close(
        kl_divergence(mean, log_variance),
        torch_kl_divergence(posterior, Normal(0.0, 1.0)),
    )
    assert kl_divergence(torch.zeros(1), torch.zeros(1)).item() == 0


def test_objective_is_the_sum_of_its_parts() -> None:
    mean, log_variance, rows = numbers(6, 2), numbers(6, 2, seed=1), numbers(6, 4)
    network = Fixed(mean, log_variance, GaussianLikelihood(4))
    divergence = kl_divergence(mean, log_variance).sum(dim=1)
    likely = network.likelihood.log_likelihood(torch.zeros(6, 4), rows)
    for beta in (0.0, 1.0, 4.0):
        objective = VariationalObjective(beta=beta)(network, rows, rows)
        torch.testing.assert_close(objective, (beta * divergence - likely).mean())


def test_warm_up_in_training_only() -> None:
    network = Fixed(numbers(6, 2), numbers(6, 2, seed=1), GaussianLikelihood(4))
    rows = numbers(6, 4, seed=2)
    objective = VariationalObjective(beta=2.0, warm_up=0.5)
    values = {}
    for progress in (0.0, 0.25, 0.5, 0.9):
        objective.progress = progress
        values[progress] = objective(network.train(), rows, rows).item()
        whole = objective(network.eval(), rows, rows).item()
        assert whole == pytest.approx(values.get(0.5, whole))
    assert values[0.5] == values[0.9]
    assert values[0.25] == pytest.approx((values[0.0] + values[0.5]) / 2)


def test_probabilities_become_ones_and_zeros_anew() -> None:
    network = Fixed(numbers(6, 2), numbers(6, 2), BernoulliLikelihood())
    rows = torch.full((6, 4), 0.5)
    objective = VariationalObjective(binarizes=True)
    for _ in range(2):
        objective(network, rows, rows)
    first, second = network.shown
    assert set(first.unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(first, second)


def test_classes_come_as_targets() -> None:
    network = Fixed(numbers(6, 2), numbers(6, 2), GaussianLikelihood(4))
    rows, labels = numbers(6, 4), torch.eye(6)[:, :3]
    VariationalObjective()(network, rows, labels)
    network.n_classes = 3
    VariationalObjective()(network, rows, labels)
    assert network.told[0] is None
    assert network.told[1] is labels


def test_log_variances_are_bounded_smoothly() -> None:
    raw = torch.linspace(-60, 60, 241, requires_grad=True)
    bounded = bounded_log_variance(raw)
    assert bounded.min() >= -14
    assert bounded.max() <= 4
    assert (bounded.diff() >= 0).all()
    near = (raw > -8) & (raw < 0)
    torch.testing.assert_close(bounded[near], raw[near], atol=0.02, rtol=0)
    bounded.sum().backward()
    assert raw.grad.isfinite().all()
    huge = bounded_log_variance(torch.tensor([-1e30, 1e30]))
    torch.testing.assert_close(huge, torch.tensor([-14.0, 4.0]))
