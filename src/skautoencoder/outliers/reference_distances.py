"""Distances of rows from reference rows of the training data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from skautoencoder._estimator.array_types import Array, Shape
from skautoencoder._estimator.trained_network import TrainedNetwork
from skautoencoder.outliers.distance_embedding import Embedding
from skautoencoder.training import one_thread

# Returns the batch of a slice of rows.
Read = Callable[[slice], Tensor]

# Squared distances below this share of the squared lengths are rounding errors.
_ROUNDING = 4e-13
# Most numbers of pairs of points that are computed at once.
_NUMBERS_AT_ONCE = 2**20


@dataclass(frozen=True)
class References:
    """Sets of reference rows, from which the distance of other rows is measured.

    A row's distance is the mean over the sets of the mean distance to its
    nearest neighbours in the set, or that of one set.

    Parameters
    ----------
    embedding : Embedding
        Maps rows to points.
    points : Tensor of shape (n_sets, set_size, n_coordinates)
        The points of the rows in the sets.
    n_neighbors : int
        Number of nearest points to average over.
    set_rank : int, default=None
        Which set counts: 1 is the one with the nearest points, 2 the second nearest.
        None: the mean over all sets.
    """

    embedding: Embedding
    points: Tensor
    n_neighbors: int
    set_rank: int | None = None
    # Squared lengths of all points, which to score a single row would take most of.
    _lengths: Tensor = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rows = self.points.flatten(0, 1).contiguous()
        with one_thread():
            lengths = rows.square().sum(dim=1)
            # Products with rows of odd lengths differ in bits between places in a
            # batch, unless rows are added to them, for which a single one would wait.
            by_columns = rows.T.contiguous().T
        points = by_columns.unflatten(0, self.points.shape[:2])
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "_lengths", lengths)

    @property
    def _matrix(self) -> Tensor:
        """All points, of shape (n_sets * set_size, n_coordinates)."""
        return self.points.flatten(0, 1)

    @classmethod
    def from_rows(
        cls,
        trained: TrainedNetwork,
        embedding: Embedding,
        rows: Array,
        sets: NDArray[np.intp],
        n_neighbors: int,
        set_rank: int | None = None,
    ) -> References:
        """Make sets of the rows with indices `sets`, of shape (n_sets, set_size)."""
        positions, inverse = np.unique(sets, return_inverse=True)
        parts: dict[int, Tensor] = {}

        def write(part: slice, points: Tensor) -> None:
            parts[part.start] = points

        trained.apply(
            lambda batch: embedding.points(trained, batch),
            rows[positions],
            write,
            at_once=True,
        )
        points = torch.cat([parts.pop(start) for start in sorted(parts)])
        index = torch.from_numpy(inverse.reshape(sets.shape))
        return cls(embedding, points[index], n_neighbors, set_rank)

    def distances(
        self, trained: TrainedNetwork, rows: Array, read: Read | None = None
    ) -> NDArray[np.float64]:
        """Return the distance of each row of shape (n_samples, n_features).

        Parameters
        ----------
        trained : TrainedNetwork
            The network.
        rows : ndarray of shape (n_samples, n_features)
            The rows.
        read : callable, default=None
            Returns the batch of a slice. None: the rows in the network's units.
        """
        return self._apply(trained, self.distances_of, rows, (len(rows),), read)

    def distances_of(self, points: Tensor) -> Tensor:
        """Return the distances of points, of shape (n_samples,)."""
        closeness = self._closeness(points)
        if self.n_neighbors == 1:  # the quickest way to the smallest
            nearest = closeness.amin(dim=2, keepdim=True)
        else:
            nearest = self._smallest(closeness)[0]
        if self.set_rank is not None:
            nearest = nearest.gather(1, self._ranked(nearest))
        return _to_distance(nearest, points).mean(dim=(1, 2))

    def contributions(
        self,
        trained: TrainedNetwork,
        rows: Array,
        read: Read | None = None,
        n_shares: int | None = None,
    ) -> NDArray[np.float64]:
        """Return each feature's contribution to each row's distance.

        A distance is the root of a sum of squares. The contribution of a feature is its
        share of the sum times the distance, so that contributions add up to it.
        Features are what the embedding's `shares` are of.

        Parameters
        ----------
        trained : TrainedNetwork
            The network.
        rows : ndarray of shape (n_samples, n_features)
            The rows.
        read : callable, default=None
            Returns the batch of a slice. None: the rows in the network's units.
        n_shares : int, default=None
            Number of the embedding's shares. None: the number of features.

        Returns
        -------
        contributions : ndarray of shape (n_samples, n_shares)
            The contributions.
        """
        n_shares = n_shares or rows.shape[1]
        n_sets, set_size, width = self.points.shape

        def contribution(points: Tensor) -> Tensor:
            nearest, index = self._smallest(self._closeness(points))
            index = index + (torch.arange(n_sets) * set_size)[:, None]
            if self.set_rank is not None:
                ranked = self._ranked(nearest)
                nearest, index = nearest.gather(1, ranked), index.gather(1, ranked)
            distances = _to_distance(nearest, points).flatten(1)
            # Many rows have the same nearest points: compute the details of each once.
            chosen, index = torch.unique(index.flatten(1), return_inverse=True)
            others = self.embedding.details(trained, self._matrix[chosen])
            own = self.embedding.details(trained, points)[:, None]
            total = torch.zeros(len(points), n_shares, dtype=torch.float64)
            n_pairs = max(_NUMBERS_AT_ONCE // (len(points) * width), 1)
            parts = zip(
                index.split(n_pairs, dim=1),
                distances.split(n_pairs, dim=1),
                strict=True,
            )
            for part, distance in parts:
                shares = self.embedding.shares(own, others[part])
                square = shares.sum(dim=2, keepdim=True)
                # Scaled so that the shares add up to the distance as it was rounded.
                shares *= distance[:, :, None] / square.clamp_min(1e-300)
                for share in shares.unbind(dim=1):
                    total += share
            return total / index.shape[1]

        return self._apply(trained, contribution, rows, (len(rows), n_shares), read)

    def _closeness(self, points: Tensor) -> Tensor:
        """Return squared distances minus the squared lengths of the points.

        Of shape (n_samples, n_sets, set_size). The squared lengths are the same for all
        references, so they are added only to the nearest ones.
        """
        # F.linear, so that the bits do not depend on the batch (BatchInvariant).
        closeness = F.linear(-2.0 * points, self._matrix, self._lengths)
        return closeness.view(-1, *self.points.shape[:2])

    def _smallest(self, closeness: Tensor) -> tuple[Tensor, Tensor]:
        """Return the smallest numbers in each set, and their indices."""
        # A set may have fewer rows than n_neighbors.
        n_neighbors = min(self.n_neighbors, closeness.shape[2])
        nearest, index = closeness.topk(n_neighbors, dim=2, largest=False)
        return nearest, index

    def _ranked(self, nearest: Tensor) -> Tensor:
        """Return the index of the set that counts, of the shape of its neighbours.

        Parameters
        ----------
        nearest : Tensor of shape (n_samples, n_sets, n_neighbors)
            The smallest numbers in each set.
        """
        assert self.set_rank is not None
        by_set = nearest.sum(dim=2)
        rank = min(self.set_rank, by_set.shape[1])
        ranked = by_set.kthvalue(rank, dim=1, keepdim=True).indices
        return ranked[:, :, None].expand(-1, -1, nearest.shape[2])

    def _apply(
        self,
        trained: TrainedNetwork,
        function: Callable[[Tensor], Tensor],
        rows: Array,
        shape: Shape,
        read: Read | None,
    ) -> NDArray[np.float64]:
        """Return a function of the points of rows, computed batch by batch."""
        n_sets, size, width = self.points.shape
        return trained.fill(
            np.empty(shape),
            lambda batch: function(self.embedding.points(trained, batch)),
            rows,
            read,
            extra_work=2.0 * n_sets * size * width,
            n_numbers=n_sets * size,
        )


def _to_distance(closeness: Tensor, points: Tensor) -> Tensor:
    """Return distances, given the result of `References._closeness`."""
    lengths = points.square().sum(dim=1).view(-1, 1, 1)
    squared = closeness + lengths
    # Squared distances that are tiny beside the lengths are rounding errors.
    squared.masked_fill_(squared < _ROUNDING * lengths, 0.0)
    # The last digits of products in double precision may depend on a row's position in
    # the batch; those in float32 do not.
    return squared.sqrt_().float().double()
