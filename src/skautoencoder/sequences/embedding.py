"""Points for windows of a series, to measure distances between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from skautoencoder._estimator.array_types import Array
from skautoencoder._estimator.trained_network import TrainedNetwork
from skautoencoder.outliers.distance_embedding import Embedding, finite
from skautoencoder.training import one_thread

# Weight of differences of the residuals' sizes, relative to those of reconstructions.
_RESIDUAL_WEIGHT = 2.0
# Smallest standard deviation of a channel, relative to the largest.
_SMALLEST_UNIT = 1e-6
# Most principal axes of the reconstructions, and most windows to find them with.
_MOST_AXES, _MOST_WINDOWS = 32, 1000


@dataclass(frozen=True)
class WindowEmbedding(Embedding):
    """Points of a window's reconstruction, and the size of what it leaves.

    Reconstructions lie near a surface of as many dimensions as a code has numbers. So
    their coordinates along a few principal axes tell them apart, and distances of them
    cost little, however long a window is.

    Residuals are noise, which is far from other noise in each step, however usual it
    is. So only their root sum of squares is compared, one number for each channel.

    Parameters
    ----------
    unit : Tensor of shape (n_features,)
        Divisors of windows in the network's units.
    mean : Tensor of shape (n_features,)
        Mean reconstruction, divided by `unit`.
    axes : Tensor of shape (n_axes, n_features)
        Principal axes of reconstructions divided by `unit`.
    products : Tensor of shape (n_channels, n_axes, n_axes)
        Products of the parts of the axes in each channel.
    """

    unit: Tensor
    mean: Tensor
    axes: Tensor
    products: Tensor

    @classmethod
    def from_rows(
        cls, trained: TrainedNetwork, rows: Array, n_channels: int
    ) -> WindowEmbedding:
        """Take units and axes from the windows that the network was trained on."""
        n_features = rows.shape[1]
        shown = trained.scaling.to_network_in_parts(rows).numpy()
        spread = shown.reshape(-1, n_channels).std(axis=0, dtype=np.float64)
        least = max(_SMALLEST_UNIT * float(spread.max()), 1e-30)
        # A mean over steps and channels, so that scores do not grow with their number.
        per_channel = np.where(spread > least, spread, 1.0) * np.sqrt(n_features)
        unit = torch.from_numpy(np.tile(per_channel, n_features // n_channels))
        some = np.unique(np.linspace(0, len(rows) - 1, _MOST_WINDOWS).astype(int))
        made = torch.empty((len(some), n_features), dtype=torch.float64)

        def write(part: slice, result: Tensor) -> None:
            made[part] = finite(result).double()

        trained.apply(trained.network, rows[some], write, at_once=True)
        made /= unit
        # On several threads, sums over all windows would be rounded differently.
        with one_thread():
            mean = made.mean(dim=0)
            axes = _principal_axes(made - mean)
            in_channels = axes.unflatten(1, (-1, n_channels)).permute(2, 0, 1)
            products = in_channels @ in_channels.transpose(1, 2)
        return cls(unit, mean, axes, products)

    def points(self, trained: TrainedNetwork, batch: Tensor) -> Tensor:
        """Return points of shape (n_windows, n_axes + n_channels)."""
        made = finite(trained.network(batch)).cpu().double() / self.unit
        # F.linear, so that the bits do not depend on the batch (BatchInvariant).
        places = F.linear(made - self.mean, self.axes)
        residual = batch.cpu().double() / self.unit - self.mean
        residual -= F.linear(places, self.axes.T.contiguous())
        squares = residual.square().unflatten(1, (-1, len(self.products))).sum(dim=1)
        return torch.cat((places, _RESIDUAL_WEIGHT * squares.sqrt()), dim=1)

    def shares(self, details: Tensor, others: Tensor) -> Tensor:
        """Return each channel's share of the squared distances."""
        places, sizes = (details - others).tensor_split([len(self.axes)], dim=-1)
        squares = torch.einsum("...i,cij,...j->...c", places, self.products, places)
        return squares.clamp_min(0.0) + sizes.square()


def _principal_axes(rows: Tensor) -> Tensor:
    """Return orthonormal axes of centred rows, those of the largest variance."""
    n_rows, n_features = rows.shape
    if n_features <= _MOST_AXES:
        return torch.eye(n_features, dtype=rows.dtype)
    if n_features <= n_rows:
        return (
            torch.linalg.eigh(rows.T @ rows).eigenvectors.T[-_MOST_AXES:].contiguous()
        )
    values, vectors = torch.linalg.eigh(rows @ rows.T)
    # Axes without variance are products of rounding errors.
    kept = values > 1e-12 * values[-1].clamp_min(1e-300)
    kept[:-_MOST_AXES] = False
    return (vectors.T[kept] @ rows) / values[kept].sqrt()[:, None]
