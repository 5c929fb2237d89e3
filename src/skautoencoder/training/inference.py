"""Applying a trained network to any number of rows."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from skautoencoder.training.batch_invariance import BatchInvariant
from skautoencoder.training.devices import without_autocast
from skautoencoder.training.progress import DELAY, Progress
from skautoencoder.training.threads import (
    is_large,
    one_thread,
    operating,
    threads_for,
    torchs_threads,
)

try:
    from skautoencoder.training.fast.direct_layers import direct_layers
except ModuleNotFoundError:  # training/fast was deleted: slower, same results

    def direct_layers(mode: TorchFunctionMode) -> AbstractContextManager[None]:
        """Return no faster way: torch calls the layers."""
        return nullcontext()


_LARGEST_BATCH = 1024
_SMALLEST_BATCH = 16
# A network is small if it would also train on one thread with batches of this size.
_USUAL_BATCH = 128
_WORK_PER_BATCH = 1e9
_NUMBERS_PER_BATCH = 2**22
# Floating-point operations of a batch for the user's own modules: fewer, because their
# batches are always padded to full size, even for one row.
_WORK_PER_FOREIGN_BATCH = 1e8
# Layers are as quick with batches of this work as with larger ones, which do not stay
# in the processor's cache.
_WORK_PER_PIECE = 1e8
# Smaller batches are padded to a multiple of so many rows, or of fewer if these would
# take more operations than this.
_WORK_OF_FEW = 1e6
_FEW = 32
# A last batch with more than this share of the full size is padded to the full size.
_MANY = 1 / 4


def batch_size_for(
    work: float, n_numbers: int, most_work: float = _WORK_PER_BATCH
) -> int:
    """Return how many rows to send through a network at once.

    A power of two that depends on the network alone, see :class:`BatchInvariant`.

    Parameters
    ----------
    work : float
        Floating-point operations per row.
    n_numbers : int
        Numbers in a row of data.
    most_work : float, default=1e9
        Most floating-point operations of a batch.
    """
    batch_size = _LARGEST_BATCH
    while batch_size > _SMALLEST_BATCH and (
        batch_size * work > most_work or batch_size * n_numbers > _NUMBERS_PER_BATCH
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
    extra_work: float = 0.0,
    at_once: bool = False,
    progress: str = "",
) -> None:
    """Send rows through a network, batch by batch.

    Parameters
    ----------
    network : torch.nn.Module
        The network, in evaluation mode.
    function : callable
        Applied to each batch, such as ``network.encode``.
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
        Floating-point operations of the network per row.
    extra_work : float, default=0.0
        What `function` takes besides.
    at_once : bool, default=False
        Whether several threads may call `function` and `write` at the same time, for
        which layers must be known and without hooks. Each batch is computed by one
        thread, so that the results do not depend on how many there are.
    progress : str, default=""
        Label of a progress bar, which is drawn if the computation takes long. "": none.
    """
    most_work = _WORK_PER_BATCH if at_once else _WORK_PER_FOREIGN_BATCH
    whole = batch_size_for(work + extra_work, n_numbers, most_work)
    # More rows than that may pass through a layer at once, as where each is decoded
    # many times: the extra work does not make their pieces smaller.
    full = max(whole, batch_size_for(work, n_numbers, _WORK_PER_PIECE))
    work += extra_work
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    unit = whole
    if at_once and device.type == "cpu":
        while unit > _FEW or (unit > 1 and unit * work > _WORK_OF_FEW):
            unit //= 2

    def answer(start: int) -> None:
        part = slice(start, min(start + whole, n_samples))
        with operating(), torch.inference_mode(), without_autocast(device.type):
            rows = read(part)
            n_rows = len(rows)
            n_padded = -(-n_rows // unit) * unit
            if n_padded > _MANY * whole:
                n_padded = whole
            if n_rows < n_padded:
                padded = rows.new_zeros(n_padded, n_features)
                padded[:n_rows] = rows
                rows = padded
            with (
                BatchInvariant(full) as mode,
                direct_layers(mode) if at_once else nullcontext(),
            ):
                answers = function(rows.to(device))
            write(part, answers[:n_rows].cpu())

    starts = range(0, n_samples, whole)
    bar = Progress(n_samples, progress, "row", delay=DELAY) if progress else None
    on_threads = is_large(3 * work * _USUAL_BATCH) and device.type == "cpu"
    threads: AbstractContextManager[Any] = one_thread()
    if on_threads and at_once and len(starts) > 1:
        threads = threads_for(len(starts))
    elif on_threads and not at_once:
        # Large modules of the user's own are computed on torch's threads.
        threads = torchs_threads()
    with threads as run:
        for start, _ in zip(starts, (run or map)(answer, starts), strict=True):
            if bar is not None:
                bar.update(n_steps=min(whole, n_samples - start))
    if bar is not None:
        bar.close()


def to_tensor(array: NDArray[np.floating]) -> Tensor:
    """Return an array as a tensor, sharing memory where that is allowed.

    Arrays that may not be written to are copied: torch has no read-only tensors
    and warns.
    """
    if not array.flags.writeable or min(array.strides, default=0) < 0:
        array = array.copy()
    return torch.from_numpy(array)
