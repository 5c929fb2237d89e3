"""Batches in parts, each of which goes through the whole network by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeVar

import torch
from torch import Tensor, nn

from skautoencoder.objectives import own_generator
from skautoencoder.training.batch_statistics import (
    Meeting,
    SharedStatistics,
    normalizations,
)
from skautoencoder.training.threads import Crew

Batch = tuple[Tensor, Tensor]
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Part:
    """A part of a batch.

    Parameters
    ----------
    number : int
        Which one it is.
    batch : tuple of Tensor
        Its rows and targets.
    start : int
        The place of its first row in the batch.
    share : float
        What it counts in the batch.
    meeting : Meeting
        Where it meets the others.
    """

    number: int
    batch: Batch
    start: int
    share: float
    meeting: Meeting


class Parts:
    """Asks for an objective and its gradient in parts of a batch.

    A batch is always divided into the same parts. A thread goes with one of them
    through the whole network, and gradients are added in the parts' order.

    Parameters
    ----------
    n_parts : int
        Number of parts.
    crew : Crew
        Has at least as many threads.
    network : torch.nn.Module
        The network that parts are to go through.
    """

    def __init__(self, n_parts: int, crew: Crew, network: nn.Module) -> None:
        self.n_parts = n_parts
        self.crew = crew
        self.meet = bool(normalizations(network))
        # If parts need not wait for each other, one thread can take them in turn.
        self.in_turn = crew.n_running == 1 and not self.meet

    def learn(
        self,
        objective: Callable[[Batch], Tensor],
        network: nn.Module,
        batch: Batch,
        weigh: Callable[[Tensor], float] = len,
    ) -> Tensor:
        """Set the gradients of a network's weights; return the objective.

        Parameters
        ----------
        objective : callable
            Returns the mean of something over a batch.
        network : torch.nn.Module
            The network that it asks.
        batch : tuple of Tensor
            Rows and targets.
        weigh : callable, default=len
            Returns of how many the objective is the mean, given targets.
        """
        weights = [weight for weight in network.parameters() if weight.requires_grad]

        def learn(part: Part) -> tuple[Tensor, tuple[Tensor, ...]]:
            with SharedStatistics(part.meeting, part.number):
                loss = part.share * objective(part.batch)
            return loss.detach(), torch.autograd.grad(loss, weights, allow_unused=True)

        with _counted_once(network):
            losses, gradients = zip(*self.ask(learn, batch, weigh), strict=True)
        for weight, shares in zip(weights, zip(*gradients, strict=True), strict=True):
            # A weight without a part in the objective has none in any of its parts.
            weight.grad, *others = shares
            for other in others:
                if weight.grad is not None:
                    weight.grad += other
        return torch.stack(losses).sum()

    def evaluate(
        self,
        objective: Callable[[Batch], Tensor],
        batch: Batch,
        weigh: Callable[[Tensor], float] = len,
    ) -> Tensor:
        """Return the objective, without learning from it."""

        def evaluate(part: Part) -> Tensor:
            with torch.no_grad(), SharedStatistics(part.meeting, part.number):
                return part.share * objective(part.batch)

        return torch.stack(self.ask(evaluate, batch, weigh)).sum()

    def ask(
        self,
        ask: Callable[[Part], Answer],
        batch: Batch,
        weigh: Callable[[Tensor], float] = len,
    ) -> list[Answer]:
        """Return the answers for all parts, each given by a thread of its own.

        Parameters
        ----------
        ask : callable
            Returns the answer for a part.
        batch : tuple of Tensor
            Rows and targets.
        weigh : callable, default=len
            Returns what a part counts, given its targets.
        """
        batches = _divided(batch, self.n_parts)
        meeting = Meeting(len(batches), self.crew.n_running)
        seeds = torch.randint(2**62, (len(batches),)).tolist()
        starts = accumulate((len(rows) for rows, _ in batches), initial=0)
        counts = [weigh(targets) for _, targets in batches]
        # Where nothing counts, nothing is asked.
        total = sum(counts) or 1.0
        parts = [
            Part(number, own, start, counts[number] / total, meeting)
            for number, (own, start) in enumerate(zip(batches, starts, strict=False))
        ]

        def run(part: Part) -> Answer:
            with meeting.running, own_generator(seeds[part.number]):
                try:
                    return ask(part)
                except BaseException:
                    meeting.abort()
                    raise

        if self.in_turn:
            return [run(part) for part in parts]
        others = [self.crew.pool.submit(run, part) for part in parts[1:]]
        try:
            first = run(parts[0])
        except threading.BrokenBarrierError:
            # One of the others has failed.
            _results(others)
            raise
        finally:
            # After Ctrl-C, too: the others stop where they would wait for each other.
            wait(others)
        return [first, *_results(others)]


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
        for layer in normalizations(network)
        if layer.num_batches_tracked is not None and layer.training
    ]
    yield
    for counter, before in counters:
        counter.fill_(before + 1)
