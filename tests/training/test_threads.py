"""On how many threads to compute."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from skautoencoder import AutoencoderTransformer
from skautoencoder.training.threads import (
    crew_of,
    has_time_to_meet,
    is_large,
    n_parts_for,
    n_threads_for,
    one_thread,
)

SMALL, LARGE = 1e6, 1e11


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def six_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("joblib.cpu_count", lambda: 6)


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


class TestHowMany:
    @pytest.mark.usefixtures("six_processors")
    def test_more_work_more_parts(self) -> None:
        numbers = [n_parts_for(work) for work in (SMALL, 6e8, 4.5e9, LARGE)]
        assert numbers == [1, 2, 4, 6]

    @pytest.mark.usefixtures("six_processors")
    def test_small_work_has_one_thread(self) -> None:
        assert [n_threads_for(work) for work in (SMALL, 6e8, LARGE)] == [1, 6, 6]

    def test_limits_grow(self) -> None:
        assert [is_large(work) for work in (SMALL, 6e8, LARGE)] == [False, True, True]
        meet = [has_time_to_meet(work) for work in (SMALL, 6e8, LARGE)]
        assert meet == [False, False, True]

    def test_the_threads_that_are_allowed_do_not_matter(self) -> None:
        two = n_parts_for(1e12)
        torch.set_num_threads(1)
        assert n_parts_for(1e12) == two

    def test_a_single_processor_has_nothing_to_divide(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("joblib.cpu_count", lambda: 1)
        assert n_parts_for(1e12) == 1


class TestCrew:
    @pytest.mark.parametrize("n_tasks", [0, 1, 2, 7])
    @pytest.mark.parametrize("n_threads", [1, 2, 3])
    def test_all_tasks_are_done(self, n_tasks: int, n_threads: int) -> None:
        done: list[int] = []
        with crew_of(n_threads) as crew:
            crew.do([lambda number=i: done.append(number) for i in range(n_tasks)])
        assert sorted(done) == list(range(n_tasks))

    def test_as_many_compute_at_once_as_torch_has_threads(self) -> None:
        # Each waits for the other: alone, neither would come to an end.
        barrier = threading.Barrier(2, timeout=30)
        with crew_of(3) as crew:
            assert crew.n_running == 2
            crew.do([barrier.wait, barrier.wait])
        torch.set_num_threads(1)
        who: set[int] = set()
        with crew_of(3) as crew:
            crew.do([lambda: who.add(threading.get_ident())] * 3)
        assert who == {threading.get_ident()}

    def test_each_computes_alone_and_without_autograd(self) -> None:
        seen: list[tuple[int, bool, bool]] = []

        def look() -> None:
            inference = torch.is_inference_mode_enabled()
            seen.append((torch.get_num_threads(), torch.is_grad_enabled(), inference))

        with crew_of(2) as crew:
            crew.do([look, look])
            with torch.inference_mode():
                crew.do([look, look])
        assert seen == [(1, False, False)] * 2 + [(1, False, True)] * 2
        assert torch.get_num_threads() == 2

    @pytest.mark.parametrize("which", [0, 1, 2])
    def test_an_error_is_raised_when_all_have_ended(self, which: int) -> None:
        done: list[int] = []

        def task(number: int) -> None:
            if number == which:
                raise ValueError("of the task")
            done.append(number)

        with crew_of(3) as crew:
            with pytest.raises(ValueError, match="of the task"):
                crew.do([lambda number=i: task(number) for i in range(3)])
            n_done = len(done)
            crew.do([lambda: done.append(9)])
        assert len(done) == n_done + 1

    def test_it_is_not_stored(self) -> None:
        with crew_of(2) as crew:
            assert pickle.loads(pickle.dumps(crew)) is None
