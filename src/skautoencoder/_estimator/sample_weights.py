"""Weights of samples: whole numbers repeat rows, others draw them more often."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from skautoencoder._estimator.array_types import Array
from skautoencoder._estimator.input_hints import naming
from skautoencoder._estimator.sample_validation import from_torch

Weights = NDArray[np.float64]
# Repeated rows take memory: above this many times the rows, weights are drawn by.
_MOST_REPEATED = 10


def check_sample_weight(sample_weight: Any, n_samples: int) -> Weights | None:
    """Return weights as an array; None if they are all the same or not given."""
    if sample_weight is None:
        return None
    with naming("sample_weight"):
        given = np.asarray(from_torch(sample_weight))
        if given.dtype.kind == "c":
            raise TypeError("sample_weight has complex numbers.")
        weights: Weights = given.astype(np.float64)
    if weights.shape != (n_samples,):
        raise ValueError(
            f"sample_weight has shape {weights.shape}, but X has {n_samples} samples. "
            "Give one weight for each."
        )
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise ValueError(
            "sample_weight must hold finite numbers that are not negative, and at "
            "least one above 0."
        )
    return None if (weights == weights[0]).all() else weights


def weighted_samples(
    X: Any, y: Any, sample_weight: Any
) -> tuple[Any, Any, Weights | None, NDArray[np.intp] | None]:
    """Return the samples that have a weight, and what is to be done about it.

    Parameters
    ----------
    X, y, sample_weight : object
        What `fit` was given.

    Returns
    -------
    X, y : object
        Without the samples of weight 0, in their containers.
    weights : ndarray of shape (n_left,) or None
        How often samples are drawn. None: all the same.
    copies : ndarray of int of shape (n_copies,) or None
        Indices of these samples, each as often as its weight counts it. None: weights
        are no counts.
    """
    if sample_weight is None:
        return X, y, None, None
    with naming("X"):
        n_samples = _num_samples(X)
    weights = check_sample_weight(sample_weight, n_samples)
    if weights is None:
        return X, y, None, None
    few = weights.sum() <= _MOST_REPEATED * n_samples
    are_counts = few and bool((weights == np.rint(weights)).all())
    if not weights.all():
        rows = np.flatnonzero(weights)
        weights = weights[rows]
        X = _safe_indexing(from_torch(X), rows)
        y = None if y is None else _safe_indexing(from_torch(y), rows)
    if not are_counts:
        return X, y, check_sample_weight(weights, len(weights)), None
    return X, y, None, np.repeat(np.arange(len(weights)), weights.astype(np.intp))


def weighted_share_explained(errors: Array, rows: Array, weights: Weights) -> float:
    """Return the fraction of a weighted variance that reconstructions explain.

    Parameters
    ----------
    errors : ndarray of shape (n_samples,)
        Sum of the squared errors of each row.
    rows : ndarray of shape (n_samples, n_features)
        The rows; sequences may be NaN after their end.
    weights : ndarray of shape (n_samples,)
        Their weights.
    """
    present = ~np.isnan(rows)
    values = np.where(present, rows, 0.0).astype(np.float64)
    mean = weights @ values / np.maximum(weights @ present, np.finfo(float).tiny)
    deviations = np.where(present, rows - mean, 0.0)
    total = float(weights @ np.square(deviations).sum(axis=1))
    residual = float(weights @ errors)
    if not total:
        return 1.0 if not residual else 0.0
    return max(1.0 - residual / total, -sys.float_info.max)
