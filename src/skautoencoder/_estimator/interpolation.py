"""Walking from one sample to another through their codes."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_scalar

from skautoencoder._estimator.array_types import Array, Shape
from skautoencoder._estimator.sample_validation import from_torch


def check_count(value: object, name: str, least: int) -> None:
    """Raise if a number of things is not an integer, or below `least`."""
    if isinstance(value, bool):
        raise TypeError(f"{name} must be an instance of int, not bool.")
    most = int(np.iinfo(np.intp).max)
    check_scalar(value, name, Integral, min_val=least, max_val=most)


def as_samples(sample: Any, shapes: tuple[Shape, ...]) -> Any:
    """Return one sample with an axis of samples, which it may have already."""
    if hasattr(sample, "columns"):
        return sample
    sample = np.asarray(from_torch(sample))
    return sample[np.newaxis] if sample.shape in shapes else sample


def require_one(rows: Any, name: str) -> None:
    """Raise if `rows` are not one sample."""
    if len(rows) != 1:
        raise ValueError(
            f"{name} has to be one sample, but has {len(rows)} rows. Pass one of "
            "them, such as X[:1]."
        )


def codes_between(start: Array, stop: Array, n_steps: int) -> Array:
    """Return codes on the straight line between two of shape (1, code_size)."""
    share = np.linspace(0, 1, n_steps, dtype=start.dtype)[:, np.newaxis]
    return (1 - share) * start + share * stop
