"""The classes and functions that a file may name: `load` makes no others.

Their names here stand in files: they stay, wherever the classes go.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any

import torch

from skautoencoder._estimator.base import FitRecord
from skautoencoder._estimator.containers import Container, Frame, PythonNumbers
from skautoencoder._estimator.data_units import Scaling, Units
from skautoencoder._estimator.plan import build_network
from skautoencoder._estimator.sequences import SequenceFormat
from skautoencoder.architectures import ARCHITECTURES, Conv, Conv1d, Custom, Recurrent
from skautoencoder.architectures.curved import Curved
from skautoencoder.denoising import DenoisingAutoencoder
from skautoencoder.imputation import AutoencoderImputer
from skautoencoder.imputation.feature_statistics import FeatureStatistics
from skautoencoder.imputation.gaussian import Gaussian
from skautoencoder.imputation.images import ImageFilling
from skautoencoder.imputation.neighbors import Neighbors
from skautoencoder.imputation.tables import TableFilling
from skautoencoder.objectives import (
    PENALTIES,
    BernoulliLikelihood,
    ColumnBlock,
    ColumnsLikelihood,
    Corruption,
    GaussianLikelihood,
    MaskedObjective,
    Objective,
    OrderedObjective,
    RaggedObjective,
    VariationalObjective,
)
from skautoencoder.outliers import AutoencoderOutlierDetector
from skautoencoder.outliers.distance_embedding import ImageEmbedding, TableEmbedding
from skautoencoder.outliers.reference_distances import References
from skautoencoder.outliers.sequence_embedding import SequenceEmbedding
from skautoencoder.sampling import VAEOverSampler, VAESampler
from skautoencoder.sampling.classes import Classes
from skautoencoder.sampling.column_transforms import Levels, Numbers
from skautoencoder.sampling.plan import build_variational_network
from skautoencoder.sampling.priors import MixturePrior, NormalPrior
from skautoencoder.sampling.row_conversion import ArrayFormat, TableFormat
from skautoencoder.sampling.table_columns import Column, TableColumns
from skautoencoder.sequences import SeriesOutlierDetector
from skautoencoder.sequences.embedding import WindowEmbedding
from skautoencoder.sequences.gaps import GapFiller
from skautoencoder.training import OPTIMIZERS, EarlyStopping
from skautoencoder.transformers import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
)

# Parameters, and `_fitted_state` where a class has one.
_ESTIMATORS: tuple[type, ...] = (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    SeriesOutlierDetector,
    VAEOverSampler,
    VAESampler,
)

# Objects that are described by what their constructor takes: dataclasses by their
# fields, architectures and penalties by their parameters, others as listed below. Those
# that parameters know by a name need no line of their own.
_OBJECTS: tuple[type, ...] = (
    *ARCHITECTURES.values(),
    *PENALTIES.values(),
    ArrayFormat,
    BernoulliLikelihood,
    Classes,
    Column,
    ColumnBlock,
    ColumnsLikelihood,
    Container,
    Curved,
    Custom,
    EarlyStopping,
    FeatureStatistics,
    FitRecord,
    Frame,
    GapFiller,
    Gaussian,
    GaussianLikelihood,
    ImageEmbedding,
    ImageFilling,
    Levels,
    MixturePrior,
    Neighbors,
    NormalPrior,
    Numbers,
    PythonNumbers,
    References,
    Scaling,
    SequenceEmbedding,
    SequenceFormat,
    TableColumns,
    TableEmbedding,
    TableFilling,
    TableFormat,
    Units,
    WindowEmbedding,
)
_ARGUMENTS: dict[type, tuple[str, ...]] = {
    BernoulliLikelihood: (),
    ColumnsLikelihood: ("blocks", "least_deviation"),
    EarlyStopping: ("patience", "threshold"),
    GaussianLikelihood: ("n_features", "shared"),
    TableColumns: ("columns", "frame", "dtype"),
}

# Objects that are described by their attributes: `__init__` is not called. (For torch
# modules the second tuple has the names of buffers.)
_BY_ATTRIBUTES: dict[type, tuple[tuple[str, ...], tuple[str, ...]]] = {
    Corruption: (
        ("noise", "level", "clip", "scale", "sample_shape"),
        ("offset", "zero", "low", "high"),
    ),
}

# Those whose import takes long, and all of whose attributes are plain values.
_LATER = {"MissingIndicator": "sklearn.impute"}

# Classes and functions that stand in files themselves.
_CALLABLES: dict[str, Any] = {
    "Decimal": Decimal,
    "MaskedObjective": MaskedObjective,
    "Objective": Objective,
    "OrderedObjective": OrderedObjective,
    "RaggedObjective": RaggedObjective,
    "VariationalObjective": VariationalObjective,
    "build_network": build_network,
    "build_variational_network": build_variational_network,
    "float": float,
    "int": int,
    **{f"optimizers.{kind.__name__}": kind for kind in OPTIMIZERS.values()},
    **{
        f"torch.optim.{kind.__name__}": getattr(torch.optim, kind.__name__)
        for kind in OPTIMIZERS.values()
    },
}

ESTIMATORS = {kind.__name__: kind for kind in _ESTIMATORS}
OBJECTS = {kind.__name__: kind for kind in (*_OBJECTS, *_BY_ATTRIBUTES)}
_NAMES_OF_CALLABLES = {made: name for name, made in _CALLABLES.items()}


def name_of(kind: type) -> str | None:
    """Return the name of an object's class in files; None: it has none."""
    name = kind.__name__
    if OBJECTS.get(name) is kind:
        return name
    module = sys.modules.get(_LATER.get(name, ""))
    return name if module is not None and getattr(module, name) is kind else None


