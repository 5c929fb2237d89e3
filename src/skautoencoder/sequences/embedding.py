"""Points for windows of a series, to measure distances between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from skautoencoder._estimator.array_types import Array
from skautoencoder._estimator.principal_axes import principal_axes
from skautoencoder._estimator.trained_network import TrainedNetwork
from skautoencoder.outliers.distance_embedding import Embedding, finite

# Weight of differences of the sizes of noise, relative to those of reconstructions.
_NOISE_WEIGHT = 3.0
# Smallest unit of a channel, relative to the largest.
_SMALLEST_UNIT = 1e-6
# Of so many of its values on either side a channel's unit does not depend on how far
# they are, and how many standard deviations lie between the two of a normal
# distribution.
_TAIL, _NORMAL_WIDTH = 0.001, 6.18
# Most principal axes of the reconstructions and of the residuals, and most windows to
# find them with.
_MOST_AXES, _MOST_WINDOWS = 32, 1000
# The share of a window in which the weight of a causal window's steps falls by a factor
# of e from the last one back, and what is added to weights that are 1 at the end: how a
# window began matters little, but a long change of little height has to be seen, too.
_RECENT, _OF_ALL = 0.05, 0.02
# How much larger than the largest variance of white noise that of an axis has to be.
_ABOVE_NOISE = 1.25


@dataclass(frozen=True)
class WindowEmbedding(Embedding):
    """Points of a window's reconstruction and of what it leaves.

    Reconstructions lie near a surface of as many dimensions as a code has numbers. So
    their coordinates along a few principal axes tell them apart, and distances of them
    cost little, however long a window is.

    A residual is noise and what the network has not learnt, of which there is much
    where a series repeats with little noise. That lies along few axes, on which
    residuals vary more than noise would. The rest is noise, which is far from other
    noise in each step, however usual it is. So only its root sum of squares is
    compared, one number for each channel.

    Parameters
    ----------
    unit : Tensor of shape (n_features,)
        Divisors of windows in the network's units; smaller for steps that weigh more.
    mean : Tensor of shape (n_features,)
        Mean reconstruction, divided by `unit`.
    axes : Tensor of shape (n_axes, n_features)
        Principal axes of reconstructions divided by `unit`.
    residual_axes : Tensor of shape (n_residual_axes, n_features)
        Principal axes of residuals, without those of noise.
    products : Tensor of shape (n_channels, n_all_axes, n_all_axes)
        Products of the parts of the axes in each channel; 0 for two of different kinds.
    """

    unit: Tensor
    mean: Tensor
    axes: Tensor
    residual_axes: Tensor
    products: Tensor

    @classmethod
    def from_rows(
        cls, trained: TrainedNetwork, rows: Array, n_channels: int, *, causal: bool
    ) -> WindowEmbedding:
        """Take units and axes from the windows that the network was trained on.

        Parameters
        ----------
        trained : TrainedNetwork
            The network.
        rows : ndarray of shape (n_windows, n_features)
            The windows.
        n_channels : int
            Number of channels.
        causal : bool
            Whether a window is to speak for its last step. Else all steps weigh the
            same.
        """
        n_features = rows.shape[1]
        n_steps = n_features // n_channels
        weights = _weights_of_steps(n_steps) if causal else np.ones(n_steps)
        shown = trained.scaling.to_network_in_parts(rows).numpy()
        some = np.unique(np.linspace(0, len(rows) - 1, _MOST_WINDOWS).astype(int))
        spread = np.maximum(
            shown.reshape(-1, n_channels).std(axis=0, dtype=np.float64),
            _width(shown[some].reshape(-1, n_channels)),
        )
        least = max(_SMALLEST_UNIT * float(spread.max()), 1e-30)
        # A mean over steps and channels, so that scores do not grow with their number.
        per_channel = np.where(spread > least, spread, 1.0) * np.sqrt(n_features)
        units = per_channel / np.sqrt(weights)[:, np.newaxis]
        unit = torch.from_numpy(units.reshape(-1))
        made = torch.empty((len(some), n_features), dtype=torch.float64)

        def write(part: slice, result: Tensor) -> None:
            made[part] = finite(result).double()

        trained.apply(trained.network, rows[some], write, at_once=True)
        made /= unit
        given = torch.from_numpy(shown[some]).double() / unit
        mean = made.mean(dim=0)
        # All axes, if there are no more.
        axes = torch.eye(n_features, dtype=torch.float64)
        if n_features > _MOST_AXES:
            axes, _ = principal_axes(made, _MOST_AXES, mean)
        residual = _split(made, given, mean, axes)[1]
        residual_axes = _axes_above_noise(residual, n_channels)
        of_each = []
        for some_axes in (axes, residual_axes):
            parts = some_axes.unflatten(1, (-1, n_channels)).permute(2, 0, 1)
            of_each.append(parts @ parts.transpose(1, 2))
        products = torch.stack(
            [torch.block_diag(*p) for p in zip(*of_each, strict=True)]
        )
        return cls(unit, mean, axes, residual_axes, products)

    def points(self, trained: TrainedNetwork, batch: Tensor) -> Tensor:
        """Return points: coordinates on all axes, and sizes of noise by channel."""
        made = finite(trained.network(batch)).cpu().double() / self.unit
        given = batch.cpu().double() / self.unit
        places, residual = _split(made, given, self.mean, self.axes)
        structure = F.linear(residual, self.residual_axes)
        noise = residual - F.linear(structure, self.residual_axes.T.contiguous())
        squares = noise.square().unflatten(1, (-1, len(self.products))).sum(dim=1)
        return torch.cat((places, structure, _NOISE_WEIGHT * squares.sqrt()), dim=1)

    def shares(self, details: Tensor, others: Tensor) -> Tensor:
        """Return each channel's share of the squared distances."""
        n_axes = self.products.shape[1]
        along, sizes = (details - others).tensor_split([n_axes], dim=-1)
        squares = torch.einsum("...i,cij,...j->...c", along, self.products, along)
        return squares.clamp_min(0.0) + sizes.square()


