"""The outlier detector: scores, thresholds, and its use."""

from __future__ import annotations

import pickle
import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
from detectors import BOTH_MODES, curve, detector
from helpers import IMAGES, ROWS, noise
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skautoencoder import AutoencoderOutlierDetector
from skautoencoder.architectures import Conv, Dense
from skautoencoder.training import draw_seed


class TestScores:
    @BOTH_MODES
    def test_a_score_is_the_distance_in_the_formula(self, novelty: bool) -> None:
        X = curve(60).astype(np.float64)
        fitted = detector(novelty=novelty, n_neighbors=2).fit(X)
        trained, references = fitted.trained_network, fitted.references

        training = X
        if novelty:  # 20 rows are kept out of training
            seed = draw_seed(0)
            training = X[np.random.RandomState(seed).permutation(60)[20:]]
        mean, spread = training.mean(axis=0), training.std(axis=0)

        def place(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            reconstruction = (trained.reconstruct(rows) - mean) / spread
            return reconstruction, (rows - mean) / spread - reconstruction

        usual = place(training)[1].std(axis=0)
        reconstruction, residual = place(X)
        points = np.hstack([reconstruction, residual / (2 * usual)])
        placed = references.points.numpy() * np.sqrt(X.shape[1])
        differences = points[:, None, None] - placed
        distances = np.sqrt(np.square(differences).sum(axis=-1) / X.shape[1])
        nearest = np.sort(distances, axis=-1)[:, :, :2]
        expected = -nearest.mean(axis=(1, 2))

        np.testing.assert_allclose(
            fitted.score_samples(X), expected, rtol=1e-4, atol=1e-5
        )

    def test_references_are_rows_of_the_training_data(self) -> None:
        X = curve(60)
        contaminated = detector().fit(X).references.points
        clean = detector(novelty=True).fit(X).references.points
        assert contaminated.shape == (50, 8, 10)
        assert clean.shape == (1, 60, 10)

    @BOTH_MODES
    def test_a_score_depends_on_the_row_alone(self, novelty: bool) -> None:
        X, new = curve(300), curve(200, seed=5)
        fitted = detector(novelty=novelty).fit(X)
        scores = fitted.score_samples(new)
        order = np.random.RandomState(0).permutation(len(new))
        np.testing.assert_array_equal(fitted.score_samples(new[order]), scores[order])
        np.testing.assert_array_equal(fitted.score_samples(new[7:8]), scores[7:8])
        np.testing.assert_array_equal(fitted.score_samples(new), scores)

    def test_the_same_seed_gives_the_same_scores(self) -> None:
        X = curve(100)
        one, other = detector().fit(X), detector().fit(X)
        np.testing.assert_array_equal(one.score_samples(X), other.score_samples(X))
        third = detector(random_state=1).fit(X)
        assert not np.array_equal(one.score_samples(X), third.score_samples(X))

    @pytest.mark.parametrize("scale", [1e-3, 1e4])
    def test_units_of_features_do_not_matter(self, scale: float) -> None:
        X, new = curve(300), curve(100, seed=5)
        units = np.array([1.0, scale, 1.0, 1 / scale, 1.0])
        expected = detector().fit(X).score_samples(new)
        scores = detector().fit(X * units + 3).score_samples(new * units + 3)
        np.testing.assert_allclose(scores, expected, rtol=1e-2)

    @BOTH_MODES
    def test_tables_may_have_any_units(self, novelty: bool) -> None:
        """Also if they fill [0, 1], which images do."""
        random = np.random.RandomState(0)
        kind = random.choice(4, 320, p=[0.6, 0.3, 0.08, 0.02])
        X = np.hstack([curve(320), np.eye(4)[kind]])
        X[280:, :5] = X[random.permutation(280)[:40], :5][:, ::-1]
        is_odd = np.arange(320) >= 280
        low, high = X.min(axis=0), X.max(axis=0)
        units = {
            "[0, 1]": (1 / (high - low), -low / (high - low)),
            "[0, 1.01]": (1.01 / (high - low), -1.01 * low / (high - low)),
            "each its own": (10 ** random.uniform(-6, 6, 9), random.randn(9)),
            "far from zero": (1.0, 1e7),
        }
        training = ~is_odd if novelty else slice(None)

        def scores(rows: np.ndarray) -> np.ndarray:
            fitted = detector(novelty=novelty, max_epochs=5).fit(rows[training])
            return fitted.score_samples(rows)

        expected = scores(X)
        for name, (factor, shift) in units.items():
            found = scores(X * factor + shift)
            np.testing.assert_allclose(
                found, expected, rtol=1e-3, atol=1e-6, err_msg=name
            )
            assert roc_auc_score(is_odd, -found) == pytest.approx(
                roc_auc_score(is_odd, -expected), abs=1e-3
            )

    @BOTH_MODES
    def test_a_training_row_is_at_no_distance_from_itself(self, novelty: bool) -> None:
        X = curve(50)
        fitted = detector(novelty=novelty).fit(X)
        scores = fitted.score_samples(X)
        if novelty:
            np.testing.assert_array_equal(scores, np.zeros(50))
        assert (scores <= 0).all()

    def test_pickling_keeps_the_scores(self) -> None:
        X = curve(50)
        fitted = detector(calibration_fraction=0.2).fit(X)
        copy = pickle.loads(pickle.dumps(fitted))
        np.testing.assert_array_equal(copy.score_samples(X), fitted.score_samples(X))
        np.testing.assert_array_equal(copy.p_values(X), fitted.p_values(X))

    def test_with_more_rows_than_references(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("skautoencoder.outliers.detector._MOST_REFERENCES", 40)
        X = curve(100)
        fitted = detector(novelty=True).fit(X)
        assert fitted.references.points.shape == (1, 40, 10)
        assert (fitted.score_samples(X) == 0).sum() == 40


class TestFarAway:
    """Bouman and Heskes: far out, autoencoders reconstruct what they never saw."""

    @BOTH_MODES
    @pytest.mark.parametrize("architecture", [Dense(()), Dense((32,)), Dense((32, 16))])
    def test_rows_along_the_leading_components(
        self, architecture: Dense, novelty: bool
    ) -> None:
        X = noise(300, 6) @ noise(6, 6, seed=10) * np.array([5, 3, 2, 1, 1, 1])
        fitted = detector(architecture=architecture, code_size=3, novelty=novelty).fit(
            X
        )
        pca = PCA(3).fit(X)
        along = pca.transform(X[:50])
        along /= np.linalg.norm(along / pca.singular_values_, axis=1)[:, None]
        for factor in (10, 100):
            far = pca.inverse_transform(factor * along / np.sqrt(len(X)))
            assert (fitted.predict(far) == -1).all()
            assert fitted.score_samples(far).max() < fitted.score_samples(X).min()

    def test_scores_fall_with_the_distance(self) -> None:
        X = curve(300)
        fitted = detector().fit(X)
        far = np.outer([1e1, 1e2, 1e4, 1e8, 1e16, 1e30], X[0] - X.mean(axis=0))
        scores = fitted.score_samples(far)
        assert np.isfinite(scores).all()
        assert (np.diff(scores) < 0).all()


class TestThresholds:
    @pytest.mark.parametrize("contamination", [0.01, 0.1, 0.237, 0.5])
    def test_contamination_is_met(self, contamination: float) -> None:
        X = curve(300)
        labels = detector(contamination=contamination).fit_predict(X)
        assert (labels == -1).sum() == round(300 * contamination)

    def test_contamination_of_one_row_and_of_none(self) -> None:
        X = curve(40)
        assert (detector(contamination=1 / 40).fit_predict(X) == -1).sum() == 1
        assert (detector(contamination=1 / 100).fit_predict(X) == -1).sum() == 0

    def test_auto_is_the_fence_of_a_boxplot(self) -> None:
        X = curve(200)
        fitted = detector().fit(X)
        first, third = np.percentile(-fitted.score_samples(X), [25, 75])
        assert fitted.offset_ == pytest.approx(-(third + 1.5 * (third - first)))

    @pytest.mark.parametrize(("n_samples", "n_fits"), [(500, 4), (20, 20)])
    def test_novelty_meets_contamination_on_new_rows(
        self, n_samples: int, n_fits: int
    ) -> None:
        shares = []
        for seed in range(n_fits):
            fitted = detector(novelty=True, contamination=0.1, random_state=seed)
            fitted.fit(curve(n_samples, seed=seed))
            labels = fitted.predict(curve(1000, seed=100 + seed))
            shares.append((labels == -1).mean())
        assert np.mean(shares) == pytest.approx(0.1, abs=0.05)

    def test_novelty_has_no_fit_predict(self) -> None:
        assert hasattr(detector(), "fit_predict")
        assert not hasattr(detector(novelty=True), "fit_predict")

    @BOTH_MODES
    def test_decision_is_the_score_minus_the_threshold(self, novelty: bool) -> None:
        X, new = curve(200), np.vstack([curve(20, seed=5), noise(20, 5)])
        fitted = detector(novelty=novelty).fit(X)
        decision = fitted.decision_function(new)
        np.testing.assert_array_equal(
            decision, fitted.score_samples(new) - fitted.offset_
        )
        np.testing.assert_array_equal(fitted.predict(new) == -1, decision < 0)
        assert set(fitted.predict(new)) == {-1, 1}


class TestUse:
    def test_many_images_have_the_same_scores_on_any_number_of_threads(self) -> None:
        # So many that torch would divide a sum over them.
        images = np.random.default_rng(0).random((40_000, 4, 4), dtype=np.float32)
        before, scores = torch.get_num_threads(), []
        try:
            for n_threads in (1, 3):
                torch.set_num_threads(n_threads)
                detector = AutoencoderOutlierDetector(
                    2,
                    architecture=Dense((4,)),
                    max_epochs=1,
                    batch_size=8192,
                    random_state=0,
                ).fit(images)
                scores.append(detector.score_samples(images[:500]))
        finally:
            torch.set_num_threads(before)
        np.testing.assert_array_equal(scores[1], scores[0])

    def test_pipeline(self) -> None:
        pipeline = make_pipeline(StandardScaler(), detector())
        labels = pipeline.fit_predict(curve(100))
        assert set(labels) <= {-1, 1}

    def test_grid_search(self) -> None:
        X = np.vstack([curve(100), 3 * noise(20, 5)])
        y = np.r_[np.ones(100), -np.ones(20)]
        search = GridSearchCV(
            detector(max_epochs=3),
            {"code_size": [1, 2], "architecture__hidden_layer_sizes": [(8,)]},
            scoring="roc_auc",
            cv=StratifiedKFold(3),
        )
        search.fit(X, y)
        assert search.best_score_ > 0.7
        assert search.best_estimator_.net_.module_.encoder[0].out_features == 8

    def test_images_flat_and_as_they_are(self) -> None:
        images, rows = IMAGES[:100], ROWS[:100]
        conv = {"architecture": Conv((4, 8)), "max_epochs": 2}
        one = detector(**conv).fit(images)
        other = detector(**conv, sample_shape=(8, 8)).fit(rows)
        np.testing.assert_array_equal(
            one.score_samples(images), other.score_samples(rows)
        )

    def test_a_warm_start_on_all_rows_forgets_those_that_were_kept_out(self) -> None:
        X = curve(50)
        fitted = detector(warm_start=True, max_epochs=1, calibration_fraction=0.2)
        fitted.fit(X).set_params(calibration_fraction=None).fit(X)
        with pytest.raises(ValueError, match="rows that training has not seen"):
            fitted.p_values(X)

    def test_warm_start_continues(self) -> None:
        fitted = detector(warm_start=True, max_epochs=2).fit(curve(50))
        fitted.fit(curve(50))
        assert len(fitted.history_) == 4


class TestBadInput:
    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"contamination": 0.0}, "'contamination' parameter"),
            ({"contamination": 0.6}, "'contamination' parameter"),
            ({"contamination": "automatic"}, "'contamination' parameter"),
            ({"novelty": "yes"}, "'novelty' parameter"),
            ({"n_neighbors": 0}, "'n_neighbors' parameter"),
            ({"calibration_fraction": 1.0}, "'calibration_fraction' parameter"),
            ({"calibration_fraction": 0.0}, "'calibration_fraction' parameter"),
            ({"false_alarm_rate": 0.0}, "'false_alarm_rate' parameter"),
            ({"code_size": "big"}, "'code_size' parameter"),
            ({"code_size": 0}, "'code_size' parameter"),
            ({"false_alarm_rate": 0.1}, "Set calibration_fraction"),
            (
                {
                    "false_alarm_rate": 0.1,
                    "contamination": 0.1,
                    "calibration_fraction": 0.5,
                },
                "both set the threshold",
            ),
            (
                {"false_alarm_rate": 0.01, "calibration_fraction": 0.5},
                "needs at least 99 rows to calibrate with, got 25",
            ),
            ({"calibration_fraction": 0.001}, "leaves 0 to calibrate with"),
            ({"calibration_fraction": 0.99}, "and 0 to train on"),
        ],
    )
    def test_parameters(self, params: dict[str, Any], message: str) -> None:
        X = curve(50)
        fitted = detector(max_epochs=1).fit(X)
        before = fitted.score_samples(X)
        with pytest.raises(ValueError, match=message):
            fitted.set_params(**params).fit(X)
        np.testing.assert_array_equal(fitted.score_samples(X), before)

    def test_p_values_without_calibration(self) -> None:
        fitted = detector().fit(curve(50))
        for ask in (fitted.p_values, fitted.discover):
            with pytest.raises(ValueError, match="Set calibration_fraction"):
                ask(curve(5))

    @pytest.mark.parametrize("rate", [0.0, 1.0, -1.0])
    def test_false_discovery_rate(self, rate: float) -> None:
        fitted = detector(calibration_fraction=0.2).fit(curve(50))
        with pytest.raises(ValueError, match="false_discovery_rate must be between"):
            fitted.discover(curve(5), false_discovery_rate=rate)

    def test_before_fit(self) -> None:
        unfitted = clone(detector())
        for name in ("predict", "score_samples", "explain", "p_values", "discover"):
            with pytest.raises(NotFittedError):
                getattr(unfitted, name)(curve(5))

    @pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
    def test_values_that_are_not_finite(self, value: float) -> None:
        X = curve(50)
        fitted = detector().fit(X)
        X[3, 2] = value
        for name in ("predict", "score_samples", "explain"):
            with pytest.raises(ValueError, match="NaN|infinity|too large"):
                getattr(fitted, name)(X)


