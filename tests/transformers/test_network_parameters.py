"""Parameters that say what the network looks like."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from fits import X, either, has_convolutions
from helpers import (
    IMAGES,
    assert_same_answers,
    assert_same_weights,
    noise,
    tiny_conv,
    tiny_dense,
)
from numpy.testing import assert_array_equal
from torch import nn

from skautoencoder import AutoencoderTransformer, ConvAutoencoderTransformer
from skautoencoder.architectures import Conv, Custom, Dense


@pytest.mark.parametrize("code_size", [1, 2, 7, np.int64(4), 100])
@either
def test_code_size(make: Any, code_size: int) -> None:
    estimator = make(code_size, max_epochs=1)
    assert estimator.fit_transform(X).shape == (50, code_size)
    assert estimator.code_size_ == code_size


def test_the_default_code_size_is_ten() -> None:
    for estimator in (AutoencoderTransformer(), ConvAutoencoderTransformer()):
        assert estimator.code_size == 10


@pytest.mark.parametrize(
    ("shape", "is_image"),
    [
        ((64,), False),
        ((8, 8), True),
        ((4, 12), True),
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
    own = tiny_conv(max_epochs=1, **params).fit(X)
    general = tiny_dense(max_epochs=1, architecture=Conv(**params)).fit(X)
    assert_same_weights(own, general)
    assert_same_answers(own, general, X)
    # And each makes a difference.
    if params.keys() > {"channels"}:
        assert not np.array_equal(codes_of_plain_convolutions(), own.transform(X))


@functools.cache
def codes_of_plain_convolutions() -> np.ndarray:
    return tiny_conv(max_epochs=1, channels=(4, 6)).fit_transform(X)


def test_the_defaults_of_conv_are_those_of_the_architecture() -> None:
    estimator, architecture = ConvAutoencoderTransformer(), Conv()
    for name, value in architecture.get_params().items():
        # Its code would be the maps of all stages.
        if name != "skip_connections":
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
    assert one.transform(X).shape == (50, 3)


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
