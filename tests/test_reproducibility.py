"""The same seed gives the same bits, and nothing outside the estimator moves."""

from __future__ import annotations

import copy
import functools
import io
import pickle
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from helpers import (
    BOTH,
    IMAGES,
    OF_ROWS,
    ROWS,
    Interrupts,
    assert_same_answers,
    assert_same_weights,
    have_same_weights,
    noise,
    tiny_conv,
    tiny_dense,
)
from sklearn.base import clone
from skorch.callbacks import GradientNormClipping
from torch import nn

from skautoencoder import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    DenoisingAutoencoder,
    VAESampler,
)
from skautoencoder.architectures import Custom, Dense

X = ROWS[:48]
either = pytest.mark.parametrize("make", BOTH)

# What draws, besides the first weights: dropout and the validation split.
ALL_THAT_DRAWS: dict[Any, dict[str, Any]] = {
    tiny_dense: {"architecture": Dense((12,), dropout=0.3), "early_stopping": True},
    tiny_conv: {"early_stopping": True},
}


@functools.cache
def fitted(make: Any) -> Any:
    return make().fit(X)


# ---- the same seed --------------------------------


@either
def test_the_same_seed_gives_the_same_bits_whatever_was_drawn_before(make: Any) -> None:
    params = ALL_THAT_DRAWS[make]
    first = make(**params).fit(X)
    torch.manual_seed(7)
    torch.rand(3)
    np.random.seed(7)  # noqa: NPY002
    random.seed(7)
    second = make(**params).fit(X)
    assert_same_weights(first, second)
    assert_same_answers(first, second, X)
    assert first.history_[:, "train_loss"] == second.history_[:, "train_loss"]
    assert not have_same_weights(first, make(**params, random_state=1).fit(X))


@either
def test_partial_fit_is_seeded_too(make: Any) -> None:
    first = make().partial_fit(X[:24]).partial_fit(X[24:])
    torch.rand(3)
    second = make().partial_fit(X[:24]).partial_fit(X[24:])
    assert_same_weights(first, second)
    assert first.history_[:, "train_loss"] == second.history_[:, "train_loss"]


@either
def test_fitting_again_gives_the_same_bits(make: Any) -> None:
    estimator = make(**ALL_THAT_DRAWS[make]).fit(X)
    codes = estimator.transform(X)
    np.testing.assert_array_equal(estimator.fit(X).transform(X), codes)


@either
def test_a_random_state_instance_moves_on(make: Any) -> None:
    estimator = make(random_state=np.random.RandomState(0))
    first = clone(estimator).fit(X)
    second = clone(estimator).fit(X)
    assert_same_weights(first, second)
    # The same generator goes on: as everywhere in scikit-learn, fits differ.
    one = copy.deepcopy(estimator.fit(X))
    assert_same_weights(one, first)
    assert not have_same_weights(one, estimator.fit(X))


@either
def test_without_a_random_state_fits_differ(make: Any) -> None:
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    first = make(random_state=None).fit(X)
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    second = make(random_state=None).fit(X)
    assert not have_same_weights(first, second)
    assert np.isfinite(first.predict(X)).all()


@either
def test_fits_beside_each_other_do_not_disturb_each_other(make: Any) -> None:
    params = ALL_THAT_DRAWS[make]
    alone = [make(**params, random_state=seed).fit(X) for seed in (0, 1, 2)]
    together = joblib.Parallel(n_jobs=3, prefer="threads")(
        joblib.delayed(fit_a_clone)(make(**params, random_state=seed), X)
        for seed in (0, 1, 2, 0)
    )
    for one, other in zip([*alone, alone[0]], together, strict=True):
        assert_same_weights(one, other)
        assert_same_answers(one, other, X)


def fit_a_clone(estimator: Any, data: np.ndarray) -> Any:
    return clone(estimator).fit(data)


@either
def test_threads_that_apply_one_estimator(make: Any) -> None:
    estimator = fitted(make)
    parts = [ROWS[i : i + 60] for i in range(0, 600, 60)]
    expected = estimator.predict(ROWS[:600])
    with joblib.parallel_backend("threading", n_jobs=4):
        answered = joblib.Parallel()(
            joblib.delayed(estimator.predict)(part) for part in parts
        )
    np.testing.assert_array_equal(np.vstack(answered), expected)


# ---- nothing else moves --------------------------------


class GlobalState:
    """All that the process shares and a fit might touch."""

    def __init__(self) -> None:
        self.torch = torch.get_rng_state()
        self.numpy = np.random.get_state()  # noqa: NPY002
        self.random = random.getstate()
        self.settings = (
            torch.get_num_threads(),
            torch.get_num_interop_threads(),
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            torch.are_deterministic_algorithms_enabled(),
            torch.is_autocast_enabled("cpu"),
            torch.get_float32_matmul_precision(),
        )

    def assert_unchanged(self) -> None:
        now = GlobalState()
        assert torch.equal(now.torch, self.torch)
        assert now.numpy[0] == self.numpy[0]
        assert all(
            np.array_equal(mine, theirs)
            for mine, theirs in zip(now.numpy[1:], self.numpy[1:], strict=True)
        )
        assert now.random == self.random
        assert now.settings == self.settings


