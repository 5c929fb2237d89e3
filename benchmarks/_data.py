"""The data the benchmarks measure on."""

from __future__ import annotations

import gzip
import shutil
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

N_TRAIN = 60_000

Array = NDArray[np.float32]
Labels = NDArray[np.integer]


class DataError(RuntimeError):
    """The benchmark data cannot be had; the message says what to do."""


def _read_idx(path: Path) -> NDArray[np.uint8]:
    """Read one IDX file of unsigned bytes, gzipped or raw."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        content = file.read()
    zeros, dtype_code, n_dimensions = struct.unpack(">HBB", content[:4])
    if zeros != 0 or dtype_code != 8:
        raise DataError(f"{path} is not an IDX file of unsigned bytes.")
    shape = struct.unpack(f">{n_dimensions}I", content[4 : 4 + 4 * n_dimensions])
    pixels = np.frombuffer(content, np.uint8, offset=4 + 4 * n_dimensions)
    return pixels.reshape(shape)


def _find_idx(folder: Path, stem: str) -> Path:
    names = [stem, stem.replace("-idx", ".idx")]
    for name in names:
        for suffix in ("", ".gz"):
            path = folder / f"{name}{suffix}"
            if path.is_file():
                return path
    raise DataError(
        f"No {stem}[.gz] in {folder}. Expected MNIST's IDX files in <data-dir>/mnist."
    )


def _mnist_from_idx(data_dir: Path) -> dict[str, NDArray[np.uint8]]:
    folder = data_dir / "mnist"
    arrays = {}
    for part, stem in {"train": "train", "test": "t10k"}.items():
        images = _read_idx(_find_idx(folder, f"{stem}-images-idx3-ubyte"))
        arrays[part] = images.reshape(len(images), -1)
        labels = _read_idx(_find_idx(folder, f"{stem}-labels-idx1-ubyte"))
        arrays[f"{part}_labels"] = labels
    return arrays


def _mnist_from_openml() -> dict[str, NDArray[np.uint8]]:
    from sklearn.datasets import fetch_openml

    try:
        pixels, labels = fetch_openml(
            "mnist_784", version=1, as_frame=False, parser="auto", return_X_y=True
        )
    except Exception as error:
        raise DataError(
            "MNIST could not be downloaded from OpenML "
            f"({type(error).__name__}: {error}). When offline, put MNIST's four IDX "
            "files into DIR/mnist and pass --data-dir DIR."
        ) from error
    pixels = np.ascontiguousarray(pixels, dtype=np.uint8)
    # OpenML keeps the canonical order: 60 000 training images, then 10 000 test ones.
    labels = labels.astype(np.uint8)
    return {
        "train": pixels[:N_TRAIN],
        "test": pixels[N_TRAIN:],
        "train_labels": labels[:N_TRAIN],
        "test_labels": labels[N_TRAIN:],
    }


def prepare_cache(
    data_dir: Path | None, cache_dir: Path, *, with_mnist: bool = True
) -> None:
    """Put what the workers will load into `cache_dir`, read only once.

    Every timed case runs in a process of its own; parsing OpenML's text file in
    each of them would take longer than most of what is measured.
    """
    if with_mnist:
        arrays = _mnist_from_idx(data_dir) if data_dir else _mnist_from_openml()
        for name, array in arrays.items():
            np.save(cache_dir / f"mnist_{name}.npy", array)
    if data_dir is not None:
        for name in ("adbench", "omi-1"):
            if (data_dir / name).is_dir():
                shutil.copytree(data_dir / name, cache_dir / name)


def load_mnist(
    cache_dir: str | Path, n_train: int | None = None, n_test: int | None = None
) -> tuple[Array, Array]:
    """MNIST's training and test images as float32 rows of 784 pixels in [0, 1]."""
    train = np.load(Path(cache_dir) / "mnist_train.npy", mmap_mode="r")[:n_train]
    test = np.load(Path(cache_dir) / "mnist_test.npy", mmap_mode="r")[:n_test]
    scale = np.float32(255)
    return train.astype(np.float32) / scale, test.astype(np.float32) / scale


def load_mnist_labels(
    cache_dir: str | Path, n_train: int | None = None, n_test: int | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The digits that MNIST's training and test images show."""
    train = np.load(Path(cache_dir) / "mnist_train_labels.npy")[:n_train]
    test = np.load(Path(cache_dir) / "mnist_test_labels.npy")[:n_test]
    return train, test


def outlier_tables(cache_dir: str | Path) -> list[str]:
    """Names of ADBench's tables in the data folder."""
    names = sorted(path.stem for path in (Path(cache_dir) / "adbench").glob("*.npz"))
    if not names:
        raise DataError("No tables in <data-dir>/adbench: NAME.npz with X and y.")
    return names


def load_outlier_table(
    cache_dir: str | Path, name: str, seed: int, *, normal: bool
) -> tuple[Array, Array, Labels]:
    """Training rows, test rows, and which of the test rows are outliers.

    ADBench's protocol; with `normal` the outliers are left out of training.
    """
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import MinMaxScaler

    with np.load(Path(cache_dir) / "adbench" / f"{name}.npz") as arrays:
        rows, is_outlier = arrays["X"], arrays["y"].astype(int)
    rng = np.random.RandomState(seed)
    if len(rows) < 1000 or len(rows) > 10_000:
        n_rows, again = (1000, True) if len(rows) < 1000 else (10_000, False)
        index = rng.choice(len(rows), n_rows, replace=again)
        rows, is_outlier = rows[index], is_outlier[index]
    train, test, train_labels, labels = train_test_split(
        rows, is_outlier, test_size=0.3, stratify=is_outlier, random_state=seed
    )
    if normal:
        train = train[train_labels == 0]
    scaler = MinMaxScaler().fit(train)
    return (
        scaler.transform(train).astype(np.float32),
        scaler.transform(test).astype(np.float32),
        labels,
    )


def load_tables(cache_dir: str | Path) -> dict[str, Array]:
    """Small standardised tables of shape (1831, 21), float32.

    "synthetic" is always there; "cardio" (ADBench's table of that name) only when
    the data folder has it.
    """
    from sklearn.datasets import make_low_rank_matrix
    from sklearn.preprocessing import StandardScaler

    tables = {
        "synthetic": make_low_rank_matrix(
            n_samples=1831, n_features=21, effective_rank=5, random_state=0
        )
    }
    cardio = Path(cache_dir) / "adbench" / "6_cardio.npz"
    if cardio.is_file():
        with np.load(cardio) as arrays:
            tables["cardio"] = arrays["X"]
    return {
        name: StandardScaler().fit_transform(table).astype(np.float32)
        for name, table in tables.items()
    }
