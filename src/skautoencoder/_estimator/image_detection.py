"""Guessing whether samples are images, and checking the guess against the data."""

from __future__ import annotations

import numpy as np

from skautoencoder._estimator.array_types import Array, Shape
from skautoencoder._estimator.user_warnings import warn_user
from skautoencoder.architectures import Architecture, Conv

# The longer side of an image is at most this many times the shorter one.
_LONGEST = 3
_SHORTEST_SIDE = 4
# Ratio of the squared differences of neighbours along the two axes, above which samples
# are not images: for digits, letters and photographs it is at most 2.6.
_UNLIKE = 4.0
# Most rows, and most numbers, that are used.
_FEW_ROWS = 200
_FEW_NUMBERS = 4_000_000


def looks_like_image(sample_shape: Shape, *, given: bool) -> bool:
    """Return whether samples of this shape are treated as images.

    Parameters
    ----------
    sample_shape : tuple of int
        Shape of a sample.
    given : bool
        Whether the shape is that of the parameter `sample_shape`. Otherwise two
        lengths are an image only if they are similar: (100, 3) and (50, 8) are more
        often series of a few channels than narrow images.
    """
    if len(sample_shape) != 2:
        return len(sample_shape) == 3
    shorter, longer = sorted(sample_shape)
    return shorter >= _SHORTEST_SIDE and (given or longer <= _LONGEST * shorter)


def warn_of_shape(
    rows: Array,
    data_shape: Shape,
    sample_shape: Shape | None,
    architecture: Architecture,
    *,
    is_auto: bool,
) -> None:
    """Warn if samples seem to be of another kind than they are taken for.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        The samples.
    data_shape : tuple of int
        Shape of a sample of `X`.
    sample_shape : tuple of int or None
        The parameter `sample_shape`.
    architecture : Architecture
        Architecture of the network.
    is_auto : bool
        Whether it was chosen by the shape.
    """
    is_conv = isinstance(architecture, Conv)
    if is_conv:
        warn_of_channels_last(sample_shape or data_shape)
    if sample_shape is not None:
        return
    warn_of_guess(rows, data_shape, is_conv=is_conv, is_auto=is_auto)
    is_said = is_auto and looks_like_image(data_shape, given=True)
    if architecture.takes_ragged and not is_said:
        warn_of_turned_axes(rows, data_shape)


def warn_of_turned_axes(rows: Array, shape: Shape) -> None:
    """Warn if the channels of sequences seem to come before their steps.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        The sequences.
    shape : tuple of int
        Shape of a sample of `X`.
    """
    if len(shape) == 2 and axes_seem_turned(rows, shape):
        n_steps, n_channels = shape
        warn_user(
            f"Samples of shape {shape} are taken for sequences of {n_steps} steps of "
            f"{n_channels} channels, but values change little along the second axis "
            f"and much along the first. For {n_channels} steps of {n_steps} channels "
            "pass channels_last(X), or X.transpose(0, 2, 1); if they are meant as they "
            f"are, sample_shape={shape}.",
        )


def axes_seem_turned(rows: Array, shape: Shape) -> bool:
    """Return whether the channels of sequences seem to come before their steps.

    There are more channels than steps, and values change little from channel to channel
    and much from step to step.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_steps * n_channels)
        The sequences.
    shape : tuple of int
        How many steps and channels they have.
    """
    n_steps, n_channels = shape
    if n_channels <= max(n_steps, _SHORTEST_SIDE):
        return False
    beside = _difference(rows, 1, n_channels)
    # Of a single step, values that are far from each other.
    far = n_channels if n_steps > 1 else n_channels // 2
    return _difference(rows, far) > _UNLIKE * beside


def warn_of_channels_last(sample_shape: Shape) -> None:
    """Warn if images seem to have their channels as the last axis, not the first."""
    if len(sample_shape) != 3:
        return
    n_channels, height, width = sample_shape
    if width in (1, 3, 4) and min(n_channels, height) > 4:
        warn_user(
            f"Samples of shape {sample_shape} are taken for {n_channels} channels "
            f"of {height}×{width} pixels. If the channels come last, put them "
            "first with X.transpose(0, 3, 1, 2).",
        )


def warn_of_guess(rows: Array, shape: Shape, *, is_conv: bool, is_auto: bool) -> None:
    """Warn if the guess at the kind of samples, without `sample_shape`, seems wrong.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        The samples.
    shape : tuple of int
        Shape of a sample of `X`.
    is_conv : bool
        Whether the network is convolutional.
    is_auto : bool
        Whether the architecture was chosen by the shape.
    """
    message = ""
    if len(shape) == 2 and not looks_like_image(shape, given=False):
        if is_auto and looks_like_image(shape, given=True):
            message = (
                f"Samples of shape {shape} are taken for sequences of {shape[0]} steps "
                f"of {shape[1]} channels, not for images, whose sides would be more "
                "alike. Say what they are: architecture='conv1d' or 'recurrent' for "
                "sequences (with channels_last(X) if the channels come first), "
                f"sample_shape={shape} for images, "
                f"sample_shape=({shape[0] * shape[1]},) for numbers in a row."
            )
        elif is_conv and min(shape) > 1:
            message = _doubt_about_series(rows, shape)
    elif len(shape) == 1 and is_conv:
        message = _doubt_about_rows(rows)
    if message:
        warn_user(message)


