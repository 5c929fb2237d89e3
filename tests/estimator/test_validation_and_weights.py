"""Validation data of the user's own, and weights of samples."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from helpers import (
    OF_ROWS,
    ROWS,
    Targets,
    assert_same_weights,
    have_same_weights,
    needs_fast,
    noise,
    tiny_dense,
)
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skautoencoder import AutoencoderTransformer, VAESampler, transformers
from skautoencoder.architectures import Conv1d, Dense
from skautoencoder.model_selection import AutoencoderSearchCV
from skautoencoder.training import RowBatches, Rows

X, V, Y = ROWS[:60, 18:28], ROWS[60:100, 18:28], np.arange(60) % 2
WITH_VALID = [n for n in OF_ROWS if n != "imputer"]
WEIGHTED = ["transformer", "conv", "denoiser", "table", "gaussian"]


@pytest.mark.parametrize("name", WITH_VALID)
def test_the_validation_loss_is_in_history_and_training_is_the_same(name: str) -> None:
    estimator = clone(OF_ROWS[name]).set_params(max_epochs=2)
    plain = clone(estimator).fit(X)
    watched = clone(estimator).fit(X, X_valid=V)
    assert len(watched.history_[:, "valid_loss"]) == 2
    assert "valid_loss" not in plain.history_[0]
    if name in ("transformer", "conv", "detector", "novelty"):  # no draws to measure it
        assert_same_weights(plain, watched)
    assert "valid_rows" not in vars(watched.net_)
    pickle.dumps(watched)


def test_the_validation_loss_is_that_of_the_samples_given() -> None:
    fitted = tiny_dense().fit(X, X_valid=V)
    error = -fitted.score_samples(V).mean()
    np.testing.assert_allclose(fitted.history_[-1]["valid_loss"], error, rtol=1e-5)


def test_early_stopping_goes_by_the_samples_given() -> None:
    params = {
        "max_epochs": 30,
        "early_stopping": True,
        "n_iter_no_change": 2,
        "lr": 0.1,
    }
    fitted = tiny_dense(**params, lr_schedule="constant").fit(X, X_valid=V)
    assert fitted.n_iter_ < 30
    best = min(fitted.history_[:, "valid_loss"])
    np.testing.assert_allclose(-fitted.score_samples(V).mean(), best, rtol=1e-5)


def test_validation_samples_are_checked_like_others() -> None:
    with pytest.raises(ValueError, match="features"):
        tiny_dense().fit(X, X_valid=V[:, :5])
    frame = pd.DataFrame(X).add_prefix("pixel")
    with pytest.raises(ValueError, match="feature names"):
        tiny_dense().fit(frame, X_valid=frame.add_prefix("my_"))
    with pytest.raises(ValueError, match="early_stopping=True"):
        clone(OF_ROWS["imputer"]).fit(X, X_valid=V)


def test_validation_of_pairs_of_classes_and_of_sequences() -> None:
    denoiser = clone(OF_ROWS["denoiser"])
    fitted = denoiser.fit(X, X_clean=X, X_valid=(V, V))
    assert "valid_loss" in fitted.history_[0]
    with pytest.raises(ValueError, match="pair of noisy and clean"):
        denoiser.fit(X, X_clean=X, X_valid=V)
    sampler = VAESampler(2, architecture=Dense((4,)), conditional=True, max_epochs=1)
    fitted = sampler.fit(X, Y, X_valid=(V, np.arange(40) % 2))
    assert "valid_kl" in fitted.history_[0]
    with pytest.raises(ValueError, match="their classes"):
        sampler.fit(X, Y, X_valid=V)
    waves = [np.sin(np.arange(8 + i % 5)) for i in range(30)]
    series = tiny_dense(architecture=Conv1d((3,)))
    assert "valid_loss" in series.fit(waves, X_valid=waves[:7]).history_[0]


@pytest.mark.parametrize("name", [name for name in WEIGHTED if name != "table"])
def test_a_whole_number_is_a_repeated_row(name: str) -> None:
    weights = np.arange(60) % 3
    estimator = clone(OF_ROWS[name]).set_params(max_epochs=2)
    weighted = clone(estimator).fit(X, sample_weight=weights)
    repeated = clone(estimator).fit(np.repeat(X, weights, axis=0))
    assert_same_weights(weighted, repeated)
    np.testing.assert_array_equal(weighted.transform(V), repeated.transform(V))
    assert not have_same_weights(weighted, clone(estimator).fit(X))


@pytest.mark.parametrize("name", WEIGHTED)
def test_equal_weights_change_nothing(name: str) -> None:
    weighted = clone(OF_ROWS[name]).fit(X, sample_weight=np.full(60, 0.3))
    assert_same_weights(weighted, clone(OF_ROWS[name]).fit(X))


def test_other_weights_say_how_often_a_row_is_drawn() -> None:
    weights = torch.tensor([0.5, 1.0, 0.0, 2.5])
    rows = Rows(torch.arange(4.0)[:, None], weights=weights)
    batches = RowBatches(rows, 2, shuffle=True)
    counts = np.zeros(4)
    for _ in range(1000):
        drawn = torch.cat([batch for batch, _ in batches])[:, 0].long()
        assert len(drawn) == 4
        counts += np.bincount(drawn, minlength=4)
    np.testing.assert_allclose(counts / 1000, [0.5, 1.0, 0.0, 2.5], atol=0.05)


@pytest.mark.parametrize("name", WEIGHTED)
def test_fits_with_other_weights(name: str) -> None:
    weights = np.linspace(0.1, 2, 60)
    estimator = clone(OF_ROWS[name]).set_params(early_stopping=True)
    fitted = estimator.fit(X, sample_weight=weights)
    assert_same_weights(fitted, clone(estimator).fit(X, sample_weight=10 * weights))
    assert not have_same_weights(fitted, clone(estimator).fit(X))


def test_copies_do_not_make_a_column_one_of_few_values() -> None:
    table = noise(60, 2)
    sampler = clone(OF_ROWS["table"]).fit(table, sample_weight=2 + np.arange(60) % 3)
    assert {*sampler.column_kinds_.values()} == {"continuous"}
    assert not np.isin(sampler.sample(50, 0), table).any()


@pytest.mark.parametrize("name", WEIGHTED)
def test_samples_of_weight_0_are_left_out(name: str) -> None:
    weights = np.arange(60) % 4 / 3
    some = weights > 0
    weighted = clone(OF_ROWS[name]).fit(X, sample_weight=weights)
    alone = clone(OF_ROWS[name]).fit(X[some], sample_weight=weights[some])
    assert_same_weights(weighted, alone)
    np.testing.assert_array_equal(weighted.transform(V), alone.transform(V))


@pytest.mark.parametrize(
    "params", [{"early_stopping": True}, {"ordered": True}], ids=str
)
def test_copies_of_a_sample_are_learnt_from_or_held_out(params: dict[str, Any]) -> None:
    targets: list[Any] = []
    estimator = tiny_dense(
        validation_fraction=0.3, callbacks=[Targets(targets)], **params
    )
    estimator.fit(X, sample_weight=np.arange(60) % 4)  # 45 samples
    assert len(np.unique(targets, axis=0)) == 45 - round(0.3 * 45)


@needs_fast
def test_searches_with_copies_of_samples_train_together() -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = tiny_dense(batch_size=32)
        estimator.set_fit_request(sample_weight=True)
        estimator.set_score_request(sample_weight=True)
        search = AutoencoderSearchCV(estimator, {"code_size": [1, 2]}, cv=2)
        search.fit(ROWS[:60], sample_weight=1 + np.arange(60) % 3)
    assert search.trained_alone_ == []


def test_halves_in_which_codes_of_pca_are_judged_share_no_sample(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learnt: list[Any] = []

    def train(nets: Any, plan: Any, params: Any) -> None:
        learnt.append(plan.data.rows)

    monkeypatch.setattr(transformers, "train_nets", train)
    autoencoder = AutoencoderTransformer(2, batch_size=60, random_state=0)
    autoencoder.fit(X, sample_weight=1 + np.arange(60) % 3)
    # A network that is behind in the first half needs no second.
    assert [len(half.unique(dim=0)) for half in learnt] == [30]


def test_heavy_rows_are_reconstructed_better() -> None:
    heavy = np.arange(60) < 10
    params = {"max_epochs": 60, "code_size": 2}
    fitted = tiny_dense(**params).fit(X, sample_weight=np.where(heavy, 1.0, 0.02))
    plain = tiny_dense(**params).fit(X)
    assert fitted.score_samples(X[heavy]).mean() > plain.score_samples(X[heavy]).mean()


@pytest.mark.parametrize("name", ["transformer", "table"])
def test_score_weighs_samples(name: str) -> None:
    fitted = clone(OF_ROWS[name]).fit(X)
    weights = np.arange(40) % 3
    expected = fitted.score(np.repeat(V, weights, axis=0))
    assert fitted.score(V, sample_weight=weights) == pytest.approx(expected, rel=1e-5)
    assert fitted.score(V, sample_weight=np.ones(40)) == fitted.score(V)


@pytest.mark.parametrize(
    "weights", [1.0, np.ones(3), -np.arange(60), np.full(60, np.nan)]
)
def test_bad_weights_are_refused(weights: Any) -> None:
    with pytest.raises(ValueError, match="sample_weight"):
        tiny_dense().fit(X, sample_weight=weights)


def test_estimators_without_weights_say_so() -> None:
    with pytest.raises(TypeError, match="no weights here"):
        clone(OF_ROWS["detector"]).fit(X, sample_weight=np.ones(60))


def test_weights_and_validation_samples_are_routed() -> None:
    weights = np.arange(60) % 3
    with sklearn.config_context(enable_metadata_routing=True):
        step = tiny_dense().set_fit_request(sample_weight=True, X_valid=True)
        step.set_score_request(sample_weight=True)
        search = GridSearchCV(step, {"code_size": [2]}, cv=2, error_score="raise")
        search.fit(X, sample_weight=weights, X_valid=V)
        assert "valid_loss" in search.best_estimator_.history_[0]
        assert_same_weights(
            search.best_estimator_, tiny_dense(2).fit(X, sample_weight=weights)
        )
        pipeline = make_pipeline(MinMaxScaler(), step)
        pipeline.fit(X, sample_weight=weights, X_valid=V)
    pipeline = make_pipeline(StandardScaler(), tiny_dense())
    pipeline.fit(X, autoencodertransformer__sample_weight=weights)
