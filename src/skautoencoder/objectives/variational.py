"""The objective of a variational autoencoder."""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skautoencoder.objectives.likelihoods import bounded_below
from skautoencoder.objectives.random_generators import generator

# Bounds of the posterior's log-variances: the lower one determines a unit of the code
# to three digits, the upper one is far wider than the prior.
_LOWEST_LOG_VARIANCE = -14.0
_HIGHEST_LOG_VARIANCE = 4.0


class Likelihood(Protocol):
    """A distribution of rows, given the decoder's outputs."""

    def without_code(self, rows: Tensor) -> Tensor:
        """Return the log-likelihood of each row for a decoder that ignores the code."""

    def log_likelihood(self, outputs: Tensor, rows: Tensor) -> Tensor:
        """Return the log-likelihood of each row, in nats."""


class VariationalEncoderDecoder(Protocol):
    """The methods of a network that the variational objective uses."""

    n_classes: int
    training: bool
    likelihood: Likelihood

    def posterior(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and log-variances of the codes of rows."""

    def decode_logits(self, codes: Tensor, labels: Tensor | None) -> Tensor:
        """Return the decoder's outputs for codes."""


class VariationalObjective(nn.Module):
    """Minus the evidence lower bound (ELBO) of the log-likelihood.

    The bound is the expected log-likelihood of a row under its posterior minus the
    Kullback-Leibler divergence of the posterior from the standard normal prior.

    Parameters
    ----------
    beta : float, default=1.0
        What the divergence is multiplied by.
    warm_up : float, default=0.0
        Share of the fit over which `beta` rises from 0.
    binarizes : bool, default=False
        Whether rows are probabilities, with which ones and zeros are drawn anew for
        each batch.

    References
    ----------
    Kingma and Welling, "Auto-encoding variational Bayes", ICLR 2014.
    Rezende, Mohamed and Wierstra, "Stochastic backpropagation and approximate
    inference in deep generative models", ICML 2014.
    Higgins et al., "beta-VAE: learning basic visual concepts with a constrained
    variational framework", ICLR 2017.
    Sønderby, Raiko, Maaløe, Sønderby and Winther, "Ladder variational
    autoencoders", NeurIPS 2016 (warm-up).
    """

    #: Share of the fit that is done; the net sets it before each step.
    progress: float = 0.0

    #: Whether it is a mean over rows, so that a batch may be divided into shards.
    splits: bool = True

    def __init__(
        self, *, beta: float = 1.0, warm_up: float = 0.0, binarizes: bool = False
    ) -> None:
        super().__init__()
        self.beta = beta
        self.warm_up = warm_up
        self.binarizes = binarizes
        # Of each batch since the last `take_terms`: sum of the divergence, mean of the
        # objective, weight of the divergence, number of rows.
        self._batches: list[tuple[Any, Any, float, int]] = []

    def forward(
        self, network: VariationalEncoderDecoder, rows: Tensor, target: Tensor
    ) -> Tensor:
        """Return the objective on a batch.

        Parameters
        ----------
        network : VariationalEncoderDecoder
            The network in training.
        rows : Tensor of shape (n_samples, n_features)
            Inputs of the network, which it is to reconstruct.
        target : Tensor of shape (n_samples, n_classes)
            Classes of the rows, one-hot; unused if the network has no classes.

        Returns
        -------
        objective : Tensor of shape ()
            Minus the bound in nats, the mean over the rows.
        """
        if self.binarizes:
            rows = torch.bernoulli(rows, generator=generator())
        mean, log_variance = network.posterior(rows)
        noise = torch.empty_like(mean).normal_(generator=generator())
        codes = mean + (0.5 * log_variance).exp() * noise
        outputs = network.decode_logits(codes, target if network.n_classes else None)
        log_likelihood = network.likelihood.log_likelihood(outputs, rows)
        divergence = kl_divergence(mean, log_variance).sum(dim=1)
        weight = self._weight(network.training)
        objective = (weight * divergence - log_likelihood).mean()
        # Detached, and a number on the CPU: small tensors that stay alive fragment the
        # memory of a step. Elsewhere a number would have to wait for the device.
        noted = divergence.detach().sum(), objective.detach()
        total, value = map(float, noted) if rows.device.type == "cpu" else noted
        self._batches.append((total, value, weight, len(rows)))
        return objective

    def take_terms(self) -> dict[str, float]:
        """Return the mean terms of the objective over the batches since the last call.

        Returns
        -------
        terms : dict of float
            ``"reconstruction"``, minus the expected log-likelihood of a row, and
            ``"kl"``, the divergence before it is multiplied by `beta`; in nats.
        """
        # Threads append shards in any order, on which this sum does not depend.
        divergence, rest, n_rows = (
            math.fsum(terms)
            for terms in zip(
                *(
                    (float(total), n * float(value) - weight * float(total), n)
                    for total, value, weight, n in self._batches
                ),
                strict=True,
            )
        )
        self._batches.clear()
        return {"reconstruction": rest / n_rows, "kl": divergence / n_rows}

    def loss_of_answers(
        self, network: VariationalEncoderDecoder, rows: Tensor, target: Tensor
    ) -> Tensor:
        """Return the objective, given the means of codes in place of random ones."""
        mean, log_variance = network.posterior(rows)
        outputs = network.decode_logits(mean, target if network.n_classes else None)
        log_likelihood = network.likelihood.log_likelihood(outputs.float(), rows)
        divergence = kl_divergence(mean, log_variance).sum(dim=1)
        return (self.beta * divergence - log_likelihood).mean()

    def loss_of_mean(
        self, network: VariationalEncoderDecoder, rows: Tensor, target: Tensor
    ) -> Tensor:
        """Return minus the log-likelihood of rows if the decoder ignores the code."""
        return -network.likelihood.without_code(rows).mean()

    def _weight(self, training: bool) -> float:
        # A validation loss must be comparable between epochs.
        if not training or self.progress >= self.warm_up:
            return self.beta
        return self.beta * self.progress / self.warm_up


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the divergence of normal distributions from the standard normal.

    Parameters
    ----------
    mean, log_variance : Tensor
        Their means and the logarithms of their variances.

    Returns
    -------
    divergence : Tensor of the same shape
        In nats, never below 0.
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def bounded_log_variance(raw: Tensor) -> Tensor:
    """Return the log-variance of a posterior for any number of a network.

    Parameters
    ----------
    raw : Tensor
        Any numbers.

    Returns
    -------
    log_variance : Tensor of the same shape
        Between -14 and 4, smoothly; close to `raw` where that lies well between.
    """
    bounded = bounded_below(raw, _LOWEST_LOG_VARIANCE)
    return _HIGHEST_LOG_VARIANCE - F.softplus(_HIGHEST_LOG_VARIANCE - bounded)