def name_of_callable(made: Any) -> str | None:
    """Return the name of a class or function in files; None: it has none."""
    try:
        return _NAMES_OF_CALLABLES.get(made)
    except TypeError:  # not hashable
        return None


def callable_named(name: str) -> Any:
    """Return the class or function of this name in files."""
    return _CALLABLES[name]


def describe(made: Any) -> dict[str, Any]:
    """Return what makes an object whose class has a name, see :func:`make`."""
    kind = type(made)
    if kind in _BY_ATTRIBUTES:
        attributes, buffers = _BY_ATTRIBUTES[kind]
        return {name: getattr(made, name) for name in (*attributes, *buffers)}
    if kind.__name__ in _LATER:
        return {k: v for k, v in vars(made).items() if k != "_sklearn_version"}
    if kind in _ARGUMENTS:
        return {name: getattr(made, name) for name in _ARGUMENTS[kind]}
    if is_dataclass(kind):
        given = (field.name for field in fields(kind) if field.init)
        return {name: getattr(made, name) for name in given}
    params: dict[str, Any] = made.get_params(deep=False)
    return params


def make(name: str, described: dict[str, Any], n_bytes: int) -> Any:
    """Return an object, given the name of its class and the result of `describe`.

    Parameters
    ----------
    name : str
        Name of the class.
    described : dict
        What :func:`describe` returned.
    n_bytes : int
        Number of bytes of all arrays in the file. Sizes that are larger are refused
        before memory is allocated for them.
    """
    if name in _LATER:
        __import__(_LATER[name])
        kind: type = getattr(sys.modules[_LATER[name]], name)
        return _with_attributes(kind, described)
    kind = OBJECTS[name]
    if kind in _BY_ATTRIBUTES:
        attributes, buffers = _BY_ATTRIBUTES[kind]
        if described.keys() - {*attributes, *buffers}:
            raise ValueError(f"{name} has no {sorted(described)}")
        made: Any = object.__new__(kind)
        torch.nn.Module.__init__(made)
        for attribute in attributes:
            setattr(made, attribute, described[attribute])
        for buffer in buffers:
            made.register_buffer(buffer, described[buffer], persistent=False)
        return made
    check = _CHECKS.get(kind)
    if check is not None:
        check(described, n_bytes)
    return kind(**described)


