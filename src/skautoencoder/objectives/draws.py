"""Where the random numbers of an objective come from."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_here = threading.local()


def generator() -> torch.Generator | None:
    """Return what this thread draws from, None for torch's default generator.

    There is one of those for all threads, so that what each of several draws from it
    would depend on which one comes first.
    """
    own: torch.Generator | None = getattr(_here, "generator", None)
    return own


def generator_for(network: Any, device: torch.device) -> torch.Generator | None:
    """Return what the penalties on a network's codes draw from.

    From a network in evaluation mode they always draw the same, so that its losses can
    be compared.

    Parameters
    ----------
    network : Network
        What encodes.
    device : torch.device
        Where the numbers are wanted.
    """
    if network.training:
        return generator()
    return torch.Generator(device).manual_seed(0)


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
