"""AutoencoderImputer: scikit-learn's conventions for holes, and what fills them."""

from __future__ import annotations

import functools
import pickle
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
from helpers import IMAGES, assert_same_weights
from imputers import (
    HOLES,
    PICTURES,
    TABLES,
    WINE,
    rmse,
    tiny,
    tiny_conv,
    with_holes,
    with_square_holes,
)
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skautoencoder import AutoencoderImputer
from skautoencoder.architectures import Conv, Custom, Dense
from skautoencoder.architectures._conv_layers import SkipDecoder
from skautoencoder.training import Rows

WITH_HOLES = {tiny: HOLES, tiny_conv: PICTURES}


@functools.cache
def fitted(make):
    return make().fit(WITH_HOLES[make])


# ---- quality ---------------------------------------------------------------------


# Of breast_cancer docs/imputation.rst shows it.
@pytest.mark.parametrize(("seed", "name"), [(1, "diabetes"), (2, "iris"), (3, "wine")])
def test_fills_tables_better_than_the_nearest_rows(name, seed):
    X = TABLES[name]
    holes = with_holes(X, seed)
    imputer = AutoencoderImputer(max_epochs=3, random_state=seed)
    ours = rmse(X, imputer.fit_transform(holes), holes)
    nearest = rmse(X, KNNImputer().fit_transform(holes), holes)
    assert ours < 0.98 * nearest


def test_fills_images_better_than_the_mean():
    seed = 0
    images = IMAGES[:300]
    holes = with_square_holes(images, seed)
    imputer = AutoencoderImputer(
        architecture=Conv((8, 16)), lr=0.03, max_epochs=15, random_state=seed
    )
    filled = imputer.fit_transform(holes)
    mean = SimpleImputer().fit_transform(holes.reshape(len(holes), -1))
    assert rmse(images, filled, holes) < 0.85 * rmse(
        images, mean.reshape(images.shape), holes
    )


def test_the_network_is_part_of_the_answer():
    # A circle has no linear relation, and no near row helps to find the sign.
    angle = np.random.RandomState(0).uniform(0, 2 * np.pi, size=800)
    X = np.stack([np.cos(angle), np.sin(angle), np.cos(2 * angle)], axis=1)
    holes = with_holes(X, share=0.15)
    imputer = AutoencoderImputer(max_epochs=3, random_state=0).fit(holes)
    assert imputer.weights_["network"] > 0.1
    mean = SimpleImputer().fit_transform(holes)
    filled = imputer.transform(holes)
    # 0.84; linear relations alone make it no better than the mean.
    assert rmse(X, filled, holes) < 0.88 * rmse(X, mean, holes)


def test_linear_relations_are_found_from_few_rows():
    random = np.random.RandomState(0)
    X = random.normal(size=(60, 2)) @ random.normal(size=(2, 8))
    holes = with_holes(X, share=0.15)
    filled = AutoencoderImputer(random_state=0).fit_transform(holes)
    assert rmse(X, filled, holes) < 0.35 * X.std()


def test_features_that_nearly_follow_from_others():
    random = np.random.RandomState(1)
    X = random.normal(size=(100, 4)) @ random.normal(size=(4, 12))
    X += random.normal(scale=0.01, size=X.shape)
    holes = with_holes(X, share=0.1)
    filled = AutoencoderImputer(random_state=0, max_epochs=1).fit_transform(holes)
    # 0.01, as the noise; 0.05 if correlations are believed as little as elsewhere.
    assert np.median(np.abs(filled - X)[np.isnan(holes)]) < 0.02


def test_features_that_are_missing_together_are_not_guessed_from_each_other():
    random = np.random.RandomState(0)
    X = random.uniform(-1, 1, size=(500, 4))
    kind = (X[:, 0] > 0) ^ (X[:, 1] > 0)
    lost = random.rand(500) < 0.2
    both = np.column_stack([kind, ~kind])
    one_hot = np.where(lost[:, np.newaxis], np.nan, both)
    imputer = AutoencoderImputer(random_state=0)
    filled = imputer.fit_transform(np.hstack([X, one_hot]))[lost, 4:]
    # 0.94; 0.75 if the network learns that one of them is 1 minus the other.
    assert (filled.argmax(axis=1) == both[lost].argmax(axis=1)).mean() > 0.85


