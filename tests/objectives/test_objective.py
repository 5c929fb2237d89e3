from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skautoencoder.architectures import Dense, Network
from skautoencoder.objectives import KL, L1, Objective, Penalty, TopK


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return Dense((5,), code_activation="sigmoid").build(
        (6,), 3, output_activation="sigmoid", center=torch.full((6,), 0.4), spread=0.3
    )


@pytest.fixture
def rows() -> torch.Tensor:
    return torch.rand(8, 6, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("loss", ["mse", "l1", "huber", "bce"])
def test_without_a_penalty_it_is_the_loss_of_the_reconstruction(
    network: Network, rows: torch.Tensor, loss: str
) -> None:
    functions = {
        "mse": F.mse_loss,
        "l1": F.l1_loss,
        "huber": F.huber_loss,
        "bce": F.binary_cross_entropy,
    }
    expected = functions[loss](network(rows), rows)
    torch.testing.assert_close(Objective(loss)(network, rows, rows), expected)


@pytest.mark.parametrize("weight", [0.0, 1e-4, 0.5])
@pytest.mark.parametrize("kind", [L1, KL])
def test_a_penalty_is_added_with_its_weight(
    network: Network, rows: torch.Tensor, kind: Any, weight: float
) -> None:
    penalty = kind(weight=weight)
    expected = F.mse_loss(network(rows), rows)
    expected = expected + weight * penalty(network.encode(rows), rows, network)
    objective = Objective(penalties=[penalty])
    torch.testing.assert_close(objective(network, rows, rows), expected)


def test_penalties_add_up(network: Network, rows: torch.Tensor) -> None:
    def value_with(*penalties: Penalty) -> torch.Tensor:
        return Objective(penalties=penalties)(network, rows, rows)

    one, other = L1(0.1), KL(weight=0.2)
    torch.testing.assert_close(
        value_with(one, other) - value_with(),
        value_with(one) + value_with(other) - 2 * value_with(),
    )
    assert torch.equal(value_with(TopK(2), one), value_with(one))


def test_what_is_no_mean_over_rows_is_not_divided() -> None:
    assert Objective().splits
    assert Objective(penalties=[L1(), TopK(), KL(weight=0)]).splits
    assert not Objective(penalties=[L1(), KL()]).splits


def test_target_and_rows_may_differ(network: Network, rows: torch.Tensor) -> None:
    target = 1 - rows
    torch.testing.assert_close(
        Objective()(network, rows, target), F.mse_loss(network(rows), target)
    )


def test_gradients_reach_encoder_and_decoder(
    network: Network, rows: torch.Tensor
) -> None:
    Objective(penalties=[KL()])(network, rows, rows).backward()
    assert all(p.grad is not None for p in network.parameters())


def test_the_penalty_alone_moves_the_encoder_only(
    network: Network, rows: torch.Tensor
) -> None:
    plain = Objective()(network, rows, rows)
    penalised = Objective(penalties=[L1(1.0)])(network, rows, rows)
    (penalised - plain).backward()
    decoder = [p.grad.abs().max().item() for p in network.decoder.parameters()]
    assert max(decoder) < 1e-7
    assert all(p.grad.abs().max() > 0 for p in network.encoder.parameters())


@pytest.mark.parametrize("penalties", [(), (L1(0.1),), (KL(),)])
def test_in_reduced_precision_the_number_keeps_its_digits(
    network: Network, rows: torch.Tensor, penalties: Any
) -> None:
    objective = Objective(penalties=penalties)
    exact = objective(network, rows, rows)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = objective(network, rows, rows)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=0.03, atol=0.0)


def test_it_has_nothing_to_learn() -> None:
    objective = Objective("bce", penalties=[L1()])
    assert isinstance(objective, nn.Module)
    assert list(objective.parameters()) == []
