"""The search that trains many networks at once, against scikit-learn's."""

from __future__ import annotations

import threading
import warnings
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from helpers import (
    IMAGES,
    assert_same_weights,
    needs_fast,
    noise,
    tiny_conv,
    tiny_dense,
)
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from skautoencoder.architectures import Dense
from skautoencoder.model_selection import (
    AutoencoderSearchCV,
    smallest_within_one_standard_error,
)
from skautoencoder.training import run_together

WINE, KINDS = load_wine(return_X_y=True)
SCALED = StandardScaler().fit_transform(WINE)


def both(estimator: Any, grid: Any, X: Any, y: Any = None, **params: Any) -> Any:
    """Return a search of scikit-learn's and ours, with the same results."""
    params = {"error_score": "raise", **params}
    theirs = GridSearchCV(estimator, grid, **params).fit(X, y)
    ours = AutoencoderSearchCV(clone(estimator), grid, **params).fit(X, y)
    assert theirs.cv_results_.keys() == ours.cv_results_.keys()
    for name, column in theirs.cv_results_.items():
        if "score" in name and "time" not in name:
            np.testing.assert_array_equal(column, ours.cv_results_[name], err_msg=name)
    assert ours.cv_results_["params"] == theirs.cv_results_["params"]
    assert ours.best_params_ == theirs.best_params_
    return theirs, ours


@needs_fast
@pytest.mark.parametrize(
    "grid",
    [
        {"code_size": [1, 2, 5]},
        [{"code_size": [2], "lr": [1e-3, 1e-2]}, {"random_state": [1]}],
        {"code_size": [2], "optimizer__weight_decay": [0.0, 0.1]},
        {"code_size": [2], "loss": ["l1", "huber"]},
        {"code_size": [2], "lr_schedule": ["constant", "cosine"]},
        {"code_size": [2, 3], "iterator_train__drop_last": [True]},
        {"code_size": [2, 3], "architecture__code_activation": ["sigmoid"]},
        {"code_size": [2], "architecture__hidden_layer_sizes": [(), (16, 9)]},
        {"code_size": [2], "batch_size": [16, 48], "max_epochs": [2, 3]},
    ],
    ids=lambda grid: "-".join(grid if isinstance(grid, dict) else grid[0]),
)
def test_networks_end_as_they_would_have_alone(grid: Any) -> None:
    # 177 rows: folds of 88 and 89, so that the last batches differ.
    theirs, ours = both(tiny_dense(batch_size=32), grid, SCALED[:177], cv=2)
    assert ours.trained_alone_ == []
    assert_same_weights(theirs.best_estimator_, ours.best_estimator_)


@needs_fast
def test_all_starts_of_all_candidates_are_trained_at_once() -> None:
    theirs, ours = both(tiny_dense(n_init=3), {"code_size": [2, 3]}, SCALED[:177], cv=2)
    assert ours.trained_alone_ == []
    assert_same_weights(theirs.best_estimator_, ours.best_estimator_)
    losses = [s.best_estimator_.init_losses_ for s in (theirs, ours)]
    np.testing.assert_array_equal(*losses)
    _, ours = both(
        tiny_dense(n_init=2), {"early_stopping": [False, True]}, SCALED, cv=2
    )
    assert ours.trained_alone_ == [(1, "it has callbacks (early_stopping)")]


@needs_fast
def test_every_activation() -> None:
    estimator = tiny_dense(
        architecture=Dense(hidden_layer_sizes=(11, 7)), batch_size=32, max_epochs=2
    )
    names = ["elu", "gelu", "leaky_relu", "relu", "silu", "softplus", "tanh"]
    _, ours = both(estimator, {"architecture__activation": names}, SCALED, cv=2)
    assert ours.trained_alone_ == []


@needs_fast
def test_data_in_0_1_with_a_sigmoid() -> None:
    X = MinMaxScaler().fit_transform(WINE)
    for loss in ("mse", "bce"):
        estimator = tiny_dense(loss=loss, batch_size=32)
        _, ours = both(estimator, {"code_size": [2, 4]}, X, cv=2)
        assert ours.trained_alone_ == []


@needs_fast
def test_histories_are_those_of_single_fits() -> None:
    """Of networks that are trained together, by the record of one fold of each."""
    rows = [SCALED[:118], SCALED[10:129], SCALED[60:]]
    alone = [tiny_dense(k, batch_size=32).fit(X) for X in rows for k in (2, 3)]
    fits = [partial(tiny_dense(k, batch_size=32).fit, X) for X in rows for k in (2, 3)]
    for one, end in zip(alone, run_together(fits), strict=True):
        assert end.alone is None
        assert_same_weights(one, end.value)
        for name in ("epoch", "train_loss", "lr", "train_batch_count"):
            assert one.history_[:, name] == end.value.history_[:, name]


