"""A linear network with the weights of PCA, and whether a network does better.

A deep network that is trained on few rows, or on features of very different variance,
may reconstruct new rows worse than PCA with codes of the same size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.model_selection import KFold
from torch import Tensor, nn
from torch.nn import functional as F

from skautoencoder._estimator.array_statistics import mean_row, row_parts
from skautoencoder._estimator.array_types import Array
from skautoencoder._estimator.plan import TrainingPlan
from skautoencoder.architectures import Dense, Network
from skautoencoder.training import Rows, evaluating, one_thread_for_numpy

# Losses that a projection onto principal components makes small.
LINEAR_LOSSES: dict[str, Callable[..., Tensor]] = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "huber": F.huber_loss,
}
# Rows up to which a network is judged by rows that it was not trained on. Of more,
# those that it was trained on say as much, and training again would take long.
_FEW_ROWS = 2000
_N_ROWS_AT_ONCE = 4096


def linear_plan(plan: TrainingPlan) -> TrainingPlan:
    """Return a plan with a single linear layer each way in place of the network."""
    linear = Dense((), output_activation="identity")
    network = plan.network.updated(
        architecture=linear, output_activation="identity", center=None
    )
    return replace(plan, network=network)


def is_linear(network: nn.Module) -> bool:
    """Return whether a network is a single linear layer each way."""
    layers = [m for m in network.modules() if not list(m.children())]
    activation = getattr(network, "output_activation", None)
    return activation == "identity" and [type(m) for m in layers] == 2 * [nn.Linear]


# On several threads, matrix products are rounded differently.
@one_thread_for_numpy()
def set_principal_components(network: Network, rows: Tensor) -> None:
    """Set the weights of a linear network to the principal components of rows.

    If there are fewer components than the code has numbers, the others are 0.
    """
    n_features = rows.shape[1]
    encoder, decoder = (
        next(layer for layer in part.modules() if isinstance(layer, nn.Linear))
        for part in (network.encoder, network.decoder)
    )
    mean, axes = _principal_axes(rows.cpu().numpy(), encoder.out_features)
    components = np.zeros((encoder.out_features, n_features))
    components[: len(axes)] = axes
    with torch.no_grad():
        encoder.weight.copy_(torch.from_numpy(components))
        encoder.bias.copy_(torch.from_numpy(-components @ mean))
        decoder.weight.copy_(torch.from_numpy(components.T))
        decoder.bias.copy_(torch.from_numpy(mean))


def _principal_axes(
    rows: Array, n_axes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean row, and axes of the largest variance, in double precision.

    Many rows are not copied: their products are added from a part at a time.
    """
    n_rows, n_features = rows.shape
    if n_rows <= n_features:
        pca = PCA(min(n_axes, n_rows), svd_solver="full").fit(rows.astype(np.float64))
        return pca.mean_, pca.components_
    mean = mean_row(rows)
    centred = (part - mean for part in row_parts(rows))
    products = sum(part.T @ part for part in centred)
    vectors = np.linalg.eigh(products).eigenvectors
    return mean, vectors.T[::-1][:n_axes]


def network_is_better(
    plan: TrainingPlan,
    network: Network,
    seed: int,
    train: Callable[[TrainingPlan], Network],
) -> bool:
    """Return whether a network reconstructs new rows better than PCA does.

    Few rows are divided into halves: what is trained on one half is judged by the
    other. The network has to be ahead by more than one standard error of the mean
    difference.

    Parameters
    ----------
    plan : TrainingPlan
        The plan of the fit.
    network : Network
        The network that was trained by it.
    seed : int
        Seed of the division.
    train : callable
        Trains a network by another plan.
    """
    data = plan.data
    if plan.valid is not None:
        return _is_ahead(plan, network, data.rows, plan.valid.rows)
    if len(data) > _FEW_ROWS:
        return _is_ahead(plan, network, data.rows, data.rows)
    differences = []
    for halves in KFold(2, shuffle=True, random_state=seed).split(data.rows):
        learnt, new = (data.rows[torch.from_numpy(half)] for half in halves)
        part = replace(plan, data=Rows(learnt))
        differences.append(_differences(part, train(part), learnt, new))
    return _is_significant(np.concatenate(differences))


def _is_ahead(
    plan: TrainingPlan, network: Network, learnt: Tensor, new: Tensor
) -> bool:
    return _is_significant(_differences(plan, network, learnt, new))


def _is_significant(differences: NDArray[np.float64]) -> bool:
    error = differences.std() / np.sqrt(len(differences))
    return bool(differences.mean() > error)


def _differences(
    plan: TrainingPlan, network: Network, learnt: Tensor, new: Tensor
) -> NDArray[np.float64]:
    """Return by how much PCA's error is larger than the network's, for each new row."""
    loss = LINEAR_LOSSES[plan.objective.arguments["loss"]]
    recipe = linear_plan(plan).network
    linear = recipe.make(**recipe.arguments)
    set_principal_components(linear, learnt)
    device = next(network.parameters()).device
    found = []
    for model in (linear.to(device), network):
        with evaluating(model):
            errors = [
                loss(model(rows.to(device)), rows.to(device), reduction="none").mean(1)
                for rows in new.split(_N_ROWS_AT_ONCE)
            ]
        found.append(torch.cat(errors).double().cpu().numpy())
    return found[0] - found[1]
