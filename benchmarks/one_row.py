"""Answers for a single row: estimators on a table, on a data frame and on images.

Beside those on images stands the network by itself, as a bare loop would call it. The
rest are checks, units, and what gives a row the same bits as in any batch; a sampler's
score takes 100 codes through the decoder.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

from ._report import Row, figure_row
from ._runner import Case, Context, Result, take_turns, timed, worker_main

TITLE = "One row"

MOST_MS = 2.0
ROUNDS = 3
CALLS = 200

METHODS = {
    "transformer": ("transform", "predict", "score_samples"),
    "denoiser": ("predict",),
    "detector": ("score_samples",),
    "imputer": ("transform",),
    "sampler": ("transform", "score_samples"),
}
KINDS = {
    "table": tuple(METHODS),
    "frame": ("sampler",),
    "images": tuple(METHODS),
}


def _data() -> dict[str, Any]:
    """Thirty numbers; eight and two categories; images of 28×28 pixels."""
    import numpy as np
    import pandas as pd
    from sklearn.datasets import load_breast_cancer
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    table = StandardScaler().fit_transform(load_breast_cancer().data)
    frame = pd.DataFrame(table[:, :8]).add_prefix("number_")
    for name, levels in (("few", "abc"), ("many", "uvwxyz")):
        frame[name] = rng.choice(list(levels), len(frame))
    return {"table": table, "frame": frame, "images": rng.random((256, 28, 28))}


def _estimators() -> dict[str, Any]:
    from skautoencoder import (
        AutoencoderImputer,
        AutoencoderOutlierDetector,
        AutoencoderTransformer,
        ConvAutoencoderTransformer,
        DenoisingAutoencoder,
        VAESampler,
    )

    kinds = {
        "transformer": AutoencoderTransformer,
        "denoiser": DenoisingAutoencoder,
        "detector": AutoencoderOutlierDetector,
        "imputer": AutoencoderImputer,
        "sampler": VAESampler,
    }
    made = {name: kind(max_epochs=1, random_state=0) for name, kind in kinds.items()}
    made["convolved transformer"] = ConvAutoencoderTransformer(
        max_epochs=1, random_state=0
    )
    return made


def _milliseconds(call: Callable[[], Any], n_calls: int) -> float:
    for _ in range(5):
        call()
    return 1000 * median(timed(call)[0] for _ in range(n_calls))


def _of_network(fitted: Any, n_inputs: int, n_calls: int) -> float:
    """Milliseconds of a forward pass of one row of zeros, on one thread as ours is."""
    import torch

    torch.set_num_threads(1)
    network = fitted.net_.module_.eval()
    row = torch.zeros(1, n_inputs)

    def call() -> Any:
        with torch.inference_mode():
            return network(row)

    return _milliseconds(call, n_calls)


def ours(cache_dir: str, quick: bool) -> Result:
    """Median milliseconds of each method on its first row, and of the network alone."""
    import numpy as np
    from sklearn.base import clone

    result: Result = {}
    n_calls = 20 if quick else CALLS
    estimators = _estimators()
    for kind, x in _data().items():
        for name in KINDS[kind]:
            convolved = f"convolved {name}" if kind == "images" else name
            estimator = clone(estimators.get(convolved, estimators[name]))
            one = x[:1]
            if name == "imputer":
                one = one.copy()
                one[..., :3] = np.nan
            fitted = estimator.fit(x)
            for method in METHODS[name]:
                answer = getattr(fitted, method)
                took = _milliseconds(partial(answer, one), n_calls)
                result[f"{kind}: {name}, {method}"] = took
            if kind == "images":  # the imputer's network sees which pixels are there
                n_inputs = one.size * (2 if name == "imputer" else 1)
                took = _of_network(fitted, n_inputs, n_calls)
                result[f"{kind}: {name}, network"] = took
    return result


CASES: dict[str, Case] = {"ours": ours}


def run(context: Context) -> tuple[list[Row], dict[str, list[Result]]]:
    """Measure, and make the rows of the table."""
    runs = take_turns("one_row", {"ours": {}}, context, context.rounds(ROUNDS))
    rows = []
    for key in runs["ours"][0]:
        kind, _, what = key.partition(": ")
        if kind not in KINDS:
            continue
        of_network = what.endswith("network")
        text = f"{kind}: {what}" + (" alone, forward" if of_network else "")
        most = None if of_network else MOST_MS
        rows.append(figure_row(text, runs["ours"], key, unit="ms", at_most=most))
    return rows, runs


if __name__ == "__main__":
    worker_main(CASES)
