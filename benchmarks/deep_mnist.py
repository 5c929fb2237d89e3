"""The "deep" network on MNIST: how good, how fast, against Keras on the same net.

784-512-128-10-128-512-784, elu, linear code, sigmoid out, squared error. Keras:
Adam, batches of 1024, 10 epochs, which takes T seconds. Asked of ours: its test
error in T/8, and 0.0125 in T.
"""

from __future__ import annotations

import importlib
from typing import Any

from ._data import load_mnist
from ._peers import (
    DEEP_SIZES,
    keras_deep,
    keras_fit,
    mean_squared_error,
    n_parameters,
    pca,
    torch_dense,
    torch_fit,
)
from ._report import Row, figure_row, ratio_row
from ._runner import Case, Context, Result, take_turns, timed, worker_main

TITLE = "The deep network on MNIST, code size 10, against Keras"

# Ours: what a user would set to be as good as Keras sooner, and better in the same
# time. Everything else is the default.
FAST: dict[str, Any] = {"max_epochs": 1, "batch_size": 256, "lr": 6e-3}
GOOD: dict[str, Any] = {"max_epochs": 7, "batch_size": 128, "lr": 4e-3}

FAST_MSE = 0.0185
FAST_SHARE_OF_TIME = 1 / 8
GOOD_MSE = 0.0125
KERAS_EPOCHS = 10
KERAS_BATCH_SIZE = 1024
ROUNDS = 3


def ours(
    cache_dir: str, quick: bool, settings: dict[str, Any], cold: bool = False
) -> Result:
    """Fit ours; seconds of `fit` and the test error of `predict`.

    A process's first optimizer of torch imports ``torch._dynamo``, which takes about
    a second. Imports are not counted, for no contestant; `cold` counts this one.
    """
    if not cold:
        importlib.import_module("torch._dynamo")
    from skautoencoder import AutoencoderTransformer
    from skautoencoder.architectures import Dense

    x_train, x_test = load_mnist(cache_dir, 6000 if quick else None)
    estimator = AutoencoderTransformer(
        10,
        architecture=Dense(
            hidden_layer_sizes=DEEP_SIZES,
            activation="elu",
            output_activation="sigmoid",
        ),
        random_state=0,
        **settings,
    )
    seconds, _ = timed(lambda: estimator.fit(x_train))
    return {
        "seconds": seconds,
        "mse": mean_squared_error(x_test, estimator.predict(x_test)),
        "parameters": n_parameters(estimator.net_.module_),
    }


def keras(cache_dir: str, quick: bool) -> Result:
    """Fit Keras's network."""
    x_train, x_test = load_mnist(cache_dir, 6000 if quick else None)
    return keras_fit(
        keras_deep(),
        x_train,
        x_test,
        epochs=KERAS_EPOCHS,
        batch_size=KERAS_BATCH_SIZE,
    )


def bare_torch(cache_dir: str, quick: bool) -> Result:
    """The same training as Keras's in a bare loop."""
    import torch
    import torch._dynamo

    x_train, x_test = load_mnist(cache_dir, 6000 if quick else None)
    torch.manual_seed(0)
    network = torch_dense((784, *DEEP_SIZES, 10), "elu", "sigmoid")
    seconds, _ = timed(
        lambda: torch_fit(
            network, x_train, epochs=KERAS_EPOCHS, batch_size=KERAS_BATCH_SIZE
        )
    )
    with torch.inference_mode():
        reconstruction = network(torch.from_numpy(x_test)).numpy()
    return {
        "seconds": seconds,
        "mse": mean_squared_error(x_test, reconstruction),
        "parameters": n_parameters(network),
    }


def pca_10(cache_dir: str, quick: bool) -> Result:
    """The linear code of the same size."""
    x_train, x_test = load_mnist(cache_dir, 6000 if quick else None)
    return pca(x_train, x_test, 10)


CASES: dict[str, Case] = {
    "ours": ours,
    "keras": keras,
    "bare_torch": bare_torch,
    "pca": pca_10,
}


def run(context: Context) -> tuple[list[Row], dict[str, list[Result]]]:
    """Measure, and make the rows of the table."""
    runs = take_turns(
        "deep_mnist",
        {
            "keras": {},
            "fast": {"case": "ours", "settings": FAST},
            "good": {"case": "ours", "settings": GOOD},
            "cold": {"case": "ours", "settings": FAST, "cold": True},
        },
        context,
        context.rounds(ROUNDS),
    )
    runs |= take_turns("deep_mnist", {"bare_torch": {}, "pca": {}}, context, 1)
    note = f"ours, fast: {_words(FAST)}; ours, good: {_words(GOOD)}."
    rows = [
        ratio_row(
            "time, ours (fast) / Keras",
            runs["fast"],
            runs["keras"],
            "seconds",
            at_most=FAST_SHARE_OF_TIME,
            note=note,
        ),
        ratio_row(
            "time, ours (fast, with torch's lazy imports) / Keras",
            runs["cold"],
            runs["keras"],
            "seconds",
        ),
        figure_row(
            "test mse, ours (fast)",
            runs["fast"],
            "mse",
            unit="mse",
            peer=_keras_mse(runs),
            at_most=FAST_MSE,
        ),
        ratio_row(
            "time, ours (good) / Keras",
            runs["good"],
            runs["keras"],
            "seconds",
            at_most=1.0,
        ),
        figure_row(
            "test mse, ours (good)",
            runs["good"],
            "mse",
            unit="mse",
            peer=_keras_mse(runs),
            at_most=GOOD_MSE,
        ),
        ratio_row(
            "time, ours (fast) / bare torch loop (10 epochs, batch 1024)",
            runs["fast"],
            runs["bare_torch"],
            "seconds",
        ),
        ratio_row(
            "test mse, ours (good) / bare torch loop",
            runs["good"],
            runs["bare_torch"],
            "mse",
            unit="mse",
        ),
        ratio_row(
            "test mse, ours (good) / PCA(10)",
            runs["good"],
            runs["pca"],
            "mse",
            unit="mse",
        ),
    ]
    return rows, runs


def _words(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in settings.items())


def _keras_mse(runs: dict[str, list[Result]]) -> str:
    row = figure_row("", runs["keras"], "mse", unit="mse")
    return f"Keras {row.ours}"


if __name__ == "__main__":
    worker_main(CASES)
