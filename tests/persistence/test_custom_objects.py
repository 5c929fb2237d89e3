"""Modules, noise, penalties and callbacks of the user's own."""

from __future__ import annotations

from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import ROWS, Recorder, assert_same_answers, tiny_dense
from sealing import document_of, to_bytes, with_document, written
from skorch.callbacks import LRScheduler
from torch import Tensor, nn

from skautoencoder import (
    L1,
    Architecture,
    AutoencoderTransformer,
    Custom,
    DenoisingAutoencoder,
    Dense,
    Penalty,
    VAESampler,
    load,
    save,
)
from skautoencoder.architectures import ARCHITECTURES
from skautoencoder.objectives import PENALTIES

X = ROWS[:60]
HOW: dict[str, Any] = {"max_epochs": 1, "random_state": 0}


def make_encoder(code_size: int) -> nn.Module:
    return nn.Sequential(nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, code_size))


def make_decoder(code_size: int) -> nn.Module:
    return nn.Sequential(nn.Linear(code_size, 8), nn.Tanh(), nn.Linear(8, 64))


def dimmed(rows: Tensor) -> Tensor:
    return rows * 0.9


class Mean(Penalty):
    def __init__(self, weight: float = 0.1, power: int = 2) -> None:
        self.weight = weight
        self.power = power

    def __call__(self, codes: Tensor, rows: Tensor, network: Any) -> Tensor:
        return codes.mean().abs() ** self.power


class Bottleneck(Architecture):
    def __init__(self, width: int = 8) -> None:
        self.width = width

    def _build_encoder_decoder(
        self, sample_shape: Any, code_size: Any, code_activation: str
    ) -> tuple[nn.Module, nn.Module]:
        encoder = nn.Sequential(nn.Linear(64, self.width), nn.Linear(self.width, 3))
        return encoder, nn.Linear(3, 64)


class MyTransformer(AutoencoderTransformer):
    def shifted(self, X: Any) -> Any:
        return self.transform(X) + 1


class MySGD(torch.optim.SGD):
    pass


class Picky(Dense):
    def __init__(self, hidden_layer_sizes: Any = (6,)) -> None:
        super().__init__(hidden_layer_sizes)


