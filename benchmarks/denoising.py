"""Noise taken out of MNIST against Keras, and out of digits against projections.

MNIST: x + 0.5·N(0, 1), clipped to [0, 1]. The "denoising" network (conv 32 - pool -
conv 32 - pool - conv 32 - up - conv 32 - up - conv 1, relu, sigmoid out) is trained by
Keras for 3 epochs in batches of 256 with binary cross-entropy, as its users do; ours
may take as long. Asked: 19.5 dB there, and 20.5 dB with the default convolutional
network in 5 minutes on 2 cores.

Digits: the denoisers of scikit-learn's example on image denoising, PCA and kernel
PCA with its parameters, fitted on noisy images as there and on clean ones, whichever
is better. Asked: a lower error for each kind of noise.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ._data import Array, load_mnist
from ._peers import keras_conv, keras_fit, mean_squared_error, n_parameters
from ._report import Row, figure_row, ratio_row
from ._runner import Case, Context, Result, run_case, take_turns, timed, worker_main

TITLE = "Denoising against Keras, PCA and kernel PCA"

CHANNELS = (32, 32)
LEVEL = 0.5
KERAS_EPOCHS = 3
SAME_NETWORK_PSNR = 19.5
DEFAULT_PSNR = 20.5
DEFAULT_SECONDS = 300.0
# How ours trains the same network: small batches, as many epochs as there is time for.
SETTINGS: dict[str, Any] = {"batch_size": 40, "lr": 5e-3, "max_epochs": 4}
# Of the default network: as many epochs as five minutes hold.
DEFAULT_SETTINGS: dict[str, Any] = {"batch_size": 128, "lr": 1e-2, "max_epochs": 18}
DIGITS_NOISES = {"gaussian": 0.3, "masking": 0.3, "salt_and_pepper": 0.2}
ROUNDS = 1


def with_noise(clean: Array, noise: str, level: float, seed: int) -> Array:
    """Noisy copies of images in [0, 1], made without the package."""
    rng = np.random.default_rng(seed)
    if noise == "gaussian":
        added = rng.standard_normal(clean.shape, dtype=np.float32) * level
        return np.clip(clean + added, 0, 1).astype(clean.dtype)
    chosen = rng.uniform(size=clean.shape) < level
    value = 0.0 if noise == "masking" else rng.integers(0, 2, clean.shape)
    return np.where(chosen, value, clean).astype(clean.dtype)


def psnr(mse: float) -> float:
    """Peak signal-to-noise ratio, in decibels, of images in [0, 1]."""
    return -10 * math.log10(mse)


def _noisy_mnist(cache_dir: str, quick: bool) -> tuple[Array, Array, Array]:
    """Clean training images, noisy test images, clean test images."""
    sizes = (6000, 1000) if quick else (None, None)
    x_train, x_test = load_mnist(cache_dir, *sizes)
    return x_train, with_noise(x_test, "gaussian", LEVEL, 1), x_test


def _fit_ours(model: Any, cache_dir: str, quick: bool) -> Result:
    x_train, noisy, x_test = _noisy_mnist(cache_dir, quick)
    if quick:
        model.set_params(max_epochs=1)
    seconds, _ = timed(lambda: model.fit(x_train))
    return {
        "seconds": seconds,
        "psnr": psnr(mean_squared_error(x_test, model.predict(noisy))),
        "noisy_psnr": psnr(mean_squared_error(x_test, noisy)),
        "epochs": int(model.n_iter_),
        "parameters": n_parameters(model.net_.module_),
    }


def ours(cache_dir: str, quick: bool) -> Result:
    """Keras's network, trained by ours."""
    from skautoencoder import DenoisingAutoencoder
    from skautoencoder.architectures import Conv

    model = DenoisingAutoencoder(
        noise_level=LEVEL,
        sample_shape=(28, 28),
        architecture=Conv(
            CHANNELS,
            downsampling="max_pool",
            upsampling="nearest",
            activation="relu",
            batch_norm=False,
        ),
        random_state=0,
        **SETTINGS,
    )
    return _fit_ours(model, cache_dir, quick)


def ours_default(cache_dir: str, quick: bool) -> Result:
    """The default convolutional network."""
    from skautoencoder import DenoisingAutoencoder

    model = DenoisingAutoencoder(
        noise_level=LEVEL,
        sample_shape=(28, 28),
        random_state=0,
        **DEFAULT_SETTINGS,
    )
    return _fit_ours(model, cache_dir, quick)


