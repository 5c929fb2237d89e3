"""What a sampler is asked and refuses, and networks that it cannot use."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import noise
from sampler_refusals import X, assert_fit_refuses, fitted_once
from sklearn.exceptions import NotFittedError
from torch import nn

from skautoencoder import VAESampler
from skautoencoder.architectures import Conv, Custom, Dense

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
    with pytest.raises(ValueError, match="random_state must be"):
        fitted_once().sample(3, random_state=random_state)


def test_a_question_that_is_refused_draws_nothing() -> None:
    random = np.random.RandomState(0)
    with pytest.raises(ValueError, match="y was given"):
        fitted_once().sample(2, random, y=0)
    assert random.randint(2**31) == np.random.RandomState(0).randint(2**31)


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
