"""Outlier detection on ADBench's tables, trained on contaminated and on normal rows.

The protocol is ADBench's (Han et al., NeurIPS 2022): a stratified 70/30 split,
min-max scaling by the training part, tables of more than 10 000 rows sampled down
and of less than 1000 sampled up. That is done before the split: most normal test rows
of small tables are copies of training rows, which suits distances from the nearest
row. Every detector runs with its defaults and on one thread; ours has ``novelty=True``
where it is trained on normal rows. The figure is the mean over the tables of the area
under the ROC curve, in per cent.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ._data import Array, load_outlier_table, outlier_tables
from ._distances import mean_nearest_distance, nearest_distance
from ._report import Row, figure_row, ratio_row
from ._runner import Case, Context, Result, run_case, timed, worker_main

TITLE = "Outliers in ADBench's tables: area under the ROC curve, in %"

N_SEEDS = 3
CONTAMINATED, NORMAL = 77.5, 90.0
SHARE_OF_PYOD = 0.5
AGAINST_FORWARD = 1.3
N_SCORED, N_FEATURES = 100_000, 30

# Fits on rows with a seed, and returns what scores others, higher for outliers.
Detector = Callable[[Array, int, bool], Callable[[Array], Any]]


def _isolation_forest(rows: Array, seed: int, normal: bool) -> Callable[[Array], Any]:
    from sklearn.ensemble import IsolationForest

    fitted = IsolationForest(random_state=seed).fit(rows)
    return lambda new: -fitted.score_samples(new)


def _pyod(module: str, name: str, **options: Any) -> Detector:
    def fit(rows: Array, seed: int, normal: bool) -> Callable[[Array], Any]:
        import importlib

        kind = getattr(importlib.import_module(f"pyod.models.{module}"), name)
        seeded = {"random_state": seed} if options.get("seeded") else {}
        quiet = {"verbose": 0} if options.get("verbose") == 0 else {}
        return kind(**seeded, **quiet).fit(rows).decision_function

    return fit


def _nearest(rows: Array, seed: int, normal: bool) -> Callable[[Array], Any]:
    return _in_standard_units(rows, nearest_distance)


def _lesinn(rows: Array, seed: int, normal: bool) -> Callable[[Array], Any]:
    return _in_standard_units(rows, partial(mean_nearest_distance, seed=seed))


def _in_standard_units(
    rows: Array, distance: Callable[[Array, Array], Any]
) -> Callable[[Array], Any]:
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(rows)
    shown = scaler.transform(rows)
    return lambda new: distance(shown, scaler.transform(new))


def _ours(rows: Array, seed: int, normal: bool) -> Callable[[Array], Any]:
    from skautoencoder import AutoencoderOutlierDetector

    fitted = AutoencoderOutlierDetector(novelty=normal, random_state=seed).fit(rows)
    return lambda new: -fitted.score_samples(new)


DETECTORS: dict[str, Detector] = {
    "ours": _ours,
    "1-nearest neighbour, standard units": _nearest,
    "LeSiNN, standard units": _lesinn,
    "IsolationForest": _isolation_forest,
    "PyOD AutoEncoder": _pyod("auto_encoder", "AutoEncoder", seeded=True, verbose=0),
    "PyOD VAE": _pyod("vae", "VAE", seeded=True, verbose=0),
    "PyOD KNN": _pyod("knn", "KNN"),
    "PyOD ECOD": _pyod("ecod", "ECOD"),
    "PyOD COPOD": _pyod("copod", "COPOD"),
    "PyOD HBOS": _pyod("hbos", "HBOS"),
}
# The seed decides on the split too. Of what takes minutes, one has to be enough.
WITH_ONE_SEED = {"PyOD VAE"}


def detect(
    cache_dir: str, quick: bool, detector: str, normal: bool, n_seeds: int
) -> Result:
    """Fit and score all tables; the mean area and the seconds of one seed."""
    import torch
    from sklearn.metrics import roc_auc_score

    torch.set_num_threads(1)
    fit = DETECTORS[detector]
    names = outlier_tables(cache_dir)[: 3 if quick else None]
    areas, seconds = np.empty((n_seeds, len(names))), 0.0
    # Lazy imports are not what is compared.
    warm_up = load_outlier_table(cache_dir, names[0], 0, normal=normal)[0][:100]
    fit(warm_up, 0, normal)(warm_up)
    for seed in range(n_seeds):
        for i, name in enumerate(names):
            rows, new, is_outlier = load_outlier_table(
                cache_dir, name, seed, normal=normal
            )
            spent, scores = timed(
                lambda rows=rows, new=new, seed=seed: fit(rows, seed, normal)(new)
            )
            seconds += spent
            areas[seed, i] = 100 * roc_auc_score(is_outlier, scores)
    return {
        "area": float(areas.mean()),
        "seconds": seconds / n_seeds,
        "tables": dict(zip(names, areas.mean(axis=0).tolist(), strict=True)),
    }


def scoring(cache_dir: str, quick: bool, novelty: bool) -> Result:
    """Score 100 000 rows, beside a bare forward pass and the score's arithmetic."""
    import torch

    from skautoencoder import AutoencoderOutlierDetector

    rng = np.random.default_rng(0)
    rows = rng.normal(size=(N_SCORED, N_FEATURES)).astype(np.float32)
    fitted = AutoencoderOutlierDetector(novelty=novelty, random_state=0)
    fitted.fit(rows[:10_000])
    network = fitted.net_.module_
    references, scaling = fitted.references, fitted.trained_network.scaling
    points = references.points.flatten(0, 1)
    lengths = points.square().sum(dim=1)
    units = references.embedding

    def bare() -> None:
        # What the formula in the documentation asks for, and nothing else.
        offset = torch.from_numpy(scaling.offset).float()
        scale = torch.from_numpy(np.asarray(scaling.scale)).float()
        scores = []
        with torch.inference_mode():
            for batch in torch.from_numpy(rows).split(1024):
                shown = (batch - offset) / scale
                answer = network(shown).double()
                placed = torch.cat(
                    (
                        answer / units.reconstruction_unit,
                        (shown - answer) / units.residual_unit,
                    ),
                    dim=1,
                )
                squared = lengths + placed.square().sum(dim=1, keepdim=True)
                squared = torch.addmm(squared, placed, points.T, alpha=-2)
                nearest = squared.reshape(len(batch), *references.points.shape[:2])
                nearest = nearest.amin(dim=2).clamp_min(0).sqrt()
                scores.append(nearest.mean(dim=1))
        torch.cat(scores)

    def forward() -> None:
        with torch.inference_mode():
            for batch in torch.from_numpy(rows).split(1024):
                network(batch)

    torch.set_num_threads(1)
    times: dict[str, list[float]] = {"ours": [], "bare": [], "forward": []}
    for _ in range(1 if quick else 5):
        times["ours"].append(timed(lambda: fitted.score_samples(rows))[0])
        times["bare"].append(timed(bare)[0])
        times["forward"].append(timed(forward)[0])
    return {name: float(np.median(seconds)) for name, seconds in times.items()}


