"""Parameters and data that the sampler refuses, and in which words."""

from __future__ import annotations

import copy
import functools
from typing import Any

import numpy as np
import pytest
import torch
from helpers import ROWS, noise, weights_of
from refusals import assert_says
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import InvalidParameterError
from torch import nn

from skautoencoder import VAESampler
from skautoencoder.architectures import Conv, Custom, Dense

X = ROWS[:60]

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
    "optimizer": ["adma", None, 3, dict],
    "lr": [0, -1e-3, "fast", None, np.inf, np.nan],
    "lr_schedule": ["one-cycle", None, 1],
    "batch_size": [0, -1, 2.5, "all", None],
    "max_epochs": [0, -1, 2.5, "many", None],
    "early_stopping": ["yes", None, 2],
    "validation_fraction": [0, 1, -0.1, 1.5, "tenth", None],
    "n_iter_no_change": [0, -1, 2.5, None],
    "tol": [-1e-4, "tight", None],
    "warm_start": ["yes", None, 2],
    "callbacks": ["clip", 3, [3], ["clip"]],
    "device": [0, None],
    "precision": ["float16", 32, None],
    "verbose": [-1, "loud", None],
    "random_state": [-1, "seed", 0.5],
}


def tiny(**params: Any) -> VAESampler:
    defaults = {
        "architecture": Dense((8,)),
        "code_size": 2,
        "n_importance_samples": 5,
        "max_epochs": 2,
        "random_state": 0,
    }
    return VAESampler(**{**defaults, **params})


@functools.cache
def _fitted_once() -> VAESampler:
    return tiny().fit(X)


def fitted_once() -> VAESampler:
    return copy.deepcopy(_fitted_once())


class unchanged:
    """Asserts that a block leaves a fitted sampler as it found it."""

    def __init__(self, sampler: VAESampler, X: Any) -> None:
        self.sampler, self.X = sampler, X

    def _answers(self) -> list[Any]:
        # With the parameters of the fit, as those set since may be invalid.
        sampler = copy.deepcopy(self.sampler)
        sampler.set_params(random_state=0, n_importance_samples=5, conditional=False)
        means, deviations = sampler.transform(self.X, return_std=True)
        return [
            means,
            deviations,
            sampler.score_samples(self.X),
            sampler.predict(self.X),
            sampler.sample(5, random_state=0),
        ]

    def __enter__(self) -> None:
        self.attributes = vars(self.sampler).copy()
        self.weights = copy.deepcopy(weights_of(self.sampler))
        self.answers = self._answers()

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if kind is not None:
            return
        now = vars(self.sampler)
        assert now.keys() == self.attributes.keys()
        for name, value in self.attributes.items():
            assert now[name] is value, name
        for name, weight in weights_of(self.sampler).items():
            assert torch.equal(weight, self.weights[name]), name
        for before, after in zip(self.answers, self._answers(), strict=True):
            np.testing.assert_array_equal(before, after)


def assert_fit_refuses(
    data: Any, kind: Any, *words: str, y: Any = None, **params: Any
) -> None:
    """Assert that `fit` raises, and leaves new and fitted samplers alone."""
    fresh = tiny(**params)
    before = vars(fresh).copy()
    with pytest.raises(kind) as caught:
        fresh.fit(data, y)
    assert_says(caught.value, words)
    assert vars(fresh) == before

    fitted = fitted_once().set_params(**params)
    with unchanged(fitted, X), pytest.raises(kind):
        fitted.fit(data, y)


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
    assert_fit_refuses(X, errors, name, shown, **{name: value})


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
    sampler = tiny(likelihood=likelihood).fit(X)
    for ask in (sampler.score_samples, sampler.transform, sampler.predict):
        with pytest.raises(ValueError, match="NaN|infinit|missing"):
            ask(holed)


@pytest.mark.parametrize("likelihood", ["auto", "gaussian"])
def test_another_number_of_features(likelihood: str) -> None:
    sampler = tiny(likelihood=likelihood).fit(X)
    for ask in (sampler.score_samples, sampler.transform, sampler.predict):
        with pytest.raises(ValueError, match="63 features, but VAESampler is exp"):
            ask(X[:, :63])


@pytest.mark.parametrize("rows", [X[:0], X[:1]], ids=["none", "one"])
def test_too_few_rows(rows: np.ndarray) -> None:
    assert_fit_refuses(rows, ValueError, f"{len(rows)} sample(s)", "minimum of 2")


def test_batch_size_larger_than_the_data() -> None:
    assert_fit_refuses(
        X, ValueError, "batch_size=61", "60", "batch_size='auto'", batch_size=61
    )


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
        X, ValueError, "requires y to be passed", "conditional=True", conditional=True
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


# ---- what is asked -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_samples", "kind"),
    [
        (0, ValueError),
        (-1, ValueError),
        (2.5, TypeError),
        ("3", TypeError),
        (None, TypeError),
        (True, TypeError),
        (np.nan, TypeError),
    ],
)
def test_numbers_of_samples_that_are_none(n_samples: Any, kind: Any) -> None:
    with pytest.raises(kind, match="n_samples"):
        fitted_once().sample(n_samples)


