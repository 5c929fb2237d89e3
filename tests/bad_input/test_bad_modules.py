"""Modules of the user's own that cannot be used."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from helpers import (
    IMAGES,
    tiny_dense,
)
from refusals import X, assert_fit_refuses
from sklearn.utils._param_validation import InvalidParameterError
from torch import nn

from skautoencoder import VAESampler
from skautoencoder.architectures import Custom


class Cut(nn.Module):
    """Returns something else than one code a sample."""

    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result

    def forward(self, rows: torch.Tensor) -> Any:
        return self.result(rows)


@pytest.mark.parametrize(
    ("encoder", "decoder", "words"),
    [
        (nn.Linear(64, 5), nn.Linear(5, 63), ("decoder", "(63,)", "(64,)")),
        (nn.Linear(64, 5), nn.Linear(5, 65), ("decoder", "(65,)", "(64,)")),
        (nn.Linear(64, 5), nn.Linear(4, 64), ("decoder", "(n_samples, 5)")),
        (nn.Linear(63, 5), nn.Linear(5, 64), ("encoder", "(n_samples, 64)")),
        (Cut(lambda rows: rows[:1]), nn.Linear(64, 64), ("encoder", "(1, 64)")),
        (Cut(lambda rows: rows.sum()), nn.Linear(64, 64), ("encoder", "()")),
        (Cut(lambda rows: (rows,)), nn.Linear(64, 64), ("encoder", "tuple")),
        (nn.Linear(64, 5), Cut(lambda codes: codes[:, 0]), ("decoder", "(2,)")),
    ],
    ids=[
        "decoder_narrow",
        "decoder_wide",
        "decoder_input",
        "encoder_input",
        "encoder_rows",
        "encoder_scalar",
        "encoder_tuple",
        "decoder_vector",
    ],
)
def test_custom_module_of_the_wrong_shape(
    encoder: nn.Module, decoder: nn.Module, words: tuple[str, ...]
) -> None:
    assert_fit_refuses(
        tiny_dense,
        X,
        ValueError,
        "Custom",
        *words,
        architecture=Custom(encoder, decoder),
    )


def test_custom_decoder_of_the_wrong_image_shape() -> None:
    decoder = nn.Sequential(nn.Linear(5, 56), nn.Unflatten(1, (8, 7)))
    with pytest.raises(
        ValueError, match=re.escape("(8, 7) where the data have (8, 8)")
    ):
        tiny_dense(
            architecture=Custom(nn.Sequential(nn.Flatten(), nn.Linear(64, 5)), decoder)
        ).fit(IMAGES[:30])


def test_custom_factory_that_makes_no_module() -> None:
    assert_fit_refuses(
        tiny_dense,
        X,
        TypeError,
        "encoder of Custom",
        "torch.nn.Module",
        "dict",
        architecture=Custom(lambda code_size: {"size": code_size}, nn.Linear(5, 64)),
    )


def test_custom_class_that_wants_other_arguments() -> None:
    assert_fit_refuses(
        tiny_dense,
        X,
        TypeError,
        "encoder of Custom could not be made",
        "in_features",
        "function of code_size",
        architecture=Custom(nn.Linear, nn.Linear),
    )


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_custom_part_that_is_no_module(part: str) -> None:
    parts = {"encoder": nn.Linear(64, 5), "decoder": nn.Linear(5, 64), part: "linear"}
    with pytest.raises(InvalidParameterError, match=f"'{part}' parameter of Custom"):
        tiny_dense(architecture=Custom(**parts)).fit(X)


@pytest.mark.parametrize("n_numbers", [3, 4])
def test_custom_for_a_sampler_needs_two_numbers_for_each_of_the_code(
    n_numbers: int,
) -> None:
    """One for means and one for log-variances, which Keras's habits leave out."""
    architecture = Custom(nn.Linear(64, n_numbers), nn.Linear(n_numbers, 64))
    sampler = VAESampler(n_numbers, architecture=architecture)
    message = f"log-variance.* {2 * n_numbers} ?.*code_size={n_numbers}"
    if n_numbers % 2 == 0:
        message = f"log-variances.*code_size={n_numbers} let it return {2 * n_numbers}"
    with pytest.raises(ValueError, match=f"(?s){message}"):
        sampler.fit(X)
    architecture = Custom(nn.Linear(64, 2 * n_numbers), nn.Linear(n_numbers, 64))
    sampler.set_params(architecture=architecture, max_epochs=1).fit(X)
