"""The same digits for a row in every batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skautoencoder.training import batch_invariance
from skautoencoder.training.batch_invariance import BatchInvariant

WHOLE = 128


def drawn(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def assert_batch_invariant(function: Any, rows: Tensor) -> None:
    with torch.inference_mode(), BatchInvariant(WHOLE):
        whole = function(rows)
        for n_rows in (1, 2, 6, 8, 24, 32, 40, 100):
            for start in (0, 1, len(rows) - n_rows):
                part = slice(start, start + n_rows)
                assert torch.equal(function(rows[part].clone()), whole[part]), n_rows


@pytest.mark.parametrize("n_in", [1, 5, 30, 127, 1031])
@pytest.mark.parametrize("n_out", [1, 2, 5, 8, 13, 64, 333])
def test_products(n_in: int, n_out: int) -> None:
    assert_batch_invariant(
        nn.Linear(n_in, n_out).requires_grad_(False), drawn(WHOLE, n_in)
    )


def test_products_in_double_precision_and_without_a_bias() -> None:
    weight = drawn(5, 31, dtype=torch.float64)
    rows = drawn(WHOLE, 31, dtype=torch.float64)
    assert_batch_invariant(lambda rows: F.linear(rows, weight), rows)


def test_products_of_each_step() -> None:
    layer = nn.Linear(7, 3).requires_grad_(False)
    assert_batch_invariant(layer, drawn(WHOLE, 5, 7))
    assert layer(drawn(2, 4, 5, 7)).shape == (2, 4, 5, 3)


def test_products_with_a_matrix_that_lies_the_other_way() -> None:
    weight = drawn(40, 7).t()
    assert_batch_invariant(
        lambda rows: F.linear(rows, weight, drawn(7)), drawn(WHOLE, 40)
    )


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize(("n_in", "n_out"), [(1, 8), (3, 5), (8, 16)])
def test_convolutions(last: bool, kernel: int, n_in: int, n_out: int) -> None:
    layout = torch.channels_last if last else torch.contiguous_format
    images = drawn(WHOLE, n_in, 7, 6).to(memory_format=layout)
    there = nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2)
    back = nn.ConvTranspose2d(n_in, n_out, kernel, stride=kernel)
    for layer in (there, back):
        layer.requires_grad_(False).to(memory_format=layout)
        assert_batch_invariant(layer, images)


@pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="torch has one kernel only"
)
@pytest.mark.parametrize("settings", [{}, {"stride": 2, "padding": 1}, {"groups": 2}])
def test_an_image_alone_takes_the_kernel_of_several(settings: dict[str, int]) -> None:
    """So another image beside it would only take time."""
    layer = nn.Conv2d(8, 16, 3, **settings).requires_grad_(False)
    layer.to(memory_format=torch.channels_last)
    assert_batch_invariant(layer, drawn(WHOLE, 8, 7, 6))
    sizes = next(
        sizes
        for (function, shape, *_), sizes in reversed(batch_invariance._known.items())
        if (function, shape) == (batch_invariance._conv2d, (8, 7, 6))
    )
    assert sizes[0] == 1


NARROW = {
    batch_invariance._narrow_conv2d: nn.Conv2d(1, 5, 3, stride=2, padding=1),
    batch_invariance._narrow_conv_transpose2d: nn.ConvTranspose2d(
        1, 3, 4, stride=2, padding=1, output_padding=1
    ),
}


@pytest.mark.parametrize("size", [(8, 8), (7, 5)])
@pytest.mark.parametrize("kernel", NARROW)
def test_convolutions_of_few_channels(kernel: Any, size: tuple[int, int]) -> None:
    layer = NARROW[kernel].requires_grad_(False)
    images = drawn(WHOLE, 1, *size)
    assert_batch_invariant(layer, images)
    with BatchInvariant(WHOLE):
        found = layer(images)
    torch.testing.assert_close(found, layer(images))
    used = [key[0] for key in batch_invariance._known if key[1] == (1, *size)]
    assert kernel in used


def test_kernels_for_few_channels_that_go_by_place_are_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def by_place(images: Tensor, weight: Tensor, bias: Any, *settings: Any) -> Tensor:
        place = torch.arange(len(images), dtype=images.dtype).view(-1, 1, 1, 1) % 8
        return F.conv2d(images, weight, bias, *settings) * (1 + 1e-6 * place)

    monkeypatch.setattr(batch_invariance, "_narrow_conv2d", by_place)
    layer = nn.Conv2d(1, 4, 3).requires_grad_(False)
    assert_batch_invariant(layer, drawn(WHOLE, 1, 6, 6))


@pytest.mark.parametrize("layer", NARROW.values(), ids=["conv", "transposed"])
def test_versions_of_torch_may_not_have_these_kernels(
    layer: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer.requires_grad_(False)
    images = drawn(WHOLE, 1, 9, 9)
    with monkeypatch.context() as patch:
        patch.setattr(torch.ops, "aten", None)
        with BatchInvariant(WHOLE):
            found = layer(images)
    torch.testing.assert_close(found, layer(images))


def test_convolutions_may_be_called_in_any_way() -> None:
    kernel = drawn(4, 2, 3, 3)

    def with_names(images: Tensor) -> Tensor:
        return F.conv2d(images, kernel, padding="same")

    images = drawn(WHOLE, 2, 5, 5)
    assert_batch_invariant(with_names, images)
    assert_batch_invariant(lambda images: F.conv2d(images, kernel, None, 2), images)
    assert_batch_invariant(
        lambda images: F.conv2d(images, kernel, None, [2, 1]), images
    )


@pytest.mark.parametrize("settings", [{}, {"num_layers": 2, "bidirectional": True}])
@pytest.mark.parametrize("hidden_size", [1, 7, 64])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_recurrent_layers(kind: Any, hidden_size: int, settings: Any) -> None:
    layers = kind(3, hidden_size, batch_first=True, **settings).requires_grad_(False)
    n_states = (2 if settings else 1) * (2 if settings else 1)

    def from_states(rows: Tensor) -> Tensor:
        sequences, states = rows[:, :15].reshape(-1, 5, 3), rows[:, 15:]
        states = states.reshape(-1, 2, n_states, hidden_size).permute(1, 2, 0, 3)
        hidden, cell = states.contiguous()
        output, end = layers(sequences, (hidden, cell) if kind is nn.LSTM else hidden)
        end = torch.cat(end) if kind is nn.LSTM else end
        return torch.cat([output.flatten(1), end.transpose(0, 1).flatten(1)], dim=1)

    rows = drawn(WHOLE, 15 + 2 * n_states * hidden_size)
    assert_batch_invariant(from_states, rows)
    with torch.no_grad(), BatchInvariant(WHOLE):
        found = from_states(rows)
    torch.testing.assert_close(found, from_states(rows))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_in_other_ways_are_torch_s(kind: Any) -> None:
    steps_first = kind(3, 4).requires_grad_(False)
    sequences = drawn(6, 5, 3)
    packed = nn.utils.rnn.pack_padded_sequence(sequences, torch.tensor([6, 4, 2, 2, 1]))
    expected = steps_first(sequences)[0], steps_first(packed)[0].data
    with BatchInvariant(WHOLE):
        found = steps_first(sequences)[0], steps_first(packed)[0].data
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("width", [1, 3, 17])
@pytest.mark.parametrize(
    "function",
    [
        *(F.elu, F.celu, F.selu, F.gelu, F.silu, F.mish, F.softplus, F.leaky_relu),
        *(torch.sigmoid, torch.tanh, Tensor.exp, lambda rows: rows.sigmoid()),
    ],
)
def test_functions_of_single_numbers(function: Any, width: int) -> None:
    assert_batch_invariant(function, 3 * drawn(WHOLE, width))


@pytest.mark.parametrize("width", [2, 5, 9, 20])
@pytest.mark.parametrize(
    "function",
    [torch.sum, torch.mean, Tensor.sum, Tensor.mean, torch.logsumexp, Tensor.logsumexp],
)
def test_sums_over_the_columns_of_a_transposed_matrix(
    function: Any, width: int
) -> None:
    def of_columns(rows: Tensor) -> Tensor:
        answers: Tensor = function(rows.T.contiguous().T, dim=1)
        return answers

    rows = drawn(WHOLE, width)
    assert_batch_invariant(of_columns, rows)
    with BatchInvariant(WHOLE):
        torch.testing.assert_close(of_columns(rows), function(rows, dim=1))
        torch.testing.assert_close(torch.sum(input=rows), rows.sum())


def test_functions_of_images_that_lie_with_their_channels_last() -> None:
    images = drawn(WHOLE, 3, 5, 7).to(memory_format=torch.channels_last)
    with BatchInvariant(WHOLE):
        answers = F.elu(images[:3])
    torch.testing.assert_close(answers, F.elu(images[:3].contiguous()))
    assert_batch_invariant(F.elu, images)


@pytest.mark.parametrize("n_channels", [3, 5, 64])
@pytest.mark.parametrize("kind", [nn.BatchNorm2d, nn.InstanceNorm2d, nn.SiLU, nn.ELU])
def test_layers_of_a_part_of_larger_images(kind: Any, n_channels: int) -> None:
    """What decoders cut off at the edges leaves gaps between images."""
    layer = kind(n_channels) if "Norm" in kind.__name__ else kind()
    if kind is nn.BatchNorm2d:
        layer.running_mean, layer.running_var = (
            drawn(n_channels),
            drawn(n_channels) ** 2,
        )
        layer.weight, layer.bias = map(nn.Parameter, drawn(2, n_channels))
    layer.eval().requires_grad_(False)

    def of_part(images: Tensor) -> Tensor:
        images = images.contiguous(memory_format=torch.channels_last)
        answers: Tensor = layer(images[:, :, :3, :2])
        return answers

    images = drawn(WHOLE, n_channels, 4, 2)
    assert_batch_invariant(of_part, images)
    with torch.no_grad(), BatchInvariant(WHOLE):
        torch.testing.assert_close(of_part(images), layer(images[:, :, :3, :2]))


def test_parameters_of_functions_are_kept() -> None:
    rows = drawn(3, 5)
    with BatchInvariant(WHOLE):
        torch.testing.assert_close(F.elu(rows, 0.5), F.elu(rows.clone(), 0.5))
        torch.testing.assert_close(F.softplus(rows, beta=2), F.softplus(rows, 2.0))


@pytest.mark.parametrize("n_rows", [1, 2, 9, WHOLE, 3 * WHOLE + 5])
def test_results_are_those_of_the_layers(n_rows: int) -> None:
    layer, rows = nn.Linear(6, 3).requires_grad_(False), drawn(n_rows, 6)
    images, convolution = drawn(n_rows, 2, 5, 5), nn.Conv2d(2, 3, 3, stride=2)
    with torch.no_grad():
        expected = layer(rows), convolution(images)
        with BatchInvariant(WHOLE):
            found = layer(rows), convolution(images)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


class TestRoutinesThatDiffer:
    """Whatever a processor's routines do, rows come out the same."""

    @staticmethod
    def differs_by_size(rows: Tensor, weight: Tensor, bias: Any = None) -> Tensor:
        return F.linear(rows, weight, bias) * (1 + 1e-6 * (len(rows) < WHOLE))

    @staticmethod
    def differs_by_place(rows: Tensor, weight: Tensor, bias: Any = None) -> Tensor:
        """Differ for narrow matrices, as some do."""
        place = torch.arange(len(rows), dtype=rows.dtype)[:, None] % 8
        return F.linear(rows, weight, bias) * (1 + 1e-6 * place * (len(weight) < 8))

    def sizes(self, function: Any, n_out: int) -> tuple[int, ...]:
        weight = drawn(n_out, 10)
        return BatchInvariant(WHOLE)._find_sizes(function, drawn(4, 10), weight, None)

    def test_they_are_given_whole_batches(self) -> None:
        assert self.sizes(self.differs_by_size, 20) == (WHOLE,)
        seen = []

        def function(rows: Tensor) -> Tensor:
            seen.append(len(rows))
            return 2 * rows

        rows = drawn(WHOLE + 3, 4)
        answers = batch_invariance._in_pieces(function, (WHOLE,), rows)
        assert torch.equal(answers, 2 * rows)
        assert seen == [WHOLE, WHOLE]

    def test_they_are_not_used_if_they_go_by_place(self) -> None:
        assert self.sizes(self.differs_by_place, 5) == ()
        assert self.sizes(self.differs_by_place, 16)[-1] == WHOLE

    def test_narrow_products_are_made_wider(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        layer = nn.Linear(10, 5).requires_grad_(False)
        rows = drawn(WHOLE, 10)
        find = BatchInvariant._find_sizes

        def by_place(self: Any, function: Any, *args: Any) -> tuple[int, ...]:
            return find(self, TestRoutinesThatDiffer.differs_by_place, *args)

        monkeypatch.setattr(BatchInvariant, "_find_sizes", by_place)
        monkeypatch.setattr(batch_invariance, "_known", {})
        with BatchInvariant(WHOLE):
            torch.testing.assert_close(layer(rows), layer(rows.clone()))
        shapes = [tuple(key[2]) for key in batch_invariance._known]
        assert shapes == [(5, 10), (16, 10)]

    @pytest.mark.parametrize("bias", [False, True])
    def test_only_the_last_columns_are_made_wider(
        self, bias: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        layer = nn.Linear(10, 37, bias=bias).requires_grad_(False)
        rows = drawn(9, 10)
        find = BatchInvariant._find_sizes

        def but_37(self: Any, function: Any, rows: Tensor, weight: Tensor, bias: Any):
            wide = len(weight) != 37
            return find(self, function, rows, weight, bias) if wide else ()

        monkeypatch.setattr(BatchInvariant, "_find_sizes", but_37)
        monkeypatch.setattr(batch_invariance, "_known", {})
        with BatchInvariant(WHOLE):
            found = layer(rows)
        assert found.is_contiguous()
        torch.testing.assert_close(found, layer(rows))
        shapes = [tuple(key[2]) for key in batch_invariance._known]
        assert shapes == [(37, 10), (32, 10), (16, 10)]


def test_random_numbers_are_left_alone() -> None:
    torch.manual_seed(3)
    expected = torch.randn(3)
    torch.manual_seed(3)
    batch_invariance._known.clear()
    with BatchInvariant(WHOLE):
        F.linear(drawn(2, 9), drawn(9, 9))
    assert torch.equal(torch.randn(3), expected)


SCRIPT = textwrap.dedent(
    """
    import json, warnings
    import numpy as np
    import pandas as pd
    from skautoencoder import *
    from skautoencoder.architectures import Conv, Dense

    warnings.simplefilter("ignore")
    random = np.random.RandomState(0)
    table, images = random.randn(150, 9), random.rand(150, 7, 6)
    wide = random.randn(150, 211)
    frame = pd.DataFrame(random.randn(150, 9).clip(0, 1)).add_prefix("x")
    frame["category"] = random.choice(["a", "b", "c"], 150)
    quick = {"max_epochs": 1, "random_state": 0}
    cases = [
        (AutoencoderTransformer(3, **quick), table, ["transform", "predict"]),
        (AutoencoderTransformer(5, architecture=Dense((401, 33), activation="elu"),
                                **quick), wide, ["transform", "score_samples"]),
        (AutoencoderTransformer(3, architecture=Conv((5, 7), activation="elu"),
                                **quick), images, ["transform", "predict"]),
        (DenoisingAutoencoder(code_size=3, **quick), table, ["predict"]),
        (AutoencoderOutlierDetector(**quick), table, ["score_samples", "explain"]),
        (AutoencoderOutlierDetector(novelty=True, **quick), images,
         ["decision_function"]),
        (VAESampler(n_importance_samples=5, **quick), table,
         ["transform", "predict", "score_samples"]),
        (VAESampler(**quick), images, ["transform", "predict"]),
        (VAESampler(**quick), frame, ["transform", "score_samples"]),
    ]
    different = []
    for estimator, X, methods in cases:
        estimator.fit(X[:64])
        for method in methods:
            answer = getattr(estimator, method)
            X_asked = X[:40] if method in ("score_samples", "explain") else X
            whole = answer(X_asked)
            for n, start in [(1, 0), (2, 5), (7, 0), (33, 5)]:
                if not np.array_equal(
                    answer(X_asked[start : start + n]), whole[start : start + n]
                ):
                    different.append([str(estimator), method, n, start])
    print(json.dumps(different))
    """
)


def test_all_estimators_on_processors_without_avx_512() -> None:
    """What they do on this one, the tests of each show."""
    instructions = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **instructions}
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == []
