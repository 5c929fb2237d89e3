"""Conversion of the user's noise parameters to a `Corruption` of the network's rows."""

from __future__ import annotations

import inspect
import math
from numbers import Real
from typing import Any

from skautoencoder._estimator.array_statistics import (
    fills_unit_range,
    mean_and_spread,
    mean_and_spread_of_sequences,
    range_of,
)
from skautoencoder._estimator.array_types import Array, Range, Shape
from skautoencoder._estimator.data_units import Scaling
from skautoencoder.objectives import Corruption
from skautoencoder.objectives.corruption import Noise
from skautoencoder.training import to_tensor

# The levels of noise_level="auto": a share of the data's spread, and of the values.
_GAUSSIAN_SHARE = 0.5
_CHOSEN_SHARE = 0.25


def make_corruption(
    noise: str | Noise,
    noise_level: float | str,
    clip: Any,
    rows: Array,
    *,
    scaling: Scaling,
    sample_shape: Shape,
    n_channels: int | None = None,
) -> Corruption:
    """Return the corruption that adds noise to rows like these.

    Parameters
    ----------
    noise : str or callable
        See :class:`~skautoencoder.DenoisingAutoencoder`, like the next two.
    noise_level : float or "auto"
        How much noise.
    clip : "auto", pair of float or None
        Range of noisy values.
    rows : ndarray of shape (n_samples, n_features)
        Clean rows.
    scaling : Scaling
        Units of the data and of the network.
    sample_shape : tuple of int
        Shape in which a callable sees a sample.
    n_channels : int, default=None
        Channels of sequences of different lengths. None: rows are no such.

    Returns
    -------
    corruption : Corruption
        For rows in the network's units.

    Raises
    ------
    TypeError
        If `noise` is a callable that does not take samples alone.
    ValueError
        If `noise_level` is not in [0, 1] although the noise needs a share, or `clip` is
        not a range.
    """
    if callable(noise):
        _require_signature(noise)
    clips = clip is not None
    value_range = range_of(rows)
    low, high = value_range
    if isinstance(clip, str):
        clips = fills_unit_range(value_range)
        low, high = (0.0, 1.0) if clips else value_range
    elif clips:
        low, high = _check_clip(clip)
    offset = scaling.offset
    return Corruption(
        noise,
        _resolve_level(noise, noise_level, rows, n_channels),
        low=low,
        high=high,
        clip=clips,
        offset=None if offset is None else to_tensor(offset),
        scale=float(scaling.scale),
        sample_shape=sample_shape,
        ragged=n_channels is not None,
    )


def _require_signature(noise: Noise) -> None:
    """Raise if a callable cannot be called with samples alone."""
    try:
        signature = inspect.signature(noise)
    except (TypeError, ValueError):  # some callables in C do not tell
        return
    try:
        signature.bind(None)
    except TypeError as error:
        raise TypeError(
            "noise must be a callable that takes one argument, the samples, but "
            f"{noise!r:.80} has the signature {signature}."
        ) from error


def _resolve_level(
    noise: str | Noise,
    noise_level: float | str,
    rows: Array,
    n_channels: int | None,
) -> float:
    adds = noise == "gaussian"
    if isinstance(noise_level, str):
        if not adds:
            return _CHOSEN_SHARE
        if n_channels is None:
            return _GAUSSIAN_SHARE * mean_and_spread(rows)[1]
        return _GAUSSIAN_SHARE * mean_and_spread_of_sequences(rows, n_channels)[1]
    if not adds and not callable(noise) and noise_level > 1:
        raise ValueError(
            f"noise_level={noise_level} is out of range: with noise={noise!r} it is "
            "the share of values that noise chooses, from 0 to 1."
        )
    return float(noise_level)


def _check_clip(clip: Any) -> Range:
    """Return the user's bounds, validated."""
    bounds = list(clip)
    good = len(bounds) == 2 and all(isinstance(n, Real) for n in bounds)
    # The comparisons are False for NaN too.
    if not good or not -math.inf < bounds[0] < bounds[1] < math.inf:
        raise ValueError(
            "clip must be 'auto', None, or a pair of numbers, the lower first, "
            f"such as (0, 1), got {clip!r}."
        )
    return float(bounds[0]), float(bounds[1])
