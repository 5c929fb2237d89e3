"""Filling holes of images: what a network is shown, and what it learns from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skautoencoder._estimator.arrays import Array, Mask, Rows64
from skautoencoder._estimator.units import Scaling
from skautoencoder.imputation.feature_statistics import FeatureStatistics
from skautoencoder.training import Rows


@dataclass(frozen=True)
class ImageFilling:
    """A guess at the holes of images, which is the network's.

    Parameters
    ----------
    statistics : FeatureStatistics
        Of the observed pixels. The network is shown their mean in the holes.
    scaling : Scaling
        Units of the data and of the network.
    """

    statistics: FeatureStatistics
    scaling: Scaling

    @property
    def background(self) -> Tensor:
        """What the network is shown in a hole, of shape (n_features,)."""
        return self.scaling.to_network(self.statistics.mean[np.newaxis])[0]

    def shown(self, rows: Array, observed: Mask) -> Tensor:
        """Return what the network sees: the pixels, then a flag for each hole."""
        flags = torch.from_numpy(~observed).float()
        filled = self.statistics.fill(rows, observed)
        return torch.cat([self.scaling.to_network(filled), flags], dim=1)

    def rows_to_learn_from(self, rows: Array, observed: Mask) -> Rows:
        """Return what the network is shown of images, and the pixels to answer."""
        shown = self.shown(rows, observed)
        targets = shown[:, : rows.shape[1]].clone()
        targets[torch.from_numpy(~observed)] = math.nan
        return Rows(shown, targets)

    def fill(
        self, rows: Array, observed: Mask, answer: Callable[[Tensor], Tensor]
    ) -> Rows64:
        """Return guesses at all pixels of images, in the units of the data.

        Parameters
        ----------
        rows : ndarray of shape (n_samples, n_features)
            Flat images.
        observed : ndarray of bool of shape (n_samples, n_features)
            Which pixels are known.
        answer : callable
            What the network says to pixels and flags.
        """
        answers = answer(self.shown(rows, observed))
        return self.scaling.to_data(answers, np.dtype(np.float64)).astype(np.float64)
