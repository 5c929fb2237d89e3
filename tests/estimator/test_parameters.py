from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import GradientNormClipping
from torch import nn

from skautoencoder import AutoencoderTransformer, ConvAutoencoderTransformer
from skautoencoder._estimator.parameter_hints import did_you_mean
from skautoencoder.architectures import Conv, Dense

NESTED = {
    "optimizer__weight_decay": 0.1,
    "iterator_train__drop_last": True,
    "callbacks__clipping__gradient_clip_value": 2.0,
}
ROUND_TRIPS = [clone, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]


def make(kind: Any = AutoencoderTransformer, **params: Any) -> Any:
    callbacks = [("clipping", GradientNormClipping(1.0))]
    return kind(2, callbacks=callbacks, max_epochs=1, random_state=0, **params)


def test_subclasses_have_parameters_of_their_own() -> None:
    class Wider(Dense):
        def __init__(self, width: int = 5) -> None:
            super().__init__((width,))
            self.width = width

    assert "width" not in Dense().get_params()
    assert Wider(7).get_params() == {"width": 7}
    names = Dense._get_param_names()
    names.append("mine")
    assert "mine" not in Dense._get_param_names()


@pytest.mark.parametrize("kind", [AutoencoderTransformer, ConvAutoencoderTransformer])
class TestNested:
    def test_they_are_parameters_like_others(self, kind: Any) -> None:
        estimator = make(kind, **NESTED)
        for deep in (True, False):
            params = estimator.get_params(deep=deep)
            assert {k: params[k] for k in NESTED} == NESTED
        assert set(make(kind).get_params()) & set(NESTED) == set()
        for name in NESTED:
            assert name in repr(estimator)

    @pytest.mark.parametrize("round_trip", ROUND_TRIPS)
    def test_they_survive(self, kind: Any, round_trip: Any) -> None:
        twin = round_trip(make(kind, **NESTED))
        params = twin.get_params()
        assert {k: params[k] for k in NESTED} == NESTED

    def test_they_can_be_set_one_after_the_other(self, kind: Any) -> None:
        estimator = make(kind, optimizer__weight_decay=0.1)
        assert estimator.set_params(optimizer__eps=1e-6, lr=0.5) is estimator
        estimator.set_params(optimizer__weight_decay=0.2)
        params = estimator.get_params()
        assert params["optimizer__weight_decay"] == 0.2
        assert params["optimizer__eps"] == 1e-6
        assert params["lr"] == 0.5

    def test_copies_do_not_share_them(self, kind: Any) -> None:
        estimator = make(kind, **NESTED)
        clone(estimator).set_params(optimizer__weight_decay=0.9)
        assert estimator.get_params()["optimizer__weight_decay"] == 0.1

    def test_they_arrive_at_the_net(self, kind: Any) -> None:
        X = load_iris().data
        net = make(kind, **NESTED).fit(X).net_
        assert net.optimizer_.param_groups[0]["weight_decay"] == 0.1
        assert dict(net.callbacks_)["clipping"].gradient_clip_value == 2.0
        assert net.get_params_for("iterator_train")["drop_last"] is True

    def test_setting_them_does_not_touch_a_fitted_net(self, kind: Any) -> None:
        estimator = make(kind, **NESTED).fit(load_iris().data)
        estimator.set_params(optimizer__weight_decay=0.7)
        assert estimator.net_.optimizer_.param_groups[0]["weight_decay"] == 0.1
        estimator.fit(load_iris().data)
        assert estimator.net_.optimizer_.param_groups[0]["weight_decay"] == 0.7

    @pytest.mark.parametrize("name", ["weight_decay", "optimizer__", "model__depth"])
    def test_what_is_no_parameter_is_said_at_once(self, kind: Any, name: str) -> None:
        with pytest.raises(TypeError, match=f"has no parameter '{name}'"):
            make(kind, **{name: 1})

    def test_the_near_name_is_offered(self, kind: Any) -> None:
        with pytest.raises(ValueError, match="Did you mean 'code_size'"):
            make(kind, codesize=3).fit(load_iris().data)

    def test_set_params_refuses_unknown_names_at_once(self, kind: Any) -> None:
        with pytest.raises(ValueError, match="no parameter 'depth'"):
            make(kind).set_params(depth=3)


