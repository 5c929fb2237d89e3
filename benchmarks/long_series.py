"""Outliers in long series: ours and others on the same windows.

Three kinds of series: ``omi-1``, telemetry of a server with 19 channels, and the
anomaly series of the UCR archive that aeon ships, both trained on the part without
labels and scored on the other; and series made here, trained and scored as a whole with
their events in them, one of them beside two channels that are quiet but for bursts.
What scores windows is given those of the length that ours takes, each channel in
standard deviations, and a step has the mean score of the windows that it lies in.
VUS-PR (Paparrizos et al., PVLDB 2022) is the mean of aeon's range-based
areas with buffers of 0, 10, ... 100 steps; AUROC is that of the steps.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._report import Row, figure_row
from ._runner import Case, Context, Result, run_case, timed, worker_main

TITLE = "Outliers in long series: VUS-PR, in %"

N_SEEDS = 3
BUFFERS = range(0, 101, 10)
# These draw nothing.
ONE_SEED = ("aeon STOMP", "aeon DWT_MLEAD")
# Most windows that a peer is trained on.
MOST_WINDOWS = 4000

Array = NDArray[np.float64]


class Labelled(NamedTuple):
    """A series to train on, one to score, and which steps of that are outliers."""

    train: Array
    test: Array
    is_outlier: NDArray[np.intp]


# ---- series ------------------------------------------------------------------------


def omi_1(cache_dir: str, seed: int) -> Labelled:
    import pandas as pd

    folder = Path(cache_dir) / "omi-1"
    train = pd.read_csv(folder / "omi-1_train.csv", index_col=0)
    test = pd.read_csv(folder / "omi-1_test.csv", index_col=0)
    is_outlier = test.pop("label").to_numpy().astype(int)
    train = train.drop(columns="label", errors="ignore")
    return Labelled(train.to_numpy(), test.to_numpy(), is_outlier)


def ucr_135(cache_dir: str, seed: int) -> Labelled:
    import aeon.datasets
    import pandas as pd

    folder = Path(aeon.datasets.__file__).parent / "data" / "KDD-TSAD_135"
    train, test = (
        pd.read_csv(folder / f"135_UCR_Anomaly_InternalBleeding16_{part}.csv")
        for part in ("TRAIN", "TEST")
    )
    columns = train.iloc[:, [1]].to_numpy(), test.iloc[:, [1]].to_numpy()
    return Labelled(*columns, test.iloc[:, -1].to_numpy().astype(int))


OF_CHANNELS = ("one of three channels", "level shift beside bursts")


def _made(kind: str) -> Callable[[str, int], Labelled]:
    """A daily rhythm of five-minute steps, with an event of two hours to half a day."""

    def make(cache_dir: str, seed: int) -> Labelled:
        rng = np.random.default_rng([seed, len(kind)])
        n_steps, day = 4032, 288
        n_channels = 3 if kind in OF_CHANNELS else 1
        steps = np.arange(n_steps)[:, None]
        wave = np.sin(2 * np.pi * (steps / day + rng.uniform(size=n_channels)))
        noise = 0.3 * rng.normal(size=(n_steps, n_channels))
        length = int(rng.integers(24, 144))
        start = int(rng.integers(600, n_steps - 600))
        event = slice(start, start + length)
        if kind == "level shift":
            wave[event] += 1.0
        elif kind == "spike":
            length = 6
            event = slice(start, start + length)
            wave[event] += 3.0
        elif kind == "changed period":
            wave[event] += np.sin(2 * np.pi * np.arange(length) / 24)[:, None]
        elif kind == "changed noise":
            noise[event] *= 2.5
        elif kind == "slow drift":
            event = slice(start, start + 2 * day)
            wave[event] += 1.5 * np.hanning(2 * day)[:, None]
        elif kind == "stands still":
            wave[event] = wave[start]
            noise[event] = 0.0
        elif kind == "level shift beside bursts":
            event = slice(start, start + day // 2)
            wave[event, 0] += 1.0
            wave[:, 1:], noise[:, 1:] = 0.0, noise[:, 1:] / 100
            for channel in (1, 2):
                for first in rng.choice(n_steps, 12, replace=False):
                    burst = slice(first, first + int(rng.integers(1, 6)))
                    wave[burst, channel] = rng.uniform(0.3, 1.0)
        else:
            wave[event, 0] = -wave[event, 0]
        is_outlier = np.zeros(n_steps, dtype=int)
        is_outlier[event] = 1
        series = wave + noise
        return Labelled(series, series, is_outlier)

    return make


MADE = (
    "level shift",
    "spike",
    "changed period",
    "changed noise",
    "slow drift",
    "stands still",
    "one of three channels",
)
SERIES: dict[str, Callable[[str, int], Labelled]] = {
    "omi-1": omi_1,
    "UCR 135": ucr_135,
    **{kind: _made(kind) for kind in (*MADE, "level shift beside bursts")},
}


# ---- detectors ---------------------------------------------------------------------

# Scores the steps of a series with a seed, higher for outliers.
Detector = Callable[[Labelled, int, int], Array]


def _ours(series: Labelled, window: int, seed: int) -> Array:
    from skautoencoder import SeriesOutlierDetector

    fitted = SeriesOutlierDetector(random_state=seed).fit(series.train)
    return -fitted.score_samples(series.test)


def _causal(series: Labelled, window: int, seed: int) -> Array:
    from skautoencoder import SeriesOutlierDetector

    fitted = SeriesOutlierDetector(causal=True, random_state=seed).fit(series.train)
    return -fitted.score_samples(series.test)


def _on_windows(
    score: Callable[[Array, Array, int, bool], Any],
) -> Detector:
    """What scores windows; it is told whether they are those it was trained on."""

    def detect(series: Labelled, window: int, seed: int) -> Array:
        from skautoencoder.sequences.windows import mean_over_windows, window_rows

        mean, spread = series.train.mean(axis=0), series.train.std(axis=0)
        spread[spread == 0] = 1.0
        train, test = (
            window_rows((values - mean) / spread, window)
            for values in (series.train, series.test)
        )
        chosen = np.arange(len(train))
        is_same = series.train is series.test
        if len(chosen) > MOST_WINDOWS:
            rng = np.random.default_rng(seed)
            chosen = np.sort(rng.choice(chosen, MOST_WINDOWS, replace=False))
        scores = np.asarray(score(train[chosen], test, seed, is_same), dtype=float)
        starts = np.arange(len(test))
        return mean_over_windows(scores, np.ones(len(test)), starts, window)

    return detect


def _isolation_forest(train: Array, test: Array, seed: int, is_same: bool) -> Any:
    from sklearn.ensemble import IsolationForest

    return -IsolationForest(random_state=seed).fit(train).score_samples(test)


def _pca(train: Array, test: Array, seed: int, is_same: bool) -> Any:
    from sklearn.decomposition import PCA

    model = PCA(min(5, train.shape[1]), random_state=seed).fit(train)
    return np.square(test - model.inverse_transform(model.transform(test))).sum(axis=1)


def _nearest(train: Array, test: Array, seed: int, is_same: bool) -> Any:
    """Distance from the nearest window; of the series itself, one that is not near."""
    from sklearn.metrics import pairwise_distances

    scores = []
    for start in range(0, len(test), 500):
        distances = pairwise_distances(test[start : start + 500], train)
        if is_same and len(train) == len(test):
            rows = np.arange(start, start + len(distances))[:, None]
            near = np.abs(rows - np.arange(len(train))) < train.shape[1]
            distances[near] = np.inf
        scores.append(distances.min(axis=1))
    return np.concatenate(scores)


def _pyod(module: str, name: str, **options: Any) -> Detector:
    def score(train: Array, test: Array, seed: int, is_same: bool) -> Any:
        import importlib

        kind = getattr(importlib.import_module(f"pyod.models.{module}"), name)
        return kind(**options, random_state=seed).fit(train).decision_function(test)

    return _on_windows(score)


def _aeon(name: str) -> Detector:
    def detect(series: Labelled, window: int, seed: int) -> Array:
        from aeon.anomaly_detection.series import distance_based, distribution_based

        if name == "KMeansAD":
            detector = distance_based.KMeansAD(window_size=window, random_state=seed)
            return detector.fit(series.train, axis=0).predict(series.test, axis=0)
        if series.test.shape[1] > 1:
            raise NotImplementedError(f"{name} takes one channel")
        if name == "STOMP":
            return distance_based.STOMP(window_size=window).fit_predict(
                series.test, axis=0
            )
        return distribution_based.DWT_MLEAD().fit_predict(series.test, axis=0)

    return detect


DETECTORS: dict[str, Detector] = {
    "ours": _ours,
    "ours, causal": _causal,
    "1-nearest neighbour": _on_windows(_nearest),
    "PCA(5) residual": _on_windows(_pca),
    "IsolationForest": _on_windows(_isolation_forest),
    "PyOD AutoEncoder": _pyod("auto_encoder", "AutoEncoder", verbose=0),
    "aeon KMeansAD": _aeon("KMeansAD"),
    "aeon STOMP": _aeon("STOMP"),
    "aeon DWT_MLEAD": _aeon("DWT_MLEAD"),
}


def detect(cache_dir: str, quick: bool, detector: str, n_seeds: int) -> Result:
    """Score all series; the means over the seeds."""
    from aeon.benchmarking.metrics.anomaly_detection import range_pr_auc_score
    from sklearn.metrics import roc_auc_score

    from skautoencoder.sequences.windows import usual_window

    result: Result = {"seconds": 0.0}
    names = list(SERIES)[1:4] if quick else list(SERIES)
    for name in names:
        vus, area = [], []
        for seed in range(n_seeds):
            series = SERIES[name](cache_dir, seed)
            window = usual_window([series.train])
            try:
                seconds, scores = timed(
                    lambda series=series, window=window, seed=seed: DETECTORS[detector](
                        series, window, seed
                    )
                )
            except NotImplementedError:
                break
            result["seconds"] += seconds / n_seeds
            scores = np.asarray(scores, dtype=float)
            areas = [range_pr_auc_score(series.is_outlier, scores, b) for b in BUFFERS]
            vus.append(np.mean(areas))
            area.append(roc_auc_score(series.is_outlier, scores))
        if vus:
            result[name] = 100 * float(np.mean(vus))
            result[f"{name}, AUROC"] = 100 * float(np.mean(area))
    made = [result[name] for name in MADE if name in result]
    if len(made) == len(MADE):
        result["made"] = float(np.mean(made))
    return result


CASES: dict[str, Case] = {"detect": detect}


def run(context: Context) -> tuple[list[Row], dict[str, list[Result]]]:
    """Measure, and make the rows of the table."""
    n_seeds = {
        detector: 1 if context.quick or detector in ONE_SEED else N_SEEDS
        for detector in DETECTORS
    }
    runs = {
        detector: [
            run_case("long_series", "detect", context, detector=detector, n_seeds=n)
        ]
        for detector, n in n_seeds.items()
    }
    return _rows(runs, n_seeds), runs


def _rows(runs: dict[str, list[Result]], n_seeds: dict[str, int]) -> list[Row]:
    rows = []
    for key, what in (
        ("omi-1", "omi-1"),
        ("UCR 135", "UCR 135"),
        ("made", "made here"),
        ("level shift beside bursts", "level shift beside bursts"),
    ):
        peers = [
            results[0][key]
            for detector, results in runs.items()
            if not detector.startswith("ours") and key in results[0]
        ]
        for detector, results in runs.items():
            if key not in results[0]:
                continue
            limit = {"at_least": max(peers)} if detector == "ours" and peers else {}
            peer = ""
            if key != "made":
                area = figure_row("", results, f"{key}, AUROC", unit="%").ours
                peer = f"AUROC {area}"
            rows.append(
                figure_row(
                    f"{what}: {detector}",
                    results,
                    key,
                    unit="%",
                    peer=peer,
                    note=f"mean of {n_seeds[detector]} seeds"
                    if n_seeds[detector] > 1
                    else "one seed",
                    **limit,
                )
            )
    return rows


if __name__ == "__main__":
    worker_main(CASES)
