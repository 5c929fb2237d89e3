"""The peers, written as their own users write them.

Nothing here sets threads, precision or memory format for a peer, except for the
bare torch loop on one thread, which is what the target names. Imports are inside
the functions: a peer that is not installed must not stop the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from ._data import Array
from ._runner import Result, timed

DEEP_SIZES = (512, 128)


# --------------------------------------------------------------------------- Keras


def keras_deep(n_features: int = 784, code_size: int = 10) -> Any:
    """The "deep" network: 784-512-128-10-128-512-784, elu, sigmoid out, mse, Adam."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((n_features,)),
            *(layers.Dense(size, activation="elu") for size in DEEP_SIZES),
            layers.Dense(code_size),
            *(layers.Dense(size, activation="elu") for size in reversed(DEEP_SIZES)),
            layers.Dense(n_features, activation="sigmoid"),
        ]
    )
    model.compile(optimizer="adam", loss="mse")
    return model


def keras_conv(
    channels: tuple[int, ...],
    loss: str,
    *,
    sample_shape: tuple[int, int] = (28, 28),
    seed: int = 0,
) -> Any:
    """A pooling convolutional network: relu, sigmoid out, Adam, spatial code.

    Each stage down is a 3x3 convolution and a 2x2 max-pooling (rounded up, so that
    28 -> 14 -> 7 -> 4); each stage up a 3x3 convolution and a nearest upsampling.
    """
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    height = sample_shape[0]
    inputs = keras.Input((*sample_shape, 1))
    hidden, heights = inputs, []
    for n_channels in channels:
        heights.append(height)
        hidden = layers.Conv2D(n_channels, 3, padding="same", activation="relu")(hidden)
        hidden = layers.MaxPooling2D(2, padding="same")(hidden)
        height = (height + 1) // 2
    for n_channels, wanted in zip(reversed(channels), reversed(heights), strict=True):
        hidden = layers.Conv2D(n_channels, 3, padding="same", activation="relu")(hidden)
        hidden = layers.UpSampling2D(2)(hidden)
        height *= 2
        if height > wanted:
            hidden = layers.Cropping2D(((0, height - wanted), (0, height - wanted)))(
                hidden
            )
            height = wanted
    outputs = layers.Conv2D(1, 3, padding="same", activation="sigmoid")(hidden)
    model = keras.Model(inputs, outputs)
    model.compile(optimizer="adam", loss=loss)
    return model


def keras_fit(
    model: Any,
    x_train: Array,
    x_test: Array,
    *,
    epochs: int,
    batch_size: int,
    shown: tuple[Array, Array] | None = None,
) -> Result:
    """Fit a Keras model to reproduce its input; times of the fit and its epochs.

    What the model is shown in training and in the test is `x_train` and `x_test`,
    unless `shown` has others.
    """
    import keras

    class EpochTimes(keras.callbacks.Callback):
        """Wall time of every epoch."""

        def __init__(self) -> None:
            super().__init__()
            self.seconds: list[float] = []

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.started = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.seconds.append(time.perf_counter() - self.started)

    times = EpochTimes()
    shown_train, shown_test = shown or (x_train, x_test)
    seconds, _ = timed(
        lambda: model.fit(
            shown_train,
            x_train,
            batch_size=batch_size,
            epochs=epochs,
            verbose=0,
            callbacks=[times],
        )
    )
    reconstruction = model.predict(shown_test, batch_size=batch_size, verbose=0)
    return {
        "seconds": seconds,
        "epoch_seconds": times.seconds,
        "first_epoch": times.seconds[0],
        "last_epoch": times.seconds[-1],
        "mse": mean_squared_error(x_test, reconstruction),
        "parameters": int(model.count_params()),
    }


# --------------------------------------------------------------------------- torch


def torch_dense(
    sizes: tuple[int, ...], activation: str = "relu", output: str = "identity"
) -> Any:
    """A mirrored dense network over `sizes` = input, hidden ..., code; linear code."""
    from torch import nn

    activations = {"relu": nn.ReLU, "elu": nn.ELU}
    n_encoder = len(sizes) - 1
    sizes = (*sizes, *sizes[-2::-1])
    layers: list[Any] = []
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        layers.append(nn.Linear(n_in, n_out))
        if i + 1 not in (n_encoder, len(sizes) - 1):
            layers.append(activations[activation]())
    if output == "sigmoid":
        layers.append(nn.Sigmoid())
    return nn.Sequential(*layers)


