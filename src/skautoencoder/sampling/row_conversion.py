"""Conversion of rows between the user's containers and a network's input."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from skautoencoder._estimator.array_types import Array
from skautoencoder._estimator.containers import Container
from skautoencoder._estimator.data_units import Scaling
from skautoencoder.sampling.table_columns import TableColumns


class RowFormat(ABC):
    """Converts the user's data to rows for a network, and back."""

    @abstractmethod
    def to_rows(self, given: Any) -> Array:
        """Return rows for the network, before scaling."""

    @abstractmethod
    def to_given(self, rows: Array, scaling: Scaling, index: Any) -> Any:
        """Return a network's rows in the container and the types that `fit` saw.

        Parameters
        ----------
        rows : ndarray of shape (n_samples, n_shown)
            Rows in the network's units.
        scaling : Scaling
            The units.
        index : pandas.Index or None
            Index of the rows, if they are returned in a frame.
        """

    @abstractmethod
    def to_rows_with_log_jacobian(
        self, given: Any, scaling: Scaling, likelihood: str
    ) -> tuple[Array, Any]:
        """Return rows, and what to add to get log-densities in the user's units.

        Parameters
        ----------
        given : array-like
            The user's rows.
        scaling : Scaling
            The network's units.
        likelihood : str
            Name of the likelihood.
        """


@dataclass(frozen=True)
class TableFormat(RowFormat):
    """Rows of a table, whose columns may be of different kinds.

    Parameters
    ----------
    columns : TableColumns
        The columns.
    """

    columns: TableColumns

    def to_rows(self, given: Any) -> Array:
        """Return rows with the encodings of all columns side by side."""
        return self.columns.to_network(given)

    def to_given(self, rows: Array, scaling: Scaling, index: Any) -> Any:
        """Return a table."""
        return self.columns.to_data(rows, index)

    def to_rows_with_log_jacobian(
        self, given: Any, scaling: Scaling, likelihood: str
    ) -> tuple[Array, Any]:
        """Return a log-Jacobian for each row, as the transformations are non-linear."""
        return self.columns.to_network_with_log_jacobian(given)


@dataclass(frozen=True)
class ArrayFormat(RowFormat):
    """Samples whose features are of one kind, such as pixels.

    Parameters
    ----------
    container : Container
        Container and types of the samples.
    """

    container: Container

    def to_rows(self, given: Any) -> Array:
        """Return the samples as numbers."""
        return self.container.read(given)

    def to_given(self, rows: Array, scaling: Scaling, index: Any) -> Any:
        """Return samples in the container and the type that `fit` saw."""
        samples = scaling.to_data(torch.from_numpy(rows), np.dtype(np.float64))
        return self.container.wrap(samples, index)

    def to_rows_with_log_jacobian(
        self, given: Any, scaling: Scaling, likelihood: str
    ) -> tuple[Array, Any]:
        """Return one log-Jacobian for all samples, as the scaling is linear."""
        unit = self.container.scale if likelihood == "gaussian" else 1
        scale = np.broadcast_to(unit * scaling.scale, given.shape[1])
        return self.to_rows(given), -np.log(scale).sum()
