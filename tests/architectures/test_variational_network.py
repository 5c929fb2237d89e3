"""Networks whose codes are distributions: what each architecture makes of them."""

from __future__ import annotations

import functools
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from helpers import DIGITS, IMAGES, ROWS, assert_same_weights, noise
from sklearn.base import clone
from torch import nn

from skautoencoder import VAESampler
from skautoencoder.architectures import Conv, Custom, Dense, VariationalNetwork
from skautoencoder.objectives import (
    BernoulliLikelihood,
    GaussianLikelihood,
    bounded_log_variance,
)

SEEDS = [0, 1, 2]
OWN = Custom(
    lambda code_size: nn.Sequential(nn.Flatten(), nn.LazyLinear(code_size)),
    lambda code_size, sample_shape: nn.Linear(code_size, int(np.prod(sample_shape))),
)
ARCHITECTURES = {
    "linear": Dense(()),
    "dense": Dense((12, 9)),
    "normalised": Dense((12,), batch_norm=True, dropout=0.2),
    "conv": Conv((4, 6)),
    "conv, hidden": Conv((4, 6), hidden_layer_sizes=(9,), batch_norm=True),
    "conv, residual": Conv((4, 6), residual=True, downsampling="max_pool"),
    "custom": OWN,
}
each_architecture = pytest.mark.parametrize("name", ARCHITECTURES)


def built(
    architecture: Any,
    sample_shape: tuple[int, ...] = (64,),
    code_size: int = 3,
    seed: int = 0,
    **params: Any,
) -> VariationalNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        likelihood = params.pop("likelihood", BernoulliLikelihood())
        network = architecture.build_variational(
            sample_shape, code_size, likelihood, bounded_log_variance, **params
        )
        network(torch.zeros(2, int(np.prod(sample_shape))))
        return network


def rows(*shape: int) -> torch.Tensor:
    return torch.from_numpy(noise(*shape)).float()


# ---- shapes ------------------------------------------------------------------------


@each_architecture
@pytest.mark.parametrize("sample_shape", [(12,), (5, 7), (1, 8, 8), (3, 6, 5)])
@pytest.mark.parametrize("n_classes", [0, 4])
def test_shapes(name: str, sample_shape: tuple[int, ...], n_classes: int) -> None:
    network = built(ARCHITECTURES[name], sample_shape, n_classes=n_classes)
    n_features = int(np.prod(sample_shape))
    means, log_variances = network.posterior(rows(5, n_features))
    assert means.shape == log_variances.shape == (5, 3)
    codes, labels = (
        torch.zeros(5, 3),
        torch.eye(max(n_classes, 1))[torch.zeros(5).long()],
    )
    answer = network.decode_logits(codes, labels if n_classes else None)
    assert answer.shape == (5, n_features)
    assert network.decode(codes).shape == (5, n_features)
    assert network.n_classes == n_classes


@each_architecture
def test_gradients_reach_every_weight(name: str) -> None:
    network = built(ARCHITECTURES[name], (8, 8), n_classes=2)
    means, log_variances = network.posterior(rows(9, 64))
    codes = means + (0.5 * log_variances).exp()
    labels = torch.eye(2)[torch.arange(9) % 2]
    network.decode_logits(codes, labels).square().sum().backward()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name


@each_architecture
def test_classes_reach_the_decoder(name: str) -> None:
    network = built(ARCHITECTURES[name], (8, 8), n_classes=3).eval()
    code = torch.zeros(1, 3)
    answers = [network.decode_logits(code, label[None]) for label in torch.eye(3)]
    for one, other in [(0, 1), (0, 2), (1, 2)]:
        assert not torch.allclose(answers[one], answers[other], atol=1e-4)
    alike = network.decode_logits(code, torch.full((1, 3), 1 / 3))
    torch.testing.assert_close(network.decode_logits(code), alike)


@each_architecture
@pytest.mark.parametrize("size", [0.0, 1.0, 1e6])
def test_posteriors_are_bounded(name: str, size: float) -> None:
    network = built(ARCHITECTURES[name]).eval()
    _, log_variances = network.posterior(size * rows(20, 64))
    assert log_variances.isfinite().all()
    deviations = (0.5 * log_variances).exp()
    assert (deviations > 0).all()
    assert deviations.max() < 100


@each_architecture
def test_the_seed_decides(name: str) -> None:
    one, same, other = (
        built(ARCHITECTURES[name], seed=seed).state_dict() for seed in (0, 0, 1)
    )
    assert one.keys() == same.keys()
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


def test_the_likelihood_says_what_answers_mean() -> None:
    network = built(Dense((8,))).eval()
    codes = rows(5, 3)
    torch.testing.assert_close(
        network.decode(codes), network.decode_logits(codes).sigmoid()
    )
    network = built(Dense((8,)), likelihood=GaussianLikelihood(64)).eval()
    torch.testing.assert_close(network.decode(codes), network.decode_logits(codes))


