"""The detector of outliers in series as one of sktime's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from skautoencoder.sequences.detector import SeriesOutlierDetector

try:
    from sktime.detection.base import BaseDetector
except ImportError as error:
    raise ImportError(
        "SktimeSeriesDetector needs sktime, which is not installed. Install it with "
        "pip install 'skautoencoder[sktime]'."
    ) from error

__all__ = ["SktimeSeriesDetector"]


class SktimeSeriesDetector(BaseDetector):
    """A :class:`~skautoencoder.SeriesOutlierDetector` with sktime's methods.

    `predict` returns the places of the outliers, `transform` a label for each time
    step, 1 for outliers, and `transform_scores` scores that are higher where a series
    is stranger.

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
    >>> from skautoencoder.sequences.sktime import SktimeSeriesDetector
    >>> series = np.sin(np.arange(400) * 2 * np.pi / 20)
    >>> series[200:205] = 1.0
    >>> detector = SktimeSeriesDetector(SeriesOutlierDetector(random_state=0))
    >>> scores = detector.fit(series).transform_scores(series)
    >>> int(scores["scores"].argmax()) in range(180, 225)
    True
    """

    _tags = {
        "task": "anomaly_detection",
        "learning_type": "unsupervised",
        "capability:multivariate": True,
        "capability:missing_values": True,
        "fit_is_empty": False,
        "X_inner_mtype": "pd.DataFrame",
        "python_dependencies": ["skautoencoder"],
    }

    def __init__(self, detector: SeriesOutlierDetector | None = None) -> None:
        self.detector = detector
        super().__init__()

    def _fit(self, X: pd.DataFrame, y: Any = None) -> SktimeSeriesDetector:
        made = SeriesOutlierDetector() if self.detector is None else self.detector
        self.detector_ = clone(made).fit(X)
        return self

    def _predict(self, X: pd.DataFrame) -> pd.Series:
        labels = np.asarray(self.detector_.predict(X))
        return pd.Series(np.flatnonzero(labels == -1), dtype="int64")

    def _transform_scores(self, X: pd.DataFrame) -> pd.DataFrame:
        return (-self.detector_.score_samples(X)).to_frame("scores")

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Return parameters for sktime's tests."""
        quick = SeriesOutlierDetector(window=2, max_epochs=1, random_state=0)
        return [{"detector": quick}, {"detector": quick.set_params(window=3)}]
