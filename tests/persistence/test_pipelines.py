"""What is not ours, with estimators of ours in it: through skops."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from helpers import OF_ROWS, ROWS, assert_same_weights, tiny_dense
from imblearn.pipeline import Pipeline as ResamplingPipeline
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.datasets import load_digits
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    ShuffleSplit,
    TunedThresholdClassifierCV,
)
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from torch import nn

from skautoencoder import (
    L1,
    AutoencoderTransformer,
    Custom,
    DenoisingAutoencoder,
    Dense,
    VAEOverSampler,
    VAESampler,
    load,
    save,
)
from skautoencoder.model_selection import (
    AutoencoderSearchCV,
    smallest_within_one_standard_error,
)
from skautoencoder.persistence import SKOPS_TYPES

X, Y = ROWS[:60], load_digits().target[:60] % 2


def pipelines() -> dict[str, Any]:
    code = tiny_dense(max_epochs=1)
    pipe = Pipeline([("scale", MinMaxScaler()), ("code", code), ("k", KMeans(2))])
    classify = make_pipeline(StandardScaler(), code, LogisticRegression())
    return {
        "pipeline": pipe,
        "search": GridSearchCV(
            classify, {"autoencodertransformer__code_size": [2, 3]}, cv=2
        ),
        "scorers": GridSearchCV(
            classify,
            {"autoencodertransformer__code_size": [2, 3]},
            cv=ShuffleSplit(2, random_state=0),
            scoring=["accuracy", "roc_auc"],
            refit="accuracy",
        ),
        "search of ours": GridSearchCV(code, {"code_size": [2, 3]}, cv=2),
        "trained at once": AutoencoderSearchCV(
            code,
            {"code_size": [2, 3], "architecture": [Dense((4,)), "dense"]},
            cv=2,
            refit=smallest_within_one_standard_error,
        ),
        "penalties": GridSearchCV(code, {"penalty": [L1(0.1), None]}, cv=2),
        "votes": VotingClassifier([("a", CalibratedClassifierCV(classify, cv=2))]),
        "threshold": TunedThresholdClassifierCV(classify, cv=2),
        "union": FeatureUnion([("a", code), ("b", tiny_dense(2, max_epochs=1))]),
        "columns": ColumnTransformer([("a", code, slice(0, 30))]),
        "ufunc": make_pipeline(FunctionTransformer(np.sqrt), code),
        "none of ours": make_pipeline(StandardScaler(), KMeans(2)),
    }


def answer(made: Any) -> Any:
    return (made.transform if hasattr(made, "transform") else made.predict)(X)


@pytest.mark.parametrize("name", pipelines())
def test_they_come_back_and_answer_the_same(name: str, tmp_path: Path) -> None:
    made = pipelines()[name].fit(X, Y)
    save(made, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert type(loaded) is type(made)
    assert repr(loaded) == repr(made)
    np.testing.assert_array_equal(answer(loaded), answer(made))
    if hasattr(made, "best_params_"):
        assert repr(loaded.best_params_) == repr(made.best_params_)
        clone(loaded.best_estimator_).fit(X, Y)


def test_columns_that_were_selected_by_their_type(tmp_path: Path) -> None:
    select = make_column_selector(dtype_include=np.number)
    made = ColumnTransformer([("code", tiny_dense(max_epochs=1), select)])
    frame = pd.DataFrame(X).add_prefix("pixel_")
    codes = made.fit(frame.assign(kind="a")).transform(frame)
    save(made, tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").transform(frame), codes)


def test_weights_are_arrays_of_the_file_also_in_a_pipeline(tmp_path: Path) -> None:
    pipe = make_pipeline(StandardScaler(), tiny_dense(architecture=Dense((300,))))
    save(pipe.fit(X), tmp_path / "model")
    weights = pipe[-1].net_.module_.state_dict().values()
    n_bytes = sum(weight.nbytes for weight in weights)
    assert (tmp_path / "model").stat().st_size < 1.1 * n_bytes + 20_000


def test_an_estimator_that_stands_in_two_places_is_one(tmp_path: Path) -> None:
    code = tiny_dense(max_epochs=1).fit(X)
    union = FeatureUnion([("a", code), ("b", code)])
    save(union, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert_same_weights(loaded.transformer_list[0][1], code)


class Doubled(TransformerMixin, BaseEstimator):
    def fit(self, X: Any, y: Any = None) -> Any:
        self.fitted_ = True
        return self

    def transform(self, X: Any) -> Any:
        return 2 * X


def test_classes_that_nobody_trusts_are_named(tmp_path: Path) -> None:
    made = make_pipeline(Doubled(), tiny_dense(max_epochs=1)).fit(X)
    save(made, tmp_path / "model")
    name = f"{Doubled.__module__}.Doubled"
    with pytest.raises(ValueError, match=rf"custom_objects.*{name}"):
        load(tmp_path / "model")
    loaded = load(tmp_path / "model", {name: Doubled})
    np.testing.assert_array_equal(loaded.transform(X), made.transform(X))
    with pytest.raises(ValueError, match="custom_objects has"):
        load(tmp_path / "model", {name: Dense})


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    doubled = make_pipeline(FunctionTransformer(lambda rows: 2 * rows), tiny_dense())
    own = Custom(nn.Linear(64, 3), nn.Linear(3, 64))
    search = GridSearchCV(tiny_dense(), {"architecture": [own]})
    for made, what in ((doubled, "lambda>, which cannot be found"), (search, "Tensor")):
        with pytest.raises(TypeError, match=f"cannot be saved, .* skops: .*{what}"):
            save(made, tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_objects_of_the_users_own_in_a_pipeline(tmp_path: Path) -> None:
    def dim(rows: Any) -> Any:
        return rows * 0.9

    noisy = DenoisingAutoencoder(noise=dim, architecture=Dense((6,)), max_epochs=1)
    made = make_pipeline(StandardScaler(), noisy).fit(X)
    save(made, tmp_path / "model")
    with pytest.raises(ValueError, match="'noise'"):
        load(tmp_path / "model")
    loaded = load(tmp_path / "model", {"noise": dim})
    np.testing.assert_array_equal(loaded.predict(X), made.predict(X))


def test_a_resampling_pipeline(tmp_path: Path) -> None:
    sampler = VAESampler(2, architecture=Dense((6,)), max_epochs=1, prior="normal")
    steps = [
        ("more", VAEOverSampler(sampler, random_state=0)),
        ("c", LogisticRegression()),
    ]
    made = ResamplingPipeline(steps).fit(X[:, 20:26], Y)
    save(made, tmp_path / "model")
    loaded = load(
        tmp_path / "model", {"imblearn.pipeline.Pipeline": ResamplingPipeline}
    )
    np.testing.assert_array_equal(
        loaded.predict(X[:, 20:26]), made.predict(X[:, 20:26])
    )


@pytest.mark.parametrize("name", OF_ROWS)
def test_skops_takes_each_estimator(name: str) -> None:
    made = clone(OF_ROWS[name]).fit(X)
    stored = skops.io.dumps(made)
    assert set(skops.io.get_untrusted_types(data=stored)) <= set(SKOPS_TYPES)
    loaded = skops.io.loads(stored, trusted=SKOPS_TYPES)
    assert repr(loaded) == repr(made)
    assert_same_weights(loaded, made)
    method = "transform" if hasattr(made, "transform") else "score_samples"
    np.testing.assert_array_equal(getattr(loaded, method)(X), getattr(made, method)(X))
    with pytest.raises(TypeError, match="trusted"):
        skops.io.loads(stored)


def test_skops_takes_pipelines_and_unfitted_estimators() -> None:
    made = make_pipeline(StandardScaler(), tiny_dense(max_epochs=1)).fit(X)
    loaded = skops.io.loads(skops.io.dumps(made), trusted=SKOPS_TYPES)
    np.testing.assert_array_equal(loaded.transform(X), made.transform(X))
    fresh = skops.io.loads(
        skops.io.dumps(AutoencoderTransformer(7)), trusted=SKOPS_TYPES
    )
    assert repr(fresh) == "AutoencoderTransformer(code_size=7)"


def test_skops_is_asked_for_where_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = tiny_dense(max_epochs=1).fit(X)
    for name in [m for m in sys.modules if m.partition(".")[0] == "skops"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "skops", None)
    save(code, tmp_path / "model")  # not for ours alone
    load(tmp_path / "model")
    with pytest.raises(ImportError, match=r"skautoencoder\[save\]"):
        save(make_pipeline(code), tmp_path / "model")
