from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skautoencoder import AutoencoderTransformer
from skautoencoder.architectures import Conv, Conv1d, Custom, Dense, Recurrent
from skautoencoder.training import inference
from skautoencoder.training.batch_invariance import BatchInvariant
from skautoencoder.training.inference import (
    apply_in_batches,
    batch_size_for,
    to_tensor,
)

N_SAMPLES, N_FEATURES = 1100, 36

# From products small enough for double precision to those that are not; odd
# widths, because kernels treat the rest of a division differently.
ARCHITECTURES = {
    "single": Dense(()),
    "small": Dense((17, 7), activation="elu", batch_norm=True),
    "tied": Dense((13,), tied_weights=True),
    "wide": Dense((700, 150)),
    "wider": Dense((1031,), activation="relu"),
    "conv": Conv((5, 7)),
    "pooled": Conv((8, 16), downsampling="max_pool", upsampling="nearest"),
    "residual": Conv((6, 6), residual=True, hidden_layer_sizes=(9,)),
    "transposed": Conv((3, 5), upsampling="transpose", activation="gelu"),
    "conv1d": Conv1d((3, 5)),
    "lstm": Recurrent(hidden_size=9),
    "gru": Recurrent("gru", hidden_size=5, n_layers=2, bidirectional=True),
}


def some_rows(dtype: Any = np.float64) -> np.ndarray:
    return np.random.RandomState(0).randn(N_SAMPLES, N_FEATURES).astype(dtype)


def fit(name: str) -> AutoencoderTransformer:
    return AutoencoderTransformer(
        7,
        architecture=ARCHITECTURES[name],
        sample_shape=(9, 4) if name in ("lstm", "gru") else None,
        max_epochs=1,
        random_state=0,
    ).fit(some_rows()[:64])


@pytest.fixture(scope="module", params=sorted(ARCHITECTURES))
def fitted(request: pytest.FixtureRequest) -> AutoencoderTransformer:
    return fit(request.param)


def outputs(
    autoencoder: AutoencoderTransformer, rows: np.ndarray
) -> dict[str, np.ndarray]:
    codes = autoencoder.transform(rows)
    return {
        "transform": codes,
        "inverse_transform": autoencoder.inverse_transform(codes),
        "predict": autoencoder.predict(rows),
        "score_samples": autoencoder.score_samples(rows),
    }


@pytest.fixture(scope="module")
def whole(fitted: AutoencoderTransformer) -> dict[str, np.ndarray]:
    return outputs(fitted, some_rows())


