"""Runs each timed case in a process of its own and takes contestants in turns."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Client, Listener
from pathlib import Path
from statistics import median
from typing import Any

Result = dict[str, Any]
Case = Callable[..., Result]

# What a case imports when its contestant is installed; anything else that cannot
# be imported is a mistake in the benchmark and is shown as one.
CONTESTANTS = (
    "skautoencoder",
    "keras",
    "tensorflow",
    "skorch",
    "pyod",
    "torch",
    "ctgan",
    "imblearn",
    "miceforest",
    "ForestDiffusion",
    "aeon",
)
TIMEOUT_S = 4 * 3600
# Between a benchmark and its own workers, on this machine.
_KEY = b"benchmarks"


@dataclass(frozen=True)
class Context:
    """What a benchmark is told about the run it is part of.

    Attributes
    ----------
    cache_dir : Path
        Folder that holds the data for the workers.
    repeats : int or None
        Number of rounds asked for on the command line; None leaves it to the
        benchmark.
    quick : bool
        Whether to take as little time as possible. The figures are then only good
        for seeing that everything works.
    """

    cache_dir: Path
    repeats: int | None = None
    quick: bool = False

    def rounds(self, default: int) -> int:
        """How often each case runs."""
        if self.repeats is not None:
            return self.repeats
        return 1 if self.quick else default


def run_case(module: str, case: str, context: Context, **options: Any) -> Result:
    """Run one case of ``benchmarks.<module>`` in a fresh process.

    Returns
    -------
    result : dict
        What the case returned, and how many cores other processes kept busy
        meanwhile (``busy_elsewhere``, on Linux); ``{"missing": name}`` when the
        contestant is not installed and ``{"failed": message}`` when the case
        raised an error.
    """
    options = {"cache_dir": str(context.cache_dir), "quick": context.quick, **options}
    # The answer travels through a file: some peers print to stdout as they please.
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [*_command(module, case), "--answer", str(answer)]
        command += ["--options", json.dumps(options)]
        started, crowd = time.perf_counter(), crowd_meter()
        try:
            done = subprocess.run(
                command,
                env=_environment(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"failed": f"no answer within {TIMEOUT_S} s"}
        if answer.is_file():
            result: Result = json.loads(answer.read_text())
        else:
            last_lines = done.stderr.strip().splitlines()[-1:] or ["no message"]
            result = {"failed": f"exit code {done.returncode}: {last_lines[0]}"}
    seconds = time.perf_counter() - started
    result |= crowd()
    state = describe(result)
    print(f"  {module}: {case} {state} [{seconds:.0f} s]", file=sys.stderr, flush=True)
    return result


def _command(module: str, case: str) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.{module}", "--worker", case]


def _environment() -> dict[str, str]:
    # TensorFlow's start-up messages are all that this variable changes.
    return {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}


@contextmanager
def standing_by(
    module: str, cases: Iterable[str], context: Context
) -> Iterator[dict[str, Callable[..., Result]]]:
    """Keep a process for each case, to be asked in turn within the block.

    For cases of less than a second: a machine whose speed drifts from one minute to the
    next is the same for contestants that run right after each other.

    Returns
    -------
    asks : dict
        For each case a function that runs it with options and returns what it
        returned, as :func:`run_case` does.
    """
    given = {"cache_dir": str(context.cache_dir), "quick": context.quick}
    with ExitStack() as stack:
        listener = stack.enter_context(Listener(authkey=_KEY))

        def start(case: str) -> Callable[..., Result]:
            command = [*_command(module, case), "--standby", str(listener.address)]
            silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            # Left last, when its connection is closed and it has come to its end.
            stack.enter_context(subprocess.Popen(command, env=_environment(), **silent))
            process = stack.enter_context(listener.accept())

            def ask(**options: Any) -> Result:
                process.send({**given, **options})
                if not process.poll(TIMEOUT_S):
                    return {"failed": f"no answer within {TIMEOUT_S} s"}
                result: Result = process.recv()
                return result

            return ask

        yield {case: start(case) for case in cases}


def crowd_meter() -> Callable[[], Result]:
    """Start to watch other processes.

    Returns
    -------
    read : callable
        Returns how many cores they have kept busy since (``busy_elsewhere``), as a part
        of a result: after our workers have ended, and nothing off Linux.
    """
    started, before = time.perf_counter(), _busy_elsewhere()

    def read() -> Result:
        after = _busy_elsewhere()
        if before is None or after is None:
            return {}
        seconds = time.perf_counter() - started
        return {"busy_elsewhere": max(0.0, after - before) / seconds}

    return read


def _busy_elsewhere() -> float | None:
    """Processor seconds spent so far by all but our workers; None off Linux."""
    try:
        import resource  # does not exist on Windows

        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    except (ImportError, OSError):
        return None
    user, nice, system = (int(field) for field in fields[1:4])
    stolen = int(fields[8]) if len(fields) > 8 else 0
    all_seconds = (user + nice + system + stolen) / os.sysconf("SC_CLK_TCK")
    workers = resource.getrusage(resource.RUSAGE_CHILDREN)
    return all_seconds - workers.ru_utime - workers.ru_stime


def describe(result: Result) -> str:
    """One phrase on a result for the progress lines."""
    if "missing" in result:
        return f"not installed: {result['missing']}"
    if "failed" in result:
        return f"FAILED: {result['failed']}"
    figures = [
        f"{name}={value:.5g}"
        for name, value in result.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    return " ".join(figures)


def take_turns(
    module: str,
    cases: Mapping[str, Mapping[str, Any]],
    context: Context,
    rounds: int,
) -> dict[str, list[Result]]:
    """Run the cases A B A B ..., so that a drift of the machine hits all alike."""
    results: dict[str, list[Result]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, options in cases.items():
            previous = results[name]
            if previous and "missing" in previous[-1]:
                continue
            options = dict(options)
            case = options.pop("case", name)
            previous.append(run_case(module, case, context, **options))
    return results


def state_of(results: list[Result]) -> str | None:
    """Why there are no figures of a case, or None when there are."""
    for result in results:
        if "missing" in result:
            return f"not installed: {result['missing']}"
        if "failed" in result:
            return f"failed: {result['failed']}"
    return None if results else "not run"


def values_of(results: list[Result], key: str) -> list[float]:
    """The figures called `key` of all runs of a case; empty when it has none."""
    if state_of(results) is not None:
        return []
    return [float(result[key]) for result in results]


def median_of(results: list[Result], key: str) -> float | None:
    """The median of the figures called `key`, or None when the case has none."""
    values = values_of(results, key)
    return median(values) if values else None


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Wall seconds of a call, and what it returned."""
    started = time.perf_counter()
    value = function()
    return time.perf_counter() - started, value


