"""Values and names of parameters that are refused, and in which words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import (
    tiny_conv,
    tiny_dense,
    unchanged,
)
from refusals import (
    INVALID_IN_TRAINING,
    X,
    assert_fit_refuses,
    assert_says,
    either,
    fitted_once,
)
from sklearn.utils._param_validation import InvalidParameterError

from skautoencoder import AutoencoderTransformer, ConvAutoencoderTransformer
from skautoencoder.architectures import Conv, Dense
from skautoencoder.objectives import L1

# Every parameter of a constructor is here, with values that it must refuse.
SHARED: dict[str, list[Any]] = {
    "code_size": [0, -1, 2.5, "big", True],
    "ordered": ["yes", None, 2],
    "n_init": [0, -1, 2.5, "many", None, True],
    "sample_shape": [64, "8x8"],
    "loss": ["ms", None, 1],
    "sparsity": ["l2", 0.1, True],
    "sparsity_weight": [-1e-4, "small", None, np.inf, np.nan],
    "sparsity_target": [0, 1, 1.5, "low", None],
    "n_nonzero_coefs": [0, -1, 2.5, "few", True],
    "contraction_weight": [-1e-4, "small", None, np.inf, np.nan],
    "penalty": ["l3", 0.1, L1, ["l3"], [None]],
    **INVALID_IN_TRAINING,
}
OF_CONV: dict[str, list[Any]] = {
    "channels": [8, "8", (), (0,), (8, -8), (8.0,), (True,)],
    "kernel_size": [0, -1, 2.5, (3, 3), None],
    "n_downsamplings": [-1, 1.5, "all"],
    "activation": ["rellu", None, 1],
    "downsampling": ["maxpool", None],
    "upsampling": ["bilinear", None],
    "upsampling_kernel_size": [1, 0, 2.5, None],
    "residual": ["yes", None, 2],
    "batch_norm": ["yes", None, 2],
    "hidden_layer_sizes": [8, "8", (0,), (8.0,)],
    "code_activation": ["rellu", None],
    "output_activation": ["relu", None],
}
# Not of ConvAutoencoderTransformer.
OF_CONV_ALONE: dict[str, list[Any]] = {"skip_connections": ["yes", None]}
OF_DENSE: dict[str, list[Any]] = {
    "hidden_layer_sizes": [8, "8", (0,), (8, -8), (8.0,), (True,)],
    "activation": ["rellu", None],
    "code_activation": ["rellu", None],
    "code_batch_norm": ["yes", None],
    "output_activation": ["relu", None],
    "batch_norm": ["yes", None],
    "dropout": [-0.1, 1.0, "some", None],
    "tied_weights": ["yes", None],
}
INVALID = {
    AutoencoderTransformer: SHARED | {"architecture": ["denes", None, 3, Dense]},
    ConvAutoencoderTransformer: SHARED | OF_CONV,
}


LISTS = ("callbacks", "penalty")


def each(invalid: dict[str, list[Any]]) -> list[Any]:
    return [
        pytest.param(name, value, id=f"{name}={value!r}")
        for name, values in invalid.items()
        for value in values
    ]


@pytest.mark.parametrize("estimator", INVALID)
def test_every_parameter_has_an_invalid_value_here(estimator: Any) -> None:
    assert estimator().get_params(deep=False).keys() == INVALID[estimator].keys()
    assert Conv().get_params().keys() == OF_CONV.keys() | OF_CONV_ALONE.keys()
    assert Dense().get_params().keys() == OF_DENSE.keys()


def assert_parameter_refused(make: Any, name: str, value: Any, **params: Any) -> None:
    fresh = make(**params)
    with pytest.raises((InvalidParameterError, ValueError, TypeError)) as caught:
        fresh.fit(X)
    # Which parameter, and what came.
    assert name in str(caught.value)
    # Of a list, the element that is not what it should be.
    came = value[0] if isinstance(value, list) and name in LISTS else value
    shown = getattr(came, "__name__", repr(came))
    assert shown in str(caught.value).replace("np.float64", "")
    assert not hasattr(fresh, "net_")

    fitted = fitted_once(make).set_params(**params)
    with unchanged(fitted, X[:9]), pytest.raises((ValueError, TypeError)):
        fitted.fit(X)


@pytest.mark.parametrize(("name", "value"), each(INVALID[AutoencoderTransformer]))
def test_invalid_parameter(name: str, value: Any) -> None:
    assert_parameter_refused(tiny_dense, name, value, **{name: value})


@pytest.mark.parametrize(("name", "value"), each(OF_CONV))
def test_invalid_parameter_of_conv(name: str, value: Any) -> None:
    assert_parameter_refused(tiny_conv, name, value, **{name: value})


@pytest.mark.parametrize(("name", "value"), each(OF_CONV_ALONE))
def test_invalid_parameter_of_conv_alone(name: str, value: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=name):
        tiny_dense(architecture=Conv(**{name: value})).fit(X)


@pytest.mark.parametrize(("name", "value"), each(OF_DENSE))
def test_invalid_parameter_of_an_architecture(name: str, value: Any) -> None:
    architecture = Dense(**{name: value})
    with pytest.raises((ValueError, TypeError), match=name):
        tiny_dense(architecture=architecture).fit(X)
    nested = {f"architecture__{name}": value}
    with pytest.raises((ValueError, TypeError), match=name):
        AutoencoderTransformer(architecture="dense", max_epochs=1, **nested).fit(X)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("code_size", 0, "[1, inf)"),
        ("code_size", -1, "[1, inf)"),
        ("code_size", 2.5, "an int"),
        ("code_size", "big", "an int"),
        ("batch_size", 2.5, "'auto'"),
        ("max_epochs", "many", "'auto'"),
        ("lr", 0, "(0.0, inf)"),
        ("validation_fraction", 1, "(0.0, 1.0)"),
        ("sparsity", "l2", "'kl', 'l1'"),
        ("early_stopping", "yes", "bool"),
        ("precision", "float16", "bfloat16"),
    ],
)
@either
def test_the_message_says_what_is_allowed(
    make: Any, name: str, value: Any, allowed: str
) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        make(**{name: value}).fit(X)
    message = str(caught.value)
    # Options stand in a set, whose order is any.
    parts = allowed.split(", ") if allowed.startswith("'") else [allowed]
    assert_says(caught.value, (f"The {name!r} parameter", *parts, repr(value)))
    assert type(make()).__name__ in message


@pytest.mark.parametrize(
    ("params", "near"),
    [
        ({"architecture": "denes"}, "dense"),
        ({"architecture": "convolution"}, "conv"),
        ({"penalty": "topk"}, "top_k"),
        ({"penalty": "wae"}, "mmd"),
        ({"loss": "mes"}, "mse"),
        ({"loss": "hubber"}, "huber"),
        ({"optimizer": "adan"}, "adam"),
        ({"optimizer": "Adam"}, "adam"),
        ({"optimizer": "rmspropp"}, "rmsprop"),
        ({"lr_schedule": "onecycle"}, "one_cycle"),
        ({"precision": "bfloat"}, "bfloat16"),
        ({"cod_size": 3}, "code_size"),
        ({"learn_rate": 3, "batchsize": 3}, "batch_size"),
        ({"optimiser__weight_decay": 0.1}, "optimizer__"),
    ],
    ids=str,
)
def test_the_near_name_is_suggested(params: dict[str, Any], near: str) -> None:
    params = {"batchsize": 3} if "batchsize" in params else params
    with pytest.raises(InvalidParameterError, match=f"Did you mean '{near}'"):
        AutoencoderTransformer(**params).fit(X)


@pytest.mark.parametrize(
    ("params", "near"),
    [
        ({"activation": "rellu"}, "relu"),
        ({"downsampling": "maxpool"}, "max_pool"),
        ({"upsampling": "transposed"}, "transpose"),
        ({"chanels": (3,)}, "channels"),
        ({"loss": "mes"}, "mse"),
    ],
    ids=str,
)
def test_the_near_name_is_suggested_by_conv(params: dict[str, Any], near: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"Did you mean '{near}'"):
        ConvAutoencoderTransformer(**params).fit(X)


def test_a_name_that_is_near_to_nothing_gets_no_suggestion() -> None:
    with pytest.raises(InvalidParameterError, match="loss") as caught:
        AutoencoderTransformer(loss="xyzzy").fit(X)
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"optimizer__weight_decai": 0.1}, ("optimizer__weight_decai", "weight_decay")),
        ({"architecture__hidden_sizes": (3,)}, ("hidden_sizes", "hidden_layer_sizes")),
        ({"penalty": "l1", "penalty__wieght": 1}, ("wieght", "weight")),
        ({"iterator_train__shufle": True}, ("iterator_train__shufle", "shuffle")),
        ({"iterator_train__batch_size": 8}, ("iterator_train__batch_size", "Set b")),
        ({"callbacks__clip__threshold": 1}, ("callbacks__clip",)),
        ({"callbacks__clip": None}, ("callbacks__clip",)),
        ({"callbacks__epoch_timer__unit": "ms"}, ("unit",)),
    ],
    ids=str,
)
def test_nested_parameter_that_does_not_exist(
    params: dict[str, Any], words: tuple[str, ...]
) -> None:
    fresh = tiny_dense(architecture="dense", **params)
    before = vars(fresh).copy()
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        fresh.fit(X)
    assert_says(caught.value, words)
    assert vars(fresh) == before


def test_conv_has_no_architecture_parameter() -> None:
    with pytest.raises(InvalidParameterError, match="no parameter 'architecture'"):
        ConvAutoencoderTransformer(architecture="dense").fit(X)


def test_a_constructor_refuses_an_unknown_name_at_once() -> None:
    with pytest.raises(InvalidParameterError, match="no parameter 'scaler__with_mean'"):
        AutoencoderTransformer(scaler__with_mean=True)


def test_set_params_refuses_an_unknown_name_at_once() -> None:
    estimator = tiny_dense()
    with pytest.raises(
        ValueError, match="no parameter 'cod_size'.*Did you mean 'code_size'"
    ):
        estimator.set_params(cod_size=3)
    assert estimator.get_params() == tiny_dense().get_params() | {
        "architecture": estimator.architecture
    }


def test_code_size_none_has_no_meaning_for_dense_layers() -> None:
    assert_fit_refuses(
        tiny_dense, X, ValueError, "code_size=None", "code_size=10", code_size=None
    )
