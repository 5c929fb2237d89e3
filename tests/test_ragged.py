"""Sequences of different lengths, in every estimator."""

from __future__ import annotations

import functools
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from fits import waves
from helpers import noise
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score

from skautoencoder import (
    MMD,
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    Conv1d,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    Recurrent,
    VAESampler,
)

ARCHITECTURES = {
    "conv1d": Conv1d((8, 8), batch_norm=True),
    "lstm": Recurrent(hidden_size=16),
    "gru": Recurrent("gru", hidden_size=3, bidirectional=True),
}
KINDS = [AutoencoderTransformer, DenoisingAutoencoder, AutoencoderOutlierDetector]

each_architecture = pytest.mark.parametrize("name", ARCHITECTURES)
each_kind = pytest.mark.parametrize("kind", KINDS)


def cut(series: Any, seed: int = 0) -> list[Any]:
    """Return series of 6 steps to all that there are."""
    n_steps = series.shape[1]
    lengths = np.random.RandomState(seed).randint(6, n_steps + 1, len(series))
    lengths[0] = n_steps
    return [one[:length] for one, length in zip(series, lengths, strict=True)]


def padded(sequences: list[Any], n_steps: int = 25) -> Any:
    array = np.full((len(sequences), n_steps, 2), np.nan)
    for row, sequence in zip(array, sequences, strict=True):
        row[: len(sequence)] = sequence
    return array


X, X_TEST = cut(waves(80)), cut(waves(40, seed=1), seed=1)


@functools.cache
def fitted(kind: Any, name: str = "conv1d", epochs: int = 2, lr: float = 0.01) -> Any:
    return kind(
        code_size=3,
        architecture=ARCHITECTURES[name],
        max_epochs=epochs,
        batch_size=32,
        lr=lr,
        random_state=0,
    ).fit(X)


def answers(estimator: Any, X: Any) -> list[Any]:
    """Return all that is said of each sequence."""
    said = [estimator.score_samples(X)]
    if hasattr(estimator, "explain"):
        said += [estimator.decision_function(X), estimator.explain(X)]
    else:
        said += [estimator.transform(X), estimator.predict(X)]
    return said


def until_the_end(given: Any) -> Any:
    """Return a padded array as a list."""
    if isinstance(given, list) or given.ndim < 3:
        return list(given)
    return [one[~np.isnan(one).any(axis=1)] for one in given]


def assert_same(found: list[Any], expected: list[Any]) -> None:
    for some, others in zip(found, expected, strict=True):
        for one, other in zip(until_the_end(some), until_the_end(others), strict=True):
            np.testing.assert_array_equal(one, other)


# What a network does about lengths is the same in each estimator.
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *((kind, "conv1d") for kind in KINDS),
        *((AutoencoderTransformer, name) for name in ("lstm", "gru")),
    ],
)
def test_a_sequence_s_answers_depend_on_it_alone(kind: Any, name: str) -> None:
    estimator, some = fitted(kind, name), X_TEST[:15]
    expected = answers(estimator, some)
    # Padded, to the longest and by more.
    assert_same(answers(estimator, padded(some, 20)), expected)
    assert_same(answers(estimator, padded(some)), expected)
    # Alone, unpadded, and among others.
    for i in (0, 5):
        one = [part[i : i + 1] for part in expected]
        assert_same(answers(estimator, some[i : i + 1]), one)
        assert_same(answers(estimator, some[i][np.newaxis]), one)
    among = answers(estimator, [*X[:31], *some])
    assert_same([part[31:] for part in among], expected)


def test_sequences_may_be_frames_of_nullable_types() -> None:
    estimator, some = fitted(AutoencoderTransformer), X_TEST[:5]
    frames = [pd.DataFrame(x).astype("Float64") for x in some]
    for given in (frames, [x.astype(object) for x in some]):
        np.testing.assert_array_equal(
            estimator.transform(given), estimator.transform(some)
        )