@needs_fast
@pytest.mark.parametrize(
    ("batch_size", "n_rows"),
    [
        (32, (118, 119)),
        (32, (37, 38, 38)),  # last batches of 5 and 6 rows
        (32, (64, 65, 66, 97, 128)),  # a row that is left over, and other steps
        (20, (58, 59, 60)),  # whole batches that do not fill lines of the cache
    ],
)
def test_last_batches_that_differ(batch_size: int, n_rows: tuple[int, ...]) -> None:
    rows = [SCALED[:n, :12] for n in n_rows]
    make = partial(tiny_dense, batch_size=batch_size, max_epochs=6, lr=1e-2)
    fits = [
        (make(code_size, random_state=n), X)
        for n, X in enumerate(rows)
        for code_size in (2, 3, 6)
    ]
    alone = [clone(estimator).fit(X) for estimator, X in fits]
    ends = run_together([partial(estimator.fit, X) for estimator, X in fits])
    for one, end in zip(alone, ends, strict=True):
        assert end.alone is None
        assert_same_weights(one, end.value)
        assert one.history_[:, "train_loss"] == end.value.history_[:, "train_loss"]


@needs_fast
def test_few_sums_of_small_layers() -> None:
    # Last batches of 4 and 6 rows, whose sums in another order are mostly equal.
    rows = [noise(n, 12, seed=i) for i, n in enumerate((52, 78))]
    for layers in ((), (12,)):
        make = partial(tiny_dense, 2, architecture=Dense(layers), batch_size=8)
        alone = [make().fit(X) for X in rows]
        ends = run_together([partial(make().fit, X) for X in rows])
        for one, end in zip(alone, ends, strict=True):
            assert end.alone is None
            assert_same_weights(one, end.value)


def test_pipeline() -> None:
    pipeline = Pipeline(
        [
            ("scale", StandardScaler()),
            ("code", tiny_dense(batch_size=32)),
            ("classify", LogisticRegression(max_iter=500)),
        ]
    )
    grid = {"code__code_size": [2, 4], "classify__C": [0.1, 1.0]}
    theirs, ours = both(pipeline, grid, WINE, KINDS, cv=2, return_train_score=True)
    np.testing.assert_array_equal(theirs.predict(WINE), ours.predict(WINE))


@needs_fast
def test_what_was_trained_alone_is_reported() -> None:
    grid = [
        {"code_size": [2, 3]},
        {"early_stopping": [True]},
        {"architecture__dropout": [0.5]},
        {"optimizer": ["sgd"]},
        {"max_epochs": [7]},
        {"contraction_weight": [0.1]},
    ]
    estimator = tiny_dense(batch_size=32)
    ours = AutoencoderSearchCV(estimator, grid, cv=2).fit(SCALED)
    reasons = dict(ours.trained_alone_)
    assert sorted(reasons) == [2, 3, 4, 6]
    for number, word in ((2, "early_stopping"), (3, "dropout"), (4, "Adam")):
        assert word in reasons[number]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skautoencoder.training.joint_fits.fit_many", _none_together)
        plain = AutoencoderSearchCV(estimator, grid, cv=2).fit(SCALED)
    assert len(plain.trained_alone_) == 7
    np.testing.assert_array_equal(
        plain.cv_results_["mean_test_score"], ours.cv_results_["mean_test_score"]
    )


def _none_together(nets: Any, data: Any) -> list[str]:
    return ["it was not asked for"] * len(nets)


def test_other_estimators_and_images() -> None:
    search = AutoencoderSearchCV(
        LogisticRegression(max_iter=500), {"C": [0.1, 1]}, cv=2
    )
    assert search.fit(SCALED, KINDS).trained_alone_ == []
    images = IMAGES[:60]
    ours = AutoencoderSearchCV(tiny_conv(max_epochs=1), {"code_size": [2, 3]}, cv=2)
    assert [index for index, _ in ours.fit(images).trained_alone_] == [0, 1]


@needs_fast
def test_one_that_diverges_does_not_hold_up_the_others() -> None:
    grid = {"lr": [1e-3, 1e30]}
    estimator = tiny_dense(batch_size=32, lr_schedule="constant")
    search = AutoencoderSearchCV(estimator, grid, cv=2)
    with (
        pytest.warns(UserWarning, match="non-finite"),
        pytest.warns(FitFailedWarning, match="Training diverged"),
    ):
        search.fit(SCALED)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores[0])
    assert np.isnan(scores[1])
    before = threading.active_count()
    with pytest.raises(ValueError, match="Training diverged"):
        search.set_params(error_score="raise").fit(SCALED)
    assert threading.active_count() == before


def test_what_is_wrong_is_said() -> None:
    for grid in ({}, []):
        with pytest.raises(ValueError, match="param_grid=.* is empty"):
            AutoencoderSearchCV(tiny_dense(), grid).fit(SCALED)
    for grid in (None, (), np.array([]), np.array([2, 4])):
        with pytest.raises(ValueError, match="instance of 'dict' or an instance of"):
            AutoencoderSearchCV(tiny_dense(), grid).fit(SCALED)
    with pytest.raises(ValueError, match="code_siez"):
        AutoencoderSearchCV(tiny_dense(), {"code_siez": [2]}).fit(SCALED)
    with pytest.raises(ValueError, match="non-empty"):
        AutoencoderSearchCV(tiny_dense(), {"code_size": []}).fit(SCALED)


