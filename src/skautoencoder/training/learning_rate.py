"""Learning rate schedules."""

from __future__ import annotations

import math

SCHEDULES = ("one_cycle", "cosine", "constant")

_WARM_UP = 0.1
_FIRST = 0.05
_LAST = 1e-3


def learning_rate_factor(schedule: str, progress: float) -> float:
    """Return the factor by which the learning rate is multiplied.

    Parameters
    ----------
    schedule : {"one_cycle", "cosine", "constant"}
        "one_cycle" rises over the first tenth of the fit and falls to nearly
        zero along a cosine; "cosine" falls from the start.
    progress : float
        Share of the fit's steps already taken, from 0 to 1.

    Returns
    -------
    factor : float
        Between 0 and 1.

    References
    ----------
    Smith and Topin, "Super-convergence: very fast training of neural networks
    using large learning rates", arXiv:1708.07120, 2017.
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm
    restarts", ICLR 2017.
    """
    if schedule == "constant":
        return 1.0
    if schedule == "one_cycle":
        if progress < _WARM_UP:
            return _FIRST + (1 - _FIRST) * progress / _WARM_UP
        progress = (progress - _WARM_UP) / (1 - _WARM_UP)
    return _LAST + (1 - _LAST) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
