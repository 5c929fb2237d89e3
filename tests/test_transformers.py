"""What the two transformers answer, and what each of their parameters does."""

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
    Recorder,
    ValidationRecorder,
    answers,
    assert_same_answers,
    assert_same_weights,
    have_same_weights,
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
from skorch.callbacks import EarlyStopping, GradientNormClipping
from torch import nn

from skautoencoder import AutoencoderTransformer, ConvAutoencoderTransformer
from skautoencoder.architectures import Conv, Custom, Dense

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


# ---- the network --------------------------------


@pytest.mark.parametrize("code_size", [1, 2, 7, np.int64(4), 100])
@either
def test_code_size(make: Any, code_size: int) -> None:
    estimator = make(code_size, max_epochs=1)
    assert estimator.fit_transform(X).shape == (100, code_size)
    assert estimator.code_size_ == code_size


def test_the_default_code_size_is_ten() -> None:
    for estimator in (AutoencoderTransformer(), ConvAutoencoderTransformer()):
        assert estimator.code_size == 10


def has_convolutions(estimator: Any) -> bool:
    return any(isinstance(m, nn.Conv2d) for m in estimator.net_.module_.modules())


@pytest.mark.parametrize(
    ("shape", "is_image"),
    [
        ((64,), False),
        ((8, 8), True),
        ((4, 30), True),
        ((30, 3), False),
        ((3, 8, 8), True),
        ((1, 4, 4), True),
        ((2, 2, 3, 3), False),
    ],
    ids=str,
)
def test_the_auto_architecture(shape: tuple[int, ...], is_image: bool) -> None:
    estimator = AutoencoderTransformer(2, max_epochs=1, random_state=0)
    estimator.fit(noise(8, *shape))
    assert has_convolutions(estimator) == is_image
    if len(shape) == 2:
        flat = AutoencoderTransformer(2, sample_shape=shape, max_epochs=1)
        assert has_convolutions(flat.fit(noise(8, np.prod(shape)))) == is_image


@pytest.mark.parametrize("name", ["dense", "conv"])
def test_an_architecture_by_name(name: str) -> None:
    for data in (X[:20], IMAGES[:20]):
        estimator = AutoencoderTransformer(architecture=name, max_epochs=1).fit(data)
        assert has_convolutions(estimator) == (name == "conv")


@pytest.mark.parametrize(
    ("name", "kind", "nested"),
    [
        ("dense", Dense, {"hidden_layer_sizes": (9, 5), "tied_weights": True}),
        ("dense", Dense, {"batch_norm": True, "dropout": 0.2, "activation": "relu"}),
        ("conv", Conv, {"channels": (5,), "upsampling": "nearest"}),
        ("auto", Dense, {"hidden_layer_sizes": (9,), "code_activation": "tanh"}),
    ],
    ids=str,
)
def test_an_architecture_by_name_or_by_object(
    name: str, kind: Any, nested: dict[str, Any]
) -> None:
    params = {"max_epochs": 2, "random_state": 0}
    by_name = AutoencoderTransformer(
        3,
        architecture=name,
        **params,
        **{f"architecture__{key}": value for key, value in nested.items()},
    ).fit(X)
    by_object = AutoencoderTransformer(3, architecture=kind(**nested), **params).fit(X)
    assert_same_weights(by_name, by_object)
    assert_same_answers(by_name, by_object, X)


@pytest.mark.parametrize(
    "params",
    [
        {"channels": (4,)},
        {"channels": (4, 6), "kernel_size": 5},
        {"channels": (4, 6), "n_downsamplings": 1},
        {"channels": (4, 6), "activation": "tanh"},
        {"channels": (4, 6), "downsampling": "max_pool"},
        {"channels": (4, 6), "upsampling": "nearest"},
        {"channels": (4, 6), "upsampling_kernel_size": 2},
        {"channels": (4, 6), "residual": True},
        {"channels": (4, 6), "batch_norm": False},
        {"channels": (4, 6), "hidden_layer_sizes": (7,)},
        {"channels": (4, 6), "code_activation": "sigmoid"},
        {"channels": (4, 6), "output_activation": "identity"},
        {"channels": [4, 6]},
    ],
    ids=str,
)
def test_parameters_of_the_convolutions_are_those_of_conv(
    params: dict[str, Any],
) -> None:
    own = tiny_conv(max_epochs=2, **params).fit(X)
    general = tiny_dense(max_epochs=2, architecture=Conv(**params)).fit(X)
    assert_same_weights(own, general)
    assert_same_answers(own, general, X)
    # And each makes a difference.
    if params.keys() > {"channels"}:
        plain = tiny_conv(max_epochs=2, channels=(4, 6)).fit(X)
        assert not np.array_equal(plain.transform(X), own.transform(X))


