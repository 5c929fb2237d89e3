"""Imbalanced classes: VAEOverSampler against SMOTE of imbalanced-learn.

Five imbalanced tables, those of ADBench with ``--data-dir`` and tables of scikit-learn
with one class thinned out without. Balanced accuracy of gradient boosting in stratified
cross-validation; only the training folds are over-sampled. Everybody runs with
defaults.
"""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ._report import Row
from ._runner import Case, Context, Result, run_case, state_of, worker_main

TITLE = "Over-sampling of five imbalanced tables, against SMOTE"

ADBENCH_TABLES = ("6_cardio", "20_letter", "28_pendigits", "37_Stamps", "41_Waveform")
MOST_ROWS = 3000
SEEDS = (0, 1)
N_FOLDS = 5
CONTESTANTS = ("ours", "SMOTE", "no over-sampling")


def load_imbalanced(cache_dir: str | Path, most_rows: int) -> dict[str, Any]:
    """Pairs of rows and labels, 1 for the few."""
    tables = {}
    for name in ADBENCH_TABLES:
        path = Path(cache_dir) / "adbench" / f"{name}.npz"
        if path.is_file():
            with np.load(path) as arrays:
                tables[name] = arrays["X"].astype(float), arrays["y"].astype(int)
    if not tables:
        tables = _thinned_out()
    chosen = {}
    for name, (rows, labels) in tables.items():
        # All of the few stay.
        order = np.random.RandomState(0).permutation(len(rows))
        order = order[np.argsort(labels[order] == 0, kind="stable")][:most_rows]
        chosen[name] = rows[order], labels[order]
    return chosen


def _thinned_out() -> dict[str, Any]:
    from sklearn import datasets

    tables = {}
    for name, few in {
        "breast_cancer": 0,
        "wine": 2,
        "digits": 8,
        "digits, 3": 3,
        "iris": 1,
    }.items():
        bunch = getattr(datasets, f"load_{name.partition(',')[0]}")()
        labels = (bunch.target == few).astype(int)
        n_many = int((labels == 0).sum())
        kept = np.flatnonzero(labels == 1)[: max(n_many // 10, 15)]
        rows = np.r_[np.flatnonzero(labels == 0), kept]
        tables[name] = bunch.data[rows].astype(float), labels[rows]
    return tables


def over_sample(contestant: str, rows: Any, labels: Any, seed: int) -> Any:
    """Rows and labels with as many of the few as of the many."""
    if contestant == "ours":
        from skautoencoder import VAEOverSampler

        return VAEOverSampler(random_state=seed).fit_resample(rows, labels)
    if contestant == "SMOTE":
        from imblearn.over_sampling import SMOTE

        return SMOTE(random_state=seed).fit_resample(rows, labels)
    return rows, labels


def classify(contestant: str, cache_dir: str, quick: bool) -> Result:
    """One contestant on all tables."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import StratifiedKFold

    warnings.simplefilter("ignore", FutureWarning)
    accuracies: dict[str, float] = {}
    tables = load_imbalanced(cache_dir, 500 if quick else MOST_ROWS)
    for name, (rows, labels) in tables.items():
        found = []
        for seed in SEEDS[:1] if quick else SEEDS:
            folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
            for train, test in folds.split(rows, labels):
                shown = over_sample(contestant, rows[train], labels[train], seed)
                model = HistGradientBoostingClassifier(random_state=0).fit(*shown)
                answers = model.predict(rows[test])
                found.append(balanced_accuracy_score(labels[test], answers))
        accuracies[name] = float(np.mean(found))
    return {
        "accuracy": float(np.mean(list(accuracies.values()))),
        "accuracies": accuracies,
    }


CASES: dict[str, Case] = {
    f"classify_{contestant}": partial(classify, contestant)
    for contestant in CONTESTANTS
}


def run(context: Context) -> tuple[list[Row], dict[str, list[Result]]]:
    """Measure, and make the rows of the table."""
    runs = {
        contestant: [run_case("over_sampling", f"classify_{contestant}", context)]
        for contestant in CONTESTANTS
    }
    rows = []
    for peer, limits in (("SMOTE", {"at_least": 1.0}), ("no over-sampling", {})):
        what = f"balanced accuracy, mean over the tables, ours / {peer}"
        mine, theirs = runs["ours"], runs[peer]
        if state_of(mine) is not None or state_of(theirs) is not None:
            why = {"ours": state_of(mine) or "", "peer": state_of(theirs) or ""}
            rows.append(Row(what, None, **why))
            continue
        texts = [
            f"{result['accuracy']:.3f}: "
            + ", ".join(f"{k} {v:.2f}" for k, v in result["accuracies"].items())
            for result in (mine[0], theirs[0])
        ]
        figure = mine[0]["accuracy"] / theirs[0]["accuracy"]
        rows.append(Row(what, figure, ours=texts[0], peer=texts[1], **limits))
    return rows, runs


if __name__ == "__main__":
    worker_main(CASES)
