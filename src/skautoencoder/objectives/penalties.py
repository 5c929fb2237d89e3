"""Penalties on the code that make it sparse."""

from __future__ import annotations

from torch import Tensor


def l1_sparsity(codes: Tensor) -> Tensor:
    """Return the sum of absolute values of a code, averaged over the rows.

    Parameters
    ----------
    codes : Tensor of shape (n_samples, code_size)
        The codes.

    Returns
    -------
    penalty : Tensor of shape ()
        The mean L1 norm of a code.
    """
    return codes.abs().sum(dim=1).mean()


def kl_sparsity(codes: Tensor, target: float) -> Tensor:
    """Return how far the mean activity of the code's units is from `target`.

    Each unit is taken as a coin that is on with the unit's mean value over the
    batch; the penalty is the Kullback-Leibler divergence from a coin that is on
    with probability `target`, summed over the units.

    Parameters
    ----------
    codes : Tensor of shape (n_samples, code_size)
        The codes, in (0, 1).
    target : float
        The wanted mean activity of a unit, in (0, 1).

    Returns
    -------
    penalty : Tensor of shape ()
        The divergence, in nats.

    References
    ----------
    Ng, "Sparse autoencoder", CS294A lecture notes, Stanford, 2011.
    """
    margin = 1e-6
    activity = codes.mean(dim=0).clamp(margin, 1 - margin)
    on = target * (target / activity).log()
    off = (1 - target) * ((1 - target) / (1 - activity)).log()
    return (on + off).sum()