@each_kind
def test_lists_come_back_as_lists_and_arrays_as_arrays(kind: Any) -> None:
    estimator, lengths = fitted(kind), [len(x) for x in X_TEST]
    ask = "explain" if kind is AutoencoderOutlierDetector else "predict"
    found = getattr(estimator, ask)(X_TEST)
    assert isinstance(found, list)
    assert [x.shape for x in found] == [(n, 2) for n in lengths]
    array = padded(X_TEST)
    np.testing.assert_array_equal(
        np.isnan(getattr(estimator, ask)(array)), np.isnan(array)
    )
    single = getattr(estimator, ask)([x.astype(np.float32) for x in X_TEST])
    if ask == "predict":
        assert {x.dtype for x in single} == {np.dtype(np.float32)}


@each_architecture
def test_codes_hold_the_length(name: str) -> None:
    autoencoder, lengths = (
        fitted(AutoencoderTransformer, name),
        [len(x) for x in X_TEST],
    )
    codes = autoencoder.transform(X_TEST)
    assert codes.shape == (40, autoencoder.code_size_) == (40, 3)
    np.testing.assert_allclose(codes[:, -1] * 20, lengths, rtol=1e-6)
    decoded = autoencoder.inverse_transform(codes)
    assert_same([decoded], [autoencoder.predict(X_TEST)])
    backwards = autoencoder.inverse_transform(codes[::-1])
    assert_same([backwards], [decoded[::-1]])
    codes[:, -1] = np.linspace(-1, 2, 40)
    lengths = [len(x) for x in autoencoder.inverse_transform(codes)]
    assert (min(lengths), max(lengths)) == (1, 20)
    of_array = clone(autoencoder).fit(padded(X, 30))
    assert of_array.sample_shape_ == (20, 2)
    assert of_array.inverse_transform(codes).shape == (40, 30, 2)


@each_architecture
def test_what_follows_an_end_is_not_learnt_from(name: str) -> None:
    def codes(given: Any) -> Any:
        return clone(fitted(AutoencoderTransformer, name)).fit(given).transform(X_TEST)

    expected = fitted(AutoencoderTransformer, name).transform(X_TEST)
    np.testing.assert_array_equal(codes(padded(X)), expected)
    if name != "conv1d":  # containers are the same for all
        return
    np.testing.assert_array_equal(codes(tuple(X)), expected)
    boxed = np.empty(len(X), dtype=object)
    boxed[:] = X
    np.testing.assert_array_equal(codes(boxed), expected)
    np.testing.assert_array_equal(codes([torch.tensor(x) for x in X]), expected)


@pytest.mark.parametrize("name", ["conv1d", "lstm"])
def test_it_learns(name: str) -> None:
    autoencoder = fitted(AutoencoderTransformer, name, epochs=20, lr=0.03)
    assert autoencoder.score(X_TEST) > 0.9
    residuals = [
        x - y for x, y in zip(X_TEST, autoencoder.predict(X_TEST), strict=True)
    ]
    errors = [np.square(residual).mean() for residual in residuals]
    np.testing.assert_allclose(
        autoencoder.score_samples(X_TEST), -np.array(errors), rtol=1e-5
    )
    array = padded(X_TEST, 20)
    around = np.nansum(np.square(array - np.nanmean(array, axis=0)))
    left = np.square(np.concatenate(residuals)).sum()
    assert autoencoder.score(X_TEST) == pytest.approx(1 - left / around)


@pytest.mark.parametrize("name", ["conv1d", "lstm"])
def test_outliers_are_found(name: str) -> None:
    detector = fitted(AutoencoderOutlierDetector, name, epochs=8)
    turned, short = [x[:, ::-1] for x in X_TEST], [x[:2] for x in X_TEST]
    scores = [detector.score_samples(given) for given in (X_TEST, turned, short)]
    assert roc_auc_score(np.repeat([1, 0], 40), np.concatenate(scores[:2])) > 0.95
    assert np.median(scores[0]) > np.median(scores[2])
    for given, score in zip((X_TEST, short), scores[::2], strict=True):
        sums = [part.sum() for part in detector.explain(given)]
        np.testing.assert_allclose(sums, score)