def test_a_row_does_not_wait_for_references_to_be_padded() -> None:
    """Matrices by rows of odd lengths are, so references are kept by columns."""
    fitted = detector().fit(IMAGES)
    points = fitted.references.points.flatten(0, 1)
    assert points.T.is_contiguous()
    again = pickle.loads(pickle.dumps(fitted))
    assert again.references.points.stride() == fitted.references.points.stride()


@pytest.mark.parametrize(
    ("shape", "params"),
    [
        ((200, 5), {"n_neighbors": 3}),
        ((200, 5), {"novelty": True}),
        ((200, 10, 1), {}),
        ((60, 8, 8), {"novelty": True, "n_neighbors": 2}),
    ],
)
def test_answers_depend_on_the_row_alone(
    shape: tuple[int, ...], params: dict[str, Any]
) -> None:
    samples = np.random.RandomState(0).normal(size=shape)
    # Far from all others, and next to one of them.
    samples[5] *= 1e5
    samples[6] = samples[7] + 1e-9
    detector = AutoencoderOutlierDetector(max_epochs=1, random_state=0, **params)
    detector.fit(samples[: len(samples) // 2])
    order = np.random.RandomState(1).permutation(len(samples))
    for ask in (detector.score_samples, detector.explain):
        answers = ask(samples)
        np.testing.assert_array_equal(ask(samples[order]), answers[order])
        for some in (slice(3, 8), slice(7, 8), slice(40, None)):
            np.testing.assert_array_equal(ask(samples[some]), answers[some])
    sums = detector.explain(samples).reshape(len(samples), -1).sum(axis=1)
    np.testing.assert_allclose(sums, detector.score_samples(samples), rtol=1e-9)


def test_sets_of_references_do_not_keep_orders_of_all_rows() -> None:
    X = noise(300_000, 2)
    tracemalloc.start()
    detector(max_epochs=1, batch_size=10_000).fit(X)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # An order takes 2.4 MB, and there are 50 sets.
    assert most < 60e6
