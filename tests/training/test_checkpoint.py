"""Fits that are interrupted and go on."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections import deque, namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import (
    IMAGES,
    OF_ROWS,
    ROWS,
    Interrupts,
    Recorder,
    assert_same_weights,
    tiny_conv,
    tiny_dense,
)
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import GradientNormClipping, LRScheduler

from skautoencoder import (
    MMD,
    DenoisingAutoencoder,
    Dense,
    Recurrent,
    VAESampler,
    load,
    save,
)
from skautoencoder.tensor_files import UnreadableFile

X = ROWS[:60]
TABLE = X[:, 18:26]


def interrupted(
    model: Any, samples: Any, folder: Path, *, epochs: int = 2, **given: Any
) -> Any:
    """Fit in two calls, the first of which is interrupted after some epochs."""
    model = clone(model).set_params(checkpoint=folder)
    with pytest.MonkeyPatch.context() as patch:
        model.set_params(callbacks=[Interrupts(epochs)])
        patch.setattr(
            "skautoencoder.training.checkpoint._check_callbacks", lambda net: None
        )
        with pytest.raises(KeyboardInterrupt):
            model.fit(samples, **given)
    assert not hasattr(model, "net_")
    assert (folder / "checkpoint.safetensors").exists()
    return model.set_params(callbacks=None).fit(samples, **given)


def shaken(rows: torch.Tensor) -> torch.Tensor:
    return rows + 0.1 * torch.randn_like(rows)


class Slows(torch.optim.SGD):
    """SGD whose rate falls, by what it keeps in its groups."""

    def step(self, closure: Any) -> Any:
        for group in self.param_groups:
            group["divisor"] = group.get("divisor", 1.0) + 0.1
            group["lr"] = group["initial_lr"] / group["divisor"]
            for weight in group["params"]:
                self.state[weight]["rate"] = np.float64(group["lr"])
        return super().step(closure)


HOW: dict[str, Any] = {"max_epochs": 4, "random_state": 0, "lr": 0.01}
CASES: dict[str, tuple[Any, Any]] = {
    **{
        optimizer: (tiny_dense(optimizer=optimizer, **HOW), X)
        for optimizer in ("sgd", "lbfgs", "adafactor", "nadam")
    },
    "momentum": (tiny_dense(optimizer="sgd", optimizer__momentum=0.9, **HOW), X),
    "decay": (tiny_dense(optimizer="adamw", lr_schedule="cosine", **HOW), X),
    "of numpy": (
        tiny_dense(
            optimizer__betas=(np.float64(0.9), 0.99),
            **HOW | {"lr": np.float32(0.01), "lr_schedule": "cosine"},
        ),
        X,
    ),
    "counts": (tiny_dense(optimizer=Slows, lr_schedule="constant", **HOW), X),
    "stopping": (tiny_dense(early_stopping=True, n_iter_no_change=2, **HOW), X),
    "noise": (
        DenoisingAutoencoder(
            code_size=2, architecture=Dense((6,)), early_stopping=True, **HOW
        ),
        X,
    ),
    "conv": (tiny_conv(batch_norm=True, **HOW), IMAGES[:60]),
    "penalty": (tiny_dense(penalty=MMD(), **HOW), X),
    "bfloat16": (tiny_dense(precision="bfloat16", **HOW), X),
    "conditional": (
        VAESampler(2, architecture=Dense((6,)), conditional=True, **HOW),
        TABLE,
    ),
    "ordered": (tiny_dense(ordered=True, early_stopping=True, **HOW), X),
    "auto": (
        tiny_dense(
            *("auto",),
            architecture="auto",
            architecture__hidden_layer_sizes=(6,),
            **HOW,
        ),
        X,
    ),
    "recurrent": (
        tiny_dense(architecture=Recurrent(hidden_size=5), **HOW),
        X.reshape(60, 16, 4),
    ),
    "own noise": (
        DenoisingAutoencoder(
            noise=shaken, code_size=2, architecture=Dense((6,)), **HOW
        ),
        X,
    ),
    **{
        name: (clone(OF_ROWS[name]).set_params(max_epochs=4), TABLE)
        for name in ("detector", "novelty", "imputer", "table")
    },
    "weights": (tiny_dense(**HOW), X),
}
# What `fit` is given besides the samples.
GIVEN: dict[str, dict[str, Any]] = {
    "conditional": {"y": np.arange(60) % 2},
    "weights": {"sample_weight": np.linspace(0.1, 2.0, 60)},
}


@pytest.mark.filterwarnings("ignore::UserWarning")
# The end of the first epoch is not stored.
@pytest.mark.parametrize(
    ("name", "epochs"),
    [*((name, 2) for name in CASES), ("stopping", 1), ("noise", 1), ("table", 1)],
)
def test_an_interrupted_fit_goes_on(name: str, epochs: int, tmp_path: Path) -> None:
    model, samples = CASES[name]
    given = GIVEN.get(name, {})
    straight = clone(model).fit(samples, **given)
    resumed = interrupted(model, samples, tmp_path, epochs=epochs, **given)
    assert_same_weights(resumed, straight)
    kept = [
        [{k: v for k, v in row.items() if k != "dur"} for row in each.history_]
        for each in (resumed, straight)
    ]
    assert kept[0] == kept[1]
    assert resumed.n_iter_ == straight.n_iter_
    answer = "predict" if hasattr(model, "predict") else "transform"
    np.testing.assert_array_equal(
        getattr(resumed, answer)(samples), getattr(straight, answer)(samples)
    )
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
    assert [name for name, _ in resumed.net_.callbacks_] == [
        name for name, _ in straight.net_.callbacks_
    ]


def test_a_fit_without_a_seed_keeps_its_own(tmp_path: Path) -> None:
    model = tiny_dense(max_epochs=4, random_state=None)
    resumed = interrupted(model, X, tmp_path)
    assert resumed.random_state is None
    assert resumed.n_iter_ == 4


def test_a_warm_start_goes_on(tmp_path: Path) -> None:
    fits = []
    for folder in (None, tmp_path):
        model = tiny_dense(max_epochs=3).fit(X)
        model.set_params(warm_start=True, checkpoint=folder)
        if folder is not None:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(
                    "skautoencoder.training.checkpoint._check_callbacks",
                    lambda net: None,
                )
                model.set_params(callbacks=[Interrupts(5)])
                with pytest.raises(KeyboardInterrupt):
                    model.fit(X)
            model.set_params(callbacks=None)
        fits.append(model.fit(X))
    assert fits[0].n_iter_ == fits[1].n_iter_ == 6
    assert_same_weights(*fits)


def abandoned(folder: Path, model: Any = None) -> Any:
    """Leave a checkpoint in a folder; return the model."""
    model = clone(tiny_dense() if model is None else model)
    model.set_params(checkpoint=folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "skautoencoder.training.checkpoint._check_callbacks", lambda net: None
        )
        with pytest.raises(KeyboardInterrupt):
            model.set_params(callbacks=[Interrupts(2)]).fit(X)
    return model.set_params(callbacks=None)


STOPPING = tiny_dense(early_stopping=True)
NOISY = DenoisingAutoencoder(
    code_size=2, architecture=Dense((6,)), noise_level=0.1, max_epochs=3, random_state=0
)
# The model that was interrupted, what is set then, what `fit` is given, the message.
OTHERS: dict[str, tuple[Any, dict[str, Any], dict[str, Any], str]] = {
    "rows": (None, {}, {"X": X[:59]}, "other data"),
    "values": (
        *(None, {}, {"X": X + np.eye(60, 64) * 1e-3}),
        "other data|other weights|another model",
    ),
    "X_valid": (None, {}, {"X_valid": X[:9]}, "another X_valid"),
    **{
        name: (model, {name: value}, {}, f"another model: its {message}")
        for name, model, value, message in [
            ("code_size", None, 4, "network"),
            ("lr", None, 0.5, "lr is 0.003, here it is 0.5"),
            ("max_epochs", None, 9, "max_epochs"),
            ("loss", None, "l1", "criterion__loss"),
            ("random_state", None, 1, "random_state"),
            ("precision", None, "bfloat16", "precision is torch.float32"),
            (
                "callbacks",
                None,
                [GradientNormClipping(0.1)],
                r"callbacks is \[\], here",
            ),
            ("n_iter_no_change", STOPPING, 7, "callbacks is .*'patience': 10"),
            ("noise_level", NOISY, 0.2, r".*level=0\.1, .*level=0\.2"),
            ("noise", NOISY, "masking", ".*noise='gaussian'.*noise='masking'"),
            ("clip", NOISY, (0, 2), r".*clip=\(0, 1\).*clip=\(0, 2\)"),
        ]
    },
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_folder_of_another_fit_is_refused(name: str, tmp_path: Path) -> None:
    started, params, given, message = OTHERS[name]
    model = abandoned(tmp_path, started)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    with pytest.raises(ValueError, match=message):
        clone(model).set_params(**params).fit(**({"X": X} | given))
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
    assert model.fit(X).n_iter_ == 3


def test_two_fits_with_one_folder_are_refused_by_name(tmp_path: Path) -> None:
    refused = []

    class Second(Recorder):
        def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
            if not refused:
                with pytest.raises(ValueError, match="in use by another fit") as error:
                    tiny_dense(checkpoint=tmp_path).fit(X)
                refused.append(str(error.value))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "skautoencoder.training.checkpoint._check_callbacks", lambda net: None
        )
        first = tiny_dense(checkpoint=tmp_path, callbacks=[Second()])
        thread = threading.Thread(target=first.fit, args=(X,))
        thread.start()
        thread.join()
    assert first.n_iter_ == 3
    assert str(tmp_path) in refused[0]
    tiny_dense(checkpoint=tmp_path).fit(X)  # free again


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"checkpoint=.*no folder that can be written"):
        tiny_dense(checkpoint=tmp_path / "file").fit(X)
    tiny_dense(checkpoint=str(tmp_path / "new" / "folder")).fit(X)
    assert (tmp_path / "new" / "folder").is_dir()


def test_a_full_disk_is_said_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: usage(9, 9, 1000))
        with pytest.raises(OSError, match="free space") as error:
            tiny_dense(checkpoint=tmp_path).fit(X)
        assert error.value.errno == errno.ENOSPC
    model = abandoned(tmp_path)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _full)
        with pytest.raises(OSError, match="No space left"):
            model.fit(X)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["checkpoint.safetensors", "lock"]
    assert_same_weights(model.fit(X), tiny_dense().fit(X))


def _full(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_damaged_checkpoint_is_said(tmp_path: Path) -> None:
    model = abandoned(tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    content = bytearray(path.read_bytes())
    content[-50] ^= 1
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match=r"checkpoint=.*Empty the folder"):
        model.fit(X)


def test_a_file_of_something_else_is_said(tmp_path: Path) -> None:
    model = tiny_dense(checkpoint=tmp_path)
    save(tiny_dense().fit(X), tmp_path / "checkpoint.safetensors")
    # And nothing of what torch says: to load it all the same, with any code in it.
    with pytest.raises(UnreadableFile, match=r"': Its file is not.*Empty the folder"):
        model.fit(X)


class Remembers(torch.optim.SGD):
    """SGD with an object in its state that a checkpoint cannot hold."""

    def step(self, closure: Any) -> Any:
        self.state[self.param_groups[0]["params"][0]]["last"] = deque([0.0])
        return super().step(closure)


def test_a_state_that_could_not_be_read_again_is_refused(tmp_path: Path) -> None:
    # Not when the fit is to go on: all epochs until then would be lost.
    model = tiny_dense(optimizer=Remembers, checkpoint=tmp_path)
    with pytest.raises(TypeError, match=r"of the optimizer.*Leave out checkpoint"):
        model.fit(X)


def test_a_checkpoint_is_no_model(tmp_path: Path) -> None:
    abandoned(tmp_path)
    with pytest.raises(ValueError, match="content is not that of an estimator"):
        load(tmp_path / "checkpoint.safetensors")


def test_callbacks_with_a_state_are_refused(tmp_path: Path) -> None:
    callback = LRScheduler("StepLR", step_size=1)
    model = tiny_dense(
        checkpoint=tmp_path, callbacks=[callback], lr_schedule="constant"
    )
    with pytest.raises(ValueError, match="callbacks has a LRScheduler.*checkpoint"):
        model.fit(X)


def test_a_search_without_processes_may_share_a_folder(tmp_path: Path) -> None:
    model = tiny_dense(checkpoint=tmp_path, max_epochs=1)
    # One after the other: each removes what it has left.
    search = GridSearchCV(model, {"code_size": [2, 3]}, cv=2).fit(X)
    assert search.best_params_["code_size"] in (2, 3)


def test_partial_fit_uses_no_folder(tmp_path: Path) -> None:
    tiny_dense(checkpoint=tmp_path / "none").partial_fit(X)
    assert not (tmp_path / "none").exists()


def test_the_global_generator_is_left_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    model = abandoned(tmp_path)
    model.fit(X)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_layout_of_weights_is_kept(tmp_path: Path) -> None:
    model = tiny_conv(**HOW)
    straight = clone(model).fit(IMAGES[:60])
    resumed = interrupted(model, IMAGES[:60], tmp_path)
    for one, other in zip(
        straight.net_.module_.parameters(),
        resumed.net_.module_.parameters(),
        strict=True,
    ):
        assert one.stride() == other.stride()
