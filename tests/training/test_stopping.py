from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from skorch.callbacks import EarlyStopping as SkorchEarlyStopping
from torch import nn

from skautoencoder import AutoencoderTransformer
from skautoencoder.architectures import Dense
from skautoencoder.objectives import Objective
from skautoencoder.training import EarlyStopping, Rows
from skautoencoder.training.stopping import StopTraining


def run(
    losses: list[float | None], **params: Any
) -> tuple[int, float, nn.Linear, EarlyStopping]:
    """Show losses to the callback; the weight is the number of the epoch."""
    callback = EarlyStopping(**params)
    module = nn.Linear(1, 1)
    net = SimpleNamespace(module_=module, history=[])
    callback.on_train_begin(net)
    n_epochs = 0
    for epoch, loss in enumerate(losses):
        nn.init.constant_(module.weight, epoch)
        net.history.append({} if loss is None else {"valid_loss": loss})
        n_epochs += 1
        try:
            callback.on_epoch_end(net)
        except StopTraining:
            break
    callback.on_train_end(net)
    return n_epochs, module.weight.item(), module, callback


class TestTheRule:
    def test_it_waits_and_goes_back_to_the_best(self) -> None:
        losses = [1.0, 0.5, 0.6, 0.7, 0.8, 0.1]
        n_epochs, epoch, _, _ = run(losses, patience=3)
        assert (n_epochs, epoch) == (5, 1)

    def test_an_improvement_starts_the_wait_anew(self) -> None:
        losses = [1.0, 1.1, 0.9, 1.0, 0.8, 0.9, 0.9]
        n_epochs, epoch, _, _ = run(losses, patience=2)
        assert (n_epochs, epoch) == (7, 4)

    def test_it_never_stops_while_the_loss_falls(self) -> None:
        losses = [0.9**i for i in range(30)]
        n_epochs, epoch, _, _ = run(losses, patience=1)
        assert (n_epochs, epoch) == (30, 29)

    def test_small_gains_do_not_count_but_their_weights_are_kept(self) -> None:
        losses = [1.0, 0.999, 0.998, 0.997]
        n_epochs, epoch, _, _ = run(losses, patience=3, threshold=0.01)
        assert (n_epochs, epoch) == (4, 3)

    def test_slow_gains_count_when_they_add_up(self) -> None:
        losses = [1.0 - 0.004 * i for i in range(20)]
        n_epochs, _, _, _ = run(losses, patience=3, threshold=0.01)
        assert n_epochs == 20

    def test_the_threshold_is_a_share_also_of_negative_losses(self) -> None:
        improving = [-1.0, -1.2, -1.4, -1.6]
        assert run(improving, patience=1, threshold=0.1)[:2] == (4, 3)
        standing = [-1.0, -1.05, -1.06]
        assert run(standing, patience=2, threshold=0.1)[:2] == (3, 2)

    def test_equal_losses_are_no_gain(self) -> None:
        n_epochs, epoch, _, _ = run([0.5] * 9, patience=4, threshold=0.0)
        assert (n_epochs, epoch) == (5, 0)

    def test_epochs_without_a_validation_loss_are_passed_over(self) -> None:
        n_epochs, epoch, _, _ = run([None] * 5, patience=1)
        assert (n_epochs, epoch) == (5, 4)

    def test_the_kept_weights_are_let_go(self) -> None:
        *_, callback = run([1.0, 2.0], patience=1)
        assert callback.best_weights_ is None

    def test_a_second_fit_starts_afresh(self) -> None:
        *_, callback = run([0.1, 0.2], patience=1)
        callback.on_train_begin(SimpleNamespace())
        assert callback.best_loss_ == float("inf")
        assert callback.n_waited_ == 0


@pytest.fixture
def X() -> np.ndarray:
    rng = np.random.RandomState(0)
    return rng.randn(80, 12)


def overfitting(**params: Any) -> AutoencoderTransformer:
    defaults = {
        "code_size": 6,
        "architecture": Dense((64,)),
        "lr": 0.02,
        "lr_schedule": "constant",
        "max_epochs": 60,
        "early_stopping": True,
        "n_iter_no_change": 6,
        "validation_fraction": 0.25,
        "random_state": 0,
    }
    return AutoencoderTransformer(**{**defaults, **params})


def validation_loss(autoencoder: AutoencoderTransformer, X: np.ndarray) -> float:
    net = autoencoder.net_
    data = Rows(autoencoder.trained_network.scaling.to_network(X))
    _, valid = data.split(autoencoder.validation_fraction, net.seed)
    with torch.no_grad():
        return Objective()(net.module_.eval(), valid.rows, valid.rows).item()


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_fit_ends_early_with_its_best_weights(
    X: np.ndarray, batch_norm: bool
) -> None:
    architecture = Dense((64,), batch_norm=batch_norm)
    autoencoder = overfitting(architecture=architecture).fit(X)
    losses = autoencoder.history_[:, "valid_loss"]
    best = int(np.argmin(losses))
    assert autoencoder.n_iter_ == len(losses) == best + 1 + 6 < 60
    assert losses[-1] > losses[best]
    assert validation_loss(autoencoder, X) == pytest.approx(losses[best], rel=1e-5)


