"""Against the Jacobian that autograd computes row by row."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.autograd.functional import jacobian

from skautoencoder.architectures import Conv, Custom, Dense, Network
from skautoencoder.architectures._layers import ACTIVATIONS
from skautoencoder.objectives import KL, Contraction, Objective, contraction

N_FEATURES = 9
CENTER = {
    "output_activation": "sigmoid",
    "center": torch.full((N_FEATURES,), 0.4),
    "spread": 0.3,
}


def build(architecture: Any, code_size: int | None = 4, **params: Any) -> Network:
    torch.manual_seed(0)
    network = architecture.build((N_FEATURES,), code_size, **params)
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, std=0.3)
    return network


def some_rows(n_rows: int = 6, seed: int = 1) -> torch.Tensor:
    return torch.rand(n_rows, N_FEATURES, generator=torch.Generator().manual_seed(seed))


def penalty_of(network: Network, rows: torch.Tensor) -> torch.Tensor:
    rows = rows.clone().requires_grad_()
    return contraction(network, rows, network.encode(rows))


def by_autograd(network: Network, rows: torch.Tensor) -> torch.Tensor:
    """Return the mean squared norm; the Jacobian is of all codes by all rows."""
    whole = jacobian(network.encode, rows, create_graph=True)
    return whole.square().sum() / len(rows)


SINGLE = [
    *(Dense((), code_activation=activation) for activation in sorted(ACTIVATIONS)),
    Custom(nn.Linear(9, 4), nn.Linear(4, 9)),
    Custom(nn.Sequential(nn.Linear(9, 4), nn.Tanh()), nn.Linear(4, 9)),
]


@pytest.mark.parametrize("architecture", SINGLE, ids=str)
@pytest.mark.parametrize("units", [{}, CENTER], ids=["as they are", "centred"])
def test_a_single_layer_is_exact(architecture: Any, units: dict[str, Any]) -> None:
    network = build(architecture, **units)
    rows = some_rows()
    penalty = penalty_of(network, rows)
    torch.testing.assert_close(penalty, by_autograd(network, rows))
    # Nothing is drawn.
    assert torch.equal(penalty, penalty_of(network, rows))


def test_a_linear_layer_by_its_formula() -> None:
    network = build(Dense(()))
    weight = network.encoder[0].weight
    torch.testing.assert_close(penalty_of(network, some_rows()), weight.square().sum())


def test_the_sigmoid_layer_by_the_formula_of_rifai() -> None:
    network = build(Dense((), code_activation="sigmoid"))
    rows = some_rows()
    codes = network.encode(rows)
    weight = network.encoder[0].weight
    expected = ((codes * (1 - codes)).square() @ weight.square().sum(1)).mean()
    torch.testing.assert_close(penalty_of(network, rows), expected)


DEEP = [
    Dense((7,)),
    Dense((7, 5), activation="tanh"),
    Dense((7,), batch_norm=True),
    Dense((), code_activation="tanh", code_batch_norm=True),
    Dense((7,), activation="relu", tied_weights=True),
    Conv((3, 4)),
    Conv((3, 4), batch_norm=False, downsampling="max_pool", activation="elu"),
    Conv((3,), residual=True),
    Custom(nn.Sequential(nn.Linear(9, 5), nn.Tanh(), nn.Linear(5, 4)), nn.Linear(4, 9)),
]


@pytest.mark.parametrize(
    ("architecture", "units"),
    [*((deep, CENTER) for deep in DEEP), (DEEP[0], {}), (DEEP[-1], {})],
)
def test_the_estimate_is_unbiased(architecture: Any, units: dict[str, Any]) -> None:
    network = build(architecture, **units)
    rows = some_rows()
    torch.manual_seed(5)
    estimates = torch.stack([penalty_of(network, rows).detach() for _ in range(100)])
    error = estimates.std() / len(estimates) ** 0.5
    expected = by_autograd(network, rows)
    assert error < 0.06 * expected
    assert abs(estimates.mean() - expected) < 4.5 * error + 1e-6 * expected


def test_the_estimate_of_top_k_codes_leaves_out_what_is_zero() -> None:
    network = build(Dense(()), top_k=True, n_nonzero_coefs=2)
    rows = some_rows()
    torch.manual_seed(5)
    estimates = torch.stack([penalty_of(network, rows).detach() for _ in range(200)])
    expected = by_autograd(network, rows)
    assert estimates.mean().item() == pytest.approx(expected.item(), rel=0.1)


@pytest.mark.parametrize("architecture", [Dense((), code_activation="elu"), *DEEP[:3]])
def test_gradients_reach_the_encoder(architecture: Any) -> None:
    """The mean gradient of the estimate is the exact norm's."""
    network = build(architecture)
    weights = list(network.encoder.parameters())
    rows = some_rows()
    exact = torch.autograd.grad(by_autograd(network, rows), weights, allow_unused=True)
    torch.manual_seed(6)
    n_draws = 100
    sums = [torch.zeros_like(w) for w in weights]
    for _ in range(n_draws):
        penalty = penalty_of(network, rows)
        grads = torch.autograd.grad(penalty, weights, allow_unused=True)
        for total, grad in zip(sums, grads, strict=True):
            if grad is not None:
                total += grad / n_draws
    for total, wanted in zip(sums, exact, strict=True):
        if wanted is not None:
            size = wanted.norm() + 1e-3
            assert (total - wanted).norm() < 0.25 * size


def test_in_evaluation_the_signs_are_always_the_same() -> None:
    network = build(Dense((7,))).eval()
    rows = some_rows()
    state = torch.get_rng_state()
    assert torch.equal(penalty_of(network, rows), penalty_of(network, rows))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("architecture", [Dense(()), *DEEP], ids=str)
def test_the_objective_adds_it_with_its_weight(architecture: Any) -> None:
    network, rows = build(architecture).eval(), some_rows()
    plain = Objective()(network, rows, rows)
    # As in skorch's validation.
    with torch.no_grad():
        penalised = Objective(penalties=[Contraction(0.3)])(network, rows, rows)
    expected = plain + 0.3 * penalty_of(network, rows)
    torch.testing.assert_close(penalised, expected)
    assert not rows.requires_grad


@pytest.mark.parametrize("architecture", [Dense(()), *DEEP], ids=str)
def test_in_reduced_precision_it_still_learns(architecture: Any) -> None:
    network, rows = build(architecture).train(), some_rows(32)
    objective = Objective(penalties=[Contraction(0.1)])
    torch.manual_seed(0)
    exact = objective(network, rows, rows)
    torch.manual_seed(0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = objective(network, rows, rows)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=0.1, atol=0.0)
    rounded.backward()
    for name, weight in network.encoder.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name


def test_other_losses_come_on_top() -> None:
    network, rows = build(Dense((), code_activation="sigmoid")), some_rows()
    both = Objective(penalties=[KL(), Contraction(0.2)])
    without = Objective(penalties=[KL()])
    torch.testing.assert_close(
        both(network, rows, rows) - without(network, rows, rows),
        0.2 * penalty_of(network, rows),
    )
