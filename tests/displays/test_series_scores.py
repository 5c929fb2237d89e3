"""Scores of a long series."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from display_cases import SERIES, STRANGE, fitted_to_series

from skautoencoder.displays import (
    SeriesScoresDisplay,
)

plt = pytest.importorskip("matplotlib.pyplot")


def shaded(ax: Any, steps: Any) -> Any:
    """Which steps the shaded area that was drawn last covers."""
    areas = ax.collections[-1].get_paths()
    x = plt.matplotlib.dates.date2num(steps) if steps.dtype.kind == "M" else steps
    inside = [
        area.contains_points(np.column_stack((x, 0 * x + 0.97))) for area in areas
    ]
    return np.any(inside, axis=0)


@pytest.mark.parametrize("zone", [None, "Europe/Paris"])
def test_scores_of_a_series_have_their_flags_and_contributions(zone: Any) -> None:
    series = SERIES.tz_localize(zone)
    detector = fitted_to_series()
    display = SeriesScoresDisplay.from_estimator(
        detector, series, STRANGE, explain=True
    )
    load, heat, scores, parts = display.axes_
    assert [ax.get_ylabel() for ax in (load, heat)] == ["load", "heat"]
    assert parts.get_xlabel() == "time"
    assert display.ax_ is scores
    assert display.line_.get_ydata()[0] == detector.offset_
    np.testing.assert_array_equal(heat.lines[0].get_ydata(), series["heat"])
    np.testing.assert_array_equal(
        scores.lines[0].get_ydata(), detector.score_samples(series)
    )
    # The contributions end, below the last channel, where the score does.
    np.testing.assert_allclose(parts.lines[-1].get_ydata(), display.scores)
    places = SERIES.index.to_numpy()
    flagged = detector.predict(series) == -1
    for ax in display.axes_:
        np.testing.assert_array_equal(shaded(ax, places), flagged)


def test_true_outliers_may_be_labels_like_those_of_predict() -> None:
    scores, labels = np.zeros(len(SERIES)), np.where(STRANGE, -1, 1)
    display = SeriesScoresDisplay.from_predictions(SERIES, scores, labels)
    np.testing.assert_array_equal(display.y, STRANGE)


def test_a_single_step_can_be_seen() -> None:
    display = SeriesScoresDisplay.from_predictions(SERIES[:1], [-1.0])
    assert [ax.lines[0].get_marker() for ax in display.axes_] == ["."] * 3


def test_a_series_may_be_an_array_of_many_channels() -> None:
    rng = np.random.RandomState(0)
    X, scores = rng.randn(50, 9), -np.arange(50.0)
    parts = np.zeros((50, 9))
    parts[:, [4, 7]] = scores[:, np.newaxis] * [0.25, 0.75]
    display = SeriesScoresDisplay.from_predictions(X, scores)
    assert len(display.axes_) == 7
    assert not display.ax_.get_legend()
    assert display.ax_.get_xlabel() == "time step"
    display = SeriesScoresDisplay.from_predictions(
        X, scores, contributions=parts, n_channels=2
    )
    named = [ax.get_ylabel() for ax in display.axes_[:2]]
    assert named == ["channel 4", "channel 7"]
    labels = [text.get_text() for text in display.axes_[-1].get_legend().get_texts()]
    assert labels == ["channel 4", "channel 7", "others"]
    one = SeriesScoresDisplay.from_predictions(X[:, 0].tolist(), scores)
    assert [ax.get_ylabel() for ax in one.axes_] == ["value", "score"]


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([np.zeros(20), np.zeros(20)], "one series, but is a list of 2"),
        (np.zeros((2, 20, 3)), r"shape \(n_timepoints,\)"),
        (np.zeros(19), "inconsistent numbers of samples"),
    ],
)
def test_a_series_that_cannot_be_drawn(X: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SeriesScoresDisplay.from_predictions(X, np.zeros(20))
