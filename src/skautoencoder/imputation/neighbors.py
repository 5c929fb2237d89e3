"""Means of the values of similar rows, weighted by their distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from skautoencoder._estimator.array_statistics import row_chunks
from skautoencoder._estimator.array_types import Mask, Rows64
from skautoencoder.training import to_tensor

_ROWS_TOGETHER = 512
_NUMBERS_TOGETHER = 2**20
# An upper bound of the rounding errors of products, relative to the squared lengths.
_ROUNDING = 1e-12
# Weight of a row's own first guess, relative to the nearest neighbour's.
_OWN_VOTE = 0.1


@dataclass(frozen=True)
class Neighbors:
    """Rows kept for comparison.

    Parameters
    ----------
    filled : ndarray of shape (n_kept, n_features)
        The rows with filled holes, from which distances are computed.
    observed : ndarray of bool of shape (n_kept, n_features)
        Which of their values were observed; only these are averaged.
    numbers : ndarray of int of shape (n_kept,)
        Their indices among the training rows.
    n_neighbors : int, default=12
        Number of neighbours.
    """

    filled: Rows64
    observed: Mask
    numbers: NDArray[np.intp]
    n_neighbors: int = 12

    def average(
        self, filled: Rows64, numbers: NDArray[np.intp] | None = None
    ) -> Rows64:
        """Return the weighted mean of the neighbours' observed values.

        Weights fall from 1 to 0 at the distance of the first row that is not a
        neighbour any more, so that the mean is a continuous function of a row. The
        row's own first guess has a small weight: it remains if no neighbour has an
        observed value.

        Parameters
        ----------
        filled : ndarray of shape (n_samples, n_features)
            Rows whose holes were filled in a first guess.
        numbers : ndarray of int of shape (n_samples,), default=None
            Their indices among the training rows, if they are some of these: a row
            is not its own neighbour.

        Returns
        -------
        average : ndarray of shape (n_samples, n_features)
            The means, for all features.

        References
        ----------
        Nadaraya, "On estimating regression", Theory of Probability and its
        Applications 9, 1964.
        """
        n_neighbors = min(self.n_neighbors, len(self.filled) - 1)
        if n_neighbors < 1:
            return filled.copy()
        known = self.observed.astype(np.float64)
        averages = np.empty_like(filled)
        for i in range(0, len(filled), _ROWS_TOGETHER):
            rows = filled[i : i + _ROWS_TOGETHER]
            own = None
            if numbers is not None:
                own = numbers[i : i + _ROWS_TOGETHER, np.newaxis] == self.numbers
            near, distances = self._nearest(rows, n_neighbors, own)
            finite = np.where(np.isfinite(distances), distances, 0.0)
            reach = finite.max(axis=1, keepdims=True)
            reach[reach == 0] = 1.0
            weights = np.square(np.maximum(1 - distances / reach, 0.0))
            votes = _OWN_VOTE * np.maximum(weights.max(axis=1), 1e-9)[:, np.newaxis]
            total = votes * rows
            # Added one after the other, so that a weight of 0 changes no bit.
            for column, weight in zip(near.T, weights.T, strict=True):
                vote = weight[:, np.newaxis] * known[column]
                total += vote * self.filled[column]
                votes = votes + vote
            averages[i : i + _ROWS_TOGETHER] = total / votes
        return averages

    def _nearest(
        self, rows: Rows64, n_neighbors: int, own: Mask | None
    ) -> tuple[NDArray[np.intp], Rows64]:
        """Return the indices of the nearest rows, in order, and the squared distances.

        One more row than `n_neighbors`. A matrix product, whose rounding depends on the
        other rows, only finds candidates; their distances are then computed one by one.
        """
        squares = np.square(self.filled).sum(axis=1)
        lengths = np.square(rows).sum(axis=1)
        # Not NumPy's product, whose threads may deadlock in a forked process.
        product = torch.from_numpy(rows) @ to_tensor(self.filled).t()
        about = squares - 2 * product.numpy()
        if own is not None:
            about[own] = np.inf
        place = min(n_neighbors, about.shape[1] - 1)
        last = np.partition(about, place, axis=1)[:, place]
        rounding = _ROUNDING * (lengths + squares.max())
        row, column = np.nonzero(about <= (last + rounding)[:, np.newaxis])
        distances = np.full_like(about, np.inf)
        for part in row_chunks(row, max(_NUMBERS_TOGETHER // rows.shape[1], 1)):
            difference = rows[row[part]] - self.filled[column[part]]
            distances[row[part], column[part]] = np.square(difference).sum(axis=1)
        if own is not None:
            distances[own] = np.inf
        near = np.argpartition(distances, place, axis=1)[:, : place + 1]
        near.sort(axis=1)
        return near, np.take_along_axis(distances, near, axis=1)
