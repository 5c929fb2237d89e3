"""No reference network collapses: from every seed it beats one principal component.

Autoencoders fall into a constant output (a black image, the mean image) when
initialisation, output bias, learning rate and loss do not fit each other. Every
network below is one constructor call, trained for a few epochs on few rows from
each of ten seeds; its test error must be below that of PCA with one component.
Keras's version of the "conv" network is run on the same rows for comparison.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._data import Array, load_mnist
from ._peers import keras_conv, keras_fit, mean_squared_error, pca
from ._report import Row
from ._runner import Case, Context, Result, run_case, state_of, timed, worker_main

TITLE = "Reference networks from ten seeds: test mse against PCA(1)"

N_SEEDS = 10
N_SEEDS_KERAS = 3
N_TRAIN, N_TEST = 1000, 1000
EPOCHS = 10
# The wide network takes a few seconds an epoch.
EPOCHS_OF = {"conv, wide": 3, "residual": 5}

IMAGE = (28, 28)


def networks() -> dict[str, Any]:
    """The reference networks: name -> a function of no arguments."""
    from skautoencoder import AutoencoderTransformer as Flat
    from skautoencoder import ConvAutoencoderTransformer as Image
    from skautoencoder.architectures import Conv, Dense

    def sigmoid(*hidden: int, **options: Any) -> Dense:
        options = {"activation": "relu", "code_activation": "relu", **options}
        return Dense(hidden_layer_sizes=hidden, output_activation="sigmoid", **options)

    # The networks as they are usually written, whatever our defaults are.
    plain = {"activation": "relu", "batch_norm": False}
    pooled = {"downsampling": "max_pool", "upsampling": "nearest", **plain}
    small = {"sample_shape": IMAGE, "channels": (16, 8, 8), **pooled}
    wide = Conv(channels=(64, 128, 256), n_downsamplings=2, **pooled)
    return {
        "vanilla": lambda: Flat(64, architecture=sigmoid()),
        "multilayer": lambda: Flat(64, architecture=sigmoid(128)),
        "stacked, small": lambda: Flat(2, architecture=Dense((4, 3))),
        "stacked, small, relu": lambda: Flat(
            2, architecture=Dense((4, 3), activation="relu")
        ),
        "linear with batch norm": lambda: Flat(
            32, architecture=sigmoid(code_batch_norm=True)
        ),
        "deep": lambda: Flat(
            10, architecture=sigmoid(512, 128, activation="elu", code_activation="auto")
        ),
        "sparse": lambda: Flat(
            64, architecture=sigmoid(), sparsity="l1", sparsity_weight=1e-4
        ),
        "conv, mse": lambda: Image(None, loss="mse", **small),
        "conv, l1": lambda: Image(None, loss="l1", **small),
        "conv, bce": lambda: Image(None, loss="bce", **small),
        "conv, transposed": lambda: Image(None, **{**small, "upsampling": "transpose"}),
        "conv, strided": lambda: Image(None, **{**small, "downsampling": "stride"}),
        "conv, wide": lambda: Flat(None, architecture=wide, sample_shape=IMAGE),
        "residual": lambda: Image(
            32, sample_shape=IMAGE, channels=(16, 32, 64), residual=True
        ),
    }


def _rows(cache_dir: str, name: str) -> tuple[Array, Array]:
    """Training and test rows for a network: five features, or MNIST's images."""
    if not name.startswith("stacked"):
        return load_mnist(cache_dir, N_TRAIN, N_TEST)
    from sklearn.datasets import load_wine
    from sklearn.preprocessing import StandardScaler

    x = StandardScaler().fit_transform(load_wine().data[:, [0, 5, 6, 9, 12]])
    x = np.random.default_rng(0).permutation(x).astype(np.float32)
    return x[:130], x[130:]


def ours(cache_dir: str, quick: bool, name: str, n_seeds: int) -> Result:
    """Test errors of one network from each seed."""
    x_train, x_test = _rows(cache_dir, name)
    make = networks()[name]
    errors, seconds = [], 0.0
    epochs = EPOCHS_OF.get(name, EPOCHS)
    for seed in range(n_seeds):
        estimator = make().set_params(random_state=seed)
        # A table of 130 rows needs the estimator's own number of epochs.
        if not name.startswith("stacked"):
            estimator.set_params(max_epochs=epochs)
        seconds += timed(lambda estimator=estimator: estimator.fit(x_train))[0]
        errors.append(mean_squared_error(x_test, estimator.predict(x_test)))
    linear = pca(x_train, x_test, 1)["mse"]
    return {"errors": errors, "pca": linear, "seconds": seconds}


def keras(cache_dir: str, quick: bool, name: str, n_seeds: int) -> Result:
    """Test errors of Keras's "conv" network with squared error, as usually written."""
    x_train, x_test = _rows(cache_dir, name)
    images = x_train.reshape(-1, *IMAGE, 1), x_test.reshape(-1, *IMAGE, 1)
    errors, seconds = [], 0.0
    for seed in range(n_seeds):
        model = keras_conv((16, 8, 8), "mse", seed=seed)
        result = keras_fit(model, *images, epochs=EPOCHS, batch_size=32)
        seconds += float(result["seconds"])
        errors.append(float(result["mse"]))
    linear = pca(x_train, x_test, 1)["mse"]
    return {"errors": errors, "pca": linear, "seconds": seconds}


CASES: dict[str, Case] = {"ours": ours, "keras": keras}
# Written out, so that the table has its rows where ours cannot be imported.
NAMES = (
    "vanilla",
    "multilayer",
    "stacked, small",
    "stacked, small, relu",
    "linear with batch norm",
    "deep",
    "sparse",
    "conv, mse",
    "conv, l1",
    "conv, bce",
    "conv, transposed",
    "conv, strided",
    "conv, wide",
    "residual",
)


def _row(what: str, result: Result, asked: float | None) -> Row:
    """Worst error over PCA's, with the range of the errors."""
    state = state_of([result])
    if state is not None:
        return Row(what, None, ours=state, at_most=asked)
    errors, linear = result["errors"], result["pca"]
    ranged = f"mse {min(errors):.4g}–{max(errors):.4g} (seeds: {len(errors)})"
    return Row(
        what,
        max(errors) / linear,
        ours=ranged,
        peer=f"PCA(1) {linear:.4g}",
        at_most=asked,
    )


def run(context: Context) -> tuple[list[Row], dict[str, list[Result]]]:
    """Measure, and make the rows of the table."""
    n_seeds = 2 if context.quick else N_SEEDS
    rows, runs = [], {}
    for name in NAMES:
        result = run_case("collapse", "ours", context, name=name, n_seeds=n_seeds)
        runs[name] = [result]
        rows.append(_row(f"worst seed of {name} / PCA(1)", result, 1.0))
    n_seeds = 1 if context.quick else N_SEEDS_KERAS
    result = run_case("collapse", "keras", context, name="conv, mse", n_seeds=n_seeds)
    runs["Keras conv, mse"] = [result]
    rows.append(_row("worst seed of Keras's conv, mse / PCA(1)", result, None))
    return rows, runs


if __name__ == "__main__":
    worker_main(CASES)
