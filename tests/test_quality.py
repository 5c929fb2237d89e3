"""The networks are better than PCA, from any seed, and never collapse."""

from __future__ import annotations

import functools
from itertools import product
from typing import Any

import pytest
from helpers import (
    IMAGES,
    ROWS,
    Recorder,
    noise,
    tiny_conv,
    tiny_dense,
)
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score

from skautoencoder import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAESampler,
)
from skautoencoder.architectures import Dense


@functools.cache
def pca_held_out(n_components: int) -> float:
    train, test = ROWS[:1300], ROWS[1300:]
    pca = PCA(n_components).fit(train)
    return r2_score(
        test,
        pca.inverse_transform(pca.transform(test)),
        multioutput="variance_weighted",
    )


@pytest.mark.parametrize(("seed", "scale"), [(0, 1), (1, 16)])
def test_dense_beats_pca_on_images_not_seen(seed: int, scale: int) -> None:
    estimator = AutoencoderTransformer(8, max_epochs=8, random_state=seed)
    estimator.fit(scale * ROWS[:1300])
    assert estimator.score(scale * ROWS[1300:]) > pca_held_out(8) + 0.02


def test_conv_beats_pca_on_images_not_seen() -> None:
    estimator = ConvAutoencoderTransformer(
        8, channels=(16, 32), lr=0.01, max_epochs=4, random_state=0
    )
    estimator.fit(IMAGES[:1300])
    assert estimator.score(IMAGES[1300:]) > pca_held_out(8) + 0.02


@pytest.mark.parametrize(
    ("make", "loss", "optimizer"),
    [
        *product([tiny_dense], ["mse", "l1", "bce"], ["adam", "sgd"]),
        *(
            (tiny_conv, *both)
            for both in [("mse", "adam"), ("l1", "sgd"), ("bce", "sgd")]
        ),
    ],
)
def test_no_choice_collapses(make: Any, loss: str, optimizer: str) -> None:
    network = (
        {"architecture": Dense((32,), activation="relu")}
        if make is tiny_dense
        else {"channels": (8, 4), "activation": "relu", "batch_norm": False}
    )
    if optimizer == "sgd":
        network |= {"lr": 0.5, "optimizer__momentum": 0.9}
    else:
        network |= {"lr": 1e-2}
    estimator = make(10, loss=loss, optimizer=optimizer, max_epochs=10, **network)
    estimator.fit(ROWS[:300])
    # Absolute errors draw to the median, and plain descent is slow.
    floor = pca_held_out(1) if (loss, optimizer) == ("mse", "adam") else 0.0
    assert estimator.score(ROWS[1300:]) > floor
    assert estimator.predict(ROWS[1300:]).std(axis=0).max() > 0.02


@pytest.mark.parametrize(
    ("make", "n_steps"),
    [
        (AutoencoderImputer, 1400),
        (AutoencoderOutlierDetector, 500),
        (AutoencoderTransformer, 1400),
        (ConvAutoencoderTransformer, 1400),
        (DenoisingAutoencoder, 1400),
        (VAESampler, 1500),
    ],
)
def test_digits_take_few_steps(make: Any, n_steps: int) -> None:
    def plan(side: int) -> tuple[int, int]:
        starts = StopsAtStart([])
        with pytest.raises(Started):
            make(callbacks=[starts]).fit(noise(1797, side, side))
        return starts.said[0]

    batch_size, max_epochs = plan(8)
    assert batch_size == 64
    assert max_epochs * 1797 / batch_size == pytest.approx(n_steps, rel=0.05)
    assert plan(9)[0] == 32


class Started(Exception):
    pass


class StopsAtStart(Recorder):
    """Says how long a fit is going to be, and ends it."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.said.append((net.batch_size, net.max_epochs))
        raise Started
