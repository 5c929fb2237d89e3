"""Missing values of tables: AutoencoderImputer against other imputers.

The tables of ADBench (with ``--data-dir``) and of scikit-learn, standardised, with
20 % of the entries removed at random; at most 2000 rows of each, drawn by a fixed
seed (IterativeImputer takes an hour and a half for 5000). What counts is the root mean
squared error on the removed entries. One table, of 7603 x 100, is timed whole.
Everybody runs with defaults.

Rivals with trees take minutes for a table: MissForest (Stekhoven and Bühlmann, 2012:
IterativeImputer with a forest, here of ExtraTrees) and miceforest with the LightGBM's
own answers, which have a smaller squared error than answers of rows like them. They
are given the tables of at most 40 columns, 1000 rows of each at most, and so is ours
to be compared with them.
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

TITLE = "Missing values of tables, against other imputers"

SHARE = 0.2
MOST_ROWS = 2000
SEED = 0
SKLEARN_TABLES = ("breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine")
WIDE_TABLE = "24_mnist"
PEERS = ("knn", "iterative", "simple")
# Slow ones, which are given short and narrow tables.
FORESTS = ("missforest", "miceforest")
MOST_COLUMNS_OF_FORESTS, MOST_ROWS_OF_FORESTS = 40, 1000
FOREST_NOTE = (
    f"Narrow tables: at most {MOST_COLUMNS_OF_FORESTS} columns, and of each at most "
    f"{MOST_ROWS_OF_FORESTS} rows."
)
NAMES = {
    "knn": "KNNImputer",
    "iterative": "IterativeImputer",
    "simple": "SimpleImputer",
    "missforest": "MissForest (IterativeImputer with ExtraTrees)",
    "miceforest": "miceforest",
}

Table = NDArray[np.float64]


def make_imputer(name: str, seed: int) -> Any:
    """The contestant called `name`, with its defaults."""
    if name == "ours":
        from skautoencoder import AutoencoderImputer

        return AutoencoderImputer(keep_empty_features=True, random_state=seed)
    if name == "miceforest":
        return MiceForest(seed)
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

    if name == "missforest":
        from sklearn.ensemble import ExtraTreesRegressor

        warnings.filterwarnings("ignore", message=".*Early stopping criterion")
        return IterativeImputer(
            ExtraTreesRegressor(n_estimators=20, min_samples_leaf=2, random_state=seed),
            keep_empty_features=True,
            random_state=seed,
        )
    if name == "iterative":
        # It says so where its ten rounds were not enough for it.
        warnings.filterwarnings("ignore", message=".*Early stopping criterion")
        return IterativeImputer(keep_empty_features=True, random_state=seed)
    kind = {"knn": KNNImputer, "simple": SimpleImputer}[name]
    return kind(keep_empty_features=True)


class MiceForest:
    """miceforest with five rounds, its default, behind scikit-learn's method."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit_transform(self, holes: Table) -> Table:
        """Learn from a table and fill it."""
        import pandas as pd
        from miceforest import ImputationKernel
        from threadpoolctl import threadpool_limits

        frame = pd.DataFrame(holes, columns=[f"x{i}" for i in range(holes.shape[1])])
        kernel = ImputationKernel(
            frame, mean_match_candidates=0, random_state=self.seed
        )
        # On tables like these, more threads than one only wait for each other.
        with threadpool_limits(1):
            kernel.mice(5)
        filled: Table = kernel.complete_data().to_numpy(float)
        return filled


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
    """One contestant on all tables."""
    tables = load_tables(cache_dir, 300 if quick else MOST_ROWS)
    return errors_on(contestant, tables)


def narrow_tables(contestant: str, cache_dir: str, quick: bool) -> Result:
    """One contestant on tables that forests do not take hours for."""
    tables = load_tables(cache_dir, 100 if quick else MOST_ROWS_OF_FORESTS)
    narrow = {
        name: table
        for name, table in tables.items()
        if table.shape[1] <= (5 if quick else MOST_COLUMNS_OF_FORESTS)
    }
    return errors_on(contestant, narrow)


def errors_on(contestant: str, tables: dict[str, Table]) -> Result:
    """The error on each table, and the seconds of all fits."""
    errors: dict[str, float] = {}
    seconds = 0.0
    for name, table in tables.items():
        holes = remove(table, SEED)
        imputer = make_imputer(contestant, SEED)
        duration, filled = timed(partial(imputer.fit_transform, holes))
        seconds += duration
        errors[name] = error_in_holes(table, filled, holes)
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
CASES |= {
    f"narrow_{contestant}": partial(narrow_tables, contestant)
    for contestant in ("ours", *FORESTS)
}


def share_row(
    peer: str, runs: dict[str, list[Result]], kind: str = "tables", **fields: Any
) -> Row:
    """A row on the share of tables on which ours is better than the peer."""
    ours, theirs = runs[f"{kind}_ours"], runs[f"{kind}_{peer}"]
    which = "narrow tables" if kind == "narrow" else "tables"
    what = f"{which} with a lower RMSE than {NAMES[peer]}"
    if state_of(ours) is not None or state_of(theirs) is not None:
        return Row(what, None, unit="%", peer=state_of(theirs) or "", **fields)
    mine, other = ours[-1]["errors"], theirs[-1]["errors"]
    lost = [name for name in mine if not mine[name] < other[name]]
    ratio = float(np.median([mine[name] / other[name] for name in mine]))
    n_won = len(mine) - len(lost)
    return Row(
        what,
        100 * n_won / len(mine),
        ours=f"{n_won} of {len(mine)}; median ratio of RMSE {ratio:.2f}; "
        f"{ours[-1]['seconds']:.0f} s",
        peer=(f"better on {', '.join(lost)}" if lost else "better on none")
        + f"; {theirs[-1]['seconds']:.0f} s",
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
        "imputation", {f"narrow_{c}": {} for c in ("ours", *FORESTS)}, context, 1
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
        *(share_row(peer, runs, "narrow", note=FOREST_NOTE) for peer in FORESTS),
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
