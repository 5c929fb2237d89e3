"""Applying a trained network to any number of rows."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from skautoencoder.training.devices import without_autocast
from skautoencoder.training.division import divided
from skautoencoder.training.threads import crew_of, is_large, n_allowed_threads

_LARGEST_BATCH = 1024
_SMALLEST_BATCH = 16
# Small networks are those that also train on one thread, with batches like these.
_USUAL_BATCH = 128
_WORK_PER_BATCH = 1e9
_NUMBERS_PER_BATCH = 2**22
_SMALL_MATRIX = 2**14


class DoubleSmallProducts(TorchFunctionMode):
    """Multiplies by small matrices in double precision.

    The routines for small matrices round by a row's place in the batch; rounded
    back from double precision, rows come out the same at every place. Large
    ones treat all places alike, and are left as they are.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Take the place of ``torch.nn.functional.linear``."""
        kwargs = kwargs or {}
        if func is not F.linear or kwargs or args[1].numel() > _SMALL_MATRIX:
            return func(*args, **kwargs)
        rows, weight, *bias = args
        bias = [None if values is None else values.double() for values in bias]
        return func(rows.double(), weight.double(), *bias).to(rows.dtype)


def batch_size_for(work: float, n_numbers: int) -> int:
    """Return how many rows to send through a network at once.

    A power of two that depends on the network alone. Matrix products add in an
    order that depends on their shape, so only with one shape for all calls is a
    row's result the same to the last bit whatever rows stand around it.

    Parameters
    ----------
    work : float
        Floating-point operations a row.
    n_numbers : int
        Numbers in a row of data.
    """
    batch_size = _LARGEST_BATCH
    while batch_size > _SMALLEST_BATCH and (
        batch_size * work > _WORK_PER_BATCH
        or batch_size * n_numbers > _NUMBERS_PER_BATCH
    ):
        batch_size //= 2
    return batch_size


def apply_in_batches(
    network: nn.Module,
    function: Callable[[Tensor], Tensor],
    read: Callable[[slice], Tensor],
    write: Callable[[slice, Tensor], None],
    *,
    n_samples: int,
    n_features: int,
    n_numbers: int,
    work: float,
    at_once: bool = False,
) -> None:
    """Send rows through a network, batch by batch.

    Parameters
    ----------
    network : torch.nn.Module
        The network, in evaluation mode.
    function : callable
        What to do with a batch, such as ``network.encode``.
    read : callable
        Returns the rows of a slice as a float32 tensor of shape
        (n_rows, n_features).
    write : callable
        Takes the slice and the results for its rows.
    n_samples : int
        Number of rows.
    n_features : int
        Width of what `read` returns.
    n_numbers : int
        Numbers in a row of data.
    work : float
        Floating-point operations a row.
    at_once : bool, default=False
        Whether several threads may ask and write at the same time. A batch then is
        computed by one of them, and its digits do not depend on their number.
    """
    batch_size = batch_size_for(work, n_numbers)
    device = next((p.device for p in network.parameters()), torch.device("cpu"))

    def answer(start: int) -> None:
        part = slice(start, min(start + batch_size, n_samples))
        exact = nullcontext() if device.type == "mps" else DoubleSmallProducts()
        with torch.inference_mode(), exact, without_autocast(device.type):
            rows = read(part)
            n_rows = len(rows)
            if n_rows < batch_size:
                padded = rows.new_zeros(batch_size, n_features)
                padded[:n_rows] = rows
                rows = padded
            write(part, function(rows.to(device))[:n_rows].cpu())

    starts = range(0, n_samples, batch_size)
    step = 3 * work * _USUAL_BATCH
    if starts and at_once and device.type == "cpu" and is_large(step):
        with crew_of(min(n_allowed_threads(), len(starts))) as crew:
            for _ in crew.pool.map(answer, starts):
                pass
        return
    with divided(network, step, device.type) as division, division.blocks:
        for start in starts:
            answer(start)


def to_tensor(array: NDArray[np.floating]) -> Tensor:
    """Return an array as a tensor, sharing memory where that is allowed.

    Arrays that may not be written to are copied: torch has no read-only tensors
    and warns.
    """
    if not array.flags.writeable or any(stride < 0 for stride in array.strides):
        array = array.copy()
    return torch.from_numpy(array)