@pytest.mark.parametrize(
    ("precision", "random_state"), [("float32", None), ("bfloat16", 0)]
)
@either
def test_global_states_are_left_alone(
    make: Any, precision: str, random_state: int | None
) -> None:
    estimator = make(
        **ALL_THAT_DRAWS[make],
        random_state=random_state,
        precision=precision,
        max_epochs=1,
    )
    state = GlobalState()
    for method in (
        "fit",
        "transform",
        "predict",
        "score_samples",
        "score",
        "partial_fit",
        "fit_transform",
    ):
        getattr(estimator, method)(X)
        state.assert_unchanged()
    estimator.inverse_transform(noise(5, 3))
    estimator.set_params(warm_start=True).fit(X)
    clone(estimator)
    pickle.loads(pickle.dumps(estimator))
    state.assert_unchanged()


@either
def test_the_threads_of_the_caller_are_put_back(make: Any) -> None:
    before = torch.get_num_threads()
    try:
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            estimator = make().fit(X)
            estimator.predict(X)
            assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("failure", ["data", "parameter", "divergence", "interrupt"])
@either
def test_global_states_are_left_alone_by_a_fit_that_fails(
    make: Any, failure: str
) -> None:
    data = noise(60, 64)
    params: dict[str, Any] = {
        "data": {},
        "parameter": {"sample_shape": (8, 9)},
        "divergence": {"lr": 1e6, "optimizer": "sgd", "lr_schedule": "constant"},
        "interrupt": {"callbacks": [Interrupts(epoch=1)]},
    }[failure]
    if failure == "data":
        data[0, 0] = np.nan
    estimator = make(**ALL_THAT_DRAWS[make], **params)
    state = GlobalState()
    for method in (estimator.fit, estimator.fit_transform):
        with pytest.raises((ValueError, KeyboardInterrupt)):
            method(data)
        state.assert_unchanged()


@either
def test_applying_bad_samples_leaves_global_states_alone(make: Any) -> None:
    estimator = fitted(make)
    state = GlobalState()
    with pytest.raises(ValueError, match="63 features"):
        estimator.transform(noise(4, 63))
    state.assert_unchanged()


# ---- copies --------------------------------


def through_pickle(estimator: Any) -> Any:
    return pickle.loads(pickle.dumps(estimator))


def through_joblib(estimator: Any) -> Any:
    with io.BytesIO() as file:
        joblib.dump(estimator, file)
        file.seek(0)
        return joblib.load(file)


COPIES = [through_pickle, through_joblib, copy.deepcopy]


def make_with_all(make: Any) -> Any:
    params = {
        "early_stopping": True,
        "callbacks": [("clip", GradientNormClipping(1.0))],
        "optimizer__weight_decay": 1e-3,
        "random_state": 3,
        "verbose": 0,
        "max_epochs": 2,
    }
    if make is tiny_dense:
        params["architecture"] = Dense((9,), tied_weights=True, batch_norm=True)
    return make(**params)


@pytest.mark.parametrize("through", COPIES)
@either
def test_copies_of_an_unfitted_estimator(make: Any, through: Any) -> None:
    estimator = make_with_all(make)
    twin = through(estimator)
    assert (
        repr(twin.get_params()).split(" at 0x")[0]
        == (repr(estimator.get_params()).split(" at 0x")[0])
    )
    assert not hasattr(twin, "net_")
    assert_same_answers(twin.fit(X), estimator.fit(X), X)


@pytest.mark.parametrize(
    ("make", "data"),
    [(tiny_dense, X.astype(np.float32) - 3), (tiny_conv, IMAGES[:48])],
)
@pytest.mark.parametrize("through", COPIES)
def test_copies_of_a_fitted_estimator(make: Any, through: Any, data: Any) -> None:
    estimator = make_with_all(make).fit(data)
    twin = through(estimator)
    assert vars(twin).keys() == vars(estimator).keys()
    assert_same_weights(twin, estimator)
    assert_same_answers(twin, estimator, data)
    assert list(twin.history_) == list(estimator.history_)
    assert twin.n_iter_ == estimator.n_iter_
    # A copy is whole: it learns on exactly as the original would.
    assert_same_weights(twin.partial_fit(data), estimator.partial_fit(data))
    twin.set_params(warm_start=True).fit(data)
    assert_same_weights(twin, estimator.set_params(warm_start=True).fit(data))


