"""Samples, codes and sample shapes that are refused, and in which words."""

from __future__ import annotations

import copy
import functools
from typing import Any

import numpy as np
import pytest
from helpers import (
    IMAGES,
    noise,
    tiny_conv,
    tiny_dense,
    unchanged,
)
from refusals import X, assert_fit_refuses, assert_says, either, fitted_once
from scipy import sparse


def with_value(value: float, shape: tuple[int, ...] = (20, 64)) -> np.ndarray:
    bad = noise(*shape)
    bad[3, 5] = value
    return bad


BAD_SAMPLES: list[tuple[str, Any, type[Exception], tuple[str, ...]]] = [
    ("nan", with_value(np.nan), ValueError, ("X contains NaN",)),
    ("inf", with_value(np.inf), ValueError, ("X contains infinity",)),
    ("minus_inf", with_value(-np.inf), ValueError, ("X contains infinity",)),
    ("nan_images", with_value(np.nan, (20, 8, 8)), ValueError, ("X contains NaN",)),
    (
        "text",
        np.full((20, 64), "seven"),
        ValueError,
        ("could not convert string to float", "seven"),
    ),
    ("complex", noise(20, 64) + 1j, ValueError, ("Complex data not supported",)),
    (
        "sparse",
        sparse.csr_array(noise(20, 64)),
        TypeError,
        (
            "Sparse data was passed for X",
            "dense data is required",
            "toarray()",
            "sparse_output=False",
            "sparse_threshold=0",
        ),
    ),
    ("no_rows", np.empty((0, 64)), ValueError, ("0 sample(s)", "minimum of 2")),
    ("no_features", np.empty((20, 0)), ValueError, ("shape", "0")),
    ("empty_images", np.empty((20, 8, 0)), ValueError, ("shape (8, 0)", "empty")),
    ("one_row", noise(1, 64), ValueError, ("1 sample(s)", "minimum of 2")),
    ("one_image", noise(1, 8, 8), ValueError, ("1 sample(s)", "minimum of 2")),
    ("one_dimension", noise(64), ValueError, ("Expected 2D array", "Reshape")),
    ("scalar", 3.0, ValueError, ("Expected 2D array", "Reshape")),
    ("none", None, ValueError, ("Expected 2D array",)),
]


@either
@pytest.mark.parametrize(
    ("bad", "kind", "words"),
    [case[1:] for case in BAD_SAMPLES],
    ids=[case[0] for case in BAD_SAMPLES],
)
def test_fit_refuses_samples(
    make: Any, bad: Any, kind: type[Exception], words: tuple[str, ...]
) -> None:
    assert_fit_refuses(make, bad, kind, *words)


@pytest.mark.parametrize(
    "method", ["transform", "predict", "score_samples", "score", "partial_fit"]
)
@pytest.mark.parametrize(
    ("bad", "kind", "words"),
    [
        (with_value(np.nan), ValueError, ("contains NaN",)),
        (with_value(np.inf), ValueError, ("contains infinity",)),
        (np.full((20, 64), "seven"), ValueError, ("could not convert string",)),
        (noise(20, 64) + 1j, ValueError, ("Complex data not supported",)),
        (sparse.csr_array(noise(20, 64)), TypeError, ("dense data is required",)),
        (np.empty((0, 64)), ValueError, ("0 sample(s)",)),
        (noise(20, 63), ValueError, ("X has 63 features", "expecting 64 features")),
        (noise(20, 65), ValueError, ("X has 65 features", "expecting 64 features")),
        (noise(64), ValueError, ("Expected 2D array",)),
    ],
    ids="nan inf text complex sparse no_rows fewer more one_dimension".split(),
)
def test_a_fitted_estimator_refuses_samples(
    method: str, bad: Any, kind: type[Exception], words: tuple[str, ...]
) -> None:
    estimator = fitted_once(tiny_dense)
    with unchanged(estimator, noise(5, 64)), pytest.raises(kind) as caught:
        getattr(estimator, method)(bad)
    assert_says(caught.value, words)


@functools.cache
def fitted_to_images(make: Any) -> Any:
    return make(max_epochs=1).fit(IMAGES[:30])


@either
@pytest.mark.parametrize(
    "shape", [(8, 7), (7, 8), (4, 16), (8, 9), (1, 8, 8), (8, 8, 1)], ids=str
)
def test_samples_of_another_shape_than_in_fit(
    make: Any, shape: tuple[int, ...]
) -> None:
    estimator = copy.deepcopy(fitted_to_images(make))
    bad = noise(4, *shape)
    with unchanged(estimator, IMAGES[:4]):
        for method in ("transform", "predict", "score", "partial_fit"):
            with pytest.raises(ValueError) as caught:  # noqa: PT011
                getattr(estimator, method)(bad)
            words = (f"shape {shape}", "(8, 8)", type(estimator).__name__)
            assert_says(caught.value, words)
            assert "64 features, but" not in str(caught.value)  # when 64 are expected


@either
def test_flat_samples_of_another_width_than_the_images_of_fit(make: Any) -> None:
    estimator = fitted_to_images(make)
    with pytest.raises(ValueError, match="X has 63 features, but .* 64 features"):
        estimator.transform(noise(4, 63))


@either
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (noise(4, 2), "codes of 2 numbers, but .*Transformer has code_size_=3"),
        (noise(4, 64), "codes of 64 numbers, but .*Transformer has code_size_=3"),
        (noise(3), "Expected 2D array"),
        (noise(4, 3, 1), r"codes of shape \(3, 1\), but .*has code_size_=3"),
        (np.full((4, 3), np.nan), "contains NaN"),
        (np.full((4, 3), "seven"), "could not convert string"),
        (np.empty((0, 3)), r"0 sample\(s\)"),
    ],
    ids="narrow wide one_dimension three_dimensions nan text no_rows".split(),
)
def test_inverse_transform_refuses_codes(make: Any, bad: Any, message: str) -> None:
    estimator = fitted_once(make)
    with unchanged(estimator, X[:9]), pytest.raises(ValueError, match=message):
        estimator.inverse_transform(bad)


@either
@pytest.mark.parametrize(
    "method",
    ["transform", "inverse_transform", "predict", "score_samples", "score"],
)
def test_unfitted(make: Any, method: str) -> None:
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(make(), method)(noise(4, 3))


@either
@pytest.mark.parametrize("shape", [(8, 9), (64, 2), (3, 8, 8), (63,)], ids=str)
def test_sample_shape_that_does_not_multiply_to_the_features(
    make: Any, shape: tuple[int, ...]
) -> None:
    assert_fit_refuses(
        make,
        X,
        ValueError,
        f"sample_shape={shape}",
        f"{np.prod(shape)} values",
        "64 features",
        "multiply",
        sample_shape=shape,
    )


@either
@pytest.mark.parametrize(
    "shape", [(), (8, -8), (0, 64), (8.0, 8.0), ("8", "8"), (None, 64)], ids=str
)
def test_sample_shape_that_is_no_shape(make: Any, shape: Any) -> None:
    assert_fit_refuses(
        make,
        X,
        ValueError,
        "sample_shape must be a tuple of positive integers",
        "(28, 28)",
        repr(shape),
        sample_shape=shape,
    )


def test_samples_of_too_high_a_rank_for_a_convolution() -> None:
    assert_fit_refuses(
        tiny_conv,
        noise(20, 2, 2, 4, 4),
        ValueError,
        "(n_channels, height, width)",
        "sample_shape=(2, 2, 4, 4)",
    )
