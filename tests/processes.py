"""Fits for tests that need a process of their own.

`run` prints how fits end in processes that are forked while and after estimators are
fitted, with torch's own threads started or not, and whether processes that may use
less, or that share nothing with this one, learn and answer the same.
"""

from __future__ import annotations

import faulthandler
import hashlib
import json
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

import joblib
import numpy as np
import torch
from searches import check_that_two_jobs_give_the_same_bits

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
from skautoencoder.training.threads import n_allowed_threads

RANDOM = np.random.RandomState(0)
# More numbers than torch gives to one thread.
TABLE = RANDOM.normal(size=(800, 6)) @ RANDOM.normal(size=(6, 42))
WIDE = RANDOM.normal(size=(100, 6)) @ RANDOM.normal(size=(6, 700))
CLASSES = np.repeat([0, 1], [500, 300])
IMAGES = RANDOM.uniform(size=(64, 24, 24)).astype(np.float32)
HOLES = np.where(RANDOM.uniform(size=TABLE.shape) < 0.1, np.nan, TABLE)
IMAGES_WITH_HOLES = IMAGES[:32].copy()
IMAGES_WITH_HOLES[:, 5:9, 5:9] = np.nan

# What tells libraries how much to use, other than this process is told.
SETTINGS = {
    "LOKY_MAX_CPU_COUNT": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "2",
}

SHORT: dict[str, Any] = {"max_epochs": 1, "random_state": 0}


class OverSampling:
    """An over-sampler, with the methods of the others."""

    def fit(self, X: Any) -> OverSampling:
        sampler = VAEOverSampler(VAESampler(2, **SHORT), random_state=0)
        self.rows_, _ = sampler.fit_resample(X, CLASSES)
        return self

    def predict(self, X: Any) -> Any:
        return self.rows_


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
    "over-sampler": (OverSampling, TABLE, ("predict",)),
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


def in_child(function: Callable[[], object], seconds: int = 60) -> str:
    """Return how a function ends that a forked process calls."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    # The clock is the parent's: a function may set the child's alarm itself.
    end = time.monotonic() + seconds
    ended = 0
    while not ended:
        time.sleep(0.01)
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return "hangs"
        ended, status = os.waitpid(pid, os.WNOHANG)
    if os.WIFSIGNALED(status):
        return "dies"
    return "fails" if status else "works"


def run() -> None:
    """Print how estimators do in other processes, in one line each."""
    on_one_processor = _ask_on_one_processor()
    said = {name: _ask_and_fork(name) for name in CASES}
    for name in EACH_WAY:
        with _fits_going_on(name):
            print(name, "fork during a fit:", _ask_in_fork(name), flush=True)
    # A pool that is not ours: the child has to do without.
    torch.mm(torch.rand(500, 500), torch.rand(500, 500)).relu_()
    for name in EACH_WAY:
        print(name, "fork after torch:", _ask_in_fork(name), flush=True)
    for others in (on_one_processor, _ask_in_spawned_process(), _ask_in_workers()):
        for name, answers in others.items():
            print(name, "answers:", "same" if answers == said[name] else "other")
    counts = joblib.Parallel(2)([joblib.delayed(n_allowed_threads)()] * 2)
    few = sum(counts) <= max(joblib.cpu_count(), 2)
    print("workers' threads:", "few" if few else "many")
    check_that_two_jobs_give_the_same_bits()
    print("searches in workers: same")


def _ask_on_one_processor() -> dict[str, dict[str, str]]:
    """Ask all in a process that is forked before any fit, and has one processor."""
    if not hasattr(os, "sched_setaffinity"):
        return {}
    end, start = os.pipe()

    def ask_all() -> None:
        os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])
        os.write(start, json.dumps({name: ask(name) for name in CASES}).encode())

    assert in_child(ask_all) == "works"
    return json.loads(os.read(end, 2**16))


def _ask_and_fork(name: str) -> dict[str, str]:
    """Ask here, and then in a forked process.

    After a fit of this process's own, no thread of torch's or scikit-learn's is left:
    their pools would be missing in a forked process.
    """
    if not hasattr(os, "fork"):
        return ask(name)
    # NumPy's has threads of its own, which are made anew in a forked process.
    TABLE @ TABLE.T
    n_threads = _n_native_threads()
    said = ask(name)
    print(name, "threads left:", _n_more_threads(n_threads), flush=True)
    print(name, "fork after a fit:", _ask_in_fork(name), flush=True)
    return said


def _ask_in_fork(name: str) -> str:
    return in_child(lambda: ask(name, 40))


@contextmanager
def _fits_going_on(name: str) -> Iterator[None]:
    """Fit in another thread, again and again."""
    make, X, _ = CASES[name]
    ends = threading.Event()

    def fit() -> None:
        while not ends.is_set():
            make().fit(X)

    other = threading.Thread(target=fit, daemon=True)
    other.start()
    time.sleep(0.05)
    yield
    ends.set()
    other.join()


def _ask_in_spawned_process() -> dict[str, dict[str, str]]:
    """Ask all in a process that starts during a fit, and is told to use less."""
    before = dict(os.environ)
    os.environ |= SETTINGS
    with ProcessPoolExecutor(
        1, get_context("spawn"), initializer=_end_after, initargs=(120,)
    ) as pool:
        with _fits_going_on("dense"):
            found = pool.map(ask, CASES)
        os.environ.clear()
        os.environ |= before
        return dict(zip(CASES, found, strict=True))


def _ask_in_workers() -> dict[str, dict[str, str]]:
    """Ask in workers of joblib's what searches.py does not."""
    names = ("variational", "detector")
    found = joblib.Parallel(2)(joblib.delayed(ask)(name) for name in names)
    return dict(zip(names, found, strict=True))


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
