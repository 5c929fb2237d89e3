"""Data that are odd but no error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import (
    answers,
    noise,
    tiny_conv,
    tiny_dense,
)
from refusals import either
from sklearn.decomposition import PCA

from skautoencoder.architectures import Dense


def odd_data() -> dict[str, np.ndarray]:
    ordinary = noise(80, 4) @ noise(4, 9, seed=1) + 0.1 * noise(80, 9, seed=2)
    constant = ordinary.copy()
    constant[:, [0, 4]] = 7.0
    return {
        "constant_columns": constant,
        "values_around_1e6": ordinary + 1e6,
        "values_of_1e6": ordinary * 1e6,
        "values_of_1e-6": ordinary * 1e-6,
        "duplicated_rows": np.repeat(ordinary[:8], 10, axis=0),
        "fewer_rows_than_a_batch": ordinary[:12],
        "three_rows": ordinary[:3],
    }


@pytest.mark.parametrize(
    ("make", "name", "dtype"),
    [
        *((tiny_dense, name, np.float64) for name in odd_data()),
        (tiny_dense, "values_around_1e6", np.float32),
        (tiny_dense, "values_of_1e6", np.float32),
        # Units are chosen in the same way for all networks.
        (tiny_conv, "values_around_1e6", np.float32),
    ],
)
def test_odd_data_give_useful_results(make: Any, name: str, dtype: Any) -> None:
    data = odd_data()[name].astype(dtype)
    max_epochs = 80 if len(data) > 20 else "auto"
    if make is tiny_dense:
        estimator = make(2, architecture=Dense((32,)), max_epochs=max_epochs)
    else:
        estimator = make(2, channels=(8, 16), max_epochs=30, lr=1e-2)
    estimator.fit(data)
    codes = estimator.transform(data)
    assert np.isfinite(codes).all()
    assert codes.std(axis=0).max() > 1e-3
    assert np.isfinite(estimator.predict(data)).all()
    assert np.isfinite(estimator.score_samples(data)).all()
    wide = data.astype(np.float64)
    line = PCA(1).fit(wide).explained_variance_ratio_.sum()
    if name == "three_rows":
        line = 0.25  # a line through three rows leaves little, the mean leaves all
    assert estimator.score(data) > line


@pytest.mark.parametrize("value", [0.0, 1.0, 0.5, -3.0, 1e6])
@either
def test_constant_data(make: Any, value: float) -> None:
    data = np.full((20, 9), value)
    estimator = make(max_epochs=10).fit(data)
    for answer in answers(estimator, data):
        assert np.isfinite(answer).all()
    # The mean is all that there is to learn.
    np.testing.assert_allclose(
        estimator.predict(data), data, rtol=1e-6, atol=0.02 if 0 <= value <= 1 else 0
    )
    assert estimator.score(data) in (0.0, 1.0)


@either
@pytest.mark.parametrize("n_rows", [2, 3, 33, 65])
def test_any_number_of_rows(make: Any, n_rows: int) -> None:
    estimator = make(max_epochs=2).fit(noise(n_rows, 9))
    assert np.isfinite(estimator.predict(noise(n_rows, 9))).all()
