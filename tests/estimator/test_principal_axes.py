"""Principal axes of rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from skautoencoder._estimator.principal_axes import principal_axes


@pytest.mark.parametrize("shape", [(9, 30), (30, 30), (5000, 12)])
def test_axes_and_mean_squares_are_those_of_pca(shape: tuple[int, int]) -> None:
    random = np.random.RandomState(0)
    rows = random.normal(size=shape) * np.geomspace(1, 9, shape[1]) + 3
    pca = PCA(4, svd_solver="full").fit(rows)
    given = torch.from_numpy(rows)
    axes, mean_squares = principal_axes(given, 4, given.mean(dim=0))
    cosines = np.abs((axes.numpy() * pca.components_).sum(axis=1))
    np.testing.assert_allclose(cosines, 1)
    expected = pca.explained_variance_ * (len(rows) - 1) / len(rows)
    np.testing.assert_allclose(mean_squares, expected)


@pytest.mark.parametrize("n_rows", [6, 50])
@pytest.mark.parametrize("rank", [0, 1, 3])
def test_there_are_as_many_axes_as_rows_vary_along(n_rows: int, rank: int) -> None:
    generator = torch.Generator().manual_seed(0)
    random = torch.randn(n_rows + 10, rank, generator=generator, dtype=torch.float64)
    rows = random[:n_rows] @ random[n_rows:].T
    axes, mean_squares = principal_axes(rows, 5)
    assert axes.shape == (rank, 10)
    assert mean_squares.shape == (rank,)
    torch.testing.assert_close(axes @ axes.T, torch.eye(rank, dtype=torch.float64))
    torch.testing.assert_close(rows @ axes.T @ axes, rows)


def test_no_axes_may_be_asked_for() -> None:
    axes, mean_squares = principal_axes(torch.ones(7, 1), 0)
    assert axes.shape == (0, 1)
    assert mean_squares.shape == (0,)
