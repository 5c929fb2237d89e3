"""Networks for sequences of different lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers import ragged_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from skautoencoder.architectures import Conv1d, Dense, Recurrent

N_STEPS, N_CHANNELS = 11, 2
LENGTHS = [11, 7, 1, 4]

CONV = Conv1d((3, 4), hidden_layer_sizes=(5,))
RECURRENT = [
    Recurrent(cell, hidden_size=3, n_layers=2, bidirectional=both)
    for cell in ("lstm", "gru")
    for both in (False, True)
]


def build(architecture: Any, **params: Any) -> Any:
    torch.manual_seed(0)
    return architecture.build((N_STEPS, N_CHANNELS), 4, ragged=True, **params)


def rows() -> torch.Tensor:
    return torch.from_numpy(ragged_rows(LENGTHS, N_STEPS, N_CHANNELS)).float()


def alone(row: torch.Tensor) -> torch.Tensor:
    """Return the sequence of a row, (1, n_channels, length), without what follows."""
    steps = row.reshape(N_STEPS, N_CHANNELS)
    return steps[~steps[:, 0].isnan()].t()[None]


def widened(values: torch.Tensor, n_steps: int) -> torch.Tensor:
    return F.pad(values, (0, n_steps - values.shape[2])).flatten(1)


@pytest.mark.parametrize("architecture", RECURRENT, ids=repr)
def test_recurrent_layers_as_on_each_sequence_alone(architecture: Any) -> None:
    network = build(architecture)
    _, reader, _, to_code = network.encoder.layers
    from_code, unflatten, writer, _ = network.decoder.layers
    codes, answers = network.encode(rows()), network(rows())
    for row, code, answer, length in zip(rows(), codes, answers, LENGTHS, strict=True):
        expected = to_code(widened(reader(alone(row)), N_STEPS))[0]
        torch.testing.assert_close(code[:-1], expected)
        torch.testing.assert_close(code[-1], torch.tensor(length / N_STEPS))
        given = unflatten(from_code(code[None, :-1]))[:, :, :length]
        torch.testing.assert_close(
            answer, widened_rows(writer(given)[0].t()), atol=1e-6, rtol=1e-5
        )


def widened_rows(steps: torch.Tensor) -> torch.Tensor:
    return F.pad(steps, (0, 0, 0, N_STEPS - len(steps))).flatten()


def test_convolutions_as_on_each_sequence_alone() -> None:
    network = build(CONV)
    _, one, act, two, _, _, *to_code = network.encoder.layers
    *from_code, unflatten, _, back_two, _, back_one, _ = network.decoder.layers
    codes, answers = network.encode(rows()), network(rows())
    for row, code, answer, length in zip(rows(), codes, answers, LENGTHS, strict=True):
        maps = act(two(act(one(alone(row)))))
        values = widened(maps, 3)
        for layer in to_code:
            values = layer(values)
        torch.testing.assert_close(code[:-1], values[0])
        given = code[None, :-1]
        for layer in from_code:
            given = layer(given)
        half = (length + 1) // 2
        # One zero more, as layers for odd lengths end a step before even ones do.
        maps = act(F.pad(unflatten(given)[:, :, : (half + 1) // 2], (0, 1)))
        maps[:, :, -1] = 0
        maps = act(F.pad(back_two(maps)[:, :, :half], (0, 1)))
        maps[:, :, -1] = 0
        steps = back_one(maps)[0, :, :length].t()
        torch.testing.assert_close(answer, widened_rows(steps))


def test_batch_normalisation_takes_the_moments_of_what_there_is() -> None:
    network = build(Conv1d((3,), batch_norm=True, hidden_layer_sizes=()))
    _, convolution, norm, *_ = network.encoder.layers
    maps = torch.cat([convolution(alone(row))[0] for row in rows()], dim=1)
    network(rows())
    torch.testing.assert_close(norm.running_mean, 0.1 * maps.mean(dim=1))


@settings(deadline=None, max_examples=20, derandomize=True)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=2, max_size=5),
    n_channels=st.integers(1, 3),
    architecture=st.sampled_from(
        [CONV, Conv1d((2, 2, 2, 2), batch_norm=True), *RECURRENT]
    ),
)
def test_any_lengths(lengths: list[int], n_channels: int, architecture: Any) -> None:
    given = torch.from_numpy(ragged_rows(lengths, 9, n_channels)).float()
    network = architecture.build((9, n_channels), 3, ragged=True)
    codes, answers = network.encode(given), network(given)
    np.testing.assert_allclose(codes[:, -1].detach() * 9, lengths, rtol=1e-6)
    assert codes.shape == (len(lengths), 3)
    assert torch.equal(answers != 0, ~given.isnan())
    answers.square().sum().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is None or weight.grad.isfinite().all(), name


@pytest.mark.parametrize("architecture", [CONV, RECURRENT[0], RECURRENT[3]], ids=repr)
def test_gradients_reach_every_weight_and_are_finite(architecture: Any) -> None:
    network = build(architecture, output_activation="sigmoid")
    present = ~rows().isnan()
    F.mse_loss(network(rows())[present], rows()[present]).backward()
    for name, weight in network.named_parameters():
        assert weight.grad.isfinite().all(), name
        assert weight.grad.any(), name


def test_sparse_codes_keep_the_length() -> None:
    network = build(CONV, top_k=True, n_nonzero_coefs=1).eval()
    codes = network.encode(rows())
    assert (codes[:, :-1] != 0).sum(dim=1).tolist() == [1] * 4
    assert codes[:, -1].all()
    assert [type(m) for m in network.modules()].count(nn.BatchNorm1d) == 1


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(ValueError, match="last number of a code is the length.* 2 or"):
        CONV.build((5, 2), 1, ragged=True)
    with pytest.raises(ValueError, match=r"Dense cannot take .* Conv1d or Recurrent"):
        Dense().build((5, 2), 3, ragged=True)
