"""Without names that torch may change, training goes on with autograd and its Adam."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import numpy as np
import pytest
import torch
from processes import in_child
from torch import nn
from torch.optim import optimizer as torch_optimizer

from skautoencoder import AutoencoderTransformer
from skautoencoder.architectures import Dense, hook_checks
from skautoencoder.training import OPTIMIZERS
from skautoencoder.training.fast.adam import update_for

X = np.random.RandomState(0).uniform(size=(60, 6))


def fitted(**params: Any) -> AutoencoderTransformer:
    return AutoencoderTransformer(
        3,
        architecture=Dense((8,), **params),
        batch_size=20,
        max_epochs=3,
        random_state=0,
    ).fit(X)


class Namespace:
    """Another namespace with one name less, or one more."""

    def __init__(self, names: Any, gone: str = "", **added: Any) -> None:
        self._names, self._gone = names, gone
        vars(self).update(added)

    def __getattr__(self, name: str) -> Any:
        if name == self._gone:
            raise AttributeError(name)
        return getattr(self._names, name)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        *(
            (f"{activation}_backward", {"activation": activation})
            for activation in (
                *("elu", "gelu", "leaky_relu"),
                *("sigmoid", "silu", "softplus", "tanh"),
            )
        ),
        ("native_batch_norm_backward", {"batch_norm": True}),
    ],
)
def test_operators_that_are_gone(
    name: str, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = fitted(**params).predict(X)
    monkeypatch.setattr(torch.ops, "aten", Namespace(torch.ops.aten, name))
    np.testing.assert_allclose(fitted(**params).predict(X), usual, atol=2e-3)


def test_batch_normalisation_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = fitted(batch_norm=True).predict(X)
    monkeypatch.delattr(torch, "native_batch_norm")
    np.testing.assert_allclose(fitted(batch_norm=True).predict(X), usual, atol=2e-3)


def test_a_kernel_that_has_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which torch's own Adam knows."""
    usual = fitted().predict(X)
    renamed = Namespace(torch, _fused_adam_=torch._fused_adam_)
    monkeypatch.setattr(sys.modules["torch.optim.adam"], "torch", renamed)
    monkeypatch.delattr(torch, "_fused_adam_")
    np.testing.assert_array_equal(fitted().predict(X), usual)


@pytest.mark.parametrize("when", ["pre", "post"])
def test_where_an_optimizer_keeps_hooks_is_not_known(
    when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = [nn.Parameter(torch.zeros(2))]
    optimizer = OPTIMIZERS["adam"](weights, fused=True)
    for owner, name in (
        (optimizer, f"_optimizer_step_{when}_hooks"),
        (torch_optimizer, f"_global_optimizer_{when}_hooks"),
    ):
        assert update_for(optimizer) is not None
        with monkeypatch.context() as patch:
            patch.delattr(owner, name)
            assert update_for(optimizer) is None


@pytest.mark.parametrize("names", ["_GLOBAL_HOOKS", "_HOOKS", "_WEIGHT_HOOKS"])
def test_where_modules_and_weights_keep_hooks_is_not_known(
    names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = fitted().predict(X)
    monkeypatch.setattr(hook_checks, names, ("_gone",))
    np.testing.assert_allclose(fitted().predict(X), usual, atol=2e-3)


class Gone:
    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


def import_without_any() -> None:
    for name in [name for name in sys.modules if name.startswith("skautoencoder")]:
        del sys.modules[name]
    torch.ops.aten = Gone()
    del torch._fused_adam_, torch.native_batch_norm
    for module in (torch_optimizer, nn.modules.module):
        for name in [name for name in vars(module) if name.startswith("_global_")]:
            delattr(module, name)
    importlib.import_module("skautoencoder.training.fast")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="spoils torch, in a forked process")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_the_import_asks_for_none() -> None:
    assert in_child(import_without_any) == "works"