def test_the_defaults_of_conv_are_those_of_the_architecture() -> None:
    estimator, architecture = ConvAutoencoderTransformer(), Conv()
    for name, value in architecture.get_params().items():
        assert getattr(estimator, name) == value, name
    for name, value in AutoencoderTransformer().get_params().items():
        if name != "architecture":
            assert getattr(estimator, name) == value, name


def test_an_architecture_object_is_not_changed_by_fits() -> None:
    architecture = Dense((9,))
    one = tiny_dense(architecture=architecture).fit(X)
    two = tiny_dense(architecture=architecture).fit(noise(30, 5))
    assert architecture.get_params() == Dense((9,)).get_params()
    assert vars(architecture) == vars(Dense((9,)))
    assert one.architecture is two.architecture is architecture
    assert one.transform(X).shape == (100, 3)


def test_a_module_of_the_users_own_is_copied_at_each_fit() -> None:
    encoder, decoder = nn.Linear(64, 4), nn.Linear(4, 64)
    weights = encoder.weight.clone()
    estimator = tiny_dense(None, architecture=Custom(encoder, decoder))
    first = estimator.fit(X).transform(X)
    assert torch.equal(encoder.weight, weights)
    assert estimator.architecture.encoder is encoder
    assert_array_equal(estimator.fit(X).transform(X), first)
    assert estimator.code_size_ == 4


def test_modules_of_the_users_own_see_samples_in_their_shape() -> None:
    class Encoder(nn.Module):
        def __init__(self, sample_shape: tuple[int, ...], code_size: int) -> None:
            super().__init__()
            self.shape = sample_shape
            self.layer = nn.Linear(int(np.prod(sample_shape)), code_size)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            assert images.shape[1:] == self.shape
            return self.layer(images.flatten(1))

    def make_decoder(code_size: int) -> nn.Module:
        return nn.Sequential(nn.Linear(code_size, 64), nn.Unflatten(1, (1, 8, 8)))

    estimator = tiny_dense(
        5, architecture=Custom(Encoder, make_decoder), lr=0.02, max_epochs=30
    )
    data = IMAGES[:100, None] - IMAGES.mean()
    estimator.fit(data)
    assert estimator.transform(data).shape == (100, 5)
    assert estimator.predict(data).shape == data.shape
    assert estimator.score(data) > 0


# ---- the objective --------------------------------


@pytest.mark.parametrize("loss", ["mse", "l1", "huber", "bce"])
@either
def test_loss(make: Any, loss: str) -> None:
    estimator = make(loss=loss, max_epochs=15, lr=1e-2).fit(X)
    losses = estimator.history_[:, "train_loss"]
    assert losses[-1] < 0.95 * losses[0]
    assert estimator.score(X) > 0
    others = [make(loss=other, max_epochs=1).fit(X) for other in ("mse", "l1", "bce")]
    last = make(loss=loss, max_epochs=1).fit(X)
    same = sum(have_same_weights(last, other) for other in others)
    assert same == (loss != "huber")


@pytest.mark.parametrize("loss", ["mse", "l1", "huber", "bce"])
def test_the_recorded_loss_is_the_loss(loss: str) -> None:
    said: list[Any] = []
    estimator = tiny_dense(
        loss=loss, early_stopping=True, callbacks=[ValidationRecorder(said)]
    ).fit(X)
    rows = next(what for event, what in said if event == "valid")
    answer = torch.from_numpy(estimator.predict(rows.numpy()))
    expected = {
        "mse": nn.functional.mse_loss,
        "l1": nn.functional.l1_loss,
        "huber": nn.functional.huber_loss,
        "bce": nn.functional.binary_cross_entropy,
    }[loss](answer, rows)
    best = min(estimator.history_[:, "valid_loss"])
    assert float(expected) == pytest.approx(best, rel=1e-4)


