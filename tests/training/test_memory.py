"""Memory that is freed in one step is there in the next."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource
import torch
from skautoencoder.training.memory import keep_freed_memory

torch.set_num_threads(1)
keep_freed_memory()

def step():
    tensors = [torch.ones(2**18) for _ in range(24)]

step(), step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults() -> int:
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    return int(found.stdout)


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="other C libraries have other habits"
)
def test_steps_do_not_ask_for_their_memory_again() -> None:
    # 24 MiB are 6144 pages, and ten steps take them anew each time if nothing is kept,
    # unless the system was asked for large pages.
    assert page_faults() < 6144
