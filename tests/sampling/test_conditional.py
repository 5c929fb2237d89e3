"""Classes: rows of each, and how likely a row is of each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import DIGITS, ROWS, noise
from scipy.special import logsumexp

from skautoencoder import VAESampler
from skautoencoder.architectures import Custom, Dense

QUICK: dict[str, Any] = {"max_epochs": 2, "random_state": 0, "n_importance_samples": 9}


def two_groups(n_samples: int = 1500) -> tuple[np.ndarray, np.ndarray]:
    labels = np.array(["left", "right", "right"])[np.arange(n_samples) % 3]
    X = 0.5 * noise(n_samples, 2)
    X[:, 0] += np.where(labels == "left", -4, 4)
    return X, labels


# In a table the empty space between the groups is taken out: there is no room for
# what lies between the classes.
@pytest.mark.parametrize(
    ("likelihood", "prior", "share", "off"),
    [("gaussian", "normal", 0.97, 0.2), ("auto", "mixture", 0.83, 1.0)],
)
def test_rows_of_each_class(
    likelihood: str, prior: str, share: float, off: float
) -> None:
    X, y = two_groups(300)
    sampler = VAESampler(
        2,
        conditional=True,
        likelihood=likelihood,
        prior=prior,
        architecture=Dense((32,)),
        max_epochs=20,
        random_state=0,
    ).fit(X, y)
    left = sampler.sample(400, 0, y="left")[:, 0]
    right = sampler.sample(400, 0, y="right")[:, 0]
    assert np.mean(left < 0) > share
    assert np.mean(right > 0) > share
    assert left.mean() == pytest.approx(-4, abs=off)
    mixed = sampler.sample(3, 0, y=["left", "right", "left"])[:, 0]
    assert (np.sign(mixed) == [-1, 1, -1]).all()
    assert np.mean(sampler.sample(2000, 0)[:, 0] > 0) == pytest.approx(2 / 3, abs=0.05)


@pytest.mark.parametrize("unit", [1.0, 0.01])
def test_classes_are_as_frequent_as_the_weights_of_their_rows(unit: float) -> None:
    X, y = two_groups(90)
    params: dict[str, Any] = QUICK | {"likelihood": "gaussian", "conditional": True}
    weights = unit * np.where(y == "left", 6.0, 1.0)
    sampler = VAESampler(2, **params).fit(X, y, sample_weight=weights)
    apart = [sampler.score_samples(X, y=name) for name in ("left", "right")]
    joint = np.log([0.75, 0.25]) + np.transpose(apart)
    np.testing.assert_allclose(sampler.score_samples(X), logsumexp(joint, axis=1))


def test_a_class_of_little_weight_has_a_prior_all_the_same() -> None:
    X, y = two_groups(90)
    weights = np.where(y == "left", 1e-4, 1.0)
    sampler = VAESampler(2, conditional=True, **QUICK).fit(X, y, sample_weight=weights)
    assert np.isfinite(sampler.sample(3, 0, y="left")).all()


def test_likelihoods_of_classes() -> None:
    X, y = two_groups(300)
    sampler = VAESampler(
        2,
        conditional=True,
        likelihood="gaussian",
        architecture=Dense((16,)),
        n_importance_samples=10,
        max_epochs=8,
        random_state=0,
    ).fit(X, y)
    of_left, of_right = (
        sampler.score_samples(X, "left"),
        sampler.score_samples(X, "right"),
    )
    whole = sampler.score_samples(X)
    np.testing.assert_allclose(
        np.exp(whole), np.exp(of_left) / 3 + 2 * np.exp(of_right) / 3, rtol=1e-6
    )
    assert np.mean((of_left > of_right) == (y == "left")) > 0.99
    assert sampler.score(X, y) == pytest.approx(sampler.score_samples(X, y).mean())


def test_reconstruction_asks_the_likeliest_class() -> None:
    X, y = ROWS[:300], DIGITS.target[:300]
    sampler = VAESampler(
        4,
        likelihood="bernoulli",
        conditional=True,
        architecture=Dense((64,)),
        n_importance_samples=10,
        max_epochs=12,
        random_state=0,
    ).fit(X, y)
    told, guessed = sampler.predict(X, y), sampler.predict(X)
    same = np.isclose(told, guessed).all(axis=1)
    assert same.mean() > 0.7
    assert not np.isclose(told, sampler.predict(X, (y + 1) % 10)).all(axis=1).any()
    walk = sampler.interpolate(X[0], X[1], 3, y=y[0])
    np.testing.assert_allclose(walk[0], told[0], atol=1e-5)


def test_networks_of_the_users_own() -> None:
    from torch import nn

    X, y = two_groups(90)
    architecture = Custom(
        lambda code_size: nn.Linear(2, code_size),
        lambda code_size: nn.Linear(code_size, 2),
    )
    sampler = VAESampler(
        3, architecture=architecture, conditional=True, likelihood="gaussian", **QUICK
    ).fit(X, y)
    assert sampler.code_size_ == 3
    assert sampler.sample(5, 0, y="left").shape == (5, 2)


def test_classes_are_forgotten_with_a_fit_without() -> None:
    X, y = two_groups(90)
    sampler = VAESampler(3, conditional=True, **QUICK).fit(X, y)
    assert sampler.classes_.tolist() == ["left", "right"]
    sampler.set_params(conditional=False).fit(X)
    with pytest.raises(ValueError, match="does not know classes"):
        sampler.sample(1, y="left")


def test_classes_that_are_not_given_or_not_known() -> None:
    X, y = two_groups(90)
    sampler = VAESampler(3, conditional=True, **QUICK)
    with pytest.raises(ValueError, match="requires y to be passed"):
        sampler.fit(X)
    assert not hasattr(sampler, "net_")
    sampler.fit(X, y)
    for ask in (
        lambda: sampler.sample(1, y="up"),
        lambda: sampler.score_samples(X, "up"),
    ):
        with pytest.raises(ValueError, match="class that fit did not see: 'up'"):
            ask()
    with pytest.raises(ValueError, match="inconsistent numbers"):
        sampler.sample(3, y=["left", "right"])
