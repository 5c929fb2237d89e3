"""Class labels of conditional samplers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Number
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from skautoencoder._estimator.containers import values_of
from skautoencoder._estimator.input_hints import naming
from skautoencoder._estimator.sample_validation import from_torch


@dataclass(frozen=True)
class Classes:
    """The classes that `fit` saw.

    Parameters
    ----------
    names : ndarray of shape (n_classes,)
        The classes, sorted.
    shares : ndarray of shape (n_classes,)
        Relative frequency of each class.
    """

    names: NDArray[Any]
    shares: NDArray[np.float64]

    @classmethod
    def of(cls, y: Any, n_samples: int, name: str) -> tuple[Self, NDArray[np.intp]]:
        """Learn the classes of training rows.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            The class of each training row.
        n_samples : int
            Number of training rows.
        name : str
            Name of the estimator, for messages.

        Returns
        -------
        classes : Classes
            The classes.
        numbers : ndarray of int of shape (n_samples,)
            Index of each training row's class among them.
        """
        if y is None:
            raise ValueError(
                f"{name} requires y to be passed, but the target y is None: it learns "
                "what rows of each class look like. Pass y. (A VAESampler with "
                "conditional=False needs none.)"
            )
        # Numbers that no integer can hold are compared with integers.
        with naming("y"), np.errstate(invalid="ignore", over="ignore"):
            y = values_of(from_torch(y))
            _require_classes(y)
            y = column_or_1d(y, warn=True)
            check_consistent_length(np.empty(n_samples), y)
            check_classification_targets(y)
            names, numbers = np.unique(y, return_inverse=True)
        if not len(y):
            raise ValueError(f"y has no rows, but {name} needs the classes of some.")
        return cls(names, np.bincount(numbers) / len(y)), numbers

    def counted(self, numbers: NDArray[np.intp], weights: ArrayLike | None) -> Self:
        """Return the same classes with the shares of rows, by their weights if any."""
        counts = np.bincount(numbers, weights, len(self.names))
        return replace(self, shares=counts / counts.sum())

    def number(self, y: Any, n_samples: int) -> NDArray[np.intp]:
        """Return indices of classes, given one class for all rows or one for each."""
        with naming("y"):
            y = values_of(from_torch(y))
            given: Any = np.full(n_samples, y) if np.ndim(y) == 0 else column_or_1d(y)
            check_consistent_length(np.empty(n_samples), given)
        known = {name: place for place, name in enumerate(self.names.tolist())}
        places = [known.get(name, -1) for name in given.tolist()]
        if -1 in places:
            unknown = given.tolist()[places.index(-1)]
            raise ValueError(
                f"y has a class that fit did not see: {unknown!r}. "
                f"Known classes are {self.names.tolist()}."
            )
        return np.array(places)

    def draw(self, n_samples: int, random: np.random.RandomState) -> NDArray[np.intp]:
        """Return indices of classes, drawn with their frequencies in training."""
        return random.choice(len(self.names), size=n_samples, p=self.shares)

    def one_hot(self, numbers: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return the one-hot encoding of class indices."""
        return np.eye(len(self.names), dtype=np.float32)[numbers]

    def require(self, before: Classes) -> None:
        """Raise if these are not the classes of the previous fit."""
        if not np.array_equal(self.names, before.names):
            raise ValueError(
                "warm_start=True continues with the network of the fit before, which "
                f"knows the classes {before.names.tolist()}, but y now has "
                f"{self.names.tolist()}. Set warm_start=False."
            )


def numbers_of_classes(
    classes: Classes | None, y: Any, n_samples: int
) -> NDArray[np.intp]:
    """Return indices of the classes `y`, one for all rows or one for each.

    Zeros where there are no classes, or none are given.
    """
    if y is None:
        return np.zeros(n_samples, dtype=np.intp)
    if classes is None:
        raise ValueError(
            "y was given, but the sampler does not know classes. Fit it with "
            "conditional=True."
        )
    return classes.number(y, n_samples)


def one_hot(classes: Classes | None, numbers: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return classes one-hot; without classes, an array of no columns."""
    if classes is None:
        return np.empty((len(numbers), 0), dtype=np.float32)
    return classes.one_hot(numbers)


def _require_classes(y: Any) -> None:
    """Raise if a class label is missing, or labels cannot be brought into an order."""
    given = np.asarray(y, dtype=object)
    missing = pd.isna(given)
    if given.ndim and missing.any():
        places = np.argwhere(missing)[:, 0]
        raise ValueError(
            f"y has no class for {len(places)} of {len(given)} rows; the first is row "
            f"{places[0]}, where it is {given[missing][0]!r}. Remove these rows, or "
            "give them a class of their own, for example with fillna."
        )
    # Dates and durations that are NumPy's have an order; as objects they are refused.
    if hasattr(y, "dtype") and np.asarray(y).dtype.kind in "mM":
        return
    kinds = {type(label) for label in given.tolist()} if given.ndim == 1 else set()
    are_strings = {issubclass(kind, str) for kind in kinds}
    strange = [k for k in kinds if not issubclass(k, str | bytes | Number | np.generic)]
    if len(are_strings) > 1 or strange:
        names = sorted(kind.__name__ for kind in kinds)
        raise TypeError(
            f"y has labels of the types {names}, but classes must be all strings or "
            "all numbers. Make them strings: y.astype(str)."
        )
