"""Small tables: held-out explained variance of a default fit against PCA's.

Five tables of scikit-learn, as they are, standardised and in [0, 1], split 70/30 at
random; codes of 1, 2, 4 and 8 numbers and of the default's size, where the table has
more features than that. Both learn from the same rows, and both are asked for the
fraction of the variance of the others that their codes keep.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ._report import Row
from ._runner import Case, Context, Result, run_case, state_of, timed, worker_main

TITLE = "Small tables: held-out variance explained, against PCA of the same size"

TABLES = ("iris", "wine", "breast_cancer", "digits", "diabetes")
UNITS = ("raw", "standardised", "min-max")
CODE_SIZES = (1, 2, 4, 8, None)  # None: the default
SEEDS = (0, 1)
SHARE_OF_PCA = 1.01


def one_table(cache_dir: str, quick: bool, table: str) -> Result:
    """Both contestants on one table: what ours explains beyond PCA, of each fit."""
    from sklearn.decomposition import PCA

    from skautoencoder import AutoencoderTransformer

    fits = []
    seconds = 0.0
    for seed, units, train, test in _splits(table, SEEDS[:1] if quick else SEEDS):
        for code_size in CODE_SIZES:
            size = {} if code_size is None else {"code_size": code_size}
            ours = AutoencoderTransformer(**size, random_state=seed)
            if quick:
                ours.set_params(max_epochs=2)
            if ours.code_size >= train.shape[1]:
                continue
            duration, _ = timed(lambda ours=ours, train=train: ours.fit(train))
            seconds += duration
            linear = PCA(ours.code_size, random_state=0).fit(train)
            residual = test - linear.inverse_transform(linear.transform(test))
            total = np.square(test - test.mean(axis=0)).sum()
            explained = ours.score(test), 1 - np.square(residual).sum() / total
            fits.append(
                {
                    "fit": f"{table} {units}, code {ours.code_size}, seed {seed}",
                    "ours": explained[0],
                    "PCA": float(explained[1]),
                    "gain": float(explained[0] - explained[1]),
                    "ratio": float((1 - explained[0]) / (1 - explained[1])),
                    "is_linear": ours.is_linear_,
                    "has_linear_codes": ours.has_linear_codes_,
                }
            )
    return {"fits": fits, "seconds": seconds}


def _splits(table: str, seeds: tuple[int, ...]) -> Iterator[tuple[int, str, Any, Any]]:
    """Training and test rows of each seed in each of the units."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    rows = getattr(datasets, f"load_{table}")().data
    for seed in seeds:
        train, test = train_test_split(rows, test_size=0.3, random_state=seed)
        yield seed, UNITS[0], train, test
        for units, scaler in zip(
            UNITS[1:], (StandardScaler(), MinMaxScaler()), strict=True
        ):
            scaler.fit(train)
            yield seed, units, scaler.transform(train), scaler.transform(test)


CASES: dict[str, Case] = {"one_table": one_table}


def run(context: Context) -> tuple[list[Row], dict[str, list[Result]]]:
    """Measure, and make the rows of the table."""
    tables = TABLES[:2] if context.quick else TABLES
    runs = {
        table: [run_case("against_pca", "one_table", context, table=table)]
        for table in tables
    }
    for results in runs.values():
        state = state_of(results)
        if state is not None:
            return [Row("fits that explain less than PCA", None, ours=state)], runs
    fits = [fit for results in runs.values() for fit in results[0]["fits"]]
    rows = _rows("all tables", fits)
    for table in tables:
        rows += _rows(table, runs[table][0]["fits"])[:1]
    return rows, runs


def _rows(where: str, fits: list[dict[str, Any]]) -> list[Row]:
    gains, ratios = (np.array([fit[k] for fit in fits]) for k in ("gain", "ratio"))
    n_worse = int((ratios > SHARE_OF_PCA).sum())
    n_linear = sum(fit["is_linear"] for fit in fits)
    n_curved = sum(fit["has_linear_codes"] for fit in fits) - n_linear
    worst, best = fits[int(ratios.argmax())], fits[int(gains.argmax())]
    return [
        Row(
            f"{where}: fits whose error is above {SHARE_OF_PCA} × PCA's",
            n_worse,
            ours=f"{n_worse} of {len(fits)}; PCA kept in {n_linear}, its codes with a "
            f"curved decoder in {n_curved}; mean error {ratios.mean():.3f} × PCA's",
            peer=f"worst: {worst['fit']}, {ratios.max():.3f} ×",
            unit="",
            at_most=0,
        ),
        Row(
            f"{where}: fits whose error is below PCA's, in %",
            float(100 * (ratios < 0.9999).mean()),
            ours=f"{(ratios < 0.9999).sum()} of {len(fits)}",
            peer="",
            unit="%",
            at_least=80,
        ),
        Row(
            f"{where}: mean difference of the explained share, ours − PCA",
            float(gains.mean()),
            ours=f"best: {best['fit']}, {best['ours']:.4f}",
            peer=f"{best['PCA']:.4f}",
            unit="",
        ),
    ]


if __name__ == "__main__":
    worker_main(CASES)
