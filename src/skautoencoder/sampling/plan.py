"""What a sampler trains: rows and their likelihood, network, units and schedule."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from skautoencoder._estimator.array_statistics import (
    feature_spread,
    fills_unit_range,
    is_in_unit_range,
    mean_and_spread,
)
from skautoencoder._estimator.array_types import Array, Shape
from skautoencoder._estimator.data_units import Scaling, Units
from skautoencoder._estimator.plan import Recipe, Samples, auto_or
from skautoencoder.architectures import Architecture, VariationalNetwork
from skautoencoder.objectives import (
    BernoulliLikelihood,
    ColumnsLikelihood,
    GaussianLikelihood,
    bounded_log_variance,
)
from skautoencoder.sampling.classes import Classes
from skautoencoder.sampling.row_conversion import ArrayFormat, TableFormat
from skautoencoder.training import Rows

# The largest code sizes of code_size="auto".
_CODE_SIZE = 32
_CODE_SIZE_OF_TABLES = 8
# Training steps for a table: per row, and at least. `_MOST_SHOWN` limits the sum of the
# batch sizes of all steps.
_STEPS_A_ROW = 1.4
_FEWEST_STEPS = 1000
# Tables of few columns take this many times as many steps a row, and may show twice as
# many rows.
_MORE_STEPS, _MORE_SHOWN = 10, 2
# With as many steps as for other samples, images of 8×8 pixels are overfitted.
_STEPS_OF_SMALL_IMAGES = 1500
_MOST_SHOWN = 384_000


@dataclass(frozen=True, kw_only=True)
class SampledRows(Samples):
    """Rows for the network, before scaling, and how they were made.

    Parameters
    ----------
    format : TableFormat or ArrayFormat
        Converts rows to the user's containers and back.
    likelihood : {"columns", "bernoulli", "gaussian"}
        Distribution whose parameters are the decoder's outputs.
    has_probabilities : bool
        Whether rows of the "bernoulli" likelihood hold more than zeros and ones.
    classes : Classes or None
        The classes, if the network is conditional.
    numbers : ndarray of int of shape (n_samples,) or None
        Index of each row's class among them.
    """

    format: TableFormat | ArrayFormat
    likelihood: str
    has_probabilities: bool
    classes: Classes | None
    numbers: NDArray[np.intp] | None

    def repeated(self, copies: NDArray[np.intp] | None) -> Self:
        """Return samples of these indices, and their classes."""
        numbers = self.numbers
        if copies is not None and numbers is not None:
            numbers = numbers[copies]
        return replace(super().repeated(copies), numbers=numbers)

    @property
    def network_shape(self) -> Shape:
        """Shape of a row in the network's input."""
        if isinstance(self.format, TableFormat):
            return (self.format.columns.n_shown,)
        return self.sample_shape

    def new_units(self, *, shared: bool) -> Units:
        """Return the network's units for these rows.

        Parameters
        ----------
        shared : bool
            Whether the features of a "gaussian" likelihood have one variance.
        """
        if isinstance(self.format, TableFormat) or not self.architecture.standardizes:
            return Units()
        mean, spread = mean_and_spread(self.rows)
        if self.likelihood == "bernoulli":
            return Units(center=torch.from_numpy(mean).float(), spread=spread)
        return Units(Scaling(mean, spread if shared else feature_spread(self.rows)))

    def in_units(self, units: Units) -> Rows:
        """Return the rows in the network's units, and their classes, one-hot."""
        rows = units.scaling.to_network_in_parts(self.rows)
        if self.classes is None or self.numbers is None:
            return Rows(rows)
        # The targets are the rows themselves, so `targets` can hold the classes.
        return Rows(rows, torch.from_numpy(self.classes.one_hot(self.numbers)))

    def usual_batch_size(self, n_rows: int) -> int:
        """Return the batch size for ``batch_size="auto"``."""
        if self.likelihood == "columns":
            return 64 if n_rows < 500 else 128 if n_rows < 2000 else 256
        return super().usual_batch_size(n_rows)

    def usual_epochs(
        self,
        n_rows: int,
        batch_size: int,
        n_steps: float,
        fewest: int,
        few_features: int,
    ) -> int:
        """Return the number of epochs for ``max_epochs="auto"``.

        Parameters
        ----------
        n_rows, batch_size, fewest, few_features : int
            See :class:`Samples`.
        n_steps : float
            Number of steps for samples other than tables and small images.
        """
        if self.are_small_images:
            n_steps = _STEPS_OF_SMALL_IMAGES
        if self.likelihood == "columns":
            # With more steps, short tables are overfitted.
            n_steps, n_shown = _STEPS_A_ROW * n_rows, _MOST_SHOWN
            if self.rows.shape[1] <= few_features:
                n_steps, n_shown = _MORE_STEPS * n_steps, _MORE_SHOWN * n_shown
            most = max(n_shown / batch_size, _FEWEST_STEPS)
            n_steps = np.clip(n_steps, _FEWEST_STEPS, most)
        return max(math.ceil(n_steps / math.ceil(n_rows / batch_size)), fewest)

    def check(self) -> None:
        """Raise if the values or the architecture do not suit the likelihood."""
        check_range(self.rows, self.likelihood, self.format)
        activation = self.architecture.output_activation
        if activation == "sigmoid" and self.likelihood != "bernoulli":
            raise ValueError(
                "output_activation='sigmoid' is for likelihood='bernoulli', but here "
                f"it is {self.likelihood!r}. Leave output_activation at its default."
            )


