"""What a fit is going to do, decided before it does any of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from skautoencoder._estimator.arrays import Array, Shape
from skautoencoder._estimator.units import Units
from skautoencoder.architectures import Architecture, Conv, Network
from skautoencoder.architectures.conv import is_small
from skautoencoder.training import Rows


@dataclass(frozen=True, kw_only=True)
class Samples:
    """What a fit was given, validated. Estimators that need more of it derive theirs.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        The samples, flat, in the user's units.
    data_shape : tuple of int
        Shape of a sample as given.
    sample_shape : tuple of int
        Shape of a sample for the network.
    architecture : Architecture
        What the network will look like.
    targets : ndarray of shape (n_samples, n_features), default=None
        What it is to answer. None: the samples themselves.
    """

    rows: Array
    data_shape: Shape
    sample_shape: Shape
    architecture: Architecture
    targets: Array | None = None


@dataclass(frozen=True)
class Recipe:
    """A callable with its arguments: skorch makes networks and objectives itself.

    Parameters
    ----------
    make : callable
        A class, or a function of a module, so that a net can be pickled.
    arguments : dict
        Its keyword arguments.
    """

    make: Callable[..., Any]
    arguments: dict[str, Any]

    def updated(self, **arguments: Any) -> Self:
        """Return the recipe with more arguments, or other ones."""
        return replace(self, arguments={**self.arguments, **arguments})


@dataclass(frozen=True)
class Schedule:
    """How long a network learns.

    Parameters
    ----------
    batch_size : int
        Rows a step.
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
    """Which network learns what, from which rows.

    Parameters
    ----------
    network : Recipe
        Makes the network.
    objective : Recipe
        Makes what it minimises.
    data : Rows
        The rows to learn from, in the network's units.
    units : Units
        The user's units and the network's.
    schedule : Schedule
        For how long.
    """

    network: Recipe
    objective: Recipe
    data: Rows
    units: Units
    schedule: Schedule


def build_network(architecture: Architecture, **arguments: Any) -> Network:
    """Build a network."""
    return architecture.build(**arguments)


def network_recipe(
    architecture: Architecture,
    sample_shape: Shape,
    code_size: int | None,
    units: Units,
) -> Recipe:
    """Return how a network is made that sees rows in these units."""
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
    """Return a code size for where answers need no small code.

    None, which is the spatial map itself, for convolutions without dense layers.
    """
    spatial = isinstance(architecture, Conv) and architecture.map_is_code(None)
    return None if spatial else 128


def convolves_small_images(samples: Samples) -> bool:
    """Return whether the network convolves images of a few pixels."""
    return isinstance(samples.architecture, Conv) and is_small(samples.sample_shape)


def usual_batch_size(n_rows: int, samples: Samples) -> int:
    """Return what ``batch_size="auto"`` stands for."""
    # Convolutions of small images take nearly as long for half as many of them.
    n_batches = 30 if convolves_small_images(samples) else 60
    return int(np.clip(2 ** round(np.log2(n_rows / n_batches)), 32, 128))


def usual_epochs(n_rows: int, batch_size: int, n_steps: int, fewest: int) -> int:
    """Return what ``max_epochs="auto"`` stands for.

    Enough steps to learn, few enough epochs not to learn by heart.

    Parameters
    ----------
    n_rows : int
        Rows to learn from.
    batch_size : int
        Rows a step.
    n_steps : int
        Steps to aim at.
    fewest : int
        The fewest epochs.
    """
    n_batches = max(n_rows // batch_size, 1)
    most = np.clip(1000 / n_batches, 50, 200)
    return int(np.clip(n_steps / n_batches, fewest, most))


def auto_or(value: Any, usual: int | None) -> Any:
    """Return what a parameter stands for that may be "auto"."""
    if isinstance(value, str):
        return usual
    return None if value is None else int(value)