def test_rows_without_any_value_are_no_holes_of_features():
    angle = np.random.RandomState(0).uniform(0, 2 * np.pi, size=400)
    X = np.stack([np.cos(angle), np.sin(angle), np.cos(2 * angle)], axis=1)
    X[:3] = np.nan
    assert AutoencoderImputer(random_state=0).fit(X).weights_["network"] > 0.5


# ---- scikit-learn's conventions ---------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_observed_values_come_back_to_the_last_bit(dtype, scale):
    holes = (HOLES * scale + scale).astype(dtype)
    filled = tiny().fit_transform(holes)
    assert filled.dtype == dtype
    observed = ~np.isnan(holes)
    np.testing.assert_array_equal(filled[observed], holes[observed])
    assert np.isfinite(filled).all()


def test_observed_pixels_come_back_to_the_last_bit():
    filled = fitted(tiny_conv).transform(PICTURES)
    assert filled.shape == PICTURES.shape
    observed = ~np.isnan(PICTURES)
    np.testing.assert_array_equal(filled[observed], PICTURES[observed])
    assert filled.min() >= 0
    assert filled.max() <= 1


@pytest.mark.parametrize("make", [tiny, tiny_conv])
def test_a_sample_of_which_nothing_is_known_becomes_the_mean(make):
    X = PICTURES.reshape(len(PICTURES), -1) if make is tiny_conv else HOLES
    X = X.copy()
    X[7] = np.nan
    imputer = make(keep_empty_features=True).fit(X)
    mean = SimpleImputer(keep_empty_features=True).fit(X).statistics_
    np.testing.assert_allclose(imputer.statistics_, mean)
    np.testing.assert_allclose(imputer.transform(X)[7], mean)


@pytest.mark.parametrize("keep", [False, True])
def test_features_never_observed_are_as_in_simple_imputer(keep):
    X = HOLES.copy()
    X[:, [2, 5]] = np.nan
    imputer = tiny(keep_empty_features=keep).fit(X)
    simple = SimpleImputer(keep_empty_features=keep).fit(X)
    with nullcontext() if keep else pytest.warns(UserWarning, match="x2', 'x5"):
        filled = imputer.transform(X)
    np.testing.assert_allclose(imputer.statistics_, simple.statistics_)
    assert list(imputer.get_feature_names_out()) == list(simple.get_feature_names_out())
    assert filled.shape == (len(X), 13 if keep else 11)
    if keep:
        assert not filled[:, [2, 5]].any()
        # What is observed later comes back too.
        np.testing.assert_array_equal(imputer.transform(WINE), WINE)


def test_pixels_never_observed_are_black():
    X = PICTURES.copy()
    X[:, 3, 3] = np.nan
    filled = tiny_conv().fit_transform(X)
    assert filled.shape == X.shape
    assert not filled[:, 3, 3].any()


def test_images_keep_their_pixels_in_either_shape():
    X = PICTURES.copy()
    X[:, 3, 3] = np.nan
    imputer = tiny_conv().fit(X)
    flat = imputer.transform(X.reshape(len(X), -1))
    np.testing.assert_array_equal(flat, imputer.transform(X).reshape(len(X), -1))
    assert flat.shape[1] == len(imputer.get_feature_names_out())


def test_what_cannot_be_learnt_does_not_keep_the_rest_from_it():
    seed, train, clean = 1, IMAGES[:200].copy(), IMAGES[:100]
    # A dead pixel, and blank images.
    train[:, 0, 0] = np.nan
    train[100::10] = np.nan
    imputer = AutoencoderImputer(
        architecture=Conv((8, 16)), lr=0.03, max_epochs=15, random_state=seed
    ).fit(train)
    holes = with_square_holes(clean)
    found = rmse(clean, imputer.transform(holes), holes)
    mean = np.broadcast_to(IMAGES[:200].mean(axis=0), clean.shape)
    # 0.70 to 0.78, and the same without.
    assert found < 0.85 * rmse(clean, mean, holes)


