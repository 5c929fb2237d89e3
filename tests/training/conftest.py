"""What tests of training share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from skautoencoder.training import threads


@pytest.fixture
def three_processors(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take small work for large, and divide it among three threads."""
    monkeypatch.setattr(threads, "_ONE_THREAD_WORK", 0.0)
    monkeypatch.setattr(threads, "_MEETING_WORK", 0.0)
    monkeypatch.setattr(threads, "_PART_WORK", 1.0)
    monkeypatch.setattr(threads, "_MOST_THREADS", 3)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
