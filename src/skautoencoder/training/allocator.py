"""Keeping freed memory in the process, so that the next step can reuse it."""

from __future__ import annotations

import numpy as np

# A little less than 32 MiB, the largest block that raises glibc's thresholds.
_N_BYTES = 2**25 - 2**14


def keep_freed_memory() -> None:
    """Let the C library keep the memory that a step of training frees.

    A step allocates some dozens of MiB and frees them again. glibc returns free memory
    to the system when it exceeds twice the largest block that was ever freed; the
    system then maps and clears each page anew in the next step, which took a fifth of
    the time of convolutions. So a large block is allocated, not touched, and freed:
    from then on the process keeps up to 64 MiB. Other C libraries are not affected. The
    user guide says so too.

    References
    ----------
    mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD: "dynamic mmap threshold".
    """
    # Not torch.empty, which fills its memory in torch's deterministic mode.
    block = np.empty(_N_BYTES, dtype=np.uint8)
    del block
