"""How likely a row is, given what the decoder answers to a code."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# A learned variance stays above a millionth of the unit: a constant feature, or one
# that a code says exactly, would otherwise be told ever more exactly, without end.
_LOWEST_LOG_VARIANCE = math.log(1e-6)
# Per step of the optimizer a log-variance has further to go than a weight.
_PACE = 10.0


class BernoulliLikelihood(nn.Module):
    """Features are 1 with the probability that the decoder answers, and 0 else.

    A value between 0 and 1 is taken for a probability: the likelihood then is the
    expected one of the ones and zeros drawn from it.
    """

    def log_likelihood(self, outputs: Tensor, rows: Tensor) -> Tensor:
        """Return the log-probability of rows.

        Parameters
        ----------
        outputs : Tensor of shape (..., n_features)
            What the decoder answers, as logits.
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
        """Return the log-probability of rows if each feature is the throw of a coin."""
        return self.log_likelihood(torch.zeros_like(rows), rows)

    def mean(self, outputs: Tensor) -> Tensor:
        """Return the probability of a 1."""
        return outputs.sigmoid()

    def sample(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Return ones and zeros drawn with these probabilities."""
        # The generator is the CPU's, whatever the device.
        chance = uniform_like(outputs, generator)
        return (chance < outputs.sigmoid()).to(outputs)


class GaussianLikelihood(nn.Module):
    """Features are normal around what the decoder answers, with learned variances.

    Parameters
    ----------
    n_features : int
        Number of features.
    shared : bool, default=False
        Whether one variance serves all features.

    References
    ----------
    Rybkin, Daniilidis and Levine, "Simple and effective VAE training with
    calibrated decoders", ICML 2021.
    """

    def __init__(self, n_features: int, *, shared: bool = False) -> None:
        super().__init__()
        self.raw_log_variance = nn.Parameter(torch.zeros(1 if shared else n_features))

    @property
    def log_variance(self) -> Tensor:
        """Logarithm of the variance of each feature, or of all."""
        return bounded_below(_PACE * self.raw_log_variance, _LOWEST_LOG_VARIANCE)

    def log_likelihood(self, outputs: Tensor, rows: Tensor) -> Tensor:
        """Return the log-density of rows.

        Parameters
        ----------
        outputs : Tensor of shape (..., n_features)
            What the decoder answers: the means.
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
    """Return numbers that are `raw` far above `low` and never fall below it.

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
    """Return numbers between 0 and 1, drawn on the CPU for the same on any device."""
    drawn = torch.rand(outputs.shape, generator=generator, dtype=torch.float32)
    return drawn.to(outputs)


def normal_like(outputs: Tensor, generator: torch.Generator) -> Tensor:
    """Return normal numbers, drawn on the CPU for the same on any device."""
    drawn = torch.randn(outputs.shape, generator=generator, dtype=torch.float32)
    return drawn.to(outputs)
