"""Points for sequences of different lengths, to measure distances."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from skautoencoder._estimator.trained_network import TrainedNetwork
from skautoencoder.architectures._ragged import lengths_of
from skautoencoder.outliers.distance_embedding import ImageEmbedding


@dataclass(frozen=True)
class SequenceEmbedding(ImageEmbedding):
    """Points as those of images, of what sequences have until their end.

    The length is a number of the code, so unusual lengths are far away. Residuals past
    the end are zero; the others are scaled, so that short sequences weigh as much as
    long ones.
    """

    @staticmethod
    def _squared_contrast(images: Tensor, background: float) -> Tensor:
        return (images - background).square().nanmean(dim=1) * images.shape[1]

    def _residual(self, batch: Tensor, reconstruction: Tensor) -> Tensor:
        residual = super()._residual(batch, reconstruction)
        present = ~residual.isnan()
        share = present.sum(dim=1, keepdim=True) / batch.shape[1]
        return residual.nan_to_num(0.0) / share.sqrt()

    def _log_variances(self, batch: Tensor) -> Tensor:
        mean = batch.nanmean(dim=1, keepdim=True)
        variances = (batch - mean).square().nanmean(dim=1)
        return (variances + self._smallest_variance(batch)).log()

    def details(self, trained: TrainedNetwork, points: Tensor) -> Tensor:
        """Return points, then reconstructions of their codes, NaN after their end."""
        details = super().details(trained, points)
        n_steps, n_channels = trained.data_shape
        lengths = lengths_of(self._codes(points), n_steps)
        missing = torch.arange(n_steps) >= lengths[:, None]
        missing = missing.repeat_interleave(n_channels, dim=1)
        details[:, -missing.shape[1] :][missing] = torch.nan
        return details

    def shares(self, details: Tensor, others: Tensor) -> Tensor:
        """Return the shares of the values until the end of the first sequences."""
        n_values = (details.shape[-1] - len(self.code_mean) - 1) // 2
        missing = details[..., -n_values:].isnan()
        shares = super().shares(details.nan_to_num(0.0), others.nan_to_num(0.0))
        return shares.masked_fill(missing, 0.0)
