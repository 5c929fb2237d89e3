"""What is refused, in which words, and that nothing is changed by it."""

from __future__ import annotations

import copy
import functools
import re
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from helpers import (
    BOTH,
    IMAGES,
    ROWS,
    Interrupts,
    noise,
    tiny_conv,
    tiny_dense,
    unchanged,
)
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.utils._param_validation import InvalidParameterError
from torch import nn

from skautoencoder import AutoencoderTransformer, ConvAutoencoderTransformer
from skautoencoder.architectures import Conv, Custom, Dense

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


# ---- samples --------------------------------


def with_value(value: float, shape: tuple[int, ...] = (20, 64)) -> np.ndarray:
    bad = noise(*shape)
    bad[3, 5] = value
    return bad


BAD_SAMPLES: list[tuple[str, Any, type[Exception], tuple[str, ...]]] = [
    ("nan", with_value(np.nan), ValueError, ("X contains NaN",)),
    ("inf", with_value(np.inf), ValueError, ("X contains infinity",)),
    ("minus_inf", with_value(-np.inf), ValueError, ("X contains infinity",)),
    ("nan_images", with_value(np.nan, (20, 8, 8)), ValueError, ("X contains NaN",)),
    (
        "text",
        np.full((20, 64), "seven"),
        ValueError,
        ("could not convert string to float", "seven"),
    ),
    ("complex", noise(20, 64) + 1j, ValueError, ("Complex data not supported",)),
    (
        "sparse",
        sparse.csr_array(noise(20, 64)),
        TypeError,
        ("Sparse data was passed for X", "dense data is required", "toarray()"),
    ),
    ("no_rows", np.empty((0, 64)), ValueError, ("0 sample(s)", "minimum of 2")),
    ("no_features", np.empty((20, 0)), ValueError, ("shape", "0")),
    ("empty_images", np.empty((20, 8, 0)), ValueError, ("shape (8, 0)", "empty")),
    ("one_row", noise(1, 64), ValueError, ("1 sample(s)", "minimum of 2")),
    ("one_image", noise(1, 8, 8), ValueError, ("1 sample(s)", "minimum of 2")),
    ("one_dimension", noise(64), ValueError, ("Expected 2D array", "Reshape")),
    ("scalar", 3.0, ValueError, ("Expected 2D array", "Reshape")),
    ("none", None, ValueError, ("Expected 2D array",)),
]


@either
@pytest.mark.parametrize(
    ("bad", "kind", "words"),
    [case[1:] for case in BAD_SAMPLES],
    ids=[case[0] for case in BAD_SAMPLES],
)
def test_fit_refuses_samples(
    make: Any, bad: Any, kind: type[Exception], words: tuple[str, ...]
) -> None:
    assert_fit_refuses(make, bad, kind, *words)


@pytest.mark.parametrize(
    "method", ["transform", "predict", "score_samples", "score", "partial_fit"]
)
@pytest.mark.parametrize(
    ("bad", "kind", "words"),
    [
        (with_value(np.nan), ValueError, ("contains NaN",)),
        (with_value(np.inf), ValueError, ("contains infinity",)),
        (np.full((20, 64), "seven"), ValueError, ("could not convert string",)),
        (noise(20, 64) + 1j, ValueError, ("Complex data not supported",)),
        (sparse.csr_array(noise(20, 64)), TypeError, ("dense data is required",)),
        (np.empty((0, 64)), ValueError, ("0 sample(s)",)),
        (noise(20, 63), ValueError, ("X has 63 features", "expecting 64 features")),
        (noise(20, 65), ValueError, ("X has 65 features", "expecting 64 features")),
        (noise(64), ValueError, ("Expected 2D array",)),
    ],
    ids="nan inf text complex sparse no_rows fewer more one_dimension".split(),
)
def test_a_fitted_estimator_refuses_samples(
    method: str, bad: Any, kind: type[Exception], words: tuple[str, ...]
) -> None:
    estimator = tiny_dense().fit(noise(30, 64))
    with unchanged(estimator, noise(5, 64)), pytest.raises(kind) as caught:
        getattr(estimator, method)(bad)
    assert_says(caught.value, words)


