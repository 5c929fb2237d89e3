"""Callbacks and hooks that look at networks, gradients and losses while they learn."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers import assert_same_weights, noise, tiny_conv, weights_of
from skorch.callbacks import Callback, GradientNormClipping

from skautoencoder import AutoencoderTransformer
from skautoencoder.architectures import Dense


def fitted(**params: Any) -> AutoencoderTransformer:
    X = np.random.RandomState(0).uniform(size=(90, 6))
    settings: dict[str, Any] = {
        "architecture": Dense((8,), dropout=0.1),
        "batch_size": 20,
        "max_epochs": 4,
        "random_state": 0,
    }
    return AutoencoderTransformer(3, **{**settings, **params}).fit(X)


def test_hooks_from_the_second_epoch_on_are_called() -> None:
    heard: list[object] = []

    class Hooks(Callback):
        def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
            if len(net.history) == 1:
                net.module_.encoder[0].register_forward_hook(
                    lambda *arguments: heard.append(arguments)
                )

    fitted(callbacks=[Hooks()])
    assert len(heard) == 3 * 5


def test_callbacks_get_gradients_and_may_change_them() -> None:
    class Looks(Callback):
        def on_grad_computed(
            self, net: Any, named_parameters: Any, **kwargs: Any
        ) -> None:
            assert all(weight.grad is not None for _, weight in named_parameters)

    fitted(callbacks=[Looks()])
    clipped = fitted(callbacks=[GradientNormClipping(1e-6)], optimizer="sgd")
    start = fitted(optimizer="sgd", lr=1e-9)
    ours, theirs = (est.net_.module_ for est in (clipped, start))
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())


# Gradients by autograd, in the closure of an optimizer, and by training/fast.
@pytest.mark.parametrize(
    "params",
    [{"architecture": Dense((8,), tied_weights=True)}, {"optimizer": "lbfgs"}, {}],
)
def test_callbacks_may_use_autograd(params: dict[str, Any]) -> None:
    found = set()

    class Differentiates(Callback):
        def on_batch_end(self, net: Any, **kwargs: Any) -> None:
            found.add(("batch", torch.is_grad_enabled()))

    class Looks(Callback):
        def on_grad_computed(self, net: Any, **kwargs: Any) -> None:
            found.add(("gradient", torch.is_grad_enabled()))

    fitted(callbacks=[Looks()], **params)
    with torch.no_grad():
        fitted(callbacks=[Looks(), Differentiates()], **params)
    assert found == {("batch", True), ("gradient", True)}


def test_clipping_of_gradients_that_are_small_changes_no_bit() -> None:
    clipped = fitted(callbacks=[GradientNormClipping(1e9)])
    assert_same_weights(fitted(), clipped)


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "lbfgs"])
def test_gradients_that_a_callback_sets_may_have_other_strides(optimizer: str) -> None:
    class Sets(Callback):
        def on_grad_computed(self, net: Any, **kwargs: Any) -> None:
            for weight in net.module_.parameters():
                layout = torch.contiguous_format
                weight.grad = weight.grad.clone(memory_format=layout)

    params = {"optimizer": optimizer, "max_epochs": 1, "batch_size": 8}
    fits = [
        tiny_conv(callbacks=callbacks, **params).fit(noise(16, 8, 8))
        for callbacks in (None, [Sets()])
    ]
    assert_same_weights(*fits)


LAYOUTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "transposed": lambda weight: weight.t().contiguous().t(),
    "part of a larger one": lambda weight: torch.stack([weight, weight], dim=-1)[
        ..., 0
    ],
}


@pytest.mark.parametrize("when", ["on_train_begin", "on_epoch_end"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_that_a_callback_sets_may_have_other_strides(
    layout: str, when: str
) -> None:
    def sets(self: Callback, net: Any, **kwargs: Any) -> None:
        for weight in net.module_.parameters():
            if weight.dim() == 2:
                weight.data = LAYOUTS[layout](weight.data)

    sets_weights = type("Sets", (Callback,), {when: sets})()
    params = {"max_epochs": 2, "optimizer__eps": 1e-3}
    ours, theirs = (
        weights_of(fitted(callbacks=callbacks, **params))
        for callbacks in (None, [sets_weights])
    )
    torch.testing.assert_close(ours, theirs)


def test_gradients_that_a_callback_keeps_are_not_written_over() -> None:
    class Keeper(Callback):
        def on_train_begin(self, net: Any, **kwargs: Any) -> None:
            self.kept: list[torch.Tensor] = []

        def on_grad_computed(self, net: Any, **kwargs: Any) -> None:
            self.kept.append(net.module_.encoder[0].weight.grad)

    estimator = fitted(callbacks=[("keeper", Keeper())])
    kept = dict(estimator.net_.callbacks_)["keeper"].kept
    assert len({gradient.data_ptr() for gradient in kept}) == len(kept) == 4 * 5


def test_layers_may_be_frozen_between_epochs() -> None:
    class Freezes(Callback):
        def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
            layer = net.module_.encoder[0]
            layer.requires_grad_(False)
            layer.weight.grad = None
            self.weight_ = layer.weight.detach().clone()

    estimator = fitted(callbacks=[Freezes()])
    callback = dict(estimator.net_.callbacks_)["Freezes"]
    weight = estimator.net_.module_.encoder[0].weight
    assert torch.equal(weight, callback.weight_)


def test_layers_put_into_evaluation_mode_learn_again_in_the_next_epoch() -> None:
    class Look(Callback):
        """Looks at codes."""

        def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
            net.module_.encoder.eval()

    architecture = Dense((8,), batch_norm=True, dropout=0.2)
    plain, looked = (
        fitted(architecture=architecture, callbacks=callbacks)
        for callbacks in (None, [Look()])
    )
    torch.testing.assert_close(
        plain.net_.module_.state_dict(), looked.net_.module_.state_dict()
    )


def test_a_fit_that_was_broken_off_can_be_stored() -> None:
    estimator = fitted(architecture=Dense((8,), output_activation="identity"))
    rows = np.random.RandomState(1).uniform(size=(40, 6))
    with pytest.raises(ValueError, match="diverged"):
        estimator.partial_fit(1e25 * rows)
    assert torch.is_grad_enabled()
    again = pickle.loads(pickle.dumps(estimator))
    assert_same_weights(estimator, again)
    again.partial_fit(rows)


def test_the_best_epochs_are_marked() -> None:
    history = fitted(early_stopping=True, max_epochs=12, lr=0.1).history_
    for name in ("train_loss", "valid_loss"):
        losses = np.array(history[:, name])
        lowest = np.minimum.accumulate(np.concatenate([[np.inf], losses]))[:-1]
        assert list(history[:, f"{name}_best"]) == list(losses < lowest)
