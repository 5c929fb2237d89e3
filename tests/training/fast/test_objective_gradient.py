"""Gradients without autograd, of a chain of simple layers: what most tables get."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers import assert_same_weights
from sklearn.utils._param_validation import StrOptions
from skorch.callbacks import Callback

from skautoencoder import AutoencoderTransformer
from skautoencoder.architectures import Dense
from skautoencoder.objectives import LOSSES, reconstruction_loss
from skautoencoder.training.fast.objective_gradient import (
    has_gradient,
    losses_and_gradient,
)
from skautoencoder.training.step_functions import StepFunctions


def fitted(**params: Any) -> AutoencoderTransformer:
    X = np.random.RandomState(0).uniform(size=(90, 6))
    settings: dict[str, Any] = {
        "architecture": Dense((8,), dropout=0.1),
        "batch_size": 20,
        "max_epochs": 4,
        "random_state": 0,
    }
    return AutoencoderTransformer(3, **{**settings, **params}).fit(X)


def assert_same_both_ways(patch: pytest.MonkeyPatch, **params: Any) -> None:
    """Fit as usual and by autograd, and compare the networks."""
    quick = fitted(**params)
    with patch.context() as plain:
        plain.setattr(
            "skautoencoder.training.net.step_for", lambda *given: StepFunctions()
        )
        by_autograd = fitted(**params)
    ours, theirs = (est.net_.module_ for est in (quick, by_autograd))
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())
    losses = [est.history_[:, "train_loss"] for est in (quick, by_autograd)]
    np.testing.assert_allclose(*losses, rtol=1e-5)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"loss": "bce"},
        {"loss": "l1", "optimizer": "sgd"},
        {"loss": "huber", "optimizer": "adamw", "early_stopping": True},
        # Adam would make steps out of a bias's gradient, which is rounding here.
        {"architecture": Dense((8,), batch_norm=True), "optimizer": "sgd"},
    ],
)
def test_what_is_learnt_is_the_same(
    params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_same_both_ways(monkeypatch, **params)


@pytest.mark.parametrize(
    ("params", "is_quick"),
    [
        ({}, True),
        ({"sparsity": "l1"}, False),
        ({"sparsity": "kl"}, False),
        ({"sparsity": "top_k"}, False),
        ({"contraction_weight": 0.1}, False),
        ({"precision": "bfloat16"}, False),
        ({"architecture": Dense((8,), batch_norm=True)}, True),
        ({"architecture": Dense((8,), tied_weights=True)}, False),
        # Asks for the gradient several times a step.
        ({"optimizer": torch.optim.LBFGS, "lr_schedule": "constant"}, False),
    ],
)
def test_the_rest_is_left_to_autograd(
    params: dict[str, Any], is_quick: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = []
    backward = torch.Tensor.backward

    def count(self: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        passes.append(len(passes))
        backward(self, *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, "backward", count)
    fitted(**params)
    assert (not passes) == is_quick


def test_a_loss_without_a_derivative_is_left_to_autograd(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def quartic(
        output: torch.Tensor, target: torch.Tensor, reduction: str = "mean"
    ) -> torch.Tensor:
        each = (output - target) ** 4
        return each.mean() if reduction == "mean" else each

    monkeypatch.setitem(LOSSES, "quartic", quartic)
    constraints = {
        **AutoencoderTransformer._parameter_constraints,
        "loss": [StrOptions({"quartic"})],
    }
    monkeypatch.setattr(AutoencoderTransformer, "_parameter_constraints", constraints)
    losses = fitted(loss="quartic").history_[:, "train_loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", ["on_batch_begin", "on_batch_end"])
def test_callbacks_between_batches_may_change_the_network(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def freeze(self: Callback, net: Any, **kwargs: Any) -> None:
        net.module_.encoder.requires_grad_(False)

    def evaluate(self: Callback, net: Any, batch: Any, **kwargs: Any) -> None:
        net.evaluation_step((batch[0], None), training=False)

    for change in (freeze, evaluate):
        callbacks = [type("Change", (Callback,), {name: change})()]
        assert_same_both_ways(monkeypatch, callbacks=callbacks)


class NeedsClosure(torch.optim.SGD):
    """Wants to evaluate again, as sharpness-aware minimisation does."""

    def step(self, closure: Any = None) -> Any:
        assert closure is not None
        return super().step(closure)


class KeepsGradient(torch.optim.SGD):
    """Adds up in the first gradient that it is given."""

    def step(self, closure: Any = None) -> Any:
        with torch.enable_grad():
            loss = closure()
        for weight in self.param_groups[0]["params"]:
            state = self.state[weight]
            if "sum" in state:
                state["sum"].add_(weight.grad)
            state.setdefault("sum", weight.grad)
            with torch.no_grad():
                weight.sub_(state["sum"], alpha=0.01)
        return loss


@pytest.mark.parametrize("kind", [NeedsClosure, KeepsGradient])
def test_optimizers_of_the_users_own_get_what_torch_gives_them(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_same_both_ways(monkeypatch, optimizer=kind)


@pytest.mark.parametrize("early_stopping", [True, False])
def test_a_callback_that_changes_nothing_changes_no_bit(early_stopping: bool) -> None:
    class LooksOn(Callback):
        def on_epoch_end(self, net: Any, **kwargs: Any) -> None: ...

    params: dict[str, Any] = {"early_stopping": early_stopping, "max_epochs": 6}
    alone, watched = fitted(**params), fitted(callbacks=[LooksOn()], **params)
    assert_same_weights(alone, watched)
    assert alone.history_[:, "train_loss"] == watched.history_[:, "train_loss"]


@pytest.mark.parametrize(
    ("loss", "activation"),
    [(loss, "sigmoid") for loss in LOSSES]
    + [(loss, "identity") for loss in LOSSES if loss != "bce"],
)
def test_gradients_of_losses_are_autograds(loss: str, activation: str) -> None:
    rng = np.random.RandomState(0)
    logits = torch.from_numpy(rng.normal(scale=4, size=(20, 6))).requires_grad_()
    # Some targets are out of a sigmoid's reach.
    high = 1.0 if loss == "bce" else 1.3
    target = torch.from_numpy(rng.uniform(0, high, (20, 6)))
    expected = reconstruction_loss(loss, logits, target, activation)
    (slope,) = torch.autograd.grad(expected, logits)
    assert has_gradient(loss, activation)
    logits = logits.detach()[None]
    (value,), gradient = losses_and_gradient(loss, logits, target, activation)
    torch.testing.assert_close(value, expected.detach())
    torch.testing.assert_close(gradient[0], slope)


def test_only_losses_with_a_known_gradient_have_one() -> None:
    assert not has_gradient("bce", "identity")
    assert not has_gradient("quartic", "identity")