@either
@pytest.mark.parametrize(
    "shape", [(8, 7), (7, 8), (4, 16), (8, 9), (1, 8, 8), (8, 8, 1)], ids=str
)
def test_samples_of_another_shape_than_in_fit(
    make: Any, shape: tuple[int, ...]
) -> None:
    estimator = make().fit(IMAGES[:30])
    bad = noise(4, *shape)
    with unchanged(estimator, IMAGES[:4]):
        for method in ("transform", "predict", "score", "partial_fit"):
            with pytest.raises(ValueError) as caught:  # noqa: PT011
                getattr(estimator, method)(bad)
            words = (f"shape {shape}", "(8, 8)", type(estimator).__name__)
            assert_says(caught.value, words)


@either
def test_flat_samples_of_another_width_than_the_images_of_fit(make: Any) -> None:
    estimator = make().fit(IMAGES[:30])
    with pytest.raises(ValueError, match="X has 63 features, but .* 64 features"):
        estimator.transform(noise(4, 63))


@either
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (noise(4, 2), "codes of 2 numbers, but .*Transformer has code_size_=3"),
        (noise(4, 64), "codes of 64 numbers, but .*Transformer has code_size_=3"),
        (noise(3), "Expected 2D array"),
        (noise(4, 3, 1), "Found array with dim 3"),
        (np.full((4, 3), np.nan), "contains NaN"),
        (np.full((4, 3), "seven"), "could not convert string"),
        (np.empty((0, 3)), r"0 sample\(s\)"),
    ],
    ids="narrow wide one_dimension three_dimensions nan text no_rows".split(),
)
def test_inverse_transform_refuses_codes(make: Any, bad: Any, message: str) -> None:
    estimator = make().fit(X)
    with unchanged(estimator, X), pytest.raises(ValueError, match=message):
        estimator.inverse_transform(bad)


@either
@pytest.mark.parametrize(
    "method",
    ["transform", "inverse_transform", "predict", "score_samples", "score"],
)
def test_unfitted(make: Any, method: str) -> None:
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(make(), method)(noise(4, 3))


# ---- sample_shape --------------------------------


@either
@pytest.mark.parametrize("shape", [(8, 9), (64, 2), (3, 8, 8), (63,)], ids=str)
def test_sample_shape_that_does_not_multiply_to_the_features(
    make: Any, shape: tuple[int, ...]
) -> None:
    assert_fit_refuses(
        make,
        X,
        ValueError,
        f"sample_shape={shape}",
        f"{np.prod(shape)} values",
        "64 features",
        "multiply",
        sample_shape=shape,
    )


@either
@pytest.mark.parametrize(
    "shape", [(), (8, -8), (0, 64), (8.0, 8.0), ("8", "8"), (None, 64)], ids=str
)
def test_sample_shape_that_is_no_shape(make: Any, shape: Any) -> None:
    assert_fit_refuses(
        make,
        X,
        ValueError,
        "sample_shape must be a tuple of positive integers",
        "(28, 28)",
        repr(shape),
        sample_shape=shape,
    )


def test_samples_of_too_high_a_rank_for_a_convolution() -> None:
    assert_fit_refuses(
        tiny_conv,
        noise(20, 2, 2, 4, 4),
        ValueError,
        "(n_channels, height, width)",
        "sample_shape=(2, 2, 4, 4)",
    )


# ---- parameters --------------------------------