def test_an_l1_penalty_makes_codes_small() -> None:
    plain = tiny_dense(max_epochs=20).fit(X).transform(X)
    weak = tiny_dense(max_epochs=20, sparsity="l1").fit(X).transform(X)
    strong = tiny_dense(max_epochs=20, sparsity="l1", sparsity_weight=0.1)
    off = tiny_dense(max_epochs=20, sparsity="l1", sparsity_weight=0).fit(X)
    strong_codes = strong.fit(X).transform(X)
    assert np.abs(strong_codes).mean() < 0.5 * np.abs(plain).mean()
    assert not np.array_equal(weak, plain)
    assert_allclose(off.transform(X), plain, atol=1e-4)


@pytest.mark.parametrize("target", [0.05, 0.4])
@either
def test_a_kl_penalty_draws_the_mean_activity_to_its_target(
    make: Any, target: float
) -> None:
    estimator = make(
        sparsity="kl",
        sparsity_weight=1.0,
        sparsity_target=target,
        max_epochs=80,
        lr=1e-2,
    ).fit(X)
    codes = estimator.transform(X)
    assert codes.min() > 0
    assert codes.max() < 1
    assert_allclose(codes.mean(axis=0), target, atol=0.04)


# ---- the optimizer --------------------------------

OPTIMIZERS = {
    "adagrad": torch.optim.Adagrad,
    "adam": torch.optim.Adam,
    "adamax": torch.optim.Adamax,
    "adamw": torch.optim.AdamW,
    "lbfgs": torch.optim.LBFGS,
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer(name: str) -> None:
    lr = 0.05 if name in ("lbfgs", "sgd") else 0.01
    params: dict[str, Any] = {"lr": lr, "max_epochs": 4}
    estimator = tiny_dense(optimizer=name, **params).fit(NORMAL)
    assert type(estimator.net_.optimizer_) is OPTIMIZERS[name]
    losses = estimator.history_[:, "train_loss"]
    assert losses[-1] < losses[0]
    by_class = tiny_dense(optimizer=OPTIMIZERS[name], **params).fit(NORMAL)
    assert_same_weights(estimator, by_class)
    assert name in AutoencoderTransformer.__doc__


def test_optimizer_of_the_users_own() -> None:
    class Downhill(torch.optim.SGD):
        pass

    estimator = tiny_dense(optimizer=Downhill, optimizer__momentum=0.5).fit(X)
    assert type(estimator.net_.optimizer_) is Downhill
    assert estimator.net_.optimizer_.param_groups[0]["momentum"] == 0.5


@pytest.mark.parametrize("lr", [1e-4, 0.02])
def test_lr_is_the_highest_learning_rate(lr: float) -> None:
    constant = tiny_dense(lr=lr, lr_schedule="constant").fit(X)
    assert constant.history_[:, "lr"] == [lr] * 3
    cycle = tiny_dense(lr=lr, max_epochs=20).fit(X)
    assert 0.9 * lr < max(cycle.history_[:, "lr"]) <= lr


def test_lr_schedule() -> None:
    rates = {
        schedule: tiny_dense(
            max_epochs=20,
            lr=1.0,
            lr_schedule=schedule,
            batch_size=5,
            optimizer="sgd",
            optimizer__weight_decay=0,
        )
        .set_params(lr=1e-3)
        .fit(X)
        .history_[:, "lr"]
        for schedule in ("one_cycle", "cosine", "constant")
    }
    assert rates["constant"] == [1e-3] * 20
    assert rates["cosine"] == sorted(rates["cosine"], reverse=True)
    # Half of the way down is half of the rate.
    assert rates["cosine"][9] == pytest.approx(0.5e-3, rel=0.02)
    assert rates["cosine"][-1] < 1e-5
    peak = int(np.argmax(rates["one_cycle"]))
    assert peak in (1, 2)
    assert rates["one_cycle"][0] < 0.6e-3
    assert rates["one_cycle"][peak:] == sorted(rates["one_cycle"][peak:], reverse=True)
    assert rates["one_cycle"][-1] < 1e-5


@either
def test_schedules_give_different_networks(make: Any) -> None:
    names = ("one_cycle", "cosine", "constant")
    codes = [make(lr_schedule=name).fit(X).transform(X) for name in names]
    assert not np.array_equal(codes[0], codes[1])
    assert not np.array_equal(codes[1], codes[2])


@pytest.mark.parametrize(("batch_size", "n_batches"), [(100, 1), (25, 4), (30, 4)])
def test_batch_size(batch_size: int, n_batches: int) -> None:
    said: list[Any] = []
    estimator = tiny_dense(
        batch_size=batch_size, max_epochs=2, callbacks=[BatchRecorder(said)]
    ).fit(X)
    sizes = [what for _, what in said]
    assert len(sizes) == 2 * n_batches
    assert max(sizes) == batch_size
    assert sum(sizes) == 200
    assert estimator.history_[:, "train_batch_count"] == [n_batches] * 2


def test_a_single_row_left_over_joins_the_batch_before() -> None:
    said: list[Any] = []
    estimator = tiny_dense(
        architecture=Dense((4,), batch_norm=True),
        batch_size=33,
        max_epochs=1,
        callbacks=[BatchRecorder(said)],
    )
    estimator.fit(X)
    assert [what for _, what in said] == [33, 33, 34]


@pytest.mark.parametrize(("n_rows", "batch_size"), [(20, 20), (100, 32), (9000, 128)])
def test_the_auto_batch_size(n_rows: int, batch_size: int) -> None:
    said: list[Any] = []
    tiny_dense(max_epochs=1, callbacks=[BatchRecorder(said)]).fit(noise(n_rows, 2))
    assert max(what for _, what in said) == batch_size


@pytest.mark.parametrize(("n_rows", "max_epochs"), [(32, 200), (3200, 50)])
def test_the_auto_number_of_epochs(n_rows: int, max_epochs: int) -> None:
    class Counted(Exception):
        pass

    class Counts(Recorder):
        def on_train_begin(self, net: Any, **kwargs: Any) -> None:
            self.said.append(("max_epochs", net.max_epochs))
            raise Counted

    said: list[Any] = []
    estimator = tiny_dense(max_epochs="auto", batch_size=32, callbacks=[Counts(said)])
    with pytest.raises(Counted):
        estimator.fit(noise(n_rows, 2))
    assert said == [("max_epochs", max_epochs)]


@pytest.mark.parametrize("max_epochs", [1, 5])
@either
def test_max_epochs(make: Any, max_epochs: int) -> None:
    estimator = make(max_epochs=max_epochs).fit(X)
    assert estimator.n_iter_ == len(estimator.history_) == max_epochs


# ---- early stopping --------------------------------


def fit_with_validation(make: Any, data: Any, **params: Any) -> tuple[Any, Any, Any]:
    said: list[Any] = []
    estimator = make(
        early_stopping=True, callbacks=[ValidationRecorder(said)], **params
    ).fit(data)
    parts = dict(said[:2])
    return estimator, parts["train"], parts["valid"]


class Spoils(ValidationRecorder):
    """Spoils what was learned, from the fifth epoch on."""

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        if len(net.history) >= 5:
            with torch.no_grad():
                for weight in net.module_.parameters():
                    weight.mul_(2)


@either
def test_early_stopping_puts_the_best_weights_back(make: Any) -> None:
    said: list[Any] = []
    estimator = make(
        max_epochs=8, early_stopping=True, lr=0.01, callbacks=[Spoils(said)]
    ).fit(X)
    losses = estimator.history_[:, "valid_loss"]
    assert len(losses) == estimator.n_iter_ == 8
    assert losses[-1] > min(losses)
    rows = next(what for event, what in said if event == "valid")
    reached = -estimator.score_samples(rows.numpy()).mean()
    assert reached == pytest.approx(min(losses), rel=1e-4)


def test_early_stopping_keeps_running_means_of_the_best_epoch_too() -> None:
    estimator = tiny_conv(early_stopping=True, lr=0.03, max_epochs=4).fit(X)
    best = int(np.argmin(estimator.history_[:, "valid_loss"])) + 1
    batches = [
        value
        for name, value in estimator.net_.module_.state_dict().items()
        if name.endswith("num_batches_tracked")
    ]
    per_epoch = estimator.history_[-1, "train_batch_count"]
    assert batches
    assert {int(value) for value in batches} == {best * per_epoch}


@pytest.mark.parametrize("patience", [1, 4])
def test_early_stopping_waits_for_n_iter_no_change_epochs(patience: int) -> None:
    # No loss falls by all of itself.
    estimator = tiny_dense(
        early_stopping=True, tol=1.0, n_iter_no_change=patience, max_epochs=50
    ).fit(X)
    assert estimator.n_iter_ == 1 + patience


def test_tol_is_the_share_by_which_the_loss_must_fall() -> None:
    params: dict[str, Any] = {
        "early_stopping": True,
        "n_iter_no_change": 2,
        "max_epochs": 60,
        "lr_schedule": "constant",
    }
    n_epochs = [
        tiny_dense(tol=tol, **params).fit(X).n_iter_ for tol in (0.0, 0.02, 0.2, 1.0)
    ]
    assert n_epochs == sorted(n_epochs, reverse=True)
    assert n_epochs[0] > n_epochs[1] > n_epochs[-1] == 3


@pytest.mark.parametrize(("fraction", "n_valid"), [(0.1, 10), (0.25, 25), (0.001, 1)])
def test_validation_fraction(fraction: float, n_valid: int) -> None:
    _, train, valid = fit_with_validation(
        tiny_dense, X, max_epochs=1, validation_fraction=fraction
    )
    assert len(valid) == n_valid
    assert len(train) == 100 - n_valid


def rows_in(part: torch.Tensor, data: np.ndarray) -> list[int]:
    rows = data.astype(np.float32)
    return [int(np.flatnonzero((rows == row).all(1))[0]) for row in part.numpy()]


def test_the_validation_part_is_shuffled_and_seeded() -> None:
    data = np.random.RandomState(0).uniform(size=(100, 4))
    held_out = []
    for seed in (0, 0, 1):
        _, train, valid = fit_with_validation(
            tiny_dense, data, max_epochs=1, random_state=seed
        )
        index = rows_in(valid, data)
        assert sorted(index + rows_in(train, data)) == list(range(100))
        held_out.append(index)
    assert held_out[0] == held_out[1]
    assert held_out[0] != held_out[2]
    for index in held_out:
        assert min(index) < 50 < max(index)


@either
def test_early_stopping_off_trains_on_all(make: Any) -> None:
    estimator = make(validation_fraction=0.5, n_iter_no_change=1, tol=1.0).fit(X)
    assert estimator.n_iter_ == 3
    assert_same_weights(estimator, fitted(make))


# ---- callbacks --------------------------------


class BatchRecorder(Recorder):
    def on_batch_end(self, net: Any, batch: Any, training: bool, **kwargs: Any) -> None:
        self.said.append(("batch", len(batch[0])))


class EverythingRecorder(Recorder):
    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.said.append("train_begin")

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        self.said.append("epoch_begin")

    def on_batch_begin(self, net: Any, **kwargs: Any) -> None:
        self.said.append("batch_begin")

    def on_grad_computed(self, net: Any, named_parameters: Any, **kwargs: Any) -> None:
        names = dict(named_parameters)
        assert all(weight.grad is not None for weight in names.values())
        self.said.append("grad")

    def on_batch_end(self, net: Any, **kwargs: Any) -> None:
        self.said.append("batch_end")

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        self.said.append(net.history[-1, "train_loss"])

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        self.said.append("train_end")


@either
def test_callbacks_are_told_of_everything(make: Any) -> None:
    said: list[Any] = []
    estimator = make(
        max_epochs=2, batch_size=50, callbacks=[EverythingRecorder(said)]
    ).fit(X)
    batch = ["batch_begin", "grad", "batch_end"]
    first, second = estimator.history_[:, "train_loss"]
    assert said == [
        "train_begin",
        *("epoch_begin", *batch, *batch, first),
        *("epoch_begin", *batch, *batch, second),
        "train_end",
    ]
    # Listening changes nothing.
    assert_same_weights(estimator, make(max_epochs=2, batch_size=50).fit(X))


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_callback_that_clips_gradients(kind: Any) -> None:
    clipped = tiny_dense(callbacks=kind([GradientNormClipping(1e-9)]), optimizer="sgd")
    free = tiny_dense(optimizer="sgd", lr=1e-9)
    one, other = weights_list(clipped.fit(X)), weights_list(free.fit(X))
    for mine, theirs in zip(one, other, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=0)
    assert not have_same_weights(clipped, tiny_dense(optimizer="sgd").fit(X))


def weights_list(estimator: Any) -> list[torch.Tensor]:
    return list(estimator.net_.module_.state_dict().values())


def test_early_stopping_of_skorch_ends_the_fit_without_an_interrupt(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stopping = EarlyStopping(monitor="train_loss", patience=2, threshold=10.0)
    estimator = tiny_dense(callbacks=[stopping], max_epochs=30).fit(X)
    assert 2 <= estimator.n_iter_ < 30
    assert np.isfinite(estimator.predict(X)).all()


def test_named_callbacks_and_their_parameters() -> None:
    clip = GradientNormClipping(100.0)
    estimator = tiny_dense(
        callbacks=[("clip", clip)],
        callbacks__clip__gradient_clip_value=1e-9,
        optimizer="sgd",
    ).fit(X)
    fitted_callback = dict(estimator.net_.callbacks_)["clip"]
    assert fitted_callback.gradient_clip_value == 1e-9
    assert clip.gradient_clip_value == 100.0
    off = tiny_dense(
        callbacks=[("clip", clip)], callbacks__clip=None, optimizer="sgd"
    ).fit(X)
    assert_same_weights(off, tiny_dense(optimizer="sgd").fit(X))


# ---- device, precision, verbosity --------------------------------


@either
def test_device(make: Any) -> None:
    by_name = make(device="cpu").fit(X)
    assert {p.device.type for p in by_name.net_.module_.parameters()} == {"cpu"}
    assert_same_weights(by_name, make(device=torch.device("cpu")).fit(X))
    auto = make(device="auto").fit(X)
    if torch.cuda.is_available():
        best = "cuda"
    else:
        best = "mps" if torch.backends.mps.is_available() else "cpu"
    assert {p.device.type for p in auto.net_.module_.parameters()} == {best}
    assert_allclose(auto.predict(X), by_name.predict(X), atol=1e-2)


@either
def test_precision(make: Any) -> None:
    exact = make(precision="float32", max_epochs=10).fit(X)
    rough = make(precision="bfloat16", max_epochs=10).fit(X)
    assert {w.dtype for w in rough.net_.module_.parameters()} == {torch.float32}
    assert not have_same_weights(exact, rough)
    assert rough.score(X) == pytest.approx(exact.score(X), abs=0.05)
    # Answers are computed in full precision.
    codes = rough.transform(X)
    assert codes.dtype == np.float64
    rounded = torch.from_numpy(codes).bfloat16().double().numpy()
    assert not np.array_equal(codes, rounded)
    # So small a network has nothing to gain.
    auto = make(precision="auto", max_epochs=10, device="cpu").fit(X)
    assert_same_weights(
        auto, make(precision="float32", max_epochs=10, device="cpu").fit(X)
    )


EPOCH_COLUMNS = ["dur", "epoch", "lr", "train_loss", "valid_loss"]


@either
def test_verbose(make: Any, capsys: pytest.CaptureFixture[str]) -> None:
    quiet = make(verbose=0).fit(X)
    assert capsys.readouterr() == ("", "")
    for verbose in (1, True):
        bar = make(verbose=verbose).fit(X)
        out, err = capsys.readouterr()
        assert out == ""
        # A bar of tqdm for each epoch; 100 rows are four batches.
        assert err.count("| 0/4 [") >= 3
    table = make(verbose=2, early_stopping=True).fit(X)
    out, _ = capsys.readouterr()
    lines = out.splitlines()
    assert sorted(lines[0].split()) == EPOCH_COLUMNS
    assert len(lines) == 2 + table.n_iter_
    assert_same_weights(quiet, bar)


@either
def test_verbose_partial_fit(make: Any, capsys: pytest.CaptureFixture[str]) -> None:
    estimator = make(verbose=1).partial_fit(X)
    assert "| 0/4 [" in capsys.readouterr().err
    estimator.set_params(verbose=0)
    estimator.transform(X)
    assert capsys.readouterr() == ("", "")


# ---- nested parameters --------------------------------

NESTED: dict[str, Any] = {
    "optimizer__weight_decay": 0.25,
    "optimizer__betas": (0.8, 0.9),
    "iterator_train__shuffle": False,
    "iterator_train__drop_last": True,
    "callbacks__clip__gradient_clip_value": 0.5,
}
OF_ARCHITECTURE = {"architecture__hidden_layer_sizes": (5,)}


def nested_of(make: Any) -> dict[str, Any]:
    return NESTED | OF_ARCHITECTURE if make is tiny_dense else NESTED


def make_nested(make: Any, **params: Any) -> Any:
    if make is tiny_dense:
        params.setdefault("architecture", "dense")
    params.setdefault("callbacks", [("clip", GradientNormClipping(1.0))])
    return make(**params)


def assert_takes_effect(estimator: Any, make: Any) -> None:
    net = estimator.fit(X).net_
    for group in net.optimizer_.param_groups:
        assert group["weight_decay"] == 0.25
        assert group["betas"] == (0.8, 0.9)
    assert dict(net.callbacks_)["clip"].gradient_clip_value == 0.5
    # Four rows do not fill a batch of 32.
    assert estimator.history_[-1, "train_batch_count"] == 3
    if make is tiny_dense:
        assert net.module_.encoder.layers[0].out_features == 5


@either
def test_nested_parameters_take_effect(make: Any) -> None:
    nested = nested_of(make)
    estimator = make_nested(make, **nested)
    assert_takes_effect(estimator, make)
    plain = make_nested(make)
    plain.fit(X)
    assert plain.net_.optimizer_.param_groups[0]["weight_decay"] == 0
    assert plain.history_[-1, "train_batch_count"] == 4
    assert plain.set_params(**nested) is plain
    assert_takes_effect(plain, make)
    assert_same_weights(plain, estimator)


@either
def test_nested_parameters_survive(make: Any) -> None:
    nested = nested_of(make)
    estimator = make_nested(make, **nested)
    copies = [
        clone(estimator),
        clone(clone(estimator)),
        copy.deepcopy(estimator),
        pickle.loads(pickle.dumps(estimator)),
        type(estimator)(**estimator.get_params(deep=False)),
        type(estimator)(**estimator.get_params()),
        make_nested(make).set_params(**nested),
    ]
    for each in copies:
        for deep in (False, True):
            params = each.get_params(deep=deep)
            assert {name: params[name] for name in nested} == nested
        assert_same_weights(each.fit(X), copies[0].fit(X))
    again = clone(estimator.fit(X))
    assert {name: again.get_params()[name] for name in nested} == nested


@either
def test_nested_parameters_change_with_set_params(make: Any) -> None:
    estimator = make(optimizer__weight_decay=0.25).fit(X)
    estimator.set_params(optimizer__weight_decay=0.5)
    assert estimator.get_params()["optimizer__weight_decay"] == 0.5
    # Like any parameter, it counts from the next fit on.
    assert estimator.net_.optimizer_.param_groups[0]["weight_decay"] == 0.25
    assert estimator.fit(X).net_.optimizer_.param_groups[0]["weight_decay"] == 0.5
    assert_same_weights(estimator, make(optimizer__weight_decay=0.5).fit(X))
    # A clone's are its own.
    clone(estimator).set_params(optimizer__weight_decay=0.0)
    assert estimator.get_params()["optimizer__weight_decay"] == 0.5


def test_nested_parameters_in_a_pipeline() -> None:
    pipeline = make_pipeline(StandardScaler(), tiny_dense())
    pipeline.set_params(
        autoencodertransformer__optimizer__weight_decay=0.25,
        autoencodertransformer__architecture__hidden_layer_sizes=(5,),
    )
    net = clone(pipeline).fit(X)[-1].net_
    assert net.optimizer_.param_groups[0]["weight_decay"] == 0.25
    assert net.module_.encoder.layers[0].out_features == 5


def test_parameters_of_an_architecture_object() -> None:
    estimator = tiny_dense(architecture=Dense((9,)))
    assert estimator.get_params()["architecture__hidden_layer_sizes"] == (9,)
    assert "architecture__hidden_layer_sizes" not in estimator.get_params(deep=False)
    twin = clone(estimator)
    estimator.set_params(architecture__hidden_layer_sizes=(6,))
    assert estimator.architecture.hidden_layer_sizes == (6,)
    assert twin.architecture.hidden_layer_sizes == (9,)
    # A new object and its parameters can come in one call.
    estimator.set_params(architecture__channels=(2,), architecture=Conv())
    assert estimator.architecture.channels == (2,)
    assert has_convolutions(estimator.fit(X))
    with pytest.raises(ValueError, match="Invalid parameter 'hidden_sizes'"):
        estimator.set_params(architecture__hidden_sizes=(2,))


def test_the_order_of_rows_without_shuffling() -> None:
    class Rows(Recorder):
        def on_batch_end(self, net: Any, batch: Any, **kwargs: Any) -> None:
            self.said.append(batch[0].clone())

    def seen(**params: Any) -> np.ndarray:
        said: list[Any] = []
        tiny_dense(max_epochs=2, callbacks=[Rows(said)], **params).fit(X)
        return torch.cat(said).numpy()

    in_order = seen(iterator_train__shuffle=False)
    assert_array_equal(in_order, np.vstack([X, X]).astype(np.float32))
    shuffled = seen()
    assert not np.array_equal(shuffled[:100], shuffled[100:])
    assert not np.array_equal(shuffled[:100], in_order[:100])
    for part in (shuffled[:100], shuffled[100:]):
        assert_array_equal(np.sort(part, axis=0), np.sort(in_order[:100], axis=0))
    assert not np.array_equal(shuffled, seen(iterator_train__seed=99))


# ---- quality --------------------------------


@functools.cache
def pca_held_out(n_components: int) -> float:
    train, test = ROWS[:1300], ROWS[1300:]
    pca = PCA(n_components).fit(train)
    return r2_score(
        test,
        pca.inverse_transform(pca.transform(test)),
        multioutput="variance_weighted",
    )


@pytest.mark.parametrize(("seed", "scale"), [(0, 1), (1, 1), (2, 16), (3, 16)])
def test_dense_beats_pca_on_images_not_seen(seed: int, scale: int) -> None:
    estimator = AutoencoderTransformer(8, max_epochs=25, random_state=seed)
    estimator.fit(scale * ROWS[:1300])
    assert estimator.score(scale * ROWS[1300:]) > pca_held_out(8) + 0.02


@pytest.mark.parametrize("seed", range(3))
def test_conv_beats_pca_on_images_not_seen(seed: int) -> None:
    estimator = ConvAutoencoderTransformer(
        8, channels=(16, 32), max_epochs=12, random_state=seed
    )
    estimator.fit(IMAGES[:1300])
    assert estimator.score(IMAGES[1300:]) > pca_held_out(8) + 0.02


@pytest.mark.parametrize("loss", ["mse", "l1", "bce"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@either
def test_no_choice_collapses(make: Any, loss: str, optimizer: str) -> None:
    network = (
        {"architecture": Dense((32,), activation="relu")}
        if make is tiny_dense
        else {"channels": (8, 4), "activation": "relu", "batch_norm": False}
    )
    lr = 0.5 if optimizer == "sgd" else 1e-2
    estimator = make(
        10, loss=loss, optimizer=optimizer, lr=lr, max_epochs=12, **network
    ).fit(ROWS[:800])
    # Absolute errors draw to the median, and plain descent is slow.
    floor = pca_held_out(1) if (loss, optimizer) == ("mse", "adam") else 0.0
    assert estimator.score(ROWS[1300:]) > floor
    assert estimator.predict(ROWS[1300:]).std(axis=0).max() > 0.02
