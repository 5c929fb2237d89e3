"""Memory that is freed in one step is there in the next."""

from __future__ import annotations

import platform
import subprocess
import sys

SCRIPT = """
import resource, sys
import torch
from skautoencoder.training.memory import keep_freed_memory

torch.set_num_threads(1)
if sys.argv[1] == "kept":
    keep_freed_memory()

def step():
    tensors = [torch.ones(2**18) for _ in range(24)]

step(), step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True
    )
    return int(found.stdout)


def test_steps_do_not_ask_for_their_memory_again() -> None:
    if platform.libc_ver()[0] == "glibc":
        # 24 MiB are 6144 pages, ten times.
        assert page_faults("kept") < 0.1 * page_faults("as it is")
