"""The plan of a fit: network, objective, data and schedule, before training starts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skautoencoder._estimator.array_statistics import range_of
from skautoencoder._estimator.array_types import Array, Range, Shape
from skautoencoder._estimator.data_units import Units
from skautoencoder._estimator.sequences import SequenceFormat
from skautoencoder.architectures import Architecture, Conv, Network
from skautoencoder.architectures.conv import is_small
from skautoencoder.training import Rows

# Of few features, no number of epochs is too large for the usual steps, unless an epoch
# has fewer batches than these.
_FEWEST_BATCHES = 8


@dataclass(frozen=True, kw_only=True)
class Samples:
    """The validated samples of a fit; estimators that need more derive a subclass.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        The samples, flat, in the user's units.
    data_shape : tuple of int
        Shape of a sample of `X`.
    sample_shape : tuple of int
        Shape of a sample for the network.
    architecture : Architecture
        Architecture of the network.
    targets : ndarray of shape (n_samples, n_features), default=None
        The wanted outputs. None: the samples themselves.
    sequences : SequenceFormat, default=None
        How sequences of different lengths were given; they are NaN after their end.
        None: samples have one length.
    """

    rows: Array
    data_shape: Shape
    sample_shape: Shape
    architecture: Architecture
    targets: Array | None = None
    sequences: SequenceFormat | None = None

    @property
    def wanted(self) -> Array:
        """The wanted outputs, in the user's units."""
        return self.rows if self.targets is None else self.targets

    @property
    def value_range(self) -> Range:
        """Lowest and highest value of the wanted outputs."""
        return range_of(self.wanted)

    @property
    def n_channels(self) -> int | None:
        """Channels of sequences of different lengths; None for other samples."""
        return None if self.sequences is None else self.data_shape[-1]

    @property
    def are_small_images(self) -> bool:
        """Whether they are images of few pixels, which are convolved."""
        return isinstance(self.architecture, Conv) and is_small(self.sample_shape)

    def repeated(self, copies: NDArray[np.intp] | None) -> Self:
        """Return samples of these indices, which may be there several times; or all.

        What was learnt of the samples, such as the values of a column that are there
        several times, stays what it was.
        """
        if copies is None:
            return self
        targets = None if self.targets is None else self.targets[copies]
        return replace(self, rows=self.rows[copies], targets=targets)

    def usual_batch_size(self, n_rows: int) -> int:
        """Return the batch size for ``batch_size="auto"``."""
        # Convolving half as many small images takes nearly as long.
        n_batches = 30 if self.are_small_images else 60
        return int(np.clip(2 ** round(np.log2(n_rows / n_batches)), 32, 128))

    def usual_epochs(
        self,
        n_rows: int,
        batch_size: int,
        n_steps: int,
        fewest: int,
        few_features: int,
    ) -> int:
        """Return the number of epochs for ``max_epochs="auto"``.

        Enough steps to converge, and few enough epochs not to overfit.

        Parameters
        ----------
        n_rows : int
            Number of training rows.
        batch_size : int
            Rows per step.
        n_steps : int
            Number of steps to aim at.
        fewest : int
            Minimum number of epochs.
        few_features : int
            Samples of at most so many features are seen in more epochs.
        """
        n_batches = max(n_rows // batch_size, 1)
        most = np.clip(1000 / n_batches, 50, 200)
        if math.prod(self.sample_shape) <= few_features:
            most = max(most, n_steps / _FEWEST_BATCHES)
        return int(np.clip(n_steps / n_batches, fewest, most))


@dataclass(frozen=True)
class Recipe:
    """A callable and its arguments, as skorch instantiates networks and objectives.

    Parameters
    ----------
    make : callable
        A class or a module-level function, so that a net can be pickled.
    arguments : dict
        Its keyword arguments.
    """

    make: Callable[..., Any]
    arguments: dict[str, Any]

    def updated(self, **arguments: Any) -> Self:
        """Return the recipe with these arguments added or replaced."""
        return replace(self, arguments={**self.arguments, **arguments})


@dataclass(frozen=True)
class Schedule:
    """Batch size, number of epochs, and validation split.

    Parameters
    ----------
    batch_size : int
        Rows per step.
    max_epochs : int
        Passes over the data.
    validation_fraction : float or None
        Share of the rows that is kept out of training, for early stopping.
    """

    batch_size: int
    max_epochs: int
    validation_fraction: float | None


@dataclass(frozen=True)
class TrainingPlan:
    """What to train, on which rows, and for how long.

    Parameters
    ----------
    network : Recipe
        Makes the network.
    objective : Recipe
        Makes the objective.
    data : Rows
        The training rows, in the network's units.
    units : Units
        The user's units and the network's.
    schedule : Schedule
        Batch size and number of epochs.
    valid : Rows, default=None
        Rows of the user's own to measure the loss on, in the network's units.
    start : callable, default=None
        Sets the first weights of a network by the training rows. None: random ones.
    """

    network: Recipe
    objective: Recipe
    data: Rows
    units: Units
    schedule: Schedule
    valid: Rows | None = None
    start: Callable[[Network, Tensor], None] | None = None

    def weighted(
        self, weights: NDArray[np.float64] | None, copies: NDArray[np.intp] | None
    ) -> Self:
        """Return the plan for rows of these weights, or for copies of samples."""
        data = self.data
        if weights is not None:
            data = replace(data, weights=torch.from_numpy(weights))
        if copies is not None:  # of a sample are not learnt from and held out
            data = replace(data, samples=torch.from_numpy(copies))
        return replace(self, data=data)


def build_network(architecture: Architecture, **arguments: Any) -> Network:
    """Build a network."""
    return architecture.build(**arguments)


def network_recipe(
    architecture: Architecture,
    sample_shape: Shape,
    code_size: int | None,
    units: Units,
) -> Recipe:
    """Return the recipe of a network for rows in these units."""
    return Recipe(
        build_network,
        {
            "architecture": architecture,
            "sample_shape": sample_shape,
            "code_size": code_size,
            "output_activation": units.output_activation,
            "center": units.center,
            "spread": units.spread,
        },
    )


def ample_code_size(architecture: Architecture) -> int | None:
    """Return the code size of estimators that need no small code.

    None, which is the spatial map itself, for convolutions without dense layers.
    """
    spatial = isinstance(architecture, Conv) and architecture.map_is_code(None)
    return None if spatial else 128


def auto_or(value: Any, usual: int | None) -> Any:
    """Return the value of a parameter, or `usual` if it is "auto"."""
    if isinstance(value, str):
        return usual
    return None if value is None else int(value)
