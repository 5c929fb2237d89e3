"""Outliers without a network: distances from rows of the training data."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._data import Array

# LeSiNN's: many sets of few rows, in which there is seldom an outlier.
N_SETS, SET_SIZE = 50, 8


def nearest_distance(rows: Array, new: Array) -> Any:
    """Distance of each new row from the nearest one of `rows`."""
    from sklearn.neighbors import NearestNeighbors

    nearest = NearestNeighbors(n_neighbors=1).fit(rows)
    return nearest.kneighbors(new)[0][:, 0]


def mean_nearest_distance(rows: Array, new: Array, seed: int) -> Any:
    """Mean over random sets of rows of the distance from the nearest one of the set.

    LeSiNN: Pang, Ting and Albrecht, "LeSiNN: detecting anomalies by identifying least
    similar nearest neighbours", ICDM workshops 2015.
    """
    from sklearn.metrics import pairwise_distances_argmin_min

    rng = np.random.RandomState(seed)
    size = min(SET_SIZE, len(rows))
    sets = (rows[rng.choice(len(rows), size, replace=False)] for _ in range(N_SETS))
    distances = [pairwise_distances_argmin_min(new, chosen)[1] for chosen in sets]
    return np.mean(distances, axis=0)