# Every parameter of a constructor is here, with values that it must refuse.
SHARED: dict[str, list[Any]] = {
    "code_size": [0, -1, 2.5, "big", True],
    "sample_shape": [64, "8x8"],
    "loss": ["ms", None, 1],
    "sparsity": ["l2", 0.1, True],
    "sparsity_weight": [-1e-4, "small", None, np.inf, np.nan],
    "sparsity_target": [0, 1, 1.5, "low", None],
    "n_nonzero_coefs": [0, -1, 2.5, "few", True],
    "contraction_weight": [-1e-4, "small", None, np.inf, np.nan],
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
    "device": [0, None],
    "precision": ["float16", 32, None],
    "verbose": [-1, "loud", None],
    "random_state": [-1, "seed", 0.5],
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


def each(invalid: dict[str, list[Any]]) -> list[Any]:
    return [
        pytest.param(name, value, id=f"{name}={value!r}")
        for name, values in invalid.items()
        for value in values
    ]


@pytest.mark.parametrize("estimator", INVALID)
def test_every_parameter_has_an_invalid_value_here(estimator: Any) -> None:
    assert estimator().get_params(deep=False).keys() == INVALID[estimator].keys()
    assert Conv().get_params().keys() == OF_CONV.keys()
    assert Dense().get_params().keys() == OF_DENSE.keys()


def assert_parameter_refused(make: Any, name: str, value: Any, **params: Any) -> None:
    fresh = make(**params)
    with pytest.raises((InvalidParameterError, ValueError, TypeError)) as caught:
        fresh.fit(X)
    # Which parameter, and what came.
    assert name in str(caught.value)
    # Of a list of callbacks, the one that is none.
    came = value[0] if name == "callbacks" and isinstance(value, list) else value
    shown = getattr(came, "__name__", repr(came))
    assert shown in str(caught.value).replace("np.float64", "")
    assert not hasattr(fresh, "net_")

    fitted = fitted_once(make).set_params(**params)
    with unchanged(fitted, X), pytest.raises((ValueError, TypeError)):
        fitted.fit(X)


@pytest.mark.parametrize(("name", "value"), each(INVALID[AutoencoderTransformer]))
def test_invalid_parameter(name: str, value: Any) -> None:
    assert_parameter_refused(tiny_dense, name, value, **{name: value})


@pytest.mark.parametrize(("name", "value"), each(OF_CONV))
def test_invalid_parameter_of_conv(name: str, value: Any) -> None:
    assert_parameter_refused(tiny_conv, name, value, **{name: value})


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
        ({"iterator_train__shufle": True}, ("iterator_train__shufle", "shuffle")),
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
    with pytest.raises(ValueError, match="Invalid parameter 'cod_size'"):
        estimator.set_params(cod_size=3)
    assert estimator.get_params() == tiny_dense().get_params() | {
        "architecture": estimator.architecture
    }


def test_code_size_none_has_no_meaning_for_dense_layers() -> None:
    assert_fit_refuses(
        tiny_dense, X, ValueError, "code_size=None", "code_size=10", code_size=None
    )


# ---- parameters against data --------------------------------


@either
@pytest.mark.parametrize("shift", [-0.5, 0.5])
def test_bce_wants_data_between_0_and_1(make: Any, shift: float) -> None:
    assert_fit_refuses(
        make,
        X + shift,
        ValueError,
        "loss='bce'",
        "[0, 1]",
        f"from {X.min() + shift:.6g} to {X.max() + shift:.6g}",
        "MinMaxScaler",
        "loss='mse'",
        loss="bce",
    )


@either
def test_bce_wants_data_between_0_and_1_in_partial_fit_too(make: Any) -> None:
    estimator = make(loss="bce").partial_fit(X)
    with unchanged(estimator, X), pytest.raises(ValueError, match="loss='bce'.*0, 1"):
        estimator.partial_fit(X * 3)


@either
def test_bce_wants_data_between_0_and_1_in_a_warm_start_too(make: Any) -> None:
    estimator = make(loss="bce", warm_start=True).fit(X)
    with unchanged(estimator, X), pytest.raises(ValueError, match="loss='bce'.*0, 1"):
        estimator.fit(X * 3)


def test_bce_takes_the_rounding_of_a_min_max_scaler() -> None:
    tiny_dense(loss="bce").fit(X * (1 + 1e-15))


@pytest.mark.parametrize("make", BOTH)
def test_bce_needs_an_output_between_0_and_1(make: Any) -> None:
    if make is tiny_dense:
        params: dict[str, Any] = {
            "architecture": Dense((4,), output_activation="identity")
        }
    else:
        params = {"output_activation": "identity"}
    assert_fit_refuses(
        make,
        X,
        ValueError,
        "loss='bce'",
        "output_activation",
        "'sigmoid' or 'auto'",
        "'identity'",
        loss="bce",
        **params,
    )


def test_a_sigmoid_output_wants_data_between_0_and_1() -> None:
    assert_fit_refuses(
        tiny_conv,
        X * 2,
        ValueError,
        "sigmoid output",
        "[0, 1]",
        "from 0 to 2",
        output_activation="sigmoid",
    )


@either
def test_batch_size_larger_than_the_data(make: Any) -> None:
    assert_fit_refuses(
        make,
        X,
        ValueError,
        "batch_size=61",
        "60",
        "batch_size='auto'",
        batch_size=61,
    )
    make(batch_size=60).fit(X)


def test_a_batch_of_one_row_cannot_be_normalised() -> None:
    assert_fit_refuses(
        tiny_dense,
        X,
        ValueError,
        "batch_size",
        batch_size=1,
        architecture=Dense((4,), batch_norm=True),
    )
    # Without batch normalisation one row is a batch.
    tiny_dense(batch_size=1, max_epochs=1).fit(X)


def test_two_rows_are_too_few_to_validate_on_one_and_normalise_the_other() -> None:
    estimator = tiny_dense(
        early_stopping=True, architecture=Dense((4,), batch_norm=True)
    )
    with pytest.raises(ValueError, match="1 rows to train on.*batch_norm=False"):
        estimator.fit(X[:2])


@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.95, 0.99])
def test_any_validation_fraction_leaves_rows_on_both_sides(fraction: float) -> None:
    estimator = tiny_dense(early_stopping=True, validation_fraction=fraction)
    estimator.fit(X[:10])
    assert np.isfinite(estimator.history_[:, ("train_loss", "valid_loss")]).all()


