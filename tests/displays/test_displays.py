"""What all displays have in common, and what some of them show."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from display_cases import (
    CASES,
    HOLES,
    IRIS,
    WAVES,
    X_IMAGES,
    X_IRIS,
    Y,
    draw,
    fitted,
    labels_of,
)
from helpers import OF_ROWS
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skautoencoder import displays
from skautoencoder.architectures import Conv1d, Dense
from skautoencoder.displays import (
    CodeWalkDisplay,
    DrawnRowsDisplay,
    ExplanationDisplay,
    FilledValuesDisplay,
    OutlierScoresDisplay,
    ReconstructionsDisplay,
    SampleGridDisplay,
    TrainingCurvesDisplay,
)

plt = pytest.importorskip("matplotlib.pyplot")

each = pytest.mark.parametrize("name", CASES)


@each
def test_a_display_draws_into_axes(name: str) -> None:
    estimator = CASES[name][1]()[0]
    before = plt.rcParams.copy(), vars(estimator).copy()
    figure, (ax, other) = plt.subplots(1, 2)
    display = draw(name, ax=ax)
    assert type(display) is CASES[name][0]
    assert display.figure_ is figure
    assert plt.get_fignums() == [figure.number]
    assert not other.has_data()
    figure.draw_without_rendering()
    assert labels_of(figure) or name == "drawn images"
    assert before == (plt.rcParams, vars(estimator))


@pytest.mark.parametrize("kind", {kind: None for kind, _, _ in CASES.values()})
def test_a_display_draws_into_a_figure_of_its_own(kind: Any) -> None:
    display = draw(next(name for name, case in CASES.items() if case[0] is kind))
    before, figure = display.ax_, display.figure_
    assert display.plot() is display
    assert display.ax_ is not before
    assert display.ax_.figure is display.figure_ is not figure


def test_every_display_is_tested_and_has_the_convention() -> None:
    assert {kind.__name__ for kind, _, _ in CASES.values()} == set(displays.__all__)
    for name in displays.__all__:
        assert callable(getattr(displays, name).from_estimator)


@each
def test_without_matplotlib_the_extra_is_named(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = CASES[name][0]
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=rf"{kind.__name__} .*skautoencoder\[plot\]"):
        draw(name)


# ---- what each of them shows ---------------------------------------------------------


def test_training_curves_have_validation_and_terms() -> None:
    fits = {
        f"fit {k}": clone(OF_ROWS["transformer"])
        .set_params(early_stopping=True, max_epochs=k)
        .fit(X_IRIS)
        for k in (2, 3)
    }
    display = TrainingCurvesDisplay.from_estimator(fits)
    line = display.lines_[3]
    assert line.get_label() == "fit 3, validation"
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
    history = fits["fit 3"].history_
    np.testing.assert_array_equal(line.get_ydata(), history[:, "valid_loss"])
    # Told apart without colours.
    styles = {(x.get_linestyle(), x.get_marker()) for x in display.lines_}
    assert len(styles) == 4
    assert "mean squared error" in display.ax_.get_ylabel()


def test_training_curves_of_a_sampler_have_a_panel_for_each_term() -> None:
    display = draw("curves of a sampler")
    titles = [ax.get_title() for ax in display.axes_]
    assert titles == ["", "reconstruction", "KL divergence"]
    assert "nats" in display.ax_.get_ylabel()


def test_training_curves_of_a_pipeline() -> None:
    pipeline = make_pipeline(StandardScaler(), clone(OF_ROWS["transformer"]))
    display = TrainingCurvesDisplay.from_estimator(pipeline.fit(X_IRIS), yscale="log")
    assert display.ax_.get_yscale() == "log"


@pytest.mark.parametrize("name", ["reconstructed images", "reconstructed rows"])
def test_reconstructions_have_their_errors(name: str) -> None:
    display = draw(name)
    square = np.square(display.samples - display.reconstructions)
    expected = square.reshape(len(square), -1).mean(axis=1)
    np.testing.assert_allclose(display.errors, expected)
    shown = labels_of(display.figure_)
    assert {f"MSE {error:.3g}" for error in expected} <= shown


def test_errors_of_images_are_those_of_score_samples() -> None:
    display = draw("reconstructed images")
    scores = fitted("transformer").score_samples(X_IMAGES[:2])
    np.testing.assert_allclose(display.errors, -scores, rtol=1e-5)


def test_reconstructions_beside_clean_samples() -> None:
    display = ReconstructionsDisplay.from_estimator(
        fitted("denoiser"), X_IMAGES, X_clean=X_IMAGES + 1, n_samples=2
    )
    np.testing.assert_array_equal(display.samples, X_IMAGES[:2] + 1)


def test_labels_of_a_detector_are_no_reconstructions() -> None:
    with pytest.raises(ValueError, match="ExplanationDisplay"):
        ReconstructionsDisplay.from_estimator(fitted("detector"), X_IMAGES)


def test_reconstructed_tables_may_have_levels() -> None:
    table = pd.DataFrame({"a": [1.0, 3.0, 2.0], "b": ["x", "y", "y"]})
    display = ReconstructionsDisplay.from_predictions(table, table[::-1])
    assert display.samples.shape == (3, 2)
    assert display.errors[1] == 0
    assert display.errors[0] > 0


def test_scores_have_the_threshold_and_the_shares_below_it() -> None:
    display = draw("scores")
    detector = fitted("detector")
    assert display.line_.get_xdata()[0] == detector.offset_
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    share = np.mean(detector.predict(X_IMAGES)[Y > 5] == -1)
    assert f"True: {share:.1%} below" in legend
    assert "lower is more abnormal" in display.ax_.get_xlabel()
    points = OutlierScoresDisplay.from_estimator(detector, X_IMAGES, kind="samples")
    np.testing.assert_array_equal(
        points.ax_.collections[0].get_offsets()[:, 1], display.scores
    )
    with pytest.raises(ValueError, match="kind must be"):
        points.plot(kind="bars")


def test_an_explanation_has_the_strongest_features_on_top() -> None:
    display = draw("explained row")
    parts = fitted("detector", "frame").explain(IRIS[:1]).iloc[0]
    names = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert names == list(parts.sort_values(ascending=False).index)
    assert f"score {parts.sum():.3g}" in labels_of(display.figure_)
    assert len(display.plot(n_features=2).ax_.patches) == 2
    with pytest.raises(ValueError, match="one sample"):
        ExplanationDisplay.from_estimator(fitted("detector", "frame"), IRIS)


def test_an_explained_image_is_a_map_beside_it() -> None:
    display = draw("explained image")
    parts = fitted("detector").explain(X_IMAGES[:1])[0]
    np.testing.assert_array_equal(display.ax_.images[0].get_array(), parts)
    np.testing.assert_array_equal(display.axes_[0].images[0].get_array(), X_IMAGES[0])


def test_filled_values_beside_the_true_ones() -> None:
    display = draw("filled table")
    column = display.axes_.flat[0].get_title().partition(":")[0]
    place = IRIS.columns.get_loc(column)
    points = display.axes_.flat[0].collections[0].get_offsets()
    np.testing.assert_allclose(points[:, 0], IRIS[column][HOLES[:, place]])
    filled = fitted("imputer", "frame").transform(IRIS.mask(HOLES))
    np.testing.assert_allclose(points[:, 1], np.asarray(filled)[HOLES[:, place], place])
    without = FilledValuesDisplay.from_predictions(IRIS.mask(HOLES), filled)
    assert without.axes_[0, 0].get_ylabel() == "density"
    with pytest.raises(ValueError, match="no missing values"):
        FilledValuesDisplay.from_predictions(IRIS, IRIS)


def test_filled_sequences() -> None:
    holed = np.where(np.arange(20)[:, np.newaxis] < 5, np.nan, WAVES)
    display = FilledValuesDisplay.from_predictions(holed, WAVES, WAVES, kind="sequence")
    names = display.ax_.get_legend_handles_labels()[1]
    assert names == ["true", "filled", "observed"]


def test_holes_of_another_kind() -> None:
    display = FilledValuesDisplay.from_predictions(
        np.where(HOLES, -1, X_IRIS), X_IRIS, missing_values=-1
    )
    np.testing.assert_array_equal(np.isnan(display.samples), HOLES)


def test_drawn_rows_that_are_the_real_ones_are_no_distance_away() -> None:
    table = IRIS.assign(kind=np.where(IRIS.iloc[:, 0] > 5.8, "large", "small"))
    display = DrawnRowsDisplay.from_predictions(table, table)
    np.testing.assert_array_equal(display.distances_, 0)
    assert "kind (TV 0.00)" in labels_of(display.figure_)
    display.plot(kind="pairs")
    real, drawn = display.trends_
    np.testing.assert_array_equal(real, drawn)
    assert real[0, 4] > 0.7  # a column and what was made of it
    assert real[0, 0] == 1
    with pytest.raises(ValueError, match="same columns"):
        DrawnRowsDisplay.from_predictions(table, IRIS)
    with pytest.raises(ValueError, match="does not have"):
        display.plot(columns=["petal"])


def test_distances_of_columns_have_known_values() -> None:
    real = pd.DataFrame({"number": np.arange(100.0), "level": ["a", "b"] * 50})
    drawn = real.assign(number=real["number"] + 25, level=["a"] * 75 + ["b"] * 25)
    display = DrawnRowsDisplay.from_predictions(real, drawn)
    np.testing.assert_allclose(display.distances_, [0.25, 0.25])


def test_sequences_of_different_lengths() -> None:
    ragged = [wave[: 8 + number % 12] for number, wave in enumerate(WAVES)]
    estimator = clone(OF_ROWS["transformer"]).set_params(architecture=Conv1d((3,)))
    estimator.set_params(code_size=3).fit(ragged)
    display = ReconstructionsDisplay.from_estimator(estimator, ragged, n_samples=3)
    expected = [
        np.square(one - other).mean()
        for one, other in zip(ragged, estimator.predict(ragged[:3]), strict=False)
    ]
    np.testing.assert_allclose(display.errors, expected)
    walk = CodeWalkDisplay.from_estimator(estimator, ragged, n_steps=2)
    assert walk.samples.shape == (3, 2, 19, 1)
    parts = clone(OF_ROWS["detector"]).set_params(architecture=Conv1d((3,)))
    ExplanationDisplay.from_estimator(parts.fit(ragged), ragged[:1])


def test_axes_without_a_place_in_a_grid_cannot_be_divided() -> None:
    figure = plt.figure()
    with pytest.raises(ValueError, match="no place in a grid"):
        draw("reconstructed images", ax=figure.add_axes((0, 0, 1, 1)))


def test_a_shape_that_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match="sample_shape"):
        ReconstructionsDisplay.from_predictions(X_IRIS, X_IRIS, sample_shape=(3, 3))
    with pytest.raises(ValueError, match="kind must be"):
        ReconstructionsDisplay.from_predictions(X_IRIS, X_IRIS, kind="picture")


def test_images_of_three_channels_and_flat_ones() -> None:
    color = np.random.RandomState(0).rand(3, 3, 4, 5)
    assert SampleGridDisplay.from_predictions(color).form.kind == "image"
    ReconstructionsDisplay.from_predictions(color, color)
    flat = X_IMAGES.reshape(60, -1)
    shaped = SampleGridDisplay.from_predictions(flat[:2], sample_shape=(8, 8))
    assert shaped.form.kind == "image"
    dense = clone(OF_ROWS["transformer"]).set_params(architecture=Dense((4,)))
    assert (
        ReconstructionsDisplay.from_estimator(dense.fit(flat), flat).form.kind
        == "table"
    )


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        (ExplanationDisplay, "explain"),
        (OutlierScoresDisplay, "score_samples"),
        (SampleGridDisplay, "sample"),
        (DrawnRowsDisplay, "sample"),
    ],
)
def test_estimators_without_the_method_are_named_with_the_cure(
    kind: Any, method: str
) -> None:
    samples = [] if kind is SampleGridDisplay else [X_IRIS]
    imputer = SimpleImputer()
    for estimator in (imputer, make_pipeline(StandardScaler(), imputer)):
        with pytest.raises(TypeError, match=f"SimpleImputer has no method {method}."):
            kind.from_estimator(estimator, *samples)


def test_a_pipeline_of_one_step_is_drawn_like_that_step() -> None:
    alone = clone(OF_ROWS["transformer"]).fit(IRIS)
    displays = [
        ReconstructionsDisplay.from_estimator(estimator, IRIS, n_samples=np.int64(3))
        for estimator in (alone, make_pipeline(alone))
    ]
    assert displays[0].form.names == displays[1].form.names
    np.testing.assert_array_equal(*(each.reconstructions for each in displays))


def test_samplers_and_detectors_in_pipelines() -> None:
    pipeline = make_pipeline(StandardScaler(), clone(OF_ROWS["table"])).fit(X_IRIS)
    seen = pipeline[:-1].transform(X_IRIS)
    how = {"n_samples": 5, "random_state": 0}
    display = DrawnRowsDisplay.from_estimator(pipeline, X_IRIS, **how)
    np.testing.assert_array_equal(display.real, seen)
    grid = SampleGridDisplay.from_estimator(pipeline, **how)
    np.testing.assert_array_equal(grid.samples, pipeline[-1].sample(5, 0))
    detector = make_pipeline(StandardScaler(), clone(OF_ROWS["detector"]))
    scores = OutlierScoresDisplay.from_estimator(detector.fit(X_IRIS), X_IRIS)
    assert scores.threshold == detector[-1].offset_
