"""Gradients of simple layers in a row, worked out in parts of a batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers import assert_same_answers, assert_same_weights
from skorch.callbacks import Callback
from torch import nn

from skautoencoder import (
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    DenoisingAutoencoder,
)
from skautoencoder.architectures import Dense
from skautoencoder.objectives import Objective
from skautoencoder.training import threads
from skautoencoder.training.direct_parts import DirectParts
from skautoencoder.training.parts import Parts
from skautoencoder.training.threads import crew_of

ROWS = np.random.default_rng(0).random((70, 40), dtype=np.float32)


pytestmark = pytest.mark.usefixtures("three_processors")


def dense(hidden: tuple[int, ...] = (60, 33), **params: Any) -> AutoencoderTransformer:
    settings: dict[str, Any] = {"max_epochs": 3, "batch_size": 16, "random_state": 0}
    architecture = {
        name: params.pop(name)
        for name in ("activation", "batch_norm", "dropout", "code_batch_norm")
        if name in params
    }
    settings["architecture"] = Dense(hidden, **architecture)
    return AutoencoderTransformer(7, **{**settings, **params})


SHORT: dict[str, Any] = {
    "architecture": Dense((30,)),
    "max_epochs": 2,
    "batch_size": 16,
    "random_state": 0,
}
ESTIMATORS: dict[str, Any] = {
    "default": lambda: dense(),
    "bfloat16": lambda: dense(precision="bfloat16"),
    "batch norm": lambda: dense(batch_norm=True, code_batch_norm=True),
    "batch norm in bfloat16": lambda: dense(batch_norm=True, precision="bfloat16"),
    "dropout": lambda: dense(dropout=0.3, activation="gelu"),
    "no hidden layers": lambda: dense(()),
    "bce": lambda: dense(loss="bce", activation="relu"),
    "sgd, early stopping": lambda: dense(optimizer="sgd", early_stopping=True),
    "huber, adamw": lambda: dense(loss="huber", optimizer="adamw", activation="tanh"),
    "noise": lambda: DenoisingAutoencoder(code_size=4, **SHORT),
    "detector": lambda: AutoencoderOutlierDetector(code_size=4, **SHORT),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_number_of_threads_does_not_change_a_bit(name: str) -> None:
    fitted = []
    for n_threads in (1, 2, 3):
        torch.set_num_threads(n_threads)
        fitted.append(ESTIMATORS[name]().fit(ROWS))
        assert torch.get_num_threads() == n_threads
    one, *others = fitted
    assert one.net_.n_parts_ == 3
    for other in others:
        assert_same_weights(one, other)
        assert list(one.history_[:, "train_loss"]) == list(
            other.history_[:, "train_loss"]
        )
        if hasattr(one, "inverse_transform"):
            assert_same_answers(one, other, ROWS)


def gradients(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: w.grad.clone() for name, w in network.named_parameters()}


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"batch_norm": True},
        {"batch_norm": True, "code_batch_norm": True, "activation": "silu"},
        {"activation": "leaky_relu", "hidden_layer_sizes": ()},
    ],
)
@pytest.mark.parametrize("loss", ["mse", "l1", "huber"])
@pytest.mark.parametrize("n_rows", [7, 15, 16])
def test_the_gradient_is_the_whole_batch_s(
    params: dict[str, Any], loss: str, n_rows: int
) -> None:
    def network() -> nn.Module:
        torch.manual_seed(0)
        return Dense(**params).build((40,), 5, center=torch.full((40,), 0.5)).train()

    objective, rows = Objective(loss), torch.from_numpy(ROWS[:n_rows])
    whole, divided = network(), network()
    expected = objective(whole, rows, rows)
    expected.backward()
    with crew_of(3) as crew:
        find = objective.direct_gradient
        direct = DirectParts(find, divided, Parts(3, crew, divided), torch.float32)
        assert direct.is_possible
        for _ in range(2):
            # The second time into the room that the first one made.
            buffers = [b.clone() for b in divided.buffers()]
            found = direct(rows, rows)
        for buffer, before in zip(divided.buffers(), buffers, strict=True):
            buffer.copy_(before)
    torch.testing.assert_close(found, expected.detach())
    for name, gradient in gradients(divided).items():
        torch.testing.assert_close(
            gradient, whole.get_parameter(name).grad, rtol=1e-3, atol=1e-6
        )
    for name, buffer in divided.named_buffers():
        torch.testing.assert_close(buffer, whole.get_buffer(name), rtol=1e-5, atol=1e-6)


def test_fewer_rows_than_parts() -> None:
    torch.manual_seed(0)
    network = Dense((30,)).build((40,), 5).train()
    rows = torch.from_numpy(ROWS[:2])
    expected = Objective()(network, rows, rows)
    expected.backward()
    slopes = gradients(network)
    with crew_of(3) as crew:
        parts, find = Parts(3, crew, network), Objective().direct_gradient
        found = DirectParts(find, network, parts, torch.float32)(rows, rows)
    torch.testing.assert_close(found, expected.detach())
    torch.testing.assert_close(gradients(network), slopes, rtol=1e-4, atol=1e-6)


def test_bfloat16_is_near_float32() -> None:
    torch.manual_seed(0)
    network = Dense((30,)).build((40,), 5).train()
    rows, find = torch.from_numpy(ROWS[:16]), Objective().direct_gradient
    found = []
    with crew_of(3) as crew:
        for dtype in (torch.float32, torch.bfloat16):
            parts = Parts(3, crew, network)
            loss = DirectParts(find, network, parts, dtype)(rows, rows)
            found.append((float(loss), gradients(network)))
    (loss, precise), (near, rounded) = found
    assert near == pytest.approx(loss, rel=0.01)
    assert near != loss
    for name, gradient in precise.items():
        assert rounded[name].dtype == torch.float32
        unit = float(gradient.abs().max())
        torch.testing.assert_close(rounded[name], gradient, rtol=0, atol=0.05 * unit)


def test_it_learns_what_whole_batches_teach(monkeypatch: pytest.MonkeyPatch) -> None:
    divided = dense(max_epochs=20).fit(ROWS)
    monkeypatch.setattr(threads, "_ONE_THREAD_WORK", 1e30)
    whole = dense(max_epochs=20).fit(ROWS)
    assert (divided.net_.n_parts_, whole.net_.n_parts_) == (3, 1)
    losses = [estimator.history_[-1, "train_loss"] for estimator in (divided, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_other_networks_are_not_for_it() -> None:
    network = Dense((30,), tied_weights=True).build((40,), 5).train()
    with crew_of(3) as crew:
        parts = Parts(3, crew, network)
        find = Objective().direct_gradient
        assert not DirectParts(find, network, parts, torch.float32).is_possible


def test_short_steps_do_not_wait_for_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "_MEETING_WORK", 1e30)
    assert dense(batch_norm=True).fit(ROWS).net_.n_parts_ == 1
    assert dense().fit(ROWS).net_.n_parts_ == 3


class Empties(Callback):
    """Throws gradients away, as some do to save memory."""

    def on_grad_computed(self, net: Any, **kwargs: Any) -> None:
        for weight in net.module_.parameters():
            weight.grad = weight.grad.clone()


def test_gradients_may_be_replaced() -> None:
    replaced = dense(callbacks=[Empties()]).fit(ROWS)
    assert_same_weights(replaced, dense().fit(ROWS))


def test_dropout_differs_between_parts() -> None:
    torch.manual_seed(0)
    network = Dense((200,), dropout=0.5).build((40,), 5).train()
    rows = torch.from_numpy(ROWS[:1]).repeat(3, 1)
    with crew_of(3) as crew:
        find = Objective().direct_gradient
        direct = DirectParts(find, network, Parts(3, crew, network), torch.float32)
        direct(rows, rows)
    codes = direct._notes[network.encoder[-1]].inputs
    assert not torch.equal(codes[0], codes[1])
    assert not torch.equal(codes[1], codes[2])
