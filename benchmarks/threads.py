"""Two fits in two threads against the same two one after the other.

With ``OMP_NUM_THREADS=1``, so that each fit has one processor. What two processes gain
is the most that the machine allows: other work takes its share of both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._report import Row, ratio_row
from ._runner import Case, Context, Result, take_turns, timed, worker_main

TITLE = "Two fits in two threads"

# How much longer the fits shall take one after the other, at least, on two free
# processors. Small steps are calls for the most part, and one thread at a time runs
# Python: such fits take turns, which shall cost nothing.
TARGETS = {"1500x30, small network": 0.9, "2000x200": 1.2, "400 images": 1.2}
ROUNDS = 5


def _fits(quick: bool) -> dict[str, Callable[[int], Any]]:
    import numpy as np

    from skautoencoder import AutoencoderTransformer, ConvAutoencoderTransformer
    from skautoencoder.architectures import Dense

    rng = np.random.default_rng(0)
    rows, wide = rng.normal(size=(1500, 30)), rng.normal(size=(2000, 200))
    images = rng.uniform(size=(400, 16, 16)).astype(np.float32)
    n_times = 1 if quick else 4

    def small(seed: int) -> Any:
        return AutoencoderTransformer(
            4,
            architecture=Dense((32,)),
            batch_size=32,
            max_epochs=20 * n_times,
            random_state=seed,
        ).fit(rows)

    def large(seed: int) -> Any:
        return AutoencoderTransformer(
            16,
            architecture=Dense((256, 128)),
            batch_size=128,
            max_epochs=8 * n_times,
            random_state=seed,
        ).fit(wide)

    def conv(seed: int) -> Any:
        return ConvAutoencoderTransformer(
            8,
            channels=(8, 16),
            batch_size=64,
            max_epochs=3 * n_times,
            random_state=seed,
        ).fit(images)

    return dict(zip(TARGETS, (small, large, conv), strict=True))


def ours(cache_dir: str, quick: bool, n_threads: int) -> Result:
    """Seconds of two fits of each kind in so many threads."""
    from concurrent.futures import ThreadPoolExecutor

    result: Result = {}
    for name, fit in _fits(quick).items():
        fit(0)
        with ThreadPoolExecutor(n_threads) as pool:
            seconds, _ = timed(lambda fit=fit, pool=pool: list(pool.map(fit, (1, 2))))
        result[f"{name} seconds"] = seconds
    return result


CASES: dict[str, Case] = {"ours": ours}


def run(context: Context) -> tuple[list[Row], dict[str, list[Result]]]:
    """Measure, and make the rows of the table."""
    options = {f"{n} threads": {"case": "ours", "n_threads": n} for n in (1, 2)}
    runs = take_turns("threads", options, context, context.rounds(ROUNDS))
    rows = [
        ratio_row(
            f"{name}: one after the other / at once",
            runs["2 threads"],
            runs["1 threads"],
            f"{name} seconds",
            peer_over_ours=True,
            at_least=target,
        )
        for name, target in TARGETS.items()
    ]
    return rows, runs


if __name__ == "__main__":
    worker_main(CASES)
