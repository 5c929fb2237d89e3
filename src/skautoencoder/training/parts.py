"""Batches in parts, each on a thread of its own.

torch divides an operation among all threads that it has. A sum that is divided
otherwise is added in another order and ends in other digits, so that a fit among the
workers of a grid search, which joblib allows fewer threads, would not be the fit of a
process of its own. Here a batch is divided, always into the same parts: a thread goes
with its part through the whole network, and gradients are added in the parts' order.
How many threads there are decides how many parts run at the same time, and nothing
else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

from skautoencoder.objectives import own_generator
from skautoencoder.training.batch_statistics import Meeting, SharedStatistics
from skautoencoder.training.devices import threads_of_their_own

Batch = tuple[Tensor, Tensor]
Answer = TypeVar("Answer")


class Parts:
    """Asks for an objective and its gradient in parts of a batch.

    Parameters
    ----------
    n_parts : int
        Number of parts.
    n_running : int
        How many of them may be computed at the same time.
    pool : ThreadPoolExecutor
        Has a thread for each part.
    """

    def __init__(self, n_parts: int, n_running: int, pool: ThreadPoolExecutor) -> None:
        self.n_parts = n_parts
        self.n_running = n_running
        self.pool = pool

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        # Threads are not for a file; a net that is stored during a fit has none.
        return type(None), ()

    def learn(
        self, objective: Callable[[Batch], Tensor], network: nn.Module, batch: Batch
    ) -> Tensor:
        """Set the gradients of a network's weights; return the objective.

        Parameters
        ----------
        objective : callable
            Returns the mean of something over the rows of a batch.
        network : torch.nn.Module
            The network that it asks.
        batch : tuple of Tensor
            Rows and targets.
        """
        weights = [weight for weight in network.parameters() if weight.requires_grad]

        def learn(part: Batch, share: float) -> tuple[Tensor, tuple[Tensor, ...]]:
            loss = share * objective(part)
            return loss.detach(), torch.autograd.grad(loss, weights, allow_unused=True)

        with _counted_once(network):
            losses, gradients = zip(*self._ask(learn, batch), strict=True)
        for weight, shares in zip(weights, zip(*gradients, strict=True), strict=True):
            # A weight without a part in the objective has none in any of its parts.
            weight.grad, *others = shares
            for other in others:
                if weight.grad is not None:
                    weight.grad += other
        return torch.stack(losses).sum()

    def evaluate(self, objective: Callable[[Batch], Tensor], batch: Batch) -> Tensor:
        """Return the objective, without learning from it."""

        def ask(part: Batch, share: float) -> Tensor:
            with torch.no_grad():
                return share * objective(part)

        return torch.stack(self._ask(ask, batch)).sum()

    def _ask(self, ask: Callable[[Batch, float], Answer], batch: Batch) -> list[Answer]:
        """Return the answers for all parts and their shares of the batch."""
        parts = _divided(batch, self.n_parts)
        meeting = Meeting(len(parts), self.n_running)
        seeds = torch.randint(2**62, (len(parts),)).tolist()

        def run(number: int) -> Answer:
            part = parts[number]
            with meeting.running, own_generator(seeds[number]):
                try:
                    with SharedStatistics(meeting, number):
                        return ask(part, len(part[0]) / len(batch[0]))
                except BaseException:
                    meeting.abort()
                    raise

        futures = [self.pool.submit(run, number) for number in range(len(parts))]
        try:
            wait(futures)
        except BaseException:
            # Ctrl-C: the others stop where they would wait for each other.
            meeting.abort()
            wait(futures)
            raise
        return _results(futures)


@contextmanager
def parts_of_batches(n_parts: int) -> Iterator[Parts | None]:
    """Give each part of the batches within the block a thread, if there are several.

    Parameters
    ----------
    n_parts : int
        Number of parts. 1: batches are not divided.
    """
    if n_parts == 1:
        yield None
        return
    n_running = torch.get_num_threads()
    with threads_of_their_own(n_parts) as pool:
        yield Parts(n_parts, n_running, pool)


def _divided(batch: Batch, n_parts: int) -> list[Batch]:
    rows, targets = batch
    n_parts = min(n_parts, len(rows))
    parts = rows.tensor_split(n_parts)
    if targets is rows:
        return [(part, part) for part in parts]
    return list(zip(parts, targets.tensor_split(n_parts), strict=True))


def _results(futures: list[Future[Answer]]) -> list[Answer]:
    """Return the results of what has ended, or raise the error that ended it."""
    errors = [error for future in futures if (error := future.exception()) is not None]
    for error in errors:
        # The others only stopped waiting for the one that failed.
        if not isinstance(error, threading.BrokenBarrierError):
            raise error
    return [future.result() for future in futures]


@contextmanager
def _counted_once(network: nn.Module) -> Iterator[None]:
    """Let batch normalisation count a batch, not its parts."""
    counters = [
        (layer.num_batches_tracked, int(layer.num_batches_tracked))
        for layer in network.modules()
        if isinstance(layer, nn.modules.batchnorm._BatchNorm)
        and layer.num_batches_tracked is not None
        and layer.training
    ]
    yield
    for counter, before in counters:
        counter.fill_(before + 1)
