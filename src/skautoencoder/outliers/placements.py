"""Where a network puts rows, so that distances between them can be measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from skautoencoder._estimator.arrays import Array, feature_spread
from skautoencoder._estimator.trained_network import TrainedNetwork
from skautoencoder.training import one_thread

# Residuals of tables are measured in twice their spread: what a network leaves is
# noise in part. Half and twice as much did a little worse.
_RESIDUAL_WEIGHT = 0.5
# A residual that is next to nothing in training is not taken for a unit.
_SMALLEST_RESIDUAL = 0.02
# Shares of the usual contrast of images, and of the usual variance of codes, that
# are added to each: a blank image and an idle unit of the code are no unit.
_SMALLEST_CONTRAST = 0.05
_SMALLEST_VARIANCE = 1e-3
# An image is odd if the logarithm of its variance is so many standard deviations from
# the usual one, and a standard deviation is at least so large.
_USUAL_DEVIATIONS, _SMALLEST_DEVIATION = 3.0, 0.1
# Share of the usual variance that is added, for the logarithm.
_SMALLEST_PIXEL_VARIANCE = 1e-3
# What the squared distance of codes counts beside that of relative residuals.
_CODE_WEIGHT = 2.0
# A network far outside of what it was trained on may overflow.
_LARGEST = 1e30


def finite(values: Tensor) -> Tensor:
    """Return values with what has overflowed put at a very large number."""
    return values.nan_to_num(_LARGEST, _LARGEST, -_LARGEST)


class Placement(ABC):
    """Gives rows points, from what a network makes of them and what it leaves."""

    @abstractmethod
    def points(self, trained: TrainedNetwork, batch: Tensor) -> Tensor:
        """Return points of shape (n_samples, n_coordinates), in double precision."""

    def details(self, trained: TrainedNetwork, points: Tensor) -> Tensor:
        """Return what `shares` has to know about points, of shape (n_samples, any)."""
        return points

    @abstractmethod
    def shares(self, details: Tensor, others: Tensor) -> Tensor:
        """Return each feature's share of the squared distances of pairs of points.

        Of shape (..., n_features). The shares add up to the squared distance.

        Parameters
        ----------
        details, others : Tensor of shape (..., any)
            The points' `details`.
        """


@dataclass(frozen=True)
class TablePlacement(Placement):
    """Two coordinates a feature: the reconstruction and the residual.

    The two add up to the row, so rows that are far apart have points that are far
    apart, however well a network reconstructs what it has never seen.

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
    def from_rows(cls, trained: TrainedNetwork, rows: Array) -> TablePlacement:
        """Take the units from the rows that the network was trained on."""
        n_samples, n_features = rows.shape
        sums: dict[int, NDArray[np.float64]] = {}

        def residual(batch: Tensor) -> Tensor:
            return finite(trained.network(batch)) - batch

        def add(part: slice, residuals: Tensor) -> None:
            in_double = residuals.double().numpy()
            sums[part.start] = np.array(
                [in_double.sum(axis=0), np.square(in_double).sum(axis=0)]
            )

        trained.apply(residual, rows, add, at_once=True)
        mean, square = sum(sums[start] for start in sorted(sums)) / n_samples
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

    def shares(self, details: Tensor, others: Tensor) -> Tensor:
        """Return the squared differences of a feature's two coordinates."""
        of_reconstruction, of_residual = (details - others).square_().chunk(2, dim=-1)
        return of_reconstruction + of_residual


