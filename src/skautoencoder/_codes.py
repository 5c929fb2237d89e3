"""What makes an autoencoder a transformer of samples into codes."""

from __future__ import annotations

import sys
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skautoencoder._code_features import CodeFeaturesMixin
from skautoencoder._containers import in_frame_like
from skautoencoder._fit_warnings import warn_of_copying, warn_of_units
from skautoencoder._samples import (
    ROUNDING,
    Array,
    Range,
    check_codes,
    parts,
    warn_of_ignored_samples,
)

# Parameters of the penalties on the code, beside those that all estimators have.
PENALTY_CONSTRAINTS: dict[str, list[Any]] = {
    "sparsity": [StrOptions({"l1", "kl", "top_k"}), None],
    "sparsity_weight": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
    "sparsity_target": [Interval(Real, 0, 1, closed="neither")],
    "n_nonzero_coefs": [Interval(Integral, 1, None, closed="left"), None],
    "contraction_weight": [Interval(Real, 0, None, closed="left")],
}


class CodesMixin(CodeFeaturesMixin):
    """What an autoencoder offers as a transformer."""

    # Noise keeps a network from copying.
    _learns_from_noise = False

    def _set_units(self: Any, rows: Array, value_range: Range) -> None:
        super()._set_units(rows, value_range)
        if self._scaling.offset is not None and len(self.sample_shape_) == 1:
            warn_of_units(rows, getattr(self, "feature_names_in_", None))
        is_free = self.sparsity is None and not self.contraction_weight
        if is_free and not self._learns_from_noise and self.code_size is not None:
            warn_of_copying(int(self.code_size), rows.shape[1])

    def fit_transform(
        self: Any, X: ArrayLike, y: object = None, **fit_params: Any
    ) -> Any:
        """Fit to samples and encode them.

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
        codes : ndarray of shape (n_samples, code_size)
            Their codes.
        """
        return super().fit_transform(X, **fit_params)

    def transform(self: Any, X: ArrayLike) -> Array:
        """Encode samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples, flat or in the shape that `fit` saw.

        Returns
        -------
        codes : ndarray of shape (n_samples, code_size)
            Their codes. A row's code does not depend on the rows around it.
        """
        rows = self._check_applied(X)
        codes: Array = self._trained.encode(rows)
        return codes

    def inverse_transform(self: Any, X: ArrayLike) -> Any:
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, code_size)
            Codes.

        Returns
        -------
        samples : ndarray of shape (n_samples, n_features) or (n_samples, ...), or \
                DataFrame
            The samples that they stand for, in the shape that `fit` saw; a DataFrame
            with the index of `X` if that is one and samples are flat.
        """
        check_is_fitted(self)
        samples = self._trained.decode(check_codes(self, X))
        return in_frame_like(X, samples, getattr(self, "feature_names_in_", None))

    def predict(self: Any, X: ArrayLike) -> Any:
        """Reconstruct samples: encode and decode them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.

        Returns
        -------
        reconstructions : ndarray of shape (n_samples, n_features) or \
                (n_samples, ...), or DataFrame
            What the network makes of them, in the shape that `fit` saw; a DataFrame
            with the names and the index of `X` if that is one and samples are flat.
        """
        rows = self._check_applied(X)
        names = getattr(X, "columns", None)
        return in_frame_like(X, self._trained.reconstruct(rows), names)

    def score_samples(self: Any, X: ArrayLike) -> Array:
        """Return minus the reconstruction error of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus the mean over the features of the squared difference between a
            sample and its reconstruction, whatever `loss` was trained with; in
            squared units of the data. The higher, the better reconstructed.
        """
        rows = self._check_applied(X)
        scores: Array = -self._trained.squared_errors(rows)
        return scores

    def score(self: Any, X: ArrayLike, y: object = None) -> float:
        """Return the fraction of the variance of `X` that reconstructions explain.

        On the same data it compares with ``explained_variance_ratio_.sum()`` of
        :class:`~sklearn.decomposition.PCA`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.
        y : object, default=None
            Ignored.

        Returns
        -------
        score : float
            One minus the squared error of the reconstruction over the squared
            distance from the mean of `X`. 1 is best; 0 is as good as answering
            with the mean; there is no lower bound. Samples without variance
            score 1 if they are reconstructed exactly and 0 otherwise.
        """
        warn_of_ignored_samples(y, X, type(self).__name__, "compares")
        rows = self._check_applied(X)
        residual = float(self._trained.squared_errors(rows).sum()) * rows.shape[1]
        return fraction_explained(residual, rows)


def fraction_explained(residual: float, rows: Array) -> float:
    """Return the fraction of the variance of rows that a residual leaves explained.

    Parameters
    ----------
    residual : float
        Sum of the squared errors over all rows and features.
    rows : ndarray of shape (n_samples, n_features)
        What was to be explained.

    Returns
    -------
    fraction : float
        At most 1. Rows without variance are explained, 1, by no error at all and
        by no other, 0.
    """
    mean = rows.mean(axis=0, dtype=np.float64)
    total = sum(float(np.square(rows[part] - mean).sum()) for part in parts(rows))
    # The mean of equal numbers is rounded, and differs from them by that.
    rounding = len(rows) * float(np.square(ROUNDING * mean).sum())
    if total <= rounding:
        return 1.0 if residual <= rounding else 0.0
    # As low as a float can be, but still a number: searches compare it with others.
    return max(1.0 - residual / total, -sys.float_info.max)