# ---- modules of the user's own --------------------------------


class Cut(nn.Module):
    """Returns something else than one code a sample."""

    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result

    def forward(self, rows: torch.Tensor) -> Any:
        return self.result(rows)


@pytest.mark.parametrize(
    ("encoder", "decoder", "words"),
    [
        (nn.Linear(64, 5), nn.Linear(5, 63), ("decoder", "(63,)", "(64,)")),
        (nn.Linear(64, 5), nn.Linear(5, 65), ("decoder", "(65,)", "(64,)")),
        (nn.Linear(64, 5), nn.Linear(4, 64), ("decoder", "(n_samples, 5)")),
        (nn.Linear(63, 5), nn.Linear(5, 64), ("encoder", "(n_samples, 64)")),
        (Cut(lambda rows: rows[:1]), nn.Linear(64, 64), ("encoder", "(1, 64)")),
        (Cut(lambda rows: rows.sum()), nn.Linear(64, 64), ("encoder", "()")),
        (Cut(lambda rows: (rows,)), nn.Linear(64, 64), ("encoder", "tuple")),
        (nn.Linear(64, 5), Cut(lambda codes: codes[:, 0]), ("decoder", "(2,)")),
    ],
    ids=[
        "decoder_narrow",
        "decoder_wide",
        "decoder_input",
        "encoder_input",
        "encoder_rows",
        "encoder_scalar",
        "encoder_tuple",
        "decoder_vector",
    ],
)
def test_custom_module_of_the_wrong_shape(
    encoder: nn.Module, decoder: nn.Module, words: tuple[str, ...]
) -> None:
    assert_fit_refuses(
        tiny_dense,
        X,
        ValueError,
        "Custom",
        *words,
        architecture=Custom(encoder, decoder),
    )


