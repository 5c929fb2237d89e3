from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from skautoencoder.architectures import Conv, Dense, Network
from skautoencoder.architectures._layers import ACTIVATIONS
from skautoencoder.training.fast.sequential_gradients import chain_of, chain_of_layers

ROWS = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
WANTED = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))


def dense(**settings: object) -> Network:
    torch.manual_seed(0)
    return Dense(hidden_layer_sizes=(7,), **settings).build((5,), 3)


def by_autograd(network: Network, rows: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the outputs and the gradients of their scalar product with WANTED."""
    network.zero_grad()
    outputs = network.decode_logits(network.encode(rows))
    (outputs * WANTED).sum().backward()
    return outputs.detach(), [weight.grad.clone() for weight in network.parameters()]


def by_the_chain(network: Network, rows: Tensor) -> tuple[Tensor, list[Tensor]]:
    network.zero_grad()
    chain = chain_of(network)
    assert chain is not None
    with torch.no_grad():
        outputs = chain.forward(rows)
        chain.backward(WANTED)
    return outputs, [weight.grad.clone() for weight in network.parameters()]


def test_ends_are_part_of_the_chain() -> None:
    """The units in which the encoder sees rows, and the mean row of the answers."""
    network = Dense((6,)).build(
        (5,), 3, output_activation="sigmoid", center=torch.full((5,), 0.3), spread=2.0
    )
    (expected, slopes), (outputs, found) = (
        how(network, ROWS) for how in (by_autograd, by_the_chain)
    )
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(found, slopes)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_are_autograds(activation: str) -> None:
    network = dense(activation=activation, code_activation=activation)
    shown = ROWS.clone()
    (expected, slopes), (outputs, found) = (
        how(network, shown) for how in (by_autograd, by_the_chain)
    )
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(found, slopes)
    assert torch.equal(shown, ROWS), "what is shown is not written over"


@pytest.mark.parametrize(
    "activation",
    [
        nn.LeakyReLU(0.3),
        nn.ELU(0.5),
        nn.GELU(approximate="tanh"),
        nn.Softplus(2.0, 1.0),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_activations_keep_their_settings(activation: nn.Module) -> None:
    torch.manual_seed(0)
    network = Network(nn.Sequential(nn.Linear(5, 4), activation), nn.Linear(4, 5))
    expected, found = (how(network, ROWS) for how in (by_autograd, by_the_chain))
    torch.testing.assert_close(found, expected)


def test_dropout_is_autograds_with_the_same_draws() -> None:
    network = dense(dropout=0.4)
    torch.manual_seed(3)
    expected = by_autograd(network, ROWS)
    torch.manual_seed(3)
    found = by_the_chain(network, ROWS)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_batch_normalisation_is_autograds(activation: str) -> None:
    settings = {"batch_norm": True, "code_batch_norm": True, "activation": activation}
    one, other = (dense(**settings) for _ in range(2))
    for network in (one, other):
        torch.manual_seed(4)
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm1d):
                nn.init.normal_(layer.weight)
                nn.init.normal_(layer.bias)
    for rows in (ROWS, 3 * WANTED):
        torch.testing.assert_close(by_the_chain(one, rows), by_autograd(other, rows))
    torch.testing.assert_close(one.state_dict(), other.state_dict())


class OwnLinear(nn.Linear):
    """Does what it likes."""

    def forward(self, rows: Tensor) -> Tensor:
        return 2 * super().forward(rows)


def hooked(register: str) -> nn.Module:
    layer = nn.Linear(5, 5)
    getattr(layer, register)(lambda *arguments: None)
    return layer


def with_hooked_weight() -> nn.Module:
    layer = nn.Linear(5, 5)
    layer.weight.register_hook(lambda gradient: None)
    return layer


def with_hook_after_accumulation() -> nn.Module:
    layer = nn.Linear(5, 5)
    layer.weight.register_post_accumulate_grad_hook(lambda weight: None)
    return layer


def frozen() -> nn.Module:
    layer = nn.Linear(5, 5)
    layer.bias.requires_grad_(False)
    return layer


SHARED = nn.Linear(5, 5)

NOT_SIMPLE = {
    "a subclass": [OwnLinear(5, 5)],
    "another normalisation": [nn.Linear(5, 5), nn.LayerNorm(5)],
    "an average of all batches": [nn.Linear(5, 5), nn.BatchNorm1d(5, momentum=None)],
    "statistics of the batch": [
        nn.Linear(5, 5),
        nn.BatchNorm1d(5, track_running_stats=False),
    ],
    "no scale": [nn.Linear(5, 5), nn.BatchNorm1d(5, affine=False)],
    "no bias": [nn.Linear(5, 5, bias=False)],
    "double precision": [nn.Linear(5, 5).double()],
    "weight norm": [parametrizations.weight_norm(nn.Linear(5, 5))],
    "frozen": [frozen()],
    "a hook": [hooked("register_forward_hook")],
    "a hook before": [hooked("register_forward_pre_hook")],
    "a hook on gradients": [hooked("register_full_backward_hook")],
    "a hook on a weight": [with_hooked_weight()],
    "a hook after accumulation": [with_hook_after_accumulation()],
    "in evaluation mode": [nn.Linear(5, 5), nn.Dropout(0.5).eval()],
    "two activations in a row": [nn.Linear(5, 5), nn.ReLU(), nn.Tanh()],
    "no weights first": [nn.ReLU(), nn.Linear(5, 5)],
    "shared weights": [SHARED, nn.ReLU(), SHARED],
    "nothing": [],
}


@pytest.mark.parametrize("layers", NOT_SIMPLE.values(), ids=NOT_SIMPLE)
def test_other_layers_are_left_to_autograd(layers: list[nn.Module]) -> None:
    assert chain_of_layers(nn.Sequential(*layers)) is None


def test_a_sequence_with_a_hook_is_left_to_autograd() -> None:
    inner = nn.Sequential(nn.Linear(5, 5))
    assert chain_of_layers(nn.Sequential(inner)) is not None
    inner.register_forward_hook(lambda *arguments: None)
    assert chain_of_layers(nn.Sequential(inner)) is None


@pytest.mark.parametrize("architecture", [Conv((4,)), Dense((4,), tied_weights=True)])
def test_networks_that_are_no_chain(architecture: Conv | Dense) -> None:
    assert chain_of(architecture.build((5,), 3)) is None


@pytest.mark.parametrize(
    "layer", [nn.Dropout(1.0), nn.LeakyReLU(-0.5), nn.ELU(-0.5)], ids=str
)
def test_layers_at_their_limits_are_left_to_autograd(layer: nn.Module) -> None:
    assert chain_of_layers(nn.Linear(5, 4), layer, nn.Linear(4, 5)) is None


def test_another_forward_is_left_to_autograd() -> None:
    for changed in (0, 1):
        modules = nn.Sequential(nn.Linear(5, 4)), nn.Sequential(nn.Linear(4, 5))
        modules[changed].forward = lambda rows: 0.1 * rows
        assert chain_of_layers(*modules) is None
        modules[changed][0].forward = modules[changed].__dict__.pop("forward")
        assert chain_of_layers(*modules) is None
    network = dense()
    network.decode_logits = lambda codes: codes
    assert chain_of(network) is None


def test_global_hooks_are_called() -> None:
    handle = nn.modules.module.register_module_forward_hook(lambda *given: None)
    try:
        assert chain_of(dense()) is None
    finally:
        handle.remove()
    assert chain_of(dense()) is not None
