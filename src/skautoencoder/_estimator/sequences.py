"""Sequences of different lengths: reading them, and giving them back as they came."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from skautoencoder._estimator.array_types import Array, Shape
from skautoencoder._estimator.sample_validation import from_torch
from skautoencoder.architectures import ARCHITECTURES, Architecture

Lengths = NDArray[np.intp]

_CURE = (
    "NaN may only follow the end of a sequence. AutoencoderImputer fills gaps in "
    "sequences of one length."
)


@dataclass(frozen=True)
class SequenceFormat:
    """The form in which sequences of different lengths are given and returned.

    Parameters
    ----------
    n_steps : int or None
        Steps of a padded array. None: sequences are a list.
    is_flat : bool
        Whether the sequences of a list have a single axis, that of the steps.
    """

    n_steps: int | None
    is_flat: bool = False

    @classmethod
    def of(cls, X: Any) -> Self | None:
        """Return the form of sequences; None for flat rows."""
        if _is_list(X):
            return cls(None, is_flat=np.ndim(X[0]) == 1)
        return cls(X.shape[1]) if getattr(X, "ndim", 0) == 3 else None

    def wrap(self, samples: Array, lengths: Lengths) -> Any:
        """Return samples of shape (n_samples, n_steps, n_channels) in this form."""
        if self.n_steps is None:
            found = [sample[:n] for sample, n in zip(samples, lengths, strict=True)]
            return [sample[:, 0] for sample in found] if self.is_flat else found
        n_samples, n_steps, n_channels = samples.shape
        padded = np.full((n_samples, self.n_steps, n_channels), np.nan, samples.dtype)
        n_steps = min(n_steps, self.n_steps)
        present = np.arange(n_steps) < lengths[:, np.newaxis]
        padded[:, :n_steps][present] = samples[:, :n_steps][present]
        return padded


@dataclass(frozen=True)
class Sequences:
    """Sequences of different lengths as an array, with NaN after their ends.

    Parameters
    ----------
    padded : ndarray of shape (n_samples, n_steps, n_channels)
        The sequences.
    format : SequenceFormat
        The form in which they were given.
    """

    padded: Array
    format: SequenceFormat

    @classmethod
    def read(
        cls,
        X: Any,
        name: str,
        n_steps: int | None,
        shape: Any,
        *,
        takes_flat: bool = True,
    ) -> Self | None:
        """Return sequences of different lengths; None if `X` is something else.

        Parameters
        ----------
        X : object
            What the user passed.
        name : str
            Name of the estimator, for messages.
        n_steps : int or None
            How many steps a sequence may have at most. None: as many as the longest.
        shape : tuple of int or None
            Shape of samples in a fitted estimator that learnt from such sequences,
            which then may have equal lengths, too.
        takes_flat : bool, default=True
            Whether the sequences of a list may have a single axis.
        """
        X = from_torch(X)
        if isinstance(X, np.ndarray) and not X.size:
            return None  # an empty array, for the usual checks
        if isinstance(X, np.ndarray) and X.ndim == 3 and X.dtype.kind == "f":
            if shape is None and not np.isnan(X[:, -1:]).any():
                return None
            found = cls._of_array(X, insists=shape is not None)
        elif _is_list(X):
            found = cls._of_list(list(X), insists=shape is not None)
        else:
            return None
        if found is None or (found.format.is_flat and not takes_flat):
            return None
        return found._fit_into(n_steps, shape, name)

    @classmethod
    def _of_array(cls, X: Array, *, insists: bool) -> Self | None:
        lengths = lengths_of(X)
        present = np.arange(X.shape[1]) < lengths[:, np.newaxis]
        gaps = np.isnan(X).any(axis=2) & present
        gaps |= ~present & ~np.isnan(X).all(axis=2)
        if gaps.any():
            if not insists:
                return None  # an array with holes, for the usual checks
            _refuse_gap(gaps)
        _refuse_empty(lengths)
        return cls(X[:, : lengths.max()], SequenceFormat(X.shape[1]))

    @classmethod
    def _of_list(cls, X: list[Any], *, insists: bool) -> Self | None:
        sizes = {x.shape if hasattr(x, "shape") else _length(x) for x in X}
        if len(sizes) < 2 - insists:
            return None  # an array, in a list
        try:
            arrays = [_numbers(np.asarray(from_torch(x))) for x in X]
        except (TypeError, ValueError):  # nested lists of different lengths, or text
            return None
        kinds = {array.dtype.kind for array in arrays}
        if not kinds <= set("buif") or {array.ndim for array in arrays} - {1, 2}:
            return None
        widths = {array.shape[1:] for array in arrays}
        if len(widths) > 1:
            raise ValueError(
                "Sequences of X have shapes that do not go together: "
                f"{', '.join(map(str, sorted({a.shape for a in arrays})[:4]))}. They "
                "may differ in the number of steps, which is the first axis, and must "
                "have the same channels. Where channels come first, transpose them. "
                "(Of a pair of samples and targets pass the samples alone.)"
            )
        lengths = np.array([len(array) for array in arrays])
        _refuse_empty(lengths)
        single = all(array.dtype == np.float32 for array in arrays)
        n_channels = arrays[0].shape[1] if arrays[0].ndim == 2 else 1
        padded = np.full(
            (len(arrays), lengths.max(), n_channels),
            np.nan,
            np.float32 if single else np.float64,
        )
        for row, array in zip(padded, arrays, strict=True):
            row[: len(array)] = array.reshape(len(array), n_channels)
        present = np.arange(lengths.max()) < lengths[:, np.newaxis]
        gaps = np.isnan(padded).any(axis=2) & present
        if gaps.any():
            _refuse_gap(gaps)
        return cls(padded, SequenceFormat(None, is_flat=arrays[0].ndim == 1))

    def _fit_into(self, n_steps: int | None, shape: Any, name: str) -> Self:
        """Return the sequences with room for `n_steps` steps."""
        longest, n_channels = self.padded.shape[1:]
        if shape is not None and n_channels != shape[1]:
            raise ValueError(
                f"X has sequences of {n_channels} channels, but {name} is expecting "
                f"{shape[1]}, as seen in fit. The steps are the first axis of a "
                "sequence, the channels the second."
            )
        if n_steps is None or n_steps == longest:
            return self
        if longest > n_steps:
            where = "sample_shape says" if shape is None else "were seen in fit"
            raise ValueError(
                f"X has a sequence of {longest} steps, which is more than the "
                f"{n_steps} that {where}. Cut it, or fit with sample_shape=("
                f"{longest}, {n_channels}), which makes room for longer ones."
            )
        wider = np.pad(
            self.padded,
            ((0, 0), (0, n_steps - longest), (0, 0)),
            constant_values=np.nan,
        )
        return type(self)(wider, self.format)


def sequences_to_fit(
    X: Any, name: str, sample_shape: Any, architecture: Any
) -> Sequences | None:
    """Return sequences of different lengths for `fit`, or None for other samples.

    Parameters
    ----------
    X : object
        What the user passed.
    name : str
        Name of the estimator, for messages.
    sample_shape, architecture : object
        Parameters of the estimator. What is wrong with them is said later.
    """
    given = () if sample_shape is None else tuple(sample_shape)
    is_steps = len(given) in (1, 2) and isinstance(given[0], Integral)
    # Rows of different lengths may be a table with a mistake.
    if isinstance(architecture, str):
        architecture = ARCHITECTURES.get(architecture)
    takes_flat = getattr(architecture, "takes_ragged", False)
    n_steps = int(given[0]) if is_steps else None
    return Sequences.read(X, name, n_steps, None, takes_flat=takes_flat)


def sequences_as_fitted(
    X: Any, name: str, data_shape: Shape, fitted: SequenceFormat | None
) -> Sequences | None:
    """Return sequences of different lengths for a fitted estimator, or None.

    Parameters
    ----------
    X : object
        What the user passed.
    name : str
        Name of the estimator, for messages.
    data_shape : tuple of int
        Shape of a sample as `fit` saw it.
    fitted : SequenceFormat or None
        How `fit` was given sequences of different lengths. None: it was not.

    Raises
    ------
    ValueError
        If there are such sequences, and `fit` was given none.
    """
    if fitted is not None:
        return Sequences.read(X, name, data_shape[0], data_shape)
    if Sequences.read(X, name, None, None) is None:
        return None
    raise ValueError(
        f"X has sequences of different lengths, but {name} learnt from samples of "
        f"shape {data_shape} alone. Fit it on sequences of different lengths."
    )


def require_ragged(architecture: Architecture) -> None:
    """Raise if an architecture cannot take sequences of different lengths."""
    if not architecture.takes_ragged:
        raise ValueError(
            f"X has sequences of different lengths, which {architecture!r} cannot "
            "take. Use architecture='conv1d' or 'recurrent' (of "
            "AutoencoderTransformer, DenoisingAutoencoder or "
            "AutoencoderOutlierDetector), or cut them to one length."
        )


def lengths_of(sequences: Array) -> Lengths:
    """Return up to which step sequences have values, (n_samples, n_steps, ...)."""
    has_values: NDArray[np.bool_] = np.any(~np.isnan(sequences), axis=2)
    n_steps = has_values.shape[1]
    after = np.argmax(has_values[:, ::-1], axis=1)
    return np.where(np.any(has_values, axis=1), n_steps - after, 0)


def lengths_of_rows(rows: Array, data_shape: Shape) -> Lengths:
    """Return the number of steps of sequences that are flat rows."""
    first = rows.reshape(len(rows), *data_shape)[:, :, 0]
    lengths: Lengths = (~np.isnan(first)).sum(axis=1)
    return lengths


def _is_list(X: Any) -> bool:
    """Return whether `X` is a list of objects, or an array of them, such as arrays."""
    if isinstance(X, np.ndarray):
        return X.ndim == 1 and X.dtype.kind == "O"
    return isinstance(X, list | tuple)


def _numbers(array: Array) -> Array:
    """Return an array of objects, which frames of nullable types become, as numbers."""
    return array.astype(np.float64) if array.dtype.kind == "O" else array


def _length(sequence: Any) -> int:
    return len(sequence) if hasattr(sequence, "__len__") else -1


def _refuse_gap(gaps: NDArray[np.bool_]) -> None:
    sample, step = np.argwhere(gaps)[0]
    raise ValueError(
        f"Input X contains NaN within a sequence: sample {sample} has one at step "
        f"{step}. {_CURE}"
    )


def _refuse_empty(lengths: Lengths) -> None:
    if not lengths.all():
        raise ValueError(
            f"Sample {int(np.argmin(lengths))} of X has no steps: it is empty, or "
            "contains NaN alone. Leave it out."
        )
