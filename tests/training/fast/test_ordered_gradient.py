"""Gradients of ordered codes without autograd."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from skautoencoder.architectures import Dense
from skautoencoder.objectives import OrderedObjective, Penalty
from skautoencoder.objectives.random_generators import seeded_generator
from skautoencoder.training.fast import step_for


def parts(
    code_size: int = 9,
    output: str = "identity",
    loss: str = "mse",
    laterals: bool = True,
    **architecture: Any,
) -> tuple[Any, OrderedObjective]:
    """A network whose decoders' lines are not zero, as they are at the start."""
    dense = Dense(**{"hidden_layer_sizes": (12, 10), **architecture})
    network = dense.build(
        (11,), code_size, output_activation=output, ordered=True, laterals=laterals
    )
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    objective = OrderedObjective(loss)
    objective.progress = 0.7
    return network.train(), objective.train()


def gradients(network: Any) -> dict[str, torch.Tensor]:
    return {name: w.grad.clone() for name, w in network.named_parameters()}


def quick_gradient(network: Any, objective: Any) -> Any:
    optimizer = torch.optim.SGD(network.parameters())
    return step_for(network, objective, optimizer).gradient


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"code_size": 1},
        {"code_size": 2},
        {"code_size": 3},
        {"code_size": 8, "loss": "l1"},
        {"loss": "huber", "activation": "gelu"},
        {"output": "sigmoid"},
        {"output": "sigmoid", "loss": "bce"},
        {"laterals": False},
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": (10, 12, 11), "activation": "tanh"},
        {"hidden_layer_sizes": (12,), "activation": "relu"},
        {"code_activation": "tanh"},
    ],
)
def test_gradients_are_those_of_autograd(params):
    torch.manual_seed(0)
    network, objective = parts(**params)
    quick = quick_gradient(network, objective)
    for seed in range(6):  # codes are cut to another size in each
        rows = torch.rand(14, 11)
        network.zero_grad()
        with seeded_generator(seed):
            loss = objective(network, rows, rows)
        loss.backward()
        expected = gradients(network)
        # The first step makes tensors for gradients, later ones fill them.
        for _ in range(2):
            with torch.no_grad(), seeded_generator(seed):
                found = quick(rows, rows)
            torch.testing.assert_close(found, loss.detach())
            torch.testing.assert_close(gradients(network), expected)


class _Own(Penalty):
    def __call__(self, codes: Any, rows: Any, network: Any) -> Any:
        return codes.square().mean()


def test_others_need_autograd():
    for params in ({"dropout": 0.1}, {"batch_norm": True}, {"code_batch_norm": True}):
        network, objective = parts(**params)
        has_state = "code_batch_norm" not in params
        assert (quick_gradient(network, objective) is None) == has_state
    network, objective = parts()
    objective.penalties = (_Own(),)
    assert quick_gradient(network, objective) is None
    for module in (lambda n: n.encoder, lambda n: n.decoder.decoders[0]):
        network, objective = parts()
        module(network).register_forward_hook(lambda *_: None)
        assert quick_gradient(network, objective) is None
    network, objective = parts()
    network.encoder.n_kept = 5
    assert quick_gradient(network, objective) is None
    network, objective = parts()
    network.decoder.line.weight.requires_grad_(False)
    assert quick_gradient(network, objective) is None