def _with_attributes(kind: type, attributes: dict[str, Any]) -> Any:
    made: Any = object.__new__(kind)
    made.__dict__.update(attributes)
    return made


# ---- sizes that decide on memory or time before the weights are compared -----------


def _check_at_most(limit: float, **sizes: Any) -> None:
    for name, size in sizes.items():
        if not 0 <= size <= limit:
            raise ValueError(f"{name}={size} is too large for the file")


def _check_kernel(described: dict[str, Any], n_bytes: int) -> None:
    for name in ("kernel_size", "upsampling_kernel_size"):
        _check_at_most(n_bytes**0.5, **{name: described.get(name, 0)})


def _check_layers(described: dict[str, Any], n_bytes: int) -> None:
    n_layers = described["n_layers"]
    _check_at_most(n_bytes / 64, n_layers=n_layers)


def _check_blocks(described: dict[str, Any], n_bytes: int) -> None:
    stop = 0
    for block in described["blocks"]:
        if block.start != stop or block.stop < block.start:
            raise ValueError("the columns of the table are not side by side")
        stop = block.stop
    _check_at_most(n_bytes, stop=stop)


def _check_features(described: dict[str, Any], n_bytes: int) -> None:
    _check_at_most(n_bytes, n_features=described["n_features"])


_CHECKS: dict[type, Callable[[dict[str, Any], int], None]] = {
    ColumnsLikelihood: _check_blocks,
    Conv: _check_kernel,
    Conv1d: _check_kernel,
    GaussianLikelihood: _check_features,
    Recurrent: _check_layers,
}


def has_parameters(kind: type) -> bool:
    """Return whether objects of a class are made from what `get_params` returns."""
    return hasattr(kind, "get_params")


def may_hold_own(kind: type) -> bool:
    """Return whether objects of a class may have been given objects of the user's."""
    return has_parameters(kind) or kind in _BY_ATTRIBUTES


def is_estimator(value: Any) -> bool:
    """Return whether an object is one of our estimators, or of a subclass."""
    return isinstance(value, _ESTIMATORS)


def is_kind_of_estimator(kind: Any) -> bool:
    """Return whether something is the class of an estimator of ours."""
    return isinstance(kind, type) and issubclass(kind, _ESTIMATORS)


def defaults_of(kind: type) -> dict[str, Any]:
    """Return the parameters of an estimator that have defaults.

    A file of an earlier version of the package does not name the newest parameters.
    """
    signature = inspect.signature(kind.__init__)  # type: ignore[misc]
    return {
        name: parameter.default
        for name, parameter in signature.parameters.items()
        if parameter.default is not parameter.empty
    }


# The methods whose metadata may be requested of a Pipeline or a search.
_ROUTED = ("fit", "partial_fit", "predict", "score", "transform", "inverse_transform")


def settings_of(estimator: Any) -> dict[str, Any]:
    """Return what `set_output` and `set_fit_request` and its like have set."""
    settings = {}
    if hasattr(estimator, "_sklearn_output_config"):
        settings["output"] = dict(estimator._sklearn_output_config)
    if hasattr(estimator, "_metadata_request"):
        request = estimator._metadata_request
        settings["requests"] = {
            method: dict(getattr(request, method).requests)
            for method in _ROUTED
            if hasattr(request, method)
        }
    return settings


def set_settings(estimator: Any, settings: dict[str, Any]) -> None:
    """Set what `settings_of` returned."""
    if "output" in settings:
        estimator._sklearn_output_config = settings["output"]
    if "requests" in settings:
        request = estimator._get_metadata_request()
        for method, wanted in settings["requests"].items():
            if method not in _ROUTED:
                raise ValueError(f"there are no requests of {method!r}")
            for name, alias in wanted.items():
                getattr(request, method).add_request(param=name, alias=alias)
        estimator._metadata_request = request
