"""Nested parameters, and error messages with hints for unknown parameters."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import (
    InvalidParameterError,
    StrOptions,
    make_constraint,
)
from torch import nn

from skautoencoder.architectures import Architecture, Conv, Dense, Recurrent
from skautoencoder.architectures._architecture import cached_param_names

# Prefixes of nested parameters, such as ``optimizer__weight_decay=1e-4``.
NESTED_PREFIXES = (
    "optimizer",
    "iterator_train",
    "callbacks",
    "architecture",
    "penalty",
)
# Parameters that may be objects, which then have the nested parameters as their own.
_OBJECTS = ("architecture", "penalty")


class NestedParameters(BaseEstimator):
    """Parameters of an estimator's components, under skorch's names.

    A nested parameter is stored as an attribute under the name it was given, so
    that ``get_params``, ``set_params``, ``clone``, pickling and a grid search
    treat it like any other parameter.
    """

    _get_param_names = classmethod(cached_param_names)

    def _set_nested_params(self, nested: dict[str, Any]) -> None:
        """Store what a constructor collected in ``**nested``.

        Names are checked here, values in `fit`.
        """
        for name, value in nested.items():
            if self._is_nested(name):
                setattr(self, name, value)
            elif name == "nested":
                # scikit-learn's checks pass every name of the signature, also
                # ``nested``, and expect no error before `fit`.
                self._unknown_params = {name: value}
            else:
                raise InvalidParameterError(self._unknown_message(name))

    def _unknown_message(self, name: str) -> str:
        known = [*self._get_param_names(), *(f"{p}__" for p in self._prefixes())]
        message = f"{type(self).__name__} has no parameter {name!r}."
        prefix, delimiter, _ = name.partition("__")
        return message + (
            self._cure(name)
            or did_you_mean(name, known)
            or did_you_mean(prefix + delimiter, known)
        )

    def _cure(self, name: str) -> str:
        """Return a sentence with the equivalent of another library's parameter."""
        if name in _CURES:
            return f" {_CURES[name]}"
        prefix = _PARTS.get(name)
        if prefix is not None:
            return f" Set {prefix}__{name}."
        name = public_name(name)
        kinds = (Dense, Conv, Recurrent)
        kind = next((k for k in kinds if name in k._get_param_names()), None)
        if kind is None or name in self._get_param_names():
            return ""
        example = f"architecture={kind.__name__}({name}=...)"
        if "architecture" not in self._get_param_names():
            return f" It is one of {kind.__name__}: AutoencoderTransformer({example})."
        return (
            f" It is one of the architecture: {example}; or "
            f"architecture={kind.__name__.lower()!r} and architecture__{name}=..."
        )

    def _refuse_fit_params(self, given: dict[str, Any]) -> None:
        """Raise for parameters of `fit`, naming those of the constructor instead."""
        own = self._get_param_names()
        for name in given:
            near = public_name(name)
            cure = (
                f" Set the parameter {near!r} of the estimator." if near in own else ""
            )
            raise TypeError(
                f"{type(self).__name__}.fit takes no {name!r}."
                f"{cure or self._cure(name) or did_you_mean(name, own)}"
            )

    def _unknown(self) -> dict[str, Any]:
        """Return the constructor's arguments that are not parameters."""
        return getattr(self, "_unknown_params", {})

    def _prefixes(self) -> list[str]:
        own = self._get_param_names()
        return [p for p in NESTED_PREFIXES if p in own or p == "iterator_train"]

    def _is_nested(self, name: str) -> bool:
        prefix, delimiter, rest = name.partition("__")
        return bool(delimiter and rest) and prefix in self._prefixes()

    def _nested_params(self, prefix: str | None = None) -> dict[str, Any]:
        """Return nested parameters, all of them or those of one prefix."""
        if prefix is not None:
            return params_of(prefix, vars(self))
        return {name: v for name, v in vars(self).items() if self._is_nested(name)}

    def _defaults_of_objects(self) -> dict[str, Any]:
        """Return defaults of the parameters of an architecture or a penalty object."""
        return {
            f"{prefix}__{name}": parameter.default
            for prefix in _OBJECTS
            if hasattr(given := getattr(self, prefix, None), "get_params")
            for name, parameter in inspect.signature(type(given)).parameters.items()
        }

    def _get_params_html(self, *args: Any, **kwargs: Any) -> Any:
        """Return the table of parameters; those of objects are marked if changed."""
        table = super()._get_params_html(*args, **kwargs)
        defaults = self._defaults_of_objects()
        changed = [
            name
            for name in table.non_default
            if name not in defaults or table[name] != defaults[name]
        ]
        order = [*changed, *(name for name in table if name not in changed)]
        table.data = {name: table.data[name] for name in order}
        table.non_default = tuple(changed)
        return table

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get parameters for this estimator.

        Parameters
        ----------
        deep : bool, default=True
            If True, will return the parameters of an architecture or a penalty that
            is an object too.

        Returns
        -------
        params : dict
            Parameter names mapped to their values, nested parameters included.
        """
        own = super().get_params(deep=deep)
        return {**own, **self._nested_params(), **self._unknown()}

    def set_params(self, **params: Any) -> Self:
        """Set the parameters of this estimator.

        Parameters
        ----------
        **params : dict
            Estimator parameters, nested ones (``optimizer__weight_decay``)
            included.

        Returns
        -------
        self : estimator instance
            Estimator instance.
        """
        own = {*self._get_param_names(), *self._unknown()}
        for name in params:
            if name.partition("__")[0] not in own and not self._is_nested(name):
                raise InvalidParameterError(self._unknown_message(name))
        # Objects first, as they may be new in this call; scikit-learn's set_params then
        # sets their parameters.
        super().set_params(**{k: v for k, v in params.items() if k in _OBJECTS})
        of_objects = tuple(
            f"{name}__"
            for name in _OBJECTS
            if hasattr(getattr(self, name, None), "set_params")
        )
        nested = {
            name: value
            for name, value in params.items()
            if self._is_nested(name) and not name.startswith(of_objects)
        }
        nested |= {k: v for k, v in params.items() if k in self._unknown()}
        for name in params.keys() - nested.keys():
            # An object's own parameter replaces a nested one that was stored here.
            if self._is_nested(name):
                self.__dict__.pop(name, None)
        self._set_nested_params(nested)
        super().set_params(**{k: v for k, v in params.items() if k not in nested})
        return self

    def _validate_params(self) -> None:
        """Check the parameters; errors suggest similar names and values."""
        for name in self._unknown():
            raise InvalidParameterError(self._unknown_message(name))
        for name, value in self.get_params(deep=False).items():
            # scikit-learn accepts True as the integer 1.
            if isinstance(value, bool) and self._wants_integer(name):
                raise InvalidParameterError(
                    f"The {name!r} parameter of {type(self).__name__} must be a "
                    f"number. Got {value!r} instead."
                )
        try:
            super()._validate_params()
        except InvalidParameterError as error:
            for name, value in self.get_params(deep=False).items():
                if f"The {name!r} parameter" in str(error):
                    hint = (
                        _cure_of_architecture(value)
                        if name == "architecture" and not isinstance(value, str)
                        else did_you_mean(value, self._choices(name))
                    )
                    raise InvalidParameterError(f"{error}{hint}") from None
            raise

    def _wants_integer(self, name: str) -> bool:
        constraints = self._parameter_constraints.get(name, [])
        return any(getattr(c, "type", None) is Integral for c in constraints)

    def _choices(self, name: str) -> list[str]:
        """Return the strings that a parameter accepts."""
        choices: list[str] = []
        for constraint in self._parameter_constraints.get(name, []):
            made = make_constraint(constraint)
            if isinstance(made, StrOptions):
                choices += made.options
        return choices


def params_of(prefix: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested parameters of one prefix, without it."""
    start = f"{prefix}__"
    return {k.removeprefix(start): v for k, v in params.items() if k.startswith(start)}