def test_a_rows_results_are_the_same_bits_whatever_stands_around_it(
    fitted: AutoencoderTransformer,
) -> None:
    rows = some_rows(np.float32)  # float64 below
    whole = outputs(fitted, rows)
    order = np.random.RandomState(1).permutation(len(rows))
    sizes = (1, 7, 33, 257)
    for part in [*(slice(n // 2, n // 2 + n) for n in sizes), order[1:]]:
        for name, piece in outputs(fitted, rows[part]).items():
            np.testing.assert_array_equal(piece, whole[name][part], err_msg=name)


def test_single_rows_are_the_same_bits(
    fitted: AutoencoderTransformer, whole: dict[str, np.ndarray]
) -> None:
    rows = some_rows()
    for i in (3, 1023, 1024, N_SAMPLES - 1):
        for name, piece in outputs(fitted, rows[i : i + 1]).items():
            np.testing.assert_array_equal(piece[0], whole[name][i], err_msg=name)


def test_equal_rows_have_equal_results(fitted: AutoencoderTransformer) -> None:
    rows = np.tile(some_rows()[:1], (N_SAMPLES, 1))
    for name, values in outputs(fitted, rows).items():
        assert (values == values[:1]).all(), name


@pytest.mark.parametrize("fitted", ["small", "conv"], indirect=True)
def test_the_layout_of_the_array_does_not_count(
    fitted: AutoencoderTransformer,
) -> None:
    rows = some_rows()[:40]
    expected = outputs(fitted, rows)
    read_only = rows.copy()
    read_only.flags.writeable = False
    spread = np.zeros((80, 3 * N_FEATURES))
    spread[::2, ::3] = rows
    layouts = {
        "Fortran": np.asfortranarray(rows),
        "read-only": read_only,
        "negative strides": rows[::-1, ::-1].copy()[::-1, ::-1],
        "strided": spread[::2, ::3],
        "other byte order": rows.astype(rows.dtype.newbyteorder()),
        "list": rows.tolist(),
    }
    for layout, given in layouts.items():
        for name, values in outputs(fitted, given).items():
            np.testing.assert_array_equal(values, expected[name], err_msg=layout)


def test_rows_that_are_one_row_repeated_without_memory(
    fitted: AutoencoderTransformer,
) -> None:
    row = some_rows()[0]
    repeated = fitted.transform(np.broadcast_to(row, (5, N_FEATURES)))
    np.testing.assert_array_equal(repeated, np.tile(fitted.transform([row]), (5, 1)))


def test_results_are_those_of_the_network(
    fitted: AutoencoderTransformer, whole: dict[str, np.ndarray]
) -> None:
    rows = some_rows()
    network, scaling = fitted.net_.module_, fitted.trained_network.scaling
    with torch.no_grad():
        units = scaling.to_network(rows)
        codes, answers = network.encode(units).numpy(), network(units).numpy()
    np.testing.assert_allclose(whole["transform"], codes, atol=1e-5)
    np.testing.assert_allclose(
        whole["predict"], answers * scaling.scale + scaling.offset, atol=1e-5
    )


def test_applying_changes_nothing(fitted: AutoencoderTransformer) -> None:
    rows = some_rows()[:30]
    rows_before = rows.copy()
    network = fitted.net_.module_
    state = {name: value.clone() for name, value in network.state_dict().items()}
    attributes = vars(fitted).copy()
    outputs(fitted, rows)
    np.testing.assert_array_equal(rows, rows_before)
    assert vars(fitted) == attributes
    assert not network.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, state[name])


def test_results_belong_to_the_caller(fitted: AutoencoderTransformer) -> None:
    rows = some_rows()[:5]
    codes = fitted.transform(rows)
    expected = codes.copy()
    codes[:] = 0
    np.testing.assert_array_equal(fitted.transform(rows), expected)


class Product(nn.Linear):
    """Multiplies without the help of a layer."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return (rows @ self.weight.t() + self.bias).tanh()


class Keywords(nn.Linear):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return F.linear(rows, weight=self.weight, bias=self.bias)


@pytest.mark.parametrize("kind", [Product, Keywords])
@pytest.mark.parametrize("code_size", [1, 7])
def test_custom_modules_with_products_of_their_own(
    kind: type[nn.Linear], code_size: int
) -> None:
    autoencoder = AutoencoderTransformer(
        architecture=Custom(
            lambda: kind(N_FEATURES, code_size), lambda: kind(code_size, N_FEATURES)
        ),
        max_epochs=1,
        random_state=0,
    ).fit(some_rows()[:64])
    rows = some_rows()
    whole = outputs(autoencoder, rows)
    for name, values in outputs(autoencoder, rows[::-1]).items():
        np.testing.assert_array_equal(values[::-1], whole[name], err_msg=name)
    for name, values in outputs(autoencoder, rows[5:6]).items():
        np.testing.assert_array_equal(values, whole[name][5:6], err_msg=name)


class TestBatchSize:
    @pytest.mark.parametrize("work", [1.0, 1e5, 1e7, 1e9, 1e12])
    @pytest.mark.parametrize("n_numbers", [1, 784, 2**20])
    def test_it_is_a_power_of_two_within_bounds(
        self, work: float, n_numbers: int
    ) -> None:
        size = batch_size_for(work, n_numbers)
        assert size in {16, 32, 64, 128, 256, 512, 1024}
        if size < 1024:  # one more doubling would have been too much
            assert 2 * size * work > 1e9 or 2 * size * n_numbers > 2**22
        if size > 16:
            assert size * work <= 1e9
            assert size * n_numbers <= 2**22

    def test_small_networks_get_the_largest_batch(self) -> None:
        assert batch_size_for(1e4, 784) == 1024


class TestApplyInBatches:
    def test_extra_work_makes_batches_smaller_but_not_what_passes_through(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A row may be decoded many times: that are many rows for the decoder."""
        full: list[int] = []

        class Noting(BatchInvariant):
            def __init__(self, whole: int) -> None:
                full.append(whole)
                super().__init__(whole)

        monkeypatch.setattr(inference, "BatchInvariant", Noting)
        seen: list[int] = []

        def decode(batch: torch.Tensor) -> torch.Tensor:
            seen.append(len(batch))
            return batch

        apply_in_batches(
            nn.Linear(1, 1),
            decode,
            lambda part: torch.zeros(part.stop - part.start, 1),
            lambda part, result: None,
            n_samples=100,
            n_features=1,
            n_numbers=1,
            work=1e6,
            extra_work=3e7,
            at_once=True,
        )
        assert seen == [32, 32, 32, 4]
        assert full == [64] * 4

    def apply(self, n_samples: int) -> tuple[list[slice], list[int], np.ndarray]:
        rows = torch.arange(float(n_samples)).reshape(-1, 1)
        network = nn.Linear(1, 1)
        seen: list[int] = []
        parts: list[slice] = []
        results = np.full(n_samples, np.nan)

        def double(batch: torch.Tensor) -> torch.Tensor:
            assert torch.is_inference_mode_enabled()
            seen.append(len(batch))
            return 2 * batch

        def write(part: slice, result: torch.Tensor) -> None:
            parts.append(part)
            results[part] = result[:, 0].numpy()

        apply_in_batches(
            network,
            double,
            lambda part: rows[part],
            write,
            n_samples=n_samples,
            n_features=1,
            n_numbers=2**16,  # batches of 64
            work=1.0,
        )
        return parts, seen, results

    @pytest.mark.parametrize("n_samples", [1, 63, 64, 65, 200])
    def test_rows_are_read_and_written_once_in_order(self, n_samples: int) -> None:
        parts, seen, results = self.apply(n_samples)
        np.testing.assert_array_equal(results, 2.0 * np.arange(n_samples))
        assert [p.start for p in parts] == list(range(0, n_samples, 64))
        assert parts[-1].stop == n_samples
        assert set(seen) == {64}, "every call sees the same number of rows"


class TestSeveralThreads:
    """Each with a batch of its own, if they may and it is worth it."""

    def apply(self, function: Any, n_samples: int = 1000, **params: Any) -> np.ndarray:
        rows = torch.arange(float(n_samples)).reshape(-1, 1)
        results = np.full(n_samples, np.nan)

        def write(part: slice, result: torch.Tensor) -> None:
            results[part] = result[:, 0].numpy()

        apply_in_batches(
            nn.Linear(1, 1),
            function,
            lambda part: rows[part],
            write,
            n_samples=n_samples,
            n_features=1,
            n_numbers=1,
            **{"work": 1e9, "at_once": True, **params},
        )
        return results

    @pytest.mark.parametrize("n_samples", [0, 1, 15, 16, 17, 1000])
    def test_every_row_is_answered(self, n_samples: int) -> None:
        before = torch.get_num_threads()
        results = self.apply(lambda batch: 2 * batch, n_samples)
        np.testing.assert_array_equal(results, 2.0 * np.arange(n_samples))
        assert torch.get_num_threads() == before

    @pytest.mark.parametrize(
        ("params", "several", "n_threads"),
        [
            ({}, True, 1),
            ({"work": 1.0}, False, 1),
            ({"work": 1.0, "at_once": False}, False, 1),
            # Those of the user's own have torch's threads where they are large.
            ({"at_once": False}, False, 2),
        ],
    )
    def test_they_compute_alone(
        self, params: dict[str, Any], several: bool, n_threads: int
    ) -> None:
        before = torch.get_num_threads()
        seen: set[tuple[bool, int]] = set()

        def function(batch: torch.Tensor) -> torch.Tensor:
            assert torch.is_inference_mode_enabled()
            is_main = threading.current_thread() is threading.main_thread()
            seen.add((is_main, torch.get_num_threads()))
            return batch

        torch.set_num_threads(2)
        try:
            self.apply(function, **params)
        finally:
            torch.set_num_threads(before)
        assert seen == {(not several, n_threads)}

    def test_an_error_is_the_caller_s_and_ends_the_rest(self) -> None:
        n_calls = 0

        def fails(batch: torch.Tensor) -> torch.Tensor:
            nonlocal n_calls
            n_calls += 1
            raise ValueError("no answer")

        before = torch.get_num_threads()
        with pytest.raises(ValueError, match="no answer"):
            self.apply(fails, 100_000)
        assert n_calls < 100_000 / 16
        assert torch.get_num_threads() == before

    @pytest.mark.parametrize(
        "name", ["tied", "wide", "wider", "conv", "residual", "conv1d", "lstm"]
    )
    def test_their_number_does_not_change_a_bit(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        autoencoder = fit(name)
        monkeypatch.setattr(inference, "is_large", lambda work: True)
        before = torch.get_num_threads()
        answers = []
        try:
            for n_threads in (1, 3):
                torch.set_num_threads(n_threads)
                answers.append(outputs(autoencoder, some_rows()))
        finally:
            torch.set_num_threads(before)
        one, other = answers
        for kind, values in one.items():
            np.testing.assert_array_equal(other[kind], values, err_msg=kind)

    def test_modules_of_one_s_own_are_asked_by_one_thread(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: set[threading.Thread] = set()

        class Asks(nn.Linear):
            def forward(self, rows: torch.Tensor) -> torch.Tensor:
                asked.add(threading.current_thread())
                return super().forward(rows)

        autoencoder = AutoencoderTransformer(
            architecture=Custom(Asks(N_FEATURES, 3), nn.Linear(3, N_FEATURES)),
            max_epochs=1,
            random_state=0,
        ).fit(some_rows()[:64])
        monkeypatch.setattr(inference, "is_large", lambda work: True)
        autoencoder.predict(some_rows())
        assert asked == {threading.main_thread()}


class TestToTensor:
    def test_memory_is_shared_where_it_may_be(self) -> None:
        array = np.arange(6.0).reshape(2, 3)
        assert to_tensor(array).data_ptr() == array.ctypes.data

    def test_read_only_arrays_are_copied(self) -> None:
        array = np.arange(6.0)
        array.flags.writeable = False
        tensor = to_tensor(array)
        tensor += 1
        np.testing.assert_array_equal(array, np.arange(6.0))

    def test_negative_strides_are_understood(self) -> None:
        array = np.arange(6.0).reshape(2, 3)[::-1, ::-1]
        np.testing.assert_array_equal(to_tensor(array).numpy(), array)
