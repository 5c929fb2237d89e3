"""Fits that run, but hardly learn what the user wants, say so once."""

from __future__ import annotations

import gc
import warnings
import weakref
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import IMAGES, ROWS, noise, tiny_conv, tiny_dense
from sklearn.base import clone
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_linnerud,
    load_wine,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from torch import nn

from skautoencoder import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    DenoisingAutoencoder,
    VAESampler,
)
from skautoencoder._estimator.fit_warnings import warn_of_units
from skautoencoder.architectures import Conv, Conv1d, Custom, Dense, Recurrent
from skautoencoder.model_selection import AutoencoderSearchCV

QUICK: dict[str, Any] = {
    "architecture": Dense((4,)),
    "max_epochs": 1,
    "random_state": 0,
}


def said(estimator: Any, X: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator.fit(X)
    return [str(warning.message) for warning in caught]


LARGE_BATCH = tiny_dense(max_epochs=1, batch_size=1000)
LARGE_CONV = tiny_conv(max_epochs=1, batch_size=1000)
GRID = {"code_size": [1, 2]}
WITHOUT_A_COLUMN = np.where(np.arange(5) == 2, np.nan, noise(40, 5))


@pytest.mark.parametrize(
    "ask",
    [
        lambda: LARGE_BATCH.fit(ROWS[:50]),
        lambda: make_pipeline(MinMaxScaler(), LARGE_BATCH).fit(ROWS[:50]),
        lambda: GridSearchCV(LARGE_BATCH, GRID, cv=2).fit(ROWS[:50]),
        lambda: AutoencoderSearchCV(LARGE_BATCH, GRID, cv=2).fit(ROWS[:50]),
        lambda: AutoencoderSearchCV(LARGE_CONV, GRID, cv=2).fit(noise(10, 8, 8, 3)),
        lambda: tiny_dense(max_epochs=1).fit(ROWS[:50], ROWS[50:100]),
        lambda: tiny_dense(9, max_epochs=1).fit(noise(40, 9)),
        lambda: tiny_dense(max_epochs=3, lr=1e3).fit(ROWS[:50]),
        lambda: tiny_conv(max_epochs=1).fit(noise(10, 8, 8, 3)),
        lambda: (
            AutoencoderImputer(**QUICK).fit(WITHOUT_A_COLUMN).transform(noise(3, 5))
        ),
        lambda: VAESampler(**QUICK).fit(pd.DataFrame({"name": map(str, range(200))})),
    ],
    ids=[
        *("a fit", "a pipeline", "a search", "trained at once", "trained alone"),
        *("y", "codes", "divergence", "images"),
        *("columns", "identifiers"),
    ],
)
def test_they_name_the_users_line(ask: Any) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ask()
    assert {warning.filename for warning in caught} == {__file__}


def test_they_do_not_keep_the_users_variables_alive() -> None:
    def fit() -> weakref.ref[Any]:
        samples = ROWS[:50].copy()
        with pytest.warns(UserWarning, match="batch_size"):
            clone(LARGE_BATCH).fit(samples)
        return weakref.ref(samples)

    gc.collect()
    gc.disable()  # what only refers to itself is alive until it collects
    try:
        assert fit()() is None
    finally:
        gc.enable()


# ---- units -------------------------------------------------------------------


@pytest.mark.parametrize("make", [tiny_dense, lambda: DenoisingAutoencoder(**QUICK)])
@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
def test_features_in_very_different_units(make: Any, load: Any) -> None:
    X = load().data
    (message,) = said(make(), X)
    assert f"Feature {X.var(axis=0).argmax()} has" in message
    assert "StandardScaler" in message
    assert said(make(), StandardScaler().fit_transform(X)) == []


@pytest.mark.parametrize("unit", [1e-150, 1e300])
def test_units_of_values_whose_squares_are_no_numbers(unit: float) -> None:
    X = load_wine().data
    with pytest.warns(UserWarning, match="Feature 12 has 1.5e\\+05 times"):
        warn_of_units(X * unit)
    X[:, 0] = 1e-160  # of no weight beside the others
    with pytest.warns(UserWarning, match="Feature 12 has"):
        warn_of_units(X * unit)


def test_a_feature_is_named_and_told_of_once() -> None:
    frame = load_wine(as_frame=True).data
    with pytest.warns(UserWarning, match="Feature 'proline' has 1.5e\\+05 times"):
        estimator = tiny_dense().partial_fit(frame)
    estimator.partial_fit(frame)
    tiny_dense(warm_start=True).set_params(max_epochs=1)
    assert said(estimator.set_params(warm_start=True), frame) == []


@pytest.mark.parametrize(
    "X",
    [
        load_iris().data,
        load_digits().data[:200],
        load_diabetes().data,
        load_diabetes(scaled=False).data,
        load_linnerud().data,
        noise(50, 5) * [1, 2, 5, 10, 50],
        noise(50, 5) * [0, 1, 1, 1, 1] + 1e4,
        np.ones((10, 3)),
    ],
    ids=str,
)
def test_units_that_are_alike(X: Any) -> None:
    assert said(tiny_dense(1, max_epochs=20), X) == []


SEQUENCES = noise(60, 12, 2).astype(np.float32)


@pytest.mark.parametrize(
    ("make", "X", "units"),
    [
        (lambda: tiny_dense(architecture=Conv1d((2,))), SEQUENCES, [1, 1e3]),
        (lambda: tiny_dense(architecture=Recurrent()), SEQUENCES, [1, 1e3]),
        (
            lambda: tiny_dense(architecture=Conv1d((2,))),
            [one[: 6 + i % 6] for i, one in enumerate(SEQUENCES)],
            [1, 1e3],
        ),
        (tiny_conv, noise(30, 2, 8, 8), [[[1]], [[1e3]]]),
        (
            lambda: DenoisingAutoencoder(**{**QUICK, "architecture": Conv((2,))}),
            noise(30, 2, 8, 8),
            [[[1]], [[1e3]]],
        ),
    ],
    ids=["conv1d", "recurrent", "lengths", "images", "denoiser"],
)
def test_channels_in_very_different_units(make: Any, X: Any, units: Any) -> None:
    assert said(make(), X) == []
    (message,) = said(make(), [one * np.array(units) for one in X])
    assert "units: Channel 1 has" in message
    assert "Divide each channel by its standard deviation" in message


def test_detectors_have_a_unit_for_each_feature() -> None:
    assert said(AutoencoderOutlierDetector(**QUICK), load_wine().data) == []


# ---- codes -------------------------------------------------------------------


@pytest.mark.parametrize("code_size", [5, 6])
def test_codes_with_room_for_a_copy(code_size: int) -> None:
    (message,) = said(tiny_dense(code_size, max_epochs=20), noise(30, 5))
    assert f"code_size={code_size} is not below the number of features, 5" in message


def test_networks_that_choose_the_size_of_their_codes() -> None:
    torch.manual_seed(0)  # for weights that soon are better than the mean
    custom = Custom(nn.Linear(5, 6), nn.Linear(6, 5))
    estimator = tiny_dense(None, architecture=custom, max_epochs=50)
    (message,) = said(estimator, noise(30, 5))
    assert "code_size=6 is not below the number of features, 5" in message
    images = IMAGES[:40].reshape(-1, 8, 8)
    (message,) = said(tiny_dense(None, architecture=Conv((8,))), images)
    assert "code_size=128 is not below the number of features, 64" in message


def test_codes_that_are_meant_to_be_long_or_are_short() -> None:
    X = noise(30, 5)
    assert said(tiny_dense(4), X) == []
    assert said(tiny_dense(8, sparsity="top_k"), X) == []
    assert said(tiny_dense(8, sparsity="l1"), X) == []
    assert said(tiny_dense(8, contraction_weight=0.1), X) == []
    assert said(DenoisingAutoencoder(code_size=8, **QUICK), X) == []
    assert said(DenoisingAutoencoder(**QUICK), X) == []
    assert said(tiny_conv(None), IMAGES[:40]) == []


# ---- losses ------------------------------------------------------------------


@pytest.mark.parametrize(
    "estimator",
    [
        tiny_dense(lr=10, max_epochs=20),
        tiny_dense(lr=1000, max_epochs=20, loss="l1"),
        DenoisingAutoencoder(lr=10, code_size=4, **{**QUICK, "max_epochs": 20}),
        AutoencoderOutlierDetector(lr=100, **{**QUICK, "max_epochs": 20}),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_a_fit_that_ends_worse_than_the_mean(estimator: Any) -> None:
    (message,) = said(estimator, noise(200, 10))
    assert "worse than the mean of X" in message
    assert "Lower lr" in message
    scales = isinstance(estimator, AutoencoderOutlierDetector)
    assert ("StandardScaler" in message) is not scales


def holed_images(scale: float) -> Any:
    random = np.random.RandomState(0)
    images = scale * IMAGES[:60].reshape(60, 8, 8)
    return np.where(random.rand(*images.shape) < 0.2, np.nan, images)


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_an_imputer_of_images_that_ends_worse_than_the_mean(scale: float) -> None:
    how: dict[str, Any] = {"architecture": Conv((2,)), "random_state": 0}
    X = holed_images(scale)
    assert said(AutoencoderImputer(max_epochs=1, **how), X) == []
    (message,) = said(AutoencoderImputer(max_epochs=2, lr=100, **how), X)
    assert "worse than the mean of X" in message
    assert "StandardScaler" not in message  # which takes no images


def test_an_imputer_of_tables_believes_no_network_that_diverges() -> None:
    table = np.where(np.random.RandomState(0).rand(60, 4) < 0.2, np.nan, noise(60, 4))
    imputer = AutoencoderImputer(**QUICK).set_params(lr=10)
    assert said(imputer, table) == []
    assert imputer.weights_["network"] < 0.01


@pytest.mark.parametrize(
    "X",
    [noise(100, 4), load_wine(as_frame=True).frame[:100].assign(kind=list("ab") * 50)]
    + [scale * IMAGES[:60].reshape(60, 8, 8) for scale in (1.0, 100.0)],
    ids=["numbers", "mixed", "pixels", "images"],
)
def test_a_sampler_that_ends_worse_than_the_mean(X: Any) -> None:
    how: dict[str, Any] = {"random_state": 0, "prior": "normal", "code_size": 2}
    lr = 1
    if X.ndim == 3:
        how["architecture"], lr = Conv((8,)), 30
    assert said(VAESampler(max_epochs=30, **how), X) == []
    (message,) = said(VAESampler(max_epochs=1, lr=lr, **how), X)
    assert "worse than the mean of X" in message
    assert "scale" not in message  # it does so itself


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_sampler_whose_codes_explode(seed: int) -> None:
    # It reconstructs well, but from codes that are far from any that are drawn.
    images = IMAGES[:200].reshape(200, 8, 8)
    how: dict[str, Any] = {"architecture": Conv((8,)), "prior": "normal"}
    sampler = VAESampler(max_epochs=10, lr=10, random_state=seed, **how)
    (message,) = said(sampler, images)
    assert "worse than the mean of X" in message
    share = float(message.partition("its loss is ")[2].split(",")[0])
    assert sampler.history_[-1, "train_kl"] > 0.5 * share


def test_the_mean_of_levels_is_their_shares() -> None:
    table = pd.DataFrame({"level": ["a"] * 19 + ["b"], "other": list("cd") * 10})
    sampler = VAESampler(prior="normal", lr=1e-9, **QUICK)
    with pytest.warns(ConvergenceWarning) as caught:
        sampler.fit(pd.concat([table] * 5, ignore_index=True))
    entropies = -sum(p * np.log(p) for p in (0.95, 0.05, 0.5, 0.5))
    assert f"that of the mean {entropies:.3g}." in str(caught[0].message)


@pytest.mark.parametrize("size", [8, 64])
def test_a_stream_that_diverges(size: int) -> None:
    X = noise(2 * size, 10)
    estimator = tiny_dense(lr=10).partial_fit(X[:2])
    with pytest.warns(ConvergenceWarning, match="worse than the mean of X"):
        estimator.partial_fit(X[:size])


@pytest.mark.parametrize(
    ("make", "size"), [(tiny_dense, 2), (tiny_dense, 60), (tiny_conv, 2)]
)
def test_parts_of_a_stream_may_be_few_rows_unlike_each_other(
    make: Any, size: int
) -> None:
    X = load_iris().data  # sorted by class
    estimator = make()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for start in range(0, len(X), size):
            estimator.partial_fit(X[start : start + size])


@pytest.mark.parametrize(
    ("make", "X", "seed"),
    [
        (tiny_dense, noise(40, 9), 0),
        (tiny_dense, noise(6, 9), 1),
        (tiny_dense, ROWS[:5], 2),
        (tiny_dense, np.ones((4, 9)), 0),
        (tiny_dense, noise(100, 9) > 2, 1),
        (tiny_conv, noise(20, 9), 0),
        (tiny_conv, ROWS[:5], 2),
    ],
)
def test_fits_of_noise_are_as_good_as_the_mean(make: Any, X: Any, seed: int) -> None:
    params = {"max_epochs": 30, "random_state": seed}
    assert said(make(**params), X) == []
    assert said(make(sparsity="kl", sparsity_weight=50.0, **params), X) == []


def test_frames_without_names_are_numbered() -> None:
    frame = pd.DataFrame(load_wine().data)
    (message,) = said(tiny_dense(), frame)
    assert "Feature 12 has" in message
