"""Missing values of series."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from skautoencoder._estimator.array_types import Array


def interpolate(values: Array) -> Array:
    """Return a series with its gaps filled along straight lines.

    Parameters
    ----------
    values : ndarray of shape (n_timepoints, n_channels)
        The series; each channel has a value.
    """
    missing = np.isnan(values)
    if not missing.any():
        return values
    filled = values.copy()
    steps = np.arange(len(values))
    for channel, is_missing in zip(filled.T, missing.T, strict=True):
        channel[is_missing] = np.interp(
            steps[is_missing], steps[~is_missing], channel[~is_missing]
        )
    return filled


@dataclass(frozen=True)
class GapFiller:
    """Fills gaps of windows with what the most similar normal window has there.

    So a gap is not taken for an outlier: a window is judged by what is known of it.

    Parameters
    ----------
    windows : Tensor of shape (n_windows, n_features)
        Windows of the training data, in the network's units.
    """

    windows: Tensor

    def fill(self, rows: Tensor) -> Tensor:
        """Return windows of shape (n_rows, n_features) without NaN."""
        missing = rows.isnan()
        has_gap = missing.any(dim=1)
        if not has_gap.any():
            return rows
        known = (~missing).float()
        zeros = rows.nan_to_num(0.0, torch.inf, -torch.inf)
        # Squared distances over the known steps, less what is the same for all windows.
        closeness = F.linear(known, self.windows.square())
        closeness -= 2 * F.linear(zeros, self.windows)
        nearest = self.windows[closeness.argmin(dim=1)]
        return torch.where(missing, nearest, rows)
