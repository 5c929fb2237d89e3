"""Large batches, divided into shards that go through the network independently."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from skautoencoder.architectures._thread_safety import NORMALIZATIONS
from skautoencoder.objectives import seeded_generator
from skautoencoder.objectives.random_generators import generator
from skautoencoder.training.optimizers import lay_out_gradients

Batch = tuple[Tensor, Tensor]
Answer = TypeVar("Answer")

# The built-in map, or that of a thread pool.
Map = Callable[[Callable[[Any], Any], Sequence[Any]], Any]


class Shards:
    """Computes an objective and its gradient on shards of a batch.

    A batch of a given size is always divided into the same shards, whose gradients are
    added in the same order, so that the results do not depend on the number of threads.
    Batch normalisation takes the moments of a shard ("ghost batch normalisation").

    Parameters
    ----------
    n_shards : int
        Number of shards of a batch, if it has enough rows.
    run : callable
        Calls a function for each of several shards, as :func:`map` does.

    References
    ----------
    Hoffer, Hubara and Soudry, "Train longer, generalize better: closing the
    generalization gap in large batch training of neural networks", NeurIPS 2017.
    """

    def __init__(self, n_shards: int, run: Map) -> None:
        self.n_shards = n_shards
        self._run = run

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        # Threads cannot be pickled: a net that is pickled during a fit has None.
        return type(None), ()

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
            Returns a mean over a batch.
        network : torch.nn.Module
            The network whose weights get gradients.
        batch : tuple of Tensor
            Rows and targets.
        weigh : callable, default=len
            Returns over how many terms the objective is the mean, given targets.
        """
        weights = [weight for weight in network.parameters() if weight.requires_grad]
        counters = [
            (layer.num_batches_tracked, int(layer.num_batches_tracked))
            for layer in network.modules()
            if isinstance(layer, NORMALIZATIONS)
            and layer.num_batches_tracked is not None
            and layer.training
        ]

        def learn(shard: Batch, share: float) -> Any:
            with _OwnStatistics() as own:
                loss = share * objective(shard)
            gradients = torch.autograd.grad(loss, weights, allow_unused=True)
            return loss.detach(), gradients, own.moments

        losses, gradients, moments = zip(*self._map(learn, batch, weigh), strict=True)
        # A weight that the objective does not depend on has None in every shard.
        sums = self._run(_added, list(zip(*gradients, strict=True)))
        for weight, gradient in zip(weights, sums, strict=True):
            weight.grad = gradient
        lay_out_gradients(weights)
        for counter, before in counters:
            counter.fill_(before + 1)
        for shares in zip(*(own.values() for own in moments), strict=True):
            running = shares[0][0]
            running.copy_(torch.stack([moment for _, moment in shares]).mean(dim=0))
        return torch.stack(losses).sum()

    def evaluate(
        self,
        objective: Callable[[Batch], Tensor],
        batch: Batch,
        weigh: Callable[[Tensor], float] = len,
    ) -> Tensor:
        """Return the objective, without gradients."""

        def evaluate(shard: Batch, share: float) -> Tensor:
            with torch.no_grad():
                return share * objective(shard)

        return torch.stack(self._map(evaluate, batch, weigh)).sum()

    def _map(
        self,
        function: Callable[[Batch, float], Answer],
        batch: Batch,
        weigh: Callable[[Tensor], float],
    ) -> list[Answer]:
        """Return the results of a function of each shard and its share of the batch."""
        rows, targets = batch
        # At least two rows per shard: batch normalisation needs a variance.
        n_shards = max(min(self.n_shards, len(rows) // 2), 1)
        shards = rows.tensor_split(n_shards)
        answers = shards if targets is rows else targets.tensor_split(n_shards)
        counts = [weigh(answer) for answer in answers]
        total = sum(counts) or 1.0
        seeds = torch.randint(2**62, (n_shards,), generator=generator()).tolist()

        def run(number: int) -> Answer:
            shard = shards[number], answers[number]
            with seeded_generator(seeds[number]):
                return function(shard, counts[number] / total)

        return list(self._run(run, range(n_shards)))


def _added(gradients: Sequence[Tensor | None]) -> Tensor | None:
    """Return the sum of the gradients of all shards, added in their order."""
    total, *others = gradients
    for gradient in others:
        if total is not None and gradient is not None:
            total += gradient
    return total


class _OwnStatistics(TorchFunctionMode):
    """Gives a shard its own running statistics and random numbers within the block.

    Batch normalisation updates copies of its running means and variances, and dropout
    draws from the generator of the shard.

    Attributes
    ----------
    moments : dict
        Each running mean or variance and its updated copy, by the ``id`` of the tensor.
    """

    def __init__(self) -> None:
        super().__init__()
        self.moments: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Replace batch normalisation and dropout; call other functions as they are."""
        kwargs = kwargs or {}
        if func is F.batch_norm:
            return self._batch_norm(*args, **kwargs)
        if func is F.dropout:
            return _dropout(*args, **kwargs)
        return func(*args, **kwargs)

    def _batch_norm(
        self,
        input: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        if training:
            running_mean, running_var = map(self._own, (running_mean, running_var))
        return F.batch_norm(
            input, running_mean, running_var, weight, bias, training, momentum, eps
        )

    def _own(self, running: Tensor | None) -> Tensor | None:
        if running is None:
            return None
        if id(running) not in self.moments:
            self.moments[id(running)] = running, running.clone()
        return self.moments[id(running)][1]


def _dropout(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    if not training or p in (0, 1):
        return F.dropout(input, p, training, inplace)
    kept = torch.empty_like(input).bernoulli_(1 - p, generator=generator())
    return input * kept.div_(1 - p)
