"""What a fit leaves on the estimator, and that parameters are documented."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np
import pytest
import torch
from fits import NORMAL, X, either
from helpers import (
    tiny_dense,
)
from sklearn.base import clone
from torch import nn

from skautoencoder import AutoencoderTransformer, ConvAutoencoderTransformer
from skautoencoder.architectures import Dense


@either
def test_fitted_attributes(make: Any) -> None:
    estimator = make(max_epochs=4).fit(X)
    assert estimator.n_iter_ == 4
    assert estimator.n_features_in_ == 64
    assert not hasattr(estimator, "feature_names_in_")
    assert isinstance(estimator.net_.module_, nn.Module)
    assert not estimator.net_.module_.training
    history = estimator.history_
    assert history[:, "epoch"] == [1, 2, 3, 4]
    losses = history[:, "train_loss"]
    assert all(type(loss) is float for loss in losses)
    assert losses[-1] < losses[0]
    assert all(seconds > 0 for seconds in history[:, "dur"])
    assert all(0 < lr <= 3e-3 for lr in history[:, "lr"])
    assert all("valid_loss" not in row for row in history)
    # Batches are not kept.
    assert all(row["batches"] == [{}] for row in history)


def test_train_loss_is_in_units_of_the_spread() -> None:
    # A network that has learned nothing yet answers with the mean.
    estimator = tiny_dense(lr=1e-12, architecture=Dense(()), max_epochs=1)
    module = copy.deepcopy(estimator).fit(NORMAL).net_.module_
    one = estimator.fit(NORMAL).history_[-1, "train_loss"]
    hundred = clone(estimator).fit(100 * NORMAL + 7).history_[-1, "train_loss"]
    assert one == pytest.approx(hundred, rel=1e-4)
    scaled = (NORMAL - NORMAL.mean(axis=0)) / np.sqrt(NORMAL.var(axis=0).mean())
    rows = torch.from_numpy(scaled).float()
    with torch.no_grad():
        expected = (module(rows) - rows).square().mean()
    assert one == pytest.approx(float(expected), rel=1e-4)


def test_parameters_are_keywords_with_constraints() -> None:
    for estimator in (AutoencoderTransformer, ConvAutoencoderTransformer):
        parameters = inspect.signature(estimator).parameters
        kinds = {p.kind for name, p in parameters.items() if name != "code_size"}
        assert kinds == {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD}
        constrained = set(estimator._parameter_constraints)
        assert constrained == set(parameters) - {"nested"}
