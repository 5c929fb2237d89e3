"""The outlier detector: what it finds, on odd tables and on images too."""

from __future__ import annotations

import numpy as np
import pytest
from detectors import BOTH_MODES, curve, detector, sparse_images, strokes
from helpers import DIGITS, IMAGES, noise
from sklearn.datasets import load_breast_cancer, make_moons
from sklearn.metrics import roc_auc_score

from skautoencoder import AutoencoderOutlierDetector


class TestOddTables:
    @pytest.mark.parametrize(
        "X",
        [
            curve(5),
            curve(2),
            np.ones((40, 4)),
            np.hstack([curve(60), np.full((60, 2), 7.0)]),
            np.random.RandomState(0).standard_cauchy((200, 4)),
            np.repeat(curve(10), 20, axis=0),
            np.eye(6)[np.random.RandomState(0).randint(6, size=200)],
            noise(40, 300),
            noise(200, 3),
            1e6 + noise(100, 4),
            noise(100, 1),
        ],
        ids=[
            "5 rows",
            "2 rows",
            "constant",
            "constant columns",
            "heavy tails",
            "duplicates",
            "one-hot",
            "300 columns",
            "3 columns",
            "far from zero",
            "1 column",
        ],
    )
    @BOTH_MODES
    def test_defaults_work(
        self, X: np.ndarray, novelty: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(AutoencoderOutlierDetector, "_usual_steps", 40)
        fitted = AutoencoderOutlierDetector(random_state=0, novelty=novelty).fit(X)
        assert np.isfinite(fitted.score_samples(X)).all()
        assert np.isfinite(fitted.offset_)
        centre = X.mean(axis=0, keepdims=True)
        far = centre + 1e3 * (1 + X.std(axis=0, keepdims=True))
        assert fitted.predict(far)[0] == -1

    def test_a_constant_column_that_changes_is_an_outlier(self) -> None:
        X = np.hstack([noise(300, 4), np.full((300, 1), 2.0)])
        fitted = detector().fit(X)
        odd = X[:20].copy()
        odd[:, 4] = 12.0
        assert (fitted.predict(odd) == -1).all()
        assert (fitted.explain(odd).argmin(axis=1) == 4).all()

    def test_a_category_that_was_never_seen(self) -> None:
        categories = np.random.RandomState(0).randint(5, size=400)
        X = np.hstack([np.eye(6)[categories], noise(400, 2)])
        fitted = detector(novelty=True).fit(X)
        odd = X[:20].copy()
        odd[:, :6] = np.eye(6)[5]
        assert (fitted.predict(odd) == -1).all()
        assert (fitted.explain(odd).argmin(axis=1) == 5).mean() > 0.9


class TestQuality:
    """Floors, well below what is measured."""

    @pytest.mark.parametrize("seed", range(3))
    def test_a_cluster_of_outliers_in_two_features(self, seed: int) -> None:
        # With a code of one number it was .2 to .8.
        random = np.random.RandomState(seed)
        moons, _ = make_moons(250, noise=0.05, random_state=seed)
        cluster = [5, -4] + 0.3 * random.normal(size=(15, 2))
        X = np.vstack([4 * (moons - [0.5, 0.25]), cluster])
        fitted = detector(max_epochs="auto", random_state=seed).fit(X)
        assert fitted.code_size_ == 2
        assert roc_auc_score(np.arange(265) >= 250, -fitted.score_samples(X)) > 0.93

    @pytest.mark.parametrize("seed", range(3))
    def test_contaminated_table(self, seed: int) -> None:
        X, y = load_breast_cancer(return_X_y=True)
        normal, odd = X[y == 1], X[y == 0][seed * 30 : seed * 30 + 30]
        rows = np.vstack([normal, odd])
        is_odd = np.r_[np.zeros(len(normal)), np.ones(30)]
        fitted = detector(random_state=seed).fit(rows)
        assert roc_auc_score(is_odd, -fitted.score_samples(rows)) > 0.85

    @pytest.mark.parametrize("seed", range(3))
    def test_clean_table(self, seed: int) -> None:
        X, y = load_breast_cancer(return_X_y=True)
        normal, odd = X[y == 1], X[y == 0]
        fitted = detector(novelty=True, random_state=seed).fit(normal[:250])
        scores = fitted.score_samples(np.vstack([normal[250:], odd]))
        is_odd = np.r_[np.zeros(len(normal) - 250), np.ones(len(odd))]
        assert roc_auc_score(is_odd, -scores) > 0.94

    def test_images(self) -> None:
        is_four = DIGITS.target == 4
        fitted = detector(novelty=True, max_epochs=5).fit(IMAGES[is_four][:120])
        rows = np.concatenate([IMAGES[is_four][120:], IMAGES[~is_four]])
        is_odd = np.r_[np.zeros(is_four.sum() - 120), np.ones((~is_four).sum())]
        assert roc_auc_score(is_odd, -fitted.score_samples(rows)) > 0.95


@pytest.fixture(scope="module", params=[False, True])
def on_crosses(request: pytest.FixtureRequest) -> AutoencoderOutlierDetector:
    return detector(novelty=request.param, max_epochs=4).fit(sparse_images(200, 0))


class TestImagesWithNothingInThem:
    """Next to no residual and no code of their own, and yet like none of the others."""

    @pytest.mark.parametrize(
        "odd",
        [
            np.zeros((50, 12, 12)),
            np.ones((50, 12, 12)),
            np.full((50, 12, 12), 0.5),
            np.random.RandomState(0).uniform(size=(50, 12, 12)),
            0.02 * np.random.RandomState(0).uniform(size=(50, 12, 12)),
        ],
        ids=["black", "white", "grey", "noise", "faint"],
    )
    def test_they_are_outliers(
        self, on_crosses: AutoencoderOutlierDetector, odd: np.ndarray
    ) -> None:
        normal = sparse_images(200, 1)
        scores = on_crosses.score_samples(np.concatenate([normal, odd]))
        assert roc_auc_score(np.r_[np.zeros(200), np.ones(50)], -scores) > 0.95
        assert (on_crosses.predict(odd) == -1).mean() > 0.9

    @pytest.mark.parametrize("unit", [1.0, 255.0])
    @BOTH_MODES
    def test_among_strokes_of_any_unit(self, unit: float, novelty: bool) -> None:
        """Outside of [0, 1], a network is given what differs from the mean image."""
        fitted = detector(novelty=novelty, max_epochs=2).fit(unit * strokes(150, 0))
        assert (fitted.predict(np.zeros((3, 16, 16))) == -1).all()
        assert (fitted.predict(unit * strokes(100, 1)) == 1).mean() > 0.8

    def test_what_is_missing_explains_them(
        self, on_crosses: AutoencoderOutlierDetector
    ) -> None:
        blank = np.zeros((1, 12, 12))
        contributions = on_crosses.explain(blank)
        np.testing.assert_allclose(contributions.sum(), on_crosses.score_samples(blank))

    def test_one_colour_is_blank_too(self) -> None:
        grey = sparse_images(80, 0)
        colour = grey[:, None] * np.array([1.0, 0.5, 0.2])[:, None, None]
        fitted = detector(max_epochs=2).fit(colour)
        one_colour = np.ones((20, 3, 12, 12)) * np.array([0.1, 0.9, 0.2])[:, None, None]
        assert (fitted.predict(one_colour) == -1).all()


@pytest.mark.parametrize("n_lengths", [1, 4])
def test_sequences_far_from_all_others(n_lengths: int) -> None:
    # Divided by their distance from the mean one they would be as usual as others.
    def draw(n_sequences: int, seed: int, *, shift: float = 0.0) -> list[np.ndarray]:
        middle = noise(12, 4).cumsum(axis=0) / 2 + shift
        steps = noise(n_sequences * 12, 4, seed=seed).reshape(-1, 12, 4)
        whole = middle + steps.cumsum(axis=1) / 3
        return [x[: 12 - i % n_lengths] for i, x in enumerate(whole)]

    normal, others = draw(100, 22), draw(100, 23, shift=1.5)
    params = {"architecture": "conv1d", "max_epochs": 40, "random_state": 2}
    found = detector(novelty=True, **params).fit(draw(40, 21))
    scores = found.score_samples([*normal, *others])
    assert roc_auc_score(np.repeat([1, 0], 100), scores) > 0.9
