"""Samples of any shape, type and layout in memory, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from fits import X, either, fitted
from helpers import (
    IMAGES,
    assert_same_weights,
    noise,
    tiny_conv,
    tiny_dense,
)
from numpy.testing import assert_array_equal

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


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [*((shape, np.float64) for shape in SHAPES), ((5, 7), np.float32)],
    ids=str,
)
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
    wide = np.zeros((len(X), 128))
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
    assert isinstance(estimator.predict(data), frame)
    assert list(estimator.predict(data).columns) == names
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