def public_name(name: str) -> str:
    """Return our name of another library's parameter, or `name` if it has none."""
    return _ALIASES.get(name, name)


def _cure_of_architecture(value: object) -> str:
    """Return a sentence with the architecture that an invalid value may stand for."""
    if isinstance(value, type) and issubclass(value, Architecture):
        return f" Pass an object, not the class: architecture={value.__name__}(...)."
    if isinstance(value, list | tuple | np.ndarray):
        sizes = tuple(value)
        return f" For layers of these sizes: Dense(hidden_layer_sizes={sizes!r})."
    is_module = isinstance(value, type) and issubclass(value, nn.Module)
    if is_module or isinstance(value, nn.Module):
        return " For modules of your own: architecture=Custom(encoder, decoder)."
    return ""


# Names in other libraries, and ours.
_ALIASES = {
    "absolute_error": "l1",
    "bilinear": "nearest",
    "binary_cross_entropy": "bce",
    "binary_crossentropy": "bce",
    "contractive": "contraction",
    "cross_entropy": "bce",
    "crossentropy": "bce",
    "dropout_rate": "dropout",
    "encoding_dim": "code_size",
    "epochs": "max_epochs",
    "hidden_dims": "hidden_layer_sizes",
    "hidden_neurons": "hidden_layer_sizes",
    "l1loss": "l1",
    "l2": "mse",
    "latent_dim": "code_size",
    "layers": "hidden_layer_sizes",
    "learning_rate": "lr",
    "learning_rate_init": "lr",
    "log_loss": "bce",
    "mae": "l1",
    "max_iter": "max_epochs",
    "mean_absolute_error": "l1",
    "mean_squared_error": "mse",
    "n_components": "code_size",
    "n_epochs": "max_epochs",
    "num_epochs": "max_epochs",
    "seed": "random_state",
    "smooth_l1": "huber",
    "smoothl1loss": "huber",
    "squared_error": "mse",
    "wae": "mmd",
    "wasserstein": "mmd",
}

