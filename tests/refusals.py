"""What tests of errors use: that a fit refuses, says why, and changes nothing."""

from __future__ import annotations

import copy
import functools
from typing import Any

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
    with unchanged(fitted, X), pytest.raises(kind):
        fitted.fit(bad)


def assert_says(error: BaseException, words: tuple[str, ...]) -> None:
    for word in words:
        assert word in str(error), f"{word!r} not in {error}"
