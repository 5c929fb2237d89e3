"""Devices that torch does not know or this machine does not have."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers import (
    tiny_dense,
)
from refusals import X, assert_fit_refuses, either


@either
@pytest.mark.parametrize("device", ["nonsense", "", "gpu", "cuda:x"])
def test_device_that_torch_does_not_know(make: Any, device: str) -> None:
    assert_fit_refuses(
        make,
        X,
        ValueError,
        f"device={device!r}",
        "not a device that torch knows",
        "'auto'",
        "'cpu'",
        device=device,
    )


# A machine that has everything still lacks a hundredth graphics card.
@either
@pytest.mark.parametrize("device", ["cuda:99", "xla", "meta"])
def test_device_that_is_not_here(make: Any, device: str) -> None:
    assert_fit_refuses(
        make, X, ValueError, f"device={device!r}", "'auto'", "'cpu'", device=device
    )


def test_cuda_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    # What torch does without CUDA, on any machine.
    def empty(*args: Any, **kwargs: Any) -> torch.Tensor:
        if torch.device(kwargs.get("device") or "cpu").type == "cuda":
            raise AssertionError("Torch not compiled with CUDA enabled")
        return original(*args, **kwargs)

    original = torch.empty
    monkeypatch.setattr(torch, "empty", empty)
    assert_fit_refuses(
        tiny_dense,
        X,
        ValueError,
        "device='cuda' is not available here",
        "device='auto'",
        "device='cpu'",
        device="cuda",
    )
