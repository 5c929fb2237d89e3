"""Images of integers: what is drawn has their type, and lies within their range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import IMAGES

from skautoencoder import VAESampler
from skautoencoder.architectures import Dense

QUICK: dict[str, Any] = {
    "code_size": 2,
    "architecture": Dense((6,)),
    "prior": "normal",
    "max_epochs": 2,
    "random_state": 0,
    "n_importance_samples": 3,
}
GREY = IMAGES[:80]
BYTES = np.rint(255 * GREY).astype(np.uint8)

PIXELS = {
    "uint8": (BYTES, "bernoulli", 255),
    "few levels": ((16 * GREY).astype(np.uint8), "bernoulli", 16),
    "int64": (BYTES.astype(np.int64), "bernoulli", 255),
    "uint16": ((65535 * GREY).astype(np.uint16), "bernoulli", 65535),
    "black and white": (255 * (GREY > 0.5).astype(np.uint8), "bernoulli", 255),
    "ones and zeros": ((GREY > 0.5).astype(np.uint8), "bernoulli", 1),
    "bool": (GREY > 0.5, "bernoulli", 1),
    "signed": ((100 * GREY - 70).astype(np.int16), "gaussian", 30),
    "near the limit": (np.uint64(2**64 - 1) - BYTES, "gaussian", 2**64 - 1),
}


def ways_to_rows(sampler: VAESampler, X: Any) -> list[np.ndarray]:
    return [
        sampler.sample(200, random_state=0),
        sampler.predict(X),
        sampler.inverse_transform(sampler.transform(X)),
        sampler.interpolate(X[0], X[1]),
    ]


@pytest.mark.parametrize("likelihood", ["auto", "gaussian"])
@pytest.mark.parametrize("name", PIXELS)
def test_images_of_integers(name: str, likelihood: str) -> None:
    X, usual, most = PIXELS[name]
    sampler = VAESampler(likelihood=likelihood, **QUICK).fit(X)
    if name != "near the limit":  # which is pixels too, if very bright ones
        assert sampler.likelihood_ == (usual if likelihood == "auto" else "gaussian")
    for rows in ways_to_rows(sampler, X):
        assert rows.dtype == X.dtype
        assert rows.shape[1:] == (8, 8)
        assert X.min() <= rows.min()
        assert int(rows.max()) <= most
    drawn = sampler.sample(200, random_state=0)
    assert abs(float(drawn.mean()) - float(X.mean())) <= 0.15 * (
        float(X.max()) - float(X.min())
    )
    assert np.isfinite(sampler.score_samples(X)).all()


def test_bytes_are_learnt_like_numbers_between_0_and_1() -> None:
    of_bytes = VAESampler(**QUICK).fit(BYTES)
    of_numbers = VAESampler(**QUICK).fit(BYTES / np.float32(255))
    np.testing.assert_array_equal(
        of_bytes.score_samples(BYTES), of_numbers.score_samples(BYTES / np.float32(255))
    )
    np.testing.assert_array_equal(
        of_bytes.sample(9, 0), np.rint(255 * of_numbers.sample(9, 0))
    )


def test_black_and_white_is_drawn_where_the_data_have_no_grey() -> None:
    X = PIXELS["black and white"][0]
    assert set(np.unique(VAESampler(**QUICK).fit(X).sample(50, 0))) == {0, 255}


def test_flat_bytes_are_pixels() -> None:
    wide = np.tile(BYTES.reshape(-1, 64), (1, 4))
    for sampler, X in (
        (VAESampler(**QUICK), wide),
        (VAESampler(sample_shape=(8, 8), **QUICK), BYTES.reshape(-1, 64)),
        (VAESampler(likelihood="bernoulli", **QUICK), wide.astype(np.int32)),
    ):
        sampler.fit(X)
        assert sampler.likelihood_ == "bernoulli"
        assert sampler.sample(3).dtype == X.dtype
    # Wide rows of other integers may be counts.
    assert VAESampler(**QUICK).fit(wide.astype(np.int32)).likelihood_ == "gaussian"


def test_series_of_counts_are_no_pixels() -> None:
    counts = np.random.RandomState(0).poisson(20, (60, 30, 3))
    sampler = VAESampler(**QUICK).fit(counts)
    assert sampler.likelihood_ == "gaussian"
    drawn = sampler.sample(50, random_state=0)
    assert drawn.dtype == counts.dtype
    assert counts.min() <= drawn.min() <= drawn.max() <= counts.max()


def test_brighter_pixels_than_there_were() -> None:
    sampler = VAESampler(**QUICK).fit((16 * GREY).astype(np.uint8))
    with pytest.raises(ValueError, match=r"data in \[0, 16\], but X .* to 17"):
        sampler.score_samples(np.full((2, 8, 8), 17, dtype=np.uint8))
    # All that a byte may be is, if more than half of it was there.
    bright = VAESampler(**QUICK).fit(np.minimum(BYTES, 200))
    assert np.isfinite(bright.score_samples(BYTES)).all()


def test_units_of_bytes_change_the_density_by_their_logarithm() -> None:
    X = (BYTES // 8 + 200).astype(np.uint8)  # not black enough for ink
    sampler = VAESampler(**QUICK).fit(X)
    wanted = VAESampler(likelihood="gaussian", **QUICK).fit(X.astype(float))
    assert sampler.likelihood_ == "gaussian"
    np.testing.assert_allclose(
        sampler.score_samples(X), wanted.score_samples(X.astype(float)), rtol=1e-3
    )
