"""From what the user holds to flat rows, and to the units a network likes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.validation import validate_data
from torch import Tensor

from skautoencoder._input_hints import with_hints
from skautoencoder.training.inference import to_tensor
from skautoencoder.training.threads import one_thread

# MinMaxScaler returns 1.0000000000000002.
_UNIT_RANGE_MARGIN = 1e-6
_CHUNK = 4096
# Share of a mean below which a distance from it is nothing but rounding.
ROUNDING = 1e-12

Shape = tuple[int, ...]
Range = tuple[float, float]
Array = NDArray[np.floating]
Rows64 = NDArray[np.float64]
Mask = NDArray[np.bool_]


def from_torch(X: Any) -> Any:
    """Return a tensor of torch's as an array, and all else as it is."""
    if not isinstance(X, Tensor):
        return X
    # A type that NumPy does not have.
    return (X.float() if X.dtype == torch.bfloat16 else X).numpy(force=True)


def check_samples(
    estimator: BaseEstimator,
    X: ArrayLike,
    *,
    reset: bool,
    ensure_min_samples: int = 1,
    ensure_all_finite: bool | str = True,
    numeric: bool = False,
) -> tuple[Array, Shape]:
    """Validate samples of any rank.

    Parameters
    ----------
    estimator : estimator instance
        Gets ``n_features_in_`` and ``feature_names_in_``, or is asked for them.
    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        The samples.
    reset : bool
        Whether the estimator is told (in ``fit``) or asked (elsewhere).
    ensure_min_samples : int, default=1
        Fewest samples allowed.
    ensure_all_finite : bool or "allow-nan", default=True
        Whether to look for NaN and infinity, which takes a pass over the data.
    numeric : bool, default=False
        Whether rows may have any type of number, as long as it is one of NumPy's.

    Returns
    -------
    rows : ndarray of shape (n_samples, n_features)
        The samples, flat, as float32 if they were, and else as float64.
    data_shape : tuple of int
        Shape of one sample as given.

    Raises
    ------
    TypeError
        If samples are dates or durations.
    """
    X = from_torch(X)
    _check_no_dates(X)
    checks: dict[str, Any] = {
        "dtype": "numeric" if numeric else float_types(X),
        "ensure_min_samples": ensure_min_samples,
        "ensure_all_finite": ensure_all_finite,
    }
    name = type(estimator).__name__
    if hasattr(X, "columns"):
        # Names are compared before values are looked at, as elsewhere.
        with with_hints(X, name), summing_large_values():
            rows = validate_data(estimator, X, reset=reset, **checks)
        return rows, rows.shape[1:]
    with with_hints(X, name), summing_large_values():
        checked = check_array(
            X, allow_nd=True, estimator=estimator, input_name="X", **checks
        )
    data_shape = checked.shape[1:]
    if not all(data_shape):
        raise ValueError(f"Found samples of shape {data_shape}, which are empty.")
    rows = checked.reshape(len(checked), -1)
    if not reset:
        _check_data_shape(estimator, data_shape, checked.shape)
    validate_data(estimator, rows, reset=reset, skip_check_array=True)
    return rows, data_shape


def holds_samples(y: Any, X: Any) -> bool:
    """Return whether `y` is an array of other samples, one for each of `X`.

    Labels have one dimension, and what is compared with itself may be given twice.
    A single feature cannot be told from a column of labels.
    """
    if y is None or y is X:
        return False
    try:
        given = np.asarray(from_torch(y))
        if given.ndim < 2 or given.dtype.kind not in "buif":
            return False  # without a look at X, which may be a large frame
        samples = np.asarray(from_torch(X))
        if samples.dtype.kind == "O":
            samples = samples.astype(np.float64)
    except Exception:  # of whatever kind: X is refused, by name, where it is read
        return False
    return bool(
        samples.ndim > 1
        and len(given) == len(samples) < samples.size == given.size
        and not np.array_equal(given.ravel(), samples.ravel(), equal_nan=True)
    )


def warn_of_ignored_samples(y: Any, X: Any, name: str, verb: str) -> None:
    """Warn if `y`, which is not used, was meant as what the answers should be."""
    if holds_samples(y, X):
        warnings.warn(
            f"{name} {verb} nothing from y, which holds samples of the shape of X. To "
            "learn clean samples from noisy ones, use DenoisingAutoencoder and its "
            "fit(X_noisy, X_clean=X_clean); else leave y out.",
            stacklevel=3,
        )


