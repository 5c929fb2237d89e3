"""Parameters that the data, or other parameters, do not allow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import (
    BOTH,
    assert_same_weights,
    tiny_conv,
    tiny_dense,
    unchanged,
)
from refusals import X, assert_fit_refuses, either
from sklearn.model_selection import learning_curve

from skautoencoder.architectures import Dense


@either
@pytest.mark.parametrize("shift", [-0.5, 0.5])
def test_bce_wants_data_between_0_and_1(make: Any, shift: float) -> None:
    assert_fit_refuses(
        make,
        X + shift,
        ValueError,
        "loss='bce'",
        "[0, 1]",
        f"from {X.min() + shift:.6g} to {X.max() + shift:.6g}",
        "MinMaxScaler",
        "loss='mse'",
        loss="bce",
    )


@either
def test_bce_wants_data_between_0_and_1_in_partial_fit_too(make: Any) -> None:
    estimator = make(loss="bce").partial_fit(X)
    with unchanged(estimator, X), pytest.raises(ValueError, match="loss='bce'.*0, 1"):
        estimator.partial_fit(X * 3)


@either
def test_bce_wants_data_between_0_and_1_in_a_warm_start_too(make: Any) -> None:
    estimator = make(loss="bce", warm_start=True).fit(X)
    with unchanged(estimator, X), pytest.raises(ValueError, match="loss='bce'.*0, 1"):
        estimator.fit(X * 3)


def test_bce_takes_the_rounding_of_a_min_max_scaler() -> None:
    tiny_dense(loss="bce").fit(X * (1 + 1e-15))


@pytest.mark.parametrize("make", BOTH)
def test_bce_needs_an_output_between_0_and_1(make: Any) -> None:
    if make is tiny_dense:
        params: dict[str, Any] = {
            "architecture": Dense((4,), output_activation="identity")
        }
    else:
        params = {"output_activation": "identity"}
    assert_fit_refuses(
        make,
        X,
        ValueError,
        "loss='bce'",
        "output_activation",
        "'sigmoid' or 'auto'",
        "'identity'",
        loss="bce",
        **params,
    )


def test_a_sigmoid_output_wants_data_between_0_and_1() -> None:
    assert_fit_refuses(
        tiny_conv,
        X * 2,
        ValueError,
        "sigmoid output",
        "[0, 1]",
        "from 0 to 2",
        output_activation="sigmoid",
    )


@either
def test_batch_size_larger_than_the_data(make: Any) -> None:
    whole = make(batch_size=60).fit(X)
    clipped = make(batch_size=61)
    with pytest.warns(UserWarning, match="batch_size=61 .* 60, .*batch_size='auto'"):
        clipped.fit(X)
    assert_same_weights(clipped, whole)
    # Later parts may be larger.
    parts = make(batch_size=61).partial_fit(X[:20])
    assert parts.net_.batch_size == 61


def test_a_learning_curve_begins_with_few_rows() -> None:
    with pytest.warns(UserWarning, match="batch_size=30 .* 20, "):
        sizes, _, scores = learning_curve(
            tiny_dense(batch_size=30), X, None, train_sizes=[20, 40], cv=3
        )
    assert sizes.tolist() == [20, 40]
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    ("make", "params", "message"),
    [
        (
            tiny_dense,
            {"code_size": 10**12},
            r"2\.5e\+13 weights, 1\.2e\+13 .*\(1000000000000, 12\).*code_size \(now",
        ),
        (
            tiny_conv,
            {"code_size": 10**12},
            r"weights, .*code_size \(now 1000000000000\)",
        ),
        (tiny_conv, {"channels": (10**12, 4)}, "sizes of the architecture's layers"),
        (tiny_dense, {"code_size": 10**20}, "too large for the memory"),
    ],
)
def test_a_network_too_large_for_memory(
    make: Any, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make(**params).fit(X)


def test_a_batch_of_one_row_cannot_be_normalised() -> None:
    assert_fit_refuses(
        tiny_dense,
        X,
        ValueError,
        "batch_size",
        batch_size=1,
        architecture=Dense((4,), batch_norm=True),
    )
    # Without batch normalisation one row is a batch.
    tiny_dense(batch_size=1, max_epochs=1).fit(X)


def test_two_rows_are_too_few_to_validate_on_one_and_normalise_the_other() -> None:
    estimator = tiny_dense(
        early_stopping=True, architecture=Dense((4,), batch_norm=True)
    )
    with pytest.raises(ValueError, match="1 rows to train on.*batch_norm=False"):
        estimator.fit(X[:2])


@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.95, 0.99])
def test_any_validation_fraction_leaves_rows_on_both_sides(fraction: float) -> None:
    estimator = tiny_dense(early_stopping=True, validation_fraction=fraction)
    estimator.fit(X[:10])
    assert np.isfinite(estimator.history_[:, ("train_loss", "valid_loss")]).all()
