"""Ordered codes: their plan, and their errors by size on held-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from skautoencoder._estimator.array_statistics import mean_row
from skautoencoder._estimator.array_types import Array
from skautoencoder._estimator.plan import Recipe, TrainingPlan
from skautoencoder._estimator.principal_axes import principal_axes
from skautoencoder._estimator.trained_network import TrainedNetwork
from skautoencoder.architectures import Network
from skautoencoder.objectives import OrderedObjective, Penalty, TopK
from skautoencoder.training import AutoencoderNet, Rows, isolated_randomness

# Most numbers of a code whose size is chosen.
_MOST_UNITS = 32
# The principal axes of so many rows are good enough to start from.
_ROWS_FOR_AXES = 512


def most_units(n_features: int) -> int:
    """Return the largest code that ``code_size="auto"`` tries: shorter than a row."""
    return int(np.clip(n_features - 1, 1, _MOST_UNITS))


def require_sizes(plan: TrainingPlan, penalties: Sequence[Penalty], name: str) -> None:
    """Raise if leading parts of the codes of a plan cannot be codes themselves."""
    if any(isinstance(penalty, TopK) for penalty in penalties):
        raise ValueError(
            f"{name} cannot order codes of which the largest numbers are kept: these "
            "are other ones in each code. Use sparsity='l1' in the place of 'top_k' "
            "(or of the penalty TopK), or ordered=False and a code_size."
        )
    if plan.network.arguments.get("ragged"):
        raise ValueError(
            f"{name} cannot order codes of sequences of different lengths. Use "
            "ordered=False and a code_size, or cut the sequences to one length."
        )


def with_ordered_codes(plan: TrainingPlan, validation_fraction: float) -> TrainingPlan:
    """Return a plan for ordered codes, whose errors are measured on held-out rows."""
    return replace(
        plan,
        network=plan.network.updated(ordered=True, laterals=True),
        objective=Recipe(OrderedObjective, plan.objective.arguments),
        schedule=replace(plan.schedule, validation_fraction=validation_fraction),
        start=start_in_order,
    )


def start_in_order(network: Network, rows: Tensor) -> None:
    """Let the linear part of the code be that of PCA, with the axes in its order.

    Parameters
    ----------
    network : Network
        A network with ordered codes, before it is trained.
    rows : Tensor of shape (n_samples, n_features)
        The training rows. A few of them say enough.
    """
    line: nn.Linear | None = getattr(network.encoder, "line", None)
    if line is None:
        return
    some = rows[:: -(-len(rows) // _ROWS_FOR_AXES)].double()
    axes, _ = principal_axes(some, line.out_features, some.mean(dim=0))
    with torch.no_grad():
        # What has no variance has no axis; these units start at random.
        line.weight[: len(axes)] = axes.to(line.weight)


def bound_of_best(errors: Array, standard_errors: Array) -> float:
    """Return the lowest error plus its standard error."""
    best = np.nanargmin(errors)
    return float(errors[best] + standard_errors[best])


@dataclass(frozen=True)
class ErrorPath:
    """Errors of reconstructions from the leading numbers of codes.

    Parameters
    ----------
    errors : ndarray of shape (n_sizes,)
        Mean squared error per feature for 1, 2, ... numbers.
    standard_errors : ndarray of shape (n_sizes,)
        Their standard errors.
    variance : float
        Mean squared distance per feature of the rows from their mean.
    is_held_out : bool
        Whether the rows were not trained on.
    """

    errors: Array
    standard_errors: Array
    variance: float
    is_held_out: bool

    @classmethod
    def of(
        cls, net: AutoencoderNet, plan: TrainingPlan, trained: TrainedNetwork
    ) -> Self:
        """Return the path on the rows that were not trained on, if there are any."""
        is_held_out = plan.valid is not None or net.validation_fraction is not None
        rows, targets = _rows_to_measure(net, plan, is_held_out)[:]
        n_rows, n_features = rows.shape
        n_sizes = trained.code_size
        unit = torch.tensor(trained.scaling.scale, dtype=torch.float64)
        network = trained.network
        decoder: Any = network.decoder

        def errors_of(pairs: Tensor) -> Tensor:
            given, wanted = pairs[:, :n_features], pairs[:, -n_features:]
            codes, errors, hidden, before = network.encode(given), [], None, 0
            for place, most in enumerate(decoder.sizes):
                own = None
                for size in range(before + 1, min(most, n_sizes) + 1):
                    whole = decoder.completed(place, codes[:, :size])
                    logits, own = decoder.decode_after(place, whole, hidden)
                    answers = network.activate(network.with_offset(logits))
                    difference = (answers - wanted).cpu().double()
                    errors.append((difference * unit).square_().mean(dim=1))
                # The last of these codes is that of the decoder's own size.
                hidden, before = own, most
            return torch.stack(errors, dim=1)

        # Rows that are their own targets are not copied.
        pairs = (rows if targets is rows else torch.cat([rows, targets], dim=1)).cpu()
        errors = trained.fill(
            np.empty((n_rows, n_sizes)),
            errors_of,
            pairs.numpy(),
            lambda part: pairs[part],
            n_numbers=n_features * n_sizes,
        )
        wanted = pairs[:, -n_features:]
        mean = torch.from_numpy(mean_row(wanted.numpy()))
        squares = [
            float(((part - mean) * unit).square_().sum()) for part in wanted.split(4096)
        ]
        return cls(
            errors.mean(axis=0),
            errors.std(axis=0) / np.sqrt(max(n_rows - 1, 1)),
            sum(squares) / wanted.numel(),
            is_held_out,
        )

    def least_units(self, sizes: Sequence[int]) -> tuple[int, ...]:
        """Return from how many numbers on each decoder beats the one before it.

        Parameters
        ----------
        sizes : sequence of int
            How many numbers each decoder takes.
        """
        least = [1]
        for before, size in pairwise(sizes):
            of_fewer = self.errors[:before][-1]
            worse = np.flatnonzero(self.errors[before : size - 1] >= of_fewer)
            # A code of the decoder's own size has it in any case.
            least.append(before + 1 + (int(worse[-1]) + 1 if len(worse) else 0))
        return tuple(least)

    def with_least(self, sizes: Sequence[int], least: Sequence[int]) -> Self:
        """Return the path if shorter codes have the decoder before."""
        index = np.arange(len(self.errors))
        for before, first in zip(sizes, least[1:], strict=False):
            index[before : first - 1] = before - 1
        return replace(
            self,
            errors=self.errors[index],
            standard_errors=self.standard_errors[index],
        )

    @property
    def smallest_size(self) -> int:
        """The smallest size within one standard error of the best one."""
        bound = bound_of_best(self.errors, self.standard_errors)
        return int(np.argmax(self.errors <= bound)) + 1

    @property
    def shares_explained(self) -> Array:
        """What share of the variance each number explains beyond those before it."""
        if not self.variance:
            return np.zeros_like(self.errors)
        falls: Array = -np.diff(self.errors, prepend=self.variance) / self.variance
        return falls


def _rows_to_measure(
    net: AutoencoderNet, plan: TrainingPlan, is_held_out: bool
) -> Rows:
    """Return what a net measured its loss on, or else all rows, with their noise."""
    net.valid_rows = plan.valid if is_held_out else plan.data
    try:
        with isolated_randomness(net.seed, torch.device("cpu")):
            _, rows = net.get_split_datasets(plan.data)
    finally:
        net.__dict__.pop("valid_rows", None)
    assert rows is not None
    return rows