def test_custom_decoder_of_the_wrong_image_shape() -> None:
    decoder = nn.Sequential(nn.Linear(5, 56), nn.Unflatten(1, (8, 7)))
    with pytest.raises(
        ValueError, match=re.escape("(8, 7) where the data have (8, 8)")
    ):
        tiny_dense(
            architecture=Custom(nn.Sequential(nn.Flatten(), nn.Linear(64, 5)), decoder)
        ).fit(IMAGES[:30])


def test_custom_factory_that_makes_no_module() -> None:
    assert_fit_refuses(
        tiny_dense,
        X,
        TypeError,
        "encoder of Custom",
        "torch.nn.Module",
        "dict",
        architecture=Custom(lambda code_size: {"size": code_size}, nn.Linear(5, 64)),
    )


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_custom_part_that_is_no_module(part: str) -> None:
    parts = {"encoder": nn.Linear(64, 5), "decoder": nn.Linear(5, 64), part: "linear"}
    with pytest.raises(InvalidParameterError, match=f"'{part}' parameter of Custom"):
        tiny_dense(architecture=Custom(**parts)).fit(X)


# ---- devices --------------------------------


@either
@pytest.mark.parametrize("device", ["nonsense", "", "gpu", "cuda:x"])
def test_device_that_torch_does_not_know(make: Any, device: str) -> None:
    assert_fit_refuses(
        make,
        X,
        ValueError,
        f"device={device!r}",
        "not a device that torch knows",
        "'auto'",
        "'cpu'",
        device=device,
    )


# A machine that has everything still lacks a hundredth graphics card.
@either
@pytest.mark.parametrize("device", ["cuda:99", "xla", "meta"])
def test_device_that_is_not_here(make: Any, device: str) -> None:
    assert_fit_refuses(
        make, X, ValueError, f"device={device!r}", "'auto'", "'cpu'", device=device
    )


def test_cuda_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    # What torch does without CUDA, on any machine.
    def empty(*args: Any, **kwargs: Any) -> torch.Tensor:
        if torch.device(kwargs.get("device") or "cpu").type == "cuda":
            raise AssertionError("Torch not compiled with CUDA enabled")
        return original(*args, **kwargs)

    original = torch.empty
    monkeypatch.setattr(torch, "empty", empty)
    assert_fit_refuses(
        tiny_dense,
        X,
        ValueError,
        "device='cuda' is not available here",
        "device='auto'",
        "device='cpu'",
        device="cuda",
    )


# ---- training that goes wrong --------------------------------

DIVERGES: dict[str, Any] = {
    "lr": 1e6,
    "optimizer": "sgd",
    "lr_schedule": "constant",
    "max_epochs": 5,
}


@either
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_loss_that_is_not_finite_ends_the_fit(
    make: Any, early_stopping: bool
) -> None:
    data = noise(60, 64)
    fresh = make(**DIVERGES, early_stopping=early_stopping)
    before = vars(fresh).copy()
    with pytest.raises(ValueError, match=r"diverged: .* in epoch [1-5]\.") as caught:
        fresh.fit(data)
    assert_says(caught.value, ("Lower lr", "now 1000000.0", "Scaler"))
    assert vars(fresh) == before

    fitted = make().fit(data)
    fitted.set_params(**DIVERGES, early_stopping=early_stopping)
    with unchanged(fitted, data), pytest.raises(ValueError, match="in epoch"):
        fitted.fit(data)
    fitted.set_params(warm_start=True)
    with unchanged(fitted, data), pytest.raises(ValueError, match="in epoch"):
        fitted.fit(data)


def test_the_epoch_named_is_the_one_that_diverged() -> None:
    estimator = tiny_dense(
        architecture=Custom(nn.Linear(4, 2), nn.Linear(2, 4)),
        optimizer="sgd",
        lr_schedule="constant",
        lr=10.0,
        max_epochs=200,
    )
    data = noise(40, 4)
    with pytest.raises(ValueError, match="in epoch") as caught:
        estimator.fit(data)
    epoch = int(re.search(r"in epoch (\d+)", str(caught.value)).group(1))  # type: ignore[union-attr]
    assert epoch > 1
    estimator.set_params(max_epochs=epoch - 1).fit(data)
    assert np.isfinite(estimator.history_[:, "train_loss"]).all()