@dataclass(frozen=True)
class ImagePlacement(Placement):
    """The code, whitened, the variance, if it is odd, and the relative residual.

    A network that was trained on one kind of image reconstructs simple images of
    any kind with a small error, for there is little in them to be wrong about; so a
    residual is measured by what there is. And it reconstructs images from codes that
    none of the training images has. Where there is nothing at all, neither says much,
    but that is odd in itself.

    Parameters
    ----------
    code_mean : Tensor of shape (code_size,)
        The mean code.
    whitening : Tensor of shape (code_size, code_size)
        What centred codes are multiplied by. The mean square of the codes of
        training images is then about 2, that of their residuals 1.
    background : float
        What most pixels are, in the network's units.
    contrast : float
        What is added to the squared contrast of an image.
    n_channels : int
        Into how many parts of equal length a row is divided, each of which has a
        variance of its own.
    residual_unit : float, default=1.0
        Root mean square of the relative residuals.
    log_variance : float, default=0.0
        Median of the logarithms of the training images' variances.
    log_deviation : float, default=1.0
        The standard deviation of those.
    """

    code_mean: Tensor
    whitening: Tensor
    background: float
    contrast: float
    n_channels: int
    residual_unit: float = 1.0
    log_variance: float = 0.0
    log_deviation: float = 1.0

    @classmethod
    def from_rows(
        cls, trained: TrainedNetwork, rows: Array, n_channels: int = 1
    ) -> ImagePlacement:
        """Take the units from the rows that the network was trained on."""
        shown = trained.scaling.to_network_in_parts(rows)
        codes = torch.from_numpy(trained.encode(rows)).double()
        # Sums over all rows, of which several threads would make other digits.
        with one_thread():
            background = float(shown.median())
            usual = float(_squared_contrast(shown, background).mean())
            mean = codes.mean(dim=0)
            centred = codes - mean
            values, vectors = torch.linalg.eigh(centred.T @ centred / len(codes))
        values = values.clamp_min(0.0)
        values = values + _SMALLEST_VARIANCE * values.mean().clamp_min(1e-30)
        whitening = vectors / (values * len(mean) / _CODE_WEIGHT).sqrt()
        contrast = _SMALLEST_CONTRAST * (usual or 1.0)
        raw = cls(mean, whitening, background, contrast, n_channels)
        found = np.empty((len(rows), 2))

        def measure(batch: Tensor) -> Tensor:
            residual = raw._residual(batch, finite(trained.network(batch)))
            return torch.stack(
                (residual.square().sum(dim=1), raw._log_variances(batch)), dim=1
            )

        def write(part: slice, result: Tensor) -> None:
            found[part] = result.numpy()

        trained.apply(measure, rows, write, at_once=True)
        squares, variances = found.T
        # Of a normal distribution, this is the standard deviation.
        first, median, third = np.percentile(variances, [25, 50, 75])
        return replace(
            raw,
            residual_unit=max(float(np.sqrt(squares.mean())), 1e-6),
            log_variance=float(median),
            log_deviation=max(float(third - first) / 1.349, _SMALLEST_DEVIATION),
        )

    def _residual(self, batch: Tensor, reconstruction: Tensor) -> Tensor:
        batch = batch.cpu().double()
        contrast = _squared_contrast(batch, self.background) + self.contrast
        residual = batch - reconstruction.cpu().double()
        return residual / (contrast.sqrt()[:, None] * self.residual_unit)

    def _log_variances(self, batch: Tensor) -> Tensor:
        """Return the logarithm of the variance in each image."""
        images = batch.cpu().double().unflatten(1, (self.n_channels, -1))
        variances = images.var(dim=2, correction=0).mean(dim=1)
        usual = self.contrast / _SMALLEST_CONTRAST / batch.shape[1]
        return (variances + _SMALLEST_PIXEL_VARIANCE * usual).log()

    def _odd_variances(self, batch: Tensor) -> Tensor:
        """Return by how much images have less or more in them than usual ones."""
        deviations = (self._log_variances(batch) - self.log_variance).div_(
            self.log_deviation
        )
        return deviations - deviations.clamp(-_USUAL_DEVIATIONS, _USUAL_DEVIATIONS)

    def points(self, trained: TrainedNetwork, batch: Tensor) -> Tensor:
        """Return points of shape (n_samples, code_size + 1 + n_features)."""
        codes = finite(trained.network.encode(batch))
        residual = self._residual(batch, finite(trained.network.decode(codes)))
        # A linear layer, so that it rounds alike in every batch.
        whitened = F.linear(codes.cpu().double() - self.code_mean, self.whitening.T)
        return torch.cat(
            (whitened, self._odd_variances(batch)[:, None], residual), dim=1
        )

    def details(self, trained: TrainedNetwork, points: Tensor) -> Tensor:
        """Return points and the images that their codes stand for."""
        # Whitening is a rotation and a division of each axis, undone in reverse.
        lengths = self.whitening.square().sum(dim=0)
        whitened = points[:, : len(self.code_mean)] / lengths
        codes = F.linear(whitened, self.whitening) + self.code_mean
        device = next(trained.network.parameters()).device
        images = finite(trained.network.decode(codes.float().to(device)))
        return torch.cat((points, images.cpu().double()), dim=1)

    def shares(self, details: Tensor, others: Tensor) -> Tensor:
        """Return squared differences of residuals and the code's part of the pixels.

        Two codes differ in the pixels in which their reconstructions do, and by as
        much as the squares of those differences.
        """
        n_first = len(self.code_mean) + 1
        squares = (details - others).square_()
        first, residuals, images = squares.tensor_split(
            [n_first, (squares.shape[-1] + n_first) // 2], dim=-1
        )
        weights = images + 1e-30
        weights /= weights.sum(dim=-1, keepdim=True)
        return residuals + first.sum(dim=-1, keepdim=True) * weights


def _squared_contrast(images: Tensor, background: float) -> Tensor:
    return (images - background).square().sum(dim=1)