_VALIDATION = (
    "Samples of your own: X_valid=..., of fit. Or set early_stopping=True, which keeps "
    "validation_fraction of the rows out of training."
)
_PENALTY = (
    "Penalties on codes are for transformers and denoisers: "
    "AutoencoderTransformer(penalty=...)."
)
_NOISE = "DenoisingAutoencoder(noise=...) learns to take noise away."
_THRESHOLD = (
    "AutoencoderOutlierDetector finds outliers; contamination=... says how many."
)
# Hints for parameters of other libraries that have no direct equivalent.
_CURES = {
    "alpha": (
        "A penalty on the weights is optimizer__weight_decay=...; one on the codes "
        "penalty='l1' and penalty__weight=..., of transformers and denoisers."
    ),
    "contamination": _THRESHOLD,
    "contraction_weight": _PENALTY,
    "decoder": "Modules of your own: architecture=Custom(encoder, decoder).",
    "encoder": "Modules of your own: architecture=Custom(encoder, decoder).",
    "noise": _NOISE,
    "noise_factor": _NOISE,
    "noise_level": _NOISE,
    "patience": "Set n_iter_no_change=..., with early_stopping=True.",
    "penalty": _PENALTY,
    "sample_weight": "Rows have no weights here; repeat those that weigh more.",
    "eval_set": "Samples to validate on: X_valid=...",
    "sparsity": _PENALTY,
    "threshold": _THRESHOLD,
    "validation_data": _VALIDATION,
    "validation_split": _VALIDATION,
}
# Parameters of optimizers and batches, and their prefixes.
_PARTS = {
    "betas": "optimizer",
    "drop_last": "iterator_train",
    "eps": "optimizer",
    "momentum": "optimizer",
    "nesterov": "optimizer",
    "shuffle": "iterator_train",
    "weight_decay": "optimizer",
}


def did_you_mean(value: object, known: list[str]) -> str:
    """Return a sentence with the most similar known name, if there is one.

    Classes and objects, such as losses of torch, are compared by their class's name.
    """
    name = value if isinstance(value, str) else _class_name(value)
    lowered = name.lower()
    near = [k for k in known if sorted(k) == sorted(lowered)]
    near += [k for k in known if k == _ALIASES.get(lowered)]
    near += [k for k in known if len(k) > 2 and lowered.startswith(k)]
    near += difflib.get_close_matches(lowered, known, n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""


def _class_name(value: object) -> str:
    return value.__name__ if isinstance(value, type) else type(value).__name__