CASES: dict[str, Case] = {"detect": detect, "scoring": scoring}


def run(context: Context) -> tuple[list[Row], dict[str, list[Result]]]:
    """Measure, and make the rows of the table."""
    runs: dict[str, list[Result]] = {}
    rows = []
    for normal, wanted in ((False, CONTAMINATED), (True, NORMAL)):
        where = "trained on normal rows" if normal else "trained on contaminated data"
        for detector in DETECTORS:
            one = context.quick or detector in WITH_ONE_SEED
            n_seeds = 1 if one else N_SEEDS
            result = run_case(
                "outliers",
                "detect",
                context,
                detector=detector,
                normal=normal,
                n_seeds=n_seeds,
            )
            runs[f"{detector}, {where}"] = [result]
            limit = {"at_least": wanted} if detector == "ours" else {}
            rows.append(
                figure_row(
                    f"{where}: {detector}",
                    [result],
                    "area",
                    unit="%",
                    note=f"mean of {n_seeds} seeds" if n_seeds > 1 else "",
                    **limit,
                )
            )
        rows.append(
            ratio_row(
                f"{where}: seconds of all fits and scorings, ours / PyOD AutoEncoder",
                runs[f"ours, {where}"],
                runs[f"PyOD AutoEncoder, {where}"],
                "seconds",
                at_most=SHARE_OF_PYOD,
            )
        )
    for novelty in (False, True):
        result = run_case("outliers", "scoring", context, novelty=novelty)
        runs[f"scoring, novelty={novelty}"] = [result]
        rows += [
            _ratio_within(
                f"scoring 100 000×30, novelty={novelty}: ours / bare loop with the "
                "score's arithmetic",
                result,
                "bare",
                at_most=AGAINST_FORWARD,
            ),
            _ratio_within(
                f"scoring 100 000×30, novelty={novelty}: ours / forward pass alone",
                result,
                "forward",
            ),
        ]
    return rows, runs


def _ratio_within(what: str, result: Result, peer: str, **limits: Any) -> Row:
    """A row on two times of one process."""
    if "ours" not in result:
        return ratio_row(what, [result], [result], "seconds", **limits)
    ours, theirs = [{"seconds": result["ours"]}], [{"seconds": result[peer]}]
    return ratio_row(what, ours, theirs, "seconds", **limits)


if __name__ == "__main__":
    worker_main(CASES)