def keras(cache_dir: str, quick: bool) -> Result:
    """Keras on one noisy copy of the training images."""
    x_train, noisy, x_test = _noisy_mnist(cache_dir, quick)
    noisy_train = with_noise(x_train, "gaussian", LEVEL, 2)
    shape = (-1, 28, 28, 1)
    result = keras_fit(
        keras_conv(CHANNELS, "binary_crossentropy"),
        x_train.reshape(shape),
        x_test.reshape(shape),
        epochs=1 if quick else KERAS_EPOCHS,
        batch_size=256,
        shown=(noisy_train.reshape(shape), noisy.reshape(shape)),
    )
    return {**result, "psnr": psnr(float(result["mse"]))}


def digits(cache_dir: str, quick: bool, noise: str) -> Result:
    """Ours and scikit-learn's on the digits of 8x8 pixels; errors on unseen ones."""
    from sklearn.datasets import load_digits
    from sklearn.decomposition import PCA, KernelPCA

    from skautoencoder import DenoisingAutoencoder

    images = (load_digits().images / 16).astype(np.float32)
    train, test = images[:1300], images[1300:]
    level = DIGITS_NOISES[noise]
    noisy_train, noisy = (
        with_noise(part, noise, level, seed) for seed, part in enumerate((train, test))
    )
    model = DenoisingAutoencoder(noise, noise_level=level, random_state=0)
    if quick:
        model.set_params(max_epochs=3)
    seconds, _ = timed(lambda: model.fit(train))
    result = {
        "seconds": seconds,
        "noisy": mean_squared_error(test, noisy),
        "mse": mean_squared_error(test, model.predict(noisy)),
    }
    projections = {
        "pca": PCA(n_components=32, random_state=0),
        "kernel_pca": KernelPCA(
            n_components=400,
            kernel="rbf",
            gamma=1e-3,
            fit_inverse_transform=True,
            alpha=5e-3,
            random_state=0,
        ),
    }
    for name, pca in projections.items():
        errors = []
        for shown in (noisy_train, train):
            pca.fit(shown.reshape(len(shown), -1))
            codes = pca.transform(noisy.reshape(len(noisy), -1))
            errors.append(mean_squared_error(test, pca.inverse_transform(codes)))
        result[name] = min(errors)
    return result


CASES: dict[str, Case] = {
    "ours": ours,
    "ours_default": ours_default,
    "keras": keras,
    "digits": digits,
}


def run(context: Context) -> tuple[list[Row], dict[str, list[Result]]]:
    """Measure, and make the rows of the table."""
    runs = take_turns(
        "denoising", {"keras": {}, "ours": {}}, context, context.rounds(ROUNDS)
    )
    runs |= take_turns("denoising", {"ours_default": {}}, context, 1)
    settings = ", ".join(f"{name}={value}" for name, value in SETTINGS.items())
    rows = [
        ratio_row(
            "seconds, ours / Keras, same network",
            runs["ours"],
            runs["keras"],
            "seconds",
            at_most=1.0,
            note=f"Keras: {KERAS_EPOCHS} epochs. Ours: {settings}.",
        ),
        figure_row(
            "PSNR on noisy test images, same network",
            runs["ours"],
            "psnr",
            unit="dB",
            peer=figure_row("", runs["keras"], "psnr", unit="dB").ours,
            at_least=SAME_NETWORK_PSNR,
            note="Noisy images: "
            + figure_row("", runs["ours"], "noisy_psnr", unit="dB").ours,
        ),
        figure_row(
            "PSNR, the default convolutional network",
            runs["ours_default"],
            "psnr",
            unit="dB",
            at_least=DEFAULT_PSNR,
            note=f"Ours: {', '.join(f'{k}={v}' for k, v in DEFAULT_SETTINGS.items())}.",
        ),
        figure_row(
            "seconds of that fit",
            runs["ours_default"],
            "seconds",
            unit="s",
            at_most=DEFAULT_SECONDS,
        ),
    ]
    for noise in DIGITS_NOISES:
        found = [run_case("denoising", "digits", context, noise=noise)]
        runs[f"digits {noise}"] = found
        for peer, name in {"pca": "PCA", "kernel_pca": "kernel PCA"}.items():
            renamed = [{**r, "mse": r.get(peer)} for r in found]
            rows.append(
                ratio_row(
                    f"mse on digits, {noise.replace('_', ' ')}, ours / {name}",
                    found,
                    renamed,
                    "mse",
                    unit="mse",
                    at_most=1.0,
                    note="Noisy: " + figure_row("", found, "noisy", unit="mse").ours,
                )
            )
    return rows, runs


if __name__ == "__main__":
    worker_main(CASES)
