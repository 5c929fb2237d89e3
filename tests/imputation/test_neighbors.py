"""Averages of the nearest rows, against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from skautoencoder.imputation.neighbors import Neighbors


def plain_average(neighbors, row, number=None):
    distances = np.square(neighbors.filled - row).sum(axis=1)
    if number is not None:
        distances[neighbors.numbers == number] = np.inf
    reach = np.sort(distances)[neighbors.n_neighbors]
    weights = np.maximum(1 - distances / reach, 0.0) ** 2
    own = 0.1 * weights.max()
    votes = weights @ neighbors.observed + own
    values = np.where(neighbors.observed, neighbors.filled, 0.0)
    return (weights @ values + own * row) / votes


def some_neighbors(n_rows: int = 50, seed: int = 0, n_neighbors: int = 5):
    random = np.random.RandomState(seed)
    filled = random.normal(size=(n_rows, 4))
    observed = random.rand(n_rows, 4) >= 0.3
    return Neighbors(filled, observed, np.arange(n_rows), n_neighbors)


@pytest.mark.parametrize("seed", range(3))
def test_average_is_weighted_by_distance(seed):
    neighbors = some_neighbors(seed=seed)
    rows = np.random.RandomState(seed + 10).normal(size=(20, 4))
    wanted = [plain_average(neighbors, row) for row in rows]
    np.testing.assert_allclose(neighbors.average(rows), wanted, rtol=1e-8)


def test_a_row_is_not_its_own_neighbour():
    neighbors = some_neighbors()
    numbers = np.arange(10)
    found = neighbors.average(neighbors.filled[:10], numbers)
    wanted = [plain_average(neighbors, neighbors.filled[i], i) for i in numbers]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_values_that_no_neighbour_knows_stay():
    neighbors = some_neighbors()
    neighbors.observed[:, 2] = False
    rows = np.random.RandomState(1).normal(size=(5, 4))
    np.testing.assert_allclose(neighbors.average(rows)[:, 2], rows[:, 2])


@pytest.mark.parametrize("n_rows", [1, 2, 3])
def test_few_rows_are_no_error(n_rows):
    neighbors = some_neighbors(n_rows, n_neighbors=12)
    found = neighbors.average(neighbors.filled, neighbors.numbers)
    assert np.isfinite(found).all()


def test_equal_rows_are_no_error():
    neighbors = Neighbors(np.ones((20, 3)), np.ones((20, 3), bool), np.arange(20))
    np.testing.assert_allclose(neighbors.average(np.ones((2, 3))), 1.0)


@pytest.mark.parametrize("kind", ["any", "whole numbers", "of all sizes", "one"])
def test_a_mean_depends_on_the_row_alone(kind: str) -> None:
    random = np.random.RandomState(0)
    rows = random.normal(size=(700, 1 if kind == "one" else 9))
    if kind == "whole numbers":  # with many at the same distance
        rows = np.round(rows)
    elif kind == "of all sizes":
        rows *= 10.0 ** random.uniform(-6, 6, size=(len(rows), 1))
    neighbors = Neighbors(
        rows[:300], random.uniform(size=(300, rows.shape[1])) < 0.8, np.arange(300)
    )
    means = neighbors.average(rows)
    order = random.permutation(len(rows))
    np.testing.assert_array_equal(neighbors.average(rows[order]), means[order])
    for some in (slice(9, 10), slice(11, 13), slice(100, 400)):
        np.testing.assert_array_equal(neighbors.average(rows[some]), means[some])
