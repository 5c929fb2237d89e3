"""A row is answered alone as it is among others, to the bit, by every estimator.

For all networks, transformers show it in training/test_inference.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from skautoencoder import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    DenoisingAutoencoder,
    VAESampler,
)
from skautoencoder.architectures import Conv, Conv1d, Dense, Recurrent

RANDOM = np.random.RandomState(0)
TABLE = RANDOM.normal(size=(60, 9)).clip(-0.5, 1)
FRAME = pd.DataFrame(TABLE).add_prefix("x")
FRAME["category"] = RANDOM.choice(["a", "b", "c"], 60)
# Halved three times, sizes are odd, and decoders cut off what is too much.
IMAGES = RANDOM.uniform(size=(60, 12, 8))
COLOURS = RANDOM.uniform(size=(60, 3, 9, 7))
SERIES = RANDOM.normal(size=(60, 11, 2))


def with_holes(X: Any) -> Any:
    return np.where(np.random.RandomState(1).uniform(size=X.shape) < 0.1, np.nan, X)


ONCE: dict[str, Any] = {"max_epochs": 1, "random_state": 0}
RESIDUAL = Conv((5, 7, 9), residual=True)
FEW = {"n_importance_samples": 3, **ONCE}
SCORES = ("score_samples", "decision_function", "explain")
ANSWERS = ("transform", "predict", "score_samples")
CASES: dict[str, tuple[Any, Any, tuple[str, ...]]] = {
    "imputer": (AutoencoderImputer(**ONCE), with_holes(TABLE), ("transform",)),
    "imputer, dense": (
        AutoencoderImputer(architecture=Dense((20,)), **ONCE),
        with_holes(TABLE),
        ("transform",),
    ),
    "imputer, images": (AutoencoderImputer(**ONCE), with_holes(IMAGES), ("transform",)),
    "imputer, colours": (
        AutoencoderImputer(**ONCE),
        with_holes(COLOURS),
        ("transform",),
    ),
    "imputer, series": (
        AutoencoderImputer(architecture=Conv1d((5,)), **ONCE),
        with_holes(SERIES),
        ("transform",),
    ),
    "detector": (AutoencoderOutlierDetector(**ONCE), TABLE, SCORES),
    "detector of novelties": (
        AutoencoderOutlierDetector(novelty=True, **ONCE),
        TABLE,
        SCORES,
    ),
    "detector, images": (AutoencoderOutlierDetector(**ONCE), IMAGES, SCORES),
    "detector, series": (
        AutoencoderOutlierDetector(architecture=Recurrent(hidden_size=5), **ONCE),
        SERIES,
        SCORES,
    ),
    "denoiser, images": (
        DenoisingAutoencoder(architecture=RESIDUAL, **ONCE),
        IMAGES,
        ("transform", "predict"),
    ),
    "sampler": (VAESampler(2, **FEW), FRAME, ANSWERS),
    "sampler, images": (VAESampler(2, architecture=RESIDUAL, **FEW), IMAGES, ANSWERS),
    "sampler, colours": (VAESampler(2, **FEW), COLOURS, ANSWERS),
    "sampler, series": (
        VAESampler(2, architecture=Conv1d((5,)), **FEW),
        SERIES,
        ANSWERS,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_row_alone_has_the_bits_it_has_among_others(name: str) -> None:
    estimator, X, methods = CASES[name]
    estimator.fit(X)
    for method in methods:
        answer = getattr(estimator, method)
        whole = np.asarray(answer(X))
        for start in (0, 29):
            for n_rows in (1, 2, 5):
                part = slice(start, start + n_rows)
                alone = np.asarray(answer(X[part]))
                np.testing.assert_array_equal(alone, whole[part], err_msg=method)
