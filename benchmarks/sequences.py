"""Codes of sequences against PCA's, and the time of an epoch against Keras's.

Codes of three numbers: the error on held-out series as a share of PCA's with as many.
Made series (sines of random phase and frequency, AR(2), a switch between two regimes)
and two collections that aeon ships. Of AR(2), whose values are jointly normal, there is
little beyond PCA: it is there to show that nothing is lost.

Time: an LSTM autoencoder of 64 units, on 5000 sequences of 100 steps and 8 channels in
batches of 128. Keras's is the usual one: the code is the last state, repeated at each
step of the decoder.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._peers import mean_squared_error, n_parameters
from ._report import Row, ratio_row
from ._runner import Case, Context, Result, median_of, take_turns, timed, worker_main
from ._series import MADE, REAL, load_series

TITLE = "Sequences: codes of three numbers against PCA, an LSTM's epoch against Keras's"

CODE_SIZE = 3
SEEDS = (0, 1, 2)
OURS = ("dense", "conv1d", "recurrent")
SHARE_OF_PCA = 0.5
SHARE_OF_DENSE = 1.2

N_SEQUENCES, N_STEPS, N_CHANNELS = 5000, 100, 8
HIDDEN_SIZE = 64
BATCH_SIZE = 128
EPOCHS = 2
CONV1D_SPEED = 5.0
ROUNDS = 5


def codes(
    cache_dir: str, quick: bool, series: str, architecture: str, seed: int
) -> Result:
    """Held-out error of a default fit, and seconds."""
    from skautoencoder import AutoencoderTransformer

    train, test = load_series(series, seed)
    estimator = AutoencoderTransformer(
        CODE_SIZE, architecture=architecture, random_state=seed
    )
    if quick:
        estimator.set_params(max_epochs=2)
    if architecture == "dense":
        train, test = (part.reshape(len(part), -1) for part in (train, test))
    seconds, _ = timed(lambda: estimator.fit(train))
    return {
        "mse": mean_squared_error(test, estimator.predict(test)),
        "seconds": seconds,
    }


def pca(cache_dir: str, quick: bool, series: str, seed: int) -> Result:
    """Held-out error of PCA."""
    from sklearn.decomposition import PCA

    train, test = load_series(series, seed)
    rows = test.reshape(len(test), -1)
    linear = PCA(CODE_SIZE).fit(train.reshape(len(train), -1))
    answers = linear.inverse_transform(linear.transform(rows))
    return {"mse": mean_squared_error(rows, answers)}


def _sequences(quick: bool) -> Any:
    shape = (500 if quick else N_SEQUENCES, N_STEPS, N_CHANNELS)
    steps = np.random.RandomState(0).normal(size=shape)
    return steps.cumsum(axis=1).astype(np.float32) / 10


def ours_epoch(cache_dir: str, quick: bool, architecture: str) -> Result:
    """Seconds of an epoch: of a fit of several, by their number."""
    from skautoencoder import AutoencoderTransformer, Recurrent

    kind: Any = architecture
    if architecture == "recurrent":
        kind = Recurrent("lstm", hidden_size=HIDDEN_SIZE)
    estimator = AutoencoderTransformer(
        HIDDEN_SIZE,
        architecture=kind,
        batch_size=BATCH_SIZE,
        max_epochs=EPOCHS,
        random_state=0,
    )
    estimator.fit(_sequences(True)[:300])  # what a first fit imports
    estimator.fit(_sequences(quick))
    seconds = float(np.median(estimator.history_[:, "dur"]))
    return {
        "seconds": seconds,
        "our_size": n_parameters(estimator.net_.module_),
    }


def keras_epoch(cache_dir: str, quick: bool) -> Result:
    """Seconds of an epoch after the first, in which the graph is traced."""
    import time

    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((N_STEPS, N_CHANNELS)),
            layers.LSTM(HIDDEN_SIZE),
            layers.RepeatVector(N_STEPS),
            layers.LSTM(HIDDEN_SIZE, return_sequences=True),
            layers.TimeDistributed(layers.Dense(N_CHANNELS)),
        ]
    )
    model.compile(optimizer="adam", loss="mse")
    sequences = _sequences(quick)
    durations = []
    for _ in range(EPOCHS + 1):
        started = time.perf_counter()
        model.fit(sequences, sequences, batch_size=BATCH_SIZE, epochs=1, verbose=0)
        durations.append(time.perf_counter() - started)
    return {"seconds": float(np.median(durations[1:]))}


CASES: dict[str, Case] = {
    "codes": codes,
    "pca": pca,
    "ours_epoch": ours_epoch,
    "keras_epoch": keras_epoch,
}


def run(context: Context) -> tuple[list[Row], dict[str, list[Result]]]:
    """Measure, and make the rows of the table."""
    runs = take_turns(
        "sequences",
        {
            "Keras": {"case": "keras_epoch"},
            "LSTM": {"case": "ours_epoch", "architecture": "recurrent"},
            "Conv1d": {"case": "ours_epoch", "architecture": "conv1d"},
        },
        context,
        context.rounds(ROUNDS),
    )
    rows = [
        ratio_row(
            "seconds of an epoch, ours (LSTM) / Keras (LSTM)",
            runs["LSTM"],
            runs["Keras"],
            "seconds",
            at_most=1.0,
        ),
        ratio_row(
            "times as fast as Keras's LSTM, ours (Conv1d)",
            runs["Conv1d"],
            runs["Keras"],
            "seconds",
            peer_over_ours=True,
            at_least=CONV1D_SPEED,
        ),
        ratio_row(
            "times as fast as our LSTM, ours (Conv1d)",
            runs["Conv1d"],
            runs["LSTM"],
            "seconds",
            peer_over_ours=True,
        ),
    ]
    seeds = SEEDS[:1] if context.quick else SEEDS
    for series in (*MADE, *REAL):
        of_series: dict[str, list[Result]] = {}
        for seed in seeds:
            asked: dict[str, Any] = {"series": series, "seed": seed}
            cases = {"PCA": {"case": "pca", **asked}}
            cases |= {
                name: {"case": "codes", "architecture": name, **asked} for name in OURS
            }
            for name, results in take_turns("sequences", cases, context, 1).items():
                of_series.setdefault(name, []).extend(results)
        runs |= {f"{series} {name}": results for name, results in of_series.items()}
        rows += _rows(series, of_series)
    return rows, runs


def _rows(series: str, runs: dict[str, list[Result]]) -> list[Row]:
    measured = {name: median_of(runs[name], "mse") for name in OURS}
    known = {name: mse for name, mse in measured.items() if mse is not None}
    best = min(known, key=lambda name: known[name]) if known else OURS[0]
    # Values that are jointly normal leave little to gain.
    bound = {} if series == "AR(2)" else {"at_most": SHARE_OF_PCA}
    rows = [
        ratio_row(
            f"{series}: held-out error, best of ours ({best}) / PCA",
            runs[best],
            runs["PCA"],
            "mse",
            unit="mse",
            **bound,
        ),
        ratio_row(
            f"{series}: held-out error, recurrent / dense",
            runs["recurrent"],
            runs["dense"],
            "mse",
            unit="mse",
            at_most=SHARE_OF_DENSE,
        ),
    ]
    rows += [
        ratio_row(
            f"{series}: held-out error, {name} / PCA",
            runs[name],
            runs["PCA"],
            "mse",
            unit="mse",
        )
        for name in OURS
    ]
    return rows


if __name__ == "__main__":
    worker_main(CASES)
