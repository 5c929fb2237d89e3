"""Large batches in shards, each of which goes through the network by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from skautoencoder.architectures._splitting import NORMALIZATIONS
from skautoencoder.objectives import own_generator
from skautoencoder.objectives.draws import generator

Batch = tuple[Tensor, Tensor]
Answer = TypeVar("Answer")

# Like the built-in map, but perhaps on several threads.
Map = Callable[[Callable[[Any], Any], Sequence[Any]], Any]


class Shards:
    """Asks for an objective and its gradient in shards of a batch.

    A batch of some size is always cut into the same shards, whose gradients are added
    in the same order, so that no digit depends on how many threads there are. Batch
    normalisation takes the moments of a shard ("ghost batch normalisation").

    Parameters
    ----------
    n_shards : int
        How many shards a batch has, if it has rows enough.
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
        # Threads are not for a file; a net that is stored during a fit has none.
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
            Returns the mean of something over a batch.
        network : torch.nn.Module
            The network that it asks.
        batch : tuple of Tensor
            Rows and targets.
        weigh : callable, default=len
            Returns of how many the objective is the mean, given targets.
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

        losses, gradients, moments = zip(*self._ask(learn, batch, weigh), strict=True)
        # A weight without a part in the objective has no gradient in any shard.
        sums = self._run(_added, list(zip(*gradients, strict=True)))
        for weight, gradient in zip(weights, sums, strict=True):
            weight.grad = gradient
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
        """Return the objective, without learning from it."""

        def evaluate(shard: Batch, share: float) -> Tensor:
            with torch.no_grad():
                return share * objective(shard)

        return torch.stack(self._ask(evaluate, batch, weigh)).sum()

    def _ask(
        self,
        ask: Callable[[Batch, float], Answer],
        batch: Batch,
        weigh: Callable[[Tensor], float],
    ) -> list[Answer]:
        """Return the answers for all shards, given each and its share of the batch."""
        rows, targets = batch
        # A single row has no variance.
        n_shards = max(min(self.n_shards, len(rows) // 2), 1)
        shards = rows.tensor_split(n_shards)
        answers = shards if targets is rows else targets.tensor_split(n_shards)
        counts = [weigh(answer) for answer in answers]
        total = sum(counts) or 1.0
        seeds = torch.randint(2**62, (n_shards,)).tolist()

        def run(number: int) -> Answer:
            shard = shards[number], answers[number]
            with own_generator(seeds[number]):
                return ask(shard, counts[number] / total)

        return list(self._run(run, range(n_shards)))


def _added(gradients: Sequence[Tensor | None]) -> Tensor | None:
    """Return the sum of the gradients of all shards, from the first to the last."""
    total, *others = gradients
    for gradient in others:
        if total is not None and gradient is not None:
            total += gradient
    return total


class _OwnStatistics(TorchFunctionMode):
    """Within the block, what a shard draws and tracks is its own.

    Attributes
    ----------
    moments : dict
        Running means and variances as they were and after this shard, by the identity
        of the tensor.
    """

    def __init__(self) -> None:
        super().__init__()
        self.moments: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Answer a call of one of torch's functions."""
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
