"""Thresholds and conformal p-values of outlier scores."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


def offset_of_share(scores: Scores, share: float) -> float:
    """Return the threshold below which a share of the scores lies.

    Ties apart, exactly ``round(share * n_scores)`` scores are below it.
    """
    scores = np.sort(scores)
    n_below = round(share * len(scores))
    if n_below == 0:
        return float(scores[0])
    # Halfway between two scores, so that rounding does not matter.
    return float((scores[n_below - 1] + scores[min(n_below, len(scores) - 1)]) / 2)


def offset_of_fence(scores: Scores) -> float:
    """Return the lower fence of a boxplot, below which scores are drawn as points.

    References
    ----------
    Tukey, "Exploratory data analysis", 1977.
    """
    first, third = np.percentile(scores, [25, 75])
    return float(first - 1.5 * (third - first))


def offset_of_contamination(scores: Scores, contamination: float | str) -> float:
    """Return the threshold for a share of outliers, or for "auto" the lower fence."""
    if isinstance(contamination, str):
        return offset_of_fence(scores)
    return offset_of_share(scores, contamination)


def offset_of_false_alarms(calibration_scores: Scores, rate: float) -> float:
    """Return the threshold below which conformal p-values are at most `rate`.

    Parameters
    ----------
    calibration_scores : ndarray of shape (n_calibration,)
        Scores of normal rows that training has not seen, in ascending order.
    rate : float
        The rate, in (0, 1).

    Raises
    ------
    ValueError
        If there are too few scores for such a small p-value.
    """
    # The margin is for rounding: 0.07 * 100 must not become 6.9999….
    n_lower = math.floor(rate * (len(calibration_scores) + 1) * (1 + 1e-12)) - 1
    if n_lower < 0:
        raise ValueError(
            f"false_alarm_rate={rate} needs at least {math.ceil(1 / rate) - 1} rows to "
            f"calibrate with, got {len(calibration_scores)}. Raise "
            "calibration_fraction or the rate, or fit on more rows."
        )
    return float(calibration_scores[n_lower])


def conformal_p_values(scores: Scores, calibration_scores: Scores) -> Scores:
    """Return conformal p-values: shares of the calibration scores not above a score.

    The score itself is counted among them.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Scores of new rows.
    calibration_scores : ndarray of shape (n_calibration,)
        Scores of normal rows that training has not seen, in ascending order.

    References
    ----------
    Bates, Candès, Lei, Romano and Sesia, "Testing for outliers with conformal
    p-values", Annals of Statistics 51, 2023.
    """
    n_lower = np.searchsorted(calibration_scores, scores, side="right")
    p_values: Scores = (1 + n_lower) / (1 + len(calibration_scores))
    return p_values
