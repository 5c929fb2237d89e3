"""Reconstruction losses."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

# Compares an output with a target; takes reduction="mean" or "none".
Loss = Callable[..., Tensor]


LOSSES: dict[str, Loss] = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "huber": F.huber_loss,
    "bce": F.binary_cross_entropy,
}

# Weight of the cross-entropy's gradient: small enough not to change what is learnt,
# large enough to leave saturation; from 0.01 to 0.05 no reference network collapses.
RESCUE = 0.02
_ROUNDING = 1e-6


def is_in_unit_interval(numbers: Tensor) -> bool:
    """Return whether numbers lie in [0, 1], up to rounding."""
    return bool(numbers.min() >= -_ROUNDING and numbers.max() <= 1 + _ROUNDING)


def check_outputs(loss: str, outputs: Tensor) -> None:
    """Raise if a loss is not defined for a network's outputs."""
    if loss == "bce" and not is_in_unit_interval(outputs):
        raise ValueError(
            "loss='bce' needs reconstructions in [0, 1]. Let the decoder of Custom "
            "end in a sigmoid, or set its output_activation='sigmoid'."
        )


def reconstruction_loss(
    loss: str, logits: Tensor, target: Tensor, output_activation: str
) -> Tensor:
    """Return the loss, averaged over all features of all rows.

    Parameters
    ----------
    loss : {"mse", "l1", "huber", "bce"}
        Squared error, absolute error, Huber's mixture of the two (quadratic up
        to an error of 1), or binary cross-entropy in nats.
    logits : Tensor of shape (n_samples, n_features)
        The decoder's output before its activation.
    target : Tensor of shape (n_samples, n_features)
        The wanted output after the activation; in [0, 1] for "bce".
    output_activation : {"identity", "sigmoid"}
        The activation.

    Returns
    -------
    loss : Tensor of shape ()
        The mean loss.

    Notes
    -----
    A sigmoid close to 0 or 1 has almost no gradient, and a network whose outputs are
    black images would stay there. So 2 % of the cross-entropy's gradient, which does
    not vanish there, is added to the gradient of every loss of a sigmoid, but not to
    its value. The minimum of the cross-entropy is the mean, like that of the squared
    error; the minimum of the absolute error, the median, is moved a little.

    References
    ----------
    Huber, "Robust estimation of a location parameter", Annals of Mathematical
    Statistics 35, 1964.
    """
    if output_activation == "sigmoid":
        if loss == "bce":
            # From the logits, which is exact where the sigmoid rounds to 0 or 1.
            return F.binary_cross_entropy_with_logits(logits, target)
        return LOSSES[loss](logits.sigmoid(), target) + _rescue(logits, target)
    if loss == "bce":
        # The output of a module of the user's own may be exactly 0 or 1.
        margin = 1e-6
        logits = logits.clamp(margin, 1 - margin)
    return LOSSES[loss](logits, target)


def masked_loss(
    loss: str, logits: Tensor, target: Tensor, output_activation: str
) -> Tensor:
    """Return the loss, averaged over the entries of the target that are not NaN.

    Parameters
    ----------
    loss, logits, target, output_activation : object
        See :func:`reconstruction_loss`.

    Returns
    -------
    loss : Tensor of shape ()
        The mean loss; 0 if all entries are NaN.
    """
    asked = ~target.isnan()
    n_asked = asked.sum()
    if not n_asked:
        return logits.sum() * 0.0
    if output_activation == "identity" and loss != "bce":
        # Zeros against zeros add no loss, which is faster than indexing.
        logits = torch.where(asked, logits, 0.0)
        target = torch.where(asked, target, 0.0)
        return LOSSES[loss](logits, target) * (asked.numel() / n_asked)
    return reconstruction_loss(loss, logits[asked], target[asked], output_activation)


def _rescue(logits: Tensor, target: Tensor) -> Tensor:
    """Return zero, with the gradient of the cross-entropy."""
    entropy = F.binary_cross_entropy_with_logits(logits, target.clamp(0, 1))
    return RESCUE * (entropy - entropy.detach())
