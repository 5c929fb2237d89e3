from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from helpers import ROWS
from sklearn.base import clone
from sklearn.datasets import load_digits
from torch import nn

from skautoencoder import (
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    DenoisingAutoencoder,
    VAESampler,
)
from skautoencoder.architectures import Custom


class Encoder(nn.Linear):
    def __init__(self, sample_shape: tuple[int, ...], code_size: int) -> None:
        super().__init__(sample_shape[0], code_size)


class Decoder(nn.Linear):
    def __init__(self, n_out: int, code_size: int) -> None:
        super().__init__(code_size, n_out)


class Pair(nn.Module):
    """Answers with a tuple, as some encoders in the wild do."""

    def forward(self, rows: torch.Tensor) -> Any:
        return rows, rows


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return (load_digits().images[:120] / 16).astype(np.float32)


def test_factories_are_given_what_they_ask_for() -> None:
    asked: dict[str, Any] = {}

    def encoder(sample_shape: tuple[int, ...], code_size: int) -> nn.Module:
        asked.update(sample_shape=sample_shape, code_size=code_size)
        return nn.Sequential(nn.Flatten(), nn.Linear(12, code_size))

    network = Custom(encoder, lambda: nn.Linear(5, 12)).build((3, 4), 5)
    assert asked == {"sample_shape": (3, 4), "code_size": 5}
    assert network.encode(torch.rand(2, 12)).shape == (2, 5)
    assert network(torch.rand(2, 12)).shape == (2, 12)


def test_classes_and_partials_are_factories() -> None:
    network = Custom(Encoder, functools.partial(Decoder, 6)).build((6,), 2)
    assert network(torch.rand(3, 6)).shape == (3, 6)


def test_output_is_what_the_modules_say() -> None:
    encoder, decoder = nn.Linear(4, 2), nn.Linear(2, 4)
    rows = torch.rand(5, 4)
    network = Custom(encoder, decoder).build((4,), None, center=torch.rand(4))
    torch.testing.assert_close(network(rows), decoder(encoder(rows)))
    bounded = Custom(encoder, decoder, output_activation="sigmoid").build((4,), None)
    torch.testing.assert_close(bounded(rows), decoder(encoder(rows)).sigmoid())


def test_modules_see_samples_in_their_shape_and_codes_may_have_one() -> None:
    encoder = nn.Conv2d(3, 2, 3, stride=2, padding=1)
    decoder = nn.ConvTranspose2d(2, 3, 2, stride=2)
    network = Custom(encoder, decoder).build((3, 6, 8), None)
    rows = torch.rand(5, 3 * 6 * 8)
    codes = network.encode(rows)
    assert codes.shape == (5, 2 * 3 * 4)
    maps = encoder(rows.reshape(5, 3, 6, 8))
    torch.testing.assert_close(codes, maps.flatten(1))
    torch.testing.assert_close(network.decode(codes), decoder(maps).flatten(1))


def test_the_users_modules_are_not_trained_and_every_fit_starts_from_them(
    images: np.ndarray,
) -> None:
    torch.manual_seed(0)
    encoder, decoder = nn.Linear(64, 3), nn.Linear(3, 64)
    before = [p.detach().clone() for m in (encoder, decoder) for p in m.parameters()]
    autoencoder = AutoencoderTransformer(
        architecture=Custom(encoder, decoder), max_epochs=2, random_state=0
    )
    X = images.reshape(len(images), -1)
    first = autoencoder.fit(X).transform(X)
    after = [p for m in (encoder, decoder) for p in m.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(p.grad is None for p in after)
    np.testing.assert_array_equal(autoencoder.fit(X).transform(X), first)
    assert autoencoder.code_size_ == 3  # what the encoder decides, not code_size


def test_data_arrive_as_they_are(images: np.ndarray) -> None:
    seen: list[torch.Tensor] = []

    class Recorder(nn.Linear):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            if self.training:
                seen.append(rows.detach().clone())
            return super().forward(rows)

    X = 100 * images.reshape(len(images), -1) + 7
    AutoencoderTransformer(
        architecture=Custom(lambda: Recorder(64, 2), lambda: nn.Linear(2, 64)),
        batch_size=len(X),
        max_epochs=1,
        random_state=0,
    ).fit(X)
    (batch,) = seen
    np.testing.assert_allclose(
        np.sort(batch.sum(1).numpy()), np.sort(X.sum(1)), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("estimator", "ask"),
    [
        (AutoencoderTransformer(None), "predict"),
        (DenoisingAutoencoder(code_size=None), "predict"),
        (AutoencoderOutlierDetector(code_size=None), "score_samples"),
        (VAESampler(code_size=4), "predict"),
    ],
    ids=lambda given: type(given).__name__,
)
def test_modules_that_compute_in_place_change_no_data(
    images: np.ndarray, estimator: Any, ask: str
) -> None:
    answers = []
    for in_place in (False, True):
        torch.manual_seed(0)
        encoder = nn.Sequential(
            nn.Flatten(), nn.Threshold(0.5, -1.0, in_place), nn.Linear(64, 8)
        )
        n_codes = 4 if isinstance(estimator, VAESampler) else 8
        architecture = Custom(encoder, nn.Linear(n_codes, 64))
        fitted = clone(estimator).set_params(
            architecture=architecture, max_epochs=2, random_state=0
        )
        given = images.copy()
        fitted.fit(given)
        answers.append(getattr(fitted, ask)(given))
        np.testing.assert_array_equal(given, images)
    np.testing.assert_array_equal(*answers)


def test_images_come_back_as_images(images: np.ndarray) -> None:
    architecture = Custom(
        lambda code_size: nn.Sequential(nn.Flatten(), nn.Linear(64, code_size)),
        lambda code_size: nn.Sequential(
            nn.Linear(code_size, 64), nn.Unflatten(1, (8, 8))
        ),
        output_activation="sigmoid",
    )
    autoencoder = AutoencoderTransformer(
        6, architecture=architecture, max_epochs=60, lr=1e-2, random_state=0
    ).fit(images)
    assert autoencoder.predict(images).shape == images.shape
    assert autoencoder.score(images) > 0.4


def test_building_leaves_running_statistics_alone() -> None:
    encoder = nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2))
    network = Custom(encoder, nn.Linear(2, 4)).build((4,), None)
    (norm,) = (m for m in network.modules() if isinstance(m, nn.BatchNorm1d))
    assert norm.num_batches_tracked.item() == 0
    assert norm.training


