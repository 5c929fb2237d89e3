"""A grid search whose networks are trained at once against scikit-learn's.

Five code sizes, three folds, on wine, breast cancer and a table of 5000 rows; a network
of 64 and 32 units, batches of 32 and of 256 rows. Both searches give the same scores.
"""

from __future__ import annotations

from typing import Any

from ._report import Row, ratio_row
from ._runner import Case, Context, Result, take_turns, timed, worker_main

TITLE = "A search over five code sizes and three folds"

CODE_SIZES = [2, 4, 6, 8, 12]
# Batch size, and how much longer a plain search shall take at least.
TARGETS = {32: 3.0, 256: 1.6}
ROUNDS = 3


def _tables() -> dict[str, Any]:
    import numpy as np
    from sklearn.datasets import load_breast_cancer, load_wine
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    made = np.tanh(rng.normal(size=(5000, 6)) @ rng.normal(size=(6, 30)))
    made += 0.1 * rng.normal(size=made.shape)
    tables = {
        "wine": load_wine().data,
        "breast cancer": load_breast_cancer().data,
        "5000x30": made,
    }
    return {name: StandardScaler().fit_transform(x) for name, x in tables.items()}


def _search(kind: type, n_jobs: int | None, quick: bool) -> Result:
    from skautoencoder import AutoencoderTransformer
    from skautoencoder.architectures import Dense

    result: Result = {}
    for name, x in _tables().items():
        for batch_size in TARGETS:
            if batch_size > len(x) * 2 // 3:
                continue
            estimator = AutoencoderTransformer(
                architecture=Dense((64, 32)),
                batch_size=batch_size,
                max_epochs=2 if quick else "auto",
                random_state=0,
            )
            grid = {"code_size": CODE_SIZES}
            search = kind(estimator, grid, cv=3, n_jobs=n_jobs, refit=False)
            seconds, _ = timed(lambda search=search, x=x: search.fit(x))
            result[f"{name} {batch_size} seconds"] = seconds
    return result


def ours(cache_dir: str, quick: bool, n_jobs: int | None) -> Result:
    """AutoencoderSearchCV."""
    from skautoencoder.model_selection import AutoencoderSearchCV

    return _search(AutoencoderSearchCV, n_jobs, quick)


def plain(cache_dir: str, quick: bool, n_jobs: int | None) -> Result:
    """GridSearchCV."""
    from sklearn.model_selection import GridSearchCV

    return _search(GridSearchCV, n_jobs, quick)


CASES: dict[str, Case] = {"ours": ours, "plain": plain}


def run(context: Context) -> tuple[list[Row], dict[str, list[Result]]]:
    """Measure, and make the rows of the table."""
    options = {
        f"{case}, {n_jobs or 1} processes": {"case": case, "n_jobs": n_jobs}
        for n_jobs in (None, 2)
        for case in CASES
    }
    runs = take_turns("search", options, context, context.rounds(ROUNDS))
    rows = []
    for name in _tables():
        for batch_size, target in TARGETS.items():
            key = f"{name} {batch_size} seconds"
            if not any(key in result for result in runs["ours, 1 processes"]):
                continue
            for n_processes in (1, 2):
                rows.append(
                    ratio_row(
                        f"{name}, batch {batch_size}: GridSearchCV / ours, "
                        f"n_jobs={n_processes}",
                        runs[f"ours, {n_processes} processes"],
                        runs[f"plain, {n_processes} processes"],
                        key,
                        peer_over_ours=True,
                        at_least=target,
                    )
                )
    return rows, runs


if __name__ == "__main__":
    worker_main(CASES)