@pytest.mark.parametrize("far", [1e38, -1e300])
def test_values_far_away_are_answered_with_numbers(far):
    row = HOLES[:1].copy()
    row[0, :4] = [np.nan, far, 1.0, far]
    filled = fitted(tiny).transform(row)
    assert np.isfinite(filled).all()
    assert filled[0, 1] == far


def test_float32_statistics_have_all_their_digits():
    random = np.random.RandomState(0)
    X = (random.normal(scale=0.3, size=(10_000, 2)) + 1e4).astype(np.float32)
    X[0] = np.nan
    X[:, 1] = np.where(np.isnan(X[:, 1]), np.nan, np.float32(1000.1))
    imputer = tiny(max_epochs=1, batch_size=1024).fit(X)
    assert imputer.statistics_[0] == pytest.approx(1e4, abs=0.01)
    filled = imputer.transform(X[:1])
    assert filled[0, 1] == np.float32(1000.1)


def test_a_warning_of_channels_last_names_the_samples_shape():
    X = np.random.RandomState(0).uniform(size=(10, 8, 8, 3))
    with pytest.warns(UserWarning, match="channels") as warned:
        tiny_conv().fit(X)
    messages = [str(warning.message) for warning in warned]
    assert len(messages) == 1
    assert "shape (8, 8, 3) are taken for 8 channels" in messages[0]


@pytest.mark.parametrize("make", [tiny, tiny_conv])
def test_data_with_nothing_missing_come_back_and_teach(make):
    X = IMAGES[:60].reshape(60, -1)
    imputer = make().fit(X)
    np.testing.assert_array_equal(imputer.transform(X), X)
    holes = with_holes(X)
    filled = imputer.transform(holes)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[~np.isnan(holes)], X[~np.isnan(holes)])


def test_constant_features_are_filled_with_their_constant():
    X = HOLES.copy()
    X[:, 4] = np.where(np.isnan(X[:, 4]), np.nan, 7.25)
    np.testing.assert_array_equal(tiny().fit_transform(X)[:, 4], 7.25)


@pytest.mark.parametrize("n_samples", [2, 3, 10])
@pytest.mark.parametrize("make", [tiny, tiny_conv])
def test_few_rows_are_enough(n_samples, make):
    X = np.random.RandomState(0).normal(size=(n_samples, 16))
    X[0, 3] = np.nan
    assert np.isfinite(make().fit_transform(X)).all()


def test_one_feature_is_filled_near_its_mean():
    X = np.random.RandomState(0).normal(size=(100, 1))
    X[::5] = np.nan
    filled = tiny().fit_transform(X)
    np.testing.assert_allclose(filled[::5], np.nanmean(X))


@pytest.mark.parametrize("missing_values", [-1, -1.0, 0])
def test_other_marks_of_missing_values(missing_values):
    marked = np.where(np.isnan(HOLES), missing_values, HOLES)
    filled = tiny(missing_values=missing_values).fit_transform(marked)
    np.testing.assert_array_equal(filled, fitted(tiny).transform(HOLES))


def test_integers_and_nullable_frames():
    table = pd.DataFrame({"a": [1, 2, None, 4] * 5, "b": [2, None, 6, 8] * 5})
    filled = tiny(missing_values=pd.NA).fit_transform(table.astype("Int64"))
    assert np.isfinite(filled).all()
    table = np.arange(60).reshape(20, 3)
    assert np.isfinite(tiny(missing_values=4).fit_transform(table)).all()


