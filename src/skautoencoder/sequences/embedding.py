"""Points for windows of a series, to measure distances between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skautoencoder._estimator.array_types import Array
from skautoencoder._estimator.trained_network import TrainedNetwork
from skautoencoder.outliers.distance_embedding import Embedding, finite

# Weight of differences of the residuals' sizes, relative to those of reconstructions.
_RESIDUAL_WEIGHT = 2.0
# Smallest standard deviation of a channel, relative to the largest.
_SMALLEST_UNIT = 1e-6


@dataclass(frozen=True)
class WindowEmbedding(Embedding):
    """Points of a window's reconstruction, and the size of what it leaves.

    Residuals are noise, which is far from other noise in each step, however usual it
    is. So only their root sum of squares is compared, one number for each channel.

    Parameters
    ----------
    unit : Tensor of shape (n_channels,)
        Standard deviations of the channels, in the network's units.
    window : int
        Steps of a window.
    """

    unit: Tensor
    window: int

    @classmethod
    def from_rows(
        cls, trained: TrainedNetwork, rows: Array, window: int
    ) -> WindowEmbedding:
        """Take the units from the windows that the network was trained on."""
        shown = trained.scaling.to_network_in_parts(rows).numpy()
        spread = shown.reshape(-1, shown.shape[1] // window).std(axis=0)
        least = max(_SMALLEST_UNIT * float(spread.max()), 1e-30)
        unit = np.where(spread > least, spread, 1.0).astype(np.float64)
        # A mean over steps and channels, so that scores do not grow with their number.
        return cls(torch.from_numpy(unit * np.sqrt(shown.shape[1])), window)

    def points(self, trained: TrainedNetwork, batch: Tensor) -> Tensor:
        """Return points of shape (n_windows, (window + 1) * n_channels)."""
        reconstruction = finite(trained.network(batch)).cpu().double()
        residual = batch.cpu().double() - reconstruction
        shape = (self.window, len(self.unit))
        sizes = residual.unflatten(1, shape).square().sum(dim=1).sqrt()
        places = reconstruction.unflatten(1, shape) / self.unit
        sizes = _RESIDUAL_WEIGHT * sizes / self.unit
        return torch.cat((places.flatten(1), sizes), dim=1)

    def shares(self, details: Tensor, others: Tensor) -> Tensor:
        """Return each channel's share of the squared distances."""
        squares = (details - others).square_()
        return squares.unflatten(-1, (self.window + 1, len(self.unit))).sum(dim=-2)
