"""scikit-learn's own checks: all on every class, the others on every network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn import __version__ as sklearn_version
from sklearn.base import clone
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_get_feature_names_out_error,
    check_global_output_transform_pandas,
    check_global_set_output_transform_polars,
    check_inplace_ensure_writeable,
    check_param_validation,
    check_set_output_transform,
    check_set_output_transform_pandas,
    check_set_output_transform_polars,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
    estimator_checks_generator,
    parametrize_with_checks,
)
from sklearn.utils.fixes import parse_version
from torch import nn

from skautoencoder import (
    L1,
    MMD,
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    SeriesOutlierDetector,
    VAEOverSampler,
    VAESampler,
)
from skautoencoder.architectures import Conv, Conv1d, Custom, Dense, Recurrent


class Encoder(nn.Linear):
    def __init__(self, sample_shape: tuple[int, ...], code_size: int) -> None:
        super().__init__(sample_shape[0], code_size)


class Decoder(nn.Linear):
    def __init__(self, sample_shape: tuple[int, ...], code_size: int) -> None:
        super().__init__(code_size, sample_shape[0])


class OnImages:
    """Shows scikit-learn's tables to the estimator as images one pixel high.

    scikit-learn has one check for estimators of N-D input; like this, they take all.
    """

    def _as_images(self, X: Any) -> Any:
        is_table = isinstance(X, np.ndarray | list) and np.ndim(X) == 2 and np.size(X)
        return np.reshape(X, (len(X), 1, -1)) if is_table else X

    def fit(self, X: Any, y: Any = None) -> Any:
        return super().fit(self._as_images(X), y)

    def predict(self, X: Any) -> Any:
        return super().predict(self._as_images(X))

    def score_samples(self, X: Any, *y: Any) -> Any:
        return super().score_samples(self._as_images(X), *y)


class CodesOnImages(OnImages):
    def partial_fit(self, X: Any, y: Any = None) -> Any:
        return super().partial_fit(self._as_images(X), y)

    def transform(self, X: Any) -> Any:
        return super().transform(self._as_images(X))

    def score(self, X: Any, y: Any = None) -> float:
        return super().score(self._as_images(X), y)


class TransformerOnImages(CodesOnImages, AutoencoderTransformer):
    pass


class DenoisingOnImages(CodesOnImages, DenoisingAutoencoder):
    pass


class OutlierDetectorOnImages(OnImages, AutoencoderOutlierDetector):
    pass


class SamplerOnImages(OnImages, VAESampler):
    """The same for the sampler, which has no `partial_fit`."""

    def transform(self, X: Any) -> Any:
        return super().transform(self._as_images(X))


class ImputerOnImages(AutoencoderImputer):
    """The same for the imputer, which has no `predict`."""

    _as_images = OnImages._as_images

    def fit(self, X: Any, y: Any = None) -> Any:
        return super().fit(self._as_images(X), y)

    def transform(self, X: Any) -> Any:
        filled = super().transform(self._as_images(X))
        return filled.reshape(len(filled), -1)


QUICK: dict[str, Any] = {"max_epochs": 1}
FEW_DRAWS: dict[str, Any] = {"n_importance_samples": 9, **QUICK}

OF_SEQUENCES: dict[Any, dict[str, Any]] = {
    AutoencoderTransformer: QUICK,
    DenoisingAutoencoder: QUICK,
    AutoencoderOutlierDetector: QUICK,
    AutoencoderImputer: QUICK,
    VAESampler: {"prior": "normal", **FEW_DRAWS},
}

# One of each class, and of what changes its interface, with the defaults for the rest.
EACH_CLASS = [
    AutoencoderTransformer(**QUICK),
    ConvAutoencoderTransformer(channels=(4, 8), **QUICK),
    DenoisingAutoencoder(**QUICK),
    AutoencoderOutlierDetector(**QUICK),
    AutoencoderImputer(**QUICK),
    VAESampler(**FEW_DRAWS),
    VAESampler(conditional=True, prior="normal", **FEW_DRAWS),
    VAEOverSampler(VAESampler(prior="normal", **FEW_DRAWS)),
    SeriesOutlierDetector(max_epochs=10),
    # Here each step is a sample.
    SeriesOutlierDetector(window=1, novelty=True, **QUICK),
    # Each way to read samples of more dimensions.
    TransformerOnImages(architecture=Conv(channels=(4, 6)), **QUICK),
    ImputerOnImages(architecture=Conv((4, 6)), code_size=None, **QUICK),
    SamplerOnImages(architecture=Conv((4, 6)), prior="normal", **FEW_DRAWS),
]

# Each architecture, and the ways of training that touch validation, batches or the
# order of rows: several at once.
OTHER_NETWORKS = [
    DenoisingOnImages(
        architecture=Conv((4, 6), skip_connections=True), clip=(0, 1), **QUICK
    ),
    OutlierDetectorOnImages(architecture=Conv(channels=(4, 6)), **QUICK),
    AutoencoderTransformer("auto", **QUICK),
    DenoisingAutoencoder(
        code_size=3,
        ordered=True,
        architecture=Conv((4, 8)),
        early_stopping=True,
        **QUICK,
    ),
    AutoencoderTransformer(
        architecture=Dense(
            hidden_layer_sizes=(6,), batch_norm=True, dropout=0.1, tied_weights=False
        ),
        **QUICK,
    ),
    AutoencoderTransformer(
        architecture=Dense((6,), tied_weights=True), penalty="mmd", **QUICK
    ),
    AutoencoderTransformer(architecture=Custom(Encoder, Decoder), code_size=2, **QUICK),
    AutoencoderTransformer(
        sparsity="kl", loss="huber", early_stopping=True, optimizer="sgd", **QUICK
    ),
    AutoencoderTransformer(
        sparsity="l1", precision="bfloat16", lr_schedule="constant", verbose=1, **QUICK
    ),
    ConvAutoencoderTransformer(
        20,
        channels=(4, 8),
        sparsity="top_k",
        n_nonzero_coefs=3,
        downsampling="max_pool",
        upsampling="nearest",
        residual=True,
        batch_norm=True,
        **QUICK,
    ),
    ConvAutoencoderTransformer(code_size=None, channels=(4, 8), **QUICK),
    AutoencoderOutlierDetector(
        novelty=True, n_neighbors=3, contamination=0.1, early_stopping=True, **QUICK
    ),
    AutoencoderOutlierDetector(
        architecture=Custom(Encoder, Decoder), code_size=2, loss="huber", **QUICK
    ),
    AutoencoderTransformer(sparsity="top_k", contraction_weight=1e-3, **QUICK),
    DenoisingAutoencoder(
        "masking", early_stopping=True, architecture=Dense((6,)), code_size=3, **QUICK
    ),
    DenoisingAutoencoder(
        "salt_and_pepper",
        architecture=Conv((4, 6)),
        penalty=[L1(), MMD(0.1)],
        **QUICK,
    ),
    AutoencoderImputer(
        architecture=Conv((4, 6, 6), n_downsamplings=2, skip_connections=True), **QUICK
    ),
    AutoencoderImputer(
        architecture=Custom(Encoder, Decoder), code_size=2, loss="huber", **QUICK
    ),
    AutoencoderImputer(
        architecture=Dense((6,), batch_norm=True),
        early_stopping=True,
        add_indicator=True,
        keep_empty_features=True,
        **QUICK,
    ),
    VAESampler(
        likelihood="gaussian",
        prior="normal",
        architecture=Dense((6,)),
        early_stopping=True,
        **QUICK,
    ),
    VAESampler(architecture=Conv((4, 6)), prior="normal", **FEW_DRAWS),
    VAESampler(
        architecture=Custom(Encoder, Decoder), code_size=2, prior="normal", **FEW_DRAWS
    ),
    SamplerOnImages(
        architecture=Dense((6,)), conditional=True, prior="normal", **FEW_DRAWS
    ),
    SeriesOutlierDetector(
        window=5, stride=2, contamination=0.1, architecture=Conv1d((4, 6)), **QUICK
    ),
    SeriesOutlierDetector(causal=True, early_stopping=True, **QUICK),
    *(
        kind(architecture=architecture, code_size=2, **params)
        for architecture in (Conv1d((4, 6)), Recurrent(hidden_size=4))
        for kind, params in OF_SEQUENCES.items()
    ),
]

ESTIMATORS = [*EACH_CLASS, *OTHER_NETWORKS]

# The checks whose result depends on the network and on how it is trained. What the
# others ask is a matter of the class; that a row's answer is the same alone is shown,
# of each network, by training/test_inference.py.
CHECKS_OF_NETWORKS = {
    "check_estimators_pickle",
    "check_fit2d_1feature",
    "check_fit2d_1sample",
    "check_fit_idempotent",
    "check_methods_sample_order_invariance",
    "check_outliers_fit_predict",
    "check_outliers_train",
    "check_transformer_general",
}

# Public checks that check_estimator does not call.
EXTRA_CHECKS = [
    check_dataframe_column_names_consistency,
    check_inplace_ensure_writeable,
    check_param_validation,
]
EXTRA_TRANSFORMER_CHECKS = [
    check_get_feature_names_out_error,
    check_global_output_transform_pandas,
    check_global_set_output_transform_polars,
    check_set_output_transform,
    check_set_output_transform_pandas,
    check_set_output_transform_polars,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
]


# Some checks fit on frames and ask with arrays, or the reverse; scikit-learn warns.
unnamed = pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")


def expected_failures(estimator: Any) -> dict[str, str]:
    """Return the checks that do not apply.

    A series is no set of samples, and one check is at fault in old releases.
    """
    if isinstance(estimator, VAESampler | VAEOverSampler) and parse_version(
        sklearn_version
    ) < (parse_version("1.7")):
        reason = (
            "the check takes a mean from integers in place, before scikit-learn 1.7"
        )
        return {"check_positive_only_tag_during_fit": reason}
    if not isinstance(estimator, SeriesOutlierDetector):
        return {}
    failures = {"check_fit1d": "a series of one channel may have one dimension"}
    if estimator.window != 1:
        reason = "a step's score depends on the steps around it"
        failures["check_methods_sample_order_invariance"] = reason
        failures["check_methods_subset_invariance"] = reason
    return failures


@unnamed
@parametrize_with_checks(EACH_CLASS, expected_failed_checks=expected_failures)
def test_scikit_learn_check(estimator: Any, check: Any) -> None:
    check(estimator)


def checks_of_network(estimator: Any) -> Iterator[Any]:
    """Yield scikit-learn's checks of an estimator that depend on its network."""
    left = CHECKS_OF_NETWORKS - expected_failures(estimator).keys()
    for _, check in estimator_checks_generator(estimator):
        # Partial functions: variants of a check have other arguments.
        if check.func.__name__ in left and not check.keywords:
            yield check


