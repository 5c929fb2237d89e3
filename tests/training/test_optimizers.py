from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from helpers import weights_of
from skorch.callbacks import Callback, Freezer, Unfreezer

from skautoencoder import AutoencoderTransformer, ConvAutoencoderTransformer
from skautoencoder.architectures import Dense
from skautoencoder.training import OPTIMIZERS, resolve_optimizer

RATES = {"adadelta": 10, "asgd": 0.5, "rprop": 0.05} | dict.fromkeys(
    ["adafactor", "adam", "adamw", "nadam", "rmsprop"], 0.05
)
CPU = torch.device("cpu")


class AnyArguments(torch.optim.SGD):
    """Hands what it is given on, so that its signature tells nothing."""

    def __init__(self, params: Any, **kwargs: Any) -> None:
        super().__init__(params, **kwargs)


class Refusing(torch.optim.SGD):
    """Does not take the weights it is given."""

    def __init__(self, params: Any, lr: float) -> None:
        raise ValueError("only of planes")


def data() -> np.ndarray:
    rng = np.random.RandomState(0)
    return rng.randn(120, 2) @ rng.randn(2, 6) + 0.1 * rng.randn(120, 6)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_names_are_torchs_classes(name: str) -> None:
    kind, _ = resolve_optimizer(name, {}, CPU)
    assert kind.__name__.lower() == name
    assert issubclass(kind, torch.optim.Optimizer)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_the_fused_step_is_picked_where_there_is_one(name: str) -> None:
    assert resolve_optimizer(name, {}, CPU)[1].get("fused") is True
    assert "fused" not in resolve_optimizer(name, {}, torch.device("mps"))[1]


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"adam", "adamw", "sgd"}))
def test_and_not_where_there_is_none(name: str) -> None:
    assert "fused" not in resolve_optimizer(name, {}, CPU)[1]


@pytest.mark.parametrize("name", ["adam", "adamw", "nadam"])
def test_adam_forgets_within_a_short_fit_unless_told_otherwise(name: str) -> None:
    assert resolve_optimizer(name, {}, CPU)[1]["betas"] == (0.9, 0.99)
    given = {"betas": (0.8, 0.9)}
    assert resolve_optimizer(name, given, CPU)[1]["betas"] == (0.8, 0.9)
    assert "betas" not in resolve_optimizer("sgd", {}, CPU)[1]


@pytest.mark.parametrize("choice", ["fused", "foreach", "differentiable"])
def test_the_users_choice_of_implementation_counts(choice: str) -> None:
    given = {choice: False}
    arguments = resolve_optimizer("adam", given, CPU)[1]
    assert arguments == {**given, "betas": arguments["betas"]}


def test_given_arguments_are_kept_and_not_changed() -> None:
    given = {"weight_decay": 0.1, "betas": (0.8, 0.9)}
    kind, arguments = resolve_optimizer(torch.optim.AdamW, given, CPU)
    assert issubclass(kind, torch.optim.AdamW)
    assert arguments == {**given, "fused": True}
    assert given == {"weight_decay": 0.1, "betas": (0.8, 0.9)}


def test_an_unknown_name_is_named_with_what_there_is() -> None:
    message = r"optimizer__momentum is not a parameter of Adam\. It has .*weight_decay"
    with pytest.raises(ValueError, match=message):
        resolve_optimizer("adam", {"momentum": 0.9}, CPU)
    autoencoder = AutoencoderTransformer(2, max_epochs=1, optimizer__momentum=0.9)
    with pytest.raises(ValueError, match=message):
        autoencoder.fit(data())
    assert not hasattr(autoencoder, "net_")


def test_a_class_that_takes_anything_is_believed() -> None:
    given = {"momentum": 0.9}
    assert resolve_optimizer(AnyArguments, given, CPU) == (AnyArguments, given)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimizer_learns(name: str) -> None:
    X = data()
    autoencoder = AutoencoderTransformer(
        2,
        architecture=Dense(()),
        optimizer=name,
        lr=RATES.get(name, 0.5),
        # They take what they saw of one batch for what holds in the next.
        batch_size=len(X) if name in ("lbfgs", "rprop") else "auto",
        max_epochs=30,
        random_state=0,
    ).fit(X)
    assert autoencoder.score(X) > 0.8
    assert type(autoencoder.net_.optimizer_) is OPTIMIZERS[name]


EVERY_OPTIMIZER = """
import copy, os, pickle, sys
import numpy as np
from skautoencoder import *
from skautoencoder.architectures import Conv, Dense
from skautoencoder.training import OPTIMIZERS

environment = dict(os.environ)
rng = np.random.RandomState(0)
images, table = rng.rand(20, 6, 6), rng.randn(20, 4)
gaps = rng.rand(20, 4) < 0.2
missing = np.where(gaps, np.nan, table)
conv = Conv(channels=(2, 2))
for name in OPTIMIZERS:
    how = {"optimizer": name, "max_epochs": 1, "random_state": 0}
    dense = AutoencoderTransformer(2, architecture=Dense((4,)), **how).fit(table)
    fitted = [
        dense.partial_fit(table),
        AutoencoderTransformer(2, architecture=conv, **how).fit(images),
        VAESampler(2, architecture=Dense((4,)), prior="normal", **how).fit(table),
        AutoencoderImputer(architecture=Dense((4,)), **how).fit(missing),
    ]
    pickle.loads(pickle.dumps(dense)).partial_fit(table)
    copy.deepcopy(dense).partial_fit(table)
    for estimator in fitted:
        losses = estimator.history_[:, "train_loss"]
        assert np.isfinite(losses).all(), (name, estimator, losses)
assert "torch._dynamo" not in sys.modules
assert dict(os.environ) == environment
"""


