"""MLflow's flavour of scikit-learn, which saves through skops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import ROWS, tiny_dense
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skautoencoder.persistence import SKOPS_TYPES

mlflow = pytest.importorskip(
    "mlflow", reason="mlflow requires much: CI runs this test in a job of its own"
)

X = ROWS[:60]


@pytest.mark.filterwarnings("ignore")  # of mlflow and what it imports
@pytest.mark.parametrize("alone", [True, False])
def test_mlflow_saves_and_loads(alone: bool, tmp_path: Path) -> None:
    import mlflow.sklearn

    model = tiny_dense(max_epochs=1)
    model = model.fit(X) if alone else make_pipeline(StandardScaler(), model).fit(X)
    place = str(tmp_path / "model")
    mlflow.sklearn.save_model(model, place, skops_trusted_types=SKOPS_TYPES)
    assert (tmp_path / "model" / "model.skops").exists()
    loaded = mlflow.sklearn.load_model(place)
    np.testing.assert_array_equal(loaded.transform(X), model.transform(X))
    # As a function, which asks for predict.
    if alone:
        answers = mlflow.pyfunc.load_model(place).predict(X)
        np.testing.assert_array_equal(answers, model.predict(X))


@pytest.mark.filterwarnings("ignore")
def test_at_its_defaults_it_says_what_to_pass(tmp_path: Path) -> None:
    import mlflow.sklearn

    message = "skops_trusted_types.*AutoencoderTransformer"
    with pytest.raises(mlflow.MlflowException, match=message):
        mlflow.sklearn.save_model(tiny_dense(max_epochs=1).fit(X), tmp_path / "model")
