"""Conversion of rows between the user's containers and a network's input."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from skautoencoder._estimator.array_types import Array, Shape
from skautoencoder._estimator.containers import Container, as_pandas, is_frame
from skautoencoder._estimator.data_units import Scaling
from skautoencoder._estimator.image_detection import looks_like_image
from skautoencoder._estimator.input_hints import with_hints
from skautoencoder._estimator.sample_validation import resolve_sample_shape
from skautoencoder.sampling.table_columns import TableColumns

# Wider data are treated like pictures or spectra, whose values are of one kind.
_MOST_COLUMNS = 200


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


def learn_format(
    X: Any,
    rows: Any,
    shape: Shape,
    *,
    sample_shape: Any,
    likelihood: str,
    takes_tables: bool,
    categorical_features: Any,
) -> tuple[TableFormat | ArrayFormat, Array]:
    """Learn the columns of a table, or the container of other samples.

    Parameters
    ----------
    X : object
        What `fit` was given.
    rows : ndarray of shape (n_samples, n_features) or DataFrame
        The same, validated.
    shape : tuple of int
        Shape of a sample of `X`.
    sample_shape, likelihood, categorical_features : object
        Parameters of the sampler.
    takes_tables : bool
        Whether 2-D data are treated as tables with columns of different kinds.

    Returns
    -------
    form : TableFormat or ArrayFormat
        What was learnt.
    rows : ndarray of shape (n_samples, n_shown)
        The rows for the network, before scaling.
    """
    few = len(shape) == 1 and shape[0] <= _MOST_COLUMNS
    if takes_tables and (few or is_frame(X)):
        table = X if is_frame(X) else rows
        columns, shown = TableColumns.fit_to_network(table, categorical_features)
        return TableFormat(columns), shown
    container = Container.of(X, rows, shape)
    is_image = looks_like_image(
        resolve_sample_shape(sample_shape, shape), given=sample_shape is not None
    )
    looks_so = likelihood == "auto" and (is_image or rows.dtype == np.uint8)
    if looks_so or likelihood == "bernoulli":
        # Integers are pixels, which have a fixed range.
        container = replace(container, scale=container.full_scale or 1)
    form = ArrayFormat(container)
    return form, form.to_rows(rows)


def check_table(estimator: BaseEstimator, X: Any, *, fits: bool) -> pd.DataFrame:
    """Return a frame as one of pandas, validated.

    Parameters
    ----------
    estimator : estimator instance
        ``n_features_in_`` and ``feature_names_in_`` are set on it, or compared.
    X : DataFrame
        The table.
    fits : bool
        Whether they are set, and one row is too few.
    """
    name = type(estimator).__name__
    known = None if fits else getattr(estimator, "feature_names_in_", None)
    if known is None or list(X.columns) != list(known):  # else nothing to refuse
        with with_hints(X, name):
            validate_data(estimator, X, reset=fits, skip_check_array=True)
    least = 2 if fits else 1
    if len(X) < least or not X.shape[1]:
        raise ValueError(
            f"Found array with {len(X)} sample(s) and {X.shape[1]} feature(s) "
            f"(shape={X.shape}) while a minimum of {least} sample(s) and 1 feature(s) "
            f"is required by {name}."
        )
    return as_pandas(X)
