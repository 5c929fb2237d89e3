"""Where to compute, how precisely, and on how many threads."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import joblib
import torch
from torch import Tensor, nn

PRECISIONS = ("auto", "float32", "bfloat16")

# Floating-point operations of one call up to which one thread is used. Far below,
# a second one costs more than it brings; near it, one thread is a little slower
# and gives the same bits on every machine and in every worker of a grid search.
_ONE_THREAD_WORK = 5e8

# Operations that make up for what it costs to treat a part of a batch by itself, and
# the most parts that a batch is divided into.
_PART_WORK = 1e9
_MOST_PARTS = 8


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the device that `device` names.

    Parameters
    ----------
    device : str or torch.device
        A device of torch's, or "auto": CUDA where there is one, then MPS, then
        the CPU.

    Raises
    ------
    ValueError
        If torch does not know the device or this machine does not have it.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        if torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            f"device={device!r} is not a device that torch knows. Use 'auto', "
            "'cpu', 'cuda', 'cuda:0' or 'mps'."
        ) from error
    if resolved.type == "cpu":
        return resolved
    try:
        torch.empty(1, device=resolved)
    # torch answers with an AssertionError where it was built without CUDA.
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"device={device!r} is not available here: {error}. Use device='auto' "
            "or device='cpu'."
        ) from error
    if resolved.type == "meta":
        raise ValueError("device='meta' holds no numbers. Use 'auto' or 'cpu'.")
    return resolved


def resolve_precision(precision: str, device: torch.device, work: float) -> torch.dtype:
    """Return the type in which matrix products are computed during training.

    Parameters
    ----------
    precision : {"auto", "float32", "bfloat16"}
        "auto" is bfloat16 where the processor multiplies it faster and the
        network is large enough to gain from it.
    device : torch.device
        Where training runs.
    work : float
        Floating-point operations of one training step.
    """
    if precision != "auto":
        return torch.bfloat16 if precision == "bfloat16" else torch.float32
    if not is_large(work):
        return torch.float32
    return torch.bfloat16 if _has_fast_bfloat16(device) else torch.float32


def _has_fast_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        # bfloat16 is emulated before compute capability 8.
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device.type == "cpu":
        # torch has no public question for this; without an answer, none is given.
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
            supported = getattr(torch.cpu, name, None)
            if supported is not None and supported():
                return True
    return False


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Ask a network within the block, without gradients and without a trace."""
    was_training = network.training
    network.eval()
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    try:
        with torch.no_grad(), without_autocast(device.type):
            yield
    finally:
        network.train(was_training)


class Work:
    """Floating-point operations that were counted.

    Attributes
    ----------
    n_operations : float
        How many so far.
    """

    def __init__(self) -> None:
        self.n_operations = 0.0

    def count(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        """Add what a layer does for one sample."""
        weight = layer.weight
        if not isinstance(weight, Tensor) or weight.ndim < 2:
            return
        # A transposed convolution uses its kernel once a position of the input.
        transposed = getattr(layer, "transposed", False)
        positions = inputs[0] if transposed else output
        if isinstance(positions, Tensor) and positions.ndim > 2:
            n_positions = positions[0, 0].numel()
        else:
            n_positions = 1
        self.n_operations += 2.0 * n_positions * weight.numel()


@contextmanager
def counting_work(network: nn.Module) -> Iterator[Work]:
    """Count the operations that a network takes for a sample within the block.

    Only layers with a weight matrix or kernel are counted: the others are small
    beside them. The network is in evaluation mode, and its state is left as it was.

    Parameters
    ----------
    network : torch.nn.Module
        To be asked within the block.
    """
    work = Work()
    hooks = [
        layer.register_forward_hook(work.count)
        for layer in network.modules()
        if isinstance(getattr(layer, "weight", None), Tensor) and not layer._modules
    ]
    try:
        with evaluating(network):
            yield work
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def float32_by_default() -> Iterator[None]:
    """Make float32 tensors within the block, whatever the user has set."""
    before = torch.get_default_dtype()
    if before == torch.float32:
        yield
        return
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def without_autocast(device_type: str) -> AbstractContextManager[Any]:
    """Return a block in which products are as precise as their factors."""
    if torch.is_autocast_enabled(device_type):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()


@contextmanager
def threads_for(work: float) -> Iterator[None]:
    """Compute small things on one thread within the block.

    The choice depends on the work alone, so the same fit takes the same path,
    and gives the same bits, in a process of its own and among the workers of a
    grid search, which joblib allows fewer threads.

    Parameters
    ----------
    work : float
        Floating-point operations of one call.
    """
    n_threads = torch.get_num_threads()
    if is_large(work) or n_threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def is_large(work: float) -> bool:
    """Return whether several threads are worth it for this many operations."""
    return work >= _ONE_THREAD_WORK


def n_parts_for(work: float) -> int:
    """Return into how many parts a batch is divided that is computed on threads.

    The number depends on the work and on the machine's processors, not on how many of
    them this process may use: joblib allows the workers of a grid search fewer, and
    the digits of a result depend on the parts.

    Parameters
    ----------
    work : float
        Floating-point operations of a step.
    """
    if not is_large(work):
        return 1
    return min(max(int(work / _PART_WORK), 2), joblib.cpu_count(), _MOST_PARTS)


@contextmanager
def threads_of_their_own(n_threads: int) -> Iterator[ThreadPoolExecutor]:
    """Make threads within the block of which each computes alone.

    Parameters
    ----------
    n_threads : int
        How many.
    """
    with threads_for(0.0):
        pool = ThreadPoolExecutor(n_threads, initializer=_compute_alone)
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)


def _compute_alone() -> None:
    """Let torch use no more than this thread for what this thread asks."""
    # A new thread takes over the process's setting when it first looks at it.
    torch.get_num_threads()
    torch.set_num_threads(1)
