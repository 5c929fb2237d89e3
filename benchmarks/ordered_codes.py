"""Ordered codes: one fit for all sizes, against a fit of its own for each size.

MNIST and four tables, the same network, epochs and rows. Asked: held-out errors within
a tenth of those of fits of their own, in at most one and a half times the time of one.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from ._data import load_mnist
from ._report import Row
from ._runner import Case, Context, Result, run_case, state_of, worker_main

TITLE = "Ordered codes: one fit for all sizes, against one for each"

CODE_SIZES = (2, 4, 8, 16, 32)
DATA = ("digits", "breast cancer", "30_satellite", "28_pendigits", "MNIST")
MNIST_ROWS, MNIST_EPOCHS = 10_000, 5
SHARE_OF_OWN, SHARE_OF_TIME = 1.1, 1.5


def _rows(cache_dir: str, name: str) -> tuple[Any, Any, dict[str, Any]]:
    """Training and test rows, and parameters of the fits."""
    from sklearn.datasets import load_breast_cancer, load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    if name == "MNIST":
        train, test = load_mnist(cache_dir)
        return train[:MNIST_ROWS], test, {"max_epochs": MNIST_EPOCHS}
    if name == "digits":
        train, test = train_test_split(load_digits().data / 16, random_state=0)
        return train, test, {}
    if name == "breast cancer":
        rows = load_breast_cancer().data
    else:
        with np.load(Path(cache_dir) / "adbench" / f"{name}.npz") as arrays:
            rows = arrays["X"]
    train, test = train_test_split(rows, random_state=0)
    scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(test), {}


def ordered(cache_dir: str, quick: bool, name: str) -> Result:
    """Errors and processor seconds of both, for each size."""
    from skautoencoder import AutoencoderTransformer

    train, test, params = _rows(cache_dir, name)
    params = {"architecture": "dense", "random_state": 0, **params}
    if quick:
        train, params = train[:500], {**params, "max_epochs": 2}
    sizes = [size for size in CODE_SIZES if size < train.shape[1]]
    result: Result = {}
    seconds = []
    for size in sizes:
        start = time.process_time()
        own = AutoencoderTransformer(size, **params).fit(train)
        seconds.append(time.process_time() - start)
        result[f"own {size}"] = float(np.square(test - own.predict(test)).mean())
    start = time.process_time()
    one = AutoencoderTransformer(sizes[-1], ordered=True, **params).fit(train)
    result["time"] = (time.process_time() - start) / float(np.median(seconds))
    codes = one.transform(test)
    for size in sizes:
        residual = test - one.inverse_transform(codes[:, :size])
        result[f"ordered {size}"] = float(np.square(residual).mean())
    return result


CASES: dict[str, Case] = {"ordered": ordered}


def run(context: Context) -> tuple[list[Row], dict[str, list[Result]]]:
    """Measure, and make the rows of the table."""
    runs = {
        name: [run_case("ordered_codes", "ordered", context, name=name)]
        for name in (DATA[:2] if context.quick else DATA)
    }
    rows = []
    for name, results in runs.items():
        state = state_of(results)
        if state is not None:
            rows.append(Row(name, None, ours=state))
            continue
        result = results[0]
        for size in CODE_SIZES:
            if f"own {size}" not in result:
                continue
            errors = [result[f"{kind} {size}"] for kind in ("ordered", "own")]
            rows.append(
                Row(
                    f"{name}: error of {size} leading numbers / fit of their own",
                    errors[0] / errors[1],
                    ours=f"{errors[0]:.4g}",
                    peer=f"{errors[1]:.4g}",
                    unit="x",
                    at_most=SHARE_OF_OWN,
                )
            )
        rows.append(
            Row(
                f"{name}: processor time / that of one fit",
                result["time"],
                ours="",
                peer="",
                unit="x",
                at_most=SHARE_OF_TIME,
            )
        )
    return rows, runs


if __name__ == "__main__":
    worker_main(CASES)
