"""Names of features, data frames, pipelines, and how an estimator is shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from fits import X, either, fitted
from helpers import (
    DIGITS,
    IMAGES,
    tiny_conv,
    tiny_dense,
)
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline


@pytest.mark.parametrize(
    ("make", "prefix"),
    [(tiny_dense, "autoencodertransformer"), (tiny_conv, "convautoencodertransformer")],
)
@pytest.mark.parametrize("data", [X, IMAGES[:50]], ids=["flat", "images"])
def test_feature_names_out(make: Any, prefix: str, data: np.ndarray) -> None:
    names = make(max_epochs=1).fit(data).get_feature_names_out()
    assert list(names) == [f"{prefix}0", f"{prefix}1", f"{prefix}2"]
    assert names.dtype == object


@either
def test_set_output_pandas(make: Any) -> None:
    data = pd.DataFrame(X, index=[f"row{i}" for i in range(50)])
    data.columns = [f"pixel{i}" for i in range(64)]
    estimator = make().set_output(transform="pandas").fit(data)
    codes = estimator.transform(data)
    assert isinstance(codes, pd.DataFrame)
    assert list(codes.columns) == list(estimator.get_feature_names_out())
    assert list(codes.index) == list(data.index)
    assert_array_equal(codes.to_numpy(), fitted(make).transform(X))
    assert isinstance(
        make().set_output(transform="pandas").fit_transform(data), pd.DataFrame
    )
    # What transform returned goes back in.
    assert_array_equal(estimator.inverse_transform(codes), estimator.predict(data))


@either
def test_set_output_polars(make: Any) -> None:
    estimator = make().set_output(transform="polars").fit(X)
    codes = estimator.transform(X)
    assert isinstance(codes, pl.DataFrame)
    assert codes.columns == list(estimator.get_feature_names_out())
    assert_array_equal(codes.to_numpy(), fitted(make).transform(X))
    assert_array_equal(estimator.inverse_transform(codes), estimator.predict(X))


@either
def test_set_output_for_images(make: Any) -> None:
    codes = make().set_output(transform="pandas").fit_transform(IMAGES[:30])
    assert codes.shape == (30, 3)


@pytest.mark.parametrize(
    ("make", "data"), [(tiny_dense, X), (tiny_conv, X), (tiny_conv, IMAGES[:50])]
)
def test_as_a_step_of_a_pipeline(make: Any, data: np.ndarray) -> None:
    y, code = DIGITS.target[:50], make(8, max_epochs=15, lr=1e-2)
    pipeline = make_pipeline(code, LogisticRegression(max_iter=500))
    assert pipeline.fit(data, y).score(data, y) > 0.5
    assert pipeline[:1].get_feature_names_out()[0].endswith("transformer0")


@either
def test_representations(make: Any) -> None:
    estimator = make(optimizer__weight_decay=0.25)
    assert "optimizer__weight_decay=0.25" in repr(estimator)
    assert "weight_decay" in estimator._repr_html_()
    assert "net_" not in repr(estimator.fit(X))
