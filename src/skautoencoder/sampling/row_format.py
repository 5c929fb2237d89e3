"""What rows came in, how a network is shown them, and how rows go out again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from skautoencoder._estimator.arrays import Array
from skautoencoder._estimator.containers import Container
from skautoencoder._estimator.units import Scaling
from skautoencoder.sampling.columns import TableColumns


class RowFormat(ABC):
    """The way from what the user holds to rows for a network, and back."""

    @abstractmethod
    def to_rows(self, given: Any) -> Array:
        """Return rows that a network can be shown, but for the scale."""

    @abstractmethod
    def to_given(self, rows: Array, scaling: Scaling, index: Any) -> Any:
        """Return what a network's rows stand for, as `fit` was given it.

        Parameters
        ----------
        rows : ndarray of shape (n_samples, n_shown)
            Rows in the network's units.
        scaling : Scaling
            The units.
        index : pandas.Index or None
            Names of the rows, if they go out in a frame.
        """

    @abstractmethod
    def to_rows_with_log_jacobian(
        self, given: Any, scaling: Scaling, likelihood: str
    ) -> tuple[Array, Any]:
        """Return rows, and what turns their log-densities into those of the user's.

        Parameters
        ----------
        given : array-like
            The user's rows.
        scaling : Scaling
            The network's units.
        likelihood : str
            Whose log-densities they are.
        """


@dataclass(frozen=True)
class TableFormat(RowFormat):
    """Rows of a table, each of whose columns is what it is.

    Parameters
    ----------
    columns : TableColumns
        The columns.
    """

    columns: TableColumns

    def to_rows(self, given: Any) -> Array:
        """Return rows of as many numbers as the columns take together."""
        return self.columns.to_network(given)

    def to_given(self, rows: Array, scaling: Scaling, index: Any) -> Any:
        """Return a table."""
        return self.columns.to_data(rows, index)

    def to_rows_with_log_jacobian(
        self, given: Any, scaling: Scaling, likelihood: str
    ) -> tuple[Array, Any]:
        """Return a number for each row: columns are stretched where they are dense."""
        return self.columns.to_network_with_log_jacobian(given)


@dataclass(frozen=True)
class ArrayFormat(RowFormat):
    """Samples whose features are of one kind, such as pixels.

    Parameters
    ----------
    container : Container
        What they came in.
    """

    container: Container

    def to_rows(self, given: Any) -> Array:
        """Return the samples as numbers."""
        return self.container.read(given)

    def to_given(self, rows: Array, scaling: Scaling, index: Any) -> Any:
        """Return samples in the container and the type of those of `fit`."""
        samples = scaling.to_data(torch.from_numpy(rows), np.dtype(np.float64))
        return self.container.wrap(samples, index)

    def to_rows_with_log_jacobian(
        self, given: Any, scaling: Scaling, likelihood: str
    ) -> tuple[Array, Any]:
        """Return one number, as all samples are in the same units."""
        unit = self.container.scale if likelihood == "gaussian" else 1
        scale = np.broadcast_to(unit * scaling.scale, given.shape[1])
        return self.to_rows(given), -np.log(scale).sum()
