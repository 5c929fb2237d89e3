"""The penalty parameters of transformers, and the objects made from them."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from sklearn.base import clone
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    StrOptions,
)

from skautoencoder._estimator.parameter_hints import did_you_mean
from skautoencoder.objectives import (
    PENALTIES,
    Contraction,
    Penalty,
    check_penalties,
)

# In addition to the constraints of all estimators.
PENALTY_CONSTRAINTS: dict[str, list[Any]] = {
    "sparsity": [StrOptions({"l1", "kl", "top_k"}), None],
    "sparsity_weight": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
    "sparsity_target": [Interval(Real, 0, 1, closed="neither")],
    "n_nonzero_coefs": [Interval(Integral, 1, None, closed="left"), None],
    "contraction_weight": [Interval(Real, 0, None, closed="left")],
    "penalty": [StrOptions(set(PENALTIES)), Penalty, list, tuple, None],
}


def make_penalties(
    sparsity: str | None,
    sparsity_weight: float | str,
    sparsity_target: float,
    n_nonzero_coefs: int | None,
    contraction_weight: float,
    penalty: Any,
    nested: dict[str, Any],
) -> tuple[Penalty, ...]:
    """Return the penalties for an estimator's parameters.

    Parameters
    ----------
    sparsity, sparsity_weight, sparsity_target, n_nonzero_coefs, contraction_weight, \
            penalty
        The parameters. Their values are validated, but not the elements of a list.
    nested : dict
        Parameters of the form ``penalty__*``.
    """
    penalties = []
    if sparsity is not None:
        kind = PENALTIES[sparsity]
        values = {
            "weight": sparsity_weight,
            "target": sparsity_target,
            "n_nonzero_coefs": n_nonzero_coefs,
        }
        names = kind().get_params()
        penalties.append(
            kind(**{n: v for n, v in values.items() if n in names and v != "auto"})
        )
    if contraction_weight:
        penalties.append(Contraction(contraction_weight))
    if nested and (penalty is None or isinstance(penalty, list | tuple)):
        raise InvalidParameterError(
            f"penalty__{next(iter(nested))} is for one penalty, but penalty="
            f"{penalty!r}. Set penalty to a name or an object; objects in a list have "
            "their parameters already."
        )
    given = penalty if isinstance(penalty, list | tuple) else [penalty]
    for one in given if penalty is not None else []:
        made = PENALTIES[one]() if isinstance(one, str) and one in PENALTIES else one
        if not isinstance(made, Penalty):
            raise InvalidParameterError(
                "Each element of penalty must be a Penalty object or one of "
                f"{', '.join(map(repr, PENALTIES))}. Got {one!r} instead."
                f"{did_you_mean(one, [*PENALTIES])}"
            )
        penalties.append(clone(made).set_params(**nested))
    check_penalties(penalties)
    return tuple(penalties)
