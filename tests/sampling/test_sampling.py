"""Rows that are drawn, and codes."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import IMAGES, ROWS, noise
from sklearn.base import clone

from skautoencoder import VAESampler
from skautoencoder.architectures import Conv, Dense

QUICK: dict[str, Any] = {"max_epochs": 2, "random_state": 0, "n_importance_samples": 9}


def correlated(n_samples: int, seed: int = 0) -> np.ndarray:
    random = np.random.RandomState(seed)
    one = random.normal(size=n_samples)
    other = 0.8 * one + 0.6 * random.normal(size=n_samples)
    return np.column_stack([3 * one - 1, other, random.normal(size=n_samples) + 2])


@pytest.mark.parametrize(
    ("likelihood", "prior", "seed", "max_epochs"),
    [("auto", "normal", 0, 30), ("gaussian", "mixture", 1, 12)],
)
def test_samples_have_the_moments_of_the_data(
    likelihood: str, prior: str, seed: int, max_epochs: int
) -> None:
    X = correlated(1000)
    sampler = VAESampler(
        3,
        architecture=Dense((32,)),
        likelihood=likelihood,
        prior=prior,
        max_epochs=max_epochs,
        random_state=seed,
    ).fit(X)
    drawn = sampler.sample(5000, random_state=seed)
    np.testing.assert_allclose(drawn.mean(axis=0), X.mean(axis=0), atol=0.35)
    np.testing.assert_allclose(drawn.std(axis=0), X.std(axis=0), rtol=0.2)
    np.testing.assert_allclose(np.corrcoef(drawn.T), np.corrcoef(X.T), atol=0.12)


def test_the_seed_decides() -> None:
    sampler = VAESampler(3, **QUICK).fit(noise(60, 4))
    one, same = sampler.sample(5, random_state=1), sampler.sample(5, random_state=1)
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, sampler.sample(5, random_state=2))
    assert not np.array_equal(sampler.sample(5), sampler.sample(5))
    assert sampler.sample().shape == (1, 4)


@pytest.mark.parametrize("shape", [(4, 8, 8), (4, 1, 8, 8)])
def test_images_come_back_as_images(shape: tuple[int, ...]) -> None:
    X = IMAGES[:100].reshape(100, *shape[1:])
    sampler = VAESampler(3, architecture=Conv((4, 6)), **QUICK).fit(X)
    assert sampler.likelihood_ == "bernoulli"
    assert sampler.sample(4).shape == shape
    assert sampler.predict(X[:4]).shape == shape
    assert sampler.inverse_transform(sampler.transform(X[:4])).shape == shape
    assert sampler.interpolate(X[0], X[1], 4).shape == shape


def test_ones_and_zeros_are_drawn_where_the_data_have_no_others() -> None:
    X = (ROWS[:200] > 0.5).astype(np.float32)
    sampler = VAESampler(3, likelihood="bernoulli", **QUICK).fit(X)
    drawn = sampler.sample(20, random_state=0)
    assert set(np.unique(drawn)) == {0, 1}
    assert drawn.dtype == np.float32


def test_grey_values_are_drawn_where_the_data_have_some() -> None:
    sampler = VAESampler(3, likelihood="bernoulli", **QUICK).fit(ROWS[:200])
    drawn = sampler.sample(20, random_state=0)
    assert ((drawn > 0.01) & (drawn < 0.99)).any()


def test_posterior_and_back() -> None:
    X = correlated(400)
    sampler = VAESampler(
        2,
        likelihood="gaussian",
        prior="normal",
        architecture=Dense((16,)),
        max_epochs=15,
        random_state=0,
    ).fit(X)
    means, deviations = sampler.transform(X, return_std=True)
    np.testing.assert_array_equal(means, sampler.transform(X))
    assert means.shape == deviations.shape == (400, 2)
    assert (deviations > 0).all()
    # Together they are spread like the prior.
    total = means.var(axis=0) + np.square(deviations).mean(axis=0)
    np.testing.assert_allclose(total, 1, atol=0.25)
    np.testing.assert_allclose(
        sampler.inverse_transform(means), sampler.predict(X), atol=1e-5
    )
    explained = 1 - (X - sampler.predict(X)).var() / X.var()
    assert explained > 0.8


def test_interpolation_goes_from_one_to_the_other() -> None:
    sampler = VAESampler(3, likelihood="gaussian", **QUICK).fit(ROWS[:200])
    walk = sampler.interpolate(ROWS[0], ROWS[1], 5)
    ends = sampler.predict(ROWS[:2])
    np.testing.assert_allclose(walk[[0, -1]], ends, atol=1e-5)
    middle = sampler.transform(ROWS[:2]).mean(axis=0, keepdims=True)
    np.testing.assert_allclose(walk[2:3], sampler.inverse_transform(middle), atol=1e-5)


def test_frames_of_numbers_come_back_as_frames() -> None:
    X = pd.DataFrame(noise(60, 3), columns=["a", "b", "c"])
    sampler = VAESampler(2, likelihood="gaussian", **QUICK).fit(X)
    for given in (sampler.sample(4), sampler.predict(X)):
        assert list(given.columns) == ["a", "b", "c"]
        assert (given.dtypes == X.dtypes).all()
    assert sampler.set_output(transform="pandas").transform(X).shape == (60, 2)


@pytest.mark.parametrize("round_trip", [clone, lambda e: pickle.loads(pickle.dumps(e))])
def test_round_trips(round_trip: Any) -> None:
    X = noise(60, 4)
    sampler = round_trip(VAESampler(3, **QUICK).fit(X))
    if not hasattr(sampler, "net_"):
        sampler.fit(X)
    fresh = VAESampler(3, **QUICK).fit(X)
    np.testing.assert_array_equal(sampler.sample(5, 0), fresh.sample(5, 0))
    np.testing.assert_array_equal(sampler.score_samples(X), fresh.score_samples(X))


def test_global_generators_stay_as_they_are() -> None:
    import torch

    numpy_before = np.random.get_state()[1].copy()  # noqa: NPY002
    torch_before = torch.get_rng_state()
    sampler = VAESampler(3, **QUICK).fit(noise(60, 4))
    sampler.sample(3)
    sampler.score_samples(noise(60, 4))
    numpy_after = np.random.get_state()[1]  # noqa: NPY002
    np.testing.assert_array_equal(numpy_after, numpy_before)
    assert torch.equal(torch.get_rng_state(), torch_before)


@pytest.mark.parametrize(
    "X",
    [
        np.ones((50, 4)),
        np.hstack([noise(50, 3), np.full((50, 1), 7.0)]),
        1e6 + noise(50, 4),
        1e-9 * noise(50, 4),
        np.repeat(noise(5, 4), 10, axis=0),
        noise(3, 4),
    ],
    ids=["constant", "constant column", "far", "tiny", "repeated", "few"],
)
@pytest.mark.parametrize("likelihood", ["auto", "gaussian"])
def test_odd_data_are_finite(X: np.ndarray, likelihood: str) -> None:
    sampler = VAESampler(
        2,
        likelihood=likelihood,
        n_importance_samples=9,
        random_state=0,
        max_epochs=8,
    ).fit(X)
    assert np.isfinite(sampler.score_samples(X)).all()
    drawn = sampler.sample(20, random_state=0)
    assert np.isfinite(drawn).all()
    if np.ptp(X) > 0:
        assert np.abs(drawn - X.mean(axis=0)).max() < 20 * np.ptp(X, axis=0).max()


def test_active_units() -> None:
    # Three numbers say all of these rows; the others have nothing to add.
    X = noise(400, 3) @ noise(3, 10, seed=1) + 0.1 * noise(400, 10, seed=2)
    sampler = VAESampler(
        8,
        likelihood="gaussian",
        architecture=Dense((32,)),
        max_epochs=25,
        random_state=0,
    ).fit(X)
    assert 3 <= sampler.n_active_units_ <= 4


def test_collapse_is_reported() -> None:
    sampler = VAESampler(
        3,
        likelihood="gaussian",
        architecture=Dense((16,)),
        beta=1000.0,  # with 1, all three are active
        kl_warm_up=0.0,
        max_epochs=10,
        random_state=0,
    ).fit(noise(150, 4))
    assert sampler.n_active_units_ == 0


def test_defaults_do_not_collapse() -> None:
    sampler = VAESampler(random_state=0, sample_shape=(8, 8), max_epochs=5).fit(
        ROWS[:300]
    )
    assert sampler.n_active_units_ >= 10


def test_early_stopping_and_warm_start() -> None:
    X = noise(80, 4)
    stopped = VAESampler(2, early_stopping=True, **QUICK).fit(X)
    assert "valid_loss" in stopped.history_[-1]
    sampler = VAESampler(2, warm_start=True, **QUICK).fit(X)
    assert sampler.fit(X).n_iter_ == 4