def torch_conv(channels: tuple[int, ...]) -> Any:
    """The network of `keras_conv`, for heights and widths that halve evenly."""
    from torch import nn

    layers: list[Any] = []
    n_in = 1
    for n_out in channels:
        layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        n_in = n_out
    for n_out in reversed(channels):
        layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU()]
        layers += [nn.Upsample(scale_factor=2)]
        n_in = n_out
    return nn.Sequential(*layers, nn.Conv2d(n_in, 1, 3, padding=1), nn.Sigmoid())


def torch_fit(
    network: Any,
    x_train: Array,
    *,
    epochs: int,
    batch_size: int,
    loss: str = "mse",
    lr: float = 1e-3,
) -> list[float]:
    """The bare loop: permuted slices, fused Adam; the seconds of every epoch."""
    import torch
    from torch.nn import functional

    compare = {"mse": functional.mse_loss, "bce": functional.binary_cross_entropy}[loss]
    data = torch.from_numpy(x_train)
    optimizer = torch.optim.Adam(network.parameters(), lr=lr, fused=True)
    seconds = []
    for _ in range(epochs):
        started = time.perf_counter()
        order = torch.randperm(len(data))
        for start in range(0, len(data), batch_size):
            batch = data[order[start : start + batch_size]]
            optimizer.zero_grad()
            compare(network(batch), batch).backward()
            optimizer.step()
        seconds.append(time.perf_counter() - started)
    return seconds


def n_parameters(network: Any) -> int:
    """Number of trainable numbers of a torch module."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


# ------------------------------------------------------------------- skorch, PyOD


def skorch_fit(
    network: Any, x_train: Array, *, epochs: int, batch_size: int
) -> tuple[float, Any]:
    """Plain skorch with its own data loader; wall seconds and the fitted net."""
    import torch
    from skorch import NeuralNetRegressor

    net = NeuralNetRegressor(
        network,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        max_epochs=epochs,
        batch_size=batch_size,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )
    return timed(lambda: net.fit(x_train, x_train))


def pyod_fit(
    x_train: Array, hidden: list[int], *, epochs: int, batch_size: int, **network: Any
) -> Result:
    """PyOD's AutoEncoder; its `fit` also scores the training rows.

    ``training`` is the time of its training loop alone.
    """
    from pyod.models.auto_encoder import AutoEncoder

    class TimedAutoEncoder(AutoEncoder):
        """PyOD's detector with a clock around its training loop."""

        def train(self, train_loader: Any) -> None:
            train: Callable[[Any], None] = super().train
            self.training_seconds, _ = timed(lambda: train(train_loader))

    detector = TimedAutoEncoder(
        epoch_num=epochs,
        batch_size=batch_size,
        hidden_neuron_list=hidden,
        verbose=0,
        **network,
    )
    seconds, _ = timed(lambda: detector.fit(x_train))
    return {
        "seconds": seconds,
        "training": detector.training_seconds,
        "parameters": n_parameters(detector.model),
    }


# ----------------------------------------------------------------------------- PCA


def pca(x_train: Array, x_test: Array, code_size: int) -> Result:
    """Seconds of PCA's fit and the squared error per feature of its test rows."""
    from sklearn.decomposition import PCA

    model = PCA(code_size, random_state=0)
    seconds, _ = timed(lambda: model.fit(x_train))
    reconstruction = model.inverse_transform(model.transform(x_test))
    return {"seconds": seconds, "mse": mean_squared_error(x_test, reconstruction)}


def mean_squared_error(x: Array, reconstruction: Any) -> float:
    """Squared error per feature, accumulated in float64."""
    difference = np.asarray(reconstruction).reshape(len(x), -1) - x.reshape(len(x), -1)
    return float(np.square(difference, dtype=np.float64).mean())
