"""What displays make of Pipelines, frames and names, and what they refuse to draw."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from display_cases import HOLES, IRIS, X_IMAGES, X_IRIS, fitted, labels_of
from helpers import OF_ROWS
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skautoencoder.displays import (
    CodeSpaceDisplay,
    CodeWalkDisplay,
    DrawnRowsDisplay,
    ExplanationDisplay,
    FilledValuesDisplay,
    OutlierScoresDisplay,
    ReconstructionsDisplay,
    SampleGridDisplay,
    TrainingCurvesDisplay,
)

pytest.importorskip("matplotlib.pyplot")


def test_of_a_pipeline_is_drawn_what_its_last_step_sees() -> None:
    """What is decoded is in other units than the samples that a Pipeline is given."""
    scaled = StandardScaler().fit(IRIS)
    pipeline = make_pipeline(scaled, clone(OF_ROWS["transformer"])).fit(IRIS)
    seen = scaled.transform(IRIS)
    display = ReconstructionsDisplay.from_estimator(pipeline, IRIS, n_samples=3)
    np.testing.assert_array_equal(display.samples, seen[:3])
    np.testing.assert_array_equal(display.reconstructions, pipeline.predict(IRIS[:3]))
    assert display.form.names == tuple(IRIS.columns)
    walk = CodeWalkDisplay.from_estimator(pipeline, IRIS, units=[0], n_steps=3)
    assert walk.form.columns == ()
    holed = IRIS.mask(HOLES)
    imputer = make_pipeline(scaled, clone(OF_ROWS["imputer"])).fit(holed)
    filled = FilledValuesDisplay.from_estimator(imputer, holed, IRIS)
    np.testing.assert_array_equal(filled.truth, scaled.transform(IRIS))
    detector = make_pipeline(scaled, clone(OF_ROWS["detector"])).fit(IRIS)
    explained = ExplanationDisplay.from_estimator(detector, IRIS[:1])
    np.testing.assert_array_equal(
        explained.contributions, detector[-1].explain(seen[:1])[0]
    )


def test_pixels_in_a_frame_are_an_image_where_a_shape_is_given() -> None:
    frame = pd.DataFrame(X_IMAGES[:4].reshape(4, -1))
    how = {"sample_shape": (8, 8)}
    pairs = ReconstructionsDisplay.from_predictions(frame, frame, **how)
    filled = FilledValuesDisplay.from_predictions(frame.mask(frame > 0.9), frame, **how)
    explained = ExplanationDisplay.from_predictions(-frame[:1], frame[:1], **how)
    for display in (pairs, filled, explained):
        assert display.form.kind == "image"
    np.testing.assert_array_equal(pairs.samples, X_IMAGES[:4])
    np.testing.assert_array_equal(explained.sample, X_IMAGES[0])
    with pytest.raises(ValueError, match=r"sample_shape=\(3, 3\)"):
        ReconstructionsDisplay.from_predictions(IRIS, IRIS, sample_shape=(3, 3))


def test_names_are_short_and_no_formulas() -> None:
    """matplotlib reads text between dollars, and fails where it is no formula."""
    odd = dict(zip(IRIS, ["US$^$", "a" * 80, "b", "c"], strict=True))
    table = IRIS.rename(columns=odd)
    for display in (
        DrawnRowsDisplay.from_predictions(table, table),
        DrawnRowsDisplay.from_predictions(table, table, kind="pairs"),
        ReconstructionsDisplay.from_predictions(table, table, n_samples=1),
        FilledValuesDisplay.from_predictions(table.mask(HOLES), table),
        ExplanationDisplay.from_predictions(-table[:1]),
        OutlierScoresDisplay.from_predictions(X_IRIS[:, 0], ["$^$", "b"] * 75),
    ):
        display.figure_.draw_without_rendering()
        assert max(map(len, labels_of(display.figure_))) < 60


def test_training_curves_say_what_they_are_of() -> None:
    penalized = clone(OF_ROWS["transformer"]).set_params(penalty="l1", max_epochs=1)
    display = TrainingCurvesDisplay.from_estimator(penalized.fit(X_IRIS), name="$^$")
    assert display.ax_.get_ylabel().startswith("loss and penalties")
    assert display.lines_[0].get_label() == r"\$^\$, training"
    ticks = display.ax_.get_xticks()
    assert np.array_equal(ticks, ticks.round())


REFUSED: dict[str, tuple[Any, str]] = {
    "a scaler": (
        lambda: TrainingCurvesDisplay.from_estimator(StandardScaler().fit(X_IRIS)),
        "fitted autoencoder.*got StandardScaler",
    ),
    "an imputer's codes": (
        lambda: CodeSpaceDisplay.from_estimator(fitted("imputer", "iris"), X_IRIS),
        "AutoencoderImputer has no codes.*FilledValuesDisplay",
    ),
    "dates as labels": (
        lambda: CodeSpaceDisplay.from_predictions(
            X_IRIS, pd.date_range("2026-01-01", periods=150)
        ),
        "y has 150 labels.*numbers, for a colour bar",
    ),
    "samples as a code": (
        lambda: CodeWalkDisplay.from_estimator(
            fitted("transformer"), X_IMAGES, start=X_IMAGES[0]
        ),
        r"start must be a code, of shape .* has \(8, 8\)",
    ),
    "no samples": (
        lambda: SampleGridDisplay.from_predictions(X_IMAGES[:0]),
        "nothing to draw: X has no samples",
    ),
    "fewer reconstructions": (
        lambda: ReconstructionsDisplay.from_predictions(X_IRIS, X_IRIS[:3]),
        r"inconsistent numbers of samples: \[150, 3\]",
    ),
    "columns that are added": (
        lambda: FilledValuesDisplay.from_predictions(X_IRIS, np.c_[X_IRIS, HOLES]),
        r"\(150, 4\).*\(150, 8\).*add_indicator=False",
    ),
    "scores that are no numbers": (
        lambda: OutlierScoresDisplay.from_predictions([0.0, np.nan]),
        "scores contains NaN",
    ),
    "a number for each sample": (
        lambda: OutlierScoresDisplay.from_predictions(X_IRIS[:, 0], np.arange(150)),
        "y has 150 groups.*pandas.cut",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_drawn_is_said(what: str) -> None:
    draws, message = REFUSED[what]
    with pytest.raises((TypeError, ValueError), match=message):
        draws()