def name_of(value: Any) -> str:
    return getattr(getattr(value, "func", value), "__name__", str(value))


@unnamed
@pytest.mark.parametrize(
    ("estimator", "check"),
    [(e, check) for e in OTHER_NETWORKS for check in checks_of_network(e)],
    ids=name_of,
)
def test_scikit_learn_check_of_networks(estimator: Any, check: Any) -> None:
    check(estimator)


def test_all_checks_of_networks_are_there() -> None:
    names = {name_of(check) for e in OTHER_NETWORKS for check in checks_of_network(e)}
    assert names == CHECKS_OF_NETWORKS


# Frames have no N-D form.
OF_FRAMES = [e for e in ESTIMATORS if not isinstance(e, OnImages | ImputerOnImages)]


def quick(estimator: Any) -> Any:
    """Return an estimator of the same class, and of a network that is soon trained."""
    small = {
        "architecture": Dense((6,)),
        "channels": (4,),
        "prior": "normal",
        "max_epochs": 1,
        "sampler": VAESampler(architecture=Dense((6,)), max_epochs=1),
    }
    names = small.keys() & estimator.get_params(deep=False).keys()
    return clone(estimator).set_params(**{name: small[name] for name in names})


# Names and containers are a matter of the class, and of what changes its columns.
OF_EACH_KIND = [quick(e) for e in {type(e): e for e in reversed(OF_FRAMES)}.values()]
WITH_OTHER_COLUMNS = [
    quick(e)
    for e in OF_FRAMES
    if getattr(e, "add_indicator", False) or getattr(e, "code_size", "auto") is None
]
OUTSIDE = [(e, check) for e in OF_EACH_KIND for check in EXTRA_CHECKS]
OUTSIDE += [
    (e, check)
    for e in [*OF_EACH_KIND, *WITH_OTHER_COLUMNS]
    if hasattr(e, "transform")
    for check in EXTRA_TRANSFORMER_CHECKS
]


@unnamed
@pytest.mark.parametrize(("estimator", "check"), OUTSIDE, ids=name_of)
def test_check_outside_check_estimator(estimator: Any, check: Any) -> None:
    check(type(estimator).__name__, clone(estimator))
