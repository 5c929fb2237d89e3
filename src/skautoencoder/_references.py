"""How far rows lie from rows that a network was trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skautoencoder._samples import Array, feature_spread
from skautoencoder._trained import TrainedNetwork

# Residuals are measured in twice their spread: what a network leaves is noise in
# part. Half and twice as much did a little worse on tables of either kind.
_RESIDUAL_WEIGHT = 0.5
# A residual that is next to nothing in training is not taken for a unit.
_SMALLEST_RESIDUAL = 0.02
# Squared distances below this share of the squared lengths are rounding.
_ROUNDING = 1e-13
# A network far outside of what it was trained on may overflow.
_LARGEST = 1e30


@dataclass(frozen=True)
class Placement:
    """Where a network puts rows: what it makes of them and what it leaves.

    A row is a point with two coordinates a feature, the reconstruction in units of
    the data's spread and the residual in units of the residuals' spread. The two
    add up to the row, so rows that are far apart have points that are far apart,
    however well a network reconstructs what it has never seen.

    Parameters
    ----------
    reconstruction_unit : Tensor of shape (n_features,)
        What differences of reconstructions are divided by, in the network's units.
    residual_unit : Tensor of shape (n_features,)
        What differences of residuals are divided by.
    """

    reconstruction_unit: Tensor
    residual_unit: Tensor

    @classmethod
    def from_rows(cls, trained: TrainedNetwork, rows: Array) -> Placement:
        """Take the units from the rows that the network was trained on."""
        n_samples, n_features = rows.shape
        total = np.zeros((2, n_features))

        def residual(batch: Tensor) -> Tensor:
            return finite(trained.network(batch)) - batch

        def add(part: slice, residuals: Tensor) -> None:
            in_double = residuals.double().numpy()
            total[0] += in_double.sum(axis=0)
            total[1] += np.square(in_double).sum(axis=0)

        trained.apply(residual, rows, add)
        mean, square = total / n_samples
        left = np.sqrt(np.maximum(square - mean**2, 0.0))
        spread = feature_spread(rows) / trained.scaling.scale
        left = np.maximum(left, _SMALLEST_RESIDUAL * spread)
        # The mean over the features, so that scores of wide rows are no larger.
        root = np.sqrt(n_features)
        return cls(
            torch.from_numpy(spread * root),
            torch.from_numpy(left * root / _RESIDUAL_WEIGHT),
        )

    def points(self, trained: TrainedNetwork, batch: Tensor) -> Tensor:
        """Return points of shape (n_samples, 2 * n_features), in double precision."""
        reconstruction = finite(trained.network(batch)).cpu().double()
        residual = batch.cpu().double() - reconstruction
        return torch.cat(
            (reconstruction / self.reconstruction_unit, residual / self.residual_unit),
            dim=1,
        )


def finite(values: Tensor) -> Tensor:
    """Return values with what has overflowed put at a very large number."""
    return values.nan_to_num(_LARGEST, _LARGEST, -_LARGEST).clamp(-_LARGEST, _LARGEST)


@dataclass(frozen=True)
class References:
    """Sets of rows from which the distance of other rows is measured.

    A row's distance is the mean over the sets of the mean distance to its
    nearest neighbours in the set.

    Parameters
    ----------
    placement : Placement
        Where a network puts rows.
    points : Tensor of shape (n_sets, set_size, 2 * n_features)
        The points of the rows in the sets.
    n_neighbors : int
        How many of the nearest are averaged.
    """

    placement: Placement
    points: Tensor
    n_neighbors: int

    @classmethod
    def from_rows(
        cls,
        trained: TrainedNetwork,
        placement: Placement,
        rows: Array,
        sets: NDArray[np.intp],
        n_neighbors: int,
    ) -> References:
        """Place the rows at positions `sets`, of shape (n_sets, set_size)."""
        positions, inverse = np.unique(sets, return_inverse=True)
        points = torch.empty(len(positions), 2 * rows.shape[1], dtype=torch.float64)

        def write(part: slice, result: Tensor) -> None:
            points[part] = result

        trained.apply(
            lambda batch: placement.points(trained, batch), rows[positions], write
        )
        index = torch.from_numpy(inverse.reshape(sets.shape))
        return cls(placement, points[index], n_neighbors)

    def distances(
        self, trained: TrainedNetwork, rows: Array, n_skipped: int = 0
    ) -> NDArray[np.float64]:
        """Return the distance of each row.

        Parameters
        ----------
        trained : TrainedNetwork
            The network.
        rows : ndarray of shape (n_samples, n_features)
            The rows.
        n_skipped : int, default=0
            How many of the nearest do not count: 1 for rows that are themselves
            among the references.
        """
        distances = np.empty(len(rows))

        def distance(points: Tensor) -> Tensor:
            return self._nearest(points, n_skipped)[0].mean(dim=(1, 2))

        def write(part: slice, result: Tensor) -> None:
            distances[part] = result.numpy()

        self._apply(trained, distance, rows, write)
        return distances

    def contributions(
        self, trained: TrainedNetwork, rows: Array
    ) -> NDArray[np.float64]:
        """Return each feature's part of each row's distance.

        A distance is a root of a sum of squares; its share of that sum is what a
        feature contributes, so that contributions add up to the distance.

        Parameters
        ----------
        trained : TrainedNetwork
            The network.
        rows : ndarray of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        contributions : ndarray of shape (n_samples, n_features)
            The parts.
        """
        contributions = np.empty(rows.shape)
        references = self.points.flatten(0, 1)

        def contribution(points: Tensor) -> Tensor:
            distances, index = self._nearest(points)
            total = torch.zeros(len(points), points.shape[1], dtype=torch.float64)
            offset = torch.arange(len(self.points)) * self.points.shape[1]
            index = (index + offset[:, None]).flatten(1)
            for distance, position in zip(distances.flatten(1).T, index.T, strict=True):
                squares = (points - references[position]).square_()
                length = squares.sum(dim=1, keepdim=True)
                # Rounded as the distance is, so that the sum is the same number.
                total += squares * (distance[:, None] / length.clamp_min(1e-300))
            total /= index.shape[1]
            return total[:, : rows.shape[1]] + total[:, rows.shape[1] :]

        def write(part: slice, result: Tensor) -> None:
            contributions[part] = result.numpy()

        self._apply(trained, contribution, rows, write)
        return contributions

    def _nearest(self, points: Tensor, n_skipped: int = 0) -> tuple[Tensor, Tensor]:
        """Return distances and positions, of shape (n_samples, n_sets, n_neighbors)."""
        n_sets, size, width = self.points.shape
        references = self.points.reshape(-1, width)
        lengths = points.square().sum(dim=1, keepdim=True)
        lengths = lengths + references.square().sum(dim=1)
        squared = torch.addmm(lengths, points, references.T, alpha=-2)
        squared[squared < _ROUNDING * lengths] = 0.0
        squared = squared.reshape(len(points), n_sets, size)
        # A set may be smaller than the neighbours that are asked for.
        last = min(self.n_neighbors + n_skipped, size)
        nearest, index = squared.topk(last, dim=2, largest=False)
        first = min(n_skipped, last - 1)
        # Products in double precision differ in their last digits by a row's place
        # in the batch; the digits of float32 do not.
        return nearest[:, :, first:].sqrt().float().double(), index[:, :, first:]

    def _apply(
        self,
        trained: TrainedNetwork,
        function: Callable[[Tensor], Tensor],
        rows: Array,
        write: Callable[[slice, Tensor], None],
    ) -> None:
        """Send the points of rows through a function, batch by batch."""
        n_sets, size, width = self.points.shape
        trained.apply(
            lambda batch: function(self.placement.points(trained, batch)),
            rows,
            write,
            extra_work=2.0 * n_sets * size * width,
            n_numbers=n_sets * size,
        )
