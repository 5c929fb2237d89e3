"""What the penalties do to MNIST codes, and what sparse codes are good for.

L1: 784-64-784, relu, sigmoid out, mse, with a weight of 1e-4 against none: how many
numbers are zero, and what it costs in error. KL: the mean activity against its target.
Top-k: exactly k numbers are not zero, and a logistic regression on 1000 of them errs
on at most 2 % of the test images.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._data import load_mnist, load_mnist_labels
from ._peers import mean_squared_error
from ._report import Row, figure_row, ratio_row
from ._runner import Case, Context, Result, run_case, timed, worker_main

TITLE = "Sparse codes of MNIST"

L1_WEIGHT = 1e-4
KL_TARGET = 0.05
KL_TOLERANCE = 0.2
CODE_SIZE = 1000
N_NONZERO = 200
# Chosen on the last 10 000 training images, like the noise and the number of epochs.
INVERSE_REGULARIZATION = 0.03
ERROR_PERCENT = 2.0


def _load(cache_dir: str, quick: bool) -> tuple[Any, Any]:
    return load_mnist(cache_dir, *((2000, 1000) if quick else (None, None)))


def single_layer(cache_dir: str, quick: bool, **params: Any) -> Result:
    """One layer each way; how sparse its codes are, and its error."""
    from skautoencoder import AutoencoderTransformer
    from skautoencoder.architectures import Dense

    x_train, x_test = _load(cache_dir, quick)
    activation = "sigmoid" if params.get("sparsity") == "kl" else "relu"
    model = AutoencoderTransformer(
        64,
        architecture=Dense((), code_activation=activation),
        random_state=0,
        **params,
    )
    if quick:
        model.set_params(max_epochs=5)
    seconds, _ = timed(lambda: model.fit(x_train))
    codes = model.transform(x_test)
    return {
        "seconds": seconds,
        "mse": mean_squared_error(x_test, model.predict(x_test)),
        "nonzeros": float((codes != 0).sum(axis=1).mean()),
        "l1": float(np.abs(codes).sum(axis=1).mean()),
        "activity": float(codes.mean()),
    }


def top_k(cache_dir: str, quick: bool) -> Result:
    """Top-k codes, and a logistic regression on them.

    Codes that were learned from very noisy images, with convolutions before them, are
    easier to tell apart than those of dense layers.
    """
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

    from skautoencoder import DenoisingAutoencoder
    from skautoencoder.architectures import Conv

    x_train, x_test = _load(cache_dir, quick)
    y_train, y_test = load_mnist_labels(cache_dir, len(x_train), len(x_test))
    model = DenoisingAutoencoder(
        "gaussian",
        noise_level=0.8,
        code_size=CODE_SIZE,
        architecture=Conv((32, 64, 128)),
        sample_shape=(28, 28),
        sparsity="top_k",
        n_nonzero_coefs=N_NONZERO,
        lr=5e-3,
        max_epochs=3,
        random_state=0,
    )
    if quick:
        model.set_params(max_epochs=1)
    seconds, _ = timed(lambda: model.fit(x_train))
    codes, test_codes = model.transform(x_train), model.transform(x_test)
    nonzeros = (test_codes != 0).sum(axis=1)
    classifier = LogisticRegression(C=INVERSE_REGULARIZATION, max_iter=500)
    classifier.fit(csr_matrix(codes), y_train)
    return {
        "seconds": seconds,
        "off_by": float(np.abs(nonzeros - N_NONZERO).max()),
        "used": float((codes != 0).any(axis=0).sum()),
        "error": 100 * (1 - classifier.score(csr_matrix(test_codes), y_test)),
        "pixel_error": 100 * (1 - _on_pixels(x_train, y_train, x_test, y_test)),
    }


def _on_pixels(x_train: Any, y_train: Any, x_test: Any, y_test: Any) -> float:
    """The accuracy of a logistic regression on the pixels themselves."""
    from sklearn.linear_model import LogisticRegression

    classifier = LogisticRegression(max_iter=200).fit(x_train, y_train)
    return float(classifier.score(x_test, y_test))


CASES: dict[str, Case] = {"single_layer": single_layer, "top_k": top_k}


def run(context: Context) -> tuple[list[Row], dict[str, list[Result]]]:
    """Measure, and make the rows of the table."""

    def fit(**params: Any) -> list[Result]:
        return [run_case("sparse_codes", "single_layer", context, **params)]

    runs = {
        "vanilla": fit(),
        "l1": fit(sparsity="l1", sparsity_weight=L1_WEIGHT),
        "kl": fit(sparsity="kl", sparsity_target=KL_TARGET),
        "top_k": [run_case("sparse_codes", "top_k", context)],
    }
    for result in runs["kl"]:
        if "activity" in result:
            result["off_by"] = abs(float(result["activity"]) / KL_TARGET - 1)
    against = {"ours": runs["l1"], "peer": runs["vanilla"]}
    rows = [
        ratio_row(
            "numbers of a code that are not zero, L1 / vanilla",
            **against,
            key="nonzeros",
            unit="of 64",
            at_most=0.95,
            note=f"784-64-784, relu; weight {L1_WEIGHT:g}.",
        ),
        ratio_row("L1 norm of a code, L1 / vanilla", **against, key="l1", unit=""),
        ratio_row(
            "its price in test mse, L1 / vanilla", **against, key="mse", unit="mse"
        ),
        figure_row(
            "distance of the mean activity from the KL target, over the target",
            runs["kl"],
            "off_by",
            unit="",
            at_most=KL_TOLERANCE,
            note=f"Target {KL_TARGET}, mean activity "
            + figure_row("", runs["kl"], "activity", unit="").ours
            + ", test mse "
            + figure_row("", runs["kl"], "mse", unit="mse").ours,
        ),
        figure_row(
            f"largest distance of a code's number of non-zeros from k={N_NONZERO}",
            runs["top_k"],
            "off_by",
            unit="",
            at_most=0.0,
            note=figure_row("", runs["top_k"], "used", unit="").ours
            + f" of {CODE_SIZE} units are used.",
        ),
        figure_row(
            f"test error of a logistic regression on {CODE_SIZE} top-k codes",
            runs["top_k"],
            "error",
            unit="%",
            peer="on pixels "
            + figure_row("", runs["top_k"], "pixel_error", unit="%").ours,
            at_most=ERROR_PERCENT,
            note="Fit of the codes: "
            + figure_row("", runs["top_k"], "seconds", unit="s").ours,
        ),
    ]
    return rows, runs


if __name__ == "__main__":
    worker_main(CASES)
