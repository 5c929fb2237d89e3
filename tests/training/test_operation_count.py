from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from skautoencoder.architectures import Conv, Dense
from skautoencoder.training import count_operations


def work_per_sample(network: nn.Module, n_features: int) -> float:
    return count_operations(network, lambda: network(torch.zeros(1, n_features)))[0]


class TestOperationCount:
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

    def test_attention_by_hand(self) -> None:
        layer = nn.TransformerEncoderLayer(6, 2, dim_feedforward=12, batch_first=True)
        network = nn.Sequential(nn.Unflatten(1, (10, 6)), layer)
        attention = 10 * 6 * (3 * 6) + 2 * 10 * 10 * 6 + 10 * 6 * 6
        assert work_per_sample(network, 60) == 2 * (attention + 10 * 2 * 6 * 12)

    def test_inputs_may_have_names(self) -> None:
        class Named(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.steps = nn.GRU(6, 12, batch_first=True)

            def forward(self, rows: Tensor) -> Tensor:
                answers: Tensor = self.steps(input=rows.unflatten(1, (10, 6)))[0]
                return answers

        assert work_per_sample(Named(), 60) == 2 * 10 * 3 * 12 * (6 + 12)

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
