"""What the most similar rows have where a row has a hole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skautoencoder._samples import Mask, Rows64

_ROWS_TOGETHER = 512
# Of a row for its own first guess, where the nearest neighbour's vote is at most 1.
_OWN_VOTE = 0.1


@dataclass(frozen=True)
class Neighbors:
    """Rows kept for comparison.

    Parameters
    ----------
    filled : ndarray of shape (n_kept, n_features)
        The rows without holes, by which they are found.
    observed : ndarray of bool of shape (n_kept, n_features)
        What was known in them, which alone is averaged.
    numbers : ndarray of int of shape (n_kept,)
        Their places among the training rows.
    n_neighbors : int, default=12
        How many neighbours the kernel reaches.
    """

    filled: Rows64
    observed: Mask
    numbers: NDArray[np.intp]
    n_neighbors: int = 12

    def average(
        self, filled: Rows64, numbers: NDArray[np.intp] | None = None
    ) -> Rows64:
        """Return the weighted mean of the neighbours' observed values.

        The weight falls from 1 to 0 at the distance of the first row that is no
        neighbour any more, so that a small change of a row changes little. The row
        has a small vote of its own: where no neighbour knows a value, its stays.

        Parameters
        ----------
        filled : ndarray of shape (n_samples, n_features)
            Rows whose holes were filled in a first guess.
        numbers : ndarray of int of shape (n_samples,), default=None
            Their places among the training rows, if they are some of these: a row
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
        squares = np.square(self.filled).sum(axis=1)
        averages = np.empty_like(filled)
        for i in range(0, len(filled), _ROWS_TOGETHER):
            rows = filled[i : i + _ROWS_TOGETHER]
            distances = squares - 2 * (rows @ self.filled.T)
            distances += np.square(rows).sum(axis=1)[:, np.newaxis]
            np.maximum(distances, 0.0, out=distances)
            if numbers is not None:
                own = numbers[i : i + _ROWS_TOGETHER, np.newaxis] == self.numbers
                distances[own] = np.inf
            place = min(n_neighbors, distances.shape[1] - 1)
            near = np.argpartition(distances, place, axis=1)[:, : place + 1]
            near_distances = np.take_along_axis(distances, near, axis=1)
            finite = np.where(np.isfinite(near_distances), near_distances, 0.0)
            reach = finite.max(axis=1, keepdims=True)
            reach[reach == 0] = 1.0
            near_weights = np.square(np.maximum(1 - near_distances / reach, 0.0))
            votes = near_weights[:, :, np.newaxis] * known[near]
            own_vote = _OWN_VOTE * np.maximum(near_weights.max(axis=1), 1e-9)
            own_vote = own_vote[:, np.newaxis]
            total = (votes * self.filled[near]).sum(axis=1) + own_vote * rows
            averages[i : i + _ROWS_TOGETHER] = total / (votes.sum(axis=1) + own_vote)
        return averages