def test_indicator_columns_follow():
    X = HOLES.copy()
    X[:, :10] = WINE[:, :10]
    names = [f"f{i}" for i in range(13)]
    frame = pd.DataFrame(X, columns=names)
    imputer = tiny(add_indicator=True).fit(frame)
    simple = SimpleImputer(add_indicator=True).fit(frame)
    found = imputer.transform(frame)
    np.testing.assert_array_equal(found[:, 13:], simple.transform(frame)[:, 13:])
    np.testing.assert_array_equal(
        imputer.get_feature_names_out(), simple.get_feature_names_out()
    )
    framed = imputer.set_output(transform="pandas").transform(frame)
    assert list(framed.columns) == [
        *names,
        *(f"missingindicator_{n}" for n in names[10:]),
    ]
    np.testing.assert_array_equal(framed.to_numpy(), found)


def test_frames_have_no_place_for_images():
    imputer = tiny_conv().fit(PICTURES[:20])
    cure = r"cannot hold samples of shape \(8, 8\).*set_output\(transform='default'\)"
    with pytest.raises(ValueError, match=f"'pandas' {cure}"):
        imputer.set_output(transform="pandas").transform(PICTURES)
    with config_context(transform_output="polars"):
        with pytest.raises(ValueError, match=f"'polars' {cure}"):
            tiny_conv().fit_transform(PICTURES)
        imputer.set_output(transform="default").transform(PICTURES)
        rows = PICTURES.reshape(len(PICTURES), -1)
        filled = tiny_conv(sample_shape=(8, 8)).fit(rows[:20]).transform(rows)
        assert filled.shape == (120, 64)


def test_new_values_missing_in_transform_have_no_flag():
    imputer = tiny(add_indicator=True).fit(WINE)
    assert imputer.transform(HOLES).shape == WINE.shape


def test_in_a_pipeline_before_a_classifier():
    y = load_wine().target[::2]
    pipeline = make_pipeline(tiny(), StandardScaler(), LogisticRegression())
    assert pipeline.fit(HOLES, y).score(HOLES, y) > 0.9
    search = GridSearchCV(pipeline, {"autoencoderimputer__code_size": [2]}, cv=2)
    assert search.fit(HOLES, y).best_score_ > 0.8


def test_units_do_not_matter():
    scale = 10.0 ** np.arange(-6, 7)
    filled = fitted(tiny).transform(HOLES)
    scaled = tiny().fit_transform(HOLES * scale)
    np.testing.assert_allclose(scaled / scale, filled, atol=1e-3)


def test_guesses_stay_within_what_was_observed():
    new = np.full((1, 13), np.nan)
    new[0, 0] = 1e9
    filled = fitted(tiny).transform(new)[0, 1:]
    assert (filled >= np.nanmin(HOLES[:, 1:], axis=0)).all()
    assert (filled <= np.nanmax(HOLES[:, 1:], axis=0)).all()


# ---- one answer a row, one fit a seed -------------------------------------------


@pytest.mark.parametrize(("make", "X"), [(tiny, HOLES), (tiny_conv, PICTURES)])
def test_a_row_is_filled_as_if_alone(make, X):
    imputer = fitted(make)
    together = imputer.transform(X)
    alone = np.concatenate([imputer.transform(X[i : i + 1]) for i in range(10)])
    np.testing.assert_allclose(together[:10], alone, rtol=1e-7, atol=1e-9)
    order = np.random.RandomState(0).permutation(len(X))
    np.testing.assert_allclose(imputer.transform(X[order]), together[order], rtol=1e-7)


@pytest.mark.parametrize(("make", "X"), [(tiny, HOLES), (tiny_conv, PICTURES)])
def test_the_same_seed_gives_the_same_bits(make, X):
    one, other = fitted(make), make().fit(X)
    assert_same_weights(one, other)
    np.testing.assert_array_equal(one.transform(X), other.transform(X))
    restored = pickle.loads(pickle.dumps(one))
    np.testing.assert_array_equal(one.transform(X), restored.transform(X))
    different = make(random_state=1).fit(X)
    assert not np.array_equal(one.transform(X), different.transform(X))


