"""Fits for tests that need a process of their own; run as a script.

`fits` prints a hash of what each estimator learns and answers. `forks` forks while and
after estimators are fitted, with torch's own threads started or not; `spawns` starts a
process that shares nothing with this one.
"""

from __future__ import annotations

import faulthandler
import hashlib
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import joblib
import numpy as np
import torch

from skautoencoder import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAEOverSampler,
    VAESampler,
)
from skautoencoder.architectures import Dense

RANDOM = np.random.RandomState(0)
# More numbers than torch gives to one thread.
TABLE = RANDOM.normal(size=(800, 6)) @ RANDOM.normal(size=(6, 42))
WIDE = RANDOM.normal(size=(100, 6)) @ RANDOM.normal(size=(6, 700))
CLASSES = np.repeat([0, 1], [500, 300])
IMAGES = RANDOM.uniform(size=(64, 24, 24)).astype(np.float32)
HOLES = np.where(RANDOM.uniform(size=TABLE.shape) < 0.1, np.nan, TABLE)
IMAGES_WITH_HOLES = IMAGES.copy()
IMAGES_WITH_HOLES[:, 5:9, 5:9] = np.nan

SHORT: dict[str, Any] = {"max_epochs": 1, "random_state": 0}


class OverSampling:
    """An over-sampler, with the methods of the others."""

    def fit(self, X: Any) -> OverSampling:
        sampler = VAEOverSampler(VAESampler(2, **SHORT), random_state=0)
        sampler.fit_resample(X, CLASSES)
        return self


# Name: an estimator, what it is fitted to, and what it is asked.
Case = tuple[Callable[[], Any], Any, tuple[str, ...]]
CASES: dict[str, Case] = {
    "dense": (
        lambda: AutoencoderTransformer(4, **SHORT),
        TABLE,
        ("transform", "predict", "score_samples", "score"),
    ),
    "top k": (
        lambda: AutoencoderTransformer(4, sparsity="top_k", **SHORT),
        TABLE,
        ("transform", "predict"),
    ),
    # Batches of these are cut into shards.
    "large dense": (
        lambda: AutoencoderTransformer(
            4,
            architecture=Dense((1000,), batch_norm=True, dropout=0.2),
            batch_size=64,
            **SHORT,
        ),
        WIDE,
        ("transform", "predict"),
    ),
    "conv": (
        lambda: ConvAutoencoderTransformer(4, batch_size=32, **SHORT),
        IMAGES,
        ("transform", "predict"),
    ),
    "denoising": (
        lambda: DenoisingAutoencoder(architecture=Dense((32,), dropout=0.3), **SHORT),
        TABLE,
        ("transform", "predict", "score"),
    ),
    "variational": (
        lambda: VAESampler(2, n_importance_samples=5, **SHORT),
        TABLE,
        ("transform", "predict", "score_samples"),
    ),
    "over-sampler": (OverSampling, TABLE, ()),
    "imputer": (lambda: AutoencoderImputer(**SHORT), HOLES, ("transform",)),
    "imputer of images": (
        lambda: AutoencoderImputer(**SHORT),
        IMAGES_WITH_HOLES,
        ("transform",),
    ),
    "detector": (
        lambda: AutoencoderOutlierDetector(**SHORT),
        TABLE,
        ("score_samples", "predict", "explain"),
    ),
    "detector of images": (
        lambda: AutoencoderOutlierDetector(novelty=True, batch_size=32, **SHORT),
        IMAGES,
        ("score_samples", "explain"),
    ),
}

# One of each way to train, and of each library whose threads are used after it.
EACH_WAY = ("dense", "large dense", "conv", "variational", "imputer", "detector")


def ask(name: str, n_samples: int | None = None) -> dict[str, str]:
    """Fit an estimator and return hashes of its weights and of its answers."""
    make, X, methods = CASES[name]
    estimator = make().fit(X)
    said = {}
    if hasattr(estimator, "net_"):
        said["weights"] = list(estimator.net_.module_.state_dict().values())
    for method in methods:
        said[method] = [getattr(estimator, method)(X[:n_samples])]
    return {what: _hash(values) for what, values in said.items()}


def _hash(values: list[Any]) -> str:
    found = hashlib.sha256()
    for value in values:
        found.update(np.ascontiguousarray(value).tobytes())
    return found.hexdigest()[:16]


def fits(n_jobs: int = 1) -> None:
    """Print what all estimators say, asked in so many workers of joblib's."""
    calls = [joblib.delayed(ask)(name) for name in CASES]
    for name, said in zip(CASES, joblib.Parallel(n_jobs)(calls), strict=True):
        for what, found in said.items():
            print(name, what, found)


def in_child(function: Callable[[], object], seconds: int = 60) -> str:
    """Return how a function ends that a forked process calls."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(seconds)
        try:
            function()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return "hangs" if os.WTERMSIG(status) == signal.SIGALRM else "dies"
    return "fails" if status else "works"


def forks() -> None:
    """Print how fits end in processes that were forked before, while and after others.

    After each fit of this process's own, no thread of torch's or scikit-learn's is
    left: their pools would be missing in a forked process.
    """
    # NumPy's has threads of its own, which are made anew in a forked process.
    TABLE @ TABLE.T
    n_threads = _n_native_threads()
    for name in CASES:
        ask(name)
        print(name, "threads left:", _n_more_threads(n_threads))
        print(name, "after a fit:", in_child(lambda name=name: ask(name, 40)))
    ends = threading.Event()
    for name in EACH_WAY:
        ends.clear()
        others = threading.Thread(target=_fit_until, args=(name, ends))
        others.start()
        time.sleep(0.05)
        print(name, "during a fit:", in_child(lambda name=name: ask(name, 40)))
        ends.set()
        others.join()
    # A pool that is not ours: the child has to do without.
    torch.mm(torch.rand(500, 500), torch.rand(500, 500)).relu_()
    for name in EACH_WAY:
        print(name, "after torch:", in_child(lambda name=name: ask(name, 40)))


def spawns() -> None:
    """Print whether a spawned process learns and answers what this one does.

    It is started while an estimator is fitted here, after others were.
    """
    said = {name: ask(name, 40) for name in CASES}
    ends = threading.Event()
    other = threading.Thread(target=_fit_until, args=("dense", ends), daemon=True)
    other.start()
    with ProcessPoolExecutor(
        1, get_context("spawn"), initializer=_end_after, initargs=(120,)
    ) as pool:
        for name, found in zip(
            CASES, pool.map(ask, CASES, [40] * len(CASES)), strict=True
        ):
            print(name, "spawned:", "same" if found == said[name] else "other")
            ends.set()
    other.join()


def _end_after(seconds: float) -> None:
    """End this process after some time, and say where it hung."""
    faulthandler.dump_traceback_later(seconds, exit=True)


def _n_native_threads() -> int:
    return len(os.listdir("/proc/self/task"))


def _n_more_threads(n_before: int) -> int:
    """Return how many more threads there are than before, once some have ended."""
    for _ in range(50):
        if _n_native_threads() <= n_before:
            break
        time.sleep(0.02)
    return _n_native_threads() - n_before


def _fit_until(name: str, ends: threading.Event) -> None:
    make, X, _ = CASES[name]
    while not ends.is_set():
        make().fit(X)
