"""Random number generators of objectives, one per thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_here = threading.local()


def generator() -> torch.Generator | None:
    """Return this thread's generator, None for torch's default generator.

    All threads share the default generator: with several threads, the numbers that each
    draws from it would depend on their order.
    """
    own: torch.Generator | None = getattr(_here, "generator", None)
    return own


def generator_for(network: Any, device: torch.device) -> torch.Generator | None:
    """Return the generator for penalties on a network's codes.

    In evaluation mode it always has the same seed, so that losses can be compared.

    Parameters
    ----------
    network : Network
        The network.
    device : torch.device
        Device of the numbers.
    """
    if network.training:
        return generator()
    return torch.Generator(device).manual_seed(0)


@contextmanager
def seeded_generator(seed: int) -> Iterator[None]:
    """Give objectives in this thread a generator of their own within the block.

    Parameters
    ----------
    seed : int
        Seed of the generator.
    """
    before = generator()
    _here.generator = torch.Generator().manual_seed(seed)
    try:
        yield
    finally:
        _here.generator = before
