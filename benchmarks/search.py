"""A grid search whose networks are trained at once against scikit-learn's.

Five code sizes, three folds, on wine, breast cancer and a table of 5000 rows; a network
of 64 and 32 units, batches of 32 and of 256 rows. Both searches give the same scores.
Workers (``n_jobs=2``) run already, but for one row: they take longer to start than a
small table to be searched.
Then five starts of which the best is kept, against five fits: their time, and held-out
errors beside the mean of those of the five.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from ._report import Row, ratio_row
from ._runner import Case, Context, Result, take_turns, timed, worker_main

TITLE = "A search over five code sizes and three folds"

CODE_SIZES = [2, 4, 6, 8, 12]
# Batch size, and how much longer a plain search shall take at least.
TARGETS = {32: 3.0, 256: 1.6}
ROUNDS = 3
FIRST = "first search"
N_INIT, N_SEEDS, START_SIZES = 5, 4, (1, 4)


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
    tables = _tables()
    cases = [
        (f"{name} {batch_size}", x, batch_size)
        for name, x in tables.items()
        for batch_size in TARGETS
        if batch_size <= len(x) * 2 // 3
    ]
    if n_jobs:  # before the others
        cases.insert(0, (FIRST, tables["wine"], 32))
    for name, x, batch_size in cases:
        estimator = AutoencoderTransformer(
            architecture=Dense((64, 32)),
            batch_size=batch_size,
            max_epochs=2 if quick else "auto",
            random_state=0,
        )
        grid = {"code_size": CODE_SIZES}
        search = kind(estimator, grid, cv=3, n_jobs=n_jobs, refit=False)
        seconds, _ = timed(lambda search=search, x=x: search.fit(x))
        result[f"{name} seconds"] = seconds
    return result


def ours(cache_dir: str, quick: bool, n_jobs: int | None) -> Result:
    """AutoencoderSearchCV."""
    from skautoencoder.model_selection import AutoencoderSearchCV

    return _search(AutoencoderSearchCV, n_jobs, quick)


def plain(cache_dir: str, quick: bool, n_jobs: int | None) -> Result:
    """GridSearchCV."""
    from sklearn.model_selection import GridSearchCV

    return _search(GridSearchCV, n_jobs, quick)


def _starts(quick: bool, n_fits: int, n_init: int) -> Result:
    """Seconds of some fits, and the mean held-out error, over several seeds."""
    import numpy as np
    from sklearn.model_selection import train_test_split

    from skautoencoder import AutoencoderTransformer
    from skautoencoder.architectures import Dense

    result: Result = {}
    for (name, x), size in product(_tables().items(), START_SIZES):
        train, test = train_test_split(x, test_size=0.3, random_state=0)
        seconds, errors = [], []
        for seed in range(1 if quick else N_SEEDS):
            fits = [
                AutoencoderTransformer(
                    size,
                    architecture=Dense((64, 32)),
                    max_epochs=2 if quick else "auto",
                    n_init=n_init,
                    random_state=100 * seed + start,
                )
                for start in range(n_fits)
            ]
            took, _ = timed(lambda fits=fits, x=train: [f.fit(x) for f in fits])
            seconds.append(took)
            errors += [-fit.score_samples(test).mean() for fit in fits]
        result[f"{name} {size} starts seconds"] = float(np.median(seconds))
        result[f"{name} {size} starts error"] = float(np.mean(errors))
    return result


def starts(cache_dir: str, quick: bool) -> Result:
    """One fit of several starts, of which the best is kept."""
    return _starts(quick, 1, N_INIT)


def fits(cache_dir: str, quick: bool) -> Result:
    """As many fits."""
    return _starts(quick, N_INIT, 1)


CASES: dict[str, Case] = {
    "ours": ours,
    "plain": plain,
    "starts": starts,
    "fits": fits,
}


def run(context: Context) -> tuple[list[Row], dict[str, list[Result]]]:
    """Measure, and make the rows of the table."""
    options = {
        f"{case}, {n_jobs or 1} processes": {"case": case, "n_jobs": n_jobs}
        for n_jobs in (None, 2)
        for case in ("ours", "plain")
    }
    options |= {case: {"case": case} for case in ("starts", "fits")}
    runs = take_turns("search", options, context, context.rounds(ROUNDS))
    rows = []
    for name in _tables():
        for batch_size, target in TARGETS.items():
            key = f"{name} {batch_size} seconds"
            if not any(key in result for result in runs["ours, 1 processes"]):
                continue
            for n_ours, n_plain in ((1, 1), (2, 2), (1, 2)):
                jobs = (
                    f"n_jobs={n_ours}"
                    if n_ours == n_plain
                    else f"n_jobs={n_plain} / {n_ours}"
                )
                rows.append(
                    ratio_row(
                        f"{name}, batch {batch_size}: GridSearchCV / ours, {jobs}",
                        runs[f"ours, {n_ours} processes"],
                        runs[f"plain, {n_plain} processes"],
                        key,
                        peer_over_ours=True,
                        at_least=target,
                    )
                )
    rows.append(
        ratio_row(
            "wine, batch 32, workers not started: GridSearchCV / ours, n_jobs=2",
            runs["ours, 2 processes"],
            runs["plain, 2 processes"],
            f"{FIRST} seconds",
            peer_over_ours=True,
            at_least=TARGETS[32],
        )
    )
    both = runs["starts"], runs["fits"]
    for name, size in product(_tables(), START_SIZES):
        key, case = f"{name} {size} starts", f"{name}, code of {size}"
        what = f"{case}: five fits / n_init=5"
        rows.append(ratio_row(what, *both, f"{key} seconds", peer_over_ours=True))
        what = f"{case}: held-out error, n_init=5 / one start"
        rows.append(ratio_row(what, *both, f"{key} error", unit=""))
    return rows, runs


if __name__ == "__main__":
    worker_main(CASES)
