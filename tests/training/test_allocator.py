"""Memory that is freed in one step is there in the next."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource
import torch
from skautoencoder.training.allocator import keep_freed_memory

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


FITS = """
import sys
import numpy as np, torch
from skautoencoder import AutoencoderTransformer
from skautoencoder.architectures import Dense

def peak():
    with open("/proc/self/status") as status:
        (line,) = (line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) / 2**10

torch.set_num_threads(1)
X = np.random.default_rng(0).random((50_000, 300), dtype=np.float32)
X *= float(sys.argv[1])
how = {"architecture": Dense((16,)), "max_epochs": 1}
AutoencoderTransformer(4, batch_size=64, **how).fit(X[:256])
before = peak()
AutoencoderTransformer(4, batch_size=512, **how).fit(X)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc")
@pytest.mark.parametrize(("largest", "n_copies"), [(1, 0), (4, 1)])
def test_a_fit_copies_its_rows_once_or_not_at_all(largest: int, n_copies: int) -> None:
    """Not at all if they fill [0, 1], which is as the network sees them."""
    found = subprocess.run(
        [sys.executable, "-c", FITS, str(largest)],
        capture_output=True,
        text=True,
        check=True,
    )
    # The rows are 57 MiB; batches and what is made of them come on top.
    assert float(found.stdout) < 57 * n_copies + 60
