"""DenoisingAutoencoder on pairs: what `y` and `X_clean` are."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from denoisers import X, tiny, with_noise
from helpers import IMAGES, ROWS, assert_same_weights
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skautoencoder.architectures import Conv

CLEAN = X
NOISY = with_noise(CLEAN, "gaussian", 0.3, 0)


def test_y_changes_nothing() -> None:
    plain = tiny().fit(X)
    strings = np.array(["a", "b"] * 100)
    for y in (np.arange(200), strings, strings[:, np.newaxis], X[:, :5], X, X.copy()):
        assert_same_weights(tiny().fit(X, y), plain)
        assert plain.score(X, y) == plain.score(X)
    assert_same_weights(tiny().fit(X, pd.DataFrame(X)[[0]]), plain)
    # Beside clean samples it is ignored, too.
    on_pairs = tiny().fit(NOISY, X_clean=X)
    assert_same_weights(tiny().fit(NOISY, -X, X_clean=X), on_pairs)
    assert on_pairs.score(NOISY, -X, X_clean=X) == on_pairs.score(NOISY, X_clean=X)


def test_a_single_feature_cannot_be_told_from_a_column_of_labels() -> None:
    column = X[:, 20:21]
    assert_same_weights(tiny().fit(column, 2 * column), tiny().fit(column))


@pytest.mark.parametrize("method", ["fit", "partial_fit", "score"])
@pytest.mark.parametrize(
    "convert",
    [
        np.asarray,
        np.ndarray.tolist,
        pd.DataFrame,
        lambda clean: clean.reshape(-1, 8, 8),
        lambda clean: (16 * clean).astype(np.uint8),
    ],
    ids="array list frame images bytes".split(),
)
def test_clean_samples_as_y_are_refused(method: str, convert: Any) -> None:
    estimator = tiny().fit(X)
    before = vars(estimator).copy()
    cure = rf"{method}\(X_noisy, X_clean=X_clean\)"
    with pytest.raises(ValueError, match=cure):
        getattr(estimator, method)(NOISY, convert(CLEAN))
    assert vars(estimator) == before


def test_a_pipeline_s_targets_change_nothing() -> None:
    """As a middle step it is given whatever the last step is to learn."""
    alone = tiny().fit(X)
    targets = np.random.RandomState(0).normal(size=X.shape)
    for y, last in (
        (targets, Ridge()),
        (np.array(["a", "b"] * 100), LogisticRegression()),
    ):
        pipeline = make_pipeline(tiny(), last).fit(X, y)
        assert_same_weights(pipeline[0], alone)
        pipeline.score(X, y)
    frame = pd.DataFrame(targets).add_prefix("target_")
    assert_same_weights(make_pipeline(tiny(), Ridge()).fit(X, frame)[0], alone)


def test_clean_samples_go_down_a_pipeline_by_name() -> None:
    expected = tiny().fit(NOISY, X_clean=CLEAN)
    y = (CLEAN[:, 20] > 0.5).astype(int)
    middle = Pipeline([("denoise", tiny()), ("classify", LogisticRegression())])
    middle.fit(NOISY, y, denoise__X_clean=CLEAN)
    assert_same_weights(middle["denoise"], expected)
    last = Pipeline([("scale", MinMaxScaler()), ("denoise", tiny())])
    units = last["scale"].fit(NOISY)
    last.fit(NOISY, denoise__X_clean=units.transform(CLEAN))
    assert last["denoise"].net_.criterion_.corruption is None
    with pytest.raises(ValueError, match="X_clean=X_clean"):
        last.fit(NOISY, CLEAN)


def test_clean_samples_are_routed_through_a_search() -> None:
    noisy, clean = with_noise(ROWS[:200], "gaussian", 0.3, 0), ROWS[:200]
    with config_context(enable_metadata_routing=True):
        denoiser = tiny(max_epochs=8).set_fit_request(X_clean=True)
        denoiser.set_score_request(X_clean=True)
        search = GridSearchCV(denoiser, {"code_size": [1, 16]}, cv=2)
        search.fit(noisy, X_clean=clean)
        assert search.best_params_ == {"code_size": 16}
        assert search.predict(noisy[:3]).shape == (3, 64)
        best = clone(denoiser).set_params(code_size=16).fit(noisy, X_clean=clean)
        assert search.score(noisy, X_clean=clean) == best.score(noisy, X_clean=clean)
        # A scaler in front scales the clean samples like the noisy ones.
        pipeline = Pipeline(
            [("scale", MinMaxScaler()), ("denoise", denoiser)],
            transform_input=["X_clean"],
        ).fit(noisy, X_clean=5 * clean)
    scaled = pipeline["scale"].transform
    by_hand = clone(denoiser).fit(scaled(noisy), X_clean=scaled(5 * clean))
    assert_same_weights(pipeline["denoise"], by_hand)


def test_pairs_of_every_form() -> None:
    noisy, clean = NOISY.reshape(-1, 8, 8), IMAGES[:200]
    params = {"architecture": Conv((4,)), "sample_shape": (8, 8), "max_epochs": 1}
    expected = tiny(**params).fit(noisy, X_clean=clean)
    assert expected.predict(noisy).shape == clean.shape
    assert expected.net_.criterion_.corruption is None
    flat = tiny(**params).fit(NOISY, X_clean=X)
    as_frame = tiny(**params).fit(pd.DataFrame(NOISY), X_clean=pd.DataFrame(X))
    half_flat = tiny(**params).fit(noisy, X_clean=X)
    for other in (flat, as_frame, half_flat):
        assert_same_weights(other, expected)
    assert expected.score(noisy, X_clean=clean) == pytest.approx(
        flat.score(noisy, X_clean=X)
    )
    codes = tiny(**params).fit_transform(noisy, X_clean=clean)
    np.testing.assert_array_equal(codes, expected.transform(noisy))
    for _ in range(2):
        expected.partial_fit(noisy, X_clean=clean)


def test_the_units_are_those_of_the_clean_samples() -> None:
    """Clean samples in [0, 1] get a sigmoid, however far the noise goes."""
    noisy = X + 3 * np.random.RandomState(0).normal(size=X.shape)
    estimator = tiny(loss="bce").fit(noisy, X_clean=X)
    assert estimator.net_.module_.output_activation == "sigmoid"
    answered = estimator.predict(noisy)
    assert answered.min() >= 0
    assert answered.max() <= 1


def test_infinite_clean_samples_are_refused_without_a_warning() -> None:
    clean = np.where(X.mean() < X, np.inf, -np.inf)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="X_clean contains infinity"):
            tiny().fit(X, X_clean=clean)