def _check_no_dates(X: Any) -> None:
    """Raise if there are dates, which would be taken for their number of nanoseconds.

    And there would be more of those than a network could tell from another.
    """
    names = getattr(X, "columns", [None])
    for name, dtype in zip(names, _types_of(X), strict=False):
        words = str(dtype).lower()
        if words.startswith(("date", "time", "duration", "period")):
            what = "X has" if name is None else f"Column {name!r} of X has"
            raise TypeError(
                f"{what} dtype {dtype}, which is not a number. Turn dates and "
                "durations into numbers first, for example into days."
            )


def _types_of(X: Any) -> Iterable[Any]:
    """Return the type of an array, or those of a frame's columns."""
    types = getattr(X, "dtypes", None)
    return [getattr(X, "dtype", None)] if types is None else types


def summing_large_values() -> np.errstate:
    """Let sums of large values be NaN: scikit-learn looks for infinity with them."""
    return np.errstate(invalid="ignore")


def float_types(X: Any) -> list[Any]:
    """Return the types of float that samples may become in validation.

    Which does not know float32 by all of the names that it has, and would widen it.
    """
    types = _types_of(X)
    kinds = {str(getattr(dtype, "numpy_dtype", dtype)).lower() for dtype in types}
    if kinds and kinds <= {"float32", ">f4", "<f4"}:
        return [np.float32]
    return [np.float64, np.float32]


def check_codes(estimator: Any, X: ArrayLike) -> Array:
    """Validate codes of a fitted estimator.

    Parameters
    ----------
    estimator : estimator instance
        Has ``code_size_``.
    X : array-like of shape (n_samples, code_size)
        The codes.

    Returns
    -------
    codes : ndarray of shape (n_samples, code_size)
        The codes as float32 or float64.
    """
    X = from_torch(X)
    _check_no_dates(X)
    with summing_large_values():
        codes: Array = check_array(
            X, dtype=float_types(X), estimator=estimator, input_name="X"
        )
    if codes.shape[1] != estimator.code_size_:
        raise ValueError(
            f"X has codes of {codes.shape[1]} numbers, but "
            f"{type(estimator).__name__} has code_size_={estimator.code_size_}. Pass "
            "what transform returned."
        )
    if np.abs(codes).max() > np.finfo(np.float32).max:
        raise too_large(codes, type(estimator).__name__)
    return codes


def check_finite(rows: Array, tensor: Tensor, name: str) -> None:
    """Raise if a batch has NaN or infinity.

    Parameters
    ----------
    rows : ndarray
        A part of the data.
    tensor : Tensor
        The same in the network's units.
    name : str
        Name of the estimator, for the message.
    """
    # A sum is not finite if a term is not; the reverse is sorted out by name.
    if tensor.sum().isfinite():
        return
    with with_hints(rows, name), summing_large_values():
        assert_all_finite(rows, input_name="X", estimator_name=name)
    if not tensor.isfinite().all():
        raise too_large(rows, name)


def too_large(rows: Array, name: str) -> ValueError:
    """Return the error for values that single precision cannot compute with."""
    return ValueError(
        f"X has values too large for {name}, which computes in float32: "
        f"up to {np.abs(rows).max():.3g}. Scale the data as in fit."
    )


def check_fits(values: Array, name: str) -> None:
    """Raise if answers do not fit into the type of what was asked.

    Parameters
    ----------
    values : ndarray
        The answers.
    name : str
        Name of the estimator, for the message.
    """
    if not np.isfinite(values).all():
        raise ValueError(
            f"What {name} learnt in fit is too large for {values.dtype}, the type of "
            "X: answers would be infinite. Pass float64, or scale the data."
        )


def _check_data_shape(estimator: Any, data_shape: Shape, shape: Shape) -> None:
    expected = {estimator._data_shape, estimator.sample_shape_}
    n_given, n_expected = math.prod(data_shape), estimator.n_features_in_
    if n_given != n_expected and shape in expected:
        raise ValueError(
            f"X has {n_given} features, but {type(estimator).__name__} is expecting "
            f"{n_expected} features as input. X has the shape of one sample, {shape}: "
            "pass X[np.newaxis]."
        )
    if len(data_shape) > 1 and data_shape not in expected:
        wanted = " or ".join(map(str, sorted(expected, key=len)))
        raise ValueError(
            f"X has {math.prod(data_shape)} features, but {type(estimator).__name__} "
            f"is expecting {estimator.n_features_in_} features as input: samples of "
            f"shape {data_shape} instead of {wanted}, as seen in fit."
        )


