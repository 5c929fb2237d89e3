from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from skautoencoder import AutoencoderTransformer
from skautoencoder.architectures import Dense
from skautoencoder.training import draw_seed, isolated_randomness

CPU = torch.device("cpu")


def global_state() -> tuple[object, ...]:
    kind, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002
    return (
        torch.get_rng_state().tolist(),
        torch.get_num_threads(),
        random.getstate(),
        (kind, keys.tolist(), position, has_gauss, cached),
    )


@contextmanager
def untouched() -> Iterator[None]:
    # None of them in the state of a fresh process, where nothing would show.
    torch.manual_seed(11)
    random.seed(12)
    np.random.seed(13)  # noqa: NPY002
    before = global_state()
    yield
    assert global_state() == before


@pytest.fixture
def X() -> np.ndarray:
    return np.random.RandomState(0).randn(60, 5)


def small(**params: object) -> AutoencoderTransformer:
    params = {"code_size": 2, "max_epochs": 2, **params}
    return AutoencoderTransformer(architecture=Dense((4,), dropout=0.2), **params)


def test_the_same_seed_gives_the_same_draws_whatever_was_drawn_before() -> None:
    draws = []
    for n_before in (0, 3):
        torch.rand(n_before)
        with isolated_randomness(5, CPU):
            draws.append(torch.rand(4))
    with isolated_randomness(6, CPU):
        other = torch.rand(4)
    assert torch.equal(*draws)
    assert not torch.equal(draws[0], other)


def test_generators_are_put_back() -> None:
    with untouched(), isolated_randomness(5, CPU):
        torch.rand(10)


def test_generators_are_put_back_after_an_error() -> None:
    def draw_and_fail() -> None:
        with isolated_randomness(5, CPU):
            torch.rand(10)
            raise RuntimeError("in the block")

    with untouched(), pytest.raises(RuntimeError, match="in the block"):
        draw_and_fail()


def test_blocks_may_be_nested() -> None:
    with isolated_randomness(1, CPU):
        expected = torch.rand(2)
    with isolated_randomness(1, CPU):
        with isolated_randomness(2, CPU):
            torch.rand(5)
        assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize("random_state", [None, 0])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_an_estimators_life_leaves_no_trace(
    X: np.ndarray, early_stopping: bool, random_state: int | None
) -> None:
    with untouched():
        autoencoder = small(random_state=random_state, early_stopping=early_stopping)
        autoencoder.fit(X).partial_fit(X)
        autoencoder.inverse_transform(autoencoder.transform(X))
        autoencoder.score(X)


def test_a_fit_that_fails_leaves_no_trace(X: np.ndarray) -> None:
    diverging = small(optimizer="sgd", lr=1e30, random_state=0, lr_schedule="constant")
    with untouched(), pytest.raises(ValueError, match="diverged"):
        diverging.fit(X)


def test_random_state_decides_on_every_bit(X: np.ndarray) -> None:
    codes = small(random_state=3).fit_transform(X)
    torch.rand(7)
    np.testing.assert_array_equal(small(random_state=3).fit_transform(X), codes)
    assert not np.array_equal(small(random_state=4).fit_transform(X), codes)
    assert not np.array_equal(small().fit_transform(X), small().fit_transform(X))


def test_fits_in_several_threads_do_not_disturb_each_other(X: np.ndarray) -> None:
    def fit(seed: int) -> np.ndarray:
        return small(random_state=seed).fit_transform(X)

    alone = [fit(seed) for seed in range(4)]
    with untouched(), ThreadPoolExecutor(4) as pool:
        together = list(pool.map(fit, range(4)))
    np.testing.assert_array_equal(together, alone)


class TestDrawSeed:
    def test_an_integer_always_gives_the_same_seed(self) -> None:
        assert draw_seed(7) == draw_seed(7)
        assert len({draw_seed(i) for i in range(20)}) == 20

    def test_a_generator_moves_on(self) -> None:
        generator = np.random.RandomState(0)
        first, second = draw_seed(generator), draw_seed(generator)
        assert first != second
        assert first == draw_seed(np.random.RandomState(0))

    def test_none_takes_fresh_entropy(self) -> None:
        with untouched():
            seeds = {draw_seed(None) for _ in range(5)}
        assert len(seeds) == 5

    def test_seeds_fit_all_generators(self) -> None:
        for random_state in (0, 2**32 - 1, None):
            assert 0 <= draw_seed(random_state) < 2**31

    def test_what_is_no_random_state_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="random_state must be"):
            draw_seed("zero")  # type: ignore[arg-type]
