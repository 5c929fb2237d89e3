"""Maximum mean discrepancy: a distance of codes from a distribution."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

# The scales of Tolstikhin et al.
SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def maximum_mean_discrepancy(
    codes: Tensor, draws: Tensor, scales: Sequence[float] = SCALES
) -> Tensor:
    r"""Return an unbiased estimate of the squared maximum mean discrepancy.

    It is the U-statistic of the kernel

    .. math:: k(x, y) = \sum_s \frac{C_s}{C_s + \|x - y\|^2}, \qquad C_s = 2 d s,

    with :math:`d` the size of a code: the mean kernel between two codes, plus that
    between two draws, minus twice that between a code and a draw. For codes that are
    draws of the same distribution its mean is 0, so that it may be negative; only for
    these, as the kernel is characteristic.

    Parameters
    ----------
    codes : Tensor of shape (n_samples, code_size)
        The codes, two at least.
    draws : Tensor of shape (n_draws, code_size)
        Draws of the distribution that codes are to have, two at least.
    scales : sequence of float, default=(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
        The scales :math:`s`. :math:`2 d` is the mean squared distance between two
        draws of the standard normal distribution.

    Returns
    -------
    discrepancy : Tensor of shape ()
        The estimate, between -2 and 2 for each scale.

    References
    ----------
    Gretton, Borgwardt, Rasch, Schölkopf and Smola, "A kernel two-sample test", Journal
    of Machine Learning Research 13, 2012.
    Tolstikhin, Bousquet, Gelly and Schölkopf, "Wasserstein auto-encoders", ICLR 2018.
    """
    lengths = [2 * codes.shape[1] * scale for scale in scales]

    def kernel(one: Tensor, other: Tensor) -> Tensor:
        # By matrix products, which every device supports; in float32 under autocast.
        mode = "use_mm_for_euclid_dist"
        squared = torch.cdist(one, other, compute_mode=mode).square()
        terms = (length / (length + squared) for length in lengths)
        return sum(terms, start=torch.zeros_like(squared))

    def mean_of_pairs(points: Tensor) -> Tensor:
        values, n_points = kernel(points, points), len(points)
        return (values.sum() - values.trace()) / (n_points * (n_points - 1))

    between = kernel(codes, draws).mean()
    return mean_of_pairs(codes) + mean_of_pairs(draws) - 2 * between
