"""Samples of tables: can a classifier tell them from rows that were held out?

Three tables of scikit-learn and (with ``--data-dir``) the normal rows of five of
ADBench's, at most 3000 rows of each. Half of the rows are learnt from; as many rows
are drawn as the other half has, and gradient boosting is asked which are which. The
area under its ROC curve is 0.5 where it cannot tell. Everybody runs with defaults;
`GaussianMixture` has its components and covariances chosen by BIC and `KernelDensity`
its bandwidth by cross-validation, both in standard units.

Two rivals without a network take columns one at a time first: quantiles make each of
them normal (Gaussian copula: all of them together are so too; or a mixture, chosen as
above), and make the column's own values of what is drawn, repeated ones exactly where
values repeat. ForestDiffusion (Jolicoeur-Martineau et al., 2024) learns the flow from
noise to rows with boosted trees, for each column and time: with 20 times, 10 copies
of the rows, 20 trees a step, 64 bins and one seed, as its defaults (50, 100, 100 and
256) would take a day. On wine and diabetes, 40 trees give the same area within 0.01.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np

from ._report import Row
from ._runner import Case, Context, Result, run_case, state_of, timed, worker_main
from ._tables import (
    MOST_ROWS,
    Table,
    area_telling_apart,
    draw_through_quantiles,
    fit_gaussian_mixture,
    fit_kernel_density,
    fit_tvae,
    load_sampling_tables,
    nearest_distance_ratio,
)

TITLE = "Samples of tables, told from held-out rows by gradient boosting"

SEEDS = (0, 1, 2)
PEERS = (
    "gaussian mixture",
    "kernel density",
    "quantiles, gaussian mixture",
    "gaussian copula",
    "ForestDiffusion",
    "TVAE",
)
# Of what takes half an hour, one seed has to be enough.
WITH_ONE_SEED = {"ForestDiffusion"}
N_TIMES, N_COPIES, N_TREES, N_BINS = 20, 10, 20, 64
FOREST_NOTE = (
    f"ForestDiffusion: flow, one seed, {N_TIMES} times, {N_COPIES} copies of the rows, "
    f"{N_TREES} trees a step and {N_BINS} bins, where its defaults are 50, 100, 100 "
    "and 256."
)
# A column with at most so many values is announced to TVAE as one of levels.
FEW_VALUES = 10


def draw(contestant: str, train: Table, n_rows: int, seed: int) -> Table:
    """Rows of a contestant that has learnt from `train`."""
    if contestant == "ours":
        from skautoencoder import VAESampler

        fitted = VAESampler(random_state=seed).fit(train)
        return fitted.sample(n_rows, random_state=seed)
    if contestant == "TVAE":
        return draw_from_tvae(train, n_rows, seed)
    if contestant == "ForestDiffusion":
        return draw_from_forest_flow(train, n_rows, seed)
    if contestant in ("quantiles, gaussian mixture", "gaussian copula"):
        is_copula = contestant == "gaussian copula"
        return draw_through_quantiles(train, n_rows, seed, is_copula=is_copula)
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(train)
    shown = scaler.transform(train)
    if contestant == "gaussian mixture":
        rows, _ = fit_gaussian_mixture(shown, seed).sample(n_rows)
    else:
        rows = fit_kernel_density(shown).sample(n_rows, random_state=seed)
    return scaler.inverse_transform(rows)


def draw_from_tvae(train: Table, n_rows: int, seed: int) -> Table:
    import pandas as pd

    table = pd.DataFrame(train, columns=[f"x{i}" for i in range(train.shape[1])])
    few = [name for name in table if table[name].nunique() <= FEW_VALUES]
    return fit_tvae(table, few, seed).sample(n_rows).to_numpy(float)


def draw_from_forest_flow(train: Table, n_rows: int, seed: int) -> Table:
    from ForestDiffusion import ForestDiffusionModel

    n_values = [len(np.unique(column)) for column in train.T]
    few = [i for i, n in enumerate(n_values) if n <= FEW_VALUES]
    # As its guide asks for: whole numbers are announced.
    whole = (train == np.round(train)).all(axis=0)
    model = ForestDiffusionModel(
        train,
        n_t=N_TIMES,
        duplicate_K=N_COPIES,
        n_estimators=N_TREES,
        max_bin=N_BINS,
        n_batch=0,  # its iterator of batches has 256 bins whatever xgboost is told
        diffusion_type="flow",
        bin_indexes=[i for i in few if n_values[i] == 2],
        int_indexes=[i for i in np.flatnonzero(whole) if n_values[i] > 2],
        n_jobs=1,
        seed=seed,
        nthread=1,  # which xgboost is told
    )
    return np.asarray(model.generate(batch_size=n_rows), float)


def sample(contestant: str, cache_dir: str, quick: bool) -> Result:
    """One contestant on all tables."""
    from sklearn.model_selection import train_test_split

    # Convergence of single mixtures, and what TVAE's dependencies deprecate.
    warnings.simplefilter("ignore")
    areas: dict[str, float] = {}
    ratios: dict[str, float] = {}
    seconds, copies = 0.0, 0
    tables = load_sampling_tables(cache_dir, 200 if quick else MOST_ROWS)
    for name, table in tables.items():
        found: list[Any] = []
        for seed in SEEDS[:1] if quick or contestant in WITH_ONE_SEED else SEEDS:
            train, real = train_test_split(table, test_size=0.5, random_state=seed)
            duration, drawn = timed(partial(draw, contestant, train, len(real), seed))
            seconds += duration
            known = {row.tobytes() for row in train}
            copies += sum(row.tobytes() in known for row in drawn)
            found.append(
                (
                    area_telling_apart(real, drawn, seed),
                    nearest_distance_ratio(train, real, drawn),
                )
            )
        areas[name], ratios[name] = np.mean(found, axis=0).tolist()
    return {
        "area": float(np.mean(list(areas.values()))),
        "nearest": float(np.mean(list(ratios.values()))),
        "copies": copies,
        "seconds": seconds,
        "areas": areas,
        "nearest distances": ratios,
    }


CASES: dict[str, Case] = {
    f"sample_{contestant}": partial(sample, contestant)
    for contestant in ("ours", *PEERS)
}


def run(context: Context) -> tuple[list[Row], dict[str, list[Result]]]:
    """Measure, and make the rows of the table."""
    runs = {
        contestant: [run_case("sampling_tables", f"sample_{contestant}", context)]
        for contestant in ("ours", *PEERS)
    }
    mine = runs["ours"]
    if state_of(mine) is not None:
        return [Row("area under the curve", None, ours=state_of(mine) or "")], runs
    area, areas = mine[0]["area"], mine[0]["areas"]
    rows = [
        Row(
            f"mean area over {len(areas)} tables (0.5: cannot be told apart)",
            area,
            ours=", ".join(f"{name} {value:.2f}" for name, value in areas.items()),
            unit="",
            at_most=0.80,
        )
    ]
    for peer in PEERS:
        theirs = runs[peer]
        note = FOREST_NOTE if peer == "ForestDiffusion" else ""
        if state_of(theirs) is not None:
            rows.append(Row(f"area, {peer}", None, peer=state_of(theirs) or ""))
            continue
        other = theirs[0]["areas"]
        rows.append(
            Row(
                f"mean area, ours / {peer}",
                area / theirs[0]["area"],
                ours=f"{area:.3f}, {mine[0]['seconds']:.0f} s",
                peer=f"{theirs[0]['area']:.3f}, {theirs[0]['seconds']:.0f} s: "
                + ", ".join(f"{name} {value:.2f}" for name, value in other.items()),
                at_most=1.0,
                note=note,
            )
        )
    ratios = mine[0]["nearest distances"]
    rows += [
        Row(
            "distance to the nearest training row, samples / held-out rows",
            mine[0]["nearest"],
            ours=", ".join(f"{name} {value:.2f}" for name, value in ratios.items()),
            unit="",
        ),
        Row(
            "samples that are copies of training rows",
            mine[0]["copies"],
            unit="",
            at_most=0,
        ),
    ]
    return rows, runs


if __name__ == "__main__":
    worker_main(CASES)