def test_batch_norm_and_dropout_of_the_users_own_are_off_after_fit(
    images: np.ndarray,
) -> None:
    X = images.reshape(len(images), -1)
    architecture = Custom(
        lambda: nn.Sequential(nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Dropout(0.5)),
        lambda: nn.Linear(8, 64),
    )
    autoencoder = AutoencoderTransformer(
        architecture=architecture, max_epochs=1, random_state=0
    ).fit(X)
    np.testing.assert_array_equal(
        autoencoder.transform(X)[:3], autoencoder.transform(X[:3])
    )


@pytest.mark.parametrize(
    ("encoder", "decoder", "message"),
    [
        (
            lambda: nn.Linear(5, 2),
            lambda: nn.Linear(2, 4),
            "encoder of Custom does not",
        ),
        (
            lambda: nn.Linear(4, 2),
            lambda: nn.Linear(3, 4),
            "decoder of Custom does not",
        ),
        (lambda: nn.Linear(4, 2), lambda: nn.Linear(2, 5), "wrong shape.*5.*4"),
        (lambda: nn.Flatten(0), lambda: nn.Linear(2, 4), "one row for each sample"),
        (lambda: Pair(), lambda: nn.Linear(4, 4), "must return a tensor"),
    ],
)
def test_modules_that_do_not_fit_are_named(
    encoder: Any, decoder: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Custom(encoder, decoder).build((4,), 2)


def test_a_factory_that_makes_no_module_is_an_error() -> None:
    with pytest.raises(TypeError, match=r"decoder of Custom.*returned int"):
        Custom(nn.Linear(4, 2), lambda: 3).build((4,), 2)


@pytest.mark.parametrize("encoder", ["linear", None, 3])
def test_what_is_neither_module_nor_callable_is_an_error(encoder: Any) -> None:
    with pytest.raises(ValueError, match="'encoder' parameter of Custom"):
        Custom(encoder, nn.Linear(2, 4)).build((4,), 2)


def test_factories_survive_clone() -> None:
    architecture = Custom(Encoder, functools.partial(Decoder, 6))
    twin = clone(architecture)
    assert twin.encoder is Encoder
    assert twin.build((6,), 2)(torch.rand(2, 6)).shape == (2, 6)


class Transposed(nn.Module):
    """A decoder that has its matrix from the encoder."""

    def __init__(self, encoder: nn.Linear) -> None:
        super().__init__()
        self.encoder = encoder
        self.bias = nn.Parameter(torch.zeros(encoder.in_features))

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(codes, self.encoder.weight.t(), self.bias)


def test_what_the_modules_share_stays_shared() -> None:
    encoder = nn.Linear(64, 4)
    estimator = AutoencoderTransformer(
        4,
        architecture=Custom(encoder, Transposed(encoder)),
        max_epochs=2,
        random_state=0,
    )
    network = clone(estimator).fit(ROWS[:100]).net_.module_
    assert network.encoder.weight is network.decoder.encoder.weight
    assert network.encoder is not encoder
    assert sum(p.numel() for p in network.parameters()) == 64 * 4 + 4 + 64


def test_modules_without_a_weight_to_learn() -> None:
    frozen = nn.Linear(64, 4), nn.Linear(4, 64)
    architecture = Custom(*(module.requires_grad_(False) for module in frozen))
    with pytest.raises(ValueError, match="no weights to learn"):
        AutoencoderTransformer(4, architecture=architecture).fit(ROWS[:100])