@pytest.mark.parametrize("noise", ["gaussian", "masking", "salt_and_pepper"])
def test_noise_is_taken_away(noise: str) -> None:
    random = np.random.RandomState(0)
    noisy = [x + random.normal(0, 0.5, x.shape) for x in X_TEST]
    denoiser = DenoisingAutoencoder(
        noise,
        architecture=ARCHITECTURES["lstm"],
        code_size=4,
        lr=0.03,
        max_epochs=10,
        random_state=0,
    ).fit(X)
    assert denoiser.score(X_TEST) > 0.7
    assert denoiser.score(noisy, X_clean=X_TEST) > 0.7
    assert denoiser.score(padded(noisy), X_clean=padded(X_TEST)) > 0.7


def test_noisy_and_clean_sequences() -> None:
    random = np.random.RandomState(0)
    noisy = [x + random.normal(0, 0.5, x.shape) for x in X]
    denoiser = DenoisingAutoencoder(
        architecture="recurrent", code_size=4, lr=0.01, max_epochs=5, random_state=0
    )
    denoiser.fit(noisy, X_clean=X)
    assert denoiser.score(noisy, X_clean=X) > 0.5
    with pytest.raises(ValueError, match="X_clean has sequences of other lengths"):
        denoiser.fit(noisy, X_clean=[*X[1:], X[0]])


def test_series_of_a_single_channel() -> None:
    lists = [x[:, 0] for x in X]
    autoencoder = AutoencoderTransformer(
        3, architecture="conv1d", max_epochs=2, random_state=0
    ).fit(lists)
    assert autoencoder.sample_shape_ == (20, 1)
    found = autoencoder.predict(lists)
    assert [x.shape for x in found] == [x.shape for x in lists]
    np.testing.assert_array_equal(
        autoencoder.transform([x[:, None] for x in lists]),
        autoencoder.transform(lists),
    )
    # Lists of equal lengths are sequences too, once it knows.
    assert autoencoder.predict([lists[0], lists[0]])[1].shape == (20,)


@pytest.mark.parametrize(
    "params",
    [
        {"loss": "bce"},
        {"loss": "huber", "early_stopping": True},
        {"sparsity": "top_k", "n_nonzero_coefs": 2},
        {"sparsity": "kl", "contraction_weight": 1e-3},
        {"penalty": [MMD(0.1)], "precision": "bfloat16"},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["conv1d", "lstm"])
def test_ways_of_training(params: dict[str, Any], name: str) -> None:
    given = [x / 2 + 0.5 for x in X[:40]]
    autoencoder = AutoencoderTransformer(
        4, architecture=ARCHITECTURES[name], max_epochs=2, random_state=0, **params
    ).fit(given)
    assert all(np.isfinite(autoencoder.history_[:, "train_loss"]))
    assert np.isfinite(np.concatenate(autoencoder.predict(given))).all()


def test_the_loss_of_an_epoch_is_the_mean_over_all_values() -> None:
    by_length = sorted(X_TEST, key=len)
    autoencoder = AutoencoderTransformer(
        4, architecture=ARCHITECTURES["lstm"], batch_size=8, max_epochs=1
    ).fit(X, X_valid=by_length)
    weights = [one.size for one in by_length]
    error = -np.average(autoencoder.score_samples(by_length), weights=weights)
    scale = autoencoder.trained_network.scaling.scale
    np.testing.assert_allclose(
        autoencoder.history_[0, "valid_loss"], error / scale**2, rtol=1e-5
    )


def test_part_by_part_warm_and_through_a_file() -> None:
    autoencoder = clone(fitted(AutoencoderTransformer)).partial_fit(X[:60])
    # Parts of one length, and shorter ones, are no exception.
    autoencoder.partial_fit(waves(20)).partial_fit([x[:4] for x in X])
    assert autoencoder.sample_shape_ == (20, 2)
    warm = clone(autoencoder).set_params(warm_start=True).fit(X).fit(X[5:])
    assert warm.n_iter_ == 4
    again = pickle.loads(pickle.dumps(warm))
    assert_same(answers(again, X_TEST), answers(warm, X_TEST))


def test_room_for_longer_sequences() -> None:
    roomy = clone(fitted(AutoencoderTransformer)).set_params(sample_shape=(30, 2))
    roomy.fit(X)
    assert roomy.sample_shape_ == (30, 2)
    assert roomy.predict([np.zeros((30, 2)), np.zeros((2, 2))])[0].shape == (30, 2)
    with pytest.raises(ValueError, match=r"31 steps.* the 30 that were seen in fit"):
        roomy.transform(np.zeros((1, 31, 2)))
    with pytest.raises(ValueError, match=r"20 steps.* 19 that sample_shape says"):
        roomy.set_params(sample_shape=(19, 2)).fit(X)


def test_a_search() -> None:
    scores = cross_val_score(clone(fitted(AutoencoderTransformer)), X, cv=2)
    assert np.isfinite(scores).all()


def test_auto_takes_lists_of_sequences_for_what_they_are() -> None:
    autoencoder = AutoencoderTransformer(3, max_epochs=1, random_state=0).fit(X)
    assert isinstance(autoencoder.net_.module__architecture, Conv1d)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: AutoencoderTransformer(3, architecture="dense"), "Dense.*'conv1d'"),
        (lambda: AutoencoderOutlierDetector(architecture="conv"), "Conv.*'conv1d'"),
        (ConvAutoencoderTransformer, "Conv.*AutoencoderTransformer"),
        (lambda: AutoencoderImputer(architecture="conv1d"), "holes .* Cut them"),
        (lambda: VAESampler(architecture="conv1d"), "one size. Cut"),
    ],
)
def test_estimators_that_take_one_length(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=f"different lengths.*{words}"):
        make().fit(X)


