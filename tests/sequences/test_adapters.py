"""The detector of series behind the interfaces of aeon and sktime."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from skautoencoder import SeriesOutlierDetector

WINDOW = 10


def waves(n_channels: int = 2) -> np.ndarray:
    """Return sines, one of which stands still from step 100 to 105."""
    series = np.sin(
        np.arange(200)[:, None] * 2 * np.pi / WINDOW + np.arange(n_channels)
    )
    series[100:105, 0] = 1.0
    return series


def detector() -> SeriesOutlierDetector:
    return SeriesOutlierDetector(WINDOW, max_epochs=2, random_state=0)


class TestAeon:
    @pytest.fixture(autouse=True)
    def _adapter(self) -> None:
        pytest.importorskip("aeon.anomaly_detection.series.base")
        from skautoencoder.sequences.aeon import AeonSeriesDetector

        self.adapter = AeonSeriesDetector

    def test_high_scores_are_strange(self) -> None:
        series = waves()
        expected = -detector().fit(series).score_samples(series)
        scores = self.adapter(detector()).fit_predict(series.T)
        np.testing.assert_array_equal(scores, expected)
        fitted = self.adapter(detector()).fit(series, axis=0)
        np.testing.assert_array_equal(fitted.predict(series, axis=0), expected)
        np.testing.assert_array_equal(fitted.predict(series.T), expected)

    def test_given_detector_is_cloned(self) -> None:
        given = detector()
        adapter = self.adapter(given).fit(waves(1)[:, 0])
        assert not hasattr(given, "offset_")
        assert adapter.detector_.window_ == WINDOW
        assert adapter.get_params()["detector__window"] == WINDOW

    def test_aeons_own_checks(self) -> None:
        checks = pytest.importorskip("aeon.testing.estimator_checking")
        results = checks.check_estimator(self.adapter, raise_exceptions=True)
        assert results


class TestSktime:
    @pytest.fixture(autouse=True)
    def _adapter(self) -> None:
        pytest.importorskip("sktime.detection.base")
        from skautoencoder.sequences.sktime import SktimeSeriesDetector

        self.adapter = SktimeSeriesDetector

    def test_places_labels_and_scores(self) -> None:
        index = pd.date_range("2026-01-01", periods=200, freq="h")
        frame = pd.DataFrame(waves(), index=index, columns=["a", "b"])
        expected = detector().fit(frame)
        flagged = np.flatnonzero(expected.predict(frame) == -1)
        adapter = self.adapter(detector()).fit(frame)
        assert len(flagged)
        np.testing.assert_array_equal(adapter.predict(frame)["ilocs"], flagged)
        labels = adapter.transform(frame)["labels"].to_numpy()
        np.testing.assert_array_equal(np.flatnonzero(labels), flagged)
        scores = adapter.transform_scores(frame)
        np.testing.assert_array_equal(scores["scores"], -expected.score_samples(frame))
        assert scores.index.equals(index)

    # Those of detectors; the others, of parameters and copies, take far longer.
    @pytest.mark.filterwarnings("ignore")
    def test_sktimes_own_checks(self) -> None:
        from sktime.detection.tests.test_all_detectors import TestAllDetectors
        from sktime.utils.estimator_checks import check_estimator

        checks = [name for name in vars(TestAllDetectors) if name.startswith("test_")]
        results = check_estimator(
            self.adapter, tests_to_run=checks, raise_exceptions=False, verbose=False
        )
        assert len(results) >= len(checks)
        assert {k: v for k, v in results.items() if v != "PASSED"} == {}