class TestArchitecture:
    def test_an_objects_parameters_can_be_set(self) -> None:
        estimator = make(architecture=Dense((4,)))
        assert estimator.get_params()["architecture__hidden_layer_sizes"] == (4,)
        estimator.set_params(architecture__hidden_layer_sizes=(3,))
        assert estimator.architecture.hidden_layer_sizes == (3,)

    def test_object_and_its_parameters_in_one_call_in_any_order(self) -> None:
        for names in (["architecture", "architecture__channels"],) * 2:
            values = {"architecture": Conv((9,)), "architecture__channels": (2, 3)}
            estimator = make(architecture=Dense((4,)))
            estimator.set_params(**{name: values[name] for name in names})
            assert estimator.architecture.channels == (2, 3)
            names.reverse()

    def test_an_objects_unknown_parameter(self) -> None:
        with pytest.raises(ValueError, match="Invalid parameter 'channels'"):
            make(architecture=Dense()).set_params(architecture__channels=(2,))

    def test_beside_a_name_they_go_to_what_the_name_makes(self) -> None:
        estimator = make(architecture="dense", architecture__hidden_layer_sizes=(3,))
        network = estimator.fit(load_iris().data).net_.module_
        assert network.encoder[0].out_features == 3

    def test_the_users_object_is_not_changed_by_fit(self) -> None:
        architecture = Dense((4,))
        make(architecture=architecture).fit(load_iris().data)
        assert vars(architecture) == vars(Dense((4,)))

    def test_conv_parameters_are_the_conv_transformers_own(self) -> None:
        defaults = Conv().get_params()
        # With these the code is no shorter than the image.
        del defaults["skip_connections"]
        params = ConvAutoencoderTransformer().get_params()
        assert {name: params[name] for name in defaults} == defaults
        assert "architecture" not in params
        with pytest.raises(ValueError, match="no parameter 'architecture__channels'"):
            make(ConvAutoencoderTransformer, architecture__channels=(2,)).fit(
                load_iris().data
            )


def test_a_grid_search_over_nested_parameters() -> None:
    X = load_iris().data
    pipeline = make_pipeline(make(architecture=Dense((4,))))
    step = "autoencodertransformer"
    grid = {
        f"{step}__architecture__hidden_layer_sizes": [(), (5,)],
        f"{step}__optimizer__weight_decay": [0.0, 0.1],
    }
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X)
    assert len(search.cv_results_["params"]) == 4
    best = search.best_estimator_[0].get_params()
    for name, value in search.best_params_.items():
        assert best[name.removeprefix(f"{step}__")] == value
    assert len(set(search.cv_results_["mean_test_score"])) > 1


@pytest.mark.parametrize(
    ("name", "value", "near"),
    [
        ("architecture", "convolution", "conv"),
        ("loss", "mes", "mse"),
        ("optimizer", "addam", "adam"),
        ("lr_schedule", "onecycle", "one_cycle"),
        ("precision", "bfloat", "bfloat16"),
    ],
)
def test_a_misspelt_value_is_answered_with_the_near_one(
    name: str, value: str, near: str
) -> None:
    estimator = AutoencoderTransformer(2).set_params(**{name: value})
    with pytest.raises(ValueError, match=f"'{name}'.*Did you mean '{near}'"):
        estimator.fit(load_iris().data)


def test_did_you_mean() -> None:
    assert did_you_mean("huberr", ["mse", "huber"]) == " Did you mean 'huber'?"
    assert did_you_mean("xyz", ["mse", "huber"]) == ""
    assert did_you_mean(3, ["mse"]) == did_you_mean(None, ["mse"]) == ""
    for loss in (nn.MSELoss, nn.MSELoss()):
        assert did_you_mean(loss, ["mse", "huber"]) == " Did you mean 'mse'?"
