"""How the columns of a table go together, in rows that are drawn and in likelihoods."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from skautoencoder import VAESampler

SEEDS = range(1)
# The defaults come closer, with four times as many epochs.
QUICK = {"max_epochs": 60, "lr": 0.03}


def related(n_rows: int, seed: int) -> pd.DataFrame:
    """A category that decides a number, numbers that go together, modes and tails."""
    random = np.random.RandomState(seed)
    kind = random.choice(["low", "middle", "high"], n_rows, p=[0.5, 0.3, 0.2])
    mean = pd.Series(kind).map({"low": -6.0, "middle": 0.0, "high": 6.0}).to_numpy()
    one = random.normal(size=n_rows)
    return pd.DataFrame(
        {
            "kind": pd.Categorical(kind),
            "level": mean + random.normal(size=n_rows),
            "one": 100 + 20 * one,
            "other": -0.9 * one + np.sqrt(1 - 0.81) * random.normal(size=n_rows),
            "modes": random.choice([-10.0, 0.0, 10.0], n_rows)
            + random.normal(size=n_rows),
            "tails": random.standard_t(2, n_rows),
        }
    )


@functools.cache
def fitted_to_related(seed: int) -> VAESampler:
    return VAESampler(random_state=seed, **QUICK).fit(related(1000, seed))


@functools.cache
def drawn_like_related(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows = fitted_to_related(seed).sample(4000, random_state=seed)
    return related(1000, seed), rows


@pytest.mark.parametrize("seed", SEEDS)
def test_a_category_decides_the_mean_of_a_number(seed: int) -> None:
    X, rows = drawn_like_related(seed)
    means, expected = (
        t.groupby("kind", observed=True)["level"].mean() for t in (rows, X)
    )
    np.testing.assert_allclose(means, expected, atol=1.5)
    shares = rows["kind"].value_counts(normalize=True).sort_index()
    expected = X["kind"].value_counts(normalize=True).sort_index()
    np.testing.assert_allclose(shares, expected, atol=0.06)


@pytest.mark.parametrize("seed", SEEDS)
def test_numbers_stay_correlated(seed: int) -> None:
    X, rows = drawn_like_related(seed)
    numbers = ["one", "other", "modes", "level"]
    np.testing.assert_allclose(
        rows[numbers].corr("spearman"), X[numbers].corr("spearman"), atol=0.13
    )
    assert rows["one"].corr(rows["other"]) < -0.82


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["level", "one", "other", "modes", "tails"])
def test_each_number_is_distributed_as_in_the_data(name: str, seed: int) -> None:
    X, rows = drawn_like_related(seed)
    assert stats.ks_2samp(X[name], rows[name]).statistic < 0.08


@pytest.mark.parametrize("seed", SEEDS)
def test_all_modes_are_drawn_and_little_between(seed: int) -> None:
    _, rows = drawn_like_related(seed)
    modes = rows["modes"]
    for mode in (-10, 0, 10):
        assert (np.abs(modes - mode) < 4).mean() == pytest.approx(1 / 3, abs=0.08)
    # Of a table without modes, 15 % would lie here.
    assert (np.abs(np.abs(modes) - 5) < 1).mean() < 0.05


@pytest.mark.parametrize("seed", SEEDS)
def test_heavy_tails_are_heavy_and_end(seed: int) -> None:
    X, rows = drawn_like_related(seed)
    for q in (0.01, 0.05, 0.95, 0.99):
        assert rows["tails"].quantile(q) == pytest.approx(
            X["tails"].quantile(q), rel=0.5
        )
    assert rows["tails"].abs().max() < 3 * X["tails"].abs().max()


@pytest.mark.parametrize("seed", SEEDS)
def test_broken_dependencies_are_unlikely(seed: int) -> None:
    X, sampler = related(1000, seed), fitted_to_related(seed)
    mixed_up = X.assign(kind=X["kind"].to_numpy()[::-1])
    changed = (mixed_up["kind"] != X["kind"]).to_numpy()
    before, after = sampler.score_samples(X), sampler.score_samples(mixed_up)
    assert (after < before)[changed].mean() > 0.97
    assert np.median((before - after)[changed]) > 2
