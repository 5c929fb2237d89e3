"""`transform` of 60 000 rows against a bare batched loop: time and peak memory.

The encoder of the "deep" network, 784-512-128-10. The bare loop takes slices of the
same float32 array under `torch.inference_mode` and is given its best batch size.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from ._data import Array, load_mnist
from ._peers import DEEP_SIZES, torch_dense
from ._report import Row, figure_row, ratio_row
from ._runner import Case, Context, Result, take_turns, timed, worker_main

TITLE = "transform of 60 000×784 against a bare inference loop"

ASKED_RATIO = 1.1
ASKED_MB = 200.0
BARE_BATCH_SIZES = (256, 1024, 4096)
CALLS = 5
ROUNDS = 7


def _peak_bytes() -> int:
    """High-water mark of this process's memory in bytes."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    import resource  # does not exist on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _reset_peak() -> int:
    """Bring the high-water mark down to what is in use now, where Linux lets us.

    Elsewhere the mark stays, and the figure is a lower bound.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak_bytes()


def _measure(call: Callable[[], Array]) -> Result:
    """Median seconds of a few calls and the extra memory of the first."""
    before = _reset_peak()
    output = call()
    extra = _peak_bytes() - before - output.nbytes
    seconds = [timed(call)[0] for _ in range(CALLS)]
    return {"seconds": median(seconds), "megabytes": max(extra, 0) / 1e6}


def ours(cache_dir: str, quick: bool, dtype: str) -> Result:
    """Ours, fitted only as far as needed to have a network."""
    from skautoencoder import AutoencoderTransformer
    from skautoencoder.architectures import Dense

    # Loaded before the fit, so that the memory which loading frees is not counted
    # as room that was there.
    x = load_mnist(cache_dir, 6000 if quick else None, 1)[0].astype(dtype)
    estimator = AutoencoderTransformer(
        10,
        architecture=Dense(
            hidden_layer_sizes=DEEP_SIZES,
            activation="elu",
            output_activation="sigmoid",
        ),
        max_epochs=1,
        random_state=0,
    )
    estimator.fit(x[:512])
    estimator.transform(x[:512])
    return _measure(lambda: estimator.transform(x))


def bare_torch(cache_dir: str, quick: bool) -> Result:
    """A bare loop over the encoder, at the best of a few batch sizes."""
    import torch

    x = load_mnist(cache_dir, 6000 if quick else None, 1)[0]
    torch.manual_seed(0)
    network = torch_dense((784, *DEEP_SIZES, 10), "elu")
    encoder = network[: 2 * len(DEEP_SIZES) + 1].eval()

    def encode(batch_size: int) -> Any:
        data = torch.from_numpy(x)
        codes = np.empty((len(x), 10), np.float32)
        with torch.inference_mode():
            for start in range(0, len(x), batch_size):
                batch = data[start : start + batch_size]
                codes[start : start + batch_size] = encoder(batch).numpy()
        return codes

    encode(BARE_BATCH_SIZES[0])
    measured = {size: _measure(partial(encode, size)) for size in BARE_BATCH_SIZES}
    best = min(measured, key=lambda size: float(measured[size]["seconds"]))
    return {**measured[best], "batch_size": best}


CASES: dict[str, Case] = {"ours": ours, "bare_torch": bare_torch}


def run(context: Context) -> tuple[list[Row], dict[str, list[Result]]]:
    """Measure, and make the rows of the table."""
    runs = take_turns(
        "inference",
        {
            "bare_torch": {},
            "float32": {"case": "ours", "dtype": "float32"},
            "float64": {"case": "ours", "dtype": "float64"},
        },
        context,
        context.rounds(ROUNDS),
    )
    rows = [
        ratio_row(
            "time, ours / bare loop, float32",
            runs["float32"],
            runs["bare_torch"],
            "seconds",
            at_most=ASKED_RATIO,
        )
    ]
    for dtype in ("float32", "float64"):
        rows.append(
            figure_row(
                f"peak memory beyond {dtype} input and output",
                runs[dtype],
                "megabytes",
                unit="MB",
                at_most=ASKED_MB,
            )
        )
    rows.append(
        ratio_row(
            "time, ours on float64 / bare loop on float32",
            runs["float64"],
            runs["bare_torch"],
            "seconds",
        )
    )
    return rows, runs


if __name__ == "__main__":
    worker_main(CASES)
