"""What tests of the sampler's errors use: a fit refuses, and changes nothing."""

from __future__ import annotations

import copy
import functools
from typing import Any

import numpy as np
import pytest
import torch
from helpers import ROWS, weights_of
from refusals import assert_says

from skautoencoder import VAESampler
from skautoencoder.architectures import Dense

X = ROWS[:60]


def tiny(**params: Any) -> VAESampler:
    defaults = {
        "architecture": Dense((8,)),
        "code_size": 2,
        "n_importance_samples": 5,
        "max_epochs": 2,
        "random_state": 0,
    }
    return VAESampler(**{**defaults, **params})


@functools.cache
def _fitted_once() -> VAESampler:
    return tiny().fit(X)


def fitted_once() -> VAESampler:
    return copy.deepcopy(_fitted_once())


@functools.cache
def _answers_once() -> list[Any]:
    return unchanged(_fitted_once(), X)._answers()


class unchanged:
    """Asserts that a block leaves a fitted sampler as it found it."""

    def __init__(
        self, sampler: VAESampler, X: Any, known: list[Any] | None = None
    ) -> None:
        self.sampler, self.X, self.known = sampler, X, known

    def _answers(self) -> list[Any]:
        # With the parameters of the fit, as those set since may be invalid.
        sampler = copy.deepcopy(self.sampler)
        sampler.set_params(random_state=0, n_importance_samples=5, conditional=False)
        means, deviations = sampler.transform(self.X, return_std=True)
        return [
            means,
            deviations,
            sampler.score_samples(self.X),
            sampler.predict(self.X),
            sampler.sample(5, random_state=0),
        ]

    def __enter__(self) -> None:
        self.attributes = vars(self.sampler).copy()
        self.weights = copy.deepcopy(weights_of(self.sampler))
        self.answers = self.known or self._answers()

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if kind is not None:
            return
        now = vars(self.sampler)
        assert now.keys() == self.attributes.keys()
        for name, value in self.attributes.items():
            assert now[name] is value, name
        for name, weight in weights_of(self.sampler).items():
            assert torch.equal(weight, self.weights[name]), name
        for before, after in zip(self.answers, self._answers(), strict=True):
            np.testing.assert_array_equal(before, after)


def assert_fit_refuses(
    data: Any,
    kind: Any,
    *words: str,
    y: Any = None,
    also_fitted: bool = True,
    **params: Any,
) -> None:
    """Assert that `fit` raises, and leaves new and fitted samplers alone."""
    fresh = tiny(**params)
    before = vars(fresh).copy()
    with pytest.raises(kind) as caught:
        fresh.fit(data, y)
    assert_says(caught.value, words)
    assert vars(fresh) == before
    if not also_fitted:
        return
    fitted = fitted_once().set_params(**params)
    with unchanged(fitted, X, _answers_once()), pytest.raises(kind):
        fitted.fit(data, y)