def _weights_of_steps(n_steps: int) -> Array:
    """Return weights of the steps of a causal window, with a mean of 1.

    An event stays in the windows of a whole length of steps after it. Were all steps to
    weigh the same, these would be as far from others as those in the event.
    """
    age = np.arange(n_steps)[::-1] / n_steps
    weights: Array = np.exp(-age / _RECENT) + _OF_ALL
    return weights / weights.mean()


def _width(steps: Array) -> Array:
    """Return the standard deviations of normal channels as wide as these.

    A channel that is quiet but for bursts has a small standard deviation, by which a
    burst like all others would be further away than any change of the other channels.
    """
    low, high = np.quantile(steps, (_TAIL, 1.0 - _TAIL), axis=0)
    return (high - low) / _NORMAL_WIDTH


def _split(
    made: Tensor, given: Tensor, mean: Tensor, axes: Tensor
) -> tuple[Tensor, Tensor]:
    """Return coordinates of reconstructions, and what they leave of the windows."""
    # F.linear, so that the bits do not depend on the batch (BatchInvariant).
    places = F.linear(made - mean, axes)
    return places, given - mean - F.linear(places, axes.T.contiguous())


def _axes_above_noise(residual: Tensor, n_channels: int) -> Tensor:
    """Return principal axes along which residuals vary more than noise would.

    The largest variance of white noise is estimated from what the axes leave, by the
    law of Marchenko and Pastur. Each channel has noise of its own.
    """
    n_windows, n_features = residual.shape
    axes, variances = principal_axes(residual, min(_MOST_AXES, n_features // 2))
    left = residual - residual @ axes.T @ axes
    noise = left.square().mean(dim=0).unflatten(0, (-1, n_channels)).mean(dim=0)
    noise = noise * n_features / max(n_features - len(axes), 1)
    squares = axes.square().unflatten(1, (-1, n_channels)).sum(dim=1)
    largest = squares @ noise * (1 + (n_features / n_windows) ** 0.5) ** 2
    return axes[variances > _ABOVE_NOISE * largest]