@either
def test_partial_fit_that_diverges_changes_nothing(make: Any) -> None:
    data = noise(60, 64)
    estimator = make(lr=1e-3, optimizer="sgd").partial_fit(data)
    huge = np.full((10, 64), 1e300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with unchanged(estimator, data), pytest.raises(ValueError, match="in epoch 2"):
            estimator.partial_fit(huge)
    estimator.partial_fit(data)
    assert estimator.n_iter_ == 2


def test_diverging_fits_are_failed_fits_of_a_grid_search() -> None:
    search = GridSearchCV(
        tiny_dense(**DIVERGES), {"lr": [1e6, 1e-3]}, cv=2, error_score=-9.0
    )
    with pytest.warns(match="diverged"):
        search.fit(noise(60, 64))
    assert search.best_params_ == {"lr": 1e-3}
    assert search.cv_results_["mean_test_score"][0] == -9.0


@either
def test_ctrl_c_leaves_through_fit(make: Any) -> None:
    estimator = make(callbacks=[Interrupts()])
    before = vars(estimator).copy()
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X)
    assert vars(estimator) == before

    fitted = make().fit(X)
    fitted.set_params(callbacks=[Interrupts()])
    with unchanged(fitted, X), pytest.raises(KeyboardInterrupt):
        fitted.fit(X)
    fitted.set_params(warm_start=True)
    with unchanged(fitted, X), pytest.raises(KeyboardInterrupt):
        fitted.fit(X)


@either
def test_ctrl_c_leaves_through_partial_fit(make: Any) -> None:
    estimator = make(callbacks=[Interrupts(epoch=3)]).partial_fit(X).partial_fit(X)
    with unchanged(estimator, X), pytest.raises(KeyboardInterrupt):
        estimator.partial_fit(X)


def test_ctrl_c_leaves_through_a_grid_search() -> None:
    search = GridSearchCV(
        tiny_dense(callbacks=[Interrupts()]), {"code_size": [2, 3]}, cv=2
    )
    with pytest.raises(KeyboardInterrupt):
        search.fit(X)
    assert not hasattr(search, "best_estimator_")


# ---- data that are odd but no error --------------------------------


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
    ("name", "dtype"),
    [
        *((name, np.float64) for name in odd_data()),
        ("values_around_1e6", np.float32),
        ("values_of_1e6", np.float32),
    ],
)
@either
def test_odd_data_give_useful_results(make: Any, name: str, dtype: Any) -> None:
    data = odd_data()[name].astype(dtype)
    max_epochs = 80 if len(data) > 20 else "auto"
    if make is tiny_dense:
        estimator = make(2, architecture=Dense((32,)), max_epochs=max_epochs)
    else:
        estimator = make(2, channels=(8, 16), max_epochs=max_epochs)
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
    for answer in answers_but_score(estimator, data):
        assert np.isfinite(answer).all()
    # The mean is all that there is to learn.
    np.testing.assert_allclose(
        estimator.predict(data), data, rtol=1e-6, atol=0.02 if 0 <= value <= 1 else 0
    )
    assert estimator.score(data) in (0.0, 1.0)


def answers_but_score(estimator: Any, data: np.ndarray) -> list[np.ndarray]:
    codes = estimator.transform(data)
    return [
        codes,
        estimator.inverse_transform(codes),
        estimator.predict(data),
        estimator.score_samples(data),
    ]


@either
@pytest.mark.parametrize("n_rows", [2, 3, 33, 65])
def test_any_number_of_rows(make: Any, n_rows: int) -> None:
    estimator = make(max_epochs=2).fit(noise(n_rows, 9))
    assert np.isfinite(estimator.predict(noise(n_rows, 9))).all()
