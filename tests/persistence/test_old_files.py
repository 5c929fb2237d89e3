"""Files of each version of the format, kept as they were written.

Run as a script, it writes those of the present version anew, which may be done until a
release has that version.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

FOLDER = Path(__file__).parent / "files"


def rows() -> Any:
    return np.random.RandomState(0).random((40, 6))


def images() -> Any:
    return np.random.RandomState(1).random((40, 6, 5))


def series() -> Any:
    return np.random.RandomState(2).normal(size=(40, 7, 2))


def ragged() -> Any:
    return [values[: 4 + i % 4] for i, values in enumerate(series())]


def parabola() -> Any:
    line = rows()[:, :1]
    return np.hstack([line, line**2, 0.01 * rows()[:, 1:2]])


def holes() -> Any:
    X = rows()
    return np.where(X < 0.15, np.nan, X)


def frame() -> Any:
    X = pd.DataFrame(rows()[:, :3].round(1), columns=["a", "b", "ö"])
    return X.assign(kind=pd.Categorical(np.where(X["a"] < 0.5, "low", "high")))


#: What each file is asked, of which data.
QUESTIONS: dict[str, tuple[str, Any]] = {
    "transformer": ("transform", rows),
    "tied": ("predict", rows),
    "conv": ("predict", images),
    "conv1d": ("transform", series),
    "recurrent": ("predict", series),
    "top_k": ("transform", rows),
    "ordered": ("predict", rows),
    "curved": ("predict", parabola),
    "denoiser": ("predict", rows),
    "detector": ("decision_function", rows),
    "novelty": ("score_samples", images),
    "imputer": ("transform", holes),
    "table": ("score_samples", frame),
    "classes": ("transform", rows),
    "lengths": ("transform", ragged),
    "series": ("score_samples", lambda: series().reshape(-1, 2)),
}


def answers_of(estimator: Any, name: str) -> Any:
    method, samples = QUESTIONS[name]
    return np.asarray(getattr(estimator, method)(samples()), dtype=float)


VERSIONS = sorted(
    int(folder.name.removeprefix("version_")) for folder in FOLDER.iterdir()
)


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("version", VERSIONS)
def test_they_are_loaded_and_answer_as_then(version: int, name: str) -> None:
    from skautoencoder import load

    folder = FOLDER / f"version_{version}"
    estimator = load(folder / f"{name}.safetensors")
    expected = json.loads((folder / "answers.json").read_text())[name]
    answers = answers_of(estimator, name)
    # Other processors round differently.
    np.testing.assert_allclose(answers, expected, rtol=1e-3, atol=1e-4)


def test_one_of_them_has_codes_of_pca_and_a_curved_decoder() -> None:
    from skautoencoder import load

    curved = load(FOLDER / f"version_{VERSIONS[-1]}" / "curved.safetensors")
    assert curved.has_linear_codes_
    assert not curved.is_linear_


def test_there_are_files_of_the_present_version() -> None:
    from skautoencoder.tensor_files import FORMAT_VERSION

    assert list(range(1, FORMAT_VERSION + 1)) == VERSIONS


def write_files() -> None:
    """Write files and answers of the present version."""
    import skautoencoder as sk
    from skautoencoder.tensor_files import FORMAT_VERSION

    how: dict[str, Any] = {"max_epochs": 3, "random_state": 0}
    dense = sk.Dense((4,))
    fits = {
        "transformer": sk.AutoencoderTransformer(2, architecture=dense, **how),
        "tied": sk.AutoencoderTransformer(
            2,
            architecture=sk.Dense((4,), tied_weights=True, batch_norm=True),
            **how,
        ),
        "conv": sk.ConvAutoencoderTransformer(2, channels=(2, 3), residual=True, **how),
        "conv1d": sk.AutoencoderTransformer(2, architecture=sk.Conv1d((2, 3)), **how),
        "recurrent": sk.AutoencoderTransformer(
            2, architecture=sk.Recurrent("gru", hidden_size=3), **how
        ),
        "top_k": sk.AutoencoderTransformer(
            4, architecture=dense, penalty=sk.TopK(2), **how
        ),
        "ordered": sk.AutoencoderTransformer(
            4, ordered=True, architecture=dense, **how
        ),
        # The network is left to the estimator, and keeps codes of PCA.
        "curved": sk.AutoencoderTransformer(1, random_state=0),
        "denoiser": sk.DenoisingAutoencoder(code_size=2, architecture=dense, **how),
        "detector": sk.AutoencoderOutlierDetector(
            2, architecture=dense, contamination=0.1, **how
        ),
        "novelty": sk.AutoencoderOutlierDetector(
            2, novelty=True, architecture=sk.Conv((2,)), **how
        ),
        "imputer": sk.AutoencoderImputer(code_size=2, architecture=dense, **how),
        "table": sk.VAESampler(2, architecture=dense, n_importance_samples=2, **how),
        "classes": sk.VAESampler(
            2, architecture=dense, conditional=True, prior="normal", **how
        ),
        "lengths": sk.AutoencoderTransformer(3, architecture=sk.Conv1d((2, 3)), **how),
        "series": sk.SeriesOutlierDetector(5, code_size=2, architecture=dense, **how),
    }
    folder = FOLDER / f"version_{FORMAT_VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    answers = {}
    for name, estimator in fits.items():
        y = np.arange(40) % 2 if name == "classes" else None
        estimator.fit(QUESTIONS[name][1](), y)
        sk.save(estimator, folder / f"{name}.safetensors")
        answers[name] = answers_of(estimator, name).round(7).tolist()
    (folder / "answers.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    sys.exit(write_files())
