"""How likely rows are: against PCA, and as a function of the row alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import ROWS, noise
from sklearn.datasets import make_moons
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV

from skautoencoder import VAESampler
from skautoencoder.architectures import Conv, Dense

QUICK: dict[str, Any] = {"max_epochs": 2, "random_state": 0, "n_importance_samples": 9}


def gaussian_rows(
    n_features: int, code_size: int, n_samples: int, seed: int
) -> np.ndarray:
    random = np.random.RandomState(seed)
    loadings = random.normal(size=(n_features, code_size))
    codes = random.normal(size=(n_samples, code_size))
    rest = 0.5 * random.normal(size=(n_samples, n_features))
    return codes @ loadings.T + rest + 5 * random.normal(size=n_features)


@pytest.mark.parametrize(
    ("n_features", "code_size", "n_samples", "seed", "scale"),
    [(10, 3, 500, 0, 1.0), (30, 2, 300, 2, 1e4)],
)
def test_linear_networks_are_probabilistic_pca(
    n_features: int, code_size: int, n_samples: int, seed: int, scale: float
) -> None:
    X = scale * gaussian_rows(n_features, code_size, 2 * n_samples, seed)
    train, test = X[:n_samples], X[n_samples:]
    pca = PCA(code_size).fit(train)
    sampler = VAESampler(
        code_size,
        architecture=Dense(()),
        likelihood="gaussian",
        variance="shared",
        lr=0.05,
        max_epochs=20,
        random_state=0,
    ).fit(train)
    assert sampler.score(test) == pytest.approx(pca.score(test), rel=0.005)
    scores = sampler.score_samples(test)
    assert np.corrcoef(scores, pca.score_samples(test))[0, 1] > 0.99
    assert sampler.n_active_units_ == code_size


def test_two_crescents_in_a_plane() -> None:
    moons, _ = make_moons(800, noise=0.05, random_state=0)
    sampler = VAESampler(random_state=0).fit(moons[:400])
    # Two seeds have -.93 and -.82; with a quarter of the steps -1.34 and -1.27.
    assert sampler.score(moons[400:]) > -1.1


SAMPLERS = {
    "table": VAESampler(3, architecture=Dense((6,)), **QUICK),
    "normal": VAESampler(3, architecture=Dense((6,)), prior="normal", **QUICK),
    "bernoulli": VAESampler(3, likelihood="bernoulli", **QUICK),
    "gaussian": VAESampler(3, likelihood="gaussian", **QUICK),
    "conv": VAESampler(3, architecture=Conv((4, 6)), sample_shape=(8, 8), **QUICK),
    "conditional": VAESampler(3, likelihood="bernoulli", conditional=True, **QUICK),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_row_has_one_score(name: str) -> None:
    X, y = ROWS[:60], np.arange(60) % 3
    sampler = SAMPLERS[name].fit(X, y)
    scores = sampler.score_samples(X)
    assert np.isfinite(scores).all()
    order = np.random.RandomState(0).permutation(len(X))
    np.testing.assert_array_equal(sampler.score_samples(X[order]), scores[order])
    np.testing.assert_array_equal(sampler.score_samples(X[:7]), scores[:7])
    np.testing.assert_array_equal(sampler.score_samples(X[5:6]), scores[5:6])
    assert sampler.score(X) == pytest.approx(scores.mean())


@pytest.mark.parametrize("prior", ["normal", "mixture"])
def test_a_row_of_categories_and_repeated_values_has_one_score(prior: str) -> None:
    random = np.random.RandomState(0)
    frame = pd.DataFrame(random.normal(size=(120, 9)).clip(0, 1)).add_prefix("x")
    frame["category"] = random.choice(["a", "b", "c"], 120)
    sampler = VAESampler(2, prior=prior, **QUICK).fit(frame)
    scores = sampler.score_samples(frame)
    for n_rows in (1, 2, 3, 5, 23):
        for start in range(0, 120 - n_rows, 31):
            part = slice(start, start + n_rows)
            alone = sampler.score_samples(frame.iloc[part])
            np.testing.assert_array_equal(alone, scores[part])


def test_more_importance_samples_come_closer() -> None:
    sampler = VAESampler(
        5,
        likelihood="bernoulli",
        architecture=Dense((32,)),
        max_epochs=3,
        random_state=0,
    ).fit(ROWS[:300])
    # Of rows such as it has not seen, posteriors are poor and bounds are loose.
    X, bounds = 1 - ROWS[1000:1050], []
    for n_samples in (1, 10, 50):
        sampler.set_params(n_importance_samples=n_samples)
        drawn = []
        # All rows share their noise: the mean is over draws of it.
        for seed in range(4):
            sampler.net_.seed = seed
            drawn.append(sampler.score(X))
        bounds.append(np.mean(drawn))
    assert bounds[0] < bounds[1] < bounds[2]


def test_units_change_the_density_by_their_logarithm() -> None:
    X = noise(300, 4)
    one = VAESampler(2, likelihood="gaussian", **QUICK).fit(X)
    other = VAESampler(2, likelihood="gaussian", **QUICK).fit(1000 * X)
    np.testing.assert_allclose(
        one.score_samples(X) - other.score_samples(1000 * X),
        4 * np.log(1000),
        rtol=1e-4,
    )


@pytest.mark.parametrize("likelihood", ["auto", "gaussian"])
def test_density_of_one_feature_sums_to_one(likelihood: str) -> None:
    X = noise(500, 1) * 2 + 10
    sampler = VAESampler(
        2,
        likelihood=likelihood,
        architecture=Dense((16,)),
        n_importance_samples=200,
        max_epochs=20,
        random_state=0,
    ).fit(X)
    grid = np.linspace(0, 20, 200)[:, np.newaxis]
    density = np.exp(sampler.score_samples(grid))
    assert np.sum(
        (density[1:] + density[:-1]) / 2 * np.diff(grid[:, 0])
    ) == pytest.approx(1, abs=0.02)


def test_likelihood_of_ones_and_zeros_sums_to_one() -> None:
    X = (noise(400, 3) + noise(400, 1, seed=1) > 0).astype(float)
    sampler = VAESampler(
        2,
        likelihood="bernoulli",
        architecture=Dense((16,)),
        n_importance_samples=500,
        max_epochs=25,
        random_state=0,
    ).fit(X)
    every = np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)])
    probability = np.exp(sampler.score_samples(every.astype(float)))
    assert probability.sum() == pytest.approx(1, abs=0.02)
    counted = [(row == X).all(axis=1).mean() for row in every]
    np.testing.assert_allclose(probability, counted, atol=0.04)


def test_outliers_are_unlikely() -> None:
    X = noise(200, 5)
    sampler = VAESampler(
        2,
        architecture=Dense((32,)),
        n_importance_samples=20,
        max_epochs=10,
        random_state=0,
    ).fit(X)
    assert sampler.score_samples(X + 8).max() < np.quantile(
        sampler.score_samples(X), 0.01
    )


def test_grid_search_by_likelihood() -> None:
    search = GridSearchCV(
        VAESampler(likelihood="gaussian", architecture=Dense((8,)), **QUICK),
        {"code_size": [1, 3]},
        cv=2,
    ).fit(noise(80, 6))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