def test_the_imputer_fills_what_is_missing_at_the_end_too() -> None:
    holed = waves(60)
    holed[::3, 15:] = np.nan
    imputer = AutoencoderImputer(architecture="conv1d", max_epochs=1, random_state=0)
    assert np.isfinite(imputer.fit_transform(holed)).all()


def with_value(step: int, value: float) -> list[Any]:
    changed = [x.copy() for x in X[:6]]
    changed[2][step, 1] = value
    return changed


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (with_value(3, np.nan), "NaN within a sequence: sample 2 .* step 3.*Imputer"),
        (padded(with_value(3, np.nan)), "NaN within a sequence: sample 2 .* step 3"),
        (with_value(3, np.inf), "infinity"),
        (with_value(3, 1e300), "too large"),
        ([*X[:4], X[0][:0]], "Sample 4 of X has no steps"),
        (padded(X)[:0], "Found array with 0 sample"),
        (padded(X)[:, :0], "samples of shape .0, 2., which are empty"),
        (padded([*X[:4], X[0][:0]]), "Sample 4 of X has no steps.* NaN alone"),
        ([*X[:4], X[0][:, :1]], "do not go together"),
        ([x[:, :1] for x in X], "sequences of 1 channels, .* expecting 2"),
        ([x.T for x in X], "do not go together.* transpose"),
    ],
)
def test_bad_sequences(given: Any, words: str) -> None:
    for kind in KINDS:
        with pytest.raises(ValueError, match=words):
            fitted(kind).score_samples(given)
    if "channels" not in words and "too large" not in words:
        with pytest.raises(ValueError, match=words if "within" not in words else "NaN"):
            clone(fitted(AutoencoderTransformer)).fit(given)


def test_a_network_that_knows_one_length() -> None:
    autoencoder = AutoencoderTransformer(
        3, architecture="conv1d", max_epochs=1, random_state=0
    ).fit(waves(30))
    with pytest.raises(ValueError, match="learnt from samples of shape .20, 2. alone"):
        autoencoder.transform(X)
    with pytest.raises(ValueError, match="learnt from samples of shape .20, 2. alone"):
        autoencoder.predict(padded(X))


def test_rows_of_different_lengths_are_a_mistake_unless_asked_for() -> None:
    rows = [list(noise(n)) for n in (3, 4, 5, 5)]
    with pytest.raises(ValueError, match="Rows of X have different lengths.*'conv1d'"):
        AutoencoderTransformer(3).fit(rows)
    AutoencoderTransformer(3, architecture="conv1d", max_epochs=1).fit(rows)
