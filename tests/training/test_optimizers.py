from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from skautoencoder import AutoencoderTransformer
from skautoencoder.architectures import Dense
from skautoencoder.training import OPTIMIZERS, resolve_optimizer

CPU = torch.device("cpu")


class AnyArguments(torch.optim.SGD):
    """Hands what it is given on, so that its signature tells nothing."""

    def __init__(self, params: Any, **kwargs: Any) -> None:
        super().__init__(params, **kwargs)


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
    assert kind is torch.optim.AdamW
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
        lr=0.05 if name in ("adam", "adamw", "nadam", "rmsprop") else 0.5,
        # L-BFGS takes the curvature of one batch for that of the next.
        batch_size=len(X) if name == "lbfgs" else "auto",
        max_epochs=30,
        random_state=0,
    ).fit(X)
    assert autoencoder.score(X) > 0.8
    assert type(autoencoder.net_.optimizer_) is OPTIMIZERS[name]


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