def resolve_sample_shape(sample_shape: Any, data_shape: Shape) -> Shape:
    """Return the shape in which a network sees a sample.

    Raises
    ------
    ValueError
        If `sample_shape` is no shape or has another number of features.
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


def is_in_unit_range(values: Array | Range, margin: float = _UNIT_RANGE_MARGIN) -> bool:
    """Return whether values, or the lowest and the highest, lie in [0, 1]."""
    return bool(np.min(values) >= -margin and np.max(values) <= 1 + margin)


def fills_unit_range(values: Array | Range) -> bool:
    """Return whether values lie in [0, 1] and make use of it.

    Small numbers of another unit lie there too, and a sigmoid could not tell them
    from zero.
    """
    return is_in_unit_range(values) and bool(np.ptp(values) >= 0.5)


def parts(rows: NDArray[Any], size: int = _CHUNK) -> Iterator[slice]:
    """Go through rows a part at a time, so that no copy of them all is made."""
    for start in range(0, len(rows), size):
        yield slice(start, start + size)


def mean_and_spread(rows: Array) -> tuple[NDArray[np.float64], float]:
    """Return the mean row and the root mean squared distance from it per feature.

    Both are summed in double precision, a part of the rows at a time.
    """
    with one_thread():
        mean = sum(to_tensor(rows[part]).double().sum(0) for part in parts(rows))
        assert isinstance(mean, Tensor)
        mean = mean / len(rows)
        variance = sum(
            float((to_tensor(rows[part]).double() - mean).square_().sum())
            for part in parts(rows)
        )
    spread = float(np.sqrt(variance / rows.size))
    if not np.isfinite(spread):
        raise ValueError(
            "X has values so large that their squares overflow. Scale the data, for "
            "example with StandardScaler."
        )
    # Below the rounding of the mean there is nothing but noise to be blown up.
    rounding = ROUNDING * float(mean.abs().max())
    return mean.numpy(), spread if spread > rounding else 1.0


def feature_spread(rows: Array) -> NDArray[np.float64]:
    """Return each feature's standard deviation, none of them zero.

    A feature that does not vary takes the median of those that do: in that unit a
    value that was never seen is far away, and rounding is not.
    """
    mean = rows.mean(axis=0, dtype=np.float64)
    with np.errstate(over="ignore"):
        square = sum(np.square(rows[part] - mean).sum(axis=0) for part in parts(rows))
    # Infinite is only the square of a large mean's rounding.
    spread = np.sqrt(np.where(np.isfinite(square), square, 0.0) / len(rows))
    rounding = max(ROUNDING, 8 * float(np.finfo(rows.dtype).eps))
    varies = spread > rounding * np.abs(mean)
    usual = float(np.median(spread[varies])) if varies.any() else 1.0
    return np.where(varies, spread, usual)


@dataclass(frozen=True)
class Scaling:
    """Rows in the user's units and in the network's.

    Mostly one number scales all features, as in PCA: which features matter more is
    the user's to say, with a scaler in front. Subtracting in the precision of the
    data keeps what would be lost if large numbers were rounded to float32 first.

    Parameters
    ----------
    offset : ndarray of shape (n_features,), default=None
        What is subtracted. None: nothing.
    scale : float or ndarray of shape (n_features,), default=1.0
        What is divided by.
    """

    offset: NDArray[np.float64] | None = None
    scale: float | NDArray[np.float64] = 1.0

    def to_network(self, rows: Array) -> Tensor:
        """Return rows in the network's units, as float32."""
        tensor = to_tensor(rows)
        if self.offset is None:
            return tensor.float()
        offset = to_tensor(self.offset)
        if offset.to(tensor.dtype).isfinite().all():
            offset = offset.to(tensor.dtype)
        scale = torch.tensor(self.scale, dtype=torch.float64)
        return ((tensor - offset) / scale).float()

    def to_network_in_parts(self, rows: Array) -> Tensor:
        """Return many rows in the network's units without a double-sized copy."""
        if self.offset is None:
            return self.to_network(rows)
        tensor = torch.empty(rows.shape, dtype=torch.float32)
        with one_thread():
            for part in parts(rows):
                tensor[part] = self.to_network(rows[part])
        return tensor

    def to_data(self, tensor: Tensor, dtype: np.dtype[Any]) -> Array:
        """Return rows in the user's units."""
        if self.offset is None:
            return tensor.numpy().astype(dtype, copy=False)
        # In double precision, as the units may be none that single precision has.
        rows: Array = tensor.numpy().astype(np.float64)
        rows *= self.scale
        rows += self.offset
        with np.errstate(over="ignore"):
            return rows.astype(dtype, copy=False)