@pytest.mark.parametrize(("make", "X"), [(tiny, HOLES), (tiny_conv, PICTURES)])
def test_warm_start_continues(make, X):
    imputer = make(warm_start=True).fit(X)
    n_epochs = imputer.n_iter_
    imputer.fit(X)
    assert imputer.n_iter_ == 2 * n_epochs


def test_a_warm_start_continues_from_weights_alone():
    """What was observed is what this fit observed, like the indicator's features."""
    X = HOLES.copy()
    X[:, 2] = np.nan
    imputer = tiny(warm_start=True, add_indicator=True).fit(X)
    imputer.fit(HOLES + 100)
    np.testing.assert_allclose(imputer.statistics_, np.nanmean(HOLES, axis=0) + 100)
    filled = imputer.transform(HOLES + 100)[:, :13]
    assert filled.min() >= np.nanmin(HOLES) + 100
    assert "x2" in imputer.get_feature_names_out()


def test_a_warm_start_cannot_go_from_tables_to_images():
    X = PICTURES.reshape(len(PICTURES), -1)
    imputer = tiny(warm_start=True, max_epochs=1).fit(X)
    with pytest.raises(ValueError, match="warm_start=True continues"):
        imputer.set_params(architecture=Conv((4, 6))).fit(X)


@pytest.mark.parametrize("loss", ["mse", "l1", "huber"])
def test_losses_for_tables(loss):
    assert np.isfinite(tiny(loss=loss).fit_transform(HOLES)).all()


@pytest.mark.parametrize("loss", ["mse", "l1", "huber", "bce"])
def test_losses_for_images(loss):
    assert np.isfinite(tiny_conv(loss=loss).fit_transform(PICTURES)).all()


@pytest.mark.parametrize(
    ("X", "params"),
    [
        (PICTURES, {}),
        (PICTURES[:, None], {}),
        (PICTURES.reshape(-1, 64), {"sample_shape": (8, 8)}),
        (PICTURES.reshape(-1, 64), {}),
        (PICTURES.reshape(-1, 4, 4, 4), {}),
        (10 * PICTURES - 3, {}),
        (PICTURES, {"architecture": "dense"}),
        (PICTURES, {"code_size": None}),
        (PICTURES[:, :5, :7], {}),
    ],
)
def test_shapes_of_images(X, params):
    filled = tiny_conv(**params).fit_transform(X)
    assert filled.shape == X.shape
    assert np.isfinite(filled).all()


def test_custom_modules_see_twice_the_channels():
    from torch import nn

    seen = []

    def encoder(sample_shape, code_size):
        seen.append(sample_shape)
        return nn.Sequential(nn.Flatten(), nn.Linear(np.prod(sample_shape), code_size))

    def decoder(sample_shape, code_size):
        return nn.Linear(code_size, int(np.prod(sample_shape)))

    tiny(architecture=Custom(encoder, decoder)).fit(HOLES)
    tiny(architecture=Custom(encoder, decoder)).fit(PICTURES)
    assert seen == [(26,), (2, 8, 8)]


def test_images_have_a_network_with_skip_connections_unless_a_code_is_asked_for():
    imputer = AutoencoderImputer(max_epochs=1, random_state=0)
    for code_size, skips in [("auto", True), (None, True), (5, False)]:
        module = imputer.set_params(code_size=code_size).fit(PICTURES[:9]).net_.module_
        found = any(isinstance(layer, SkipDecoder) for layer in module.modules())
        assert found == skips
    plain = AutoencoderImputer(architecture=Conv(), max_epochs=1).fit(PICTURES[:9])
    assert not any(isinstance(m, SkipDecoder) for m in plain.net_.module_.modules())


def test_the_auto_code_size():
    images = PICTURES[:9]
    spatial = tiny_conv(code_size="auto").fit(images)
    assert spatial.code_size_ == 6 * 2 * 2
    skipping = tiny_conv(
        code_size="auto", architecture=Conv((4, 6), skip_connections=True)
    ).fit(images)
    assert skipping.code_size_ == 6 * 2 * 2 + 4 * 4 * 4
    flat = tiny_conv(
        code_size="auto", architecture=Conv((4, 6), hidden_layer_sizes=(9,))
    ).fit(images)
    assert flat.code_size_ == tiny(code_size="auto").fit(HOLES).code_size_ == 128


