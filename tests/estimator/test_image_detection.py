"""What samples are taken for, and warnings where the data look otherwise."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np
import pytest
from helpers import IMAGES, noise
from sklearn.base import clone
from sklearn.datasets import load_sample_image
from sklearn.exceptions import ConvergenceWarning

from skautoencoder import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    Conv,
    Conv1d,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAESampler,
    channels_last,
)
from skautoencoder._estimator.image_detection import looks_like_image

SMALL: dict[str, Any] = {"max_epochs": 1, "random_state": 0}
AUTO = [
    AutoencoderImputer(**SMALL),
    AutoencoderOutlierDetector(**SMALL),
    AutoencoderTransformer(**SMALL),
    DenoisingAutoencoder(**SMALL),
    VAESampler(**SMALL),
]


def tiny_conv(**params: Any) -> ConvAutoencoderTransformer:
    return ConvAutoencoderTransformer(3, channels=(3, 4), **SMALL, **params)


def is_conv(estimator: Any) -> bool:
    return isinstance(estimator.net_.module__architecture, Conv)


def is_conv1d(estimator: Any) -> bool:
    return isinstance(estimator.net_.module__architecture, Conv1d)


def signals(n_samples: int, n_steps: int) -> np.ndarray:
    """Return sums of slow waves."""
    random = np.random.RandomState(0)
    steps = np.arange(n_steps) / n_steps
    pace, phase = random.uniform(1, 8, size=(2, n_samples, 1))
    return np.sin(2 * np.pi * pace * steps + phase)


@functools.cache
def photograph() -> np.ndarray:
    return load_sample_image("flower.jpg") / 255


def patches(height: int, width: int) -> np.ndarray:
    """Return pieces of a photograph, of shape (n_samples, height, width, 3)."""
    photo = photograph()
    corners = np.random.RandomState(0).randint(100, 300, size=(60, 2))
    return np.stack([photo[i : i + height, j : j + width] for i, j in corners])


@pytest.mark.parametrize(
    ("shape", "on_its_own", "given"),
    [
        ((8, 8), True, True),
        ((4, 12), True, True),
        ((12, 4), True, True),
        ((50, 8), False, True),
        ((4, 13), False, True),
        ((100, 3), False, False),
        ((3, 3), False, False),
        ((64,), False, False),
        ((1, 50, 8), True, True),
        ((3, 32, 32), True, True),
        ((2, 3, 4, 5), False, False),
    ],
)
def test_which_shapes_are_images(
    shape: tuple[int, ...], on_its_own: bool, given: bool
) -> None:
    assert looks_like_image(shape, given=False) == on_its_own
    assert looks_like_image(shape, given=True) == given


@pytest.mark.parametrize("estimator", AUTO, ids=lambda e: type(e).__name__)
def test_auto_takes_series_for_series_and_says_so(estimator: Any) -> None:
    X = noise(20, 14, 4)
    cure = r"sequences of 14 steps of 4 channels, not for images.*conv1d.*\(14, 4\) .*"
    with pytest.warns(UserWarning, match=cure + r"sample_shape=\(56,\)") as caught:
        estimator.fit(X)
    # One epoch may end worse than the mean.
    said = [w for w in caught if not issubclass(w.category, ConvergenceWarning)]
    assert len(said) == 1
    assert is_conv1d(estimator)
    # Each reading can be asked for.
    params = estimator.get_params(deep=False)
    asked = type(estimator)(**params | {"architecture": Conv1d((4,)), "max_epochs": 9})
    assert is_conv1d(asked.fit(X))
    of_rows = type(estimator)(**params | {"sample_shape": (56,)}).fit(X)
    assert not is_conv(of_rows)
    assert not is_conv1d(of_rows)
    small = Conv((2, 2), skip_connections=isinstance(estimator, AutoencoderImputer))
    image = type(estimator)(**params | {"sample_shape": (14, 4)})
    assert isinstance(image._make_architecture((14, 4)), Conv)
    image.set_params(architecture=small).fit(X)
    assert is_conv(image)


def test_auto_says_nothing_of_what_is_clear() -> None:
    for X in (noise(20, 100, 3), noise(20, 7, 1)):
        assert is_conv1d(AutoencoderTransformer(3, **SMALL).fit(X))
    for X in (noise(20, 64), noise(20, 1, 64)):
        autoencoder = AutoencoderTransformer(**SMALL).fit(X)
        assert not is_conv(autoencoder)
        assert not is_conv1d(autoencoder)
    for X in (noise(20, 8, 8), noise(20, 4, 12)):
        assert is_conv(AutoencoderTransformer(**SMALL).fit(X))


@pytest.mark.parametrize("architecture", ["auto", "conv1d", "recurrent"])
def test_axes_that_are_turned(architecture: str) -> None:
    X = signals(60, 50).reshape(20, 3, 50)
    cure = r"50 steps of 3 channels pass channels_last\(X\)"
    make = AutoencoderTransformer(3, architecture=architecture, **SMALL)
    with pytest.warns(UserWarning, match=cure) as caught:
        make.fit(X)
    assert len(caught) == 1
    right = clone(make).fit(channels_last(X))
    with pytest.raises(ValueError, match=r"Are its axes turned\?"):
        right.transform(X)
    if architecture != "auto":
        clone(make).set_params(sample_shape=(3, 50)).fit(X)
        with pytest.warns(UserWarning, match=r"50 steps of 1 channels pass channels_l"):
            clone(make).fit(X[:, :1])


@pytest.mark.parametrize(
    "make",
    [
        tiny_conv,
        lambda **params: AutoencoderTransformer(architecture="conv", **SMALL, **params),
    ],
)
def test_signals_of_a_square_number_of_steps(make: Any) -> None:
    X = signals(40, 400)
    cure = r"20×20 pixels, .*='conv1d' or sample_shape=\(1, 400\).*=\(20, 20\)"
    with pytest.warns(UserWarning, match=cure) as caught:
        estimator = make().fit(X)
    assert len(caught) == 1
    assert estimator.sample_shape_ == (400,)
    for shape in ((1, 400), (20, 20)):
        make(sample_shape=shape).fit(X)


@pytest.mark.parametrize("seed", [0, 1])
def test_series_for_a_convolution(seed: int) -> None:
    offsets = 3 * noise(8, seed=seed)
    X = signals(160, 50).reshape(20, 8, 50).transpose(0, 2, 1) + offsets
    cure = r"8 channels, pass architecture='conv1d'.*=\(50, 8\)"
    with pytest.warns(UserWarning, match=cure):
        tiny_conv().fit(X)
    turned = X.transpose(0, 2, 1)
    with pytest.warns(UserWarning, match=r"pass X.transpose\(0, 2, 1\) and arch"):
        tiny_conv().fit(turned)
    AutoencoderTransformer(architecture="conv1d", **SMALL).fit(X)
    tiny_conv(sample_shape=(50, 8)).fit(X)


@pytest.mark.parametrize("shape", [(28, 20), (12, 30), (3, 32, 32)], ids=str)
def test_flat_images_that_are_no_squares(shape: tuple[int, ...]) -> None:
    X = patches(*shape[-2:])
    X = X.mean(axis=3) if len(shape) == 2 else X.transpose(0, 3, 1, 2)
    rows = X.reshape(len(X), -1)
    with pytest.warns(UserWarning, match="strips one pixel high") as caught:
        tiny_conv().fit(rows)
    assert f"For images, sample_shape={shape};" in str(caught[0].message)
    tiny_conv(sample_shape=shape).fit(rows)
    tiny_conv(sample_shape=(1, rows.shape[1])).fit(rows)


def test_one_image() -> None:
    image = patches(28, 28)[0].mean(axis=2)
    with pytest.warns(UserWarning, match=r"looks like one image.* X\[np.newaxis\]"):
        tiny_conv().fit(image)
    tiny_conv(sample_shape=(1, 28)).fit(image)


def test_one_image_after_a_fit() -> None:
    estimator = tiny_conv().fit(IMAGES[:20])
    cure = r"8 features, but .* expecting 64 .*shape of one sample.*pass X\[np.newaxis"
    for method in ("transform", "predict", "score_samples", "partial_fit"):
        with pytest.raises(ValueError, match=cure):
            getattr(estimator, method)(IMAGES[0])
    assert estimator.transform(IMAGES[0][np.newaxis]).shape == (1, 3)


@pytest.mark.parametrize(
    "X",
    [
        IMAGES[:64].reshape(64, -1),  # 64 digits of 64 pixels
        patches(8, 8).mean(axis=3).reshape(60, -1),
        patches(20, 20).mean(axis=3).reshape(60, -1),
        patches(40, 10).mean(axis=3),
        noise(40, 40),
        noise(30, 400),
        noise(30, 120),
        noise(30, 40, 8),
        noise(30, 1, 9),
        signals(30, 350),
        1e300 * noise(30, 64),
        np.ones((30, 64)),
        np.zeros((16, 16)),
    ],
    ids=lambda X: str(X.shape),
)
def test_no_doubt(X: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator = ConvAutoencoderTransformer(3, channels=(2, 2), **SMALL)
        estimator.fit(np.clip(X, -1e100, 1e100))


def test_holes_are_no_cause_for_doubt() -> None:
    X = np.where(np.random.RandomState(0).rand(20, 64) < 0.5, np.nan, noise(20, 64))
    AutoencoderImputer(architecture=Conv((2,)), code_size=3, **SMALL).fit(X)
    waves = signals(20, 400)
    waves[:, ::3] = np.nan
    with pytest.warns(UserWarning, match="as in signals"):
        AutoencoderImputer(architecture=Conv((2,)), code_size=3, **SMALL).fit(waves)