MODULES = make_encoder(3), make_decoder(3)
CASES: dict[str, tuple[Any, dict[str, Any], dict[str, str]]] = {
    "functions": (
        tiny_dense(architecture=Custom(make_encoder, make_decoder), max_epochs=1),
        {"encoder": make_encoder, "decoder": make_decoder},
        {"encoder": "make_encoder", "decoder": "make_decoder"},
    ),
    "modules": (
        tiny_dense(architecture=Custom(*MODULES), max_epochs=1),
        {"encoder": make_encoder(3), "decoder": make_decoder(3)},
        {"encoder": "an object of class torch.nn.modules.container.Sequential"},
    ),
    "lambdas": (
        DenoisingAutoencoder(
            code_size=3,
            noise=lambda rows: rows * 0.9,
            architecture=Custom(
                lambda code_size: make_encoder(code_size), make_decoder
            ),
            **HOW,
        ),
        {"encoder": make_encoder, "decoder": make_decoder, "noise": dimmed},
        {"noise": "<lambda>"},
    ),
    "noise": (
        DenoisingAutoencoder(noise=dimmed, architecture=Dense((6,)), **HOW),
        {"noise": dimmed},
        {"noise": "dimmed"},
    ),
    "penalty": (
        tiny_dense(penalty=[Mean(0.2, power=4), L1()], max_epochs=1),
        {"Mean": Mean},
        {"Mean": "Mean"},
    ),
    "architecture": (
        tiny_dense(architecture=Bottleneck(5), max_epochs=1),
        {"Bottleneck": Bottleneck},
        {"Bottleneck": "Bottleneck"},
    ),
    "derived": (
        tiny_dense(architecture=Picky((5,)), max_epochs=1),
        {"Picky": Picky},
        {"Picky": "Picky"},
    ),
    "estimator": (
        MyTransformer(3, architecture=Dense((6,)), **HOW),
        {"MyTransformer": MyTransformer},
        {"MyTransformer": "MyTransformer"},
    ),
    "optimizer": (
        tiny_dense(optimizer=MySGD, max_epochs=1),
        {"optimizer": MySGD},
        {"optimizer": "MySGD"},
    ),
    "callbacks": (
        tiny_dense(
            callbacks=[("rate", LRScheduler("StepLR", step_size=1)), Recorder()],
            callbacks__rate__step_size=2,
            lr_schedule="constant",
            early_stopping=True,
        ),
        {"callbacks": None},
        {"callbacks": "list"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_they_are_named_and_taken_from_the_caller(name: str, tmp_path: Path) -> None:
    model, custom_objects, described = CASES[name]
    path = tmp_path / "model"
    save(model.fit(X), path)
    with pytest.raises(ValueError, match="custom_objects") as refusal:
        load(path)
    for key, what in described.items():
        assert f"{key!r}: " in str(refusal.value)
        assert what in str(refusal.value)
    for key in custom_objects:
        others = {k: v for k, v in custom_objects.items() if k != key}
        with pytest.raises(ValueError, match=f"{key!r}: "):
            load(path, others)
    loaded = load(path, custom_objects)
    assert_same_answers(loaded, model, X)
    loaded.fit(X)  # it is whole: what trains it is there too


def test_what_is_given_is_what_the_estimator_holds(tmp_path: Path) -> None:
    noisy = DenoisingAutoencoder(noise=dimmed, architecture=Dense((6,)), **HOW)
    save(noisy.fit(X), tmp_path / "model")
    loaded = load(tmp_path / "model", {"noise": dimmed, "unused": 1})
    assert loaded.noise is dimmed
    recorder = Recorder()
    save(tiny_dense(callbacks=[recorder], max_epochs=1).fit(X), tmp_path / "model")
    loaded = load(tmp_path / "model", {"callbacks": [recorder]})
    assert loaded.callbacks == [recorder]
    assert any(type(c) is Recorder for _, c in loaded.net_.callbacks_)
    assert load(tmp_path / "model", {"callbacks": None}).callbacks is None


def test_other_modules_than_those_that_were_trained_are_refused(
    tmp_path: Path,
) -> None:
    model = tiny_dense(architecture=Custom(*MODULES), max_epochs=1).fit(X)
    save(model, tmp_path / "model")
    with pytest.raises(
        ValueError, match=r"first difference Tanh, now ReLU.*custom_obj"
    ):
        load(
            tmp_path / "model",
            {
                "encoder": nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 3)),
                "decoder": make_decoder(3),
            },
        )
    wide = nn.Sequential(nn.Linear(64, 9), nn.Tanh(), nn.Linear(9, 3))
    with pytest.raises(ValueError, match=r"encoder.*shape \(9, 64\).*\(8, 64\)"):
        load(tmp_path / "model", {"encoder": wide, "decoder": make_decoder(3)})


def test_a_file_cannot_call_what_is_given(tmp_path: Path) -> None:
    called = []
    noisy = DenoisingAutoencoder(noise=dimmed, architecture=Dense((6,)), **HOW).fit(X)
    content = to_bytes(noisy)
    for node in (
        {"$": "own", "name": "noise", "fields": {}},
        {"$": "estimator", "kind": "noise", "params": {}, "state": {}, "settings": {}},
    ):
        document = document_of(content)
        document["content"]["params"]["loss"] = node
        path = written(tmp_path / "model", with_document(content, document))
        with pytest.raises(ValueError, match="must be a class"):
            load(path, {"noise": lambda: called.append(1)})
    assert not called


def test_a_custom_sampler(tmp_path: Path) -> None:
    model = VAESampler(
        3, architecture=Custom(make_encoder, make_decoder), likelihood="gaussian", **HOW
    ).fit(X)
    save(model, tmp_path / "model")
    loaded = load(
        tmp_path / "model", {"encoder": make_encoder, "decoder": make_decoder}
    )
    drawn = [e.sample(3, random_state=0) for e in (model, loaded)]
    np.testing.assert_array_equal(*drawn)


def test_drawing_in_modules_leaves_the_generator_alone(tmp_path: Path) -> None:
    model = tiny_dense(architecture=Custom(make_encoder, make_decoder), max_epochs=1)
    save(model.fit(X), tmp_path / "model")
    before = torch.get_rng_state()
    load(tmp_path / "model", {"encoder": make_encoder, "decoder": make_decoder})
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "known", [ARCHITECTURES, PENALTIES], ids=["architectures", "penalties"]
)
def test_a_file_may_name_what_parameters_know_by_name(
    known: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class New:
        pass

    monkeypatch.setitem(known, "new", New)
    spec = find_spec("skautoencoder.persistence.classes")
    assert spec is not None
    assert spec.loader is not None
    classes = module_from_spec(spec)
    spec.loader.exec_module(classes)
    assert classes.name_of(New) == "New"
