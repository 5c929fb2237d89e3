"""What `make demo` runs: digits, from pixels through codes to a classifier.

A grid search chooses the size of the code; PCA of the same size stands beside
it. Takes less than a minute on two cores.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import matplotlib as mpl
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler
from tqdm import tqdm

from skautoencoder import ConvAutoencoderTransformer

mpl.use("Agg")  # the demo writes a file and opens no window

import matplotlib.pyplot as plt

CODE_SIZES = [2, 4, 8, 16]
N_FOLDS = 3


@contextmanager
def progress_bar(n_fits: int) -> Iterator[None]:
    """Show how many fits of a grid search joblib has finished."""
    original = joblib.parallel.BatchCompletionCallBack
    with tqdm(total=n_fits, desc="grid search", unit="fit", file=sys.stdout) as bar:

        class Counted(original):  # type: ignore[misc, valid-type]
            def __call__(self, *args: Any, **kwargs: Any) -> Any:
                bar.update(self.batch_size)
                return super().__call__(*args, **kwargs)

        joblib.parallel.BatchCompletionCallBack = Counted
        try:
            yield
        finally:
            joblib.parallel.BatchCompletionCallBack = original


def make_pipeline(code: Any) -> Pipeline:
    """Return the pipeline with this estimator as the step that makes codes."""
    return Pipeline(
        [
            ("scale", MinMaxScaler()),
            ("code", code),
            ("classify", LogisticRegression(max_iter=1000)),
        ]
    )


def search(X: np.ndarray, y: np.ndarray) -> GridSearchCV:
    """Choose the code size by the accuracy of the classifier behind it."""
    autoencoder = ConvAutoencoderTransformer(
        sample_shape=(8, 8), channels=(16, 32), max_epochs=40, random_state=0
    )
    grid = GridSearchCV(
        make_pipeline(autoencoder),
        {"code__code_size": CODE_SIZES},
        cv=StratifiedKFold(N_FOLDS, shuffle=True, random_state=0),
        n_jobs=2,
    )
    with progress_bar(len(CODE_SIZES) * N_FOLDS):
        grid.fit(X, y)
    return grid


def print_table(grid: GridSearchCV, X: np.ndarray, y: np.ndarray) -> None:
    """Print accuracy in cross-validation against that of PCA of the same size."""
    pca = GridSearchCV(
        make_pipeline(PCA(random_state=0)),
        {"code__n_components": CODE_SIZES},
        cv=grid.cv,
    ).fit(X, y)
    print("\n code size   autoencoder      PCA")
    for size, ours, theirs in zip(
        CODE_SIZES,
        grid.cv_results_["mean_test_score"],
        pca.cv_results_["mean_test_score"],
        strict=True,
    ):
        print(f"{size:10d}   {ours:10.1%}   {theirs:6.1%}")
    print(f"\nchosen code size: {grid.best_params_['code__code_size']}")


def plot(pipeline: Pipeline, X: np.ndarray, path: Path) -> None:
    """Save originals above their reconstructions, beside the loss curve."""
    scaled = pipeline["scale"].transform(X[:10])
    autoencoder = pipeline["code"]
    figure = plt.figure(figsize=(11, 2.8), layout="constrained")
    digits, curve = figure.subfigures(1, 2, width_ratios=[2.2, 1])
    axes = digits.subplots(2, 10)
    for row, (title, images) in enumerate(
        [("original", scaled), ("reconstruction", autoencoder.predict(scaled))]
    ):
        for ax, image in zip(axes[row], images, strict=True):
            ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
        axes[row, 0].set_ylabel(title)
    digits.suptitle(f"Test digits through a code of {autoencoder.code_size_} numbers")
    ax = curve.subplots()
    ax.plot(autoencoder.history_[:, "epoch"], autoencoder.history_[:, "train_loss"])
    ax.set(yscale="log", xlabel="epoch", ylabel="mean squared error", title="Training")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", type=Path, default=Path("demo_digits.png"))
    arguments = parser.parse_args()

    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.3, stratify=y, random_state=0
    )
    grid = search(X_train, y_train)
    print_table(grid, X_train, y_train)
    pca = make_pipeline(PCA(grid.best_params_["code__code_size"], random_state=0))
    ours, theirs = (
        grid.score(X_test, y_test),
        pca.fit(X_train, y_train).score(X_test, y_test),
    )
    print(f"accuracy on {len(X_test)} test digits: {ours:.1%} (PCA: {theirs:.1%})")
    plot(grid.best_estimator_, X_test, arguments.figure)
    print(f"figure: {arguments.figure.resolve()}")


if __name__ == "__main__":
    main()
