"""Small denoisers and noisy copies that tests of denoising share."""

from __future__ import annotations

from typing import Any

import numpy as np
from helpers import ROWS

from skautoencoder import DenoisingAutoencoder
from skautoencoder.architectures import Dense

X, X_TEST = ROWS[:200], ROWS[1300:]


def tiny(noise: Any = "gaussian", **params: Any) -> DenoisingAutoencoder:
    defaults = {"max_epochs": 3, "random_state": 0, "code_size": 12}
    if "architecture" not in params:
        defaults["architecture"] = Dense((24,))
    return DenoisingAutoencoder(noise, **{**defaults, **params})


def with_noise(clean: np.ndarray, noise: str, level: float, seed: int) -> np.ndarray:
    """Return noisy copies, made without the package."""
    rng = np.random.RandomState(seed)
    if noise == "gaussian":
        return np.clip(clean + level * rng.normal(size=clean.shape), 0, 1)
    chosen = rng.uniform(size=clean.shape) < level
    value = 0.0 if noise == "masking" else rng.randint(0, 2, clean.shape)
    return np.where(chosen, value, clean)
