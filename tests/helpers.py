"""What several test modules use: small data, small estimators, exact comparisons."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from skorch.callbacks import Callback

from skautoencoder import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAESampler,
)
from skautoencoder.architectures import Dense

DIGITS = load_digits()
IMAGES = DIGITS.images / 16
ROWS = IMAGES.reshape(len(IMAGES), -1)

needs_fast = pytest.mark.skipif(
    find_spec("skautoencoder.training.fast") is None, reason="training/fast is deleted"
)


def tiny_dense(code_size: int | None = 3, **params: Any) -> AutoencoderTransformer:
    defaults = {"max_epochs": 3, "random_state": 0}
    if "architecture" not in params:
        defaults["architecture"] = Dense(hidden_layer_sizes=(12,))
    return AutoencoderTransformer(code_size, **{**defaults, **params})


def tiny_conv(code_size: int | None = 3, **params: Any) -> ConvAutoencoderTransformer:
    defaults = {"channels": (3, 4), "max_epochs": 3, "random_state": 0}
    return ConvAutoencoderTransformer(code_size, **{**defaults, **params})


BOTH = [tiny_dense, tiny_conv]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).normal(size=shape)


def weights_of(estimator: Any) -> dict[str, torch.Tensor]:
    return estimator.net_.module_.state_dict()


def assert_same_weights(one: Any, other: Any) -> None:
    mine, theirs = weights_of(one), weights_of(other)
    assert mine.keys() == theirs.keys()
    for name, weight in mine.items():
        # NumPy's has no threads, which a forked process would wait for.
        assert np.array_equal(weight.numpy(), theirs[name].numpy()), name


def have_same_weights(one: Any, other: Any) -> bool:
    mine, theirs = weights_of(one), weights_of(other)
    return all(torch.equal(weight, theirs[name]) for name, weight in mine.items())


def answers(estimator: Any, X: Any) -> list[np.ndarray]:
    """Return all that a fitted estimator says about `X`."""
    codes = estimator.transform(X)
    return [
        codes,
        estimator.inverse_transform(codes),
        estimator.predict(X),
        estimator.score_samples(X),
        np.array(estimator.score(X)),
    ]


def assert_same_answers(one: Any, other: Any, X: Any) -> None:
    for mine, theirs in zip(answers(one, X), answers(other, X), strict=True):
        np.testing.assert_array_equal(mine, theirs)


_ONE_EPOCH: dict[str, Any] = {"max_epochs": 1, "random_state": 0}
_DENSE: dict[str, Any] = {"architecture": Dense((6,)), **_ONE_EPOCH}
_SAMPLER: dict[str, Any] = {"n_importance_samples": 2, **_ONE_EPOCH}

# Estimators of flat rows, one of each way of answering.
OF_ROWS: dict[str, Any] = {
    "transformer": AutoencoderTransformer(2, **_DENSE),
    "conv": ConvAutoencoderTransformer(2, channels=(3,), **_ONE_EPOCH),
    "denoiser": DenoisingAutoencoder(code_size=2, **_DENSE),
    "detector": AutoencoderOutlierDetector(2, calibration_fraction=0.2, **_DENSE),
    "novelty": AutoencoderOutlierDetector(2, novelty=True, **_DENSE),
    "imputer": AutoencoderImputer(code_size=2, **_DENSE),
    "table": VAESampler(2, architecture=Dense((6,)), **_SAMPLER),
    "gaussian": VAESampler(
        2,
        architecture=Dense((6,)),
        likelihood="gaussian",
        prior="normal",
        **_SAMPLER,
    ),
}


class Recorder(Callback):
    """Keeps what training tells a callback, in a list that copies share."""

    def __init__(self, said: list[Any] | None = None) -> None:
        self.said = [] if said is None else said

    def __deepcopy__(self, memo: dict[int, Any]) -> Recorder:
        return type(self)(self.said)

    def named(self, name: str) -> Iterator[Any]:
        return (what for event, what in self.said if event == name)


class Targets(Recorder):
    """Keeps the targets that a network learns from."""

    def on_batch_begin(self, net: Any, batch: Any, training: Any, **kw: Any) -> None:
        if training:
            self.said.extend(batch[1].numpy().copy())


class ValidationRecorder(Recorder):
    """Keeps the rows that early stopping holds back."""

    def on_epoch_end(
        self, net: Any, dataset_train: Any, dataset_valid: Any, **kwargs: Any
    ) -> None:
        self.said.append(("train", dataset_train[:][0].clone()))
        self.said.append(("valid", dataset_valid.rows.clone()))


class Interrupts(Callback):
    """Presses Ctrl-C at the end of an epoch."""

    def __init__(self, epoch: int = 2) -> None:
        self.epoch = epoch

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        if len(net.history) >= self.epoch:
            raise KeyboardInterrupt


class unchanged:
    """Asserts that a block leaves a fitted estimator as it found it."""

    def __init__(self, estimator: Any, X: Any) -> None:
        self.estimator, self.X = estimator, X

    def __enter__(self) -> None:
        self.params = self.estimator.get_params(deep=False)
        self.attributes = vars(self.estimator).copy()
        self.answers = answers(self.estimator, self.X)
        self.weights = copy.deepcopy(weights_of(self.estimator))
        self.history = copy.deepcopy(list(self.estimator.history_))

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if kind is not None:
            return
        now = vars(self.estimator)
        assert now.keys() == self.attributes.keys()
        for name, value in self.attributes.items():
            if name not in self.params:
                assert now[name] is value, name
        assert list(self.estimator.history_) == self.history
        assert self.estimator.n_iter_ == len(self.history)
        for name, weight in weights_of(self.estimator).items():
            assert torch.equal(weight, self.weights[name]), name
        for before, after in zip(
            self.answers, answers(self.estimator, self.X), strict=True
        ):
            np.testing.assert_array_equal(before, after)


def ragged_rows(lengths: list[int], n_steps: int, n_channels: int = 1) -> np.ndarray:
    """Return normal numbers as flat rows that are NaN after these numbers of steps."""
    shape = (len(lengths), n_steps, n_channels)
    sequences = np.random.RandomState(0).normal(size=shape)
    sequences[np.arange(n_steps) >= np.array(lengths)[:, np.newaxis]] = np.nan
    return sequences.reshape(len(lengths), -1)
