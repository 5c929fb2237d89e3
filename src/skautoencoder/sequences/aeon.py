"""The detector of outliers in series as one of aeon's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from skautoencoder.sequences.detector import SeriesOutlierDetector

try:
    from aeon.anomaly_detection.series.base import BaseSeriesAnomalyDetector
except ImportError as error:
    raise ImportError(
        "AeonSeriesDetector needs aeon, which is not installed. Install it with "
        "pip install 'skautoencoder[aeon]'."
    ) from error

__all__ = ["AeonSeriesDetector"]


class AeonSeriesDetector(BaseSeriesAnomalyDetector):
    """A :class:`~skautoencoder.SeriesOutlierDetector` with aeon's methods and signs.

    `fit` and `predict` take series of shape (n_channels, n_timepoints), unless they are
    told ``axis=0``, and scores are higher where a series is stranger.

    Parameters
    ----------
    detector : SeriesOutlierDetector, default=None
        The detector, which is cloned. None: one with its defaults.

    Attributes
    ----------
    detector_ : SeriesOutlierDetector
        The fitted detector.

    Examples
    --------
    >>> import numpy as np
    >>> from skautoencoder import SeriesOutlierDetector
    >>> from skautoencoder.sequences.aeon import AeonSeriesDetector
    >>> series = np.sin(np.arange(400) * 2 * np.pi / 20)
    >>> series[200:205] = 1.0
    >>> detector = AeonSeriesDetector(SeriesOutlierDetector(random_state=0))
    >>> int(detector.fit_predict(series).argmax()) in range(180, 225)
    True
    """

    _tags = {
        "X_inner_type": "np.ndarray",
        "capability:univariate": True,
        "capability:multivariate": True,
        "capability:missing_values": True,
        "fit_is_empty": False,
        "requires_y": False,
        "anomaly_output_type": "anomaly_scores",
        "learning_type:unsupervised": True,
        "learning_type:semi_supervised": True,
        "python_dependencies": ["skautoencoder"],
    }

    def __init__(self, detector: SeriesOutlierDetector | None = None) -> None:
        self.detector = detector
        super().__init__(axis=0)

    def _fit(self, X: NDArray[Any], y: Any = None) -> AeonSeriesDetector:
        made = SeriesOutlierDetector() if self.detector is None else self.detector
        self.detector_ = clone(made).fit(np.asarray(X, dtype=np.float64))
        return self

    def _predict(self, X: NDArray[Any]) -> NDArray[np.float64]:
        return -self.detector_.score_samples(np.asarray(X, dtype=np.float64))

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> dict[str, Any]:
        """Return parameters for aeon's tests."""
        quick = SeriesOutlierDetector(window=5, max_epochs=1, random_state=0)
        return {"detector": quick}
