"""Likelihoods of rows, given the decoder's outputs for a code."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Lower bound of learnt variances: for a constant feature, or one that the code
# determines exactly, the variance would otherwise fall to zero without end.
_LOWEST_LOG_VARIANCE = math.log(1e-6)
# Factor of the raw parameter, as log-variances change more in a fit than weights do.
_PACE = 10.0


class BernoulliLikelihood(nn.Module):
    """Features that are 0 or 1, with the decoder's outputs as logits.

    A value between 0 and 1 is taken as a probability: its log-likelihood is the
    expected one of ones and zeros drawn with it.
    """

    def log_likelihood(self, outputs: Tensor, rows: Tensor) -> Tensor:
        """Return the log-probability of rows.

        Parameters
        ----------
        outputs : Tensor of shape (..., n_features)
            The decoder's outputs, as logits.
        rows : Tensor of shape (..., n_features)
            Values in [0, 1].

        Returns
        -------
        log_likelihood : Tensor of shape (...,)
            In nats, summed over the features.
        """
        return -F.binary_cross_entropy_with_logits(
            outputs, rows.expand_as(outputs), reduction="none"
        ).sum(dim=-1)

    def without_code(self, rows: Tensor) -> Tensor:
        """Return the log-probability of rows if each feature has its mean as chance."""
        chances = rows.mean(dim=0).expand_as(rows)
        return -F.binary_cross_entropy(chances, rows, reduction="none").sum(-1)

    def mean(self, outputs: Tensor) -> Tensor:
        """Return the probability of a 1."""
        return outputs.sigmoid()

    def sample(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Return ones and zeros drawn with these probabilities."""
        # The generator is on the CPU, whatever the device.
        chance = uniform_like(outputs, generator)
        return (chance < outputs.sigmoid()).to(outputs)


class GaussianLikelihood(nn.Module):
    """Normal features, with the decoder's outputs as means, and learnt variances.

    Parameters
    ----------
    n_features : int
        Number of features.
    shared : bool, default=False
        Whether all features have one variance.

    References
    ----------
    Rybkin, Daniilidis and Levine, "Simple and effective VAE training with
    calibrated decoders", ICML 2021.
    """

    def __init__(self, n_features: int, *, shared: bool = False) -> None:
        super().__init__()
        self.n_features = n_features
        self.shared = shared
        self.raw_log_variance = nn.Parameter(torch.zeros(1 if shared else n_features))

    @property
    def log_variance(self) -> Tensor:
        """Logarithm of the variance of each feature, or of their common one."""
        return bounded_below(_PACE * self.raw_log_variance, _LOWEST_LOG_VARIANCE)

    def log_likelihood(self, outputs: Tensor, rows: Tensor) -> Tensor:
        """Return the log-density of rows.

        Parameters
        ----------
        outputs : Tensor of shape (..., n_features)
            The decoder's outputs: the means.
        rows : Tensor of shape (..., n_features)
            Values in the network's units.

        Returns
        -------
        log_likelihood : Tensor of shape (...,)
            In nats, summed over the features.
        """
        log_variance = self.log_variance.expand(outputs.shape[-1])
        deviations = (rows - outputs) * (-0.5 * log_variance).exp()
        constant = log_variance.sum() + outputs.shape[-1] * math.log(2 * math.pi)
        return -0.5 * (deviations.square().sum(dim=-1) + constant)

    def without_code(self, rows: Tensor) -> Tensor:
        """Return the log-density of rows if each feature is standard normal."""
        return -0.5 * (rows.square() + math.log(2 * math.pi)).sum(dim=-1)

    def mean(self, outputs: Tensor) -> Tensor:
        """Return the means."""
        return outputs

    def sample(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Return rows drawn around the means."""
        noise = normal_like(outputs, generator)
        return outputs + (0.5 * self.log_variance).exp() * noise


def bounded_below(raw: Tensor, low: float) -> Tensor:
    """Return numbers that are close to `raw` far above `low`, and never below `low`.

    Parameters
    ----------
    raw : Tensor
        Any numbers.
    low : float
        The bound.

    Returns
    -------
    bounded : Tensor
        A smooth function of `raw`, whose gradient is nowhere zero.
    """
    return low + F.softplus(raw - low)


def uniform_like(outputs: Tensor, generator: torch.Generator) -> Tensor:
    """Return uniform numbers, drawn on the CPU so that all devices get the same."""
    drawn = torch.rand(outputs.shape, generator=generator, dtype=torch.float32)
    return drawn.to(outputs)


def normal_like(outputs: Tensor, generator: torch.Generator) -> Tensor:
    """Return normal numbers, drawn on the CPU so that all devices get the same."""
    drawn = torch.randn(outputs.shape, generator=generator, dtype=torch.float32)
    return drawn.to(outputs)
