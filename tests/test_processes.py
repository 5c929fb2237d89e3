"""Fits in processes that may use less, and in those that are forked or spawned."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from processes import CASES, EACH_WAY

from skautoencoder import __file__ as package

# On three threads, then in workers of joblib's.
FREE = """
import joblib, torch
torch.set_num_threads(3)
import processes
from skautoencoder.training.threads import n_allowed_threads

processes.fits(1)
print("workers")
processes.fits(2)
ask = [joblib.delayed(n_allowed_threads)() for _ in range(2)]
print(sum(joblib.Parallel(2)(ask)) <= max(joblib.cpu_count(), 2))
"""
ON_ONE_PROCESSOR = """
import os
os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])
import processes
processes.fits(1)
"""
# Not what the tests themselves are run with.
_SETTINGS = ("OMP_NUM_THREADS", "LOKY_MAX_CPU_COUNT")

unix = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="needs Linux's processes"
)


def output_of(code: str, **variables: str) -> list[str]:
    """Return what a script prints that has processes.py imported."""
    kept = {name: value for name, value in os.environ.items() if name not in _SETTINGS}
    # Threads that wait, wait without computing: there are more than processors.
    kept["OMP_WAIT_POLICY"] = "passive"
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
    one = {"LOKY_MAX_CPU_COUNT": "1", "OMP_NUM_THREADS": "1"}
    expected = output_of(ON_ONE_PROCESSOR, **one)
    assert len(expected) > 30
    *found, workers_use_few_threads = output_of(FREE)
    assert found == [*expected, "workers", *expected]
    # Not more than there are processors.
    assert workers_use_few_threads == "True"


@unix
def test_forks_while_and_after_estimators_are_fitted() -> None:
    code = "import torch; torch.set_num_threads(4)\nimport processes; processes.forks()"
    ends = output_of(code, OPENBLAS_NUM_THREADS="1")
    assert len(ends) == 2 * len(CASES) + 2 * len(EACH_WAY)
    assert not [end for end in ends if not end.endswith(("works", "threads left: 0"))]


def test_a_process_spawned_while_and_after_fits_gives_the_same_bits() -> None:
    ends = output_of("import processes; processes.spawns()")
    assert len(ends) == 11
    assert not [end for end in ends if not end.endswith("spawned: same")]
