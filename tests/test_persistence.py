"""What is stored of a fitted estimator, and what comes back."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from helpers import (
    IMAGES,
    OF_ROWS,
    ROWS,
    assert_same_answers,
    assert_same_weights,
    noise,
    tiny_conv,
    tiny_dense,
    weights_of,
)
from sklearn.base import clone

from skautoencoder import DenoisingAutoencoder
from skautoencoder.architectures import Dense

X = ROWS[:60]


def size_of(estimator: Any) -> int:
    return len(pickle.dumps(estimator))


def size_of_weights(estimator: Any) -> int:
    return sum(w.numel() * w.element_size() for w in weights_of(estimator).values())


@pytest.mark.parametrize("optimizer", ["adam", "adagrad", "lbfgs", "sgd"])
def test_a_fit_stores_weights_and_no_more(optimizer: str) -> None:
    how = {"optimizer": optimizer, "max_epochs": 1, "lr": 0.01}
    estimator = tiny_dense(architecture=Dense((256, 128)), **how).fit(X)
    assert size_of(estimator) < 1.1 * size_of_weights(estimator) + 20_000
    # A warm start makes a new optimizer.
    estimator.set_params(warm_start=True).fit(X)
    assert size_of(estimator) < 1.1 * size_of_weights(estimator) + 20_000


def test_a_partial_fit_stores_what_the_next_goes_on_from() -> None:
    parts = [X[:30], X[30:]]
    straight = tiny_dense(architecture=Dense((256, 128))).partial_fit(X)
    assert size_of(straight) > 2.9 * size_of_weights(straight)
    stored = pickle.loads(pickle.dumps(straight))
    for part in parts:
        straight.partial_fit(part)
        stored = pickle.loads(pickle.dumps(stored.partial_fit(part)))
    assert_same_weights(straight, stored)


@pytest.mark.parametrize("make", [tiny_dense, tiny_conv])
def test_a_partial_fit_after_a_fit_is_the_same_from_a_copy(make: Any) -> None:
    estimator = make(lr=0.01).fit(X)
    copies = [copy.deepcopy(estimator), pickle.loads(pickle.dumps(estimator))]
    estimator.partial_fit(X).partial_fit(X)
    for other in copies:
        assert_same_weights(other.partial_fit(X).partial_fit(X), estimator)


def test_a_copy_of_what_cannot_be_stored() -> None:
    lock = Lock()
    denoiser = DenoisingAutoencoder(
        noise=lambda rows, lock=lock: rows * 0.9,
        architecture=Dense((4,)),
        max_epochs=1,
    ).fit(X)
    other = copy.deepcopy(denoiser)
    assert_same_answers(other, denoiser, X)
    weights = copy.deepcopy(weights_of(denoiser))
    other.partial_fit(X)
    assert (other.n_iter_, denoiser.n_iter_) == (2, 1)
    assert all((weights_of(denoiser)[name] == w).all() for name, w in weights.items())
    with pytest.raises(TypeError, match="cannot pickle .*lock"):
        pickle.dump(denoiser, io.BytesIO())


HOLES = np.where(noise(40, 4, seed=1) < -0.8, np.nan, noise(40, 4))
IN_FILES = [
    (OF_ROWS["transformer"], noise(40, 4)),
    (OF_ROWS["conv"], IMAGES[:40]),
    (OF_ROWS["denoiser"], noise(40, 4)),
    (OF_ROWS["detector"], noise(40, 4)),
    (OF_ROWS["novelty"], IMAGES[:40]),
    (OF_ROWS["imputer"], HOLES),
    (OF_ROWS["table"], noise(40, 4)),
]
METHODS = "transform predict score_samples decision_function explain score".split()


@pytest.fixture
def always_warns() -> Iterator[None]:
    """Without it torch warns once in a process of arrays that cannot be written to."""
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(False)


@pytest.mark.filterwarnings("ignore:no unit of the code:UserWarning")
@pytest.mark.parametrize(("model", "X"), IN_FILES)
def test_arrays_mapped_from_a_file_are_only_read(
    model: Any, X: Any, tmp_path: Path, always_warns: None
) -> None:
    estimator = clone(model).fit(X)
    joblib.dump(estimator, tmp_path / "model")
    loaded = joblib.load(tmp_path / "model", mmap_mode="r")
    for name in filter(lambda name: hasattr(estimator, name), METHODS):
        ours, theirs = (getattr(e, name)(X) for e in (estimator, loaded))
        np.testing.assert_array_equal(ours, theirs, err_msg=name)
    if hasattr(estimator, "partial_fit"):
        loaded.partial_fit(X)
        loaded = joblib.load(tmp_path / "model", mmap_mode="r")
    loaded.set_params(warm_start=True).fit(X)
    loaded.set_params(warm_start=False).fit(X)
    assert_same_weights(estimator, loaded)
