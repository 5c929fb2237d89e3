"""Holes in images: AutoencoderImputer against scikit-learn's imputers.

MNIST: a hole of 12 x 12 pixels at a random place of each test image. What counts is
the root mean squared error in the holes. The training images are complete, but for a
tenth of those that ours is given, from which it sees what holes look like. Ours is a
U-Net; KNNImputer is given as many images as it can do.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ._data import load_mnist
from ._report import Row, ratio_row
from ._runner import Case, Context, Result, median_of, take_turns, timed, worker_main
from .imputation import NAMES, error_in_holes, make_imputer

TITLE = "Holes in images of MNIST, against scikit-learn's imputers"

SIDE = 12
N_KNN = 5000
MAX_EPOCHS = 36
PEERS = ("simple", "knn")


def with_holes(images: Any, seed: int) -> Any:
    """Images with a square of NaN at a random place of each."""
    random = np.random.RandomState(seed)
    images = images.copy()
    for image in images:
        row, column = random.randint(0, 28 - SIDE + 1, size=2)
        image[row : row + SIDE, column : column + SIDE] = np.nan
    return images


def load(cache_dir: str, quick: bool) -> tuple[Any, Any]:
    """Images to learn from, and images to make holes in."""
    sizes = (1000, 100) if quick else (60_000, 10_000)
    train, test = load_mnist(cache_dir, *sizes)
    return train.reshape(-1, 28, 28), test.reshape(-1, 28, 28)


def ours(cache_dir: str, quick: bool) -> Result:
    """A U-Net that learns from holes made anew for each batch."""
    from skautoencoder import AutoencoderImputer
    from skautoencoder.architectures import Conv

    train, test = load(cache_dir, quick)
    imputer = AutoencoderImputer(
        architecture=Conv(
            channels=(48, 96, 192, 192),
            n_downsamplings=3,
            residual=True,
            skip_connections=True,
        ),
        loss="bce",
        batch_size=64,
        max_epochs=1 if quick else MAX_EPOCHS,
        random_state=0,
    )
    n_holed = len(train) // 10
    train[:n_holed] = with_holes(train[:n_holed], 1)
    seconds, _ = timed(lambda: imputer.fit(train))
    holes = with_holes(test, 0)
    filled = imputer.transform(holes)
    return {"seconds": seconds, "rmse": error_in_holes(test, filled, holes)}


def peer(name: str, cache_dir: str, quick: bool) -> Result:
    """One of scikit-learn's imputers, on flat images."""
    train, test = load(cache_dir, quick)
    holes = with_holes(test, 0)
    rows = train.reshape(len(train), -1)[: N_KNN if name == "knn" else None]
    imputer = make_imputer(name, 0)
    seconds, _ = timed(lambda: imputer.fit(rows))
    filled = imputer.transform(holes.reshape(len(holes), -1)).reshape(holes.shape)
    return {"seconds": seconds, "rmse": error_in_holes(test, filled, holes)}


CASES: dict[str, Case] = {"ours": ours} | {name: partial(peer, name) for name in PEERS}


def run(context: Context) -> tuple[list[Row], dict[str, list[Result]]]:
    """Measure, and make the rows of the table."""
    runs = take_turns("inpainting", {name: {} for name in CASES}, context, 1)
    what = "RMSE in a 12×12 hole"
    rows = [
        ratio_row(
            f"{what}, ours / mean image ({NAMES['simple']})",
            runs["ours"],
            runs["simple"],
            "rmse",
            unit="",
            at_most=0.5,
        ),
        ratio_row(
            f"{what}, ours / {NAMES['knn']} on {N_KNN} images",
            runs["ours"],
            runs["knn"],
            "rmse",
            unit="",
            at_most=1.0,
        ),
        Row(
            f"time to learn from 60 000 images, {MAX_EPOCHS} epochs",
            median_of(runs["ours"], "seconds"),
            unit="s",
        ),
    ]
    return rows, runs


if __name__ == "__main__":
    worker_main(CASES)
