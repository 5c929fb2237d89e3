"""Every display, of every kind of sample that it draws."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from helpers import DIGITS, IMAGES, OF_ROWS
from sklearn.base import clone
from sklearn.datasets import load_iris

from skautoencoder import AutoencoderTransformer, SeriesOutlierDetector
from skautoencoder.architectures import Conv1d
from skautoencoder.displays import (
    CodeSizeDisplay,
    CodeSpaceDisplay,
    CodeWalkDisplay,
    DrawnRowsDisplay,
    ExplanationDisplay,
    FilledValuesDisplay,
    LatentMapDisplay,
    OutlierScoresDisplay,
    ReconstructionsDisplay,
    SampleGridDisplay,
    SeriesScoresDisplay,
    TrainingCurvesDisplay,
)

X_IMAGES, Y = IMAGES[:60], DIGITS.target[:60]
IRIS = load_iris(as_frame=True).data
X_IRIS = IRIS.to_numpy()
HOLES = np.random.RandomState(0).rand(*IRIS.shape) < 0.2
WAVES = np.sin(np.arange(20) / 2 + np.arange(40)[:, np.newaxis])[:, :, np.newaxis]


@cache
def fitted(name: str, data: str = "images") -> Any:
    X = {"images": X_IMAGES, "iris": X_IRIS, "frame": IRIS, "waves": WAVES}[data]
    estimator = clone(OF_ROWS[name])
    if data == "waves":
        estimator.set_params(architecture=Conv1d(channels=(3,)))
    if name == "imputer":
        X = X.copy()
        if data == "images":
            X[::2, 2:5, 2:5] = X[1::2, 3:6, 3:6] = np.nan
        else:
            X = X.mask(HOLES) if data == "frame" else np.where(HOLES, np.nan, X)
    return estimator.fit(X)


STRANGE = np.zeros(300, dtype=bool)
STRANGE[200:220] = True
SERIES = pd.DataFrame(
    {"load": np.sin(np.arange(300) / 4), "heat": np.cos(np.arange(300) / 4)},
    index=pd.date_range("2026-01-01", periods=300, freq="h"),
)
SERIES.loc[STRANGE, "heat"] = 0.0


@cache
def fitted_to_series() -> SeriesOutlierDetector:
    detector = SeriesOutlierDetector(
        architecture=Conv1d((4,)), max_epochs=2, contamination=0.1, random_state=0
    )
    return detector.fit(SERIES)


def with_holes(X: Any) -> Any:
    X = X.copy()
    X[::2, 2:5, 2:5] = np.nan
    return X


@cache
def ordered() -> tuple[Any, ...]:
    return (AutoencoderTransformer("auto", max_epochs=2, random_state=0).fit(X_IRIS),)


# Every display, of every kind of sample that it draws: the class, what `from_estimator`
# gets, and its keyword arguments.
CASES: dict[str, tuple[Any, Callable[[], tuple[Any, ...]], dict[str, Any]]] = {
    "curves": (TrainingCurvesDisplay, lambda: (fitted("transformer"),), {}),
    "sizes of codes": (CodeSizeDisplay, ordered, {}),
    "curves of a sampler": (
        TrainingCurvesDisplay,
        lambda: (fitted("table", "frame"),),
        {},
    ),
    "reconstructed images": (
        ReconstructionsDisplay,
        lambda: (fitted("transformer"), X_IMAGES),
        {"n_samples": 2},
    ),
    "reconstructed rows": (
        ReconstructionsDisplay,
        lambda: (fitted("table", "frame"), IRIS),
        {"n_samples": 2},
    ),
    "reconstructed sequences": (
        ReconstructionsDisplay,
        lambda: (fitted("transformer", "waves"), WAVES),
        {"n_samples": 2},
    ),
    "codes": (CodeSpaceDisplay, lambda: (fitted("transformer"), X_IMAGES, Y), {}),
    "walk of images": (
        CodeWalkDisplay,
        lambda: (fitted("conv"), X_IMAGES),
        {"n_steps": 2},
    ),
    "walk of rows": (
        CodeWalkDisplay,
        lambda: (fitted("table", "frame"), IRIS),
        {"n_steps": 2},
    ),
    "walk of sequences": (
        CodeWalkDisplay,
        lambda: (fitted("transformer", "waves"), WAVES),
        {"n_steps": 2},
    ),
    "drawn images": (SampleGridDisplay, lambda: (fitted("gaussian"), 2), {}),
    "drawn rows": (SampleGridDisplay, lambda: (fitted("table", "frame"), 2), {}),
    "map of images": (LatentMapDisplay, lambda: (fitted("gaussian"),), {"n_steps": 2}),
    "map of sequences": (
        LatentMapDisplay,
        lambda: (fitted("transformer", "waves"), WAVES),
        {"n_steps": 2},
    ),
    "scores": (OutlierScoresDisplay, lambda: (fitted("detector"), X_IMAGES, Y > 5), {}),
    "explained row": (
        ExplanationDisplay,
        lambda: (fitted("detector", "frame"), IRIS[:1]),
        {},
    ),
    "explained image": (
        ExplanationDisplay,
        lambda: (fitted("detector"), X_IMAGES[0]),
        {},
    ),
    "explained sequence": (
        ExplanationDisplay,
        lambda: (fitted("detector", "waves"), WAVES[:1]),
        {},
    ),
    "scores of a series": (
        SeriesScoresDisplay,
        lambda: (fitted_to_series(), SERIES, STRANGE),
        {"explain": True},
    ),
    "filled images": (
        FilledValuesDisplay,
        lambda: (fitted("imputer"), with_holes(X_IMAGES), X_IMAGES),
        {"n_samples": 2},
    ),
    "filled table": (
        FilledValuesDisplay,
        lambda: (fitted("imputer", "frame"), IRIS.mask(HOLES), IRIS),
        {},
    ),
    "columns": (
        DrawnRowsDisplay,
        lambda: (fitted("table", "frame"), IRIS),
        {"random_state": 0},
    ),
    "pairs": (
        DrawnRowsDisplay,
        lambda: (fitted("table", "frame"), IRIS),
        {"random_state": 0, "kind": "pairs"},
    ),
}


def draw(name: str, **kwargs: Any) -> Any:
    kind, given, own = CASES[name]
    return kind.from_estimator(*given(), **own, **kwargs)


def labels_of(figure: Any) -> set[str]:
    return {
        text
        for ax in figure.axes
        for text in (ax.get_xlabel(), ax.get_ylabel(), ax.get_title())
        if text
    }
