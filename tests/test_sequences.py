"""Every estimator with the architectures for sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fits import waves
from sklearn.metrics import roc_auc_score

from skautoencoder import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    Conv1d,
    DenoisingAutoencoder,
    Recurrent,
    VAESampler,
)

X, X_TEST = waves(150), waves(60, seed=1)

each_architecture = pytest.mark.parametrize(
    "architecture",
    [Conv1d((8, 8)), Recurrent(hidden_size=16)],
    ids=["conv1d", "recurrent"],
)


@each_architecture
def test_flat_rows_are_one_channel_unless_a_shape_says_more(architecture: Any) -> None:
    def fit(given: Any, **params: Any) -> Any:
        return AutoencoderTransformer(
            2, architecture=architecture, max_epochs=1, random_state=0, **params
        ).fit(given)

    rows = X.reshape(150, -1)
    of_arrays, of_rows = fit(X), fit(rows, sample_shape=(20, 2))
    codes = of_arrays.transform(X_TEST)
    np.testing.assert_array_equal(of_rows.transform(X_TEST.reshape(60, -1)), codes)
    assert of_arrays.inverse_transform(codes).shape == X_TEST.shape
    one_channel = fit(rows)
    assert one_channel.sample_shape_ == (40,)
    n_inputs = next(iter(one_channel.net_.module_.encoder.parameters())).shape[1]
    assert n_inputs == 1


@each_architecture
def test_noise_is_taken_away(architecture: Any) -> None:
    noisy = X_TEST + np.random.RandomState(0).normal(0, 0.5, X_TEST.shape)
    denoiser = DenoisingAutoencoder(
        noise_level=0.5, architecture=architecture, max_epochs=10, random_state=0
    ).fit(X)
    error = np.square(denoiser.predict(noisy) - X_TEST).mean()
    assert error < 0.5 * np.square(noisy - X_TEST).mean()


@each_architecture
def test_outliers_are_found(architecture: Any) -> None:
    # As many waves as before, but the other way around.
    outliers = X_TEST[:, :, ::-1]
    detector = AutoencoderOutlierDetector(
        architecture=architecture, max_epochs=5, random_state=0
    ).fit(X)
    scores = detector.decision_function(np.concatenate([X_TEST, outliers]))
    assert roc_auc_score(np.repeat([1, 0], 60), scores) > 0.95


@pytest.mark.parametrize(
    ("architecture", "flat"), [("conv1d", False), ("recurrent", True)]
)
def test_gaps_are_filled(architecture: Any, flat: bool) -> None:
    holed = X_TEST.copy()
    holed[::2, 5:11] = np.nan
    holed[1::2, 8:16, 0] = np.nan
    missing = np.isnan(holed)
    shape = (-1, 40) if flat else (-1, 20, 2)
    imputer = AutoencoderImputer(
        architecture=architecture,
        sample_shape=(20, 2) if flat else None,
        max_epochs=8,
        random_state=0,
    ).fit(X.reshape(shape))
    filled = imputer.transform(holed.reshape(shape)).reshape(X_TEST.shape)
    np.testing.assert_array_equal(filled[~missing], X_TEST[~missing])
    errors = np.square(filled - X_TEST)[missing]
    assert errors.mean() < 0.2 * np.square(X_TEST[missing]).mean()


@each_architecture
def test_sequences_of_a_class_are_drawn(architecture: Any) -> None:
    both = np.concatenate([X[:60], X[:60] + 3])
    sampler = VAESampler(
        2, architecture=architecture, conditional=True, max_epochs=5, random_state=0
    ).fit(both, np.repeat(["low", "high"], 60))
    drawn, classes = sampler.sample(40, y="high"), sampler.sample(5)
    assert drawn.shape == (40, 20, 2)
    assert len(classes) == 5
    assert drawn.mean() > 2


KINDS = [
    AutoencoderTransformer,
    DenoisingAutoencoder,
    AutoencoderOutlierDetector,
    AutoencoderImputer,
    VAESampler,
]


@each_architecture
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", ["constant channel", "one step", "constant"])
@pytest.mark.filterwarnings("ignore:The network answers worse than the mean")
def test_odd_sequences_have_finite_answers(
    architecture: Any, kind: Any, case: str
) -> None:
    odd = X[:20].copy()
    if case == "constant channel":
        odd[:, :, 1] = 7.0
    elif case == "constant":
        odd[:] = 7.0
    else:
        odd = odd[:, :1].repeat(2, axis=2)
    estimator = kind(architecture=architecture, max_epochs=1, random_state=0)
    estimator.set_params(code_size=2).fit(odd)
    if kind is AutoencoderImputer:
        odd[::2, 0, 0] = np.nan
        answers = [estimator.transform(odd)]
    elif kind is VAESampler:
        answers = [estimator.sample(4), estimator.transform(odd)]
    else:
        answers = [estimator.score_samples(odd), estimator.predict(odd)]
    for answer in answers:
        assert np.isfinite(answer).all()


@each_architecture
@pytest.mark.parametrize("kind", KINDS)
def test_missing_values_are_an_error_or_filled(architecture: Any, kind: Any) -> None:
    estimator = kind(architecture=architecture, max_epochs=1, random_state=0)
    estimator.set_params(code_size=2)
    one, every = X[:40].copy(), np.full_like(X[:40], np.nan)
    one[3, 5, 1] = np.nan
    if kind is AutoencoderImputer:
        assert np.isfinite(estimator.fit(one).transform(one)).all()
        with pytest.raises(ValueError, match="X has no observed value"):
            estimator.fit(every)
        return
    with pytest.raises(ValueError, match="NaN"):
        estimator.fit(one)
    with pytest.raises(ValueError, match="NaN"):
        estimator.fit(every)
