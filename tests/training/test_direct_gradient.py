from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from helpers import assert_same_weights
from sklearn.utils._param_validation import StrOptions
from skorch.callbacks import Callback, GradientNormClipping

from skautoencoder import AutoencoderTransformer
from skautoencoder.architectures import Dense
from skautoencoder.objectives import LOSSES, Objective


class TestGradientsWithoutAutograd:
    """Of a chain of simple layers, which is what most tables get."""

    @staticmethod
    def fitted(**params: Any) -> AutoencoderTransformer:
        X = np.random.RandomState(0).uniform(size=(90, 6))
        settings: dict[str, Any] = {
            "architecture": Dense((8,), dropout=0.1),
            "batch_size": 20,
            "max_epochs": 4,
            "random_state": 0,
        }
        return AutoencoderTransformer(3, **{**settings, **params}).fit(X)

    @classmethod
    def fitted_both_ways(
        cls, monkeypatch: pytest.MonkeyPatch, **params: Any
    ) -> tuple[AutoencoderTransformer, AutoencoderTransformer]:
        """Fit as it comes and by autograd, and see that the networks are the same."""
        direct = cls.fitted(**params)
        with monkeypatch.context() as patch:
            patch.setattr(Objective, "direct_gradient", lambda *args: None)
            by_autograd = cls.fitted(**params)
        ours, theirs = (est.net_.module_ for est in (direct, by_autograd))
        torch.testing.assert_close(ours.state_dict(), theirs.state_dict())
        return direct, by_autograd

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
        self, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        direct, by_autograd = self.fitted_both_ways(monkeypatch, **params)
        losses = [est.history_[:, "train_loss"] for est in (direct, by_autograd)]
        np.testing.assert_allclose(*losses, rtol=1e-5)

    @pytest.mark.parametrize(
        ("params", "is_direct"),
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
        self,
        params: dict[str, Any],
        is_direct: bool,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        passes = []
        backward = torch.Tensor.backward

        def count(self: torch.Tensor, *args: Any, **kwargs: Any) -> None:
            passes.append(len(passes))
            backward(self, *args, **kwargs)

        monkeypatch.setattr(torch.Tensor, "backward", count)
        self.fitted(**params)
        assert (not passes) == is_direct

    def test_a_loss_without_a_derivative_is_left_to_autograd(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def quartic(
            output: torch.Tensor, target: torch.Tensor, reduction: str = "mean"
        ) -> torch.Tensor:
            each = (output - target) ** 4
            return each.mean() if reduction == "mean" else each

        monkeypatch.setitem(LOSSES, "quartic", quartic)
        constraint = {"loss": [StrOptions({"quartic"})]}
        constraints = {**AutoencoderTransformer._parameter_constraints, **constraint}
        monkeypatch.setattr(
            AutoencoderTransformer, "_parameter_constraints", constraints
        )
        losses = self.fitted(loss="quartic").history_[:, "train_loss"]
        assert losses[-1] < losses[0]

    def test_whoever_listens_to_a_layer_hears_it(self) -> None:
        heard: list[object] = []

        class Listener(Callback):
            """Notes what a layer puts out, from the second epoch on."""

            def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
                if len(net.history) == 1:
                    net.module_.encoder[0].register_forward_hook(
                        lambda *arguments: heard.append(arguments)
                    )

        self.fitted(callbacks=[Listener()])
        assert len(heard) == 3 * 5

    def test_whoever_listens_to_gradients_gets_them(self) -> None:
        class Listener(Callback):
            """Looks for weights without a gradient."""

            def on_grad_computed(
                self, net: Any, named_parameters: Any, **kwargs: Any
            ) -> None:
                assert all(weight.grad is not None for _, weight in named_parameters)

        self.fitted(callbacks=[Listener()])
        clipped = self.fitted(callbacks=[GradientNormClipping(1e-6)], optimizer="sgd")
        start = self.fitted(optimizer="sgd", lr=1e-9)
        ours, theirs = (est.net_.module_ for est in (clipped, start))
        torch.testing.assert_close(ours.state_dict(), theirs.state_dict())

    @pytest.mark.parametrize("name", ["on_batch_begin", "on_batch_end"])
    def test_whoever_listens_to_batches_may_change_the_network(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def freeze(self: Callback, net: Any, **kwargs: Any) -> None:
            net.module_.encoder.requires_grad_(False)

        def evaluate(self: Callback, net: Any, batch: Any, **kwargs: Any) -> None:
            net.evaluation_step((batch[0], None), training=False)

        for change in (freeze, evaluate):
            callbacks = [type("Change", (Callback,), {name: change})()]
            self.fitted_both_ways(monkeypatch, callbacks=callbacks)

    def test_whoever_keeps_gradients_has_those_of_each_step(self) -> None:
        class Keeper(Callback):
            """Keeps the tensors themselves."""

            def on_train_begin(self, net: Any, **kwargs: Any) -> None:
                self.kept: list[torch.Tensor] = []

            def on_grad_computed(self, net: Any, **kwargs: Any) -> None:
                self.kept.append(net.module_.encoder[0].weight.grad)

        fitted = self.fitted(callbacks=[("keeper", Keeper())])
        kept = dict(fitted.net_.callbacks_)["keeper"].kept
        assert len({gradient.data_ptr() for gradient in kept}) == len(kept) == 4 * 5

    def test_optimizers_of_the_users_own_get_what_torch_gives_them(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
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

        for kind in (NeedsClosure, KeepsGradient):
            self.fitted_both_ways(monkeypatch, optimizer=kind)

    @pytest.mark.parametrize("early_stopping", [True, False])
    def test_somebody_who_looks_on_changes_no_bit(self, early_stopping: bool) -> None:
        class LooksOn(Callback):
            def on_epoch_end(self, net: Any, **kwargs: Any) -> None: ...

        params: dict[str, Any] = {"early_stopping": early_stopping, "max_epochs": 6}
        alone = self.fitted(**params)
        for callbacks in ([LooksOn()], [GradientNormClipping(1e9)]):
            watched = self.fitted(callbacks=callbacks, **params)
            assert_same_weights(alone, watched)
            assert alone.history_[:, "train_loss"] == watched.history_[:, "train_loss"]

    def test_whoever_freezes_a_layer_between_epochs_is_heard(self) -> None:
        class Freezes(Callback):
            def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
                layer = net.module_.encoder[0]
                layer.requires_grad_(False)
                layer.weight.grad = None
                self.weight_ = layer.weight.detach().clone()

        estimator = self.fitted(callbacks=[Freezes()])
        callback = dict(estimator.net_.callbacks_)["Freezes"]
        weight = estimator.net_.module_.encoder[0].weight
        assert torch.equal(weight, callback.weight_)

    def test_a_fit_that_was_broken_off_can_be_stored(self) -> None:
        estimator = self.fitted(architecture=Dense((8,), output_activation="identity"))
        rows = np.random.RandomState(1).uniform(size=(40, 6))
        with pytest.raises(ValueError, match="diverged"):
            estimator.partial_fit(1e25 * rows)
        assert torch.is_grad_enabled()
        again = pickle.loads(pickle.dumps(estimator))
        assert_same_weights(estimator, again)
        again.partial_fit(rows)

    def test_the_best_epochs_are_marked(self) -> None:
        history = self.fitted(early_stopping=True, max_epochs=12, lr=0.1).history_
        for name in ("train_loss", "valid_loss"):
            losses = np.array(history[:, name])
            lowest = np.minimum.accumulate(np.concatenate([[np.inf], losses]))[:-1]
            assert list(history[:, f"{name}_best"]) == list(losses < lowest)

    def test_layers_put_into_evaluation_mode_learn_again_in_the_next_epoch(
        self,
    ) -> None:
        class Look(Callback):
            """Looks at codes."""

            def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
                net.module_.encoder.eval()

        architecture = Dense((8,), batch_norm=True, dropout=0.2)
        plain, looked = (
            self.fitted(architecture=architecture, callbacks=callbacks)
            for callbacks in (None, [Look()])
        )
        torch.testing.assert_close(
            plain.net_.module_.state_dict(), looked.net_.module_.state_dict()
        )
