"""Small data and fits that tests of the transformers share."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from helpers import (
    BOTH,
    ROWS,
    Recorder,
    noise,
)
from torch import nn

X = ROWS[:50]
NORMAL = noise(100, 3) @ noise(3, 12, seed=1) + 0.1 * noise(100, 12, seed=2)

either = pytest.mark.parametrize("make", BOTH)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@functools.cache
def fitted(make: Any) -> Any:
    return make().fit(X)


def has_convolutions(estimator: Any) -> bool:
    return any(isinstance(m, nn.Conv2d) for m in estimator.net_.module_.modules())


class BatchRecorder(Recorder):
    def on_batch_end(self, net: Any, batch: Any, training: bool, **kwargs: Any) -> None:
        self.said.append(("batch", len(batch[0])))


def waves(n_samples: int, n_steps: int = 20, *, seed: int = 0) -> Any:
    """Return series of two channels, (n_samples, n_steps, 2), of random phases."""
    phases = np.random.RandomState(seed).uniform(0, 2 * np.pi, (n_samples, 1))
    angles = 2 * np.pi * np.arange(n_steps) / n_steps + phases
    return np.stack([np.sin(angles), np.cos(angles)], axis=2)
