"""What makes an autoencoder a detector of outliers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import false_discovery_control
from sklearn.base import OutlierMixin
from sklearn.utils.metaestimators import available_if

from skautoencoder._containers import in_frame_like, is_frame
from skautoencoder._samples import Array
from skautoencoder._thresholds import conformal_p_values


def _may_predict_training_rows(detector: Any) -> bool:
    if detector.novelty:
        raise AttributeError(
            "fit_predict is not available when novelty=True: training rows are then "
            "taken for normal. Use novelty=False to find outliers among them, or "
            "predict on new rows."
        )
    return True


class DetectionMixin(OutlierMixin):
    """What an autoencoder offers as a detector."""

    def _score_rows(self: Any, rows: Array) -> NDArray[np.float64]:
        return -self._references.distances(self._trained, rows)

    def score_samples(self: Any, X: ArrayLike) -> NDArray[np.float64]:
        """Return minus each sample's distance from the training rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples, flat or in the shape that `fit` saw.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Never above 0; the lower, the more abnormal. For tables in standard
            deviations, as a root mean square over the features. A sample's score
            depends on the fitted detector and the sample alone.
        """
        return self._score_rows(self._check_applied(X))

    def decision_function(self: Any, X: ArrayLike) -> NDArray[np.float64]:
        """Return `score_samples` minus the threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.

        Returns
        -------
        decision : ndarray of shape (n_samples,)
            Negative for outliers.
        """
        return self.score_samples(X) - self.offset_

    def predict(self: Any, X: ArrayLike) -> NDArray[np.int64]:
        """Tell outliers from normal samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            -1 for outliers and 1 for others.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    @available_if(_may_predict_training_rows)
    def fit_predict(self: Any, X: ArrayLike, y: object = None) -> NDArray[np.int64]:
        """Fit to samples and tell the outliers among them from the others.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training samples.
        y : None
            Ignored.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            -1 for outliers and 1 for others.
        """
        return self.fit(X).predict(X)

    def explain(self: Any, X: ArrayLike) -> Any:
        """Return how much each feature takes from a sample's score.

        A distance is the root of a sum over the features; each feature's share of
        that sum, times the distance, is its contribution. What lies in the code is
        seen through the decoder: two codes differ in the features in which their
        reconstructions do, and by the squares of those differences.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.

        Returns
        -------
        contributions : ndarray of the shape of `X`, or DataFrame
            Never above 0; the lower, the more the feature makes the sample an
            outlier. Their sum over a sample is its `score_samples`. A DataFrame
            with the names and the index of `X` if that is one; for images a map.
        """
        rows = self._check_applied(X)
        contributions = -self._references.contributions(self._trained, rows)
        if is_frame(X):
            return in_frame_like(X, contributions, getattr(X, "columns", None))
        return contributions.reshape(np.shape(X))

    def p_values(self: Any, X: ArrayLike) -> NDArray[np.float64]:
        r"""Return conformal p-values of the samples being normal.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.

        Returns
        -------
        p_values : ndarray of shape (n_samples,)
            The share of the rows kept out by `calibration_fraction`, with the
            sample itself counted in, that score as low as the sample or lower. If
            those rows and a sample are drawn alike, the p-value is at most
            :math:`\alpha` with a probability of at most :math:`\alpha`, whatever
            the data and however good or bad the network.

        Raises
        ------
        ValueError
            If no rows were kept out.

        References
        ----------
        Bates, Candès, Lei, Romano and Sesia, "Testing for outliers with conformal
        p-values", Annals of Statistics 51, 2023.
        """
        rows = self._check_applied(X)
        if not hasattr(self, "calibration_scores_"):
            raise ValueError(
                "p_values needs rows that training has not seen. Set "
                "calibration_fraction, for example to 0.2, and fit again."
            )
        return conformal_p_values(self._score_rows(rows), self.calibration_scores_)

    def discover(
        self: Any, X: ArrayLike, *, false_discovery_rate: float = 0.1
    ) -> NDArray[np.bool_]:
        """Return which samples are outliers, with few false ones among them.

        Where `predict` looks at each sample alone, this looks at all of them: how
        low a score has to be depends on how many are low.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.
        false_discovery_rate : float in (0, 1), default=0.1
            Which share of the samples found may be normal ones, on average over
            such sets of samples.

        Returns
        -------
        found : ndarray of shape (n_samples,)
            True for the samples found, by the method of Benjamini and Hochberg on
            the :meth:`p_values`.

        Raises
        ------
        ValueError
            If `false_discovery_rate` is not between 0 and 1, or no rows were kept
            out of training (`calibration_fraction`).

        References
        ----------
        Benjamini and Hochberg, "Controlling the false discovery rate", Journal of
        the Royal Statistical Society B 57, 1995. That it holds for conformal
        p-values, which depend on each other: Bates et al., Annals of Statistics 51,
        2023.
        """
        if not 0 < false_discovery_rate < 1:
            raise ValueError(
                "false_discovery_rate must be between 0 and 1, both excluded. Got "
                f"{false_discovery_rate!r}."
            )
        adjusted = false_discovery_control(self.p_values(X), method="bh")
        found: NDArray[np.bool_] = adjusted <= false_discovery_rate
        return found
