"""The normal distribution of rows with missing values, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from skautoencoder.imputation.gaussian import Gaussian, fit_gaussian


def correlated(n_samples: int, n_features: int, seed: int = 0):
    random = np.random.RandomState(seed)
    factors = random.normal(size=(n_features, n_features))
    covariance = factors @ factors.T / n_features + 0.1 * np.eye(n_features)
    mean = random.normal(size=n_features)
    rows = random.multivariate_normal(mean, covariance, size=n_samples)
    return rows, Gaussian(mean, covariance)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("share", [0.05, 0.3, 0.8])
def test_fill_is_the_conditional_mean(seed, share):
    rows, gaussian = correlated(60, 7, seed)
    observed = np.random.RandomState(seed).rand(*rows.shape) >= share
    observed[0], observed[1] = True, False
    filled = gaussian.fill(np.where(observed, rows, 1e6), observed)
    for row, known, found in zip(rows, observed, filled, strict=True):
        a, b = np.ix_(~known, known), np.ix_(known, known)
        solved = np.linalg.solve(gaussian.covariance[b], (row - gaussian.mean)[known])
        wanted = row.copy()
        wanted[~known] = gaussian.mean[~known] + gaussian.covariance[a] @ solved
        np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-8)
        np.testing.assert_array_equal(found[known], row[known])


def test_summed_covariance_is_that_of_the_holes():
    rows, gaussian = correlated(40, 5)
    observed = np.random.RandomState(1).rand(*rows.shape) >= 0.4
    _, summed = gaussian.condition(rows, observed, with_covariance=True)
    wanted = np.zeros((5, 5))
    precision = np.linalg.inv(gaussian.covariance)
    for known in observed:
        block = np.ix_(~known, ~known)
        wanted[block] += np.linalg.inv(precision[block])
    np.testing.assert_allclose(summed, wanted, atol=1e-8)


def test_complete_rows_give_their_own_mean_and_covariance():
    rows, _ = correlated(500, 4)
    fitted = fit_gaussian(rows, np.ones(rows.shape, bool), prior_rows=0.0)
    np.testing.assert_allclose(fitted.mean, rows.mean(axis=0))
    wanted = np.cov(rows.T, bias=True)
    np.testing.assert_allclose(fitted.covariance, wanted, atol=2e-6)


def test_the_distribution_is_found_through_the_holes():
    rows, gaussian = correlated(4000, 4)
    observed = np.random.RandomState(0).rand(*rows.shape) >= 0.3
    fitted = fit_gaussian(rows, observed, max_iter=50, tol=1e-5)
    np.testing.assert_allclose(fitted.mean, gaussian.mean, atol=0.1)
    np.testing.assert_allclose(fitted.covariance, gaussian.covariance, atol=0.15)


def test_more_rounds_do_not_lower_the_likelihood():
    rows, _ = correlated(200, 5)
    observed = np.random.RandomState(0).rand(*rows.shape) >= 0.3

    def log_likelihood(gaussian):
        total = 0.0
        for row, known in zip(rows, observed, strict=True):
            block = gaussian.covariance[np.ix_(known, known)]
            rest = (row - gaussian.mean)[known]
            total -= np.linalg.slogdet(block)[1] + rest @ np.linalg.solve(block, rest)
        return total

    found = [
        log_likelihood(
            fit_gaussian(rows, observed, max_iter=n, tol=0.0, prior_rows=0.0)
        )
        for n in (1, 2, 4, 8, 16)
    ]
    assert np.all(np.diff(found) > 0)


@pytest.mark.parametrize("n_samples", [2, 5])
def test_repeated_constant_and_empty_columns_are_no_error(n_samples):
    rows = np.random.RandomState(0).normal(size=(n_samples, 6))
    rows[:, 1] = rows[:, 0]
    rows[:, 2] = 0.0
    observed = np.random.RandomState(1).rand(*rows.shape) >= 0.2
    observed[:, 3] = False
    filled = fit_gaussian(rows, observed).fill(rows, observed)
    assert np.isfinite(filled).all()


def test_a_row_does_not_depend_on_the_others():
    rows, gaussian = correlated(300, 6)
    observed = np.random.RandomState(0).rand(*rows.shape) >= 0.3
    together = gaussian.fill(rows, observed)
    alone = [gaussian.fill(rows[[i]], observed[[i]])[0] for i in range(20)]
    np.testing.assert_allclose(together[:20], alone, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("n_features", [1, 5, 40])
def test_a_filled_row_depends_on_the_row_alone(n_features: int) -> None:
    random = np.random.RandomState(0)
    mixed = random.normal(size=(n_features, n_features))
    rows = random.normal(size=(700, n_features)) @ mixed
    rows *= 10.0 ** random.uniform(-6, 6, size=(len(rows), 1))
    observed = random.uniform(size=rows.shape) < random.uniform(size=(len(rows), 1))
    gaussian = Gaussian(rows.mean(axis=0), mixed.T @ mixed + np.eye(n_features))
    filled = gaussian.fill(rows, observed)
    order = random.permutation(len(rows))
    again = gaussian.fill(rows[order], observed[order])
    np.testing.assert_array_equal(again, filled[order])
    for some in (slice(9, 10), slice(11, 13), slice(100, 400)):
        again = gaussian.fill(rows[some], observed[some])
        np.testing.assert_array_equal(again, filled[some])
