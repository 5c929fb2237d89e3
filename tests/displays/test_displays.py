"""What all displays have in common: the convention of scikit-learn's."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import DIGITS, IMAGES, OF_ROWS
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skautoencoder import AutoencoderTransformer, SeriesOutlierDetector, displays
from skautoencoder.architectures import Conv1d, Dense
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

plt = pytest.importorskip("matplotlib.pyplot")

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
    detector = SeriesOutlierDetector(max_epochs=2, contamination=0.1, random_state=0)
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
        {"n_samples": 3},
    ),
    "reconstructed rows": (
        ReconstructionsDisplay,
        lambda: (fitted("table", "frame"), IRIS),
        {"n_samples": 3},
    ),
    "reconstructed sequences": (
        ReconstructionsDisplay,
        lambda: (fitted("transformer", "waves"), WAVES),
        {"n_samples": 3},
    ),
    "codes": (CodeSpaceDisplay, lambda: (fitted("transformer"), X_IMAGES, Y), {}),
    "walk of images": (
        CodeWalkDisplay,
        lambda: (fitted("conv"), X_IMAGES),
        {"n_steps": 3},
    ),
    "walk of rows": (
        CodeWalkDisplay,
        lambda: (fitted("table", "frame"), IRIS),
        {"n_steps": 3},
    ),
    "walk of sequences": (
        CodeWalkDisplay,
        lambda: (fitted("transformer", "waves"), WAVES),
        {"n_steps": 3},
    ),
    "drawn images": (SampleGridDisplay, lambda: (fitted("gaussian"), 3), {}),
    "drawn rows": (SampleGridDisplay, lambda: (fitted("table", "frame"), 3), {}),
    "map of images": (LatentMapDisplay, lambda: (fitted("gaussian"),), {"n_steps": 3}),
    "map of sequences": (
        LatentMapDisplay,
        lambda: (fitted("transformer", "waves"), WAVES),
        {"n_steps": 3},
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


each = pytest.mark.parametrize("name", CASES)


def labels_of(figure: Any) -> set[str]:
    return {
        text
        for ax in figure.axes
        for text in (ax.get_xlabel(), ax.get_ylabel(), ax.get_title())
        if text
    }


@each
def test_a_display_draws_into_axes_and_into_a_figure_of_its_own(name: str) -> None:
    estimator = CASES[name][1]()[0]
    before = plt.rcParams.copy(), vars(estimator).copy()
    figure, (ax, other) = plt.subplots(1, 2, layout="constrained")
    display = draw(name, ax=ax)
    assert type(display) is CASES[name][0]
    assert display.figure_ is figure
    assert plt.get_fignums() == [figure.number]
    assert not other.has_data()
    figure.draw_without_rendering()
    assert display.plot() is display
    assert display.ax_.figure is display.figure_ is not figure
    assert labels_of(display.figure_) or name == "drawn images"
    assert before == (plt.rcParams, vars(estimator))


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
    scores = fitted("transformer").score_samples(X_IMAGES[:3])
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


@pytest.mark.parametrize("method", ["auto", "pca", "tsne"])
def test_code_space_of_many_units(method: str) -> None:
    codes = np.random.RandomState(0).normal(size=(40, 5))
    display = CodeSpaceDisplay.from_predictions(
        codes, codes[:, 0], method=method, y_name="score (nats)", random_state=0
    )
    assert display.positions.shape == (40, 2)
    assert display.colorbar_.ax.get_ylabel() == "score (nats)"
    wanted = "t-SNE 1" if method == "tsne" else "component 1 of the codes"
    assert display.ax_.get_xlabel().startswith(wanted)


def test_code_space_of_two_units_is_the_code_itself() -> None:
    display = draw("codes")
    codes = fitted("transformer").transform(X_IMAGES)
    np.testing.assert_array_equal(display.positions, codes)
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == [str(label) for label in np.unique(Y)]
    markers = {len(c.get_paths()[0].vertices) for c in display.ax_.collections}
    assert len(markers) > 3  # groups differ without colours, too


def test_code_space_of_one_unit_and_without_labels() -> None:
    display = CodeSpaceDisplay.from_predictions(np.arange(5.0)[:, np.newaxis])
    np.testing.assert_array_equal(display.positions[:, 0], np.arange(5.0))
    assert display.ax_.get_legend() is None


def test_code_space_names_what_is_missing() -> None:
    with pytest.raises(ValueError, match="method must be one of"):
        CodeSpaceDisplay.from_predictions(np.ones((4, 3)), method="isomap")
    with pytest.raises(ValueError, match="inconsistent"):
        CodeSpaceDisplay.from_predictions(np.ones((4, 3)), [1, 2])
    if "umap" not in sys.modules:
        try:
            import umap  # noqa: F401
        except ImportError:
            with pytest.raises(ImportError, match="pip install umap-learn"):
                CodeSpaceDisplay.from_predictions(np.ones((4, 3)), method="umap")


def test_a_walk_changes_one_unit_and_keeps_the_others() -> None:
    estimator = fitted("conv")
    codes = estimator.transform(X_IMAGES)
    display = CodeWalkDisplay.from_estimator(estimator, X_IMAGES, units=[1], n_steps=4)
    ends = np.quantile(codes[:, 1], [0.02, 0.98])
    np.testing.assert_allclose(display.values[0, [0, -1]], ends)
    code = np.median(codes, axis=0)
    code[1] = display.values[0, 2]
    expected = estimator.inverse_transform(code[np.newaxis])[0]
    np.testing.assert_allclose(display.samples[0, 2], expected, rtol=1e-4, atol=1e-6)
    assert "unit 2" in labels_of(display.figure_)
    with pytest.raises(ValueError, match="units must be"):
        CodeWalkDisplay.from_estimator(estimator, X_IMAGES, units=[2])


def test_a_map_has_unit_1_to_the_right_and_unit_2_upwards() -> None:
    estimator = fitted("gaussian")
    display = LatentMapDisplay.from_estimator(estimator, n_steps=3)
    code = [[display.unit_1[2], display.unit_2[0]]]
    expected = estimator.inverse_transform(code)[0]
    np.testing.assert_allclose(display.samples[0, 2], expected, rtol=1e-5)
    picture = display.ax_.images[0].get_array()
    np.testing.assert_allclose(picture[-8:, -8:], expected, rtol=1e-5)
    three = clone(OF_ROWS["transformer"]).set_params(code_size=3).fit(X_IRIS)
    with pytest.raises(ValueError, match="codes of two numbers"):
        LatentMapDisplay.from_estimator(three)


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


def test_sizes_of_codes() -> None:
    display = CodeSizeDisplay([1, 2, 4], [0.9, 0.5, 0.45], [0.1, 0.1, 0.1]).plot()
    assert "chosen: 2" in {text.get_text() for text in display.ax_.get_legend().texts}
    (estimator,) = ordered()
    drawn = CodeSizeDisplay.from_estimator(make_pipeline(StandardScaler(), estimator))
    np.testing.assert_array_equal(drawn.line_.get_ydata(), estimator.error_path_)
    with pytest.raises(ValueError, match="ordered=True"):
        CodeSizeDisplay.from_estimator(fitted("transformer"))
