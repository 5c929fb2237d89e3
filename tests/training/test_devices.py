from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from skautoencoder import AutoencoderTransformer
from skautoencoder.architectures import Conv, Dense
from skautoencoder.training import (
    counting_work,
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


def work_per_sample(network: nn.Module, n_features: int) -> float:
    with counting_work(network) as work:
        network(torch.zeros(1, n_features))
    return work.n_operations


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


class TestWork:
    def test_linear_layers_by_hand(self) -> None:
        network = nn.Sequential(nn.Linear(10, 4), nn.ReLU(), nn.Linear(4, 10))
        assert work_per_sample(network, 10) == 2 * (10 * 4 + 4 * 10)

    def test_convolutions_by_hand(self) -> None:
        network = Conv(
            (3, 5), downsampling="max_pool", upsampling="nearest", batch_norm=False
        ).build((8, 8), None)
        products = (
            64 * 9 * 1 * 3  # 8 × 8 pixels, 3 × 3 kernels, 1 to 3 channels
            + 16 * 9 * 3 * 5
            + 4 * 9 * 5 * 5
            + 16 * 9 * 5 * 3
            + 64 * 9 * 3 * 1
        )
        assert work_per_sample(network, 64) == 2 * products

    def test_transposed_convolutions_count_their_input(self) -> None:
        network = nn.Sequential(
            nn.Unflatten(1, (2, 3, 3)), nn.ConvTranspose2d(2, 4, 2, stride=2)
        )
        assert work_per_sample(network, 18) == 2 * 9 * (2 * 4 * 2 * 2)

    def test_a_linear_layer_is_used_at_each_step(self) -> None:
        network = nn.Sequential(nn.Unflatten(1, (10, 6)), nn.Linear(6, 4))
        assert work_per_sample(network, 60) == 2 * 10 * (6 * 4)

    @pytest.mark.filterwarnings("ignore:LSTM with projections")  # torch's, to all
    @pytest.mark.parametrize(
        ("layer", "n_products"),
        [
            # Four gates see 6 numbers and the state of 12, at each of 10 steps.
            (nn.LSTM(6, 12, batch_first=True), 10 * 4 * 12 * (6 + 12)),
            (nn.GRU(6, 12, batch_first=True), 10 * 3 * 12 * (6 + 12)),
            (nn.RNN(6, 12, batch_first=True), 10 * 12 * (6 + 12)),
            (
                nn.LSTM(6, 12, 2, batch_first=True, bidirectional=True),
                10 * 2 * 4 * 12 * ((6 + 12) + (24 + 12)),
            ),
            # Twelve numbers of the state are brought to 5.
            (
                nn.LSTM(6, 12, proj_size=5, batch_first=True),
                10 * (4 * 12 * (6 + 5) + 12 * 5),
            ),
        ],
    )
    def test_recurrent_layers_by_hand(self, layer: nn.Module, n_products: int) -> None:
        network = nn.Sequential(nn.Unflatten(1, (10, 6)), layer)
        assert work_per_sample(network, 60) == 2 * n_products

    def test_a_cell_counts_whenever_it_is_asked(self) -> None:
        class Steps(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.cell = nn.GRUCell(6, 12)

            def forward(self, rows: Tensor) -> Tensor:
                state = rows.new_zeros(len(rows), 12)
                for step in rows.unflatten(1, (10, 6)).unbind(1):
                    state = self.cell(step, state)
                return state

        assert work_per_sample(Steps(), 60) == 2 * 10 * 3 * 12 * (6 + 12)

    def test_steps_that_stand_in_for_samples(self) -> None:
        network = nn.Sequential(
            nn.Unflatten(1, (5, 3, 8, 8)), nn.Flatten(0, 1), nn.Conv2d(3, 4, 3)
        )
        assert work_per_sample(network, 5 * 3 * 64) == 2 * 5 * 36 * (9 * 3 * 4)

    def test_what_multiplies_no_matrix(self) -> None:
        network = nn.Sequential(nn.Unflatten(1, (4, 4)), nn.LayerNorm((4, 4)))
        assert work_per_sample(network, 16) == 0

    @pytest.mark.parametrize("training", [True, False])
    def test_the_network_stays_as_it_was(self, training: bool) -> None:
        network = Dense((6,), batch_norm=True).build((8,), 2).train(training)
        before = {k: v.clone() for k, v in network.state_dict().items()}
        work_per_sample(network, 8)
        assert network.training is training
        assert all(m.training is training for m in network.modules())
        assert all(not m._forward_hooks for m in network.modules())
        for name, value in network.state_dict().items():
            assert torch.equal(value, before[name])

    def test_the_network_stays_as_it_was_after_an_error(self) -> None:
        network = nn.Sequential(nn.Linear(3, 2), nn.Linear(3, 2))
        with pytest.raises(RuntimeError):
            work_per_sample(network, 3)
        assert network.training
        assert all(not m._forward_hooks for m in network.modules())


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
