"""Callbacks of skorch's and of the user's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fits import X, either
from helpers import (
    Recorder,
    assert_same_weights,
    have_same_weights,
    tiny_dense,
)
from skorch.callbacks import Checkpoint, EarlyStopping, GradientNormClipping


class EverythingRecorder(Recorder):
    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.said.append("train_begin")

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        self.said.append("epoch_begin")

    def on_batch_begin(self, net: Any, **kwargs: Any) -> None:
        self.said.append("batch_begin")

    def on_grad_computed(self, net: Any, named_parameters: Any, **kwargs: Any) -> None:
        names = dict(named_parameters)
        assert all(weight.grad is not None for weight in names.values())
        self.said.append("grad")

    def on_batch_end(self, net: Any, **kwargs: Any) -> None:
        self.said.append("batch_end")

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        self.said.append(net.history[-1, "train_loss"])

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        self.said.append("train_end")


@either
def test_callbacks_are_told_of_everything(make: Any) -> None:
    said: list[Any] = []
    estimator = make(
        max_epochs=2, batch_size=25, callbacks=[EverythingRecorder(said)]
    ).fit(X)
    batch = ["batch_begin", "grad", "batch_end"]
    first, second = estimator.history_[:, "train_loss"]
    assert said == [
        "train_begin",
        *("epoch_begin", *batch, *batch, first),
        *("epoch_begin", *batch, *batch, second),
        "train_end",
    ]
    # Listening changes nothing.
    assert_same_weights(estimator, make(max_epochs=2, batch_size=25).fit(X))


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_callback_that_clips_gradients(kind: Any) -> None:
    clipped = tiny_dense(callbacks=kind([GradientNormClipping(1e-9)]), optimizer="sgd")
    free = tiny_dense(optimizer="sgd", lr=1e-9)
    one, other = weights_list(clipped.fit(X)), weights_list(free.fit(X))
    for mine, theirs in zip(one, other, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=0)
    assert not have_same_weights(clipped, tiny_dense(optimizer="sgd").fit(X))


def weights_list(estimator: Any) -> list[torch.Tensor]:
    return list(estimator.net_.module_.state_dict().values())


def test_early_stopping_of_skorch_ends_the_fit_without_an_interrupt(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stopping = EarlyStopping(monitor="train_loss", patience=2, threshold=10.0)
    estimator = tiny_dense(callbacks=[stopping], max_epochs=30).fit(X)
    assert 2 <= estimator.n_iter_ < 30
    assert np.isfinite(estimator.predict(X)).all()


def test_named_callbacks_and_their_parameters() -> None:
    clip = GradientNormClipping(100.0)
    estimator = tiny_dense(
        callbacks=[("clip", clip)],
        callbacks__clip__gradient_clip_value=1e-9,
        optimizer="sgd",
    ).fit(X)
    fitted_callback = dict(estimator.net_.callbacks_)["clip"]
    assert fitted_callback.gradient_clip_value == 1e-9
    assert clip.gradient_clip_value == 100.0
    off = tiny_dense(
        callbacks=[("clip", clip)], callbacks__clip=None, optimizer="sgd"
    ).fit(X)
    assert_same_weights(off, tiny_dense(optimizer="sgd").fit(X))


@pytest.mark.parametrize(
    ("callback", "monitor"),
    [(EarlyStopping(), "valid_loss"), (Checkpoint(), "valid_loss_best")],
)
def test_a_callback_that_watches_a_loss_that_nobody_measures(
    callback: Any, monitor: str
) -> None:
    estimator = tiny_dense(callbacks=[callback])
    instead = monitor.replace("valid", "train")
    message = f"watches '{monitor}'.*early_stopping=True.*or let it watch '{instead}'"
    for learn in (estimator.fit, estimator.partial_fit):
        with pytest.raises(ValueError, match=message):
            learn(X)
    if isinstance(callback, EarlyStopping):
        estimator.fit(X, X_valid=X[:9])
        estimator.set_params(early_stopping=True).fit(X)
        with pytest.raises(ValueError, match=message):
            estimator.partial_fit(X)
        estimator.set_params(early_stopping=False)
        estimator.set_params(callbacks=[EarlyStopping("train_loss")]).fit(X)
