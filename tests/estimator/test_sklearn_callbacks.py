"""scikit-learn's callbacks, alone, in Pipelines and in searches."""

from __future__ import annotations

import pickle
from collections import Counter
from typing import Any

import numpy as np
import pytest
from helpers import OF_ROWS, ROWS, assert_same_answers, have_same_weights, tiny_dense
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skautoencoder import VAEOverSampler, VAESampler
from skautoencoder.architectures import Dense

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9")

X, Y = ROWS[:60], np.arange(60) % 2


class Tasks:
    """Keeps the tasks that it is told of, and stops after some epochs if asked to."""

    max_propagation_depth = None

    def __init__(self, stops_after: int | None = None) -> None:
        self.stops_after = stops_after
        self.seen: list[tuple[str, str, str]] = []
        self.fitted: list[Any] = []

    def setup(self, estimator: Any, context: Any) -> None:
        self.seen.append(("setup", type(estimator).__name__, ""))

    def teardown(self, estimator: Any, context: Any) -> None:
        self.seen.append(("teardown", type(estimator).__name__, ""))

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        self.seen.append(("begin", context.estimator_name, context.task_name))

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, fitted_estimator: Any = None
    ) -> bool:
        self.seen.append(("end", context.estimator_name, context.task_name))
        if context.task_name == "epoch":
            self.fitted.append(fitted_estimator)
            n_epochs = len(self.fitted)
            return self.stops_after is not None and n_epochs >= self.stops_after
        return False


def test_callbacks_are_told_of_the_fit_and_of_its_epochs() -> None:
    tasks = Tasks()
    fitted = tiny_dense().set_callbacks(tasks).fit(X)
    name = "AutoencoderTransformer"
    epoch = [("begin", name, "epoch"), ("end", name, "epoch")]
    assert tasks.seen == [
        ("setup", name, ""),
        ("begin", name, "fit"),
        *(3 * epoch),
        ("end", name, "fit"),
        ("teardown", name, ""),
    ]
    assert have_same_weights(fitted, tiny_dense().fit(X))
    assert_same_answers(tasks.fitted[-1], fitted, X)
    assert not have_same_weights(tasks.fitted[0], fitted)
    assert [e.n_iter_ for e in tasks.fitted] == [1, 2, 3]
    assert not [key for key in vars(fitted) if "callback_ctx" in key]
    assert len(fitted.net_.callbacks_) == len(tiny_dense().fit(X).net_.callbacks_)


def test_a_callback_can_end_training() -> None:
    fitted = tiny_dense(max_epochs=5).set_callbacks(Tasks(stops_after=2)).fit(X)
    assert fitted.n_iter_ == 2
    assert fitted.transform(X).shape == (60, 3)


@pytest.mark.parametrize("name", OF_ROWS)
def test_the_estimator_of_the_last_epoch_answers_as_the_fitted_one(name: str) -> None:
    tasks = Tasks()
    fitted = clone(OF_ROWS[name]).set_callbacks(tasks).fit(X)
    plain = clone(OF_ROWS[name]).fit(X)
    method = "transform" if hasattr(fitted, "transform") else "score_samples"
    expected = getattr(plain, method)(X)
    np.testing.assert_array_equal(getattr(fitted, method)(X), expected)
    np.testing.assert_array_equal(getattr(tasks.fitted[-1], method)(X), expected)


def test_callbacks_are_torn_down_if_a_fit_fails() -> None:
    tasks = Tasks()
    estimator = tiny_dense(lr=1e30).set_callbacks(tasks)
    with pytest.raises(ValueError, match="loss"):
        estimator.fit(1e3 * X - 500)
    assert tasks.seen[-1][0] == "teardown"
    assert not hasattr(estimator, "net_")


