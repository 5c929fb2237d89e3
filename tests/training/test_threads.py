"""On how many threads to compute."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from helpers import ROWS, assert_same_weights, tiny_conv, tiny_dense, weights_of
from processes import in_child
from threadpoolctl import threadpool_info

from skautoencoder import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    VAESampler,
)
from skautoencoder.training import threads
from skautoencoder.training.threads import (
    _set_own_threads,
    is_large,
    n_allowed_threads,
    n_shards_for,
    one_thread,
    one_thread_for_numpy,
    threads_for,
    torchs_threads,
)

Answer = TypeVar("Answer")

SMALL, LARGE = 1e6, 1e11


def forks(test: Any) -> Any:
    """Mark a test that forks a process which may have several threads."""
    test = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")(
        test
    )
    return pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked")(test)


def in_new_thread(function: Callable[[], Answer]) -> Answer:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def tiny_sampler() -> VAESampler:
    return VAESampler(2, prior="normal", max_epochs=2, random_state=0)


@pytest.fixture(params=["libraries are told", "torch is told"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "torch is told":
        monkeypatch.setattr(threads, "_library_setters", list)


each_way = pytest.mark.usefixtures("way")


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


class TestOneThread:
    def test_within_the_block(self) -> None:
        with one_thread():
            assert torch.get_num_threads() == 1
            with one_thread():
                assert torch.get_num_threads() == 1
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2

    def test_the_count_is_restored_after_an_error(self) -> None:
        def fail() -> None:
            with one_thread():
                raise RuntimeError("in the block")

        with pytest.raises(RuntimeError, match="in the block"):
            fail()
        assert torch.get_num_threads() == 2

    def test_an_estimator_restores_it(self) -> None:
        X = np.random.RandomState(0).randn(40, 4)
        autoencoder = AutoencoderTransformer(2, max_epochs=1).fit(X)
        assert torch.get_num_threads() == 2
        autoencoder.transform(X)
        assert torch.get_num_threads() == 2

    def test_the_threads_that_are_allowed_are_known(self) -> None:
        assert n_allowed_threads() == 2
        with one_thread(), one_thread():
            assert n_allowed_threads() == 2
        torch.set_num_threads(3)
        assert n_allowed_threads() == 3

    @each_way
    def test_other_threads_keep_theirs(self) -> None:
        seen: list[int] = []
        starts, ends = threading.Event(), threading.Event()

        def wait() -> None:
            seen.append(torch.get_num_threads())
            starts.set()
            ends.wait()
            seen.append(torch.get_num_threads())

        old = threading.Thread(target=wait)
        old.start()
        starts.wait()
        with one_thread():
            assert in_new_thread(torch.get_num_threads) == 2
            ends.set()
            old.join()
            # A thread that had another number than the process.
            in_new_thread(lambda: _set_own_threads(3))
            assert in_new_thread(torch.get_num_threads) == 2
        assert in_new_thread(torch.get_num_threads) == 2
        assert seen == [2, 2]

    @each_way
    def test_blocks_in_many_threads(self) -> None:
        def compute(_: int) -> list[int]:
            with one_thread():
                seen = [n_allowed_threads()]
                seen.append(torch.get_num_threads())
            return [*seen, torch.get_num_threads()]

        for _ in range(5):
            with ThreadPoolExecutor(8) as pool:
                assert set(map(tuple, pool.map(compute, range(80)))) == {(2, 1, 2)}
            assert in_new_thread(torch.get_num_threads) == 2
        assert torch.get_num_threads() == 2

    def test_numpy_and_scikit_learn(self) -> None:
        def numbers() -> set[int]:
            return {library["num_threads"] for library in threadpool_info()}

        before = numbers()
        with one_thread_for_numpy():
            assert numbers() == {1}
        assert numbers() == before


class TestFits:
    """Fits beside each other set nothing for each other, or for the process."""

    def test_their_threads_keep_theirs(self) -> None:
        images = np.random.RandomState(0).uniform(size=(64, 24, 24))

        def fit(seed: int) -> tuple[int, Any]:
            conv = ConvAutoencoderTransformer(
                2, batch_size=32, max_epochs=1, random_state=seed
            )
            return torch.get_num_threads(), (conv.fit(images), torch.get_num_threads())

        weights = []
        for _ in range(2):
            with ThreadPoolExecutor(2) as pool:
                others = pool.map(fit, [1, 2])
                assert fit(0)[1][1] == 2
            for before, (fitted, after) in others:
                assert (before, after) == (2, 2)
                weights.append(weights_of(fitted))
            assert in_new_thread(torch.get_num_threads) == 2
        assert torch.get_num_threads() == 2
        for found, same in zip(weights, weights[2:], strict=False):
            for name, weight in found.items():
                assert torch.equal(weight, same[name])

    @pytest.mark.parametrize("make", [tiny_dense, tiny_conv, tiny_sampler])
    def test_double_precision_by_default(self, make: Any) -> None:
        expected = make().fit(ROWS[:64])
        torch.set_default_dtype(torch.float64)
        try:
            with ThreadPoolExecutor(4) as pool:
                fits = [pool.submit(make().fit, ROWS[:64]) for _ in range(4)]
                while not all(fit.done() for fit in fits):
                    assert torch.zeros(1).dtype == torch.float64
            for fit in fits:
                assert_same_weights(fit.result(), expected)
        finally:
            torch.set_default_dtype(torch.float32)


class TestHowMany:
    def test_more_work_more_shards(self) -> None:
        assert [is_large(work) for work in (SMALL, 6e8, LARGE)] == [False, True, True]
        works = (6e8, 4.5e9, LARGE)
        assert [n_shards_for(work, 1000) for work in works] == [2, 4, 8]
        # Whose gradients take long to be added.
        assert [n_shards_for(work, 10**7) for work in works] == [2, 2, 4]

    def test_the_threads_and_processors_that_are_allowed_do_not_matter(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = n_shards_for(LARGE, 1000)
        torch.set_num_threads(1)
        monkeypatch.setattr("joblib.cpu_count", lambda: 1)
        monkeypatch.setattr("os.cpu_count", lambda: 1)
        assert n_shards_for(LARGE, 1000) == before


class TestTorchsThreads:
    """For what cannot be cut into shards."""

    def test_they_are_back_within_the_block(self) -> None:
        with torchs_threads():
            assert torch.get_num_threads() == 2
        with one_thread():
            with torchs_threads():
                assert torch.get_num_threads() == 2
            assert torch.get_num_threads() == 1
            with pytest.raises(ValueError, match="in the block"), torchs_threads():
                raise ValueError("in the block")
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2


class TestThreadsForTasks:
    @pytest.mark.parametrize("n_tasks", [1, 2, 7])
    def test_all_tasks_are_done_and_answers_are_in_order(self, n_tasks: int) -> None:
        with threads_for(n_tasks) as run:
            assert list(run(str, range(n_tasks))) == [str(i) for i in range(n_tasks)]

    def test_as_many_compute_at_once_as_torch_has_threads(self) -> None:
        # Each waits for the other: alone, neither would come to an end.
        barrier = threading.Barrier(2, timeout=30)
        with threads_for(3) as run:
            assert sorted(run(lambda _: barrier.wait(), range(2))) == [0, 1]
        torch.set_num_threads(1)
        with threads_for(3) as run:
            who = set(run(lambda _: threading.get_ident(), range(3)))
        assert who == {threading.get_ident()}

    def test_each_computes_alone(self) -> None:
        with threads_for(2) as run:
            assert set(run(lambda _: torch.get_num_threads(), range(4))) == {1}
        assert torch.get_num_threads() == 2

    def test_within_one_thread_they_are_as_many_as_are_allowed(self) -> None:
        barrier = threading.Barrier(2, timeout=30)
        with one_thread(), threads_for(2) as run:
            assert sorted(run(lambda _: barrier.wait(), range(2))) == [0, 1]

    def test_an_error_of_a_task_is_raised(self) -> None:
        def task(number: int) -> int:
            if number == 1:
                raise ValueError("of the task")
            return number

        with threads_for(3) as run:
            with pytest.raises(ValueError, match="of the task"):
                list(run(task, range(3)))
            assert list(run(task, [0])) == [0]
        with pytest.raises(ValueError, match="of the block"), threads_for(3):
            raise ValueError("of the block")
        assert torch.get_num_threads() == 2


@forks
def test_a_fork_waits_for_a_step_but_not_forever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "_LONGEST_WAIT", 0.2)
    begun, ends = threading.Event(), threading.Event()

    def compute() -> None:
        with threads.operating():
            begun.set()
            ends.wait(60)

    thread = threading.Thread(target=compute)
    thread.start()
    begun.wait()
    start = time.monotonic()
    assert in_child(lambda: None) == "works"
    took = time.monotonic() - start
    ends.set()
    thread.join()
    assert 0.2 <= took < 30


@forks
def test_a_forked_process_computes_in_one_thread() -> None:
    def compute() -> None:
        with threads_for(4) as run:
            found = set(run(lambda _: threading.get_ident(), range(8)))
        assert found == {threading.get_ident()}

    assert in_child(compute) == "works"
