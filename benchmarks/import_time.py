"""What `import skautoencoder` costs on top of importing torch and scikit-learn."""

from __future__ import annotations

import time

from ._report import Row, figure_row
from ._runner import Case, Context, Result, run_case, take_turns, worker_main

TITLE = "import skautoencoder after import torch, sklearn"

ASKED_S = 0.3
ROUNDS = 7


def ours(cache_dir: str, quick: bool) -> Result:
    """Seconds of the import in this fresh process."""
    import sklearn  # noqa: F401
    import torch  # noqa: F401

    started = time.perf_counter()
    # A name from the package, so that a lazy package would not look quick.
    from skautoencoder import AutoencoderTransformer  # noqa: F401

    return {"seconds": time.perf_counter() - started}


def skorch(cache_dir: str, quick: bool) -> Result:
    """The part of it that is skorch's own import."""
    import sklearn  # noqa: F401
    import torch  # noqa: F401

    started = time.perf_counter()
    import skorch  # noqa: F401

    return {"seconds": time.perf_counter() - started}


CASES: dict[str, Case] = {"ours": ours, "skorch": skorch}


def run(context: Context) -> tuple[list[Row], dict[str, list[Result]]]:
    """Measure, and make the rows of the table."""
    # Once unmeasured, so that no round compiles Python files to bytecode.
    for name in CASES:
        run_case("import_time", name, context)
    runs = take_turns(
        "import_time", {name: {} for name in CASES}, context, context.rounds(ROUNDS)
    )
    rows = [
        figure_row(
            "import skautoencoder", runs["ours"], "seconds", unit="s", at_most=ASKED_S
        ),
        figure_row(
            "import skorch, for comparison", runs["skorch"], "seconds", unit="s"
        ),
    ]
    return rows, runs


if __name__ == "__main__":
    worker_main(CASES)