def test_callbacks_in_a_pipeline_and_a_search() -> None:
    tasks = Tasks()
    pipeline = make_pipeline(StandardScaler(), tiny_dense(max_epochs=2))
    grid = {"autoencodertransformer__code_size": [2, 3]}
    search = GridSearchCV(pipeline, grid, cv=2).set_callbacks(tasks).fit(X)
    counts = Counter(tasks.seen)
    assert counts["end", "AutoencoderTransformer", "epoch"] == 2 * 5
    assert counts["setup", "GridSearchCV", ""] == 1
    assert sum(n for what, n in counts.items() if what[0] == "setup") == 1
    search.set_callbacks()
    pickle.dumps(search)


def test_callbacks_follow_into_the_sampler_of_an_over_sampler() -> None:
    sampler = VAESampler(2, architecture=Dense((4,)), max_epochs=2)
    over_sampler = VAEOverSampler(sampler, random_state=0)
    y = np.arange(60) % 5 == 0
    plain, _ = over_sampler.fit_resample(X, y)
    tasks = Tasks()
    told = clone(over_sampler).set_callbacks(tasks)
    drawn, _ = told.fit_resample(X, y)
    np.testing.assert_array_equal(drawn, plain)
    assert tasks.seen == [
        ("setup", "VAEOverSampler", ""),
        ("begin", "VAEOverSampler", "fit"),
        ("begin", "VAESampler", "fit"),
        *(2 * [("begin", "VAESampler", "epoch"), ("end", "VAESampler", "epoch")]),
        ("end", "VAESampler", "fit"),
        ("end", "VAEOverSampler", "fit"),
        ("teardown", "VAEOverSampler", ""),
    ]
    assert not [key for key in vars(told) if "callback_ctx" in key]


def test_progress_bar(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich")
    bar = callback.ProgressBar(max_propagation_depth=None)
    pipeline = make_pipeline(StandardScaler(), tiny_dense()).set_callbacks(bar)
    pipeline.fit(X)
    out = capsys.readouterr().out
    assert "AutoencoderTransformer - fit" in out
    assert "100%" in out


SCORING = {"score": lambda estimator, X, y: estimator.score(X)}


@pytest.mark.parametrize("given", [None, Y])
def test_scoring_monitor(given: Any) -> None:
    monitor = callback.ScoringMonitor(scoring=SCORING)
    fitted = tiny_dense().set_callbacks(monitor).fit(X, given)
    rows = monitor.get_logs().data
    epochs = [row["score"] for row in rows if row["task_name"] == "epoch"]
    assert len(epochs) == 3
    assert epochs[-1] == fitted.score(X)
    assert len(set(epochs)) == 3


def test_metrics_compare_reconstructions_with_the_data() -> None:
    monitor = callback.ScoringMonitor(scoring="neg_mean_squared_error")
    fitted = tiny_dense().set_callbacks(monitor).fit(X)
    last = monitor.get_logs().data[-1]["neg_mean_squared_error"]
    np.testing.assert_allclose(last, fitted.score_samples(X).mean())


def test_scoring_monitor_of_a_search() -> None:
    monitor = callback.ScoringMonitor(scoring=SCORING)
    estimator = tiny_dense(max_epochs=2).set_callbacks(monitor)
    GridSearchCV(estimator, {"code_size": [2, 3]}, cv=2).fit(X)
    rows = monitor.get_logs().data
    assert sum(row["task_name"] == "epoch" for row in rows) == 2 * 5


def test_partial_fit_tells_callbacks_nothing() -> None:
    tasks = Tasks()
    tiny_dense().set_callbacks(tasks).partial_fit(X)
    assert tasks.seen == []


def test_epochs_of_all_starts_are_told() -> None:
    tasks = Tasks()
    fitted = tiny_dense(n_init=2).set_callbacks(tasks).fit(X)
    assert len(tasks.fitted) == 2 * fitted.n_iter_
    last = [tasks.fitted[place] for place in (fitted.n_iter_ - 1, -1)]
    best = last[int(fitted.init_losses_.argmin())]
    assert have_same_weights(best, fitted)
    assert not have_same_weights(last[0], last[1])
