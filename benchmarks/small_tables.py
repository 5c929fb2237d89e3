"""A fit on a small table (1831x21) against a bare torch loop, PyOD and skorch.

21-64-32-64-21, relu, squared error, Adam, 10 epochs, batches of 32 and of 256. The
table is synthetic and, where the data folder has it, ADBench's cardio besides.
"""

from __future__ import annotations

import sys
from typing import Any

from ._data import load_tables
from ._peers import n_parameters, pyod_fit, skorch_fit, torch_dense, torch_fit
from ._report import Row, ratio_row
from ._runner import (
    Case,
    Context,
    Result,
    crowd_meter,
    describe,
    median_of,
    standing_by,
    state_of,
    timed,
    worker_main,
)

TITLE = "A small table (1831×21), 10 epochs"

HIDDEN_SIZE = 64
CODE_SIZE = 32
EPOCHS = 10
BATCH_SIZES = (32, 256)
AGAINST_TORCH = 1.25
AGAINST_PYOD = 8.0
ROUNDS = 3
FITS = 3


def ours(cache_dir: str, quick: bool, table: str, batch_size: int) -> Result:
    """Ours with the network, batches and epochs of the others, else defaults."""
    from skautoencoder import AutoencoderTransformer
    from skautoencoder.architectures import Dense

    x = load_tables(cache_dir)[table]
    estimator = AutoencoderTransformer(
        CODE_SIZE,
        architecture=Dense(hidden_layer_sizes=(HIDDEN_SIZE,), activation="relu"),
        batch_size=batch_size,
        max_epochs=EPOCHS,
        random_state=0,
    )
    seconds, _ = timed(lambda: estimator.fit(x))
    return {"seconds": seconds, "parameters": n_parameters(estimator.net_.module_)}


def bare_torch(cache_dir: str, quick: bool, table: str, batch_size: int) -> Result:
    """A bare loop on one thread."""
    import torch

    torch.set_num_threads(1)
    x = load_tables(cache_dir)[table]

    def train() -> Any:
        torch.manual_seed(0)
        network = torch_dense((x.shape[1], HIDDEN_SIZE, CODE_SIZE))
        torch_fit(network, x, epochs=EPOCHS, batch_size=batch_size)
        return network

    seconds, network = timed(train)
    return {"seconds": seconds, "parameters": n_parameters(network)}


def skorch(cache_dir: str, quick: bool, table: str, batch_size: int) -> Result:
    """Plain skorch."""
    x = load_tables(cache_dir)[table]
    network = torch_dense((x.shape[1], HIDDEN_SIZE, CODE_SIZE))
    seconds, net = skorch_fit(network, x, epochs=EPOCHS, batch_size=batch_size)
    return {"seconds": seconds, "parameters": n_parameters(net.module_)}


def pyod(cache_dir: str, quick: bool, table: str, batch_size: int) -> Result:
    """PyOD's AutoEncoder with batch normalisation and dropout, its defaults."""
    x = load_tables(cache_dir)[table]
    sizes = [HIDDEN_SIZE, CODE_SIZE]
    return pyod_fit(x, sizes, epochs=EPOCHS, batch_size=batch_size)


def pyod_same_network(
    cache_dir: str, quick: bool, table: str, batch_size: int
) -> Result:
    """PyOD's AutoEncoder without them."""
    x = load_tables(cache_dir)[table]
    sizes = [HIDDEN_SIZE, CODE_SIZE]
    network = {"batch_norm": False, "dropout_rate": 0.0}
    return pyod_fit(x, sizes, epochs=EPOCHS, batch_size=batch_size, **network)


CASES: dict[str, Case] = {
    "ours": ours,
    "bare_torch": bare_torch,
    "skorch": skorch,
    "pyod": pyod,
    "pyod_same_network": pyod_same_network,
}


def one_round(context: Context) -> dict[str, Result]:
    """Each contestant's median seconds for each table and batch size.

    Contestants stand by in processes of their own and fit in turn, one right after the
    other, twice, of which the second counts. The first fit of all (lazy imports, thread
    pools) is kept apart.
    """
    crowd = crowd_meter()
    with standing_by("small_tables", CASES, context) as contestants:
        first = {"table": "synthetic", "batch_size": BATCH_SIZES[0]}
        results = {name: ask(**first) for name, ask in contestants.items()}
        for result in results.values():
            result["very first fit"] = result.get("seconds", 0.0)
        able = [name for name in CASES if state_of([results[name]]) is None]
        for table in load_tables(context.cache_dir):
            for batch_size in BATCH_SIZES:
                fits: dict[str, list[Result]] = {name: [] for name in able}
                for _ in range(1 if context.quick else FITS):
                    for name in able:
                        options = {"table": table, "batch_size": batch_size}
                        # Who comes back to a processor that others used warms up.
                        contestants[name](**options)
                        fits[name].append(contestants[name](**options))
                for name, found in fits.items():
                    for key in found[0]:
                        figure = median_of(found, key)
                        results[name][f"{table} {batch_size} {key}"] = figure
    others = crowd()
    for name, result in results.items():
        result |= others
        print(f"  small_tables: {name} {describe(result)}", file=sys.stderr, flush=True)
    return results


def run(context: Context) -> tuple[list[Row], dict[str, list[Result]]]:
    """Measure, and make the rows of the table."""
    rounds = [one_round(context) for _ in range(context.rounds(ROUNDS))]
    runs = {name: [results[name] for results in rounds] for name in CASES}
    our_runs = runs["ours"]
    rows = []
    for table in load_tables(context.cache_dir):
        for batch_size in BATCH_SIZES:
            where = f"{table}, batch {batch_size}"
            key = f"{table} {batch_size} seconds"
            rows += [
                ratio_row(
                    f"{where}: ours / bare torch loop on one thread",
                    our_runs,
                    runs["bare_torch"],
                    key,
                    at_most=AGAINST_TORCH,
                ),
                ratio_row(
                    f"{where}: PyOD / ours",
                    our_runs,
                    runs["pyod"],
                    key,
                    peer_over_ours=True,
                    at_least=AGAINST_PYOD,
                    note="PyOD's fit scores the training rows besides; its training "
                    "loop alone is in results.json (key 'training').",
                ),
                ratio_row(
                    f"{where}: PyOD without batch norm and dropout / ours",
                    our_runs,
                    runs["pyod_same_network"],
                    key,
                    peer_over_ours=True,
                ),
                ratio_row(
                    f"{where}: plain skorch / ours",
                    our_runs,
                    runs["skorch"],
                    key,
                    peer_over_ours=True,
                ),
            ]
    rows.append(
        ratio_row(
            "first fit of a process, lazy imports included: PyOD / ours",
            our_runs,
            runs["pyod"],
            "very first fit",
            peer_over_ours=True,
        )
    )
    return rows, runs


if __name__ == "__main__":
    worker_main(CASES)