def _doubt_about_series(rows: Array, shape: Shape) -> str:
    """Return a message if samples with two axes do not look like images, else ""."""
    width = shape[1]
    below = _difference(rows, width)
    beside = _difference(rows, 1, width)
    if max(below, beside) <= _UNLIKE * min(below, beside):
        return ""
    channels = min(shape)
    turned = "" if shape[1] == channels else "X.transpose(0, 2, 1) and "
    return (
        f"Samples of shape {shape} are taken for images of {shape[0]}×{width} pixels, "
        "but their values are far more alike along one axis than along the other. For "
        f"series of {channels} channels, pass {turned}architecture='conv1d', which "
        f"AutoencoderTransformer takes; for images, sample_shape={shape}."
    )


def _doubt_about_rows(rows: Array) -> str:
    """Return a message if flat rows do not look as they are treated, else ""."""
    n_samples, n_features = rows.shape
    as_strip = f"sample_shape=(1, {n_features})"
    is_square = n_samples == n_features and rows.size <= _FEW_NUMBERS
    if is_square and _is_image(rows.reshape(1, -1), n_features):
        return (
            f"X has {n_samples} rows of {n_features} numbers and looks like one image. "
            "The first axis is that of the samples: stack images to an array of shape "
            f"(n_images, {n_samples}, {n_features}), and pass X[np.newaxis] for one. "
            f"If each row is a sample, {as_strip} says so."
        )
    side = round(n_features**0.5)
    if side * side == n_features:
        below, beside = _difference(rows, side), _difference(rows, 1, side)
        if side < _SHORTEST_SIDE or below <= _UNLIKE * beside:
            return ""
        return (
            f"Rows of {n_features} numbers are taken for images of {side}×{side} "
            f"pixels, but numbers {side} apart are {below / beside:.0f} times as "
            "different as neighbours, as in signals. For signals, "
            f"architecture='conv1d' or {as_strip}; for images, "
            f"sample_shape=({side}, {side})."
        )
    # Candidates for the shape of an image, with one channel or three.
    images = [
        (n_channels, n_features // n_channels // width, width)
        for n_channels in (1, 3)
        for width in range(_SHORTEST_SIDE, round((_LONGEST * n_features) ** 0.5) + 1)
        if n_features % (n_channels * width) == 0
    ]
    images = [image for image in images if looks_like_image(image[1:], given=False)]
    if not images:
        return ""
    # For ties, such as 96×32 pixels and three channels of 32×32, the squarer one.
    shape: Shape = min(
        images, key=lambda image: (_difference(rows, image[2]), max(image[1:]))
    )
    width = shape[2]
    if not _is_image(rows, width):
        return ""
    shape = shape if shape[0] > 1 else shape[1:]
    return (
        f"Rows of {n_features} numbers are taken for strips one pixel high, but "
        f"numbers {width} apart are about as alike as neighbours, as in images. For "
        f"images, sample_shape={shape}; for strips, {as_strip}."
    )


def _is_image(rows: Array, width: int) -> bool:
    """Return whether neighbours are similar in both directions, and others are not."""
    height = rows.shape[1] // width
    below, beside = _difference(rows, width), _difference(rows, 1, width)
    far = _difference(rows, width * (height // 2))
    larger = max(below, beside)
    return larger <= _UNLIKE / 2 * min(below, beside) and far > 2 * larger


def _difference(rows: Array, step: int, width: int | None = None) -> float:
    """Return the mean squared difference of numbers that are `step` positions apart.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        The numbers, some of which may be missing.
    step : int
        The distance.
    width : int, default=None
        Length of a line: numbers in different lines are not compared.
    """
    lines = rows[: min(_FEW_ROWS, _FEW_NUMBERS // rows.shape[1] + 1)]
    if width is not None:
        lines = lines.reshape(-1, width)
    # Scaled, as squares of large numbers would overflow.
    finite = np.abs(lines[np.isfinite(lines)].astype(np.float64))
    lines = lines.astype(np.float64) / finite.max(initial=1e-300)
    squares = np.square(lines[:, step:] - lines[:, :-step])
    squares = squares[np.isfinite(squares)]
    return float(squares.mean()) if squares.size else 0.0
