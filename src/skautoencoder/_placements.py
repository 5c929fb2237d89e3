"""Where a network puts rows, so that distances between them can be measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skautoencoder._samples import Array, feature_spread
from skautoencoder._trained import TrainedNetwork
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

    @abstractmethod
    def shares(self, trained: TrainedNetwork, points: Tensor, others: Tensor) -> Tensor:
        """Return each feature's share of the squared distances of pairs of points.

        Of shape (n_samples, n_features). The shares add up to the squared distance.
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

    def shares(self, trained: TrainedNetwork, points: Tensor, others: Tensor) -> Tensor:
        """Return the squared differences of a feature's two coordinates."""
        of_reconstruction, of_residual = (points - others).square_().chunk(2, dim=1)
        return of_reconstruction + of_residual


@dataclass(frozen=True)
class ImagePlacement(Placement):
    """The code, whitened, and the residual, relative to the contrast of the image.

    A network that was trained on one kind of image reconstructs simple images of
    any kind with a small error, for there is little in them to be wrong about; so a
    residual is measured by what there is. And it reconstructs images from codes that
    none of the training images has.

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
    residual_unit : float
        Root mean square of the relative residuals.
    """

    code_mean: Tensor
    whitening: Tensor
    background: float
    contrast: float
    residual_unit: float

    @classmethod
    def from_rows(cls, trained: TrainedNetwork, rows: Array) -> ImagePlacement:
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
        raw = cls(mean, whitening, background, _SMALLEST_CONTRAST * (usual or 1.0), 1.0)
        squares: list[Tensor] = []
        trained.apply(
            lambda batch: raw._residual(batch, finite(trained.network(batch))),
            rows,
            lambda part, residual: squares.append(residual.square().sum(dim=1)),
        )
        with one_thread():
            unit = float(torch.cat(squares).mean().sqrt())
        return cls(mean, whitening, background, raw.contrast, max(unit, 1e-6))

    def _residual(self, batch: Tensor, reconstruction: Tensor) -> Tensor:
        batch = batch.cpu().double()
        contrast = _squared_contrast(batch, self.background) + self.contrast
        residual = batch - reconstruction.cpu().double()
        return residual / (contrast.sqrt()[:, None] * self.residual_unit)

    def points(self, trained: TrainedNetwork, batch: Tensor) -> Tensor:
        """Return points of shape (n_samples, code_size + n_features)."""
        codes = finite(trained.network.encode(batch))
        residual = self._residual(batch, finite(trained.network.decode(codes)))
        whitened = (codes.cpu().double() - self.code_mean) @ self.whitening
        return torch.cat((whitened, residual), dim=1)

    def shares(self, trained: TrainedNetwork, points: Tensor, others: Tensor) -> Tensor:
        """Return squared differences of residuals and the code's part of the pixels.

        Two codes differ in the pixels in which their reconstructions do, and by as
        much as the squares of those differences.
        """
        squares = (points - others).square_()
        code_size = len(self.code_mean)
        differences = self._decode(trained, points) - self._decode(trained, others)
        weights = differences.square_() + 1e-30
        weights /= weights.sum(dim=1, keepdim=True)
        of_code = squares[:, :code_size].sum(dim=1, keepdim=True)
        return squares[:, code_size:] + of_code * weights

    def _decode(self, trained: TrainedNetwork, points: Tensor) -> Tensor:
        code_size = len(self.code_mean)
        # Whitening is a rotation and a division of each axis, undone in reverse.
        lengths = self.whitening.square().sum(dim=0)
        codes = points[:, :code_size] / lengths @ self.whitening.T + self.code_mean
        device = trained.network.parameters()
        codes = codes.float().to(next(device).device)
        return finite(trained.network.decode(codes)).cpu().double()


def _squared_contrast(images: Tensor, background: float) -> Tensor:
    return (images - background).square().sum(dim=1)