def worker_main(cases: Mapping[str, Case]) -> None:
    """Run the case named on the command line and write its answer to a file.

    Run by hand without ``--worker``, a benchmark module does what
    ``python -m benchmarks --only <module>`` does.
    """
    if "--worker" not in sys.argv:
        name = Path(sys.argv[0]).stem
        main = importlib.import_module("benchmarks.__main__").main
        raise SystemExit(main(["--only", name, *sys.argv[1:]]))
    parser = argparse.ArgumentParser()
    parser.add_argument("--worker", required=True, choices=list(cases))
    parser.add_argument("--answer", type=Path)
    parser.add_argument("--standby", default="")
    parser.add_argument("--options", default="{}", type=json.loads)
    arguments = parser.parse_args()
    case = cases[arguments.worker]
    if arguments.standby:
        _stand_by(case, arguments.standby)
    else:
        arguments.answer.write_text(json.dumps(_answer(case, arguments.options)))


def _answer(case: Case, options: dict[str, Any]) -> Result:
    """What a case returns, or why it did not."""
    try:
        return case(**options)
    except ModuleNotFoundError as error:
        top_level = (error.name or "").partition(".")[0]
        if top_level in CONTESTANTS and error.name == top_level:
            return {"missing": top_level}
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {error}"}
    except Exception as error:
        traceback.print_exc()
        message = str(error).strip().splitlines() or [""]
        return {"failed": f"{type(error).__name__}: {message[0]}"}


def _stand_by(case: Case, address: str) -> None:
    """Run a case each time somebody asks, until nobody does any more."""
    with Client(address, authkey=_KEY) as asker, suppress(EOFError):
        while True:
            asker.send(_answer(case, asker.recv()))
