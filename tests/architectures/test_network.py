from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from skautoencoder.architectures import Network


class Recorder(nn.Module):
    """Hands on what it is given and remembers it."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        self.seen = rows
        return rows


def zero_linear(n_in: int, n_out: int) -> nn.Linear:
    layer = nn.Linear(n_in, n_out)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


@pytest.fixture
def rows() -> torch.Tensor:
    return torch.rand(7, 4, generator=torch.Generator().manual_seed(0))


def test_without_a_center_it_is_decoder_after_encoder(rows: torch.Tensor) -> None:
    encoder, decoder = nn.Linear(4, 2), nn.Linear(2, 4)
    network = Network(encoder, decoder)
    assert torch.equal(network.encode(rows), encoder(rows))
    assert torch.equal(network(rows), decoder(encoder(rows)))


def test_the_encoder_sees_rows_centred_and_divided(rows: torch.Tensor) -> None:
    before = rows.clone()
    center = rows.mean(0)
    recorder = Recorder()
    network = Network(
        recorder, nn.Identity(), output_activation="sigmoid", center=center, spread=0.25
    )
    network.encode(rows)
    np.testing.assert_allclose(
        recorder.seen.numpy(), (before - center).numpy() / 0.25, rtol=1e-6
    )
    assert torch.equal(rows, before), "the caller's rows were written to"


def test_output_is_the_sigmoid_of_the_decoder_plus_the_logit_of_the_mean(
    rows: torch.Tensor,
) -> None:
    center = torch.tensor([0.2, 0.4, 0.5, 0.9])
    encoder, decoder = nn.Linear(4, 2), nn.Linear(2, 4)
    network = Network(encoder, decoder, output_activation="sigmoid", center=center)
    codes = network.encode(rows)
    with torch.no_grad():
        raw = decoder(codes).numpy()
        logits = raw + np.log(center.numpy() / (1 - center.numpy()))
        np.testing.assert_allclose(
            network.decode_logits(codes).numpy(), logits, rtol=1e-5, atol=1e-6
        )
        np.testing.assert_allclose(
            network.decode(codes).numpy(), 1 / (1 + np.exp(-logits)), rtol=1e-5
        )


def test_a_decoder_that_says_nothing_answers_with_the_mean_row() -> None:
    center = torch.tensor([0.3, 0.6, 0.5])
    network = Network(
        nn.Linear(3, 2), zero_linear(2, 3), output_activation="sigmoid", center=center
    )
    with torch.no_grad():
        np.testing.assert_allclose(
            network(torch.rand(5, 3)).numpy(),
            np.tile(center.numpy(), (5, 1)),
            rtol=1e-5,
        )


def test_features_that_are_always_0_or_1_still_have_a_gradient() -> None:
    decoder = zero_linear(2, 2)
    network = Network(
        nn.Linear(2, 2),
        decoder,
        output_activation="sigmoid",
        center=torch.tensor([0.0, 1.0]),
    )
    output = network(torch.zeros(3, 2))
    assert output.isfinite().all()
    assert output[0, 0] < 0.05
    assert output[0, 1] > 0.95
    output.sum().backward()
    assert decoder.bias.grad is not None
    # 3 rows, derivative p (1 - p) of the sigmoid at 0.01 and 0.99
    np.testing.assert_allclose(decoder.bias.grad.numpy(), 3 * 0.01 * 0.99, rtol=1e-3)


def test_sigmoid_without_a_center_has_no_offset() -> None:
    network = Network(nn.Linear(3, 2), zero_linear(2, 3), output_activation="sigmoid")
    with torch.no_grad():
        assert torch.equal(network(torch.rand(4, 3)), torch.full((4, 3), 0.5))


def test_the_center_travels_with_the_state_but_is_not_trained() -> None:
    center = torch.tensor([0.25, 0.75])
    network = Network(
        nn.Linear(2, 1), nn.Linear(1, 2), output_activation="sigmoid", center=center
    )
    assert {name for name, _ in network.named_parameters()} == {
        "encoder.weight",
        "encoder.bias",
        "decoder.weight",
        "decoder.bias",
    }
    other = Network(
        nn.Linear(2, 1),
        nn.Linear(1, 2),
        output_activation="sigmoid",
        center=torch.tensor([0.5, 0.5]),
    )
    other.load_state_dict(network.state_dict())
    rows = torch.rand(3, 2)
    assert torch.equal(other(rows), network(rows))


def test_logits_are_float32_in_reduced_precision() -> None:
    network = Network(nn.Linear(4, 2), nn.Linear(2, 4))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        codes = network.encode(torch.rand(3, 4))
        assert codes.dtype == torch.bfloat16
        assert network.decode_logits(codes).dtype == torch.float32


def test_a_copy_is_independent() -> None:
    network = Network(nn.Linear(3, 2), nn.Linear(2, 3))
    twin = copy.deepcopy(network)
    rows = torch.rand(2, 3)
    before = twin(rows)
    with torch.no_grad():
        network.encoder.weight.add_(1.0)
    assert torch.equal(twin(rows), before)
    assert not torch.equal(network(rows), before)
