"""A fit on a small table (1831x21) against a bare torch loop, PyOD and skorch.

21-64-32-64-21, relu, squared error, Adam, 10 epochs, batches of 32 and of 256. The
table is synthetic and, where the data folder has it, ADBench's cardio besides.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

from ._data import Array, load_tables
from ._peers import n_parameters, pyod_fit, skorch_fit, torch_dense, torch_fit
from ._report import Row, ratio_row
from ._runner import Case, Context, Result, take_turns, timed, worker_main

TITLE = "A small table (1831×21), 10 epochs"

HIDDEN_SIZE = 64
CODE_SIZE = 32
EPOCHS = 10
BATCH_SIZES = (32, 256)
AGAINST_TORCH = 1.25
AGAINST_PYOD = 8.0
ROUNDS = 3
FITS_IN_A_PROCESS = 3

# Fits once: seconds and whatever else is to be kept.
Fit = Callable[[Array, int], Result]


def _each_table(cache_dir: str, quick: bool, fit: Fit) -> Result:
    """Medians of a few fits for each table and batch size.

    A first, shorter fit is thrown away (lazy imports, thread pools); all
    contestants are treated so.
    """
    result: Result = {}
    warm = False
    for table, x in load_tables(cache_dir).items():
        for batch_size in BATCH_SIZES:
            if not warm:
                result["very first fit"] = fit(x, batch_size)["seconds"]
                warm = True
            fits = [
                fit(x, batch_size) for _ in range(1 if quick else FITS_IN_A_PROCESS)
            ]
            for key in fits[0]:
                figure = median(float(one[key]) for one in fits)
                result[f"{table} {batch_size} {key}"] = figure
    return result


def ours(cache_dir: str, quick: bool) -> Result:
    """Ours with the network, batches and epochs of the others, else defaults."""
    from skautoencoder import AutoencoderTransformer
    from skautoencoder.architectures import Dense

    def fit(x: Array, batch_size: int) -> Result:
        estimator = AutoencoderTransformer(
            CODE_SIZE,
            architecture=Dense(hidden_layer_sizes=(HIDDEN_SIZE,), activation="relu"),
            batch_size=batch_size,
            max_epochs=EPOCHS,
            random_state=0,
        )
        seconds, _ = timed(lambda: estimator.fit(x))
        parameters = n_parameters(estimator.net_.module_)
        return {"seconds": seconds, "parameters": parameters}

    return _each_table(cache_dir, quick, fit)


def bare_torch(cache_dir: str, quick: bool) -> Result:
    """A bare loop on one thread."""
    import torch

    torch.set_num_threads(1)

    def train(x: Array, batch_size: int) -> Any:
        torch.manual_seed(0)
        network = torch_dense((x.shape[1], HIDDEN_SIZE, CODE_SIZE))
        torch_fit(network, x, epochs=EPOCHS, batch_size=batch_size)
        return network

    def fit(x: Array, batch_size: int) -> Result:
        seconds, network = timed(lambda: train(x, batch_size))
        return {"seconds": seconds, "parameters": n_parameters(network)}

    return _each_table(cache_dir, quick, fit)


def skorch(cache_dir: str, quick: bool) -> Result:
    """Plain skorch."""

    def fit(x: Array, batch_size: int) -> Result:
        network = torch_dense((x.shape[1], HIDDEN_SIZE, CODE_SIZE))
        seconds, net = skorch_fit(network, x, epochs=EPOCHS, batch_size=batch_size)
        return {"seconds": seconds, "parameters": n_parameters(net.module_)}

    return _each_table(cache_dir, quick, fit)


def pyod(cache_dir: str, quick: bool, as_it_comes: bool) -> Result:
    """PyOD's AutoEncoder: as it comes, or with the network of the others."""
    network = {} if as_it_comes else {"batch_norm": False, "dropout_rate": 0.0}

    def fit(x: Array, batch_size: int) -> Result:
        sizes = [HIDDEN_SIZE, CODE_SIZE]
        return pyod_fit(x, sizes, epochs=EPOCHS, batch_size=batch_size, **network)

    return _each_table(cache_dir, quick, fit)


def pyod_as_it_comes(cache_dir: str, quick: bool) -> Result:
    """PyOD's AutoEncoder with batch normalisation and dropout, its defaults."""
    return pyod(cache_dir, quick, True)


def pyod_same_network(cache_dir: str, quick: bool) -> Result:
    """PyOD's AutoEncoder without them."""
    return pyod(cache_dir, quick, False)


CASES: dict[str, Case] = {
    "ours": ours,
    "bare_torch": bare_torch,
    "skorch": skorch,
    "pyod": pyod_as_it_comes,
    "pyod_same_network": pyod_same_network,
}


def run(context: Context) -> tuple[list[Row], dict[str, list[Result]]]:
    """Measure, and make the rows of the table."""
    runs = take_turns(
        "small_tables", {name: {} for name in CASES}, context, context.rounds(ROUNDS)
    )
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