# They learn for an epoch at one learning rate.
WARNINGS = ["-W", "error", "-W", "ignore:The network answers worse"]


def test_every_optimizer_trains_every_kind_of_network_without_the_compiler() -> None:
    """Which takes longer than a fit to import, in each worker of a grid search."""
    done = subprocess.run(
        [sys.executable, *WARNINGS, "-c", EVERY_OPTIMIZER],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"lbfgs"}))
def test_the_numbers_are_torchs_in_any_layout(name: str) -> None:
    made = []
    for kind in (OPTIMIZERS[name], getattr(torch.optim, OPTIMIZERS[name].__name__)):
        torch.manual_seed(0)
        network = torch.nn.Conv2d(2, 3, 3)
        if kind is OPTIMIZERS[name]:
            network = network.to(memory_format=torch.channels_last)
        rows = torch.randn(4, 2, 5, 5)
        optimizer = kind(network.parameters(), lr=0.01)
        for _ in range(3):
            optimizer.zero_grad()
            network(rows).square().mean().backward()
            optimizer.step()
        assert torch.is_grad_enabled()
        made.append([*network.parameters()])
    for mine, theirs in zip(*made, strict=True):
        torch.testing.assert_close(mine, theirs)


class OwnLBFGS(torch.optim.LBFGS):
    """torch's, for weights and gradients in any layout."""

    def _gather_flat_grad(self) -> torch.Tensor:
        return torch.cat([weight.grad.reshape(-1) for weight in self._params])


def test_lbfgs_learns_weights_in_any_layout() -> None:
    images = np.random.RandomState(0).uniform(size=(30, 6, 6))
    mine, theirs = (
        ConvAutoencoderTransformer(
            2,
            channels=(2, 3),
            optimizer=optimizer,
            lr=0.1,
            batch_size=30,
            max_epochs=2,
            random_state=0,
            optimizer__max_iter=4,
        ).fit(images)
        for optimizer in ("lbfgs", OwnLBFGS)
    )
    weights = [dict(e.net_.module_.named_parameters()) for e in (mine, theirs)]
    torch.testing.assert_close(*weights)
    losses = mine.history_[:, "train_loss"]
    assert losses[-1] < losses[0]


def test_hooks_on_steps_are_called() -> None:
    told: list[str] = []

    class Hooks(Callback):
        def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
            if len(net.history) == 2:
                optimizer = net.optimizer_
                optimizer.register_step_pre_hook(lambda *given: told.append("before"))
                optimizer.register_step_post_hook(lambda *given: told.append("after"))

    AutoencoderTransformer(
        2, batch_size=60, max_epochs=2, callbacks=[Hooks()], random_state=0
    ).fit(data())
    assert told == ["before", "after"] * 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"optimizer__weight_decay": -0.5}, r"optimizer__weight_decay=-0\.5 .*Adam"),
        ({"optimizer__betas": 0.5}, r"optimizer__betas=0\.5 is not a value"),
        ({"optimizer__eps": "small"}, "optimizer__eps='small'"),
        (
            {"optimizer": "sgd", "optimizer__nesterov": True},
            "optimizer__nesterov=True .*SGD takes: Nesterov momentum requires",
        ),
        (
            {"optimizer__weight_decay": -0.5, "optimizer__eps": -1},
            "Adam cannot be the optimizer of this network",
        ),
        ({"optimizer": Refusing}, "Refusing cannot be .* only of planes"),
        ({"optimizer": torch.optim.SparseAdam}, "sparse gradients only.* Use 'adam'"),
    ],
    ids=str,
)
def test_a_bad_value_is_named(given: dict[str, Any], message: str) -> None:
    autoencoder = AutoencoderTransformer(2, architecture=Dense(()), **given)
    with pytest.raises(ValueError, match=message):
        autoencoder.fit(data())
    assert not hasattr(autoencoder, "net_")


@pytest.mark.parametrize("given", [{}, {"nesterov": True}, {"dampening": 0.3}], ids=str)
def test_momentum_of_a_layer_that_is_frozen_at_first(given: dict[str, Any]) -> None:
    """As in torch's plain step: the fused kernel knows no weights that start later."""
    ours, plain = (
        AutoencoderTransformer(
            2,
            architecture=Dense((8,)),
            optimizer="sgd",
            optimizer__momentum=0.9,
            callbacks=[Freezer("encoder*"), Unfreezer("encoder*", at=3)],
            max_epochs=4,
            random_state=0,
            **{f"optimizer__{name}": value for name, value in (given | kind).items()},
        ).fit(data())
        for kind in ({}, {"fused": False})
    )
    assert ours.net_.optimizer_.param_groups[0]["fused"] is True
    torch.testing.assert_close(weights_of(ours), weights_of(plain))


def test_nested_parameters_arrive() -> None:
    autoencoder = AutoencoderTransformer(
        2, optimizer="sgd", optimizer__momentum=0.7, max_epochs=1, random_state=0
    ).fit(data())
    (group,) = autoencoder.net_.optimizer_.param_groups
    assert group["momentum"] == 0.7
    assert group["fused"] is True


def test_weight_decay_shrinks_the_weights() -> None:
    norms = []
    for weight_decay in (0.0, 5.0):
        autoencoder = AutoencoderTransformer(
            2,
            architecture=Dense(()),
            optimizer="adamw",
            optimizer__weight_decay=weight_decay,
            lr=0.01,
            max_epochs=20,
            random_state=0,
        ).fit(data())
        weights = autoencoder.net_.module_.parameters()
        norms.append(sum(w.square().sum().item() for w in weights))
    assert norms[1] < 0.5 * norms[0]
