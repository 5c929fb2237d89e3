"""Small detectors and data that tests of the outlier detector share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import noise

from skautoencoder import AutoencoderOutlierDetector


def detector(**params: Any) -> AutoencoderOutlierDetector:
    return AutoencoderOutlierDetector(**{"random_state": 0, "max_epochs": 10, **params})


def curve(n_samples: int, seed: int = 0) -> np.ndarray:
    """Rows near a curve in five features."""
    t = np.random.RandomState(seed).uniform(-2, 2, size=n_samples)
    rows = np.column_stack([t, t**2, np.sin(2 * t), np.cos(t), t**3 / 4])
    return rows + 0.05 * noise(n_samples, 5, seed=seed + 1)


def sparse_images(n_samples: int, seed: int) -> np.ndarray:
    """Images of a bright cross on black, which may be anywhere."""
    random = np.random.RandomState(seed)
    images = np.zeros((n_samples, 12, 12))
    for image, (row, column) in zip(
        images, random.randint(3, 9, (n_samples, 2)), strict=True
    ):
        image[row, column - 3 : column + 4] = random.uniform(0.5, 1)
        image[row - 3 : row + 4, column] = random.uniform(0.5, 1)
    return images


def strokes(n_samples: int, seed: int) -> np.ndarray:
    """Images of one to four lines around the middle, on black."""
    random = np.random.RandomState(seed)
    pixels = np.stack(np.mgrid[:16, :16], axis=-1)
    images = np.zeros((n_samples, 16, 16))
    for image in images:
        for start, end in 8 + random.uniform(-6, 6, size=(random.randint(1, 5), 2, 2)):
            along = (pixels - start) @ (end - start) / ((end - start) @ (end - start))
            nearest = start + along.clip(0, 1)[..., np.newaxis] * (end - start)
            distance = np.linalg.norm(pixels - nearest, axis=-1)
            np.maximum(image, (1.5 - distance).clip(0, 1), out=image)
    return images


BOTH_MODES = pytest.mark.parametrize("novelty", [False, True])
