"""Fits in processes that may use less, and in those that are forked or spawned."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from processes import CASES, EACH_WAY, SETTINGS

from skautoencoder import __file__ as package

RUN = "import torch; torch.set_num_threads(4)\nimport processes; processes.run()"
unix = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="needs Linux's processes"
)


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """What is printed by a process that starts others, see processes.py."""
    # Not what the tests themselves are run with.
    kept = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    # Threads that wait, wait without computing: there are more than processors.
    kept |= {"OMP_WAIT_POLICY": "passive", "OPENBLAS_NUM_THREADS": "1"}
    paths = [str(Path(package).parents[1]), str(Path(__file__).parent)]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN],
        env={**kept, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def ends_of(lines: list[str], what: str) -> list[str]:
    return [end for line in lines for _, found, end in [line.partition(what)] if found]


def test_the_same_bits_whatever_the_process_may_use(lines: list[str]) -> None:
    """Also in one that shares nothing with others, and is spawned during a fit."""
    n_others = 2 if hasattr(os, "sched_setaffinity") else 1
    assert ends_of(lines, "answers: ") == ["same"] * (n_others * len(CASES) + 2)
    # Not more than there are processors.
    assert ends_of(lines, "workers' threads: ") == ["few"]


def test_two_jobs_give_the_same_bits_as_one(lines: list[str]) -> None:
    """Searches, and the estimators and scores that they end with."""
    assert ends_of(lines, "searches in workers: ") == ["same"]


@unix
def test_forks_while_and_after_estimators_are_fitted(lines: list[str]) -> None:
    n_cases, n_ways = len(CASES), len(EACH_WAY)
    assert ends_of(lines, "threads left: ") == ["0"] * n_cases
    assert ends_of(lines, "fork after a fit: ") == ["works"] * n_cases
    assert ends_of(lines, "fork during a fit: ") == ["works"] * n_ways
    assert ends_of(lines, "fork after torch: ") == ["works"] * n_ways
