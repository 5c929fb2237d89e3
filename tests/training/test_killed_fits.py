"""Fits in processes that are killed."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import IMAGES, ROWS, weights_of

from skautoencoder import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    Dense,
    VAESampler,
)

X = ROWS[:60]

LAYERS = Dense((16,), dropout=0.2)
KILLED: dict[str, tuple[Any, Any]] = {
    "dense": (
        AutoencoderTransformer(4, architecture=LAYERS, max_epochs=12),
        X,
    ),
    "stopping": (
        DenoisingAutoencoder(
            code_size=4,
            architecture=LAYERS,
            max_epochs=40,
            early_stopping=True,
            n_iter_no_change=4,
            lr_schedule="constant",
            tol=0.01,
            lr=0.02,
        ),
        X,
    ),
    "conv": (
        ConvAutoencoderTransformer(
            4, channels=(3, 4), batch_norm=True, optimizer="adamw", max_epochs=8
        ),
        IMAGES[:60],
    ),
    "sampler": (
        VAESampler(
            2,
            architecture=LAYERS,
            prior="normal",
            max_epochs=10,
            likelihood="gaussian",
        ),
        X,
    ),
}


def digest(fitted: Any, samples: Any) -> bytes:
    found = hashlib.sha256()
    for weight in weights_of(fitted).values():
        found.update(weight.contiguous().numpy().tobytes())
    rows = [{k: v for k, v in row.items() if k != "dur"} for row in fitted.history_]
    found.update(repr(rows).encode())
    answer = getattr(fitted, "transform", None) or fitted.predict
    found.update(answer(samples).tobytes())
    return found.hexdigest().encode()


def die_at(name: str, call: int) -> None:
    """Die at a call of a function of `os` that writes the checkpoint."""
    function, calls = getattr(os, name), iter(range(10**6))

    def dies(*args: Any) -> Any:
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args)

    setattr(os, name, dies)


def start_fit(
    name: str, checkpoint: Path | None, place: tuple[str, int] | None = None
) -> tuple[int, int]:
    """Fit in another process; return it, and the end of a pipe for its digest."""
    model, samples = KILLED[name]
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if place is not None:
                die_at(*place)
            model.set_params(random_state=0, checkpoint=checkpoint)
            os.write(into, digest(model.fit(samples), samples))
        finally:
            os._exit(0)
    os.close(into)
    return child, out


def finish(child: int, out: int) -> bytes:
    os.waitpid(child, 0)
    said = os.read(out, 100)
    os.close(out)
    return said


# Of each model; `make fuzz` sets more.
N_KILLS = int(os.environ.get("SKAUTOENCODER_KILLS", "3"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fits in forked processes")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", KILLED)
def test_a_killed_fit_ends_as_if_it_had_not_been(name: str, tmp_path: Path) -> None:
    random, n_kills, n_killed = np.random.RandomState(0), N_KILLS, 0
    begin = time.monotonic()
    expected = finish(*start_fit(name, None))
    duration = time.monotonic() - begin
    assert expected
    while n_killed < n_kills:
        place = None
        if n_killed % 3 == 1:
            place = "fsync", random.randint(1, 6)
        elif n_killed % 3 == 2:
            place = "replace", random.randint(0, 4)
        child, out = start_fit(name, tmp_path, place)
        if place is None:
            time.sleep(duration * random.uniform(0.05, 0.6))
            os.kill(child, signal.SIGKILL)
        said = finish(child, out)
        assert said in (b"", expected), "another result"
        n_killed += said == b""
        if said:
            n_kills -= 1  # it was done before
    assert finish(*start_fit(name, tmp_path)) == expected, "another after the last"
    assert os.listdir(tmp_path) == ["lock"]
    print(f"\n{name}: {n_killed} kills survived")
