"""Validation of the user's samples and codes, and conversion to flat rows."""

from __future__ import annotations

import math
from numbers import Integral, Number
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.validation import validate_data
from torch import Tensor

from skautoencoder._estimator.array_types import Array, Shape
from skautoencoder._estimator.input_hints import column_names, with_hints
from skautoencoder._estimator.user_warnings import warn_user


def from_torch(X: Any) -> Any:
    """Return a torch tensor as an array, and anything else unchanged.

    What a masked array hides becomes NaN: NumPy's functions would not see the mask.

    Raises
    ------
    TypeError
        If it has no values: a sparse tensor, one on the device "meta", or a LazyFrame.
    """
    if type(X).__name__ == "LazyFrame":
        raise TypeError("X is a LazyFrame, which has no rows yet. Pass X.collect().")
    # NumPy would also take the attribute `_mask` of frames and pandas arrays for one.
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        is_numeric = X.dtype.kind in "buif"
        dtype = np.result_type(X, np.float32) if is_numeric else np.dtype(object)
        return np.ma.filled(X.astype(dtype), np.nan)
    if not isinstance(X, Tensor):
        return X
    if X.layout != torch.strided or X.is_meta:
        kind = "no values" if X.is_meta else f"the layout {X.layout}"
        raise TypeError(
            f"X is a tensor with {kind}, but must be a dense one. Use X.to_dense()."
        )
    # NumPy has no bfloat16.
    return (X.float() if X.dtype == torch.bfloat16 else X).numpy(force=True)


def check_samples(
    estimator: BaseEstimator,
    X: ArrayLike,
    *,
    fitted_shapes: tuple[Shape, Shape] | None,
    ensure_min_samples: int = 1,
    ensure_all_finite: bool | str = True,
    numeric: bool = False,
) -> tuple[Array, Shape]:
    """Validate samples of any rank.

    Parameters
    ----------
    estimator : estimator instance
        ``n_features_in_`` and ``feature_names_in_`` are set on it, or compared.
    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        The samples.
    fitted_shapes : tuple of shapes or None
        The shapes that a sample may have in a fitted estimator. None: features are
        set, not compared.
    ensure_min_samples : int, default=1
        Minimum number of samples.
    ensure_all_finite : bool or "allow-nan", default=True
        Whether to check for NaN and infinity, which takes a pass over the data.
    numeric : bool, default=False
        Whether rows may have any numeric NumPy type.

    Returns
    -------
    rows : ndarray of shape (n_samples, n_features)
        The samples, flat, as float32 if they were float32, and as float64 otherwise.
    data_shape : tuple of int
        Shape of one sample of `X`.

    Raises
    ------
    TypeError
        If samples are dates or durations.
    """
    X = from_torch(X)
    types = float_types(X)
    reset = fitted_shapes is None
    checks: dict[str, Any] = {
        "dtype": "numeric" if numeric else types,
        "ensure_min_samples": ensure_min_samples,
        "ensure_all_finite": ensure_all_finite,
    }
    name = type(estimator).__name__
    if hasattr(X, "columns"):
        if not len(X.columns):
            raise ValueError(
                "X is a frame without columns. Were all of them dropped, or left out "
                "by a selector of columns?"
            )
        # Feature names are compared before values are checked, as in scikit-learn.
        with with_hints(X, name):
            rows = validate_data(estimator, X, reset=reset, **checks)
        return rows, rows.shape[1:]
    if (
        type(X) is np.ndarray
        and X.dtype in types
        and X.shape[1:] in (fitted_shapes or ())
        and len(X) >= ensure_min_samples
        and _are_finite(X, ensure_all_finite)
    ):
        checked = X  # nothing else is to check, and a single row is waited for
    else:
        with with_hints(X, name):
            checked = check_array(
                X, allow_nd=True, estimator=estimator, input_name="X", **checks
            )
    data_shape = checked.shape[1:]
    if not all(data_shape):
        raise ValueError(f"X has samples of shape {data_shape}, which are empty.")
    rows = checked.reshape(len(checked), -1)
    if fitted_shapes is not None and data_shape not in fitted_shapes:
        _check_data_shape(estimator, fitted_shapes, data_shape, checked.shape)
    # Else there is nothing to set, warn of or refuse, and a single row is waited for.
    if (
        reset
        or hasattr(estimator, "feature_names_in_")
        or estimator.n_features_in_ != rows.shape[1]
    ):
        validate_data(estimator, rows, reset=reset, skip_check_array=True)
    return rows, data_shape