def test_modules_of_the_users_own_are_copied() -> None:
    encoder, decoder = nn.Linear(64, 6), nn.Linear(3, 64)
    network = built(Custom(encoder, decoder))
    assert network.encoder is not encoder
    assert torch.equal(network.encoder.weight, encoder.weight)


# ---- the reference network ---------------------------------------------------------


def reference(**params: Any) -> VAESampler:
    """Return the convolutional network that variational autoencoders are shown with."""
    architecture = Conv(
        (32, 64), upsampling="nearest", activation="relu", hidden_layer_sizes=(16,)
    )
    return VAESampler(**{"architecture": architecture, "code_size": 2, **params})


def bound_without_code(train: np.ndarray, test: np.ndarray) -> float:
    """Return the log-likelihood of the best model that has no code, in nats."""
    share = np.clip(train.mean(axis=0), 1e-3, 1 - 1e-3)
    each = test * np.log(share) + (1 - test) * np.log(1 - share)
    return float(each.sum(axis=(1, 2)).mean())


def test_variational() -> None:
    train, test = IMAGES[:500], IMAGES[1500:1700]
    sampler = reference(
        max_epochs=8, batch_size=32, lr=1e-2, n_importance_samples=10, random_state=0
    ).fit(train)
    assert sampler.likelihood_ == "bernoulli"
    assert sampler.n_active_units_ == 2
    assert np.isfinite(sampler.history_[:, "train_loss"]).all()
    scores = sampler.score_samples(test)
    assert np.isfinite(scores).all()
    assert scores.mean() > bound_without_code(train, test) + 0.5
    drawn = sampler.sample(20, random_state=0)
    assert drawn.shape == (20, 8, 8)
    assert drawn.std(axis=0).max() > 0.1


def test_variational_at_the_size_of_mnist() -> None:
    network = built(reference().architecture, (28, 28), code_size=2)
    means, log_variances = network.posterior(rows(3, 784))
    assert means.shape == log_variances.shape == (3, 2)
    assert network.decode(means).shape == (3, 784)


# ---- a fitted sampler as an object -------------------------------------------------

SAMPLERS: dict[str, Any] = {
    "dense": {"architecture": Dense((8,))},
    "bernoulli": {"likelihood": "bernoulli"},
    "conv": {"architecture": Conv((4, 6)), "sample_shape": (8, 8)},
    "normal": {"likelihood": "gaussian", "prior": "normal"},
    "classes": {"conditional": True, "architecture": Dense((8,))},
}
each_sampler = pytest.mark.parametrize("name", SAMPLERS)
X, Y = ROWS[:60], DIGITS.target[:60] % 3


def quick(name: str, **params: Any) -> VAESampler:
    defaults = {"code_size": 2, "max_epochs": 2, "n_importance_samples": 2}
    return VAESampler(**{**defaults, "random_state": 0, **SAMPLERS[name], **params})


@functools.cache
def fitted(name: str) -> VAESampler:
    return quick(name).fit(X, Y)


def assert_same_answers(one: VAESampler, other: VAESampler) -> None:
    for ask in (
        lambda sampler: sampler.score_samples(X),
        lambda sampler: sampler.transform(X),
        lambda sampler: sampler.predict(X),
        lambda sampler: sampler.sample(7, random_state=0),
    ):
        np.testing.assert_array_equal(ask(one), ask(other))


@each_sampler
def test_pickles(name: str) -> None:
    sampler = fitted(name)
    loaded = pickle.loads(pickle.dumps(sampler))
    assert_same_weights(sampler, loaded)
    assert_same_answers(sampler, loaded)
    assert loaded.n_active_units_ == sampler.n_active_units_


@each_sampler
def test_clones(name: str) -> None:
    sampler = fitted(name)
    fresh = clone(sampler)
    assert not hasattr(fresh, "net_")
    assert repr(fresh) == repr(sampler)
    fresh.fit(X, Y)
    assert_same_weights(sampler, fresh)
    assert_same_answers(sampler, fresh)


@each_sampler
def test_warm_start_continues(name: str) -> None:
    sampler = quick(name, warm_start=True).fit(X, Y)
    first = sampler.history_[-1, "train_loss"]
    weights = {key: w.clone() for key, w in sampler.net_.module_.state_dict().items()}
    assert sampler.fit(X, Y).n_iter_ == 4
    assert sampler.history_[-1, "train_loss"] != first
    now = sampler.net_.module_.state_dict()
    assert any(not torch.equal(now[key], weight) for key, weight in weights.items())
    # Without, a fit starts anew.
    sampler.set_params(warm_start=False).fit(X, Y)
    assert_same_answers(sampler, fitted(name))


def test_a_warm_start_with_another_likelihood_is_refused() -> None:
    sampler = quick("bernoulli", warm_start=True).fit(X)
    message = "had likelihood='bernoulli', but now it is 'gaussian'"
    with pytest.raises(ValueError, match=message):
        sampler.set_params(likelihood="gaussian").fit(X)


def test_warm_start_gets_better() -> None:
    sampler = quick("bernoulli", warm_start=True, max_epochs=4).fit(X)
    before = sampler.score(X)
    assert sampler.fit(X).fit(X).score(X) > before
