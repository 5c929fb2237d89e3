from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fits import waves
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.decomposition import PCA
from torch import nn
from torch.nn import functional as F

from skautoencoder import AutoencoderTransformer
from skautoencoder.architectures import Recurrent

each_cell = pytest.mark.parametrize("cell", ["lstm", "gru"])


@settings(deadline=None, max_examples=25, derandomize=True)
@given(
    n_steps=st.integers(1, 9),
    n_channels=st.integers(1, 3),
    cell=st.sampled_from(["lstm", "gru"]),
    hidden_size=st.integers(1, 5),
    n_layers=st.integers(1, 3),
    bidirectional=st.booleans(),
)
def test_any_sizes_give_codes_and_rows(
    n_steps: int,
    n_channels: int,
    cell: str,
    hidden_size: int,
    n_layers: int,
    bidirectional: bool,
) -> None:
    network = Recurrent(
        cell, hidden_size=hidden_size, n_layers=n_layers, bidirectional=bidirectional
    ).build((n_steps, n_channels), 2)
    rows = torch.randn(4, n_steps * n_channels)
    assert network.encode(rows).shape == (4, 2)
    assert network(rows).shape == rows.shape
    layers = [m for m in network.modules() if isinstance(m, nn.LSTM | nn.GRU)]
    assert [type(m).__name__.lower() for m in layers] == [cell, cell]
    assert {m.num_layers for m in layers} == {n_layers}


def test_a_step_s_numbers_go_into_the_code_and_come_out_of_it() -> None:
    torch.manual_seed(0)
    network = Recurrent(hidden_size=3).build((2, 5, 4), 2)
    rows = torch.randn(6, 40)
    _, reader, _, to_code = network.encoder
    from_code, _, writer, _ = network.decoder
    # Two planes of four channels are eight numbers a step.
    steps = rows.reshape(6, 2, 5, 4).transpose(1, 2).reshape(6, 5, 8)
    said = reader.answer(reader.layers(steps)[0])
    codes = to_code(said.transpose(1, 2).flatten(1))
    torch.testing.assert_close(network.encode(rows), codes)
    given = from_code(codes).reshape(6, -1, 5).transpose(1, 2)
    answers = writer.answer(writer.layers(given)[0])
    answers = answers.reshape(6, 5, 2, 4).transpose(1, 2).flatten(1)
    torch.testing.assert_close(network(rows), answers)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_states_last_at_first(cell: str) -> None:
    torch.manual_seed(0)
    layers = Recurrent(cell, hidden_size=6)._layers(2)
    assert torch.equal(layers.bias_ih_l0[6:12], torch.ones(6))
    assert layers.bias_ih_l0.sum() == 6
    assert not layers.bias_hh_l0.any()
    for gate in layers.weight_hh_l0.split(6):
        torch.testing.assert_close(gate @ gate.t(), torch.eye(6))


@each_cell
@pytest.mark.parametrize("shape", [(1,), (2, 1), (9, 3), (1000, 1)], ids=str)
def test_gradients_reach_every_weight_and_are_finite(
    cell: str, shape: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    network = Recurrent(cell, hidden_size=4).build(shape, 2)
    rows = torch.randn(8, int(np.prod(shape)))
    F.mse_loss(network(rows), rows).backward()
    for name, weight in network.named_parameters():
        assert weight.grad.isfinite().all(), name
        # A single step has none before it.
        assert weight.grad.any() or (shape == (1,) and "weight_hh" in name), name


@pytest.mark.parametrize(("cell", "seed"), [("lstm", 0), ("gru", 1)])
def test_it_learns(cell: str, seed: int) -> None:
    X, X_test = waves(300, 6), waves(100, 6, seed=1)
    autoencoder = AutoencoderTransformer(
        1,
        architecture=Recurrent(cell, hidden_size=16),
        lr=0.02,
        max_epochs=15,
        random_state=seed,
    ).fit(X)
    rows = X_test.reshape(100, -1)
    pca = PCA(1).fit(X.reshape(300, -1))
    error = ((pca.inverse_transform(pca.transform(rows)) - rows) ** 2).mean()
    assert ((autoencoder.predict(X_test) - X_test) ** 2).mean() < 0.5 * error


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"cell": "rnn"}, "cell"),
        ({"hidden_size": 0}, "hidden_size"),
        ({"n_layers": 0}, "n_layers"),
        ({"bidirectional": "yes"}, "bidirectional"),
        ({"code_activation": "softmax"}, "code_activation"),
        ({"output_activation": "tanh"}, "output_activation"),
    ],
)
def test_a_bad_parameter_is_named(params: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Recurrent(**params).build((6, 2), 2)


def test_samples_that_are_no_sequences_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(n_steps, n_channels\).* got .*4, 5"):
        Recurrent().build((2, 3, 4, 5), 2)
    with pytest.raises(ValueError, match="code_size=None has no meaning for Recurr"):
        Recurrent().build((6, 2), None)


def test_a_grid_search_s_integers() -> None:
    architecture = Recurrent(hidden_size=np.int64(3), n_layers=np.int64(2))
    assert clone(architecture).build((5, 2), 2)(torch.randn(3, 10)).shape == (3, 10)
