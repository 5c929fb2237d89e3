"""An epoch of the "denoising" network on MNIST, reconstruction only, against Keras.

conv 32 - pool - conv 32 - pool - conv 32 - up - conv 32 - up - conv 1, 3x3, relu,
sigmoid out, binary cross-entropy, batches of 256, 60 000 images. The second of two
epochs is compared: the first holds Keras's tracing and compilation and torch's
warm-up, and is shown beside it.
"""

from __future__ import annotations

from ._data import load_mnist
from ._peers import (
    keras_conv,
    keras_fit,
    mean_squared_error,
    n_parameters,
    torch_conv,
    torch_fit,
)
from ._report import Row, ratio_row
from ._runner import Case, Context, Result, take_turns, timed, worker_main

TITLE = "An epoch of the denoising network (reconstruction only) against Keras"

CHANNELS = (32, 32)
BATCH_SIZE = 256
EPOCHS = 2
ASKED = 1 / 1.6
ROUNDS = 3


def ours(cache_dir: str, quick: bool) -> Result:
    """Two epochs of ours, timed by its own history."""
    from skautoencoder import ConvAutoencoderTransformer

    x_train, x_test = load_mnist(cache_dir, 6000 if quick else None, 2000)
    estimator = ConvAutoencoderTransformer(
        code_size=None,
        sample_shape=(28, 28),
        channels=CHANNELS,
        downsampling="max_pool",
        upsampling="nearest",
        batch_norm=False,
        loss="bce",
        batch_size=BATCH_SIZE,
        max_epochs=EPOCHS,
        random_state=0,
    )
    seconds, _ = timed(lambda: estimator.fit(x_train))
    durations = [float(row["dur"]) for row in estimator.history_]
    return {
        "seconds": seconds,
        "epoch_seconds": durations,
        "first_epoch": durations[0],
        "last_epoch": durations[-1],
        "mse": mean_squared_error(x_test, estimator.predict(x_test)),
        "parameters": n_parameters(estimator.net_.module_),
    }


def keras(cache_dir: str, quick: bool) -> Result:
    """Two epochs of Keras."""
    x_train, x_test = load_mnist(cache_dir, 6000 if quick else None, 2000)
    return keras_fit(
        keras_conv(CHANNELS, "binary_crossentropy"),
        x_train.reshape(-1, 28, 28, 1),
        x_test.reshape(-1, 28, 28, 1),
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
    )


def bare_torch(cache_dir: str, quick: bool) -> Result:
    """One epoch of a bare torch loop, in torch's default memory format."""
    import torch

    x_train, _ = load_mnist(cache_dir, 6000 if quick else None, 1)
    torch.manual_seed(0)
    network = torch_conv(CHANNELS)
    images = x_train.reshape(-1, 1, 28, 28)
    durations = torch_fit(network, images, epochs=1, batch_size=BATCH_SIZE, loss="bce")
    return {"last_epoch": durations[-1], "parameters": n_parameters(network)}


CASES: dict[str, Case] = {"ours": ours, "keras": keras, "bare_torch": bare_torch}


def run(context: Context) -> tuple[list[Row], dict[str, list[Result]]]:
    """Measure, and make the rows of the table."""
    runs = take_turns(
        "denoise_conv", {"keras": {}, "ours": {}}, context, context.rounds(ROUNDS)
    )
    runs |= take_turns("denoise_conv", {"bare_torch": {}}, context, 1)
    our_runs = runs["ours"]
    rows = [
        ratio_row(
            "second epoch, ours / Keras",
            our_runs,
            runs["keras"],
            "last_epoch",
            at_most=ASKED,
            note="The second epoch is compared; the first holds tracing and warm-up.",
        ),
        ratio_row("first epoch, ours / Keras", our_runs, runs["keras"], "first_epoch"),
        ratio_row("whole fit, ours / Keras", our_runs, runs["keras"], "seconds"),
        ratio_row(
            "second epoch, ours / bare torch loop",
            our_runs,
            runs["bare_torch"],
            "last_epoch",
        ),
        ratio_row(
            "test mse after 2 epochs, ours / Keras",
            our_runs,
            runs["keras"],
            "mse",
            unit="mse",
        ),
    ]
    return rows, runs


if __name__ == "__main__":
    worker_main(CASES)
