"""Importance-weighted estimates of log-likelihoods."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from skautoencoder.architectures import VariationalNetwork
from skautoencoder.sampling.priors import Prior

# Most numbers that the decoder computes at once.
_NUMBERS_AT_ONCE = 2**20


def importance_weighted(
    network: VariationalNetwork,
    prior: Prior,
    rows: Tensor,
    noise: Tensor,
    labels: Tensor | None = None,
) -> Tensor:
    """Estimate the log-likelihood of rows from codes drawn from their posteriors.

    Parameters
    ----------
    network : VariationalNetwork
        The network, in evaluation mode.
    prior : Prior
        The distribution of codes.
    rows : Tensor of shape (n_samples, n_features)
        Rows in the network's units.
    noise : Tensor of shape (n_importance_samples, code_size)
        Standard normal numbers, which are scaled to the posterior of each row.
    labels : Tensor of shape (n_classes,), default=None
        The class of all rows, one-hot.

    Returns
    -------
    log_likelihood : Tensor of float64 of shape (n_samples,)
        In nats. On average a lower bound, which approaches the log-likelihood with
        more importance samples.

    References
    ----------
    Burda, Grosse and Salakhutdinov, "Importance weighted autoencoders", ICLR 2016.
    """
    n_rows, n_features = rows.shape
    mean, log_variance = network.posterior(rows)
    deviation = (0.5 * log_variance).exp()
    at_once = max(_NUMBERS_AT_ONCE // (n_rows * n_features), 1)
    weights = []
    for part in noise.split(at_once):
        codes = mean[:, None] + deviation[:, None] * part
        flat = codes.flatten(0, 1)
        told = None if labels is None else labels.expand(len(flat), -1)
        shown = rows.repeat_interleave(len(part), dim=0)
        likelihood = network.likelihood.log_likelihood(  # type: ignore[operator]
            network.decode_logits(flat, told), shown
        )
        # In double precision on the CPU: not every accelerator has it.
        squares = part.cpu().double().square().sum(dim=1)
        drawn = -0.5 * (squares + part.shape[1] * math.log(2 * math.pi))
        proposed = drawn - 0.5 * log_variance.cpu().double().sum(dim=1, keepdim=True)
        expected = prior.log_density(flat.cpu()).view(n_rows, len(part))
        likelihood = likelihood.cpu().double().view(n_rows, len(part))
        weights.append(likelihood + expected - proposed)
    log_weights = torch.cat(weights, dim=1)
    return torch.logsumexp(log_weights, dim=1) - math.log(len(noise))
