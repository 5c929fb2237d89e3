"""Progress bars of fits, searches and long computations."""

from __future__ import annotations

import io
import pickle
import re
import sys
from typing import Any

import numpy as np
import pytest
from helpers import OF_ROWS, ROWS, have_same_weights, tiny_dense
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_validate

from skautoencoder.training import progress
from skautoencoder.training.progress import Progress

X = ROWS[:60]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("name", [n for n in OF_ROWS if n != "conv"])
def test_a_fit_is_one_line_without_a_terminal(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    estimator = clone(OF_ROWS[name]).set_params(verbose=1, max_epochs=2).fit(X)
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    label = re.escape(type(estimator).__name__)
    assert re.fullmatch(rf"{label}: epoch 2/2, loss [-\d.e]+, [\d.]+ s", line)
    pickle.dumps(estimator)


def test_a_terminal_has_one_bar_with_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    fitted = tiny_dense(verbose=1, early_stopping=True).fit(X)
    err = sys.stderr.getvalue()
    loss = fitted.history_[-1]["train_loss"]
    assert f"epoch 3/3, loss {loss:.4g}, validation" in err
    assert err.count("\n") == 1
    assert "\x1b" not in err.replace("\x1b[A", "")
    assert have_same_weights(fitted, tiny_dense(early_stopping=True).fit(X))


def test_lines_say_what_is_left(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    bar = Progress(200, "fit", "epoch", keeps=True)
    for number in range(40):
        clock[0] += 1.0
        bar.update(f"loss {number}")
    clock[0] += 1.0
    bar.close()
    assert capsys.readouterr().err.splitlines() == [
        "fit: epoch 10/200, loss 9, 10.0 s, 190 s left",
        "fit: epoch 20/200, loss 19, 20.0 s, 180 s left",
        "fit: epoch 30/200, loss 29, 30.0 s, 170 s left",
        "fit: epoch 40/200, loss 39, 40.0 s, 160 s left",
        "fit: epoch 40/200, loss 39, 41.0 s, 164 s left",
    ]


def test_a_search_says_which_fit_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    grid = {"code_size": [2, 3]}
    GridSearchCV(tiny_dense(verbose=1, max_epochs=1), grid, cv=2).fit(X)
    lines = capsys.readouterr().err.splitlines()
    labels = [line.partition(":")[0] for line in lines]
    name = "AutoencoderTransformer"
    fits = [f"{name} [fit {number}/4]" for number in (1, 2, 3, 4)]
    assert labels == [*fits, name]
    cross_validate(tiny_dense(verbose=1, max_epochs=1), X, cv=2)
    assert "[fit" not in capsys.readouterr().err


def test_the_table_of_epochs_has_no_colours_without_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_dense(verbose=2).fit(X)
    out, err = capsys.readouterr()
    assert "\x1b" not in out
    assert len(out.splitlines()) == 5
    assert err == ""
    monkeypatch.setattr(progress, "_is_terminal", lambda stream: stream is sys.stdout)
    tiny_dense(verbose=2).fit(X)
    assert "\x1b" in capsys.readouterr().out


ANSWERS: dict[str, tuple[str, ...]] = {
    "transformer": ("transform", "predict", "score_samples"),
    "detector": ("score_samples", "predict"),
    "gaussian": ("score_samples", "transform"),
    "imputer": ("transform",),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_long_computations_after_a_fit_have_a_bar(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    estimator, rows = clone(OF_ROWS[name]), np.tile(X, (40, 1))
    if name == "imputer":  # in a table the network may have no weight
        estimator.set_params(sample_shape=(8, 8))
        rows[:, 20] = np.nan
    estimator.fit(X)
    monkeypatch.setattr(progress, "_EVERY", 0.0)
    monkeypatch.setattr("skautoencoder.training.inference.DELAY", 0.0)
    for method in ANSWERS[name]:
        quiet = getattr(estimator.set_params(verbose=0), method)(rows)
        assert capsys.readouterr().err == ""
        shown = getattr(estimator.set_params(verbose=1), method)(rows)
        line = capsys.readouterr().err.splitlines()[0]
        assert re.match(rf"{type(estimator).__name__}: row \d+/2400, .* left", line)
        np.testing.assert_array_equal(quiet, shown)


def test_sampling_has_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = clone(OF_ROWS["gaussian"]).fit(X).set_params(verbose=1)
    capsys.readouterr()
    sampler.sample(3000, random_state=0)
    assert capsys.readouterr().err == ""  # it is short
    monkeypatch.setattr(progress, "_EVERY", 0.0)
    monkeypatch.setattr("skautoencoder.training.inference.DELAY", 0.0)
    sampler.sample(3000, random_state=0)
    assert "VAESampler: row 1024/3000" in capsys.readouterr().err


def test_notebooks_have_widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = type("ZMQInteractiveShell", (), {})()
    ipython: Any = type("IPython", (), {"get_ipython": staticmethod(lambda: shell)})
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    assert progress._kind_of_bar() is progress.tqdm
    monkeypatch.setattr(progress, "find_spec", lambda name: object())
    assert progress._kind_of_bar().__name__ == "tqdm_notebook"
