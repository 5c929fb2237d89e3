"""`penalty`: by name, as an object, several in a list, with nested parameters."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from fits import X, either
from helpers import assert_same_weights, have_same_weights, tiny_conv, tiny_dense
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils._param_validation import InvalidParameterError
from torch import Tensor

from skautoencoder import (
    KL,
    L1,
    MMD,
    Contraction,
    DenoisingAutoencoder,
    Dense,
    Penalty,
    TopK,
)


def tiny_denoiser(**params: Any) -> DenoisingAutoencoder:
    return DenoisingAutoencoder(
        code_size=4, architecture=Dense((8,)), max_epochs=2, random_state=0, **params
    )


SHORT: list[tuple[Any, dict[str, Any]]] = [
    ("l1", {"sparsity": "l1"}),
    (L1(0.02), {"sparsity": "l1", "sparsity_weight": 0.02}),
    ("kl", {"sparsity": "kl"}),
    (
        KL(target=0.2, weight=1.0),
        {"sparsity": "kl", "sparsity_target": 0.2, "sparsity_weight": 1.0},
    ),
    (TopK(2), {"sparsity": "top_k", "n_nonzero_coefs": 2}),
    (Contraction(0.1), {"contraction_weight": 0.1}),
    (
        [TopK(2), Contraction(0.1)],
        {"sparsity": "top_k", "n_nonzero_coefs": 2, "contraction_weight": 0.1},
    ),
    ([], {}),
]


@pytest.mark.parametrize(
    ("make", "penalty", "short"),
    [*((tiny_dense, *case) for case in SHORT), *((tiny_conv, *c) for c in SHORT[3::3])],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_the_other_parameters_are_short_names(
    make: Any, penalty: Any, short: dict[str, Any]
) -> None:
    by_object, by_name = make(penalty=penalty), make(**short)
    assert_same_weights(by_object.fit(X), by_name.fit(X))


def test_of_denoisers() -> None:
    penalised = tiny_denoiser(penalty="l1", penalty__weight=0.1).fit(X)
    assert_same_weights(
        penalised, tiny_denoiser(sparsity="l1", sparsity_weight=0.1).fit(X)
    )
    assert not have_same_weights(penalised, tiny_denoiser().fit(X))


@either
def test_they_are_added_to_those_with_short_names(make: Any) -> None:
    both = make(sparsity="l1", contraction_weight=0.1, penalty=KL(0.2)).fit(X)
    listed = make(penalty=[L1(), Contraction(0.1), KL(0.2)]).fit(X)
    assert_same_weights(both, listed)
    assert repr(both.net_.criterion_.penalties) == (
        "(L1(), Contraction(weight=0.1), KL(target=0.2))"
    )


class Spread(Penalty):
    """A penalty of a user's own."""

    def __init__(self, power: int = 2) -> None:
        self.power = power

    def __call__(self, codes: Tensor, rows: Tensor, network: Any) -> Tensor:
        return codes.abs().pow(self.power).mean()


def test_a_penalty_of_ones_own() -> None:
    plain = tiny_dense(max_epochs=10).fit(X)
    small = tiny_dense(max_epochs=10, penalty=Spread(), penalty__power=4).fit(X)
    assert np.abs(small.transform(X)).max() < 0.7 * np.abs(plain.transform(X)).max()
    with pytest.raises(NotImplementedError, match="Penalty has no __call__"):
        tiny_dense(penalty=Penalty()).fit(X)


def test_a_weight_of_zero_is_no_penalty() -> None:
    plain = tiny_dense().fit(X)
    for penalty in (L1(0), Contraction(0), [L1(0), Contraction(0)]):
        assert_same_weights(tiny_dense(penalty=penalty).fit(X), plain)


