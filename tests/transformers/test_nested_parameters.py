"""Nested parameters: they survive cloning and searching, and take effect."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from fits import X, either, has_convolutions
from helpers import (
    Recorder,
    assert_same_weights,
    tiny_dense,
)
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import GradientNormClipping

from skautoencoder.architectures import Conv, Dense

NESTED: dict[str, Any] = {
    "optimizer__weight_decay": 0.25,
    "optimizer__betas": (0.8, 0.9),
    "iterator_train__shuffle": False,
    "iterator_train__drop_last": True,
    "callbacks__clip__gradient_clip_value": 0.5,
}
OF_ARCHITECTURE = {"architecture__hidden_layer_sizes": (5,)}


def nested_of(make: Any) -> dict[str, Any]:
    return NESTED | OF_ARCHITECTURE if make is tiny_dense else NESTED


def make_nested(make: Any, **params: Any) -> Any:
    if make is tiny_dense:
        params.setdefault("architecture", "dense")
    params.setdefault("callbacks", [("clip", GradientNormClipping(1.0))])
    return make(**params)


def assert_takes_effect(estimator: Any, make: Any) -> None:
    net = estimator.fit(X).net_
    for group in net.optimizer_.param_groups:
        assert group["weight_decay"] == 0.25
        assert group["betas"] == (0.8, 0.9)
    assert dict(net.callbacks_)["clip"].gradient_clip_value == 0.5
    # Eighteen rows do not fill a batch of 32.
    assert estimator.history_[-1, "train_batch_count"] == 1
    if make is tiny_dense:
        assert net.module_.encoder[0].out_features == 5


@either
def test_nested_parameters_take_effect(make: Any) -> None:
    nested = nested_of(make)
    estimator = make_nested(make, **nested)
    assert_takes_effect(estimator, make)
    plain = make_nested(make)
    plain.fit(X)
    assert plain.net_.optimizer_.param_groups[0]["weight_decay"] == 0
    assert plain.history_[-1, "train_batch_count"] == 2
    assert plain.set_params(**nested) is plain
    assert_takes_effect(plain, make)
    assert_same_weights(plain, estimator)


@either
def test_nested_parameters_survive(make: Any) -> None:
    nested = nested_of(make)
    estimator = make_nested(make, **nested)
    copies = [
        clone(estimator),
        clone(clone(estimator)),
        copy.deepcopy(estimator),
        pickle.loads(pickle.dumps(estimator)),
        type(estimator)(**estimator.get_params(deep=False)),
        type(estimator)(**estimator.get_params()),
        make_nested(make).set_params(**nested),
    ]
    first = copies[0].fit(X)
    for each in copies[1:]:
        for deep in (False, True):
            params = each.get_params(deep=deep)
            assert {name: params[name] for name in nested} == nested
        assert_same_weights(each.fit(X), first)
    again = clone(estimator.fit(X))
    assert {name: again.get_params()[name] for name in nested} == nested


@either
def test_nested_parameters_change_with_set_params(make: Any) -> None:
    estimator = make(optimizer__weight_decay=0.25).fit(X)
    estimator.set_params(optimizer__weight_decay=0.5)
    assert estimator.get_params()["optimizer__weight_decay"] == 0.5
    # Like any parameter, it counts from the next fit on.
    assert estimator.net_.optimizer_.param_groups[0]["weight_decay"] == 0.25
    assert estimator.fit(X).net_.optimizer_.param_groups[0]["weight_decay"] == 0.5
    assert_same_weights(estimator, make(optimizer__weight_decay=0.5).fit(X))
    # A clone's are its own.
    clone(estimator).set_params(optimizer__weight_decay=0.0)
    assert estimator.get_params()["optimizer__weight_decay"] == 0.5


def test_nested_parameters_in_a_pipeline() -> None:
    pipeline = make_pipeline(StandardScaler(), tiny_dense())
    pipeline.set_params(
        autoencodertransformer__optimizer__weight_decay=0.25,
        autoencodertransformer__architecture__hidden_layer_sizes=(5,),
    )
    net = clone(pipeline).fit(X)[-1].net_
    assert net.optimizer_.param_groups[0]["weight_decay"] == 0.25
    assert net.module_.encoder[0].out_features == 5


def test_parameters_of_an_architecture_object() -> None:
    estimator = tiny_dense(architecture=Dense((9,)))
    assert estimator.get_params()["architecture__hidden_layer_sizes"] == (9,)
    assert "architecture__hidden_layer_sizes" not in estimator.get_params(deep=False)
    twin = clone(estimator)
    estimator.set_params(architecture__hidden_layer_sizes=(6,))
    assert estimator.architecture.hidden_layer_sizes == (6,)
    assert twin.architecture.hidden_layer_sizes == (9,)
    # A new object and its parameters can come in one call.
    estimator.set_params(architecture__channels=(2,), architecture=Conv())
    assert estimator.architecture.channels == (2,)
    assert has_convolutions(estimator.fit(X))
    with pytest.raises(ValueError, match="Invalid parameter 'hidden_sizes'"):
        estimator.set_params(architecture__hidden_sizes=(2,))


def test_the_order_of_rows_without_shuffling() -> None:
    class Rows(Recorder):
        def on_batch_end(self, net: Any, batch: Any, **kwargs: Any) -> None:
            self.said.append(batch[0].clone())

    def seen(**params: Any) -> np.ndarray:
        said: list[Any] = []
        tiny_dense(max_epochs=2, callbacks=[Rows(said)], **params).fit(X)
        return torch.cat(said).numpy()

    in_order = seen(iterator_train__shuffle=False)
    assert_array_equal(in_order, np.vstack([X, X]).astype(np.float32))
    shuffled = seen()
    assert not np.array_equal(shuffled[:50], shuffled[50:])
    assert not np.array_equal(shuffled[:50], in_order[:50])
    for part in (shuffled[:50], shuffled[50:]):
        assert_array_equal(np.sort(part, axis=0), np.sort(in_order[:50], axis=0))
    assert not np.array_equal(shuffled, seen(iterator_train__seed=99))
