"""What makes an autoencoder an imputer in scikit-learn's conventions."""

from __future__ import annotations

import math
import warnings
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import TransformerMixin
from sklearn.utils import Tags
from sklearn.utils._param_validation import MissingValues
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from skautoencoder._samples import Array, Mask, Shape, check_fits, check_samples
from skautoencoder.training import one_thread

# Parameters of what is missing, and of what is returned beside what is filled.
IMPUTER_CONSTRAINTS: dict[str, list[Any]] = {
    "missing_values": [MissingValues(numeric_only=True)],
    "add_indicator": ["boolean"],
    "keep_empty_features": ["boolean"],
}

_ROWS_TOGETHER = 4096


class ImputerMixin(TransformerMixin):
    """What an autoencoder offers as an imputer.

    The estimator has ``_guess(rows, missing)``, which returns values for all entries
    of rows, and ``_statistics`` of the observed values, which has ``is_empty``.
    """

    # ---- what is missing -----------------------------------------------------

    def _check_rows(self: Any, X: ArrayLike, *, reset: bool) -> tuple[Array, Shape]:
        return check_samples(
            self,
            X,
            reset=reset,
            ensure_min_samples=2 if reset else 1,
            ensure_all_finite="allow-nan" if self._marks_nan else True,
        )

    def _is_missing(self: Any, rows: Array) -> Mask:
        if self._marks_nan:
            return np.isnan(rows)
        is_missing: Mask = rows == self.missing_values
        return is_missing

    @property
    def _marks_nan(self: Any) -> bool:
        """Whether NaN is what marks a missing value; pandas.NA becomes NaN too."""
        mark = self.missing_values
        return not isinstance(mark, Real) or math.isnan(mark)

    def _set_indicator(self: Any, rows: Array) -> None:
        self.indicator_ = None
        if not self.add_indicator:
            return
        if len(self._data_shape) > 1:
            raise ValueError(
                "add_indicator=True is for tables: flags have no place in samples of "
                f"shape {self._data_shape}. Set it to False, or pass rows of shape "
                "(n_samples, n_features) and sample_shape."
            )
        # Brings a lot of scikit-learn along, which importing us need not wait for.
        from sklearn.impute import MissingIndicator

        indicator = MissingIndicator(
            missing_values=np.nan if self._marks_nan else self.missing_values,
            error_on_new=False,
        )
        with np.errstate(invalid="ignore"):  # sums of large values
            self.indicator_ = indicator.fit(rows)

    # ---- what comes out ------------------------------------------------------

    def fit_transform(
        self: Any, X: ArrayLike, y: object = None, **fit_params: Any
    ) -> Any:
        """Fit to samples and fill their holes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training samples.
        y : object, default=None
            Ignored: a Pipeline hands its targets to each of its steps.
        **fit_params : dict
            Passed to `fit`.

        Returns
        -------
        filled : ndarray of shape (n_samples, n_features_out) or (n_samples, ...)
            The samples without holes, see `transform`.
        """
        return super().fit_transform(X, **fit_params)

    @one_thread()
    def transform(self: Any, X: ArrayLike) -> Array:
        """Fill the holes of samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples with missing values.

        Returns
        -------
        filled : ndarray of shape (n_samples, n_features_out) or (n_samples, ...)
            The samples without holes. What was observed is what it was, to the
            last bit. A sample of which nothing is observed becomes the mean of
            what `fit` observed. Features that `fit` never observed are left out,
            or 0 with ``keep_empty_features=True`` and in N-D samples. With
            ``add_indicator=True`` columns of flags follow.
        """
        check_is_fitted(self)
        self._check_output()
        rows, data_shape = self._check_rows(X, reset=False)
        missing = self._is_missing(rows)
        filled = rows.copy()
        with_holes = np.flatnonzero(missing.any(axis=1))
        for i in range(0, len(with_holes), _ROWS_TOGETHER):
            part = with_holes[i : i + _ROWS_TOGETHER]
            guess = self._guess(rows[part], missing[part])
            with np.errstate(over="ignore"):
                filled[part] = np.where(missing[part], guess, rows[part])
            check_fits(filled[part], type(self).__name__)
        if len(data_shape) > 1:
            return filled.reshape(len(filled), *data_shape)
        if not self._is_kept.all():
            left_out = list(_check_feature_names_in(self, None)[~self._is_kept])
            warnings.warn(
                "Features without any observed values in fit are left out: "
                f"{left_out}. With keep_empty_features=True they are returned, as 0.",
                stacklevel=2,
            )
            filled = filled[:, self._is_kept]
        if self.indicator_ is None:
            return filled
        flags = missing[:, self.indicator_.features_]
        return np.concatenate([filled, flags.astype(filled.dtype)], axis=1)

    def _check_output(self: Any) -> None:
        """Raise if images are to be returned as a frame."""
        container = _get_output_config("transform", self)["dense"]
        if len(self._data_shape) > 1 and container != "default":
            raise ValueError(
                f"transform_output={container!r} cannot hold samples of shape "
                f"{self._data_shape}. Ask for arrays, with "
                "set_output(transform='default'), or pass flat rows of shape "
                "(n_samples, n_features) and sample_shape."
            )

    @property
    def _is_kept(self: Any) -> Mask:
        """Which features are returned; of images, all."""
        if self.keep_empty_features or len(self._data_shape) > 1:
            return np.ones_like(self._statistics.is_empty)
        kept: Mask = ~self._statistics.is_empty
        return kept

    def get_feature_names_out(
        self: Any, input_features: ArrayLike | None = None
    ) -> NDArray[np.object_]:
        """Return the names of the columns that `transform` returns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the features of `X`. None: ``feature_names_in_``, or "x0",
            "x1" and so on.

        Returns
        -------
        names : ndarray of str
            The names of the features that are kept, and with
            ``add_indicator=True`` ``missingindicator_`` and the name of each
            feature that had missing values in `fit`.
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        kept = names[self._is_kept]
        if self.indicator_ is None:
            return kept
        flags = self.indicator_.get_feature_names_out(names)
        return np.concatenate([kept, flags])

    def __sklearn_tags__(self: Any) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._marks_nan
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
