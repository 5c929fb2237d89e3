from __future__ import annotations

import numpy as np
import pytest
import torch

from skautoencoder import AutoencoderTransformer
from skautoencoder.architectures import Conv, Dense
from skautoencoder.training import (
    resolve_device,
    resolve_precision,
)

CPU = torch.device("cpu")
SMALL, LARGE = 1e6, 1e11

without_cuda = pytest.mark.skipif(
    torch.cuda.is_available(), reason="is about machines without CUDA"
)
with_cuda = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch finds no CUDA device"
)
with_mps = pytest.mark.skipif(
    not torch.backends.mps.is_available(), reason="torch finds no MPS device"
)


class TestResolveDevice:
    def test_auto_is_a_device_that_works(self) -> None:
        torch.zeros(1, device=resolve_device("auto"))

    @pytest.mark.parametrize(
        ("cuda", "mps", "expected"),
        [
            (True, True, "cuda"),
            (True, False, "cuda"),
            (False, True, "mps"),
            (False, False, "cpu"),
        ],
    )
    def test_auto_prefers_the_faster(
        self, monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, expected: str
    ) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        assert resolve_device("auto").type == expected

    def test_cpu_by_name_and_as_a_device(self) -> None:
        assert resolve_device("cpu") == resolve_device(CPU) == CPU

    @pytest.mark.parametrize("device", ["gpu", "cuda:x", ""])
    def test_unknown_names(self, device: str) -> None:
        with pytest.raises(ValueError, match=f"device='{device}' is not a device"):
            resolve_device(device)

    @without_cuda
    @pytest.mark.parametrize("device", ["cuda", "cuda:0", torch.device("cuda")])
    def test_what_this_machine_does_not_have(self, device: str) -> None:
        with pytest.raises(ValueError, match="not available here.*device='cpu'"):
            resolve_device(device)

    def test_a_device_that_holds_no_numbers(self) -> None:
        with pytest.raises(ValueError, match="meta"):
            resolve_device("meta")


class TestResolvePrecision:
    def test_what_is_asked_for_is_given(self) -> None:
        for work in (SMALL, LARGE):
            assert resolve_precision("bfloat16", CPU, work) == torch.bfloat16
            assert resolve_precision("float32", CPU, work) == torch.float32

    @pytest.mark.parametrize("fast", [False, True])
    def test_auto_wants_a_fast_processor_and_enough_work(
        self, monkeypatch: pytest.MonkeyPatch, fast: bool
    ) -> None:
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
            monkeypatch.setattr(torch.cpu, name, lambda: fast, raising=False)
        assert resolve_precision("auto", CPU, SMALL) == torch.float32
        expected = torch.bfloat16 if fast else torch.float32
        assert resolve_precision("auto", CPU, LARGE) == expected

    def test_a_torch_that_does_not_say_gets_float32(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
            monkeypatch.delattr(torch.cpu, name, raising=False)
        assert resolve_precision("auto", CPU, LARGE) == torch.float32


def test_bfloat16_training_is_near_float32_and_results_are_float32() -> None:
    X = np.random.RandomState(0).randn(200, 6) @ np.diag([3, 2, 1, 0.3, 0.2, 0.1])
    scores = [
        AutoencoderTransformer(
            3, architecture=Dense((16,)), precision=precision, random_state=0, lr=1e-2
        )
        .set_params(max_epochs=30)
        .fit(X)
        .score(X)
        for precision in ("float32", "bfloat16")
    ]
    assert scores[0] != scores[1]
    assert scores[1] == pytest.approx(scores[0], abs=0.03)


def fit_on(device: str) -> None:
    images = np.random.RandomState(0).rand(80, 8, 8)
    autoencoder = AutoencoderTransformer(
        4, architecture=Conv((4, 8)), max_epochs=3, device=device, random_state=0
    )
    codes = autoencoder.fit_transform(images)
    assert next(autoencoder.net_.module_.parameters()).device.type == device
    assert np.isfinite(codes).all()
    there = autoencoder.predict(images)
    autoencoder.net_.module_.to("cpu")
    np.testing.assert_allclose(autoencoder.predict(images), there, atol=1e-4)


@with_cuda
def test_cuda() -> None:
    fit_on("cuda")


@with_mps
def test_mps() -> None:
    fit_on("mps")
