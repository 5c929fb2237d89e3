"""A network with the codes of PCA, and whether a trained network does better.

A deep network that is trained on few rows, or on features of very different variance,
may reconstruct new rows worse than PCA with codes of the same size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import KFold
from torch import Tensor, nn
from torch.nn import functional as F

from skautoencoder._estimator.array_statistics import mean_row
from skautoencoder._estimator.curved_decoder import learn_curve
from skautoencoder._estimator.plan import TrainingPlan
from skautoencoder._estimator.principal_axes import principal_axes
from skautoencoder.architectures import Architecture, Dense, Network
from skautoencoder.architectures.curved import Curved
from skautoencoder.training import (
    Rows,
    evaluating,
    isolated_randomness,
)

# Losses that a projection onto principal components makes small.
LINEAR_LOSSES: dict[str, Callable[..., Tensor]] = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "huber": F.huber_loss,
}
# Rows up to which a network is judged by rows that it was not trained on. Of more,
# those that it was trained on say as much, and training again would take long.
_FEW_ROWS = 2000
# How many standard errors of the mean difference a network has to be ahead. Two are too
# few where new rows lie farther out than those that judge it.
_STANDARD_ERRORS = 3.0
_N_ROWS_AT_ONCE = 4096
# Rows that the curved part of a decoder is learnt from.
_N_ROWS_OF_CURVE = 2048


def plan_with(plan: TrainingPlan, architecture: Architecture) -> TrainingPlan:
    """Return a plan with an architecture of linear codes in place of the network."""
    network = plan.network.updated(
        architecture=architecture, output_activation="identity", center=None
    )
    return replace(plan, network=network)


def loss_of(plan: TrainingPlan) -> Callable[..., Tensor]:
    """Return the loss of a plan, as a function of torch's."""
    return LINEAR_LOSSES[plan.objective.arguments["loss"]]


def has_linear_encoder(network: nn.Module) -> bool:
    """Return whether the encoder of a network is a single linear layer."""
    return _kinds(network.encoder) == [nn.Linear]


def is_linear(network: nn.Module) -> bool:
    """Return whether a network is a single linear layer each way."""
    activation = getattr(network, "output_activation", None)
    return activation == "identity" and _kinds(network) == 2 * [nn.Linear]


def _kinds(part: Any) -> list[type]:
    return [type(layer) for layer in part.modules() if not list(layer.children())]


def learn_from_pca(plan: TrainingPlan, seed: int) -> tuple[TrainingPlan, Network]:
    """Return a network with the codes of PCA, and its plan.

    Its decoder adds to PCA's what the codes say of what PCA loses. If they say nothing,
    it is PCA's.

    Parameters
    ----------
    plan : TrainingPlan
        The plan of the fit, with the rows to learn from.
    seed : int
        Seed of the hidden units, and of the choice among many rows.
    """
    curved = plan_with(plan, Curved(has_limits=True))
    with isolated_randomness(seed, torch.device("cpu")):
        network = curved.network.make(**curved.network.arguments)
    decoder, rows = network.decoder, plan.data.rows
    mean, axes = _set_principal_components(network.encoder[0], decoder.linear, rows)
    if len(rows) > _N_ROWS_OF_CURVE:
        generator = torch.Generator().manual_seed(seed)
        rows = rows[torch.randperm(len(rows), generator=generator)[:_N_ROWS_OF_CURVE]]
    centred, loss = rows.double() - mean, loss_of(plan)
    codes = centred @ axes.T
    found = learn_curve(decoder, codes, centred - codes @ axes, seed, loss)
    linear = Network(network.encoder, nn.Sequential(decoder.linear))
    if found and plan.valid is not None:
        found = bool(_differences(loss, linear, network, plan.valid.rows).mean() > 0)
    if found:
        return curved, network
    return plan_with(plan, Dense((), output_activation="identity")), linear


def _set_principal_components(
    encoder: nn.Linear, decoder: nn.Linear, rows: Tensor
) -> tuple[Tensor, Tensor]:
    """Set affine layers to the principal components of rows; return mean and axes.

    If there are fewer components than the code has numbers, the others are 0.
    """
    mean = torch.from_numpy(mean_row(rows.numpy()))
    found, _ = principal_axes(rows, len(encoder.weight), mean)
    axes = torch.zeros(encoder.weight.shape, dtype=torch.float64)
    axes[: len(found)] = found
    with torch.no_grad():
        encoder.weight.copy_(axes)
        encoder.bias.copy_(-axes @ mean)
        decoder.weight.copy_(axes.T)
        decoder.bias.copy_(mean)
    return mean, axes


def better_from_pca(
    plan: TrainingPlan,
    network: Network,
    seed: int,
    train: Callable[[TrainingPlan], Network],
) -> tuple[TrainingPlan, Network] | None:
    """Return what :func:`learn_from_pca` does, unless a network is better for new rows.

    Few rows are divided into halves: what learnt from one half is judged by the other.
    The network has to be ahead in the first, and by more than three standard errors of
    the mean difference in both.

    Parameters
    ----------
    plan : TrainingPlan
        The plan of the fit.
    network : Network
        The network that was trained by it.
    seed : int
        Seed of the division, and of :func:`learn_from_pca`.
    train : callable
        Trains a network by another plan.
    """
    loss, rows = loss_of(plan), plan.data.rows
    if plan.valid is not None or len(rows) > _FEW_ROWS:
        found = learn_from_pca(plan, seed)
        new = rows if plan.valid is None else plan.valid.rows
        ahead = _is_significant(_differences(loss, found[1], network, new))
        return None if ahead else found
    differences = []
    samples = plan.data.samples
    # Copies of a sample are in the same half.
    of_rows = torch.arange(len(rows)) if samples is None else samples
    every, numbers = of_rows.unique(return_inverse=True)
    for halves in KFold(2, shuffle=True, random_state=seed).split(every):
        is_learnt, is_new = (torch.isin(numbers, torch.from_numpy(h)) for h in halves)
        own, new = None if samples is None else samples[is_learnt], rows[is_new]
        part = replace(plan, data=Rows(rows[is_learnt], samples=own))
        other = learn_from_pca(part, seed)[1]
        differences.append(_differences(loss, other, train(part), new))
        if differences[-1].mean() <= 0:  # the other half hardly ever makes up for it
            break
    ahead = _is_significant(np.concatenate(differences))
    return None if ahead else learn_from_pca(plan, seed)


def _is_significant(differences: NDArray[np.float64]) -> bool:
    error = differences.std() / np.sqrt(len(differences))
    return bool(differences.mean() > _STANDARD_ERRORS * error)


def _differences(
    loss: Callable[..., Tensor], other: Network, network: Network, rows: Tensor
) -> NDArray[np.float64]:
    """Return by how much another network's error is larger, for each row."""
    device = next(network.parameters()).device
    found = []
    for model in (other.to(device), network):
        with evaluating(model):
            errors = [
                loss(model(part.to(device)), part.to(device), reduction="none").mean(1)
                for part in rows.split(_N_ROWS_AT_ONCE)
            ]
        found.append(torch.cat(errors).double().cpu().numpy())
    return found[0] - found[1]
