"""From scores to thresholds and p-values."""

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
    # Between two scores, so that no rounding decides.
    return float((scores[n_below - 1] + scores[min(n_below, len(scores) - 1)]) / 2)


def offset_of_fence(scores: Scores) -> float:
    """Return the threshold below which a boxplot shows scores as single points.

    References
    ----------
    Tukey, "Exploratory data analysis", 1977.
    """
    first, third = np.percentile(scores, [25, 75])
    return float(first - 1.5 * (third - first))


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
        If there are too few scores for a p-value as small as that.
    """
    # A rate such as 0.07 of 99 + 1 scores must not be taken for 6.9999….
    n_lower = math.floor(rate * (len(calibration_scores) + 1) * (1 + 1e-12)) - 1
    if n_lower < 0:
        raise ValueError(
            f"false_alarm_rate={rate} needs at least {math.ceil(1 / rate) - 1} rows to "
            f"calibrate with, got {len(calibration_scores)}. Raise "
            "calibration_fraction or the rate, or fit on more rows."
        )
    return float(calibration_scores[n_lower])


def conformal_p_values(scores: Scores, calibration_scores: Scores) -> Scores:
    """Return the share of the scores that are as low as each score, itself included.

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