def test_the_best_weights_are_kept_when_all_epochs_are_used(X: np.ndarray) -> None:
    autoencoder = overfitting(n_iter_no_change=100, max_epochs=25).fit(X)
    losses = autoencoder.history_[:, "valid_loss"]
    assert len(losses) == 25
    assert min(losses) < losses[-1]
    assert validation_loss(autoencoder, X) == pytest.approx(min(losses), rel=1e-5)


def test_rows_kept_out_are_not_learnt_from(X: np.ndarray) -> None:
    seen: list[torch.Tensor] = []

    class Watch(Callback):
        def on_batch_begin(
            self, net: Any, batch: Any = None, training: bool = True, **_: Any
        ) -> None:
            if training:
                seen.append(batch[0].clone())

    # deepcopy of a local class's instance keeps the closure over `seen`.
    autoencoder = overfitting(callbacks=[Watch()], max_epochs=2).fit(X)
    data = Rows(autoencoder.trained_network.scaling.to_network(X))
    train, valid = data.split(0.25, autoencoder.net_.seed)
    learnt = {tuple(row.tolist()) for row in torch.cat(seen)}
    assert learnt == {tuple(row.tolist()) for row in train[:][0]}
    assert learnt.isdisjoint(tuple(row.tolist()) for row in valid[:][0])


def test_a_warm_start_validates_on_its_own_epochs(X: np.ndarray) -> None:
    autoencoder = overfitting(max_epochs=3, warm_start=True).fit(X)
    autoencoder.fit(X)
    assert autoencoder.n_iter_ == 6
    losses = autoencoder.history_[-3:, "valid_loss"]
    assert validation_loss(autoencoder, X) == pytest.approx(min(losses), rel=1e-5)


def test_partial_fit_needs_no_validation_part(X: np.ndarray) -> None:
    autoencoder = overfitting()
    for _ in range(3):
        autoencoder.partial_fit(X)
    assert autoencoder.n_iter_ == 3
    assert "valid_loss" not in autoencoder.history_[-1]


@pytest.mark.parametrize("n_samples", [2, 3, 4])
@pytest.mark.parametrize("validation_fraction", [0.1, 0.5, 0.9])
def test_few_rows_are_enough(
    X: np.ndarray, n_samples: int, validation_fraction: float
) -> None:
    autoencoder = overfitting(max_epochs=2, validation_fraction=validation_fraction)
    codes = autoencoder.fit_transform(X[:n_samples])
    assert np.isfinite(codes).all()
    assert len(autoencoder.history_[:, "valid_loss"]) == 2


@pytest.mark.parametrize("monitor", ["valid_loss", "train_loss"])
def test_skorchs_own_early_stopping_ends_the_fit_quietly(
    X: np.ndarray, monitor: str
) -> None:
    # A gain of 100 % is never made: it ends after `patience` epochs.
    stopping = SkorchEarlyStopping(
        monitor=monitor, patience=3, threshold=1.0, sink=lambda *_: None
    )
    autoencoder = overfitting(callbacks=[stopping], n_iter_no_change=100).fit(X)
    assert autoencoder.n_iter_ == 4
    assert np.isfinite(autoencoder.transform(X)).all()


class Interrupt(Callback):
    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        if len(net.history) == 2:
            raise KeyboardInterrupt


class InterruptInBatch(Callback):
    def on_batch_end(self, net: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize("callback", [Interrupt(), InterruptInBatch()])
@pytest.mark.parametrize("with_skorchs", [False, True])
def test_ctrl_c_leaves_fit_and_the_estimator_as_before(
    X: np.ndarray, callback: Callback, with_skorchs: bool
) -> None:
    callbacks: list[Any] = [callback]
    if with_skorchs:
        callbacks.append(SkorchEarlyStopping(patience=50, sink=lambda *_: None))
    autoencoder = overfitting(callbacks=callbacks)
    with pytest.raises(KeyboardInterrupt):
        autoencoder.fit(X)
    assert not hasattr(autoencoder, "net_")
    assert not hasattr(autoencoder, "n_features_in_")

    autoencoder.set_params(callbacks=None).fit(X)
    codes, n_epochs = autoencoder.transform(X), autoencoder.n_iter_
    autoencoder.set_params(callbacks=callbacks)
    with pytest.raises(KeyboardInterrupt):
        autoencoder.fit(X)
    assert autoencoder.n_iter_ == n_epochs
    np.testing.assert_array_equal(autoencoder.transform(X), codes)


def test_ctrl_c_leaves_partial_fit_and_the_estimator_as_before(X: np.ndarray) -> None:
    autoencoder = overfitting(callbacks=[Interrupt()], early_stopping=False)
    autoencoder.partial_fit(X)
    codes = autoencoder.transform(X)
    with pytest.raises(KeyboardInterrupt):
        autoencoder.partial_fit(X)
    np.testing.assert_array_equal(autoencoder.transform(X), codes)
    assert len(autoencoder.history_) == autoencoder.n_iter_ == 1