def _are_finite(samples: Array, wanted: bool | str) -> bool:
    """Return whether samples are as finite as `ensure_all_finite` wants them."""
    if wanted == "allow-nan":
        return not np.isinf(samples).any()
    return not wanted or bool(np.isfinite(samples).all())


def holds_samples(y: Any, X: Any) -> bool:
    """Return whether `y` is an array of samples that differ from those of `X`.

    Labels have one dimension, and `y` may be `X` itself. Samples with a single feature
    cannot be distinguished from a column of labels.
    """
    if y is None or y is X:
        return False
    try:
        given = _as_numbers(y)
        if given.ndim < 2:
            return False  # before X is converted, which may be a large frame
        samples = _as_numbers(X)
        return bool(
            samples.ndim > 1
            and len(y) == len(X) < samples.size == given.size
            and not np.array_equal(given.ravel(), samples.ravel(), equal_nan=True)
        )
    except Exception:  # of any kind: validation of X raises a better error later
        return False


def _as_numbers(X: Any) -> NDArray[Any]:
    """Return samples as an array of numbers, also of types that NumPy does not have.

    Sequences of different lengths come one after the other.
    """
    X = from_torch(X)
    try:
        samples = np.asarray(X)
    except ValueError:
        samples = np.concatenate([np.reshape(one, (len(one), -1)) for one in X])
    if samples.dtype.kind == "O" and isinstance(samples.flat[0], Number):
        samples = samples.astype(np.float64)
    if samples.dtype.kind not in "buif":
        raise TypeError(f"Samples of type {samples.dtype} are no numbers.")
    return samples


def warn_of_ignored_samples(y: Any, X: Any, name: str, verb: str) -> None:
    """Warn if `y`, which is not used, looks like targets of the reconstruction."""
    if holds_samples(y, X):
        warn_user(
            f"{name} {verb} y, which holds samples of the shape of X. To "
            "learn clean samples from noisy ones, use DenoisingAutoencoder and its "
            "fit(X_noisy, X_clean=X_clean); else leave y out.",
        )


