from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.datasets import load_digits
from sklearn.preprocessing import MinMaxScaler

from skautoencoder import AutoencoderTransformer
from skautoencoder._estimator.array_statistics import is_in_unit_range, mean_and_spread
from skautoencoder._estimator.data_units import Scaling
from skautoencoder._estimator.sample_validation import (
    check_samples,
    resolve_sample_shape,
)
from skautoencoder.architectures import Dense


class Asked(BaseEstimator):
    """An estimator that knows the features of its samples."""


FITTED_SHAPES = (3, 4), (1, 3, 4)


class TestCheckSamples:
    @pytest.mark.parametrize("shape", [(5, 12), (5, 3, 4), (5, 2, 3, 2), (5, 12, 1)])
    def test_samples_of_any_rank_become_rows(self, shape: tuple[int, ...]) -> None:
        X = np.arange(60.0).reshape(shape)
        estimator = Asked()
        rows, data_shape = check_samples(estimator, X, fitted_shapes=None)
        np.testing.assert_array_equal(rows, X.reshape(5, 12))
        assert data_shape == shape[1:]
        assert estimator.n_features_in_ == 12

    @pytest.mark.parametrize("finite", [True, "allow-nan", False])
    @pytest.mark.parametrize("bad", [None, np.nan, np.inf])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_arrays_as_in_fit_are_checked_like_any_others(
        self, finite: Any, bad: float | None, dtype: Any
    ) -> None:
        X = np.ones((2, 3, 4), dtype=dtype)
        estimator = Asked()
        estimator.n_features_in_ = 12
        if bad is not None:
            X[1, 2, 3] = bad

        def answer(given: Any) -> Any:
            try:
                return check_samples(
                    estimator,
                    given,
                    fitted_shapes=FITTED_SHAPES,
                    ensure_all_finite=finite,
                )[0]
            except ValueError as error:
                return str(error)

        # Memory of another type, so that scikit-learn looks at it.
        expected = answer(X.astype(X.dtype.newbyteorder()))
        np.testing.assert_array_equal(answer(X), expected)

    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            (np.float32, np.float32),
            (np.float64, np.float64),
            (np.int64, np.float64),
            (np.float16, np.float64),
            (bool, np.float64),
        ],
    )
    def test_types(self, given: Any, kept: Any) -> None:
        rows, _ = check_samples(
            Asked(), np.ones((3, 2), dtype=given), fitted_shapes=None
        )
        assert rows.dtype == kept

    def test_names_of_frames_are_kept(self) -> None:
        estimator = Asked()
        frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
        rows, data_shape = check_samples(estimator, frame, fitted_shapes=None)
        assert data_shape == (2,)
        assert estimator.feature_names_in_.tolist() == ["a", "b"]
        np.testing.assert_array_equal(rows, frame.to_numpy())

    @pytest.mark.parametrize("shape", [(2, 12), (2, 3, 4), (2, 1, 3, 4)])
    def test_later_samples_may_be_flat_or_in_either_shape(
        self, shape: tuple[int, ...]
    ) -> None:
        estimator = Asked()
        check_samples(estimator, np.zeros((5, 3, 4)), fitted_shapes=None)
        rows, _ = check_samples(estimator, np.ones(shape), fitted_shapes=FITTED_SHAPES)
        assert rows.shape == (2, 12)

    @pytest.mark.parametrize("shape", [(2, 4, 3), (2, 2, 6), (2, 3, 4, 1), (2, 3, 5)])
    def test_but_not_in_another_shape(self, shape: tuple[int, ...]) -> None:
        estimator = Asked()
        check_samples(estimator, np.zeros((5, 3, 4)), fitted_shapes=None)
        with pytest.raises(
            ValueError, match=r"\(3, 4\) or \(1, 3, 4\), as seen in fit"
        ):
            check_samples(estimator, np.ones(shape), fitted_shapes=FITTED_SHAPES)

    def test_another_number_of_features(self) -> None:
        estimator = Asked()
        check_samples(estimator, np.zeros((5, 12)), fitted_shapes=None)
        with pytest.raises(ValueError, match="11 features.*expecting 12 features"):
            check_samples(estimator, np.ones((2, 11)), fitted_shapes=FITTED_SHAPES)

    @pytest.mark.parametrize("shape", [(3, 0, 4), (3, 4, 0)])
    def test_samples_without_pixels(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match="which are empty"):
            check_samples(Asked(), np.zeros(shape), fitted_shapes=None)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_not_finite(self, bad: float) -> None:
        X = np.zeros((3, 2, 2))
        X[1, 0, 1] = bad
        with pytest.raises(ValueError, match="NaN|infinity"):
            check_samples(Asked(), X, fitted_shapes=None)

    def test_too_few(self) -> None:
        with pytest.raises(ValueError, match="minimum of 2"):
            check_samples(
                Asked(), np.zeros((1, 3)), fitted_shapes=None, ensure_min_samples=2
            )


