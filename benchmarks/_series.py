"""Series to measure on: made ones, and those that aeon ships as files."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]

N_STEPS = 60
N_TRAIN, N_TEST = 1000, 1000


def sines(random: np.random.RandomState, n_series: int) -> Series:
    """Sines of random phase that go round one to four times."""
    frequency = random.uniform(1, 4, (n_series, 1))
    phase = random.uniform(0, 2 * np.pi, (n_series, 1))
    return np.sin(2 * np.pi * frequency * np.arange(N_STEPS) / N_STEPS + phase)


def autoregressive(random: np.random.RandomState, n_series: int) -> Series:
    """AR(2) with weights 1.6 and -0.8: noise that swings.

    Values are jointly normal and lie near no curve, so there is little beyond PCA.
    """
    noise = random.normal(size=(n_series, N_STEPS + 50))
    values = np.zeros_like(noise)
    for t in range(2, values.shape[1]):
        values[:, t] = 1.6 * values[:, t - 1] - 0.8 * values[:, t - 2] + noise[:, t]
    return values[:, 50:]


def switch(random: np.random.RandomState, n_series: int) -> Series:
    """A slow sine that turns into a quick square wave at a random step."""
    at = random.randint(5, N_STEPS - 5, (n_series, 1))
    phase = random.uniform(0, 2 * np.pi, (n_series, 1))
    steps = np.arange(N_STEPS)
    slow = np.sin(2 * np.pi * steps / 20 + phase)
    quick = np.sign(np.sin(2 * np.pi * steps / 8 + phase))
    return np.where(steps < at, slow, quick)


MADE: dict[str, Callable[[np.random.RandomState, int], Series]] = {
    "sines": sines,
    "AR(2)": autoregressive,
    "switch": switch,
}
REAL = ("GunPoint", "ItalyPowerDemand")


def load_series(name: str, seed: int) -> tuple[Series, Series]:
    """Training and test series of one channel, (n_series, n_steps, 1)."""
    random = np.random.RandomState(seed)
    if name in MADE:
        made = MADE[name](random, N_TRAIN + N_TEST)[:, :, np.newaxis]
        return made[:N_TRAIN], made[N_TRAIN:]
    series = np.stack(read_series(name))
    order = random.permutation(len(series))
    n_train = round(0.7 * len(series))
    return series[order[:n_train]], series[order[n_train:]]


def read_series(name: str) -> list[Series]:
    """All series of a collection in aeon's folder, (n_steps, n_channels) each.

    The files are read here, as importing aeon takes a compiler and half a minute.
    """
    spec = importlib.util.find_spec("aeon")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'aeon'", name="aeon")
    folder = Path(spec.origin).parent / "datasets" / "data" / name
    series = []
    for part in ("TRAIN", "TEST"):
        _, _, lines = (folder / f"{name}_{part}.ts").read_text().partition("@data\n")
        for line in lines.split():
            channels = line.split(":")[:-1]  # the last is the class
            series.append(np.array([c.split(",") for c in channels], dtype=float).T)
    return series
