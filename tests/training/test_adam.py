from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from skautoencoder.training.adam import Adam


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 5))


def learn(
    model: nn.Module, optimizer: torch.optim.Optimizer, n_steps: int, seed: int = 0
) -> Tensor:
    """Take some steps at a falling rate; return the last loss."""
    rows = torch.randn(n_steps, 8, 5, generator=torch.Generator().manual_seed(seed))

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (model(rows[i]) - rows[i]).square().mean()
        loss.backward()
        return loss

    for i in range(n_steps):
        for group in optimizer.param_groups:
            group["lr"] = 0.1 / (i + 1)
        loss = optimizer.step(closure)
    return loss


def assert_same(one: nn.Module, other: nn.Module) -> None:
    for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "decay": {"weight_decay": 0.1},
    "betas": {"betas": (0.5, 0.7), "eps": 1e-3},
    "uphill": {"maximize": True},
    "of Adam alone": {"amsgrad": True},
    "not fused": {"fused": False},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_steps_are_adams_to_the_last_bit(name: str) -> None:
    settings = {"fused": True, **SETTINGS[name]}
    one, other = network(), network()
    light = Adam(one.parameters(), **settings)
    adam = torch.optim.Adam(other.parameters(), **settings)
    assert torch.equal(learn(one, light, 7), learn(other, adam, 7))
    assert_same(one, other)
    plain = name not in ("of Adam alone", "not fused")
    assert (light._lists is not None) == plain
    steps = [float(state["step"]) for state in light.state.values()]
    assert steps == [7.0] * 4


def test_groups_have_settings_of_their_own() -> None:
    models, optimizers = [network(), network()], []
    for model, kind in zip(models, (Adam, torch.optim.Adam), strict=True):
        groups = [
            {"params": model[0].parameters(), "weight_decay": 0.3},
            {"params": model[2].parameters(), "betas": (0.5, 0.6)},
        ]
        optimizers.append(kind(groups, fused=True))
        learn(model, optimizers[-1], 5)
    assert_same(*models)
    assert len(optimizers[0]._lists) == 2


def test_weights_without_a_gradient_are_left_alone() -> None:
    models = [network(), network()]
    for model, kind in zip(models, (Adam, torch.optim.Adam), strict=True):
        optimizer = kind(model.parameters(), fused=True)
        learn(model, optimizer, 3)
        model[0].requires_grad_(False)
        learn(model, optimizer, 3)
        model[0].requires_grad_(True)
        learn(model, optimizer, 3)
        counts = [float(state["step"]) for state in optimizer.state.values()]
        assert counts == [6.0, 6.0, 9.0, 9.0]
    assert_same(*models)


@pytest.mark.parametrize(
    "copier", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_copies_go_on_by_themselves(copier: Any) -> None:
    model = network()
    optimizer = Adam(model.parameters(), fused=True)
    learn(model, optimizer, 3)
    other, its = copier((model, optimizer))
    learn(model, optimizer, 4, seed=1)
    learn(other, its, 4, seed=1)
    assert_same(model, other)
    assert [float(s["step"]) for s in its.state.values()] == [7.0] * 4


def test_a_state_can_be_put_back() -> None:
    model = network()
    optimizer = Adam(model.parameters(), fused=True)
    learn(model, optimizer, 3)
    weights, state = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    expected = learn(model, optimizer, 4, seed=1)
    model.load_state_dict(weights)
    optimizer.load_state_dict(state)
    assert torch.equal(learn(model, optimizer, 4, seed=1), expected)


def test_a_state_can_be_emptied() -> None:
    models = [network(), network()]
    for model, kind in zip(models, (Adam, torch.optim.Adam), strict=True):
        optimizer = kind(model.parameters(), fused=True)
        learn(model, optimizer, 3)
        optimizer.state.clear()
        learn(model, optimizer, 3)
        assert [float(s["step"]) for s in optimizer.state.values()] == [3.0] * 4
    assert_same(*models)


def test_groups_can_be_added() -> None:
    models = [network(), network()]
    for model, kind in zip(models, (Adam, torch.optim.Adam), strict=True):
        optimizer = kind(model[0].parameters(), fused=True)
        learn(model, optimizer, 3)
        optimizer.add_param_group({"params": list(model[2].parameters())})
        learn(model, optimizer, 3)
    assert_same(*models)


@pytest.mark.parametrize("amsgrad", [False, True])
def test_hooks_are_told_of_steps(amsgrad: bool) -> None:
    models, told = [network(), network()], []
    # The first of torch's own makes all of these tell their hooks.
    torch.optim.Adam(models[0].parameters())
    optimizers = [
        Adam(model.parameters(), fused=True, amsgrad=amsgrad) for model in models
    ]
    handles = [
        optimizers[0].register_step_pre_hook(lambda *given: told.append("before")),
        optimizers[0].register_step_post_hook(lambda *given: told.append("after")),
    ]
    for model, optimizer in zip(models, optimizers, strict=True):
        learn(model, optimizer, 2)
    assert told == ["before", "after"] * 2
    for handle in handles:
        handle.remove()
    for model, optimizer in zip(models, optimizers, strict=True):
        learn(model, optimizer, 2)
    assert len(told) == 4
    assert_same(*models)


def test_a_profiler_sees_steps() -> None:
    model = network()
    optimizer = Adam(model.parameters(), fused=True)
    with torch.profiler.profile() as profile:
        learn(model, optimizer, 2)
    assert "Optimizer.step#Adam.step" in {event.name for event in profile.events()}
