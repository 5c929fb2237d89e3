from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skautoencoder.training import RowBatches, Rows


def numbered(n_samples: int) -> Rows:
    """Rows that hold their own position."""
    return Rows(torch.arange(n_samples, dtype=torch.float32).reshape(-1, 1))


def positions(batches: RowBatches) -> list[list[int]]:
    return [rows[:, 0].int().tolist() for rows, _ in batches]


sizes = {"n_samples": st.integers(2, 40), "batch_size": st.integers(2, 45)}


@settings(deadline=None, max_examples=60, derandomize=True)
@given(**sizes, shuffle=st.booleans())
def test_every_row_comes_once_and_never_alone(
    n_samples: int, batch_size: int, shuffle: bool
) -> None:
    batches = RowBatches(numbered(n_samples), batch_size, shuffle=shuffle)
    for _ in range(2):
        parts = positions(batches)
        assert sorted(chain(*parts)) == list(range(n_samples))
        assert len(parts) == len(batches)
        assert all(2 <= len(part) <= batch_size + 1 for part in parts)
        assert all(len(part) == batch_size for part in parts[:-1])


@settings(deadline=None, max_examples=60, derandomize=True)
@given(**sizes, shuffle=st.booleans())
def test_dropping_the_last_leaves_full_batches(
    n_samples: int, batch_size: int, shuffle: bool
) -> None:
    batches = RowBatches(
        numbered(n_samples), batch_size, shuffle=shuffle, drop_last=True
    )
    parts = positions(batches)
    taken = list(chain(*parts))
    assert len(parts) == len(batches) == max(n_samples // batch_size, 1)
    assert len(set(taken)) == len(taken)
    if n_samples >= batch_size:
        assert [len(part) for part in parts] == [batch_size] * len(parts)
    else:
        assert len(taken) == n_samples, "the only batch must stay"


@pytest.mark.parametrize(
    ("n_samples", "batch_size", "expected"),
    [(9, 4, [4, 5]), (8, 4, [4, 4]), (10, 4, [4, 4, 2]), (1, 4, [1]), (3, 8, [3])],
)
def test_a_single_row_left_over_joins_the_batch_before(
    n_samples: int, batch_size: int, expected: list[int]
) -> None:
    parts = positions(RowBatches(numbered(n_samples), batch_size))
    assert [len(part) for part in parts] == expected
    assert list(chain(*parts)) == list(range(n_samples))


def test_the_order_is_new_each_pass_and_given_by_the_seed() -> None:
    def two_passes(seed: int) -> list[list[list[int]]]:
        batches = RowBatches(numbered(50), 8, shuffle=True, seed=seed)
        return [positions(batches), positions(batches)]

    first, second = two_passes(0)
    assert first != second
    assert [first, second] == two_passes(0)
    assert two_passes(1)[0] != first
    assert list(chain(*first)) != list(range(50))


def test_the_order_neither_reads_nor_moves_the_global_generator() -> None:
    orders = []
    for seed in (0, 1):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            before = torch.get_rng_state()
            orders.append(positions(RowBatches(numbered(30), 7, shuffle=True)))
            assert torch.equal(torch.get_rng_state(), before)
    assert orders[0] == orders[1]


@pytest.mark.parametrize("shuffle", [False, True])
def test_targets_stay_with_their_rows(shuffle: bool) -> None:
    rows = torch.arange(20.0).reshape(10, 2)
    data = Rows(rows, -rows)
    for batch, targets in RowBatches(data, 3, shuffle=shuffle):
        assert torch.equal(targets, -batch)


@pytest.mark.parametrize("drop_last", [True, False])
@pytest.mark.parametrize("with_targets", [True, False])
def test_few_and_many_numbers_give_the_same_batches(
    monkeypatch: pytest.MonkeyPatch, with_targets: bool, drop_last: bool
) -> None:
    def batches() -> list[tuple[torch.Tensor, torch.Tensor]]:
        rows = numbered(23)
        data = Rows(rows.rows, rows.rows + 100) if with_targets else rows
        return list(RowBatches(data, 5, shuffle=True, drop_last=drop_last, seed=3))

    few = batches()
    monkeypatch.setattr("skautoencoder.training.batches._FEW_NUMBERS", 0)
    many = batches()
    assert len(few) == len(many) == (4 if drop_last else 5)
    for (rows, targets), (same_rows, same_targets) in zip(few, many, strict=True):
        assert torch.equal(rows, same_rows)
        assert torch.equal(targets, same_targets)
        assert (targets is rows) is not with_targets


def test_without_targets_the_rows_are_not_taken_twice() -> None:
    data = Rows(torch.rand(6, 2))
    for shuffle in (False, True):
        for rows, targets in RowBatches(data, 4, shuffle=shuffle):
            assert targets is rows


def test_batches_in_order_are_views() -> None:
    data = Rows(torch.rand(6, 2))
    first, _ = next(iter(RowBatches(data, 4)))
    assert first.data_ptr() == data.rows.data_ptr()


class TestSplit:
    @settings(deadline=None, max_examples=60, derandomize=True)
    @given(
        n_samples=st.integers(2, 60),
        fraction=st.floats(0.001, 0.999),
        seed=st.integers(0, 3),
    )
    def test_it_is_a_partition_with_both_parts(
        self, n_samples: int, fraction: float, seed: int
    ) -> None:
        train, valid = numbered(n_samples).split(fraction, seed)
        assert len(train) >= 1
        assert len(valid) >= 1
        together = torch.cat([train[:][0], valid[:][0]])[:, 0].int().tolist()
        assert sorted(together) == list(range(n_samples))
        assert abs(len(valid) - n_samples * fraction) <= 1

    def test_it_is_shuffled_and_seeded(self) -> None:
        data = numbered(100)
        parts = [data.split(0.2, seed)[1].rows[:, 0] for seed in (0, 0, 1)]
        assert torch.equal(parts[0], parts[1])
        assert not torch.equal(parts[0], parts[2])
        # Not a block at one end, where sorted data would have one class.
        assert parts[0].min() < 40
        assert parts[0].max() > 60

    def test_it_leaves_numpys_generator_alone(self) -> None:
        before = np.random.get_state()[1].copy()  # noqa: NPY002
        numbered(50).split(0.3, 0)
        np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002

    def test_rows_of_one_sample_stay_together(self) -> None:
        samples = torch.arange(40) % 10
        rows = samples[:, None].float()
        train, valid = Rows(rows, samples=samples).split(0.3, 0)
        assert len(valid) == 12
        assert not {*train[:][0][:, 0].tolist()} & {*valid[:][0][:, 0].tolist()}

    def test_rows_to_train_on_are_not_copied(self) -> None:
        data = numbered(50)
        train, _ = data.split(0.3, 0)
        assert train.rows is data.rows
        taken = train.take(torch.tensor([3, 0]))[0]
        assert torch.equal(taken, train[:][0][[3, 0]])

    def test_targets_are_split_with_their_rows(self) -> None:
        rows = torch.arange(20.0).reshape(10, 2)
        for part in Rows(rows, -rows).split(0.3, 0):
            assert torch.equal(part[:][1], -part[:][0])
        assert numbered(10).split(0.3, 0)[0].targets is None


def test_rows_are_indexed_like_a_dataset() -> None:
    data = Rows(torch.rand(5, 2), torch.rand(5, 2))
    assert len(data) == 5
    rows, targets = data[3]
    assert torch.equal(rows, data.rows[3])
    assert torch.equal(targets, data.targets[3])
    moved = data.to(torch.device("cpu"))
    assert torch.equal(moved.targets, data.targets)
