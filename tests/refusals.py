"""What tests of errors use: that a fit refuses, says why, and changes nothing."""

from __future__ import annotations

import copy
import functools
from typing import Any

import numpy as np
import pytest
from helpers import (
    BOTH,
    ROWS,
    unchanged,
)

X = ROWS[:60]

either = pytest.mark.parametrize("make", BOTH)


@functools.cache
def _fitted_once(make: Any) -> Any:
    return make().fit(X)


def fitted_once(make: Any) -> Any:
    return copy.deepcopy(_fitted_once(make))


def assert_fit_refuses(
    make: Any, bad: Any, kind: type[Exception], *words: str, **params: Any
) -> None:
    """Assert that `fit` raises, and leaves new and fitted estimators alone."""
    fresh = make(**params)
    before = vars(fresh).copy()
    with pytest.raises(kind) as caught:
        fresh.fit(bad)
    assert_says(caught.value, words)
    assert vars(fresh) == before

    fitted = fitted_once(make).set_params(**params)
    with unchanged(fitted, X[:9]), pytest.raises(kind):
        fitted.fit(bad)


def assert_says(error: BaseException, words: tuple[str, ...]) -> None:
    for word in words:
        assert word in str(error), f"{word!r} not in {error}"


# Values that the parameters of training, which all estimators have, must refuse.
INVALID_IN_TRAINING: dict[str, list[Any]] = {
    "optimizer": ["adma", None, 3, dict],
    "lr": [0, -1e-3, "fast", None, np.inf, np.nan],
    "lr_schedule": ["one-cycle", None, 1],
    "batch_size": [0, -1, 2.5, "all", None],
    "max_epochs": [0, -1, 2.5, "many", None],
    "early_stopping": ["yes", None, 2],
    "validation_fraction": [0, 1, -0.1, 1.5, "tenth", None],
    "n_iter_no_change": [0, -1, 2.5, None],
    "tol": [-1e-4, "tight", None],
    "warm_start": ["yes", None, 2],
    "callbacks": ["clip", 3, [3], ["clip"]],
    "checkpoint": [1, True, ["folder"]],
    "device": [0, None],
    "precision": ["float16", 32, None],
    "verbose": [-1, "loud", None],
    "random_state": [-1, "seed", 0.5],
}
