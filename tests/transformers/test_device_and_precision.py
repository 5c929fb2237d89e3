"""Where and how precisely to compute, and how much to say of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fits import X, either
from helpers import (
    assert_same_weights,
    have_same_weights,
)
from numpy.testing import assert_allclose


@either
def test_device(make: Any) -> None:
    by_name = make(device="cpu").fit(X)
    assert {p.device.type for p in by_name.net_.module_.parameters()} == {"cpu"}
    assert_same_weights(by_name, make(device=torch.device("cpu")).fit(X))
    auto = make(device="auto").fit(X)
    if torch.cuda.is_available():
        best = "cuda"
    else:
        best = "mps" if torch.backends.mps.is_available() else "cpu"
    assert {p.device.type for p in auto.net_.module_.parameters()} == {best}
    assert_allclose(auto.predict(X), by_name.predict(X), atol=1e-2)


@either
def test_precision(make: Any) -> None:
    exact = make(precision="float32", max_epochs=10).fit(X)
    rough = make(precision="bfloat16", max_epochs=10).fit(X)
    assert {w.dtype for w in rough.net_.module_.parameters()} == {torch.float32}
    assert not have_same_weights(exact, rough)
    assert rough.score(X) == pytest.approx(exact.score(X), abs=0.05)
    # Answers are computed in full precision.
    codes = rough.transform(X)
    assert codes.dtype == np.float64
    rounded = torch.from_numpy(codes).bfloat16().double().numpy()
    assert not np.array_equal(codes, rounded)
    # So small a network has nothing to gain.
    auto = make(precision="auto", max_epochs=10, device="cpu").fit(X)
    assert_same_weights(
        auto, make(precision="float32", max_epochs=10, device="cpu").fit(X)
    )


EPOCH_COLUMNS = ["dur", "epoch", "lr", "train_loss", "valid_loss"]


@either
def test_verbose(make: Any, capsys: pytest.CaptureFixture[str]) -> None:
    quiet = make(verbose=0).fit(X)
    assert capsys.readouterr() == ("", "")
    for verbose in (1, True):
        bar = make(verbose=verbose).fit(X)
        out, err = capsys.readouterr()
        assert out == ""
        loss = f"loss {bar.history_[-1]['train_loss']:.4g}"
        assert f"{type(bar).__name__}: epoch 3/3, {loss}," in err
    table = make(verbose=2, early_stopping=True).fit(X)
    out, _ = capsys.readouterr()
    lines = out.splitlines()
    assert sorted(lines[0].split()) == EPOCH_COLUMNS
    assert len(lines) == 2 + table.n_iter_
    assert_same_weights(quiet, bar)


@either
def test_verbose_partial_fit(make: Any, capsys: pytest.CaptureFixture[str]) -> None:
    estimator = make(verbose=1).partial_fit(X)
    assert "epoch 1/1, loss" in capsys.readouterr().err
    estimator.set_params(verbose=0)
    estimator.transform(X)
    assert capsys.readouterr() == ("", "")
