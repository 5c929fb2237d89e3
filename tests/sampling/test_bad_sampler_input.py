"""Parameters and data that the sampler refuses, and in which words."""

from __future__ import annotations

import copy
import functools
from typing import Any

import numpy as np
import pytest
import torch
from helpers import IMAGES, assert_same_weights, noise, weights_of
from refusals import INVALID_IN_TRAINING
from sampler_refusals import X, assert_fit_refuses, fitted_once, tiny, unchanged
from sklearn.utils._param_validation import InvalidParameterError

from skautoencoder import VAESampler
from skautoencoder.architectures import Dense

# Every parameter of the constructor is here, with values that it must refuse.
INVALID: dict[str, list[Any]] = {
    "code_size": [0, -1, 2.5, "big", None, True],
    "architecture": ["denes", None, 3, Dense],
    "sample_shape": [64, "8x8"],
    "likelihood": ["normal", None, 1],
    "variance": ["each", None, 1.0],
    "beta": [-0.1, "small", None, np.inf, np.nan],
    "kl_warm_up": [-0.1, 1.1, "half", None, np.nan],
    "prior": ["gaussian", None, 1],
    "n_importance_samples": [0, -1, 2.5, "many", None],
    "conditional": ["yes", None, 2],
    "categorical_features": ["by_type", 3, True],
    **INVALID_IN_TRAINING,
}


# ---- parameters --------------------------------------------------------------------


def test_every_parameter_has_an_invalid_value_here() -> None:
    assert VAESampler().get_params(deep=False).keys() == INVALID.keys()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(name, value, id=f"{name}={value!r}")
        for name, values in INVALID.items()
        for value in values
    ],
)
def test_invalid_parameter(name: str, value: Any) -> None:
    # Which parameter, and what came; of a list of callbacks, the one that is none.
    came = value[0] if name == "callbacks" and isinstance(value, list) else value
    shown = getattr(came, "__name__", repr(came))
    errors = (InvalidParameterError, ValueError, TypeError)
    # That a fitted sampler is left alone, each parameter of its own shows once.
    is_first = name not in INVALID_IN_TRAINING and value is INVALID[name][0]
    assert_fit_refuses(X, errors, name, shown, also_fitted=is_first, **{name: value})


def test_parameters_that_the_sampler_does_not_have() -> None:
    with pytest.raises((TypeError, ValueError), match="loss"):
        VAESampler(loss="mse")
    with pytest.raises(ValueError, match="sparsity"):
        VAESampler().set_params(sparsity="l1")


@pytest.mark.parametrize("declared", [[99], [-1], ["no such"], [True, False], [[1]]])
def test_categorical_features_that_are_no_columns(declared: Any) -> None:
    assert_fit_refuses(
        X,
        ValueError,
        "categorical_features",
        "'from_dtype'",
        categorical_features=declared,
    )


# ---- data --------------------------------------------------------------------------


@functools.cache
def fitted_with(likelihood: str) -> VAESampler:
    return tiny(likelihood=likelihood).fit(X)


@pytest.mark.parametrize("shift", [-0.5, 0.5])
def test_bernoulli_wants_data_between_0_and_1(shift: float) -> None:
    assert_fit_refuses(
        X + shift,
        ValueError,
        "likelihood='bernoulli'",
        "[0, 1]",
        f"from {X.min() + shift:.6g} to {X.max() + shift:.6g}",
        "MinMaxScaler(clip=True)",
        "likelihood='gaussian'",
        likelihood="bernoulli",
    )


def test_bernoulli_wants_scored_data_between_0_and_1() -> None:
    sampler = tiny(likelihood="bernoulli").fit(X)
    for bad in (X - 0.1, 2 * X):
        with pytest.raises(ValueError, match=r"'bernoulli' needs data in \[0, 1\]"):
            sampler.score_samples(bad)
        with pytest.raises(ValueError, match=r"'bernoulli' needs data in \[0, 1\]"):
            sampler.score(bad)


def test_bernoulli_that_the_first_rows_chose() -> None:
    sampler = tiny(warm_start=True).fit(IMAGES[:20])
    with pytest.raises(ValueError, match="'auto' takes it where the first rows lie"):
        sampler.fit(2 * IMAGES[:20])


