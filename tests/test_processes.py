"""Fits in processes that may use less, and in those that are forked or spawned."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from skautoencoder import __file__ as package

# What a process may use of the machine: variables, what it does first, and among how
# many workers of joblib's the estimators are divided.
ENVIRONMENTS: dict[str, tuple[dict[str, str], str, int]] = {
    "three threads": ({}, "import torch; torch.set_num_threads(3)", 1),
    "a worker on one processor": (
        {"LOKY_MAX_CPU_COUNT": "1", "OMP_NUM_THREADS": "1"},
        "os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])",
        1,
    ),
    "workers": ({}, "", 2),
}
# Not what the tests themselves are run with.
_SETTINGS = ("OMP_NUM_THREADS", "LOKY_MAX_CPU_COUNT")

unix = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="needs Linux's processes"
)


def output_of(code: str, **variables: str) -> list[str]:
    """Return what a script prints that has processes.py imported."""
    kept = {name: value for name, value in os.environ.items() if name not in _SETTINGS}
    paths = [str(Path(package).parents[1]), str(Path(__file__).parent)]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**kept, "PYTHONPATH": os.pathsep.join(paths), **variables},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@unix
def test_the_same_bits_whatever_the_process_may_use() -> None:
    said = {}
    for name, (variables, first, n_jobs) in ENVIRONMENTS.items():
        code = f"import os; {first}\nimport processes; processes.fits({n_jobs})"
        said[name] = output_of(code, **variables)
    expected = said["three threads"]
    assert len(expected) > 30
    for name, found in said.items():
        assert found == expected, name


@unix
def test_workers_use_no_more_threads_than_there_are_processors() -> None:
    code = (
        "import joblib; from skautoencoder.training.threads import n_allowed_threads\n"
        "ask = [joblib.delayed(n_allowed_threads)() for _ in range(2)]\n"
        "print(sum(joblib.Parallel(2)(ask)) <= max(joblib.cpu_count(), 2))"
    )
    assert output_of(code) == ["True"]


@unix
def test_forks_while_and_after_estimators_are_fitted() -> None:
    code = "import torch; torch.set_num_threads(4)\nimport processes; processes.forks()"
    ends = output_of(code, OPENBLAS_NUM_THREADS="1")
    assert len(ends) == 4 * 11
    assert not [end for end in ends if not end.endswith(("works", "threads left: 0"))]


def test_a_process_spawned_while_and_after_fits_gives_the_same_bits() -> None:
    ends = output_of("import processes; processes.spawns()")
    assert len(ends) == 11
    assert not [end for end in ends if not end.endswith("spawned: same")]
