"""What is stored of a fitted estimator, and what comes back."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
from typing import Any

import pytest
from helpers import (
    ROWS,
    assert_same_answers,
    assert_same_weights,
    tiny_conv,
    tiny_dense,
    weights_of,
)

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
    denoiser = DenoisingAutoencoder(
        noise=lambda rows: rows * 0.9, architecture=Dense((4,)), max_epochs=1
    ).fit(X)
    other = copy.deepcopy(denoiser)
    assert_same_answers(other, denoiser, X)
    weights = copy.deepcopy(weights_of(denoiser))
    other.partial_fit(X)
    assert (other.n_iter_, denoiser.n_iter_) == (2, 1)
    assert all((weights_of(denoiser)[name] == w).all() for name, w in weights.items())
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dump(denoiser, io.BytesIO())


MAPPED = """
import sys, tempfile, pathlib
import joblib, numpy as np, torch
from skautoencoder import *
from skautoencoder.architectures import Dense

torch.set_warn_always(True)
rng = np.random.RandomState(0)
table, images = rng.randn(40, 4), rng.rand(40, 6, 6)
holes = np.where(rng.rand(40, 4) < 0.2, np.nan, table)
how = {"max_epochs": 1, "random_state": 0}
dense = Dense((4,))
fits = [
    (AutoencoderTransformer(2, architecture=dense, **how), table),
    (ConvAutoencoderTransformer(2, channels=(2,), **how), images),
    (DenoisingAutoencoder(architecture=dense, **how), table),
    (AutoencoderOutlierDetector(architecture=dense, **how), table),
    (AutoencoderOutlierDetector(novelty=True, architecture=dense, **how), images),
    (AutoencoderImputer(architecture=dense, **how), holes),
    (VAESampler(2, architecture=dense, random_state=0, max_epochs=60), table),
]
names = "transform predict score_samples decision_function explain score".split()
with tempfile.TemporaryDirectory() as folder:
    for i, (estimator, X) in enumerate(fits):
        path = pathlib.Path(folder, str(i))
        joblib.dump(estimator.fit(X), path)
        loaded = joblib.load(path, mmap_mode="r")
        for name in filter(lambda name: hasattr(estimator, name), names):
            ours, theirs = (getattr(e, name)(X) for e in (estimator, loaded))
            np.testing.assert_array_equal(ours, theirs, err_msg=name)
        if hasattr(estimator, "partial_fit"):
            loaded.partial_fit(X)
            loaded = joblib.load(path, mmap_mode="r")
        loaded.set_params(warm_start=True).fit(X)
        loaded.set_params(warm_start=False).fit(X)
        for ours, theirs in zip(
            *(e.net_.module_.state_dict().values() for e in (estimator, loaded))
        ):
            assert torch.equal(ours, theirs)
        del loaded
"""


def test_arrays_mapped_from_a_file_are_only_read() -> None:
    """In a process of its own: torch warns of them once in each."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", MAPPED],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
