from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim import optimizer as torch_optimizer

from skautoencoder.training import OPTIMIZERS
from skautoencoder.training.fast.adam import update_for


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 5))


def adam(params: Any, **settings: Any) -> Optimizer:
    return OPTIMIZERS["adam"](params, **{"fused": True, **settings})


def learn(
    model: nn.Module, optimizer: Optimizer, n_steps: int, seed: int = 0
) -> Optimizer:
    """Take some steps at a falling rate: prepared ones, but with torch's own class."""
    prepared = type(optimizer) is not torch.optim.Adam
    update = update_for(optimizer) if prepared else optimizer.step
    assert update is not None
    rows = torch.randn(n_steps, 8, 5, generator=torch.Generator().manual_seed(seed))
    for i in range(n_steps):
        for group in optimizer.param_groups:
            group["lr"] = 0.1 / (i + 1)
        optimizer.zero_grad()
        (model(rows[i]) - rows[i]).square().mean().backward()
        with torch.no_grad():
            update()
    return optimizer


def counts(optimizer: Optimizer) -> list[float]:
    return [float(state["step"]) for state in optimizer.state.values()]


def assert_same(one: nn.Module, other: nn.Module) -> None:
    for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def groups_of(model: nn.Sequential) -> list[dict[str, Any]]:
    return [
        {"params": [*model[0].parameters()], "weight_decay": 0.3},
        {"params": [*model[2].parameters()], "betas": (0.5, 0.6)},
    ]


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "decay": {"weight_decay": 0.1},
    "betas": {"betas": (0.5, 0.7), "eps": 1e-3},
    "maximize": {"maximize": True},
}


@pytest.mark.parametrize("name", [*SETTINGS, "groups"])
def test_updates_are_torchs_to_the_last_bit(name: str) -> None:
    models = [network(), network()]
    for model, kind in zip(models, (OPTIMIZERS["adam"], torch.optim.Adam), strict=True):
        params = groups_of(model) if name == "groups" else model.parameters()
        optimizer = kind(params, fused=True, **SETTINGS.get(name, {}))
        assert counts(learn(model, optimizer, 7)) == [7.0] * 4
    assert_same(*models)


def test_weights_without_a_gradient_are_left_alone() -> None:
    models = [network(), network()]
    for model, kind in zip(models, (OPTIMIZERS["adam"], torch.optim.Adam), strict=True):
        optimizer = learn(model, kind(model.parameters(), fused=True), 3)
        for learns in (False, True):
            model[0].requires_grad_(learns)
            learn(model, optimizer, 3)
        assert counts(optimizer) == [6.0, 6.0, 9.0, 9.0]
    assert_same(*models)


@pytest.mark.parametrize(
    "copier", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_copies_go_on_by_themselves(copier: Any) -> None:
    model = network()
    optimizer = learn(model, adam(model.parameters()), 3)
    other, its = copier((model, optimizer))
    learn(model, optimizer, 4, seed=1)
    assert counts(its) == [3.0] * 4
    learn(other, its, 4, seed=1)
    assert_same(model, other)


def test_torchs_adam_goes_on_from_the_state_and_back() -> None:
    models = [network(), network()]
    for model, switches in zip(models, (True, False), strict=True):
        optimizer = learn(model, adam(model.parameters()), 3)
        if switches:
            theirs = torch.optim.Adam(model.parameters(), fused=True)
            theirs.load_state_dict(optimizer.state_dict())
            optimizer.load_state_dict(learn(model, theirs, 2, seed=1).state_dict())
        else:
            learn(model, optimizer, 2, seed=1)
        assert counts(learn(model, optimizer, 2, seed=2)) == [7.0] * 4
    assert_same(*models)


@pytest.mark.parametrize("when", ["pre", "post"])
def test_hooks_are_left_to_torch(when: str) -> None:
    optimizer = adam(network().parameters())
    for register in (
        getattr(optimizer, f"register_step_{when}_hook"),
        getattr(torch_optimizer, f"register_optimizer_step_{when}_hook"),
    ):
        handle = register(lambda *given: None)
        assert update_for(optimizer) is None
        handle.remove()
        assert update_for(optimizer) is not None


class Own(OPTIMIZERS["adam"]):  # type: ignore[misc]
    """May do anything."""


OTHERS: dict[str, Any] = {
    "amsgrad": lambda params: adam(params, amsgrad=True),
    "not fused": lambda params: adam(params, fused=False),
    "a tensor": lambda params: adam(params, lr=torch.tensor(1e-3)),
    "a subclass": lambda params: Own(params, fused=True),
    "torch's own": lambda params: torch.optim.Adam(params, fused=True),
    "another": lambda params: OPTIMIZERS["sgd"](params, fused=True),
    "one group": lambda params: adam(
        [
            {"params": [p]} if p.dim() == 1 else {"params": [p], "amsgrad": True}
            for p in params
        ]
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_the_rest_is_left_to_torch(name: str) -> None:
    assert update_for(OTHERS[name](network().parameters())) is None


def test_a_step_that_was_wrapped_is_called() -> None:
    optimizer = OPTIMIZERS["adam"](network().parameters(), fused=True)
    assert update_for(optimizer) is not None
    torch.optim.lr_scheduler.StepLR(optimizer, step_size=1)
    assert update_for(optimizer) is None