class TestResolveSampleShape:
    def test_none_is_the_shape_of_the_data(self) -> None:
        assert resolve_sample_shape(None, (3, 4)) == (3, 4)

    @pytest.mark.parametrize("given", [(3, 4), [3, 4], np.array([3, 4])])
    def test_a_shape_with_as_many_values(self, given: Any) -> None:
        shape = resolve_sample_shape(given, (12,))
        assert shape == (3, 4)
        assert all(type(n) is int for n in shape)

    def test_another_number_of_values(self) -> None:
        message = r"sample_shape=\(28, 28\) has 784 values, but X has 64 features"
        with pytest.raises(ValueError, match=message):
            resolve_sample_shape((28, 28), (64,))

    @pytest.mark.parametrize("bad", [(), (8.0, 8.0), (-8, -8), (0, 64), ("8", "8")])
    def test_what_is_no_shape(self, bad: Any) -> None:
        with pytest.raises(ValueError, match="tuple of positive integers"):
            resolve_sample_shape(bad, (64,))


class TestUnitRange:
    @pytest.mark.parametrize(
        ("low", "high", "expected"),
        [(0, 1, True), (0.2, 0.3, True), (-0.01, 1, False), (0, 1.01, False)],
    )
    def test_by_extremes(self, low: float, high: float, expected: bool) -> None:
        assert is_in_unit_range(np.array([[low, high]])) is expected

    def test_the_rounding_of_a_scaler_is_forgiven(self) -> None:
        X = np.random.RandomState(0).randn(1000, 30) * 1e3
        assert is_in_unit_range(MinMaxScaler().fit_transform(X))
        assert is_in_unit_range(np.array([[0.0, 1.0000000000000002]]))


@functools.cache
def score_in(unit: float, shift: float) -> float:
    X = unit * (load_digits().data[:100] / 16 + shift)
    autoencoder = AutoencoderTransformer(
        10, architecture=Dense((32,)), lr=1e-2, max_epochs=20, random_state=0
    )
    return autoencoder.fit(X).score(X)


@pytest.mark.parametrize("unit", [1e-1, 1e-2, 1e-7])
@pytest.mark.parametrize("shift", [0.0, -0.5])
def test_the_unit_of_measurement_does_not_decide_what_is_learnt(
    unit: float, shift: float
) -> None:
    # Values from 0 to 0.01 lie in [0, 1] too, but do not fill it.
    assert score_in(unit, shift) > score_in(1.0, shift) - 0.15