def float_types(X: Any) -> list[Any]:
    """Return the float types that scikit-learn's validation may convert samples to.

    It does not recognise the float32 of all libraries, and would convert it to float64.

    Raises
    ------
    TypeError
        If there are dates or durations. They would become numbers of nanoseconds, too
        large for a network to distinguish.
    """
    dtype = getattr(X, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind == "f":  # as a single row mostly has
        return [np.float32] if dtype.itemsize == 4 else [np.float64, np.float32]
    # The type of an array, or those of a frame's columns.
    types = getattr(X, "dtypes", None) if hasattr(X, "columns") else None
    types = [getattr(X, "dtype", None)] if types is None else types
    for name, dtype in zip(getattr(X, "columns", [None]), types, strict=False):
        words = str(dtype).lower()
        if words.startswith(("date", "time", "duration", "period")):
            what = "X has" if name is None else f"Column {name!r} of X has"
            raise TypeError(
                f"{what} dtype {dtype}, which is not a number. Turn dates and "
                "durations into numbers first, for example into days."
            )
    kinds = {str(getattr(dtype, "numpy_dtype", dtype)).lower() for dtype in types}
    if kinds and kinds <= {"float32", ">f4", "<f4"}:
        return [np.float32]
    return [np.float64, np.float32]


def check_codes(estimator: Any, X: ArrayLike, *, takes_leading: bool = False) -> Array:
    """Validate codes of a fitted estimator.

    Parameters
    ----------
    estimator : estimator instance
        Has ``code_size_``.
    X : array-like of shape (n_samples, code_size)
        The codes.
    takes_leading : bool, default=False
        Whether codes may end early.

    Returns
    -------
    codes : ndarray of shape (n_samples, code_size)
        The codes as float32 or float64.
    """
    X = from_torch(X)
    types = float_types(X)
    with with_hints(X, type(estimator).__name__):
        codes: Array = check_array(
            X, dtype=types, allow_nd=True, estimator=estimator, input_name="X"
        )
    is_flat, size = codes.ndim == 2, codes.shape[1]
    is_part = takes_leading and size < estimator.code_size_
    if not is_flat or (size != estimator.code_size_ and not is_part):
        found = f"{size} numbers" if is_flat else f"shape {codes.shape[1:]}"
        raise ValueError(
            f"X has codes of {found}, but "
            f"{type(estimator).__name__} has code_size_={estimator.code_size_}. Pass "
            "what transform returned."
        )
    if np.abs(codes).max() > np.finfo(np.float32).max:
        raise too_large(codes, type(estimator).__name__)
    given = column_names(X)
    if given is not None:
        _check_order(given, [*estimator.get_feature_names_out()])
    return codes


def _check_order(given: list[Any], names: list[str]) -> None:
    """Raise if columns have the names of codes' numbers, but of other ones."""
    first = names[: len(given)]
    if given != first and {*given} <= {*names}:
        raise ValueError(
            f"X has the columns {given}, but codes begin with {first}. Pass columns as "
            "transform returned them: in their order, from the first on."
        )


def check_finite(rows: Array, tensor: Tensor, name: str) -> None:
    """Raise if a batch has NaN or infinity.

    Parameters
    ----------
    rows : ndarray
        A part of the data.
    tensor : Tensor
        The batch in the network's units.
    name : str
        Name of the estimator, for the message.
    """
    if all_finite(tensor):
        return
    # Also under assume_finite=True, which saves the search as long as all goes well.
    with with_hints(rows, name), config_context(assume_finite=False):
        assert_all_finite(rows, input_name="X", estimator_name=name)
    raise too_large(rows, name)


def all_finite(numbers: Tensor) -> bool:
    """Return whether there is neither NaN nor infinity."""
    # A sum is not finite if one of its terms is not; it may also overflow.
    if math.isfinite(float(numbers.sum())):
        return True
    return bool(numbers.isfinite().all())


def too_large(rows: Array, name: str) -> ValueError:
    """Return the error for values that are too large for float32."""
    return ValueError(
        f"X has values too large for {name}, which computes in float32: "
        f"up to {np.nanmax(np.abs(rows)):.3g}. Scale the data as in fit."
    )


def check_fits(values: Array, name: str) -> None:
    """Raise if results overflow in the type of the input.

    Parameters
    ----------
    values : ndarray
        The results.
    name : str
        Name of the estimator, for the message.
    """
    if not np.isfinite(values).all():
        raise ValueError(
            f"What {name} learnt in fit is too large for {values.dtype}, the type of "
            "X: answers would be infinite. Pass float64, or scale the data."
        )


def _check_data_shape(
    estimator: Any, expected: tuple[Shape, ...], data_shape: Shape, shape: Shape
) -> None:
    """Raise unless samples of another shape than in `fit` are its samples as rows."""
    n_given, n_expected = math.prod(data_shape), estimator.n_features_in_
    if n_given != n_expected and shape in expected:
        raise ValueError(
            f"X has {n_given} features, but {type(estimator).__name__} is expecting "
            f"{n_expected} features as input. X has the shape of one sample, {shape}: "
            "pass X[np.newaxis]."
        )
    if len(data_shape) > 1:
        turned = " Are its axes turned?" if data_shape[::-1] in expected else ""
        wanted = " or ".join(map(str, sorted({*expected}, key=len)))
        name, shapes = type(estimator).__name__, f"samples of shape {data_shape}"
        if n_given == n_expected:
            found = f"X has {shapes}, but {name} is expecting {wanted}"
        else:
            found = (
                f"X has {n_given} features, but {name} is expecting {n_expected} "
                f"features as input: {shapes} instead of {wanted}"
            )
        raise ValueError(f"{found}, as seen in fit.{turned}")


def resolve_sample_shape(sample_shape: Any, data_shape: Shape) -> Shape:
    """Return the shape in which a network sees a sample.

    Raises
    ------
    ValueError
        If `sample_shape` is not a shape or has another number of features.
    """
    if sample_shape is None:
        return data_shape
    shape = tuple(sample_shape)
    if not shape or not all(isinstance(n, Integral) and int(n) > 0 for n in shape):
        raise ValueError(
            "sample_shape must be a tuple of positive integers, such as (28, 28) or "
            f"(3, 32, 32), got {sample_shape!r}."
        )
    n_features, n_wanted = np.prod(data_shape), np.prod(shape)
    if n_features != n_wanted:
        raise ValueError(
            f"sample_shape={shape} has {n_wanted} values, but X has {n_features} "
            "features a sample. Give the height, width and channels that multiply "
            "to the number of features."
        )
    return tuple(int(n) for n in shape)
