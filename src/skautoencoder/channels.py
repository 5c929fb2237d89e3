"""Sequences whose channels come before their steps, as in aeon, and back."""

from __future__ import annotations

from typing import Any

import numpy as np


def channels_last(X: Any) -> Any:
    """Return sequences in the form of this package from those of aeon.

    aeon has collections of shape (n_cases, n_channels, n_timepoints), this package
    samples of shape (n_samples, n_steps, n_channels).

    Parameters
    ----------
    X : array-like of shape (n_samples, n_channels, n_steps) or (n_samples, n_steps), \
            or list of arrays of shape (n_channels, n_steps) or (n_steps,)
        The sequences. Those of a list may have different lengths. Without an axis of
        channels they have one.

    Returns
    -------
    sequences : ndarray of shape (n_samples, n_steps, n_channels), or list of ndarray \
            of shape (n_steps, n_channels)
        The same sequences.

    See Also
    --------
    channels_first : The way back.

    Notes
    -----
    In a pipeline, :class:`~sklearn.preprocessing.FunctionTransformer` calls it. With
    lists, set ``check_inverse=False`` there.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> from skautoencoder import (
    ...     AutoencoderTransformer,
    ...     channels_first,
    ...     channels_last,
    ... )
    >>> X = np.random.RandomState(0).normal(size=(20, 3, 50))
    >>> channels_last(X).shape
    (20, 50, 3)
    >>> pipeline = make_pipeline(
    ...     FunctionTransformer(channels_last, inverse_func=channels_first),
    ...     AutoencoderTransformer(4, architecture="conv1d", max_epochs=1),
    ... ).fit(X)
    >>> pipeline.inverse_transform(pipeline.transform(X)).shape
    (20, 3, 50)
    """
    return _turned(X, "(n_channels, n_steps)", adds_channel=True)


def channels_first(X: Any) -> Any:
    """Return sequences in the form of aeon from those of this package.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_steps, n_channels), or list of arrays of \
            shape (n_steps, n_channels) or (n_steps,)
        The sequences.

    Returns
    -------
    sequences : ndarray of shape (n_samples, n_channels, n_steps), or list of ndarray \
            of shape (n_channels, n_steps)
        The same sequences.

    See Also
    --------
    channels_last : The way back.
    """
    return _turned(X, "(n_steps, n_channels)", adds_channel=False)


def _turned(X: Any, shape: str, *, adds_channel: bool) -> Any:
    """Return sequences with the last two axes exchanged.

    Parameters
    ----------
    X : object
        An array of sequences, or a list of them.
    shape : str
        What the shape of a sequence is, for messages.
    adds_channel : bool
        Whether sequences without channels get theirs as the last axis.
    """
    if isinstance(X, list | tuple) or getattr(X, "dtype", None) == np.dtype(object):
        return [_turned_one(one, shape, adds_channel=adds_channel) for one in X]
    array = np.asarray(X)
    if array.ndim not in (2, 3):
        raise ValueError(
            f"X must be an array of sequences of shape {shape}, with the samples as "
            f"first axis, or a list of sequences, got an array of shape {array.shape}."
        )
    if array.ndim == 2:
        return array[:, :, np.newaxis] if adds_channel else array[:, np.newaxis]
    return array.transpose(0, 2, 1)


def _turned_one(sequence: Any, shape: str, *, adds_channel: bool) -> Any:
    array = np.asarray(sequence)
    if array.ndim not in (1, 2):
        raise ValueError(
            f"Sequences of a list must have the shape {shape} or (n_steps,), got "
            f"{array.shape}."
        )
    if array.ndim == 1:
        return array[:, np.newaxis] if adds_channel else array[np.newaxis]
    return array.T
