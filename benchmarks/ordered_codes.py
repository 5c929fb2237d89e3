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
from ._report import Row, ratio_row
from ._runner import Case, Context, Result, take_turns, worker_main

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


def _fits(cache_dir: str, quick: bool, name: str, **params: Any) -> Result:
    """Errors of codes of each size, and processor seconds of a fit."""
    from skautoencoder import AutoencoderTransformer

    train, test, usual = _rows(cache_dir, name)
    params = {"architecture": "dense", "random_state": 0, **usual, **params}
    if quick:
        train, params = train[:500], {**params, "max_epochs": 2}
    sizes = [size for size in CODE_SIZES if size < train.shape[1]]
    result: Result = {}
    seconds = []
    for size in sizes[-1:] if "ordered" in params else sizes:
        start = time.process_time()
        fitted = AutoencoderTransformer(size, **params).fit(train)
        seconds.append(time.process_time() - start)
        codes = fitted.transform(test)
        for leading in sizes if "ordered" in params else [size]:
            residual = test - fitted.inverse_transform(codes[:, :leading])
            result[f"error {leading}"] = float(np.square(residual).mean())
    return {**result, "seconds": float(np.median(seconds))}


def ordered(cache_dir: str, quick: bool, name: str) -> Result:
    """One fit for all sizes."""
    return _fits(cache_dir, quick, name, ordered=True)


def own(cache_dir: str, quick: bool, name: str) -> Result:
    """A fit for each size."""
    return _fits(cache_dir, quick, name)


CASES: dict[str, Case] = {"ordered": ordered, "own": own}


def run(context: Context) -> tuple[list[Row], dict[str, list[Result]]]:
    """Measure, and make the rows of the table."""
    names = DATA[:2] if context.quick else DATA
    options = {
        f"{name}, {case}": {"case": case, "name": name}
        for name in names
        for case in CASES
    }
    runs = take_turns("ordered_codes", options, context, context.rounds(1))
    rows = []
    for name in names:
        pair = runs[f"{name}, ordered"], runs[f"{name}, own"]
        for size in CODE_SIZES:
            key = f"error {size}"
            if any(key in result for result in pair[0]):
                what = f"{name}: error of {size} leading numbers / fit of their own"
                rows.append(ratio_row(what, *pair, key, unit="", at_most=SHARE_OF_OWN))
        what = f"{name}: processor time / that of one fit"
        rows.append(ratio_row(what, *pair, "seconds", at_most=SHARE_OF_TIME))
    return rows, runs


if __name__ == "__main__":
    worker_main(CASES)
