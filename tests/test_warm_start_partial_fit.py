"""Fits that go on from where the last one ended."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from helpers import (
    BOTH,
    IMAGES,
    OF_ROWS,
    ROWS,
    Recorder,
    Targets,
    assert_same_weights,
    have_same_weights,
    noise,
    tiny_conv,
    tiny_dense,
    unchanged,
    weights_of,
)
from sklearn.base import clone

from skautoencoder.architectures import Dense

X = ROWS[:70]
either = pytest.mark.parametrize("make", BOTH)


# ---- warm start --------------------------------


@either
def test_a_warm_start_goes_on(make: Any) -> None:
    estimator = make(warm_start=True, max_epochs=4, lr=0.01).fit(X)
    assert_same_weights(estimator, make(max_epochs=4, lr=0.01).fit(X))
    first = copy.deepcopy(estimator.history_)
    score = estimator.score(X)
    estimator.fit(X)
    assert estimator.n_iter_ == len(estimator.history_) == 8
    assert estimator.history_[:, "epoch"] == list(range(1, 9))
    losses = estimator.history_[:, "train_loss"]
    assert losses[:4] == first[:, "train_loss"]
    # The loss goes on from where it was, not from the start.
    assert losses[4] < (losses[0] + losses[3]) / 2
    assert losses[7] < losses[3]
    assert estimator.score(X) > score
    estimator.set_params(max_epochs=1).fit(X)
    assert estimator.n_iter_ == 9


@either
def test_a_warm_start_starts_with_the_weights_there_are(make: Any) -> None:
    estimator = make().fit(X)
    before = copy.deepcopy(weights_of(estimator))
    estimator.set_params(warm_start=True, lr=1e-12, max_epochs=1).fit(X)
    for name, weight in weights_of(estimator).items():
        if "running" not in name and "tracked" not in name:
            np.testing.assert_allclose(weight, before[name], atol=1e-6)


@either
def test_a_cold_start_does_not_go_on(make: Any) -> None:
    estimator = make().fit(X)
    codes = estimator.transform(X)
    assert estimator.fit(X).n_iter_ == 3
    np.testing.assert_array_equal(estimator.transform(X), codes)


@either
def test_a_warm_start_keeps_the_units_of_the_first_fit(make: Any) -> None:
    data = noise(100, 12)
    estimator = make(warm_start=True, max_epochs=1, lr=1e-12).fit(data)
    mean = data.mean(axis=0)
    estimator.fit(data * 2 + 5)
    # Nothing was learned: were there new units, answers would lie around 5.
    far = np.abs(estimator.predict(data * 2 + 5).mean(axis=0) - mean).max()
    assert estimator.score(data) == pytest.approx(
        make(max_epochs=1, lr=1e-12).fit(data).score(data), abs=0.5
    )
    assert np.isfinite(far)


@either
def test_a_warm_start_on_new_data_of_another_length(make: Any) -> None:
    estimator = make(warm_start=True).fit(X)
    estimator.fit(X[:7])
    assert estimator.n_iter_ == 6
    with unchanged(estimator, X[:9]), pytest.raises(ValueError, match="63 features"):
        estimator.fit(noise(20, 63))


@either
def test_a_warm_start_on_samples_of_another_shape(make: Any) -> None:
    estimator = make(warm_start=True).fit(IMAGES[:40])
    with (
        unchanged(estimator, IMAGES[:5]),
        pytest.raises(ValueError, match=r"\(4, 16\)"),
    ):
        estimator.fit(noise(20, 4, 16))


@pytest.mark.parametrize(
    ("make", "changed"),
    [
        (tiny_dense, {"code_size": 5}),
        (tiny_conv, {"code_size": 5}),
        (tiny_dense, {"architecture": Dense((7,))}),
        (tiny_dense, {"architecture": "conv"}),
        (tiny_dense, {"architecture__hidden_layer_sizes": (7,)}),
        (tiny_conv, {"channels": (2, 5)}),
        (tiny_conv, {"residual": True}),
        (tiny_conv, {"sample_shape": (2, 32)}),
        # Its weights fit by chance, and would mean something else.
        (tiny_conv, {"sample_shape": (4, 16)}),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_warm_start_cannot_change_the_network(
    make: Any, changed: dict[str, Any]
) -> None:
    estimator = make(warm_start=True, max_epochs=1).fit(X)
    estimator.set_params(**changed)
    with unchanged(estimator, X[:9]), pytest.raises(ValueError, match="warm_start"):
        estimator.fit(X)
    estimator.set_params(warm_start=False).fit(X)
    assert estimator.n_iter_ == 1


@either
def test_a_warm_start_may_change_how_it_learns(make: Any) -> None:
    estimator = make(warm_start=True).fit(X)
    estimator.set_params(
        optimizer="sgd",
        lr=0.5,
        lr_schedule="constant",
        loss="bce",
        batch_size=50,
        early_stopping=True,
        max_epochs=2,
    ).fit(X)
    assert estimator.n_iter_ == 5
    assert estimator.history_[:, "lr"][3:] == [0.5, 0.5]
    assert "valid_loss" in estimator.history_[-1]
    assert estimator.history_[-1, "train_batch_count"] == 2


@either
def test_early_stopping_of_a_warm_start_waits_anew(make: Any) -> None:
    estimator = make(
        warm_start=True, early_stopping=True, tol=1.0, n_iter_no_change=2, max_epochs=9
    )
    assert estimator.fit(X).n_iter_ == 3
    assert estimator.fit(X).n_iter_ == 6


@either
def test_a_warm_start_is_seeded(make: Any) -> None:
    one = make(warm_start=True).fit(X).fit(X)
    other = make(warm_start=True).fit(X).fit(X)
    assert_same_weights(one, other)


def test_a_second_fit_takes_the_rows_in_another_order() -> None:
    class Rows(Recorder):
        def on_batch_end(self, net: Any, batch: Any, **kwargs: Any) -> None:
            self.said.append(batch[0].numpy().copy())

    said: list[Any] = []
    estimator = tiny_dense(warm_start=True, max_epochs=1, callbacks=[Rows(said)])
    estimator.fit(X)
    first = np.vstack(said)
    said.clear()
    estimator.fit(X)
    assert not np.array_equal(np.vstack(said), first)
    said.clear()
    estimator.partial_fit(X)
    assert not np.array_equal(np.vstack(said), first)


@pytest.mark.parametrize("given", [None, np.random.RandomState(0)], ids=["no", "own"])
@pytest.mark.parametrize(
    ("estimator", "n_learnt"),
    [
        (tiny_dense(early_stopping=True, validation_fraction=0.3), 49),
        (tiny_dense(ordered=True, validation_fraction=0.3), 49),
        (OF_ROWS["detector"], 56),
        (OF_ROWS["novelty"], 50),
    ],
)
def test_rows_that_were_kept_out_are_kept_out_again(
    estimator: Any, n_learnt: int, given: Any
) -> None:
    said: list[Any] = []
    warm = clone(estimator).set_params(
        warm_start=True, random_state=given, callbacks=[Targets(said)]
    )
    for _ in range(3):
        warm.fit(X)
    warm.set_params(random_state=5).fit(X)
    assert len(np.unique(said, axis=0)) == n_learnt


def test_values_that_judge_guesses_are_not_learnt_later() -> None:
    said: list[Any] = []
    imputer = clone(OF_ROWS["imputer"]).set_params(
        warm_start=True, random_state=None, callbacks=[Targets(said)]
    )
    varying = X[:, X.std(axis=0) > 0]
    imputer.fit(varying)
    n_learnt = np.isfinite(said).sum()
    for _ in range(3):
        imputer.fit(varying)
    values = np.array(said)
    places = [len(np.unique(column[np.isfinite(column)])) for column in values.T]
    assert sum(places) == n_learnt


@either
def test_a_warm_start_before_any_fit_is_a_fit(make: Any) -> None:
    assert_same_weights(make(warm_start=True).fit(X), make().fit(X))


# ---- partial fit --------------------------------


@either
def test_partial_fit_goes_once_through_each_part(make: Any) -> None:
    estimator = make(max_epochs=50, lr=0.02)
    for i in range(6):
        assert estimator.partial_fit(X) is estimator
        assert estimator.n_iter_ == len(estimator.history_) == i + 1
    losses = estimator.history_[:, "train_loss"]
    assert losses[-1] < 0.9 * losses[0]
    assert losses[-1] < losses[2] < losses[0]
    assert estimator.history_[:, "lr"] == [0.02] * 6
    assert estimator.score(X) > 0


@either
def test_partial_fit_learns_from_parts(make: Any) -> None:
    estimator = make(lr=0.02)
    for _ in range(5):
        for i in range(0, 300, 100):
            estimator.partial_fit(ROWS[i : i + 100])
    assert estimator.n_iter_ == 15
    assert estimator.score(ROWS[600:700]) > 0.1


@either
@pytest.mark.parametrize("data", [IMAGES[:40], X[:40]], ids=["images", "flat"])
def test_partial_fit_decides_on_the_shape(make: Any, data: np.ndarray) -> None:
    estimator = make().partial_fit(data)
    assert estimator.sample_shape_ == data.shape[1:]
    assert estimator.n_features_in_ == 64
    assert estimator.predict(data[:3]).shape == data[:3].shape
    with unchanged(estimator, data[:9]), pytest.raises(ValueError, match="63 features"):
        estimator.partial_fit(noise(10, 63))


@either
def test_partial_fit_with_parts_of_any_size(make: Any) -> None:
    estimator = make().partial_fit(X[:40])
    for n_rows in (2, 33, 3, 100):
        estimator.partial_fit(X[:n_rows])
    assert estimator.n_iter_ == 5
    assert np.isfinite(estimator.predict(X)).all()
    if make is tiny_dense:
        assert estimator.partial_fit(X[:1]).n_iter_ == 6
    else:  # a row alone cannot be normalised
        with unchanged(estimator, X[:9]), pytest.raises(ValueError, match="batch_norm"):
            estimator.partial_fit(X[:1])


@either
def test_partial_fit_after_fit(make: Any) -> None:
    estimator = make(early_stopping=True, lr=0.01).fit(X)
    before = copy.deepcopy(estimator)
    estimator.partial_fit(X)
    assert estimator.n_iter_ == before.n_iter_ + 1
    assert estimator.history_[-1, "lr"] == 0.01
    assert not have_same_weights(estimator, before)
    # All rows are learned from; none is held back.
    assert "valid_loss" not in estimator.history_[-1]
    # The fit after that is as if nothing had been.
    assert_same_weights(estimator.fit(X), before)
    assert estimator.n_iter_ == before.n_iter_


@either
def test_a_warm_start_after_partial_fit(make: Any) -> None:
    estimator = make(warm_start=True).partial_fit(X)
    estimator.fit(X)
    assert estimator.n_iter_ == 4


@either
def test_a_partial_fit_is_one_epoch_at_a_constant_rate(make: Any) -> None:
    once = make(max_epochs=1, lr_schedule="constant").fit(X)
    assert_same_weights(make().partial_fit(X), once)


@either
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_later_rows_outside_of_what_a_sigmoid_answers(make: Any, method: str) -> None:
    estimator = make(max_epochs=1, warm_start=True)
    learn = getattr(estimator, method)
    learn(X)
    learn(1.2 * X)  # a little further than the first rows went
    message = (
        r"first rows .* lay in \[0, 1\].*from 0 to 3\..*output_activation='identity'"
    )
    with unchanged(estimator, X[:9]), pytest.raises(ValueError, match=message):
        learn(3 * X)
