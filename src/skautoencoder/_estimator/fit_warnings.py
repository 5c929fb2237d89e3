"""What `fit` warns of: it ran, but hardly learnt what the user wants."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from skautoencoder._estimator.arrays import Array
from skautoencoder.objectives import LOSSES
from skautoencoder.training import evaluating

# Largest variance of a feature over the median one: iris has 16, pixels about 3, and
# the raw tables of wine and of breast cancer 1e5 and 1e8.
_VARIANCE_RATIO = 1e4
# Loss over that of the mean: noise that cannot be learnt ends near 1.
_LOSS_RATIO = 1.2
# Rows that are looked at.
_MOST_ROWS = 2000
_FEW_ROWS = 256


def warn_of_units(rows: Array, names: Sequence[object] | None = None) -> None:
    """Warn if a few features hold nearly all of the variance.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        The data.
    names : sequence, default=None
        Names of the features.
    """
    some = rows[few(len(rows), _MOST_ROWS)]
    mean = some.mean(axis=0, dtype=np.float64)
    variance = np.square(some - mean).mean(axis=0)
    varying = np.sort(variance[variance > (1e-6 * mean) ** 2])
    if len(varying) < 2:
        return
    median = varying[(len(varying) - 1) // 2]
    ratio = varying[-1] / median
    if ratio <= _VARIANCE_RATIO:
        return
    place = int(variance.argmax())
    name = f"Feature {place}" if names is None else f"Feature {names[place]!r}"
    warnings.warn(
        f"The features of X are in very different units: {name} has {ratio:.1e} times "
        "the variance of the median feature. They are divided by one number for all, "
        "as in PCA, so features with little variance are hardly learnt. Put a "
        "StandardScaler in front, if they matter.",
        stacklevel=2,
    )


def warn_of_copying(code_size: int, n_features: int) -> None:
    """Warn if a code has room for a copy of the sample."""
    if code_size >= n_features:
        warnings.warn(
            f"code_size={code_size} is not below the number of features, {n_features}: "
            "the network can copy them, and codes say no more than X. Lower "
            "code_size, or set sparsity, with which long codes are meant.",
            stacklevel=2,
        )


def warn_of_divergence(
    network: nn.Module,
    loss: str,
    last_loss: float,
    rows: torch.Tensor,
    targets: torch.Tensor,
) -> None:
    """Warn if a network answers worse than the mean would.

    Parameters
    ----------
    network : torch.nn.Module
        The trained network.
    loss : str
        What it was trained with.
    last_loss : float
        The loss of its last epoch. Penalties are in it, so that the network itself is
        asked where this is high.
    rows, targets : Tensor of shape (n_samples, n_features)
        What the network is shown, and should answer.
    """
    measure = LOSSES[loss]
    with torch.no_grad():
        of_mean = float(measure(targets.mean(dim=0).expand_as(targets), targets))
        if not of_mean or last_loss <= _LOSS_RATIO * of_mean:
            return
        device = next(network.parameters()).device
        with evaluating(network):
            answers = network(rows.to(device)).cpu().float()
        found = float(measure(answers, targets))
    if found > _LOSS_RATIO * of_mean:
        warnings.warn(
            f"The network answers worse than the mean of X would: its loss is "
            f"{found:.3g}, that of the mean {of_mean:.3g}. Lower lr, train longer "
            "(max_epochs), or scale the data (StandardScaler, MinMaxScaler).",
            ConvergenceWarning,
            stacklevel=2,
        )


def few(n_rows: int, n_wanted: int = _FEW_ROWS) -> slice:
    """Return the places of about so many rows, from everywhere in the data."""
    return slice(None, None, max(n_rows // n_wanted, 1))
