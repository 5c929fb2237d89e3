from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import noise
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skautoencoder import AutoencoderTransformer, channels_first, channels_last


def test_arrays_there_and_back() -> None:
    X = noise(5, 3, 8)
    turned = channels_last(X)
    np.testing.assert_array_equal(turned, X.transpose(0, 2, 1))
    np.testing.assert_array_equal(channels_first(turned), X)
    rows = noise(5, 8)
    np.testing.assert_array_equal(channels_last(rows), rows[:, :, np.newaxis])
    np.testing.assert_array_equal(channels_first(rows), rows[:, np.newaxis])


def boxed(X: list[Any]) -> Any:
    array = np.empty(len(X), dtype=object)
    array[:] = X
    return array


@pytest.mark.parametrize("kind", [list, tuple, boxed])
def test_lists_of_different_lengths(kind: Any) -> None:
    X = [noise(2, n) for n in (4, 6, 3)]
    turned = channels_last(kind(X))
    assert [x.shape for x in turned] == [(4, 2), (6, 2), (3, 2)]
    for one, other in zip(channels_first(turned), X, strict=True):
        np.testing.assert_array_equal(one, other)
    assert [x.shape for x in channels_last([noise(4), noise(5)])] == [(4, 1), (5, 1)]
    assert [x.shape for x in channels_first([noise(4), noise(5)])] == [(1, 4), (1, 5)]


def test_a_pipeline_for_aeon_s_collections() -> None:
    X = [noise(2, n, seed=n) for n in (4, 6, 3, 6)]
    pipeline = make_pipeline(
        FunctionTransformer(
            channels_last, inverse_func=channels_first, check_inverse=False
        ),
        AutoencoderTransformer(2, architecture="conv1d", max_epochs=1, random_state=0),
    ).fit(X)
    decoded = pipeline.inverse_transform(pipeline.transform(X))
    assert [x.shape for x in decoded] == [x.shape for x in X]


@pytest.mark.parametrize("turn", [channels_last, channels_first])
def test_what_is_no_sequence(turn: Any) -> None:
    with pytest.raises(ValueError, match=r"with the samples as first axis.* \(4,\)"):
        turn(noise(4))
    with pytest.raises(ValueError, match=r"a list must have the shape .*\(2, 3, 4\)"):
        turn([noise(2, 3, 4)])
