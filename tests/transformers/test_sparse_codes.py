"""Sparse and contractive codes do what they promise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers import BOTH, IMAGES, ROWS, assert_same_weights, tiny_conv, tiny_dense
from torch import nn
from torch.autograd.functional import jacobian

from skautoencoder import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
)
from skautoencoder.architectures import Conv, Custom, Dense

X, X_TEST = ROWS[:300], ROWS[1300:]

either = pytest.mark.parametrize("make", BOTH)

# ---- top-k ----


@pytest.mark.parametrize(
    ("make", "n_kept"),
    [*((tiny_dense, n) for n in (1, 3, 8, np.int64(5))), (tiny_conv, 3)],
)
def test_codes_have_exactly_k_nonzeros(make: Any, n_kept: int) -> None:
    estimator = make(8, sparsity="top_k", n_nonzero_coefs=n_kept).fit(X)
    for rows in (X, X_TEST):
        codes = estimator.transform(rows)
        assert ((codes != 0).sum(axis=1) == n_kept).all()


@pytest.mark.parametrize(
    "architecture",
    [
        Dense((), tied_weights=True),
        Dense((16,), batch_norm=True),
        Conv((3, 4)),
        Custom(lambda: nn.Linear(64, 30), lambda: nn.Linear(30, 64)),
    ],
    ids=lambda x: type(x).__name__,
)
@pytest.mark.parametrize("kind", [AutoencoderTransformer, DenoisingAutoencoder])
def test_with_every_architecture(kind: Any, architecture: Any) -> None:
    estimator = kind(
        code_size=30, architecture=architecture, sparsity="top_k", max_epochs=2
    ).fit(X)
    codes = estimator.transform(X_TEST)
    # None is a tenth.
    assert ((codes != 0).sum(axis=1) == 3).all()
    np.testing.assert_allclose(
        estimator.inverse_transform(codes), estimator.predict(X_TEST), atol=1e-5
    )


def test_the_spatial_map_can_be_sparse() -> None:
    estimator = tiny_conv(None, sparsity="top_k", n_nonzero_coefs=5).fit(IMAGES[:100])
    assert estimator.code_size_ == 4 * 2 * 2
    assert ((estimator.transform(IMAGES[100:200]) != 0).sum(axis=1) == 5).all()


def test_a_row_has_the_same_code_among_any_rows() -> None:
    estimator = tiny_dense(20, sparsity="top_k").fit(X)
    codes = estimator.transform(X_TEST)
    np.testing.assert_array_equal(estimator.transform(X_TEST[5:6]), codes[5:6])
    np.testing.assert_array_equal(estimator.transform(X_TEST[::-1]), codes[::-1])


def test_more_numbers_than_a_code_has() -> None:
    estimator = tiny_dense(4, sparsity="top_k", n_nonzero_coefs=5)
    with pytest.raises(ValueError, match="n_nonzero_coefs=5 is more than the 4 num"):
        estimator.fit(X)
    # Without top-k it has no meaning, so it is not looked at.
    estimator.set_params(sparsity="l1").fit(X)


def test_the_units_share_the_work() -> None:
    few_steps = {"max_epochs": 20, "batch_size": 64, "lr": 1e-2, "random_state": 0}
    estimator = AutoencoderTransformer(
        100,
        architecture=Dense(()),
        sparsity="top_k",
        n_nonzero_coefs=10,
        **few_steps,
    ).fit(ROWS[:600])
    uses = (estimator.transform(ROWS[:600]) != 0).mean(axis=0)
    assert (uses > 0.005).mean() > 0.95, "few units are dead"
    # A code of 10 of 100 numbers says more than one of 10 numbers.
    short = AutoencoderTransformer(10, architecture=Dense(()), **few_steps)
    short.fit(ROWS[:600])
    assert estimator.score(X_TEST) > short.score(X_TEST) + 0.02


# ---- l1 and kl ----


def test_the_auto_weight() -> None:
    for sparsity, weight in {"l1": 1e-4, "kl": 0.1}.items():
        by_name = tiny_dense(sparsity=sparsity).fit(X)
        by_number = tiny_dense(sparsity=sparsity, sparsity_weight=weight).fit(X)
        assert_same_weights(by_name, by_number)


@pytest.mark.parametrize(
    ("architecture", "target"), [(Dense(()), 0.05), (Dense((64,)), 0.2)], ids=str
)
def test_the_kl_target_is_met(architecture: Any, target: float) -> None:
    estimator = AutoencoderTransformer(
        32,
        architecture=architecture,
        sparsity="kl",
        sparsity_target=target,
        max_epochs=20,
        lr=3e-2,
        random_state=0,
    ).fit(ROWS[:400])
    activity = estimator.transform(X_TEST).mean(axis=0)
    assert activity.mean() == pytest.approx(target, rel=0.2)
    assert np.median(activity) == pytest.approx(target, rel=0.2)


def test_the_kl_target_is_met_by_spatial_maps() -> None:
    estimator = ConvAutoencoderTransformer(
        None,
        channels=(8, 16),
        sample_shape=(8, 8),
        sparsity="kl",
        sparsity_target=0.1,
        max_epochs=10,
        lr=1e-2,
        random_state=0,
    ).fit(ROWS[:400])
    codes = estimator.transform(X_TEST)
    assert codes.mean() == pytest.approx(0.1, rel=0.2)
    # Units that say something, not the same of every row.
    assert codes.std(axis=0).max() > 0.02
    assert estimator.score(X_TEST) > 0.6


def test_modules_of_the_user_keep_their_weights() -> None:
    """A sigmoid code starts at the target, but not by changing given weights."""
    encoder = nn.Sequential(nn.Linear(64, 5), nn.Sigmoid())
    estimator = tiny_dense(
        architecture=Custom(encoder, nn.Linear(5, 64)),
        sparsity="kl",
        max_epochs=1,
        lr=1e-9,
    ).fit(X)
    fitted = estimator.net_.module_.encoder[0].bias
    torch.testing.assert_close(fitted, encoder[0].bias)


# ---- contraction ----


def mean_norm(estimator: Any, rows: np.ndarray) -> float:
    shown = estimator.trained_network.scaling.to_network(rows)
    whole = jacobian(estimator.net_.module_.encode, shown)
    return float(whole.square().sum() / len(rows))


@pytest.mark.parametrize(
    ("architecture", "scale"),
    [
        (Dense((), code_activation="sigmoid"), 1),
        (Dense((24,)), 16),
        (Dense((24,), activation="relu", batch_norm=True), 1),
        (
            Conv(
                (3, 4), activation="elu", downsampling="max_pool", upsampling="nearest"
            ),
            16,
        ),
    ],
    ids=str,
)
def test_contraction_makes_codes_change_less(architecture: Any, scale: float) -> None:
    norms = []
    for weight in (0.0, 0.1):
        estimator = AutoencoderTransformer(
            6,
            architecture=architecture,
            contraction_weight=weight,
            max_epochs=4,
            lr=1e-2,
            random_state=0,
        ).fit(scale * X[:150])
        norms.append(mean_norm(estimator, scale * X_TEST[:20]))
    assert norms[1] < 0.7 * norms[0]
    assert estimator.transform(scale * X_TEST).std() > 0


def test_the_best_epoch_is_judged_with_the_penalty() -> None:
    plain = tiny_dense(early_stopping=True).fit(X)
    penalised = tiny_dense(early_stopping=True, contraction_weight=0.1).fit(X)
    assert penalised.history_[0]["valid_loss"] > plain.history_[0]["valid_loss"]


@either
def test_contraction_in_reduced_precision(make: Any) -> None:
    estimator = make(
        contraction_weight=1e-3, precision="bfloat16", max_epochs=4, lr=1e-2
    )
    assert estimator.fit(X).score(X_TEST) > 0


@either
def test_contraction_follows_the_seed(make: Any) -> None:
    params = {"contraction_weight": 0.01, "early_stopping": True, "max_epochs": 2}
    assert_same_weights(make(**params).fit(X[:100]), make(**params).fit(X[:100]))
