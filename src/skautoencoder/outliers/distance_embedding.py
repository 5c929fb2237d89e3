"""Points for rows, from codes, reconstructions and residuals, to measure distances."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from skautoencoder._estimator.array_statistics import feature_spread
from skautoencoder._estimator.array_types import Array
from skautoencoder._estimator.trained_network import TrainedNetwork

# In tables residuals are divided by their spread and multiplied by this, as they are
# noise in part. Half and twice this weight were a little worse.
_RESIDUAL_WEIGHT = 0.5
# Lower bound of a residual's unit, relative to the feature's: residuals in training may
# be close to zero.
_SMALLEST_RESIDUAL = 0.02
# Shares of the usual contrast of images, and of the usual variance of codes, that are
# added to the divisors: a blank image has no contrast, an unused unit no variance.
_SMALLEST_CONTRAST = 0.05
# Lower bound of the unit of residuals of sequences, relative to their usual distance
# from the mean one: those of few training sequences may be close to zero.
_SMALLEST_RESIDUAL_OF_SEQUENCES = 0.3
_SMALLEST_VARIANCE = 1e-3
# An image's variance is unusual if its logarithm is more than this many standard
# deviations from the median; the second number is the lower bound of a deviation.
_USUAL_DEVIATIONS, _SMALLEST_DEVIATION = 3.0, 0.1
# Share of the usual variance that is added before taking the logarithm.
_SMALLEST_PIXEL_VARIANCE = 1e-3
# Weight of the squared distance of codes, relative to that of residuals.
_CODE_WEIGHT = 2.0
# Background and usual contrast are taken from about so many pixels, of at least so many
# images.
_MANY_PIXELS, _FEWEST_IMAGES = 2**21, 256
# So many images' contrasts are computed at once, as that takes copies of the images.
_ROWS_AT_ONCE = 512
# Replaces outputs that overflow, as they may far from the training data.
_LARGEST = 1e30


def finite(values: Tensor) -> Tensor:
    """Return values with infinity and NaN replaced by a very large number."""
    return values.nan_to_num(_LARGEST, _LARGEST, -_LARGEST)


class Embedding(ABC):
    """Maps rows to points, by their codes, reconstructions and residuals."""

    @abstractmethod
    def points(self, trained: TrainedNetwork, batch: Tensor) -> Tensor:
        """Return points of shape (n_samples, n_coordinates), in double precision."""

    def details(self, trained: TrainedNetwork, points: Tensor) -> Tensor:
        """Return what `shares` needs of points, of shape (n_samples, any)."""
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
class TableEmbedding(Embedding):
    """Points with two coordinates per feature: the reconstruction and the residual.

    The two add up to the row, so rows that are far apart have points that are far
    apart, even if a network reconstructs rows well that are unlike its training data.

    Parameters
    ----------
    reconstruction_unit : Tensor of shape (n_features,)
        Divisors of differences of reconstructions, in the network's units.
    residual_unit : Tensor of shape (n_features,)
        Divisors of differences of residuals.
    """

    reconstruction_unit: Tensor
    residual_unit: Tensor

    @classmethod
    def from_rows(cls, trained: TrainedNetwork, rows: Array) -> TableEmbedding:
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
        # A mean over the features, so that scores do not grow with their number.
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
class ImageEmbedding(Embedding):
    """Points of the whitened code, the unusual variance, and the relative residual.

    A network that was trained on one kind of image reconstructs simple images of any
    kind with a small error, as they have little contrast; so residuals are divided by
    the contrast. It may also reconstruct unusual images well, but then from codes that
    no training image has. For a blank image neither tells much, but its variance is
    unusual.

    Sequences have no blank background. Divided by their distance from the mean one,
    those that are far from all others would be as usual as those in the middle, so
    their residuals have one unit.

    Parameters
    ----------
    code_mean : Tensor of shape (code_size,)
        The mean code.
    whitening : Tensor of shape (code_size, code_size)
        Factor of centred codes. The mean square of the codes of training images is
        then about 2, that of their residuals 1.
    background : float
        The median pixel, in the network's units.
    contrast : float
        Added to the squared contrast of an image.
    n_channels : int
        Number of channels; variances are computed within each and averaged.
    residual_unit : float, default=1.0
        Root mean square of the residuals, relative to the contrast or not.
    log_variance : float, default=0.0
        Median of the logarithms of the training images' variances.
    log_deviation : float, default=1.0
        Their standard deviation.
    mean_image : Tensor of shape (n_features,), default=None
        What the network's units have lost of images in the user's, but for one number
        for all pixels: a blank image minus the mean one is not blank. None: nothing.
    is_relative : bool, default=True
        Whether residuals are divided by the contrast of their own image.
    """

    code_mean: Tensor
    whitening: Tensor
    background: float
    contrast: float
    n_channels: int
    residual_unit: float = 1.0
    log_variance: float = 0.0
    log_deviation: float = 1.0
    mean_image: Tensor | None = None
    is_relative: bool = True

    @classmethod
    def from_rows(
        cls,
        trained: TrainedNetwork,
        rows: Array,
        n_channels: int = 1,
        *,
        are_images: bool = True,
    ) -> ImageEmbedding:
        """Take the units from the rows that the network was trained on.

        Sequences are measured from the mean one: a channel has its own offset.
        """
        # A median of all pixels would take several copies of them.
        step = min(rows.size // _MANY_PIXELS, len(rows) // _FEWEST_IMAGES)
        shown = trained.scaling.to_network_in_parts(rows[:: max(step, 1)])
        mean_image, offset = None, trained.scaling.offset
        if offset is not None and are_images:
            mean_image = torch.from_numpy(
                (offset - offset.mean()) / trained.scaling.scale
            )
            shown += mean_image
        codes = torch.from_numpy(trained.encode(rows)).double()
        background = float(shown.nanmedian())
        contrasts = [
            cls._squared_contrast(part, background)
            for part in shown.split(_ROWS_AT_ONCE)
        ]
        usual = float(torch.cat(contrasts).mean())
        del shown
        mean = codes.mean(dim=0)
        centred = codes - mean
        values, vectors = torch.linalg.eigh(centred.T @ centred / len(codes))
        values = values.clamp_min(0.0)
        values = values + _SMALLEST_VARIANCE * values.mean().clamp_min(1e-30)
        whitening = vectors / (values * len(mean) / _CODE_WEIGHT).sqrt()
        contrast = _SMALLEST_CONTRAST * (usual or 1.0)
        raw = cls(
            mean,
            whitening,
            background,
            contrast,
            n_channels,
            mean_image=mean_image,
            is_relative=are_images,
        )

        def measure(batch: Tensor) -> Tensor:
            images = finite(trained.network(batch)).cpu().double()
            batch = batch.cpu().double()
            squares = raw._residual(batch, images).square().sum(dim=1)
            return torch.stack((squares, raw._log_variances(batch)), dim=1)

        squares, variances = trained.fill(np.empty((len(rows), 2)), measure, rows).T
        # The interquartile range / 1.349 is a normal distribution's standard deviation.
        first, median, third = np.percentile(variances, [25, 50, 75])
        least = 0.0 if are_images else _SMALLEST_RESIDUAL_OF_SEQUENCES * usual**0.5
        return replace(
            raw,
            residual_unit=max(float(np.sqrt(squares.mean())), least, 1e-6),
            log_variance=float(median),
            log_deviation=max(float(third - first) / 1.349, _SMALLEST_DEVIATION),
        )

    # These are given rows in double precision on the CPU.

    def _residual(self, batch: Tensor, reconstruction: Tensor) -> Tensor:
        if not self.is_relative:
            return (batch - reconstruction).div_(self.residual_unit)
        contrast = self._squared_contrast(self._blank_as_such(batch), self.background)
        contrast += self.contrast
        unit = contrast.sqrt_().mul_(self.residual_unit)
        return (batch - reconstruction).div_(unit[:, None])

    def _blank_as_such(self, batch: Tensor) -> Tensor:
        """Return rows in which images that are blank are so."""
        return batch if self.mean_image is None else batch + self.mean_image

    def _log_variances(self, batch: Tensor) -> Tensor:
        """Return the logarithm of each image's variance."""
        images = self._blank_as_such(batch).unflatten(1, (self.n_channels, -1))
        centred = images - images.mean(dim=2, keepdim=True)
        # Not by var(), which computes a single variance in another way than several.
        variances = centred.square().mean(dim=2).mean(dim=1)
        return (variances + self._smallest_variance(batch)).log()

    def _smallest_variance(self, batch: Tensor) -> float:
        """Return what is added to variances before their logarithm is taken."""
        usual = self.contrast / _SMALLEST_CONTRAST / batch.shape[1]
        return _SMALLEST_PIXEL_VARIANCE * usual

    def _odd_variances(self, batch: Tensor) -> Tensor:
        """Return by how much log-variances are outside of the usual range."""
        deviations = (self._log_variances(batch) - self.log_variance).div_(
            self.log_deviation
        )
        return F.softshrink(deviations, _USUAL_DEVIATIONS)

    def points(self, trained: TrainedNetwork, batch: Tensor) -> Tensor:
        """Return points of shape (n_samples, code_size + 1 + n_features)."""
        codes = finite(trained.network.encode(batch))
        images = finite(trained.network.decode(codes)).cpu().double()
        batch = batch.cpu().double()
        # F.linear, so that the bits do not depend on the batch (BatchInvariant).
        whitened = F.linear(codes.cpu().double() - self.code_mean, self.whitening.T)
        odd, residual = self._odd_variances(batch), self._residual(batch, images)
        return torch.cat((whitened, odd[:, None], residual), dim=1)

    def details(self, trained: TrainedNetwork, points: Tensor) -> Tensor:
        """Return points, followed by the reconstructions of their codes."""
        device = next(trained.network.parameters()).device
        codes = self._codes(points).float().to(device)
        images = finite(trained.network.decode(codes))
        return torch.cat((points, images.cpu().double()), dim=1)

    def _codes(self, points: Tensor) -> Tensor:
        """Return the codes of points."""
        # Whitening is a rotation and a scaling of each axis; both are inverted.
        lengths = self.whitening.square().sum(dim=0)
        whitened = points[:, : len(self.code_mean)] / lengths
        return F.linear(whitened, self.whitening) + self.code_mean

    def shares(self, details: Tensor, others: Tensor) -> Tensor:
        """Return each pixel's share of the squared distances.

        The part of codes and variances is divided among the pixels in proportion to the
        squared differences of the reconstructions.
        """
        n_first = len(self.code_mean) + 1
        squares = (details - others).square_()
        first, residuals, images = squares.tensor_split(
            [n_first, (squares.shape[-1] + n_first) // 2], dim=-1
        )
        weights = images + 1e-30
        weights /= weights.sum(dim=-1, keepdim=True)
        return residuals + first.sum(dim=-1, keepdim=True) * weights

    @staticmethod
    def _squared_contrast(images: Tensor, background: float) -> Tensor:
        return (images - background).square().sum(dim=1)