def test_numbers_of_samples_of_numpy() -> None:
    assert len(fitted_once().sample(np.int64(3))) == 3


@pytest.mark.parametrize("random_state", [-1, "seed", 0.5])
def test_seeds_that_are_none(random_state: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="(?i)seed"):
        fitted_once().sample(3, random_state=random_state)


@pytest.mark.parametrize(
    ("n_steps", "kind"),
    [(1, ValueError), (0, ValueError), (2.5, TypeError), ("3", TypeError)],
)
def test_interpolation_of_too_few_steps(n_steps: Any, kind: Any) -> None:
    with pytest.raises(kind, match="n_steps"):
        fitted_once().interpolate(X[0], X[1], n_steps)
    assert fitted_once().interpolate(X[0], X[1], 2).shape == (2, 64)


def test_interpolation_between_several_rows() -> None:
    with pytest.raises(ValueError, match="start.*one sample.*2"):
        fitted_once().interpolate(X[:2], X[1])
    with pytest.raises(ValueError, match="stop.*one sample.*3"):
        fitted_once().interpolate(X[0], X[:3])


@pytest.mark.parametrize("width", [1, 3])
def test_codes_of_another_size(width: int) -> None:
    with pytest.raises(ValueError, match=rf"{width} numbers.*code_size_=2"):
        fitted_once().inverse_transform(np.zeros((4, width)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_codes_that_are_not_finite(bad: float) -> None:
    with pytest.raises(ValueError, match="NaN|infinity"):
        fitted_once().inverse_transform(np.full((4, 2), bad))


@pytest.mark.parametrize(
    "ask",
    [
        lambda sampler: sampler.sample(),
        lambda sampler: sampler.score_samples(X),
        lambda sampler: sampler.score(X),
        lambda sampler: sampler.transform(X),
        lambda sampler: sampler.predict(X),
        lambda sampler: sampler.inverse_transform(X[:, :2]),
        lambda sampler: sampler.interpolate(X[0], X[1]),
        lambda sampler: sampler.get_feature_names_out(),
    ],
    ids=(
        "sample score_samples score transform predict inverse_transform interpolate "
        "get_feature_names_out"
    ).split(),
)
def test_before_fit(ask: Any) -> None:
    with pytest.raises(NotFittedError, match="VAESampler instance is not fitted"):
        ask(VAESampler())


# ---- architectures -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "words"),
    [
        (Dense((8,), tied_weights=True), ("tied_weights=True", "Dense")),
        (Dense((8,), code_activation="relu"), ("code_activation='relu'", "Dense")),
        (Dense((8,), code_batch_norm=True), ("code_batch_norm=True", "Dense")),
        (Conv((4,), code_activation="sigmoid"), ("code_activation='sigm", "Conv")),
        (Conv((4, 4), skip_connections=True), ("skip_connections=True",)),
    ],
    ids=["tied", "activation", "batch norm", "conv activation", "skips"],
)
def test_architectures_whose_codes_are_no_distributions(
    architecture: Any, words: tuple[str, ...]
) -> None:
    assert_fit_refuses(X, ValueError, *words, architecture=architecture)


@pytest.mark.parametrize(
    "architecture",
    [
        Dense((8,), output_activation="sigmoid"),
        Conv((4,), output_activation="sigmoid"),
        Custom(nn.Linear(64, 4), nn.Linear(2, 64), output_activation="sigmoid"),
    ],
    ids=["dense", "conv", "custom"],
)
@pytest.mark.parametrize("data", [X, noise(60, 64)], ids=["unit", "normal"])
def test_a_sigmoid_output_is_for_bernoulli(architecture: Any, data: Any) -> None:
    assert_fit_refuses(
        data,
        ValueError,
        "output_activation='sigmoid'",
        "likelihood='bernoulli'",
        "'gaussian'",
        architecture=architecture,
        likelihood="gaussian",
    )


def test_a_sigmoid_output_of_a_table() -> None:
    assert_fit_refuses(
        X,
        ValueError,
        "output_activation='sigmoid'",
        architecture=Dense((8,), output_activation="sigmoid"),
    )


@pytest.mark.parametrize(
    ("encoder", "decoder", "words"),
    [
        (nn.Linear(64, 5), nn.Linear(2, 64), ("two numbers for each unit", "(5,)")),
        (nn.Linear(64, 4), nn.Linear(4, 64), ("decoder", "(n_samples, 2)")),
        (nn.Linear(64, 4), nn.Linear(2, 63), ("decoder", "(63,)", "(64,)")),
        (nn.Linear(63, 4), nn.Linear(2, 64), ("encoder", "(n_samples, 64)")),
    ],
    ids=["odd", "decoder input", "decoder output", "encoder input"],
)
def test_modules_of_the_wrong_shape(
    encoder: nn.Module, decoder: nn.Module, words: tuple[str, ...]
) -> None:
    assert_fit_refuses(X, ValueError, *words, architecture=Custom(encoder, decoder))


def test_modules_that_leave_no_room_for_classes() -> None:
    assert_fit_refuses(
        X,
        ValueError,
        "decoder",
        "(n_samples, 4)",
        y=np.arange(60) % 2,
        conditional=True,
        architecture=Custom(nn.Linear(64, 4), nn.Linear(2, 64)),
    )