def learn_likelihood(
    name: str, rows: Array, form: TableFormat | ArrayFormat
) -> tuple[str, bool]:
    """Choose the distribution of rows.

    Parameters
    ----------
    name : {"auto", "bernoulli", "gaussian"}
        The estimator's parameter.
    rows : ndarray of shape (n_samples, n_features)
        Training rows.
    form : TableFormat or ArrayFormat
        How they were made.

    Returns
    -------
    likelihood : {"columns", "bernoulli", "gaussian"}
        See :class:`SampledRows`.
    has_probabilities : bool
        See :class:`SampledRows`.
    """
    if isinstance(form, TableFormat):
        return "columns", False
    if name == "auto":
        bounded = fills_unit_range((float(rows.min()), float(rows.max())))
        name = "bernoulli" if bounded else "gaussian"
    return name, name == "bernoulli" and not np.isin(rows, (0, 1)).all()


def check_range(rows: Array, likelihood: str, form: TableFormat | ArrayFormat) -> None:
    """Raise if the values are outside of the likelihood's range."""
    value_range = float(rows.min()), float(rows.max())
    if not np.isfinite(value_range).all():
        return  # the conversion of rows raises a more specific error
    if likelihood == "bernoulli" and not is_in_unit_range(value_range):
        scale = form.container.scale if isinstance(form, ArrayFormat) else 1
        low, high = (scale * value for value in value_range)
        raise ValueError(
            f"likelihood='bernoulli' needs data in [0, {scale}], but X goes from "
            f"{low:.6g} to {high:.6g}. ('auto' takes it where the first rows lie "
            "there.) Put a MinMaxScaler(clip=True), fitted on all rows, in front (or "
            "divide pixels by 255), or begin anew with likelihood='gaussian'."
        )


def build_variational_network(
    architecture: Architecture, likelihood: torch.nn.Module, **kwargs: Any
) -> VariationalNetwork:
    """Build a network; a module-level function, so that nets can be pickled."""
    return architecture.build_variational(
        likelihood=copy.deepcopy(likelihood), bound=bounded_log_variance, **kwargs
    )


def variational_recipe(
    samples: SampledRows, units: Units, code_size: int | str, *, shared: bool
) -> Recipe:
    """Return the recipe of a network for samples in these units.

    Parameters
    ----------
    samples : SampledRows
        The samples of a fit.
    units : Units
        The user's units and the network's.
    code_size : int or "auto"
        Numbers in a code.
    shared : bool
        Whether the features of a "gaussian" likelihood have one variance.
    """
    n_shown = math.prod(samples.network_shape)
    usual = _CODE_SIZE
    likelihood: torch.nn.Module = BernoulliLikelihood()
    if isinstance(samples.format, TableFormat):
        usual = _CODE_SIZE_OF_TABLES
        likelihood = ColumnsLikelihood(samples.format.columns.blocks)
    elif samples.likelihood == "gaussian":
        likelihood = GaussianLikelihood(n_shown, shared=shared)
    return Recipe(
        build_variational_network,
        {
            "architecture": samples.architecture,
            "likelihood": likelihood,
            "sample_shape": samples.network_shape,
            "code_size": auto_or(code_size, min(n_shown, usual)),
            "n_classes": 0 if samples.classes is None else len(samples.classes.names),
            "center": units.center,
            "spread": units.spread,
        },
    )