def test_state_of_the_process_is_left_as_it_was() -> None:
    before = [*warnings.filters]
    pipeline = make_pipeline(StandardScaler(), tiny_dense(batch_size=32))
    grid = {"autoencodertransformer__code_size": [2, 3]}
    search = AutoencoderSearchCV(pipeline, grid, cv=2, pre_dispatch=3).fit(WINE)
    assert [*warnings.filters] == before
    assert len(search.cv_results_["params"]) == 2
    assert (search.cv_results_["mean_fit_time"] > 0).all()


def test_what_scikit_learn_dispatches_by_default() -> None:
    both(tiny_dense(), {"code_size": [1, 2]}, SCALED, cv=2, pre_dispatch="2*n_jobs")


def test_double_precision_as_the_default_of_torch() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        both(tiny_dense(batch_size=32), {"code_size": [1, 2]}, SCALED, cv=2)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.filterwarnings("ignore")  # checks of interfaces, on any data
def test_scikit_learns_checks() -> None:
    # Estimators in a search are checked by scikit-learn in the same way.
    search = AutoencoderSearchCV(
        LogisticRegression(), {"C": [1.0]}, cv=2, error_score="raise"
    )
    for checked, check in estimator_checks_generator(search, legacy=True):
        check(checked)


@needs_fast
def test_few_features_and_few_rows() -> None:
    X = noise(41, 1)
    for rows in (np.hstack([X, X**2]), X[:7], X):
        both(
            tiny_dense(batch_size=min(16, len(rows) // 2)),
            {"code_size": [1], "lr": [1e-2, 1e-3]},
            rows,
            cv=2,
        )


def results(means: list[float], deviations: list[float], **params: Any) -> Any:
    """Results of a search with three folds."""
    (name, values), *_ = params.items()
    folds = {f"split{i}_test_score": means for i in range(3)}
    return {
        "params": [{name: value} for value in values],
        "mean_test_score": np.array(means),
        "std_test_score": np.array(deviations),
        **folds,
    }


@pytest.mark.parametrize(
    ("deviation", "expected"), [(0.0, 0), (0.11, 1), (0.2, 2), (0.28, 2), (1.0, 3)]
)
def test_smallest_code_within_one_standard_error(
    deviation: float, expected: int
) -> None:
    # The standard error of three folds is the deviation divided by the root of two.
    found = results(
        [0.9, 0.85, 0.8, 0.5], [deviation, 0, 0, 0], pipe__code_size=[9, 7, 4, 2]
    )
    assert smallest_within_one_standard_error(found) == expected


def test_best_of_equally_small_codes_and_failed_fits() -> None:
    found = results(
        [np.nan, 0.79, 0.8, 0.8], [0, 0.1, 0.1, 0.1], code_size=[1, 2, 2, 4]
    )
    assert smallest_within_one_standard_error(found) == 2


def test_halving_compares_candidates_that_had_all_samples() -> None:
    found = results([0.9, 0.9, 0.7, 0.6], [0.0] * 4, code_size=[1, 8, 8, 4])
    found["iter"] = np.array([0, 0, 1, 1])
    assert smallest_within_one_standard_error(found) == 2
    found["mean_test_score"][2:] = np.nan
    with pytest.raises(ValueError, match="no candidate has a score"):
        smallest_within_one_standard_error(found)


def test_search_refits_the_smallest_code() -> None:
    search = AutoencoderSearchCV(
        tiny_dense(),
        {"code_size": [3, 1, 2]},
        cv=3,
        refit=smallest_within_one_standard_error,
    ).fit(SCALED)
    expected = smallest_within_one_standard_error(search.cv_results_)
    assert search.best_index_ == expected
    assert search.best_estimator_.code_size_ == search.best_params_["code_size"]


def test_results_without_code_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="their code_size"):
        smallest_within_one_standard_error(results([1.0], [0.0], lr=[0.1]))
    with pytest.raises(ValueError, match="their code_size"):
        smallest_within_one_standard_error(results([1.0], [0.0], code_size=[None]))
    with pytest.raises(ValueError, match="one scorer"):
        smallest_within_one_standard_error({"params": [], "mean_test_a": []})


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_search_that_fails_is_what_it_was(error: type[BaseException]) -> None:
    class Fails(MinMaxScaler):
        def fit(self, X: Any, y: Any = None) -> Any:
            if len(X) == 60:  # the last fit, to all samples
                raise error("of the scaler")
            return super().fit(X, y)

    pipeline = make_pipeline(Fails(), tiny_dense(max_epochs=1))
    grid = {"autoencodertransformer__code_size": [1, 2]}
    search = AutoencoderSearchCV(pipeline, grid, cv=2)
    parameters = vars(search).copy()
    with pytest.raises(error):
        search.fit(SCALED[:60])
    assert vars(search) == parameters
    search.fit(SCALED[:80])
    kept, codes = vars(search).copy(), search.transform(SCALED)
    with pytest.raises(error):
        search.fit(SCALED[:60])
    assert vars(search) == kept
    np.testing.assert_array_equal(search.transform(SCALED), codes)
