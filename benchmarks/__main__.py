"""``python -m benchmarks``: ours against the peers, measured in the same run."""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from pathlib import Path

from . import _report, codes_mnist
from ._data import DataError, prepare_cache
from ._runner import Context

# From the quickest to the slowest.
BENCHMARKS = [
    "import_time",
    "inference",
    "one_row",
    "small_tables",
    "search",
    "threads",
    "against_pca",
    "ordered_codes",
    "sequences",
    "recurrent_cures",
    "outliers",
    "long_series",
    "outlier_images",
    "deep_mnist",
    "denoise_conv",
    "denoising",
    "sparse_codes",
    "imputation",
    "over_sampling",
    "mixed_table",
    "sampling_tables",
    "likelihood",
    "long_code",
    "codes_mnist",
    "collapse",
    "inpainting",
]
WITHOUT_MNIST = {
    "import_time",
    "one_row",
    "small_tables",
    "search",
    "threads",
    "against_pca",
    "sequences",
    "recurrent_cures",
    "outliers",
    "long_series",
    "imputation",
    "over_sampling",
    "mixed_table",
    "sampling_tables",
}
RESULTS = Path(__file__).parent / "results"


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks asked for; 1 when a target was missed, else 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--data-dir",
        type=Path,
        help="folder with mnist/ (IDX files) and, optionally, adbench/; without it "
        "MNIST comes from OpenML",
    )
    parser.add_argument(
        "--only", nargs="+", choices=BENCHMARKS, metavar="NAME", help="of: %(choices)s"
    )
    parser.add_argument(
        "--repeats", type=int, metavar="N", help="rounds of each timed comparison"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one round, fewer seeds, less data: shows that everything runs; the "
        "figures mean little and are not stored unless --output is given",
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="folder for results.rst and results.json (default: benchmarks/results)",
    )
    parser.add_argument(
        "--code-sizes",
        type=int,
        nargs="+",
        default=codes_mnist.CODE_SIZES,
        metavar="K",
        help="sizes for codes_mnist (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    codes_mnist.CODE_SIZES = tuple(options.code_sizes)
    if options.repeats is not None and options.repeats < 1:
        parser.error("--repeats must be at least 1")
    names = [name for name in BENCHMARKS if not options.only or name in options.only]
    output = options.output or (None if options.quick else RESULTS)

    n_missed = 0
    with tempfile.TemporaryDirectory(prefix="skautoencoder-benchmarks-") as folder:
        context = Context(Path(folder), options.repeats, options.quick)
        try:
            prepare_cache(
                options.data_dir,
                context.cache_dir,
                with_mnist=not WITHOUT_MNIST.issuperset(names),
            )
        except DataError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        for name in names:
            print(f"{name}:", file=sys.stderr, flush=True)
            benchmark = importlib.import_module(f"benchmarks.{name}")
            rows, runs = benchmark.run(context)
            warning = _report.crowding(runs)
            print(_report.to_text(benchmark.TITLE, rows, warning), flush=True)
            n_missed += sum(row.met is False for row in rows)
            if output is not None:
                rounds = max((len(results) for results in runs.values()), default=0)
                repeats = f"up to {rounds} runs of each case" if rounds > 1 else "1 run"
                _report.write(
                    output, name, benchmark.TITLE, rows, runs, repeats, BENCHMARKS
                )
    if output is not None:
        print(f"\nWritten to {output / 'results.rst'} and results.json")
    return 1 if n_missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
