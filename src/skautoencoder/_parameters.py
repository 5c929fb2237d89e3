"""Nested parameters and errors that help, on top of scikit-learn's parameters."""

from __future__ import annotations

import difflib
from numbers import Integral
from typing import Any, Self

from sklearn.utils._param_validation import (
    InvalidParameterError,
    StrOptions,
    make_constraint,
)

from skautoencoder.architectures._architecture import NamedParameters

# Whose parameters can be given as ``optimizer__weight_decay=1e-4``.
NESTED_PREFIXES = ("optimizer", "iterator_train", "callbacks", "architecture")


class NestedParametersMixin(NamedParameters):
    """Parameters of the things inside an estimator, under skorch's names.

    A nested parameter is stored as an attribute under the name it was given, so
    that ``get_params``, ``set_params``, ``clone``, pickling and a grid search
    treat it like any other parameter.
    """

    def _set_nested_params(self, nested: dict[str, Any]) -> None:
        """Store what a constructor collected in ``**nested``.

        Names are judged here, values in `fit`.
        """
        for name, value in nested.items():
            if self._is_nested(name):
                setattr(self, name, value)
            elif name == "nested":
                # scikit-learn's checks pass every name of the signature, also that
                # of the catch-all, and want no error before `fit`.
                self._unknown_params = {name: value}
            else:
                raise InvalidParameterError(self._unknown_message(name))

    def _unknown_message(self, name: str) -> str:
        known = [*self._get_param_names(), *(f"{p}__" for p in self._prefixes())]
        message = f"{type(self).__name__} has no parameter {name!r}."
        prefix, delimiter, _ = name.partition("__")
        return message + (
            did_you_mean(name, known) or did_you_mean(prefix + delimiter, known)
        )

    def _unknown(self) -> dict[str, Any]:
        """Return what was given to the constructor and is no parameter."""
        return getattr(self, "_unknown_params", {})

    def _prefixes(self) -> list[str]:
        own = self._get_param_names()
        return [p for p in NESTED_PREFIXES if p in own or p == "iterator_train"]

    def _is_nested(self, name: str) -> bool:
        prefix, delimiter, rest = name.partition("__")
        return bool(delimiter and rest) and prefix in self._prefixes()

    def _nested_params(self, prefix: str | None = None) -> dict[str, Any]:
        """Return nested parameters, all of them or those of one prefix."""
        nested = {name: v for name, v in vars(self).items() if self._is_nested(name)}
        if prefix is None:
            return nested
        return {
            name.removeprefix(f"{prefix}__"): value
            for name, value in nested.items()
            if name.startswith(f"{prefix}__")
        }

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get parameters for this estimator.

        Parameters
        ----------
        deep : bool, default=True
            If True, will return the parameters of an architecture object too.

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
        # An architecture object has parameters of its own to set, which
        # scikit-learn's set_params does; the object may be new in this call.
        if "architecture" in params:
            super().set_params(architecture=params["architecture"])
        has_own = hasattr(getattr(self, "architecture", None), "set_params")
        nested = {
            name: value
            for name, value in params.items()
            if self._is_nested(name)
            and not (has_own and name.startswith("architecture__"))
        }
        nested |= {k: v for k, v in params.items() if k in self._unknown()}
        for name in params.keys() - nested.keys():
            # What was given beside an object yields to what the object is told.
            if self._is_nested(name):
                self.__dict__.pop(name, None)
        self._set_nested_params(nested)
        super().set_params(**{k: v for k, v in params.items() if k not in nested})
        return self

    def _validate_params(self) -> None:
        """Check the parameters and, for a misspelt one, name the near one."""
        for name in self._unknown():
            raise InvalidParameterError(self._unknown_message(name))
        for name, value in self.get_params(deep=False).items():
            # To Python, and so to scikit-learn, True is the integer 1.
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
                    hint = did_you_mean(value, self._choices(name))
                    raise InvalidParameterError(f"{error}{hint}") from None
            raise

    def _wants_integer(self, name: str) -> bool:
        constraints = self._parameter_constraints.get(name, [])
        return any(getattr(c, "type", None) is Integral for c in constraints)

    def _choices(self, name: str) -> list[str]:
        """Return the strings that a parameter can be."""
        choices: list[str] = []
        for constraint in self._parameter_constraints.get(name, []):
            made = make_constraint(constraint)
            if isinstance(made, StrOptions):
                choices += made.options
        return choices


# What other libraries call it.
_ALIASES = {
    "binary_crossentropy": "bce",
    "cross_entropy": "bce",
    "encoding_dim": "code_size",
    "epochs": "max_epochs",
    "l2": "mse",
    "latent_dim": "code_size",
    "learning_rate": "lr",
    "mae": "l1",
    "max_iter": "max_epochs",
    "n_components": "code_size",
}


def did_you_mean(name: object, known: list[str]) -> str:
    """Return a sentence with the known name that is nearest, if one is near."""
    if not isinstance(name, str):
        return ""
    lowered = name.lower()
    near = [k for k in known if sorted(k) == sorted(lowered)]
    near += [k for k in known if k == _ALIASES.get(lowered)]
    near += [k for k in known if len(k) > 2 and lowered.startswith(k)]
    near += difflib.get_close_matches(lowered, known, n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
