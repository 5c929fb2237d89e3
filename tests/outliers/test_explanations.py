"""The outlier detector: p-values, and which features make a row an outlier."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from detectors import BOTH_MODES, curve, detector
from helpers import DIGITS, IMAGES, noise
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

from skautoencoder import AutoencoderOutlierDetector
from skautoencoder.architectures import Conv


class TestPValues:
    @BOTH_MODES
    def test_they_are_valid(self, novelty: bool) -> None:
        """P(p <= alpha) is at most alpha, over data sets and new rows."""
        alphas = np.array([0.05, 0.1, 0.2, 0.5])
        shares = []
        for seed in range(20):
            X = curve(240, seed=seed)
            fitted = detector(
                novelty=novelty,
                calibration_fraction=0.5,
                random_state=seed,
                max_epochs=2,
            ).fit(X[:200])
            p_values = fitted.p_values(X[200:])
            assert p_values.min() >= 1 / 101
            assert p_values.max() <= 1
            shares.append((p_values[:, None] <= alphas).mean(axis=0))
        # Rows of a data set share their calibration: the seeds are the sample.
        error = np.std(shares, axis=0) / np.sqrt(len(shares))
        mean = np.mean(shares, axis=0)
        assert (mean <= alphas + 3 * error).all()
        assert (mean >= alphas - 1 / 101 - 3 * error).all()  # and not needlessly large

    def test_they_are_the_rank_among_the_rows_kept_out(self) -> None:
        X = curve(100)
        fitted = detector(calibration_fraction=0.3).fit(X)
        calibration = fitted.calibration_scores_
        assert len(calibration) == 30
        assert (np.diff(calibration) >= 0).all()
        scores = fitted.score_samples(X)
        expected = [(1 + (calibration <= s).sum()) / 31 for s in scores]
        np.testing.assert_allclose(fitted.p_values(X), expected)

    def test_rows_kept_out_are_not_trained_on(self) -> None:
        X = curve(100)
        fitted = detector(calibration_fraction=0.3, novelty=True).fit(X)
        assert fitted.references.points.shape[1] == 70
        assert (fitted.score_samples(X) == 0).sum() == 70
        assert fitted.calibration_scores_.max() < 0

    @pytest.mark.parametrize("rate", [0.05, 0.07, 0.2])
    def test_false_alarm_rate_is_a_p_value(self, rate: float) -> None:
        X, new = curve(400), np.vstack([curve(100, seed=5), noise(100, 5)])
        fitted = detector(calibration_fraction=0.4975, false_alarm_rate=rate).fit(X)
        assert len(fitted.calibration_scores_) == 199
        np.testing.assert_array_equal(
            fitted.predict(new) == -1, fitted.p_values(new) <= rate * (1 + 1e-9)
        )

    def test_false_discovery_rate(self) -> None:
        rates = []
        for seed in range(6):
            fitted = detector(
                novelty=True, calibration_fraction=0.5, random_state=seed, max_epochs=3
            ).fit(curve(400, seed=seed))
            normal, odd = curve(180, seed=100 + seed), 3 * noise(20, 5, seed=seed)
            found = fitted.discover(np.vstack([normal, odd]), false_discovery_rate=0.2)
            assert found.dtype == bool
            assert found[180:].mean() > 0.6
            rates.append(found[:180].sum() / max(found.sum(), 1))
        assert np.mean(rates) <= 0.2 + 3 * np.std(rates) / np.sqrt(len(rates))

    def test_nothing_is_discovered_among_normal_rows(self) -> None:
        fitted = detector(calibration_fraction=0.5).fit(curve(400))
        share = [
            fitted.discover(curve(50, seed=s), false_discovery_rate=0.01).any()
            for s in range(1, 20)
        ]
        assert np.mean(share) < 0.2


class TestExplanations:
    @BOTH_MODES
    @pytest.mark.parametrize("n_neighbors", [1, 3])
    def test_contributions_add_up_to_the_score(
        self, novelty: bool, n_neighbors: int
    ) -> None:
        X, new = curve(100), np.vstack([curve(20, seed=5), 10 * noise(20, 5)])
        fitted = detector(novelty=novelty, n_neighbors=n_neighbors).fit(X)
        for rows in (X, new):
            contributions = fitted.explain(rows)
            assert contributions.shape == rows.shape
            assert (contributions <= 0).all()
            np.testing.assert_allclose(
                contributions.sum(axis=1), fitted.score_samples(rows), rtol=1e-9
            )

    @BOTH_MODES
    def test_a_planted_feature_ranks_first(self, novelty: bool) -> None:
        X = StandardScaler().fit_transform(load_breast_cancer().data)
        train, test = X[:450], X[450:]
        right = []
        for seed in range(2):
            fitted = detector(novelty=novelty, random_state=seed).fit(train)
            planted = np.random.RandomState(seed).randint(30, size=len(test))
            odd = test.copy()
            odd[np.arange(len(test)), planted] += 6.0
            right.append(fitted.explain(odd).argmin(axis=1) == planted)
        assert np.mean(right) > 0.9

    def test_a_feature_that_breaks_a_dependency_ranks_first(self) -> None:
        """Its value alone is an ordinary one."""
        X = curve(1000)
        fitted = AutoencoderOutlierDetector(novelty=True, random_state=0).fit(X)
        odd = np.array([[1.5, 2.25, 0.9, np.cos(1.5), 1.5**3 / 4]])
        assert fitted.explain(odd)[0].argmin() == 2
        assert fitted.predict(odd)[0] == -1

    def test_frames_keep_their_names(self) -> None:
        frame = pd.DataFrame(curve(50), columns=list("abcde"), index=range(100, 150))
        contributions = detector().fit(frame).explain(frame)
        assert isinstance(contributions, pd.DataFrame)
        assert list(contributions.columns) == list("abcde")
        assert list(contributions.index) == list(frame.index)

    def test_images_have_a_map(self) -> None:
        fours = IMAGES[DIGITS.target == 4]
        fitted = detector(
            architecture=Conv((8, 16)), novelty=True, lr=0.01, max_epochs=15
        ).fit(fours[:150])
        spoilt = fours[150:160].copy()
        spoilt[:, 0, 0] = 1.0  # a corner that is black in all images
        maps = fitted.explain(spoilt)
        assert maps.shape == (10, 8, 8)
        np.testing.assert_allclose(
            maps.sum(axis=(1, 2)), fitted.score_samples(spoilt), rtol=1e-9
        )
        assert (maps.reshape(10, -1).argmin(axis=1) == 0).mean() > 0.8

    def test_maps_of_images_are_the_same_bits_alone(self) -> None:
        """Also of contrasts that none of the images in `fit` had."""
        images = np.random.RandomState(0).uniform(size=(160, 9, 6))
        fitted = AutoencoderOutlierDetector(max_epochs=1, random_state=0)
        fitted.fit(images[:60])
        shown = images[60:] * np.linspace(0.05, 1, 100)[:, np.newaxis, np.newaxis]
        together = fitted.explain(shown)
        alone = [fitted.explain(shown[i : i + 1])[0] for i in range(len(shown))]
        np.testing.assert_array_equal(alone, together)