@either
def test_a_copy_shares_nothing(make: Any) -> None:
    estimator = make().fit(X)
    codes = estimator.transform(X)
    copy.deepcopy(estimator).partial_fit(X).partial_fit(X)
    np.testing.assert_array_equal(estimator.transform(X), codes)


@either
def test_a_clone_is_not_fitted(make: Any) -> None:
    estimator = make_with_all(make).fit(X)
    twin = clone(estimator)
    assert not hasattr(twin, "net_")
    assert vars(twin).keys() == vars(make_with_all(make)).keys()
    assert_same_answers(twin.fit(X), estimator, X)


@either
def test_a_stored_estimator_holds_no_training_data(make: Any, tmp_path: Path) -> None:
    few, many = make(max_epochs=1).fit(X), make(max_epochs=1).fit(np.tile(X, (4, 1)))
    assert len(pickle.dumps(many)) < len(pickle.dumps(few)) + 2000
    path = tmp_path / "estimator.joblib"
    joblib.dump(few, path)
    assert_same_answers(joblib.load(path), few, X)


AROUND = {
    "float64 by default": lambda: default_dtype(torch.float64),
    "a device by default": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
}


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def by_autograd() -> Any:
    return tiny_dense(sparsity="kl")


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("make", [tiny_dense, tiny_conv, by_autograd])
def test_what_the_user_has_set_in_torch_changes_nothing(around: str, make: Any) -> None:
    expected = fitted(make)
    with AROUND[around]():
        found = make().fit(X)
        np.testing.assert_array_equal(found.transform(X), expected.transform(X))
        np.testing.assert_array_equal(found.predict(X), expected.predict(X))
        assert found.score(X) == expected.score(X)


@functools.cache
def of_a_table(kind: Any) -> tuple[np.ndarray, Any]:
    table = noise(60, 4)
    if kind is AutoencoderImputer:
        table[::3, 1] = np.nan
    return table, kind(architecture=Dense((16,)), max_epochs=2, random_state=0).fit(
        table
    )


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize(
    ("kind", "methods"),
    [
        (AutoencoderImputer, ["transform"]),
        (AutoencoderOutlierDetector, ["score_samples", "explain"]),
        (DenoisingAutoencoder, ["predict", "score"]),
        (VAESampler, ["transform", "predict", "score_samples"]),
    ],
)
def test_it_changes_nothing_for_other_estimators(
    around: str, kind: Any, methods: list[str]
) -> None:
    table, expected = of_a_table(kind)
    with AROUND[around]():
        found = clone(expected).fit(table)
        assert_same_weights(found, expected)
        for method in methods:
            np.testing.assert_array_equal(
                getattr(found, method)(table), getattr(expected, method)(table)
            )


def test_modules_that_were_made_in_inference_mode() -> None:
    with torch.inference_mode():
        modules = nn.Linear(64, 3), nn.Linear(3, 64)
        fitted = tiny_dense(None, architecture=Custom(*modules)).fit(X)
        codes = fitted.transform(X)
    assert np.isfinite(codes).all()
    assert not torch.equal(fitted.net_.module_.encoder.weight, modules[0].weight)


def test_rows_are_drawn_alike_whatever_the_user_has_set_in_torch() -> None:
    table = np.random.RandomState(0).normal(size=(80, 3))
    settings = {"max_epochs": 2, "random_state": 0}
    expected = VAESampler(2, **settings).fit(table)
    with default_dtype(torch.float64):
        found = VAESampler(2, **settings).fit(table)
        np.testing.assert_array_equal(found.sample(9, 0), expected.sample(9, 0))
        np.testing.assert_array_equal(
            found.score_samples(table), expected.score_samples(table)
        )


def test_lbfgs_goes_on_after_it_was_copied() -> None:
    fitted = tiny_dense(optimizer="lbfgs", lr=0.1, max_epochs=1).fit(X)
    copies = [copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))]
    expected = fitted.partial_fit(X).transform(X)
    for twin in copies:
        np.testing.assert_array_equal(twin.partial_fit(X).transform(X), expected)


@pytest.mark.parametrize(
    ("name", "low"),
    [*((name, -1) for name in OF_ROWS), ("transformer", 0), ("conv", 0)],
)
def test_the_order_in_memory_changes_no_bit(name: str, low: int) -> None:
    # Data frames are stored by columns, most arrays by rows.
    rows = np.random.RandomState(0).uniform(low, 1, size=(150, 30))
    found = []
    for stored in (rows, np.asfortranarray(rows), np.repeat(rows, 2, axis=1)[:, ::2]):
        estimator = clone(OF_ROWS[name]).fit(stored)
        ask = getattr(estimator, "score_samples", None) or estimator.transform
        found.append([ask(rows), ask(stored)])
        if hasattr(estimator, "score"):
            found[-1].append(estimator.score(stored))
    for other in found[1:]:
        for mine, theirs in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(mine, theirs)