def test_bernoulli_wants_data_between_0_and_1_in_a_warm_start_too() -> None:
    sampler = tiny(likelihood="bernoulli", warm_start=True).fit(X)
    with unchanged(sampler, X), pytest.raises(ValueError, match=r"\[0, 1\]"):
        sampler.fit(3 * X)


def test_bernoulli_takes_the_rounding_of_a_min_max_scaler() -> None:
    sampler = tiny(likelihood="bernoulli").fit(X * (1 + 1e-15))
    assert np.isfinite(sampler.score_samples(X * (1 + 1e-15))).all()


@pytest.mark.parametrize("likelihood", ["auto", "gaussian", "bernoulli"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite(bad: float, likelihood: str) -> None:
    holed = X.copy()
    holed[3, 4] = bad
    assert_fit_refuses(holed, ValueError, likelihood=likelihood)
    sampler = fitted_with(likelihood)
    for ask in (sampler.score_samples, sampler.transform, sampler.predict):
        with pytest.raises(ValueError, match="NaN|infinit|missing"):
            ask(holed)


@pytest.mark.parametrize("likelihood", ["auto", "gaussian"])
def test_another_number_of_features(likelihood: str) -> None:
    sampler = fitted_with(likelihood)
    for ask in (sampler.score_samples, sampler.transform, sampler.predict):
        with pytest.raises(ValueError, match="63 features, but VAESampler is exp"):
            ask(X[:, :63])


@pytest.mark.parametrize("rows", [X[:0], X[:1]], ids=["none", "one"])
def test_too_few_rows(rows: np.ndarray) -> None:
    assert_fit_refuses(rows, ValueError, f"{len(rows)} sample(s)", "minimum of 2")


def test_batch_size_larger_than_the_data() -> None:
    with pytest.warns(UserWarning, match=r"batch_size=61.*60.*clipped"):
        clipped = tiny(batch_size=61).fit(X)
    assert_same_weights(clipped, tiny(batch_size=60).fit(X))


def test_sample_shape_of_another_size() -> None:
    assert_fit_refuses(X, ValueError, "sample_shape=(9, 9)", sample_shape=(9, 9))


def test_training_that_diverges() -> None:
    with np.errstate(all="ignore"):
        assert_fit_refuses(
            noise(60, 64),
            ValueError,
            "diverged",
            "Lower lr",
            lr=1e9,
            optimizer="sgd",
            lr_schedule="constant",
            likelihood="gaussian",
            max_epochs=8,
        )


# ---- classes -----------------------------------------------------------------------


def test_classes_that_fit_is_not_given() -> None:
    assert_fit_refuses(
        X, ValueError, "requires y to be passed", "conditional=False", conditional=True
    )


def test_a_target_that_is_no_class() -> None:
    assert_fit_refuses(X, ValueError, "continuous", y=X[:, 3] / 7, conditional=True)


def test_classes_of_another_number_of_rows() -> None:
    assert_fit_refuses(
        X, ValueError, "inconsistent numbers", y=np.arange(59) % 2, conditional=True
    )


def test_other_classes_in_a_warm_start() -> None:
    y = np.arange(60) % 2
    sampler = tiny(conditional=True, warm_start=True).fit(X, y)
    weights = copy.deepcopy(weights_of(sampler))
    with pytest.raises(ValueError, match=r"knows the classes \[0, 1\].*\[1, 2\]"):
        sampler.fit(X, y + 1)
    assert sampler.classes_.tolist() == [0, 1]
    for name, weight in weights_of(sampler).items():
        assert torch.equal(weight, weights[name])


def test_classes_where_there_are_none() -> None:
    sampler = fitted_once()
    for ask in (
        lambda: sampler.sample(2, y=0),
        lambda: sampler.score_samples(X, 0),
        lambda: sampler.predict(X, 0),
        lambda: sampler.inverse_transform(sampler.transform(X), 0),
        lambda: sampler.interpolate(X[0], X[1], y=0),
    ):
        with pytest.raises(ValueError, match="does not know classes.*conditional=True"):
            ask()
