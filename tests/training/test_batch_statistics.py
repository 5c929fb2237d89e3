"""Batch normalisation of a batch whose parts are in several threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skautoencoder.training.batch_statistics import Meeting, SharedStatistics


def in_parts(layer: nn.Module, inputs: Tensor, gradient: Tensor, sizes: list[int]):
    """Return the outputs of a layer and its gradients, worked out in threads."""
    meeting = Meeting(len(sizes), 2)
    parts = inputs.detach().split(sizes)
    gradients = gradient.split(sizes)
    weights = list(layer.parameters())

    def run(number: int) -> tuple[Tensor, ...]:
        part = parts[number].clone().requires_grad_()
        with meeting.running, SharedStatistics(meeting, number):
            outputs = layer(part)
            found = torch.autograd.grad(outputs, [part, *weights], gradients[number])
        return outputs.detach(), *found

    with ThreadPoolExecutor(len(sizes)) as pool:
        outputs, by_inputs, *by_weights = zip(
            *pool.map(run, range(len(sizes))), strict=True
        )
    return torch.cat(outputs), torch.cat(by_inputs), [sum(g) for g in by_weights]


def whole(layer: nn.Module, inputs: Tensor, gradient: Tensor):
    inputs = inputs.detach().clone().requires_grad_()
    outputs = layer(inputs)
    by_inputs, *by_weights = torch.autograd.grad(
        outputs, [inputs, *layer.parameters()], gradient
    )
    return outputs.detach(), by_inputs, by_weights


def images(n_samples: int = 10, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    data = torch.randn(n_samples, 3, 5, 4, generator=generator) * 2 + 7
    return data.to(dtype).to(memory_format=torch.channels_last)


def random_norm(affine: bool = True) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(3, affine=affine)
    if affine:
        layer.weight.data = torch.tensor([0.5, -2.0, 1.5])
        layer.bias.data = torch.tensor([1.0, 0.0, -3.0])
    layer.running_mean = torch.tensor([1.0, 2.0, 3.0])
    return layer


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("sizes", [[5, 5], [1, 7, 2], [10]])
def test_it_is_the_normalisation_of_the_whole_batch(
    sizes: list[int], affine: bool
) -> None:
    data, gradient = images(), images().flip(0) - 7
    one, other = random_norm(affine), random_norm(affine)
    expected = whole(one, data, gradient)
    got = in_parts(other, data, gradient, sizes)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(other.running_mean, one.running_mean)
    torch.testing.assert_close(other.running_var, one.running_var)


def test_rows_without_positions() -> None:
    rows = torch.randn(9, 4, generator=torch.Generator().manual_seed(1))
    gradient = rows.flip(1) ** 2
    expected = whole(nn.BatchNorm1d(4), rows, gradient)
    got = in_parts(nn.BatchNorm1d(4), rows, gradient, [4, 5])
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_reduced_precision_is_as_good_as_torch_s() -> None:
    data, gradient = images(64), images(64).flip(0) - 7
    exact = whole(random_norm(), data, gradient)
    rounded = [part.bfloat16() for part in (data, gradient)]
    torchs = whole(random_norm(), *rounded)
    ours = in_parts(random_norm(), *rounded, [32, 32])
    for truth, theirs, mine in zip(exact[:2], torchs[:2], ours[:2], strict=True):
        assert mine.dtype == torch.bfloat16
        error, allowed = (mine - truth).abs().mean(), (theirs - truth).abs().mean()
        assert error < 1.5 * allowed


def test_other_threads_do_not_change_the_digits() -> None:
    data, gradient = images(), images().flip(0)
    one, other = (in_parts(random_norm(), data, gradient, [3, 3, 4]) for _ in range(2))
    for mine, theirs in zip(one[:2], other[:2], strict=True):
        assert torch.equal(mine, theirs)


def test_evaluation_is_left_alone() -> None:
    layer = random_norm().eval()
    expected = layer(images())
    # Nobody else is there to meet.
    with SharedStatistics(Meeting(2, 1), 0):
        assert torch.equal(layer(images()), expected)
        assert torch.equal(F.relu(images()), images().relu())


def test_everybody_is_told_the_same_in_the_same_order() -> None:
    meeting = Meeting(3, 1)

    def run(number: int) -> list[list[int]]:
        with meeting.running:
            return [meeting.exchange(number, 10 * turn + number) for turn in range(50)]

    with ThreadPoolExecutor(3) as pool:
        told = list(pool.map(run, range(3)))
    assert told[0] == [
        [10 * turn + number for number in range(3)] for turn in range(50)
    ]
    assert told[0] == told[1] == told[2]


def test_no_more_run_than_may() -> None:
    meeting = Meeting(4, 2)
    running, most, lock = 0, 0, threading.Lock()

    def run(number: int) -> None:
        nonlocal running, most
        for _ in range(20):
            with lock:
                running += 1
                most = max(most, running)
            with lock:
                running -= 1
            meeting.exchange(number, None)

    def start(number: int) -> None:
        with meeting.running:
            run(number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(start, range(4)))
    assert 1 <= most <= 2


def test_nobody_waits_for_one_who_is_gone() -> None:
    meeting = Meeting(2, 2)
    with ThreadPoolExecutor(1) as pool, meeting.running:
        waits = pool.submit(meeting.exchange, 0, None)
        meeting.abort()
        with pytest.raises(threading.BrokenBarrierError):
            waits.result(timeout=10)
