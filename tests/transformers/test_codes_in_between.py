"""Interpolation between samples, codes of spatial maps, draws of posteriors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from fits import X, each_dtype, either, fitted, waves
from helpers import IMAGES, OF_ROWS, tiny_conv, tiny_dense
from sklearn.base import clone

from skautoencoder.architectures import Conv1d


@either
@each_dtype
def test_interpolation_goes_through_codes(make: Any, dtype: Any) -> None:
    estimator = fitted(make)
    first, last = X[:2].astype(dtype)
    found = estimator.interpolate(first, last[np.newaxis], 5)
    assert found.dtype == dtype
    np.testing.assert_allclose(
        found[[0, -1]], estimator.predict(X[:2]), rtol=1e-4, atol=1e-5
    )
    middle = estimator.transform(X[:2]).mean(axis=0, keepdims=True)
    expected = estimator.inverse_transform(middle)[0]
    np.testing.assert_allclose(found[2], expected, rtol=1e-4, atol=1e-5)


def test_interpolation_of_images_frames_and_sequences() -> None:
    images = tiny_conv().fit(IMAGES[:60])
    assert images.interpolate(IMAGES[0], IMAGES[1], 3).shape == (3, 8, 8)
    frame = pd.DataFrame(X[:60]).rename(columns=str)
    table = tiny_dense().fit(frame)
    assert table.interpolate(frame[:1], frame[1:2], 3).shape == (3, 64)
    ragged = [wave[: 10 + i % 9] for i, wave in enumerate(waves(40))]
    sequences = tiny_dense(architecture=Conv1d((3,))).fit(ragged)
    lengths = [len(one) for one in sequences.interpolate(ragged[0], ragged[8], 3)]
    assert lengths == [10, 14, 18]


def test_interpolation_refuses_several_samples_and_one_step() -> None:
    with pytest.raises(ValueError, match="stop has to be one sample, but has 2 rows"):
        fitted(tiny_dense).interpolate(X[0], X[:2])
    with pytest.raises(ValueError, match="n_steps"):
        fitted(tiny_dense).interpolate(X[0], X[1], 1)


def test_codes_of_a_spatial_map_in_their_shape() -> None:
    estimator = tiny_conv(None).fit(IMAGES[:60])
    assert estimator.code_shape_ == (4, 2, 2)
    maps = estimator.code_maps(IMAGES[:5])
    codes = estimator.transform(IMAGES[:5])
    assert maps.shape == (5, 4, 2, 2)
    np.testing.assert_array_equal(maps.reshape(5, -1), codes)
    np.testing.assert_array_equal(
        estimator.inverse_transform(maps), estimator.inverse_transform(codes)
    )
    estimator.set_output(transform="pandas")
    assert estimator.code_maps(IMAGES[:5]).shape == (5, 4, 2, 2)
    flat = fitted(tiny_conv)
    assert flat.code_shape_ == (3,)
    np.testing.assert_array_equal(flat.code_maps(X[:5]), flat.transform(X[:5]))
    with pytest.raises(ValueError, match="codes of shape"):
        estimator.inverse_transform(maps.reshape(5, 2, 4, 2))


@pytest.mark.parametrize("make", [tiny_dense, tiny_conv])
def test_a_code_of_one_number_is_no_map(make: Any) -> None:
    estimator = make(1).fit(IMAGES[:60])
    assert estimator.code_shape_ == (1,)
    maps = estimator.code_maps(IMAGES[:5])
    np.testing.assert_array_equal(maps, estimator.transform(IMAGES[:5]))


@pytest.mark.parametrize("name", ["table", "gaussian"])
def test_draws_of_a_posterior_have_its_moments(name: str) -> None:
    sampler = clone(OF_ROWS[name]).fit(X)
    means, deviations = sampler.transform(X[:1], return_std=True)
    rows = np.repeat(X[:1], 2000, axis=0)
    codes = sampler.sample_posterior(rows, random_state=0)
    np.testing.assert_allclose(
        codes.mean(axis=0), means[0], atol=0.1 * deviations.max()
    )
    np.testing.assert_allclose(codes.std(axis=0), deviations[0], rtol=0.1)
    again = sampler.sample_posterior(rows, random_state=0)
    np.testing.assert_array_equal(codes, again)
    assert (sampler.sample_posterior(rows) != codes).any()
