"""What the two transformers answer."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
import re
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from helpers import (
    BOTH,
    DIGITS,
    IMAGES,
    ROWS,
    answers,
    assert_same_answers,
    assert_same_weights,
    noise,
    tiny_conv,
    tiny_dense,
)
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import GradientNormClipping
from torch import nn

from skautoencoder import AutoencoderTransformer, ConvAutoencoderTransformer
from skautoencoder.architectures import Dense

X = ROWS[:100]
NORMAL = noise(100, 3) @ noise(3, 12, seed=1) + 0.1 * noise(100, 12, seed=2)

either = pytest.mark.parametrize("make", BOTH)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@functools.cache
def fitted(make: Any) -> Any:
    return make().fit(X)


# ---- shapes and types --------------------------------

SHAPES = [
    (7,),
    (9,),
    (5, 7),
    (8, 8),
    (1, 9),
    (20, 2),
    (3, 5, 6),
    (2, 9, 4),
    (1, 7, 7),
    (1, 1, 1),
]


@each_dtype
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@either
def test_samples_of_any_shape(make: Any, shape: tuple[int, ...], dtype: Any) -> None:
    data = noise(20, *shape).astype(dtype)
    new = noise(6, *shape, seed=1).astype(dtype)
    estimator = make(max_epochs=1).fit(data)
    assert estimator.sample_shape_ == shape
    assert estimator.n_features_in_ == np.prod(shape)
    assert estimator.code_size_ == 3

    codes = estimator.transform(new)
    assert codes.shape == (6, 3)
    assert codes.dtype == dtype
    for rows in (estimator.predict(new), estimator.inverse_transform(codes)):
        assert rows.shape == new.shape
        assert rows.dtype == dtype
    scores = estimator.score_samples(new)
    assert scores.shape == (6,)
    assert isinstance(estimator.score(new), float)

    # Flat rows are taken too, and mean the same.
    flat = new.reshape(6, -1)
    assert_array_equal(estimator.transform(flat), codes)
    assert_array_equal(estimator.predict(flat), estimator.predict(new))
    assert_array_equal(estimator.score_samples(flat), scores)


def test_dense_takes_samples_of_any_rank() -> None:
    data = noise(20, 2, 3, 2, 2)
    estimator = tiny_dense().fit(data)
    assert estimator.predict(data).shape == data.shape
    assert estimator.transform(data).shape == (20, 3)


@either
def test_sample_shape_says_how_flat_rows_look(make: Any) -> None:
    images = IMAGES[:60, :, :6]
    flat = images.reshape(60, -1)
    told = make(sample_shape=(8, 6)).fit(flat)
    seen = make().fit(images)
    assert told.sample_shape_ == seen.sample_shape_ == (8, 6)
    assert_same_weights(told, seen)
    # Reconstructions have the shape that fit saw.
    assert told.predict(flat).shape == (60, 48)
    assert told.predict(images).shape == (60, 48)
    assert seen.predict(flat).shape == (60, 8, 6)
    assert told.inverse_transform(told.transform(images)).shape == (60, 48)
    assert_array_equal(told.transform(images), seen.transform(flat))


def test_sample_shape_of_images_given_in_another_shape() -> None:
    data = noise(20, 4, 12)
    estimator = tiny_conv(sample_shape=(3, 4, 4)).fit(data)
    assert estimator.sample_shape_ == (3, 4, 4)
    assert estimator.predict(data).shape == (20, 4, 12)
    assert_array_equal(
        estimator.transform(data), estimator.transform(data.reshape(20, 3, 4, 4))
    )


@pytest.mark.parametrize("shape", [[8, 8], np.array([8, 8]), (np.int64(8), 8)], ids=str)
def test_sample_shape_is_any_sequence_of_integers(shape: Any) -> None:
    estimator = tiny_conv(sample_shape=shape, max_epochs=1).fit(X)
    assert estimator.sample_shape_ == (8, 8)


@pytest.mark.parametrize(
    ("n_features", "code_size"),
    # A square of 8 by 8 becomes 4 by 4; a strip of 60 becomes one of 30.
    [(64, 16), (60, 30), (7, 4)],
)
def test_flat_rows_are_a_square_or_a_strip_for_a_convolution(
    n_features: int, code_size: int
) -> None:
    estimator = tiny_conv(None, channels=(1,), max_epochs=1)
    assert estimator.fit_transform(noise(20, n_features)).shape == (20, code_size)


@pytest.mark.parametrize(
    ("shape", "code_size"),
    [((28, 28), 4 * 4 * 8), ((3, 9, 13), 2 * 2 * 8), ((1, 1), 8), ((2, 5, 40), 40)],
)
def test_the_spatial_map_as_the_code(shape: tuple[int, ...], code_size: int) -> None:
    data = noise(10, *shape)
    estimator = tiny_conv(None, channels=(4, 2, 8), max_epochs=1).fit(data)
    assert estimator.code_size_ == code_size
    codes = estimator.transform(data)
    assert codes.shape == (10, code_size)
    assert estimator.inverse_transform(codes).shape == data.shape
    assert len(estimator.get_feature_names_out()) == code_size


def memory_layouts() -> dict[str, np.ndarray]:
    wide = np.zeros((100, 128))
    wide[:, ::2] = X
    read_only = X.copy()
    read_only.flags.writeable = False
    return {
        "fortran": np.asfortranarray(X),
        "every_other_column": wide[:, ::2],
        "backwards": X[::-1][::-1].copy()[::-1].copy()[::-1],
        "read_only": read_only,
    }


@pytest.mark.parametrize("layout", memory_layouts())
@either
def test_the_layout_in_memory_does_not_matter(make: Any, layout: str) -> None:
    data = memory_layouts()[layout]
    assert_array_equal(data, X)
    before = data.copy()
    again = make().fit(data)
    assert_same_weights(again, fitted(make))
    assert_array_equal(again.predict(data), fitted(make).predict(X))
    assert_array_equal(again.score_samples(data), fitted(make).score_samples(X))
    assert again.score(data) == pytest.approx(fitted(make).score(X), rel=1e-9)
    assert_array_equal(data, before)


@pytest.mark.parametrize("convert", [list, lambda X: X.tolist(), torch.from_numpy])
@either
def test_what_is_like_an_array_will_do(make: Any, convert: Any) -> None:
    images = IMAGES[:20]
    estimator = make().fit(convert(images))
    assert_same_weights(estimator, make().fit(images))
    assert estimator.predict(convert(images)).shape == images.shape


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
@either
def test_data_frames(make: Any, frame: Any) -> None:
    names = [f"pixel{i}" for i in range(64)]
    data = frame(dict(zip(names, X.T, strict=True)))
    estimator = make().fit(data)
    assert list(estimator.feature_names_in_) == names
    assert_same_weights(estimator, fitted(make))
    assert isinstance(estimator.predict(data), np.ndarray)
    assert_array_equal(estimator.transform(data), fitted(make).transform(X))
    assert_array_equal(estimator.predict(data), fitted(make).predict(X))
    # The sums of a frame, which lies column by column, may round otherwise.
    assert estimator.score(data) == pytest.approx(fitted(make).score(X), rel=1e-9)
    with pytest.raises(ValueError, match="feature names should match"):
        estimator.transform(data[names[::-1]])


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool, np.float16])
@either
def test_other_types_of_number_become_float64(make: Any, dtype: Any) -> None:
    data = (IMAGES[:30] * 16).astype(dtype)
    estimator = make(max_epochs=1).fit(data)
    assert estimator.transform(data).dtype == np.float64
    assert_same_weights(estimator, make(max_epochs=1).fit(data.astype(np.float64)))


# ---- what the answers mean --------------------------------


def fit_on(make: Any, kind: str, dtype: Any) -> tuple[Any, np.ndarray]:
    data = {
        "digits": X,
        "images": IMAGES[:100],
        "normal": NORMAL,
        "large": NORMAL * 1e3 + 1e4,
    }[kind].astype(dtype)
    return make().fit(data), data


@each_dtype
@pytest.mark.parametrize("kind", ["digits", "images", "normal", "large"])
@either
def test_the_answers_agree(make: Any, kind: str, dtype: Any) -> None:
    estimator, data = fit_on(make, kind, dtype)
    reconstructed = estimator.predict(data)
    unit = data.std()
    assert_allclose(
        estimator.inverse_transform(estimator.transform(data)),
        reconstructed,
        rtol=1e-6,
        atol=1e-5 * unit,
    )
    wide, flat = data.astype(np.float64), (len(data), -1)
    errors = ((wide - reconstructed).reshape(flat) ** 2).mean(axis=1)
    assert_allclose(estimator.score_samples(data), -errors, rtol=1e-3)
    assert errors.min() > 0

    score = estimator.score(data)
    assert type(score) is float
    assert score == pytest.approx(explained(wide, reconstructed), abs=1e-4)
    # Of other samples, their own mean is what counts.
    part = estimator.score(data[:7])
    assert part == pytest.approx(explained(wide[:7], reconstructed[:7]), abs=1e-4)
    if kind in ("normal", "large"):
        # scikit-learn leaves out features that are constant.
        theirs = r2_score(wide, reconstructed, multioutput="variance_weighted")
        assert score == pytest.approx(theirs, abs=1e-4)


def explained(data: np.ndarray, reconstructed: np.ndarray) -> float:
    """Return the fraction of the variance explained, in its closed form."""
    rows, answered = data.reshape(len(data), -1), reconstructed.reshape(len(data), -1)
    return 1 - ((rows - answered) ** 2).sum() / ((rows - rows.mean(axis=0)) ** 2).sum()


@pytest.mark.parametrize("n_components", [1, 5, 12])
def test_a_linear_network_explains_as_much_as_pca(n_components: int) -> None:
    data = StandardScaler().fit_transform(DIGITS.data)
    pca = PCA(n_components).fit(data)
    linear = AutoencoderTransformer(
        n_components, architecture=Dense(()), max_epochs=30, lr=1e-2, random_state=0
    ).fit(data)
    best = pca.explained_variance_ratio_.sum()
    # PCA is the best there is, and by the same measure.
    assert best - 0.01 < linear.score(data) <= best + 1e-6
    assert explained(data, pca.inverse_transform(pca.transform(data))) == pytest.approx(
        best
    )


def test_a_linear_network_finds_the_subspace_of_pca() -> None:
    linear = tiny_dense(
        3,
        architecture=Dense(()),
        optimizer="lbfgs",
        optimizer__line_search_fn="strong_wolfe",
        lr=1.0,
        lr_schedule="constant",
        batch_size=100,
        max_epochs=20,
    ).fit(NORMAL)
    pca = PCA(3).fit(NORMAL)
    expected = pca.inverse_transform(pca.transform(NORMAL))
    assert_allclose(linear.predict(NORMAL), expected, atol=0.03 * NORMAL.std())


def test_score_of_samples_without_variance() -> None:
    estimator = fitted(tiny_dense)
    assert estimator.score(np.repeat(X[:1], 5, axis=0)) == 0.0
    constant = tiny_dense().fit(np.full((10, 4), 2.0))
    assert constant.score(np.full((5, 4), 2.0)) == 1.0


@either
def test_an_answer_does_not_depend_on_the_rows_around(make: Any) -> None:
    estimator, data = fitted(make), ROWS[:1200]  # more than a batch of answers
    order = np.random.RandomState(0).permutation(len(data))
    for method in ("transform", "predict", "score_samples"):
        answer = getattr(estimator, method)
        whole = answer(data)
        assert_array_equal(answer(data[order]), whole[order])
        assert_array_equal(answer(data[1030:1040]), whole[1030:1040])
        assert_array_equal(
            np.vstack([answer(data[[i]]) for i in (0, 7)]).ravel(),
            whole[[0, 7]].ravel(),
        )
    codes = estimator.transform(data)
    assert_array_equal(
        estimator.inverse_transform(codes[order]),
        estimator.inverse_transform(codes)[order],
    )


@either
def test_applying_changes_nothing(make: Any) -> None:
    estimator = copy.deepcopy(fitted(make))
    before = copy.deepcopy(vars(estimator))
    stored = pickle.dumps(estimator.net_.module_.state_dict())
    given = X.copy()
    answers(estimator, given)
    estimator.get_feature_names_out()
    assert_array_equal(given, X)
    assert vars(estimator).keys() == before.keys()
    assert pickle.dumps(estimator.net_.module_.state_dict()) == stored


@either
def test_fit_transform_and_what_fit_returns(make: Any) -> None:
    estimator = make()
    assert estimator.fit(X) is estimator
    assert_array_equal(make().fit_transform(X), estimator.transform(X))
    # The target is ignored.
    y = DIGITS.target[:100]
    assert_array_equal(make().fit_transform(X, y), estimator.transform(X))
    assert estimator.score(X, y) == estimator.score(X)
    assert make().partial_fit(X, y).n_iter_ == 1


@either
def test_a_second_fit_forgets_the_first(make: Any) -> None:
    estimator = make().fit(noise(40, 5, 5))
    estimator.fit(X)
    assert_same_weights(estimator, fitted(make))
    assert_same_answers(estimator, fitted(make), X)
    assert estimator.n_iter_ == 3
    assert estimator.sample_shape_ == (64,)


@either
def test_fit_leaves_the_parameters_alone(make: Any) -> None:
    estimator = make(callbacks=[GradientNormClipping(1.0)])
    before = {name: repr(v) for name, v in estimator.get_params().items()}
    callback = estimator.callbacks[0]
    state = vars(callback).copy()
    estimator.fit(X)
    assert {name: repr(v) for name, v in estimator.get_params().items()} == before
    assert estimator.callbacks[0] is callback
    assert vars(callback) == state


# ---- names and containers --------------------------------


@pytest.mark.parametrize(
    ("make", "prefix"),
    [(tiny_dense, "autoencodertransformer"), (tiny_conv, "convautoencodertransformer")],
)
@pytest.mark.parametrize("data", [X, IMAGES[:50]], ids=["flat", "images"])
def test_feature_names_out(make: Any, prefix: str, data: np.ndarray) -> None:
    names = make(max_epochs=1).fit(data).get_feature_names_out()
    assert list(names) == [f"{prefix}0", f"{prefix}1", f"{prefix}2"]
    assert names.dtype == object


@either
def test_set_output_pandas(make: Any) -> None:
    data = pd.DataFrame(X, index=[f"row{i}" for i in range(100)])
    data.columns = [f"pixel{i}" for i in range(64)]
    estimator = make().set_output(transform="pandas").fit(data)
    codes = estimator.transform(data)
    assert isinstance(codes, pd.DataFrame)
    assert list(codes.columns) == list(estimator.get_feature_names_out())
    assert list(codes.index) == list(data.index)
    assert_array_equal(codes.to_numpy(), fitted(make).transform(X))
    assert isinstance(
        make().set_output(transform="pandas").fit_transform(data), pd.DataFrame
    )
    # What transform returned goes back in.
    assert_array_equal(estimator.inverse_transform(codes), estimator.predict(data))


@either
def test_set_output_polars(make: Any) -> None:
    estimator = make().set_output(transform="polars").fit(X)
    codes = estimator.transform(X)
    assert isinstance(codes, pl.DataFrame)
    assert codes.columns == list(estimator.get_feature_names_out())
    assert_array_equal(codes.to_numpy(), fitted(make).transform(X))
    assert_array_equal(estimator.inverse_transform(codes), estimator.predict(X))


@either
def test_set_output_for_images(make: Any) -> None:
    codes = make().set_output(transform="pandas").fit_transform(IMAGES[:30])
    assert codes.shape == (30, 3)


@pytest.mark.parametrize(
    ("make", "data"), [(tiny_dense, X), (tiny_conv, X), (tiny_conv, IMAGES[:100])]
)
def test_as_a_step_of_a_pipeline(make: Any, data: np.ndarray) -> None:
    y = DIGITS.target[:100]
    pipeline = make_pipeline(make(8, max_epochs=30), LogisticRegression(max_iter=500))
    assert pipeline.fit(data, y).score(data, y) > 0.5
    assert pipeline[:1].get_feature_names_out()[0].endswith("transformer0")


@either
def test_representations(make: Any) -> None:
    estimator = make(optimizer__weight_decay=0.25)
    assert "optimizer__weight_decay=0.25" in repr(estimator)
    assert "weight_decay" in estimator._repr_html_()
    assert "net_" not in repr(estimator.fit(X))


# ---- fitted attributes --------------------------------


@either
def test_fitted_attributes(make: Any) -> None:
    estimator = make(max_epochs=4).fit(X)
    assert estimator.n_iter_ == 4
    assert estimator.n_features_in_ == 64
    assert not hasattr(estimator, "feature_names_in_")
    assert isinstance(estimator.net_.module_, nn.Module)
    assert not estimator.net_.module_.training
    history = estimator.history_
    assert history[:, "epoch"] == [1, 2, 3, 4]
    losses = history[:, "train_loss"]
    assert all(type(loss) is float for loss in losses)
    assert losses[-1] < losses[0]
    assert all(seconds > 0 for seconds in history[:, "dur"])
    assert all(0 < lr <= 3e-3 for lr in history[:, "lr"])
    assert all("valid_loss" not in row for row in history)
    # Batches are not kept.
    assert all(not row["batches"] for row in history)


def test_train_loss_is_in_units_of_the_spread() -> None:
    # A network that has learned nothing yet answers with the mean.
    estimator = tiny_dense(lr=1e-12, architecture=Dense(()), max_epochs=1)
    module = copy.deepcopy(estimator).fit(NORMAL).net_.module_
    one = estimator.fit(NORMAL).history_[-1, "train_loss"]
    hundred = clone(estimator).fit(100 * NORMAL + 7).history_[-1, "train_loss"]
    assert one == pytest.approx(hundred, rel=1e-4)
    scaled = (NORMAL - NORMAL.mean(axis=0)) / np.sqrt(NORMAL.var(axis=0).mean())
    rows = torch.from_numpy(scaled).float()
    with torch.no_grad():
        expected = (module(rows) - rows).square().mean()
    assert one == pytest.approx(float(expected), rel=1e-4)


def test_every_parameter_is_documented_and_tested_for_invalid_values() -> None:
    for estimator in (AutoencoderTransformer, ConvAutoencoderTransformer):
        parameters = inspect.signature(estimator).parameters
        kinds = {p.kind for name, p in parameters.items() if name != "code_size"}
        assert kinds == {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD}
        for name in parameters:
            assert re.search(rf"^ +\**{name} : ", estimator.__doc__, re.M), name
        constrained = set(estimator._parameter_constraints)
        assert constrained == set(parameters) - {"nested"}
