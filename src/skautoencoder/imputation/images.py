"""Imputation in images: the network's input, its training rows, and its guesses."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skautoencoder._estimator.array_statistics import row_chunks
from skautoencoder._estimator.array_types import Array, Mask, Rows64
from skautoencoder._estimator.data_units import Scaling
from skautoencoder.imputation.feature_statistics import FeatureStatistics
from skautoencoder.training import Rows


@dataclass(frozen=True)
class ImageFilling:
    """Fills holes of images with the network's output.

    Parameters
    ----------
    statistics : FeatureStatistics
        Statistics of the observed pixels. The network's input in a hole is the mean.
    scaling : Scaling
        Units of the data and of the network.
    """

    statistics: FeatureStatistics
    scaling: Scaling

    @property
    def background(self) -> Tensor:
        """The network's input in holes, of shape (n_features,)."""
        return self.scaling.to_network(self.statistics.mean[np.newaxis])[0]

    def shown(self, rows: Array, observed: Mask) -> Tensor:
        """Return the network's input: the pixels, then a flag for each hole."""
        flags = torch.from_numpy(~observed).float()
        filled = self.statistics.fill(rows, observed)
        return torch.cat([self.scaling.to_network(filled), flags], dim=1)

    def rows_to_learn_from(self, rows: Array, observed: Mask) -> Rows:
        """Return training rows: the network's input, and the pixels as targets."""
        n_samples, n_features = rows.shape
        shown = torch.empty(n_samples, 2 * n_features)
        for part in row_chunks(rows):
            shown[part] = self.shown(rows[part], observed[part])
        targets = shown[:, :n_features].clone()
        targets.masked_fill_(torch.from_numpy(~observed), math.nan)
        return Rows(shown, targets)

    def fill(
        self, rows: Array, observed: Mask, answer: Callable[[Tensor], Tensor]
    ) -> Rows64:
        """Return guesses for all pixels of images, in the units of the data.

        Parameters
        ----------
        rows : ndarray of shape (n_samples, n_features)
            Flat images.
        observed : ndarray of bool of shape (n_samples, n_features)
            Which pixels are known.
        answer : callable
            Returns the network's output, given pixels and flags.
        """
        answers = answer(self.shown(rows, observed))
        return self.scaling.to_data(answers, np.dtype(np.float64)).astype(np.float64)
