"""Devices, precision and torch's modes of computations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from skautoencoder.training.threads import is_large, one_thread

PRECISIONS = ("auto", "float32", "bfloat16")


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
    # torch raises AssertionError if it was built without CUDA.
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
        # torch has no public function for this; without the private ones, use float32.
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
            supported = getattr(torch.cpu, name, None)
            if supported is not None and supported():
                return True
    return False


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode within the block, without gradients."""
    was_training = network.training
    network.eval()
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    try:
        with torch.no_grad(), without_autocast(device.type):
            yield
    finally:
        network.train(was_training)


class _Float32(TorchFunctionMode):
    """Makes new tensors of this thread float32 by default within the block."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Add `dtype` to calls that make tensors; call other functions as they are."""
        kwargs = kwargs or {}
        if func in _FACTORIES and kwargs.get("dtype") is None:
            kwargs = {**kwargs, "dtype": torch.float32}
        return func(*args, **kwargs)


_FACTORIES = {torch.empty, torch.eye, torch.ones, torch.rand, torch.randn, torch.zeros}


@contextmanager
def usual_torch() -> Iterator[None]:
    """Use torch as it is by default within the block, whatever the user has set.

    New tensors are float32, on one thread, and autograd records where it is enabled.
    torch.set_default_dtype holds for the whole process and is left alone, because other
    threads may be computing in double precision.

    Autograd's mode is restored however often the block is interrupted: a second Ctrl-C
    can end :class:`torch.no_grad` before it has done so.
    """
    records = torch.is_grad_enabled()
    is_float32 = torch.get_default_dtype() == torch.float32
    float32 = nullcontext() if is_float32 else _Float32()
    try:
        with one_thread(), torch.inference_mode(False), float32:
            yield
    finally:
        interrupt = None
        while torch.is_grad_enabled() != records:
            try:
                torch.set_grad_enabled(records)
            except KeyboardInterrupt as again:
                interrupt = again
        if interrupt is not None:
            raise interrupt


def without_autocast(device_type: str) -> AbstractContextManager[Any]:
    """Return a context manager in which autocast is off."""
    if torch.is_autocast_enabled(device_type):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()