class TestMeanAndSpread:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("n_samples", [2, 4096, 9000])
    def test_by_numpy(self, n_samples: int, dtype: Any) -> None:
        rng = np.random.RandomState(0)
        rows = (rng.randn(n_samples, 3) * [1, 10, 100] + [5, -7, 0]).astype(dtype)
        mean, spread = mean_and_spread(rows)
        exact = rows.astype(np.float64)
        np.testing.assert_allclose(mean, exact.mean(0), rtol=1e-10)
        assert spread == pytest.approx(np.sqrt(exact.var(0).mean()), rel=1e-10)

    def test_a_large_mean_does_not_drown_the_spread(self) -> None:
        rows = np.random.RandomState(0).randn(500, 2)
        _, spread = mean_and_spread(rows + 1e6)
        assert spread == pytest.approx(mean_and_spread(rows)[1], rel=1e-6)

    @pytest.mark.parametrize("value", [0.0, 0.1, 1e6, -3e-20])
    def test_constant_data_are_divided_by_one(self, value: float) -> None:
        mean, spread = mean_and_spread(np.full((100, 3), value))
        assert spread == 1.0
        np.testing.assert_allclose(mean, value, rtol=1e-12)

    @pytest.mark.parametrize("scale", [1e-12, 1e-3, 1e3, 1e12])
    def test_it_scales_with_the_data(self, scale: float) -> None:
        rows = np.random.RandomState(0).randn(200, 4) + 1
        _, spread = mean_and_spread(rows)
        assert mean_and_spread(scale * rows)[1] == pytest.approx(scale * spread)

    def test_read_only_rows(self) -> None:
        rows = np.random.RandomState(0).randn(20, 4)
        expected = mean_and_spread(rows)[1]
        rows.flags.writeable = False
        assert mean_and_spread(rows)[1] == expected


class TestScaling:
    @settings(deadline=None, max_examples=40, derandomize=True)
    @given(
        offset=st.floats(-1e6, 1e6),
        scale=st.floats(1e-6, 1e6),
        dtype=st.sampled_from([np.float32, np.float64]),
    )
    def test_there_and_back(self, offset: float, scale: float, dtype: Any) -> None:
        units = np.linspace(-2, 2, 12).reshape(4, 3)
        rows = (units * scale + offset).astype(dtype)
        scaling = Scaling(np.full(3, offset), scale)
        tensor = scaling.to_network(rows)
        assert tensor.dtype == torch.float32
        back = scaling.to_data(tensor, rows.dtype)
        assert back.dtype == dtype
        rounding = 4 * np.finfo(dtype).eps * abs(offset)
        np.testing.assert_allclose(back, rows, rtol=2e-6, atol=1e-6 * scale + rounding)

    def test_by_the_formula(self) -> None:
        rows = np.array([[1.0, 20.0], [3.0, 10.0]])
        scaling = Scaling(np.array([2.0, 15.0]), 5.0)
        expected = [[-0.2, 1.0], [0.2, -1.0]]
        np.testing.assert_allclose(scaling.to_network(rows), expected, rtol=1e-6)

    def test_small_differences_of_large_numbers_survive(self) -> None:
        # Rounded to float32 first, both rows would be the same number.
        rows = np.array([[1e8], [1e8 + 1]])
        units = Scaling(np.array([1e8]), 1.0).to_network(rows)
        assert units.tolist() == [[0.0], [1.0]]

    def test_without_an_offset_nothing_changes(self) -> None:
        rows = np.random.RandomState(0).rand(5, 3).astype(np.float32)
        tensor = Scaling().to_network(rows)
        np.testing.assert_array_equal(tensor, rows)
        np.testing.assert_array_equal(Scaling().to_data(tensor, rows.dtype), rows)
        assert Scaling().to_data(tensor, np.dtype(np.float64)).dtype == np.float64

    @pytest.mark.parametrize("n_samples", [1, 4096, 4097, 10000])
    def test_in_parts_it_is_the_same(self, n_samples: int) -> None:
        rows = np.random.RandomState(0).randn(n_samples, 3)
        for scaling in (Scaling(), Scaling(rows.mean(0), 2.5)):
            assert torch.equal(
                scaling.to_network_in_parts(rows), scaling.to_network(rows)
            )

    def test_the_users_rows_are_not_written_to(self) -> None:
        rows = np.random.RandomState(0).randn(6, 3).astype(np.float32)
        before = rows.copy()
        scaling = Scaling(rows.mean(0).astype(np.float64), 2.0)
        scaling.to_network(rows)
        scaling.to_data(scaling.to_network(rows), rows.dtype)
        np.testing.assert_array_equal(rows, before)
