"""Where the random numbers of an objective come from."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_here = threading.local()


def generator() -> torch.Generator | None:
    """Return what this thread draws from, None for torch's default generator.

    There is one of those for all threads, so that what each of several draws from it
    would depend on which one comes first.
    """
    own: torch.Generator | None = getattr(_here, "generator", None)
    return own


@contextmanager
def own_generator(seed: int) -> Iterator[None]:
    """Let objectives asked in this thread draw from a generator of its own.

    Parameters
    ----------
    seed : int
        Its seed.
    """
    _here.generator = torch.Generator().manual_seed(seed)
    try:
        yield
    finally:
        _here.generator = None
