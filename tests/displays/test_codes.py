"""Displays of codes: their space, walks, maps, and sizes."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from display_cases import X_IMAGES, X_IRIS, Y, draw, fitted, labels_of, ordered
from helpers import OF_ROWS
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skautoencoder.displays import (
    CodeSizeDisplay,
    CodeSpaceDisplay,
    CodeWalkDisplay,
    LatentMapDisplay,
)

plt = pytest.importorskip("matplotlib.pyplot")


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


def test_sizes_of_codes() -> None:
    display = CodeSizeDisplay([1, 2, 4], [0.9, 0.5, 0.45], [0.1, 0.1, 0.1]).plot()
    assert "chosen: 2" in {text.get_text() for text in display.ax_.get_legend().texts}
    (estimator,) = ordered()
    drawn = CodeSizeDisplay.from_estimator(make_pipeline(StandardScaler(), estimator))
    np.testing.assert_array_equal(drawn.line_.get_ydata(), estimator.error_path_)
    with pytest.raises(ValueError, match="ordered=True"):
        CodeSizeDisplay.from_estimator(fitted("transformer"))
    some = CodeSizeDisplay([1, 2, 4], [np.nan, 0.5, 0.4], [np.nan, 0.2, 0.1]).plot()
    assert some.ax_.get_legend_handles_labels()[1][-1] == "chosen: 2"
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        CodeSizeDisplay([1, 2], [0.5], [0.1]).plot()
    before = plt.get_fignums()
    for none in ([], [np.nan, np.nan]):
        with pytest.raises(ValueError, match="errors=.* has no number to draw"):
            CodeSizeDisplay(none, none, none).plot()
    assert plt.get_fignums() == before


@pytest.mark.parametrize("kind", [CodeSpaceDisplay, CodeWalkDisplay, LatentMapDisplay])
def test_estimators_without_codes_are_named_with_what_draws_them(kind: type) -> None:
    for name in ("detector", "imputer"):
        if (name, kind) == ("imputer", CodeSpaceDisplay):
            continue  # has a transform, of filled rows
        estimator = clone(OF_ROWS[name])
        with pytest.raises(TypeError, match="has no codes to draw.*ExplanationDisplay"):
            kind.from_estimator(estimator, X_IRIS)
