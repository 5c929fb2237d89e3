"""A fit, its answers, a file and its answers: run with an installed package.

``make test-dist`` runs it from outside the checkout, in environments that have nothing
but the wheel, or the source distribution, and what they require.
"""

from __future__ import annotations

import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import skautoencoder
from skautoencoder import AutoencoderOutlierDetector, AutoencoderTransformer, load, save


def main() -> None:
    """Raise if something that an installed package needs is not there."""
    place = Path(skautoencoder.__file__).resolve()
    assert Path(__file__).resolve().parents[1] / "src" not in place.parents
    assert version("skautoencoder") == skautoencoder.__version__
    assert (place.parent / "py.typed").exists()
    X = load_digits().data[:300] / 16
    for estimator in (
        AutoencoderTransformer(4, max_epochs=3, random_state=0),
        AutoencoderOutlierDetector(max_epochs=3, random_state=0),
    ):
        fitted = estimator.fit(X)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.safetensors")
            save(fitted, path)
            loaded = load(path)
        np.testing.assert_array_equal(loaded.score_samples(X), fitted.score_samples(X))
    sys.stdout.write(f"skautoencoder {skautoencoder.__version__} at {place.parent}\n")


if __name__ == "__main__":
    main()
