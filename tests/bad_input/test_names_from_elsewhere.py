"""Names and values that other libraries use: the message says what is it here."""

from __future__ import annotations

import re
from typing import Any

import pytest
from helpers import tiny_dense
from refusals import X
from sklearn.utils._param_validation import InvalidParameterError
from torch import nn

from skautoencoder import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    Conv,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    Dense,
    SeriesOutlierDetector,
    VAEOverSampler,
    VAESampler,
)

ESTIMATORS = [
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    SeriesOutlierDetector,
    VAESampler,
]
OF_DENSE = "architecture=Dense({0}=...); or architecture='dense' and architecture__{0}"

CURES = {
    "activation": OF_DENSE,
    "alpha": "optimizer__weight_decay=...; one on the codes penalty='l1' and",
    "batch_norm": OF_DENSE,
    "channels": "architecture=Conv(channels=...); or architecture='conv'",
    "dropout": OF_DENSE,
    "dropout_rate": OF_DENSE.replace("{0}", "dropout"),
    "encoder": "architecture=Custom(encoder, decoder)",
    "epochs": "Did you mean 'max_epochs'?",
    "hidden_layer_sizes": OF_DENSE,
    "criterion": "Did you mean 'loss'?",
    "learning_rate": "Did you mean 'lr'?",
    "momentum": "Set optimizer__momentum.",
    "n_jobs": "AutoencoderSearchCV(..., n_jobs=2)",
    "n_components": "Did you mean 'code_size'?",
    "noise": "DenoisingAutoencoder(noise=...)",
    "patience": "n_iter_no_change=..., with early_stopping=True",
    "shuffle": "Set iterator_train__shuffle.",
    "threshold": "AutoencoderOutlierDetector finds outliers; contamination=...",
    "tied_weights": OF_DENSE,
    "validation_data": "early_stopping=True, which keeps validation_fraction",
    "weight_decay": "Set optimizer__weight_decay.",
}


@pytest.mark.parametrize("name", CURES)
def test_unknown_parameter(name: str) -> None:
    cure = re.escape(CURES[name].format(name))
    message = f"AutoencoderTransformer has no parameter '{name}'. .*{cure}"
    with pytest.raises(InvalidParameterError, match=message):
        AutoencoderTransformer(**{name: 1})
    estimator = AutoencoderTransformer()
    with pytest.raises(InvalidParameterError, match=message):
        estimator.set_params(lr=0.5, **{name: 1})
    assert estimator.lr != 0.5


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_unknown_parameter_of_every_estimator(estimator: Any) -> None:
    for ask in (lambda **params: estimator(**params), estimator().set_params):
        with pytest.raises(InvalidParameterError, match=r"Dense\(tied_weights=\.\.\."):
            ask(tied_weights=True)
        with pytest.raises(InvalidParameterError, match="n_iter_no_change"):
            ask(patience=3)


@pytest.mark.parametrize("name", ["penalty", "sparsity", "contraction_weight"])
@pytest.mark.parametrize(
    "estimator", [AutoencoderImputer, AutoencoderOutlierDetector, VAESampler]
)
def test_penalties_are_for_those_who_hand_out_codes(estimator: Any, name: str) -> None:
    message = rf"no parameter '{name}'.*AutoencoderTransformer\(penalty="
    with pytest.raises(InvalidParameterError, match=message):
        estimator(**{name: "l1"})


def test_parameters_of_dense_are_not_those_of_the_conv_transformer() -> None:
    message = r"one of Dense: AutoencoderTransformer\(architecture=Dense\(dropout="
    with pytest.raises(InvalidParameterError, match=message):
        ConvAutoencoderTransformer(dropout=0.1)
    with pytest.raises(InvalidParameterError, match="Did you mean 'hidden_layer_sizes"):
        ConvAutoencoderTransformer(layers=(3,))


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("epochs", "Set the parameter 'max_epochs' of the estimator."),
        ("batch_size", "Set the parameter 'batch_size' of the estimator."),
        ("validation_data", "early_stopping=True"),
        ("shuffle", "Set iterator_train__shuffle."),
        ("max_epoch", "Did you mean 'max_epochs'?"),
    ],
)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_parameters_given_to_fit(estimator: Any, name: str, cure: str) -> None:
    message = f"{estimator.__name__}.fit takes no '{name}'. .*{re.escape(cure)}"
    with pytest.raises(TypeError, match=message):
        estimator().fit(X, **{name: 1})


@pytest.mark.parametrize(
    "estimator",
    [AutoencoderTransformer, ConvAutoencoderTransformer, DenoisingAutoencoder],
)
@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("epochs", "Set the parameter 'max_epochs' of the estimator."),
        ("patience", "Set n_iter_no_change=..., with early_stopping=True."),
        ("X_valid", "It is one of fit"),
    ],
)
def test_parameters_given_to_partial_fit(estimator: Any, name: str, cure: str) -> None:
    message = f"{estimator.__name__}.partial_fit takes no '{name}'. {re.escape(cure)}"
    with pytest.raises(TypeError, match=message):
        estimator().partial_fit(X, **{name: 1})


@pytest.mark.parametrize(
    "estimator", [AutoencoderOutlierDetector, SeriesOutlierDetector]
)
def test_the_threshold_of_a_detector(estimator: Any) -> None:
    with pytest.raises(InvalidParameterError, match="Did you mean 'contamination'?"):
        estimator(threshold=0.5)
    with pytest.raises(TypeError, match="Set the parameter 'contamination'"):
        estimator().fit(X, threshold=0.5)


