"""Missing values of tables: AutoencoderImputer against scikit-learn's imputers.

The tables of ADBench (with ``--data-dir``) and of scikit-learn, standardised, with
20 % of the entries removed at random; at most 5000 rows of each, drawn by a fixed
seed. What counts is the root mean squared error on the removed entries. One table,
of 7603 x 100, is timed whole. Everybody runs with defaults.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._report import Row, ratio_row
from ._runner import (
    Case,
    Context,
    Result,
    median_of,
    state_of,
    take_turns,
    timed,
    worker_main,
)

TITLE = "Missing values of tables, against scikit-learn's imputers"

SHARE = 0.2
MOST_ROWS = 5000
SEEDS = (0, 1)
SKLEARN_TABLES = ("breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine")
WIDE_TABLE = "24_mnist"
PEERS = ("knn", "iterative", "simple")
NAMES = {
    "knn": "KNNImputer",
    "iterative": "IterativeImputer",
    "simple": "SimpleImputer",
}

Table = NDArray[np.float64]


def make_imputer(name: str, seed: int) -> Any:
    """The contestant called `name`, with its defaults."""
    if name == "ours":
        from skautoencoder import AutoencoderImputer

        return AutoencoderImputer(keep_empty_features=True, random_state=seed)
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

    if name == "iterative":
        # It says so where its ten rounds were not enough for it.
        warnings.filterwarnings("ignore", message=".*Early stopping criterion")
        return IterativeImputer(keep_empty_features=True, random_state=seed)
    kind = {"knn": KNNImputer, "simple": SimpleImputer}[name]
    return kind(keep_empty_features=True)


def load_tables(cache_dir: str, most_rows: int) -> dict[str, Table]:
    """All tables by name, standardised."""
    from sklearn import datasets
    from sklearn.preprocessing import StandardScaler

    tables = {
        path.stem: np.load(path)["X"]
        for path in sorted((Path(cache_dir) / "adbench").glob("*.npz"))
    }
    for name in SKLEARN_TABLES:
        tables[f"{name} (sklearn)"] = getattr(datasets, f"load_{name}")().data
    chosen = {}
    for name, table in tables.items():
        rows = np.random.RandomState(0).permutation(len(table))[:most_rows]
        chosen[name] = StandardScaler().fit_transform(
            table[np.sort(rows)].astype(float)
        )
    return chosen


def remove(table: Table, seed: int) -> Table:
    """The table with NaN in 20 % of its entries."""
    lost = np.random.RandomState(seed).rand(*table.shape) < SHARE
    return np.where(lost, np.nan, table)


def error_in_holes(complete: Any, filled: Any, holes: Any) -> float:
    """Root mean squared error where `holes` has NaN."""
    lost = np.isnan(holes)
    return float(np.sqrt(np.mean(np.square(filled[lost] - complete[lost]))))


def all_tables(contestant: str, cache_dir: str, quick: bool) -> Result:
    """One contestant on all tables: its mean error over the seeds."""
    errors: dict[str, float] = {}
    seconds = 0.0
    for name, table in load_tables(cache_dir, 300 if quick else MOST_ROWS).items():
        found = []
        for seed in SEEDS[:1] if quick else SEEDS:
            holes = remove(table, seed)
            imputer = make_imputer(contestant, seed)
            duration, filled = timed(partial(imputer.fit_transform, holes))
            seconds += duration
            found.append(error_in_holes(table, filled, holes))
        errors[name] = float(np.mean(found))
    return {"errors": errors, "seconds": seconds, "tables": len(errors)}


def wide_table(contestant: str, cache_dir: str, quick: bool) -> Result:
    """One contestant on the table of 7603 x 100, timed.

    A first, small fit is thrown away: lazy imports and thread pools.
    """
    tables = load_tables(cache_dir, 1000 if quick else 10_000)
    table = tables[WIDE_TABLE if WIDE_TABLE in tables else "digits (sklearn)"]
    holes = remove(table, 0)
    make_imputer(contestant, 0).fit(holes[:50, :20])
    imputer = make_imputer(contestant, 0)
    seconds, filled = timed(lambda: imputer.fit_transform(holes))
    return {
        "seconds": seconds,
        "rmse": error_in_holes(table, filled, holes),
        "rows": len(table),
        "columns": table.shape[1],
    }


KINDS: dict[str, Callable[..., Result]] = {
    "tables": all_tables,
    "wide": wide_table,
}
CASES: dict[str, Case] = {
    f"{kind}_{contestant}": partial(function, contestant)
    for kind, function in KINDS.items()
    for contestant in ("ours", *PEERS)
}


def share_row(peer: str, runs: dict[str, list[Result]], **fields: Any) -> Row:
    """A row on the share of tables on which ours is better than the peer."""
    ours, theirs = runs["tables_ours"], runs[f"tables_{peer}"]
    what = f"tables with a lower RMSE than {NAMES[peer]}"
    if state_of(ours) is not None or state_of(theirs) is not None:
        return Row(what, None, unit="%", peer=state_of(theirs) or "", **fields)
    mine, other = ours[-1]["errors"], theirs[-1]["errors"]
    lost = [name for name in mine if not mine[name] < other[name]]
    ratio = float(np.median([mine[name] / other[name] for name in mine]))
    n_won = len(mine) - len(lost)
    return Row(
        what,
        100 * n_won / len(mine),
        ours=f"{n_won} of {len(mine)}; median ratio of RMSE {ratio:.2f}",
        peer=f"better on {', '.join(lost)}" if lost else "better on none",
        unit="%",
        **fields,
    )


def rank_rows(runs: dict[str, list[Result]]) -> list[Row]:
    """The mean rank of each contestant over the tables, 0 for the best."""
    contestants = ("ours", *PEERS)
    results = [runs[f"tables_{name}"] for name in contestants]
    if any(state_of(result) is not None for result in results):
        return []
    errors = np.array([list(result[-1]["errors"].values()) for result in results])
    ranks = errors.argsort(axis=0).argsort(axis=0).mean(axis=1)
    peers = [f"{NAMES[p]} {r:.2f}" for p, r in zip(PEERS, ranks[1:], strict=True)]
    return [
        Row(
            "mean rank over the tables (0 is best)",
            float(ranks[0]),
            ours=f"{ranks[0]:.2f}",
            peer=", ".join(peers),
            unit="",
        )
    ]


def run(context: Context) -> tuple[list[Row], dict[str, list[Result]]]:
    """Measure, and make the rows of the table."""
    runs: dict[str, list[Result]] = {}
    runs |= take_turns(
        "imputation", {f"tables_{c}": {} for c in ("ours", *PEERS)}, context, 1
    )
    runs |= take_turns(
        "imputation",
        {f"wide_{c}": {} for c in ("ours", "iterative", "knn")},
        context,
        context.rounds(2),
    )
    n_rows, n_columns = (
        int(median_of(runs["wide_ours"], key) or 0) for key in ("rows", "columns")
    )
    wide = f"{n_rows}×{n_columns} table"
    rows = [
        share_row("knn", runs, at_least=90),
        share_row("iterative", runs, at_least=75),
        share_row("simple", runs),
        *rank_rows(runs),
        ratio_row(
            f"{wide}, time, IterativeImputer / ours",
            runs["wide_ours"],
            runs["wide_iterative"],
            "seconds",
            peer_over_ours=True,
            at_least=5,
        ),
        ratio_row(
            f"{wide}, time, KNNImputer / ours",
            runs["wide_ours"],
            runs["wide_knn"],
            "seconds",
            peer_over_ours=True,
        ),
        ratio_row(
            f"{wide}, RMSE, ours / IterativeImputer",
            runs["wide_ours"],
            runs["wide_iterative"],
            "rmse",
            unit="",
        ),
    ]
    return rows, runs


if __name__ == "__main__":
    worker_main(CASES)
