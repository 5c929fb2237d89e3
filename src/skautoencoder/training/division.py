"""How the steps of a fit are divided among threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from skautoencoder.training.blocks import Blocks
from skautoencoder.training.parts import Parts
from skautoencoder.training.threads import (
    crew_of,
    has_time_to_meet,
    is_large,
    n_parts_for,
    n_threads_for,
    one_thread,
)


@dataclass(frozen=True)
class Division:
    """How the steps of a fit are divided.

    Parameters
    ----------
    blocks : context manager, default=nullcontext()
        What whole batches are to be computed within.
    parts : Parts or None, default=None
        Divides batches, if there are several threads to go with their parts.
    meets : bool, default=False
        Whether steps are so long that threads may wait for each other at dense layers.
    """

    blocks: AbstractContextManager[Any] = field(default_factory=nullcontext)
    parts: Parts | None = None
    meets: bool = False

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        # Threads are not for a file; a net that is stored during a fit has none.
        return type(None), ()


@contextmanager
def divided(network: nn.Module, work: float, device_type: str) -> Iterator[Division]:
    """Compute the steps of a fit within the block.

    Parameters
    ----------
    network : torch.nn.Module
        The network that is learning.
    work : float
        Floating-point operations of a step.
    device_type : str
        Where it learns, such as "cpu".
    """
    if not is_large(work):
        with one_thread():
            yield Division()
        return
    if device_type != "cpu":
        yield Division()
        return
    n_parts, meets = n_parts_for(work), has_time_to_meet(work)
    with crew_of(n_threads_for(work)) as crew:
        yield Division(
            Blocks(crew) if meets else nullcontext(),
            Parts(n_parts, crew, network) if n_parts > 1 else None,
            meets,
        )
