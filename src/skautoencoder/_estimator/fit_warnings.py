"""Warnings of `fit`: units, code size, and networks that are worse than the mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from skautoencoder._estimator.array_types import Array, Shape
from skautoencoder._estimator.plan import Samples, TrainingPlan
from skautoencoder._estimator.user_warnings import warn_user
from skautoencoder.objectives import LOSSES
from skautoencoder.training import AutoencoderNet, evaluating

# Ratio of the largest variance of a feature or channel to the median one: it is 16 for
# iris, about 3 for pixels, and 1e5 and 1e8 for the raw tables of wine and of breast
# cancer.
_VARIANCE_RATIO = 1e4
# Ratio of the loss to that of the mean: for pure noise it is about 1.
_LOSS_RATIO = 1.2
# The same in partial_fit: parts of at least two rows had ratios of up to 16.
_LOSS_RATIO_OF_PART = 100.0
# Most rows that are used.
_MOST_ROWS = 2000
_FEW_ROWS = 256


def warn_of_units(
    rows: Array,
    names: Sequence[object] | None = None,
    *,
    shape: Shape | None = None,
    axis: int = 0,
) -> None:
    """Warn if a few features, or channels, hold nearly all of the variance.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        The data. NaN marks what is not there, after the end of a sequence.
    names : sequence, default=None
        Names of the features.
    shape : tuple of int, default=None
        Shape of a sample. None: a sample has features, without an order.
    axis : int, default=0
        Axis of a sample along which units may differ: that of its channels.
    """
    shape = rows.shape[1:] if shape is None else shape
    some = rows[_few(len(rows), _MOST_ROWS)]
    # By the largest value, so that neither squares nor their ratio overflow.
    some = some / (float(np.nanmax(np.abs(some))) or 1.0)
    there = ~np.isnan(some)
    n_there = np.maximum(there.sum(axis=0), 1)
    mean = some.sum(axis=0, dtype=np.float64, where=there) / n_there
    variance = np.square(some - mean).sum(axis=0, where=there) / n_there
    rounding = (1e-6 * mean) ** 2 + np.finfo(np.float64).tiny
    variance, rounding = (
        np.moveaxis(of_all.reshape(shape), axis, 0).reshape(shape[axis], -1).mean(1)
        for of_all in (variance, rounding)
    )
    varying = np.sort(variance[variance > rounding])
    if len(varying) < 2:
        return
    median = varying[(len(varying) - 1) // 2]
    ratio = varying[-1] / median
    if ratio <= _VARIANCE_RATIO:
        return
    place = int(variance.argmax())
    kind, cure = "feature", "Put a StandardScaler in front"
    if len(shape) > 1:
        kind, cure = "channel", "Divide each channel by its standard deviation"
    name = place if names is None else repr(names[place])
    warn_user(
        f"The {kind}s of X are in very different units: {kind.capitalize()} {name} has "
        f"{ratio:.1e} times the variance of the median {kind}. They are divided by one "
        f"number for all, as in PCA, so {kind}s with little variance are hardly "
        f"learnt. {cure}, if they matter.",
    )


def warn_of_large_codes(code_size: int, n_features: int) -> None:
    """Warn if a code is as long as a sample, which can then be copied."""
    if code_size >= n_features:
        warn_user(
            f"code_size={code_size} is not below the number of features, {n_features}: "
            "the network can copy them, and codes say no more than X. Lower "
            "code_size, or set sparsity, with which long codes are meant.",
        )


def warn_of_divergence(
    net: AutoencoderNet, samples: Samples, plan: TrainingPlan, *, is_part: bool
) -> None:
    """Warn if a network reconstructs worse than the mean would.

    Parameters
    ----------
    net : AutoencoderNet
        The trained net.
    samples : Samples
        The samples of the fit.
    plan : TrainingPlan
        Its plan.
    is_part : bool
        Whether these are a part of the data, in `partial_fit`. A few rows may have
        nearly no variance, or be unlike all previous ones, so the bound is higher, and
        relative to the loss of the first part if that is larger. A fit that diverges
        soon exceeds it.
    """
    data = plan.data
    network, objective = net.module_, net.criterion_
    device = next(network.parameters()).device
    rows, targets = (tensor.to(device) for tensor in data[_few(len(data), _FEW_ROWS)])
    losses = net.history[:, "train_loss"]
    with evaluating(network):
        of_mean = float(objective.loss_of_mean(network, rows, targets))
        most = _LOSS_RATIO * of_mean
        if is_part:
            first = losses[0] if len(losses) > 1 else 0.0
            # Zeros are the mean of the first part: other parts may be far from it, and
            # of few rows that are alike.
            known = targets.nan_to_num()
            of_zeros = float(LOSSES[objective.loss](torch.zeros_like(known), known))
            most = _LOSS_RATIO_OF_PART * max(of_mean, of_zeros, first)
        # The training loss includes penalties; if it is high, compute the loss without.
        if not of_mean or losses[-1] <= most:
            return
        found = float(objective.loss_of_answers(network, rows, targets))
    if found > most:
        cure = "Lower lr, or train longer (max_epochs)."
        if _scaler_may_help(samples, plan):
            cure = (
                "Lower lr, train longer (max_epochs), or scale the data "
                "(StandardScaler, MinMaxScaler)."
            )
        warn_user(
            f"The network answers worse than the mean of X would: its loss is "
            f"{found:.3g}, that of the mean {of_mean:.3g}. {cure}",
            ConvergenceWarning,
        )


def _few(n_rows: int, n_wanted: int) -> slice:
    """Return a slice of about `n_wanted` rows, evenly spaced over the data."""
    return slice(None, None, max(n_rows // n_wanted, 1))


def _scaler_may_help(samples: Samples, plan: TrainingPlan) -> bool:
    """Return whether features have one scale, and may be of several kinds."""
    if not samples.architecture.standardizes:
        return True
    scaling = plan.units.scaling
    # Data in [0, 1], which have no offset, and images are of one kind.
    has_one_scale = scaling.offset is not None and np.ndim(scaling.scale) == 0
    return has_one_scale and len(samples.data_shape) == 1