class TestNested:
    def test_an_objects_parameters_can_be_set(self) -> None:
        estimator = tiny_dense(penalty=KL())
        assert estimator.get_params()["penalty__target"] == 0.05
        assert "penalty__target" not in estimator.get_params(deep=False)
        twin = clone(estimator)
        estimator.set_params(penalty__target=0.2)
        assert estimator.penalty.target == 0.2
        assert twin.penalty.target == 0.05
        # A new object and its parameters can come in one call, in any order.
        estimator.set_params(penalty__weight=3, penalty=L1())
        assert repr(estimator.penalty) == "L1(weight=3)"
        with pytest.raises(ValueError, match="Invalid parameter 'wieght'"):
            estimator.set_params(penalty__wieght=3)

    @pytest.mark.parametrize(
        "round_trip", [clone, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
    )
    @pytest.mark.parametrize("penalty", ["l1", L1()], ids=repr)
    def test_they_survive(self, penalty: Any, round_trip: Any) -> None:
        estimator = round_trip(tiny_dense(penalty=penalty, penalty__weight=0.1))
        assert estimator.get_params()["penalty__weight"] == 0.1
        assert "penalty__weight=0.1" in repr(estimator)
        expected = tiny_dense(sparsity="l1", sparsity_weight=0.1).fit(X)
        assert_same_weights(estimator.fit(X), expected)

    def test_the_users_object_and_the_fitted_one_are_two(self) -> None:
        penalty = L1()
        estimator = tiny_dense(penalty=penalty, penalty__weight=0.1).fit(X)
        assert penalty.weight == 1e-4
        penalty.weight = 0.5
        assert estimator.net_.criterion_.penalties[0].weight == 0.1

    def test_in_a_search(self) -> None:
        grid = [{"penalty": [None]}, {"penalty": ["l1"], "penalty__weight": [1e-3, 9]}]
        search = GridSearchCV(tiny_dense(), grid, cv=2, error_score="raise").fit(X)
        assert len(set(search.cv_results_["mean_test_score"])) == 3
        assert search.cv_results_["mean_test_score"][2] < 0.1

    @pytest.mark.parametrize("penalty", [None, [L1()], ()], ids=repr)
    def test_they_are_for_one_penalty(self, penalty: Any) -> None:
        estimator = tiny_dense(penalty=penalty, penalty__weight=0.1)
        message = "penalty__weight is for one penalty, but penalty="
        with pytest.raises(InvalidParameterError, match=message):
            estimator.fit(X)

    def test_a_name_that_is_none(self) -> None:
        estimator = tiny_dense(penalty="l1", penalty__wieght=0.1)
        with pytest.raises(ValueError, match="Invalid parameter 'wieght'"):
            estimator.fit(X)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"sparsity": "l1", "penalty": L1(0.1)}, "The penalty L1 is asked for twice"),
        ({"penalty": ["kl", KL(0.1)]}, "The penalty KL is asked for twice"),
        (
            {"contraction_weight": 0.1, "penalty": Contraction()},
            "The penalty Contraction is asked for twice",
        ),
        ({"sparsity": "kl", "penalty": TopK(2)}, "KL.* and TopK.* both decide what"),
        ({"penalty": L1(-1)}, "'weight' parameter of L1 must be .* Got -1"),
        ({"penalty": KL(1.0)}, "'target' parameter of KL must be .* Got 1.0"),
        ({"penalty": "top_k", "penalty__n_nonzero_coefs": 0}, "of TopK must be"),
        ({"penalty": Contraction("big")}, "of Contraction must be .* Got 'big'"),
        ({"penalty": "mmd", "batch_size": 1}, r"MMD\(\) needs batches of at least 2"),
        ({"penalty": MMD(-1.0)}, "'weight' parameter of MMD must be .* Got -1.0"),
        ({"penalty": MMD(scales=())}, r"'scales' parameter of MMD .* Got \(\)"),
        ({"penalty": MMD(scales=(0.5, 0))}, "'scales' parameter of MMD must be"),
        ({"penalty": MMD(scales=(1, np.inf))}, "'scales' parameter of MMD must be"),
        ({"penalty": MMD(scales=3)}, "'scales' parameter of MMD must be .* Got 3"),
        ({"penalty": MMD(scales=("a",))}, "'scales' parameter of MMD must be"),
        ({"penalty": TopK(9)}, "n_nonzero_coefs=9 is more than"),
        ({"penalty": ["l1", "topk"]}, "Got 'topk' instead. Did you mean 'top_k'"),
        ({"penalty": [[]]}, r"Got \[\] instead"),
        ({"penalty": TopK}, "penalty.* Did you mean 'top_k'"),
    ],
    ids=str,
)
def test_what_does_not_go(params: dict[str, Any], message: str) -> None:
    estimator = tiny_dense(**params)
    with pytest.raises(ValueError, match=message):
        estimator.fit(X)
    assert not hasattr(estimator, "net_")


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (lambda codes: codes.abs().sum(dim=1), r"shape .*. Take its mean\(\)"),
        (lambda codes: 0.0, r"returned 0.0. .* return codes.new_zeros\(\(\)\)"),
        (lambda codes: None, "returned None. Compute it with torch"),
    ],
    ids=["vector", "float", "None"],
)
def test_a_penalty_returns_one_number(number: Any, message: str) -> None:
    class Own(Penalty):
        def __call__(self, codes: Tensor, rows: Tensor, network: Any) -> Any:
            return number(codes)

    with pytest.raises(ValueError, match=f"Own.* one number for a batch.* {message}"):
        tiny_dense(penalty=Own()).fit(X)