def test_parameters_that_one_estimator_has_not() -> None:
    with pytest.raises(InvalidParameterError, match=r"no .*'architecture'. It is Conv"):
        ConvAutoencoderTransformer(architecture=(64, 32))
    for name in ("loss", "criterion"):
        with pytest.raises(InvalidParameterError, match="likelihood='bernoulli'"):
            VAESampler(**{name: "mse"})


@pytest.mark.parametrize(
    ("value", "cure"),
    [
        ((64, 32), "Dense(hidden_layer_sizes=(64, 32))"),
        ([64], "Dense(hidden_layer_sizes=(64,))"),
        (Dense, "Pass an object, not the class: architecture=Dense(...)"),
        (Conv, "Pass an object, not the class: architecture=Conv(...)"),
        (nn.Linear(64, 3), "architecture=Custom(encoder, decoder)"),
        (nn.Linear, "architecture=Custom(encoder, decoder)"),
        (3, "'skautoencoder.architectures.Architecture'"),
    ],
)
def test_architecture(value: Any, cure: str) -> None:
    estimator = AutoencoderTransformer(architecture=value)
    with pytest.raises(InvalidParameterError, match=re.escape(cure)) as caught:
        estimator.fit(X)
    assert "skautoencoder.architectures._" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("absolute_error", "l1"),
        ("binary_crossentropy", "bce"),
        ("crossentropy", "bce"),
        ("mae", "l1"),
        ("mean_squared_error", "mse"),
        ("smooth_l1", "huber"),
        (nn.BCELoss, "bce"),
        (nn.L1Loss(), "l1"),
        (nn.MSELoss(), "mse"),
    ],
)
def test_loss(value: Any, name: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"Did you mean '{name}'"):
        AutoencoderTransformer(loss=value).fit(X)


@pytest.mark.parametrize(
    ("value", "name"), [("cnn", "conv"), ("lstm", "recurrent"), ("mlp", "dense")]
)
def test_architecture_of_another_name(value: str, name: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"Did you mean '{name}'"):
        AutoencoderTransformer(architecture=value).fit(X)


@pytest.mark.parametrize(
    ("value", "reason"),
    [("muon", "matrices and no others"), ("SparseAdam", "sparse gradients only")],
)
def test_optimizers_that_are_not_for_these_networks(value: str, reason: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"{reason}.* 'adam'"):
        AutoencoderTransformer(optimizer=value).fit(X)


def test_upsampling() -> None:
    for estimator in (
        ConvAutoencoderTransformer(upsampling="bilinear"),
        AutoencoderTransformer(architecture=Conv(upsampling="bilinear")),
        VAESampler(architecture="conv", architecture__upsampling="bilinear"),
    ):
        with pytest.raises(InvalidParameterError, match="Did you mean 'nearest'"):
            estimator.fit(X)


@pytest.mark.parametrize(
    ("value", "name"),
    [(nn.LeakyReLU, "leaky_relu"), (nn.ReLU(), "relu"), ("swish", "silu")],
)
def test_activation(value: Any, name: str) -> None:
    for estimator in (AutoencoderTransformer(), SeriesOutlierDetector()):
        estimator.set_params(architecture=Dense(activation=value))
        with pytest.raises(InvalidParameterError, match=f"Did you mean '{name}'"):
            estimator.fit(X)


def test_no_private_module_path_is_shown() -> None:
    fitted = tiny_dense(max_epochs=1).fit(X)
    assert repr(fitted.net_).startswith("<class 'skautoencoder.training.AutoencoderNet")
    with pytest.raises(ValueError, match=r"skautoencoder\.sampling\.\w+\.VAESampler"):
        VAEOverSampler(sampler=fitted).fit(X, X[:, 0] > 0)


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("epochs", "It is one of the sampler: sampler=VAESampler(max_epochs=...)."),
        ("code_size", "It is one of the sampler: sampler=VAESampler(code_size=...)."),
        ("strategy", "Did you mean 'sampling_strategy'?"),
        ("seed", "Did you mean 'random_state'?"),
        ("dropout", "architecture=Dense(dropout=...)"),
        ("patience", "Set n_iter_no_change=..., with early_stopping=True. What"),
        ("loss", "What training needs are parameters of the sampler"),
    ],
)
def test_parameters_of_the_over_sampler(name: str, cure: str) -> None:
    for ask in (VAEOverSampler, VAEOverSampler().set_params):
        with pytest.raises(InvalidParameterError, match=re.escape(cure)):
            ask(**{name: 1})
    message = f"VAEOverSampler.fit.* takes no '{name}'.*{re.escape(cure)}"
    for ask in (VAEOverSampler().fit, VAEOverSampler().fit_resample):
        with pytest.raises(TypeError, match=message):
            ask(X, X[:, 0] > 0, **{name: 1})


def test_parameters_of_a_sampler_that_is_not_there() -> None:
    with pytest.raises(InvalidParameterError, match=r"VAESampler\(max_epochs=\.\.\.\)"):
        VAEOverSampler().set_params(sampler__max_epochs=3)
    over_sampler = VAEOverSampler().set_params(
        sampler=VAESampler(), sampler__max_epochs=3
    )
    assert over_sampler.sampler.max_epochs == 3
    with pytest.raises(InvalidParameterError, match="Did you mean 'max_epochs'"):
        over_sampler.set_params(sampler__epochs=3)
