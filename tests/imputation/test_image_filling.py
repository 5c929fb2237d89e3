"""What a network is shown of images with holes, and what it is asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import ROWS

from skautoencoder._estimator.data_units import Scaling
from skautoencoder.imputation.feature_statistics import FeatureStatistics
from skautoencoder.imputation.images import ImageFilling


def filling_of(
    scale: float, seed: int = 0
) -> tuple[ImageFilling, np.ndarray, np.ndarray]:
    observed = np.random.RandomState(seed).rand(40, 64) < 0.8
    rows = np.where(observed, ROWS[:40], np.nan)
    statistics = FeatureStatistics.from_rows(rows, observed)
    return ImageFilling(statistics, Scaling(np.full(64, 0.5), scale)), rows, observed


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_the_mean_and_a_flag_stand_in_a_hole(scale: float) -> None:
    filling, rows, observed = filling_of(scale)
    values, flags = filling.shown(rows, observed).chunk(2, dim=1)
    filled = np.where(observed, rows, filling.statistics.mean)
    np.testing.assert_allclose(values, (filled - 0.5) / scale, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(flags, ~observed)
    background = (filling.statistics.mean - 0.5) / scale
    np.testing.assert_allclose(filling.background, background, rtol=1e-5, atol=1e-6)


def test_only_observed_pixels_are_asked_for() -> None:
    filling, rows, observed = filling_of(0.25)
    data = filling.rows_to_learn_from(rows, observed)
    assert data.targets is not None
    np.testing.assert_array_equal(data.targets.isnan(), ~observed)
    known = torch.from_numpy(observed)
    assert torch.equal(data.targets[known], data.rows[:, :64][known])


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_answers_come_back_in_units_of_the_data(scale: float) -> None:
    filling, rows, observed = filling_of(scale)
    filled = filling.fill(rows, observed, lambda shown: shown[:, :64])
    assert filled.dtype == np.float64
    expected = np.where(observed, rows, filling.statistics.mean)
    np.testing.assert_allclose(filled, expected, rtol=1e-5, atol=1e-6)