def test_early_stopping_keeps_rows_out():
    imputer = tiny(early_stopping=True).fit(HOLES)
    assert "valid_loss" in imputer.history_[-1]


def test_early_stopping_keeps_whole_samples_out(monkeypatch):
    parts = []
    split = Rows.split

    def spy(self, fraction, seed):
        train, valid = split(self, fraction, seed)
        parts.extend([self, train, valid])
        return train, valid

    monkeypatch.setattr(Rows, "split", spy)
    tiny(early_stopping=True).fit(HOLES)
    data, train, valid = parts
    of_row = {
        tuple(row.tolist()): int(i)
        for row, i in zip(data.rows, data.samples, strict=True)
    }
    trained, kept = (
        {of_row[tuple(row.tolist())] for row in part[:][0]} for part in (train, valid)
    )
    assert len(kept) == round(0.1 * len(HOLES))
    assert not trained & kept


def test_the_same_holes_are_made_at_each_validation():
    still = tiny_conv(
        architecture=Conv((4, 6), batch_norm=False),
        early_stopping=True,
        lr=1e-12,
        max_epochs=4,
    ).fit(IMAGES[:200])
    losses = still.history_[:, "valid_loss"]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-5)


# ---- what is refused ---------------------------------------------------------------

BAD = [
    (tiny(), np.full((5, 3), np.nan), "no observed value: all of its 15 entries"),
    (tiny(missing_values=0), np.zeros((5, 3)), "missing_values=0"),
    (tiny(missing_values=-1), HOLES, "contains NaN"),
    (tiny(), np.where(HOLES > 2, np.inf, HOLES), "infinity"),
    (tiny(), HOLES[0], "Expected 2D array"),
    (tiny(), HOLES[:1], "minimum of 2 is required"),
    (tiny(), np.full((5, 3), 1e300) * np.arange(5)[:, None], "Scale the data"),
    (tiny(loss="bce"), HOLES, "loss='bce' is for images in"),
    (tiny(architecture=Dense(output_activation="sigmoid")), HOLES, "A sigmoid output"),
    (tiny_conv(loss="bce"), 10 * PICTURES, "needs data in"),
    (tiny_conv(add_indicator=True), PICTURES, "add_indicator=True is for tables"),
    (tiny(sample_shape=(4, 4)), HOLES, "sample_shape=\\(4, 4\\) has 16 values"),
    (tiny(missing_values="?"), HOLES, "'missing_values' parameter"),
    (tiny(add_indicator="yes"), HOLES, "'add_indicator' parameter"),
    (tiny(keep_empty_features=3), HOLES, "'keep_empty_features' parameter"),
    (tiny(loss="cosine"), HOLES, "'loss' parameter"),
    (tiny(code_size="big"), HOLES, "'code_size' parameter"),
    (tiny(lr=1e20), HOLES, "Training diverged"),
]


@pytest.mark.parametrize(("imputer", "X", "message"), BAD, ids=[bad[2] for bad in BAD])
def test_bad_input_is_refused_and_changes_nothing(imputer, X, message):
    imputer = clone(imputer)
    with pytest.raises(ValueError, match=message):
        imputer.fit(X)
    assert vars(imputer).keys() == vars(clone(imputer)).keys()


def test_a_failed_fit_leaves_the_fitted_imputer():
    imputer = tiny().fit(HOLES)
    before = imputer.transform(HOLES)
    with pytest.raises(ValueError, match="no observed value"):
        imputer.fit(np.full((5, 13), np.nan))
    np.testing.assert_array_equal(imputer.transform(HOLES), before)


def test_there_is_no_partial_fit():
    assert not hasattr(tiny(), "partial_fit")
