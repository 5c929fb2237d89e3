"""Memory that one step frees, kept for the next."""

from __future__ import annotations

import numpy as np

# A little less than the largest block that moves glibc's thresholds, 32 MiB.
_N_BYTES = 2**25 - 2**14


def keep_freed_memory() -> None:
    """Let the C library keep the memory that a step of training frees.

    A step allocates some dozens of MiB and frees them again. glibc hands free memory
    back to the system once there is more of it than twice the largest block that it
    ever got back in one piece; the next step then has to have each page mapped and
    cleared anew, which for convolutions took a fifth of the time. So a large block is
    asked for, not touched, and given back: from then on 64 MiB stay with the process.
    Other C libraries take no notice. The user's guide says so too.

    References
    ----------
    mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD: "dynamic mmap threshold".
    """
    # Not torch.empty, which may be set to clear what it returns.
    block = np.empty(_N_BYTES, dtype=np.uint8)
    del block
