from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
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
        direct = self.fitted(**params)
        monkeypatch.setattr(Objective, "direct_gradient", lambda self, network: None)
        by_autograd = self.fitted(**params)
        ours, theirs = (est.net_.module_ for est in (direct, by_autograd))
        torch.testing.assert_close(ours.state_dict(), theirs.state_dict())
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
