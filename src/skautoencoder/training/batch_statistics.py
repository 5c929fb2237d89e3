"""Batch normalisation of a batch whose parts are in several threads."""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from skautoencoder.training.threads import added

_aten = torch.ops.aten


class Meeting:
    """Where the threads that compute the parts of a batch tell each other numbers.

    Parameters
    ----------
    n_parts : int
        Number of threads.
    n_running : int
        How many of them may compute at the same time.
    """

    def __init__(self, n_parts: int, n_running: int) -> None:
        self.running = threading.Semaphore(n_running)
        self._barrier = threading.Barrier(n_parts)
        # Two, in turn: who is late may still read one while others write the next.
        self._boards: list[list[Any]] = [[None] * n_parts, [None] * n_parts]
        self._n_rounds = [0] * n_parts

    def exchange(self, part: int, told: Any) -> list[Any]:
        """Return what all parts tell, in their order, once all of them have."""
        board = self._boards[self._n_rounds[part] % 2]
        self._n_rounds[part] += 1
        board[part] = told
        self.running.release()
        try:
            self._barrier.wait()
        finally:
            self.running.acquire()
        return list(board)

    def abort(self) -> None:
        """Let nobody wait any more; who does gets a BrokenBarrierError."""
        self._barrier.abort()


class SharedStatistics(TorchFunctionMode):
    """Within the block, batch normalisation looks at all parts of a batch.

    Parameters
    ----------
    meeting : Meeting
        Where the parts meet.
    part : int
        Which of them this thread computes.
    """

    def __init__(self, meeting: Meeting, part: int) -> None:
        super().__init__()
        self.meeting = meeting
        self.part = part

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Answer a call of one of torch's functions."""
        if func is F.batch_norm:
            return self._batch_norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

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
        if not training:
            return F.batch_norm(input, running_mean, running_var, weight, bias, eps=eps)
        running = (running_mean, running_var, momentum)
        outputs: Tensor = _SharedBatchNorm.apply(
            input, weight, bias, running, eps, self.meeting, self.part
        )
        return outputs


class _SharedBatchNorm(torch.autograd.Function):
    """Batch normalisation for autograd."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        running: tuple[Tensor, Tensor, float],
        eps: float,
        meeting: Meeting,
        part: int,
    ) -> Tensor:
        ctx.save_for_backward(inputs)
        ctx.norm = SharedNorm(weight, bias, running, eps)
        outputs: Tensor = ctx.norm.forward(inputs, meeting, part)
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        by_all = ctx.norm.backward(*gradients, *ctx.saved_tensors)
        return *by_all, None, None, None, None


class SharedNorm:
    """Ioffe and Szegedy, "Batch normalization", ICML 2015, in parts.

    A thread sums over its own part; sums of all parts are added in the same order
    everywhere.

    Parameters
    ----------
    weight, bias : Tensor of shape (n_features,) or None
        What normalised numbers are multiplied by, and what is added to them.
    running : tuple
        The running mean, the running variance and their momentum.
    eps : float
        What is added to variances.

    Attributes
    ----------
    sums : tuple of Tensor of shape (n_features,)
        The whole batch's gradients by weight and by bias, after `backward`.
    """

    def __init__(
        self,
        weight: Tensor | None,
        bias: Tensor | None,
        running: tuple[Tensor, Tensor, float],
        eps: float,
    ) -> None:
        self.weight, self.bias = weight, bias
        self.running, self.eps = running, eps

    def forward(self, inputs: Tensor, meeting: Meeting, part: int) -> Tensor:
        """Return the outputs of a part.

        Parameters
        ----------
        inputs : Tensor of shape (n_samples, n_features, ...)
            The part.
        meeting : Meeting
            Where the parts meet.
        part : int
            Which of them this is.
        """
        running_mean, running_var, momentum = self.running
        unused = torch.empty_like(running_mean), torch.empty_like(running_var)
        # That float32 tensors are written to says that the answers are to be float32.
        moments = _aten.batch_norm_update_stats(inputs, *unused, 0.0)
        n_values = inputs.numel() // inputs.shape[1]
        told = meeting.exchange(part, (n_values, *moments))
        total = sum(n for n, _, _ in told)
        mean = added([n / total * mean for n, mean, _ in told])
        variance = added(
            [n / total * (var + (own - mean).square()) for n, own, var in told]
        )
        if part == 0:
            running_mean.lerp_(mean, momentum)
            running_var.lerp_(variance * (total / max(total - 1, 1)), momentum)
        self.moments, self.total = (mean, variance), total
        self.meeting, self.part = meeting, part
        return self._normalized(inputs, self.weight, self.bias)

    def backward(
        self, gradient: Tensor, inputs: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return a part's gradients by inputs, by weight and by bias.

        Parameters
        ----------
        gradient : Tensor of shape (n_samples, n_features, ...)
            The gradient by the outputs.
        inputs : Tensor of shape (n_samples, n_features, ...)
            What `forward` was given.
        """
        mean, variance = self.moments
        scale = torch.ones_like(mean) if self.weight is None else self.weight
        # As if mean and variance were constants,
        through, by_weight, by_bias = _aten.native_batch_norm_backward(
            gradient,
            inputs,
            scale,
            mean,
            variance,
            None,
            None,
            False,
            self.eps,
            [True, True, True],
        )
        told = self.meeting.exchange(self.part, (by_weight, by_bias))
        weights, biases = zip(*told, strict=True)
        self.sums = added(weights), added(biases)
        # and what goes through them.
        factor = scale / (self.total * (variance + self.eps).sqrt())
        slope, constant = (factor * total for total in self.sums)
        through.sub_(self._normalized(inputs, slope, constant))
        if self.weight is None:
            by_weight = by_bias = None
        return through, by_weight, by_bias

    def _normalized(
        self, inputs: Tensor, weight: Tensor | None, bias: Tensor | None
    ) -> Tensor:
        """Return inputs with the moments taken out, times weight plus bias."""
        outputs: Tensor = _aten.native_batch_norm(
            inputs, weight, bias, *self.moments, False, 0.0, self.eps
        )[0]
        return outputs


def normalizations(network: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """Return the layers of a network that normalise batches."""
    kind = nn.modules.batchnorm._BatchNorm
    return [layer for layer in network.modules() if isinstance(layer, kind)]
