"""What scikit-learn asks of each estimator: parameters, tables to show, copies."""

from __future__ import annotations

import copy
import importlib
import inspect
import os
import pickle
from collections.abc import Collection, Mapping
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any, Self

import torch
from joblib import wrap_non_picklable_objects
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    StrOptions,
)

from skautoencoder._estimator.parameter_hints import (
    cure_of,
    did_you_mean,
    public_name,
    suggesting,
)
from skautoencoder._estimator.summary import (
    ShortRepr,
    Summary,
    WithSummary,
    documentation_url,
)
from skautoencoder.architectures import ARCHITECTURES, Architecture
from skautoencoder.architectures._architecture import cached_param_names
from skautoencoder.objectives import LOSSES
from skautoencoder.training import OPTIMIZERS, PRECISIONS, SCHEDULES

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


class EstimatorProtocol(BaseEstimator):
    """What BaseEstimator does, for estimators that train a network.

    Here are the parameters, how an estimator is shown, copied and stored, and nothing
    of what it learns, which is in BaseAutoencoder. Parameters of components have
    skorch's names, such as ``optimizer__weight_decay``. They are stored as attributes
    of these names, so that ``get_params``, ``set_params``, ``clone``, pickling and a
    grid search treat them like any others.
    """

    _get_param_names = classmethod(cached_param_names)
    # Arguments of the constructor that are no parameters.
    _unknown_params: Mapping[str, Any] = MappingProxyType({})

    # Those that all estimators share.
    _parameter_constraints: dict[str, list[Any]] = {
        "code_size": [Interval(Integral, 1, None, closed="left"), None],
        "architecture": [StrOptions({"auto", *ARCHITECTURES}), Architecture],
        "sample_shape": ["array-like", None],
        "loss": [StrOptions(set(LOSSES))],
        "optimizer": [StrOptions(set(OPTIMIZERS)), type],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "lr_schedule": [StrOptions(set(SCHEDULES))],
        "batch_size": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "max_epochs": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "callbacks": [list, tuple, None],
        "checkpoint": [str, os.PathLike, None],
        "device": [str, torch.device],
        "precision": [StrOptions(set(PRECISIONS))],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    # ---- parameters -------------------------------------------------------------

    def _set_nested_params(self, nested: dict[str, Any]) -> None:
        """Store what a constructor collected in ``**nested``.

        Names are checked here, values in `fit`.
        """
        own = self._get_param_names()
        for name, value in nested.items():
            if is_nested(name, own):
                setattr(self, name, value)
            elif name == "nested":
                # scikit-learn's checks pass every name of the signature, also
                # ``nested``, and expect no error before `fit`.
                self._unknown_params = {name: value}
            else:
                raise InvalidParameterError(self._unknown_message(name))

    def _unknown_message(self, name: str) -> str:
        own = self._get_param_names()
        known = [*own, *(f"{prefix}__" for prefix in nested_prefixes(own))]
        message = f"{type(self).__name__} has no parameter {name!r}."
        prefix, delimiter, _ = name.partition("__")
        return message + (
            cure_of(name, own)
            or did_you_mean(name, known)
            or did_you_mean(prefix + delimiter, known)
        )

    def _refuse_fit_params(self, given: dict[str, Any], method: str = "fit") -> None:
        """Raise for parameters of `fit`, naming those of the constructor instead."""
        own = self._get_param_names()
        for name in given:
            near = public_name(name)
            cure = (
                f" Set the parameter {near!r} of the estimator." if near in own else ""
            )
            raise TypeError(
                f"{type(self).__name__}.{method} takes no {name!r}."
                f"{cure or cure_of(name, own) or did_you_mean(name, own)}"
            )

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
        names = self._get_param_names()
        nested = {
            name: value
            for name, value in vars(self).items()
            if "__" in name and is_nested(name, names)
        }
        return {**super().get_params(deep=deep), **nested, **self._unknown_params}

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
        own = {*self._get_param_names(), *self._unknown_params}
        all_nested = {name for name in params if is_nested(name, own)}
        for name in params:
            if name not in all_nested and name.partition("__")[0] not in own:
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
            if name in all_nested and not name.startswith(of_objects)
        }
        nested |= {k: v for k, v in params.items() if k in self._unknown_params}
        for name in all_nested - nested.keys():
            # An object's own parameter replaces a nested one that was stored here.
            self.__dict__.pop(name, None)
        self._set_nested_params(nested)
        super().set_params(**{k: v for k, v in params.items() if k not in nested})
        return self

    def _validate_params(self) -> None:
        """Check the parameters; errors suggest similar names and values."""
        for name in self._unknown_params:
            raise InvalidParameterError(self._unknown_message(name))
        params = self.get_params(deep=False)
        for name, value in params.items():
            constraints = self._parameter_constraints.get(name, [])
            # scikit-learn accepts True as the integer 1.
            if isinstance(value, bool) and any(
                getattr(constraint, "type", None) is Integral
                for constraint in constraints
            ):
                raise InvalidParameterError(
                    f"The {name!r} parameter of {type(self).__name__} must be a "
                    f"number. Got {value!r} instead."
                )
        with suggesting(self):
            super()._validate_params()

    # ---- how it is shown ---------------------------------------------------------

    def summary(self) -> str:
        """Return a table of the network's layers and facts of its training, as text.

        Returns
        -------
        summary : str
            For each layer its name in ``net_.module_``, its class, the shape that it
            returns for one sample, and the number of its weights; then the device,
            epochs, seconds and best losses. Notebooks show the same in the diagram of
            the estimator.
        """
        return Summary.of(self).to_text()

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

    # scikit-learn's diagram links to the documentation of this package.
    _doc_link_module = "skautoencoder"

    def _get_doc_link(self) -> str:
        url = documentation_url()
        name = type(self).__name__
        return f"{url}/generated/skautoencoder.{name}.html" if url else ""

    def _get_fitted_attr_html(self, *args: Any, **kwargs: Any) -> Any:
        """Return the table of fitted attributes, below one of the network."""
        table = super()._get_fitted_attr_html(*args, **kwargs)
        shown = {"net_": "skorch net", "history_": f"{self.n_iter_} epochs"}
        shown |= dict.fromkeys(("encoder_", "decoder_"), "torch module")
        for name, text in shown.items():
            table.data[name]["value"] = ShortRepr(text)
        return WithSummary(table, Summary.of(self))

    # ---- copies and files --------------------------------------------------------

    def __copy__(self) -> Self:
        copied: Self = _new(type(self))
        copied.__dict__.update(vars(self))
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        copied: Self = _new(type(self))
        memo[id(self)] = copied
        copied.__dict__.update(copy.deepcopy(vars(self), memo))
        return copied

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what pickle makes another of these from."""
        state: Any = vars(self).copy()
        try:
            pickle.dumps(self.get_params(deep=False))
        except (AttributeError, TypeError, pickle.PicklingError):
            # pickle looks functions up by their names, and lambdas have none: their
            # code is stored. The trained net holds the same functions.
            state = wrap_non_picklable_objects(state, keep_wrapper=False)
        return _new, (type(self),), state

    def __getstate__(self) -> dict[str, Any]:
        """Return what skops stores, which cannot hold tensors."""
        state: dict[str, Any] = _files().state_for_skops(self)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Set the attributes that pickle, copy or skops kept."""
        if "file" in state or "member" in state:
            state = _files().attributes_from_skops(state)
        self.__dict__.update(state)


def nested_prefixes(own: Collection[str]) -> list[str]:
    """Return the prefixes of nested parameters, given an estimator's parameters."""
    return [p for p in NESTED_PREFIXES if p in own or p == "iterator_train"]


def is_nested(name: str, own: Collection[str]) -> bool:
    """Return whether a name is that of a nested parameter of an estimator."""
    prefix, _, rest = name.partition("__")
    return bool(rest) and prefix in nested_prefixes(own)


def params_of(prefix: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested parameters of one prefix, without it."""
    start = f"{prefix}__"
    return {k.removeprefix(start): v for k, v in params.items() if k.startswith(start)}


def _new(kind: type[Any]) -> Any:
    """Return an estimator without attributes, for pickle and copy to set them."""
    return object.__new__(kind)


def _files() -> Any:
    """Return the module of files, which stands above this one."""
    return importlib.import_module("skautoencoder.persistence.files")
