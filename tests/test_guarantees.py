"""The page of promises names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "guarantees.rst"


@pytest.mark.skipif(not PAGE.exists(), reason="the package is installed elsewhere")
def test_each_promise_has_its_test() -> None:
    text = PAGE.read_text(encoding="utf-8")
    named = re.findall(r"``(tests/[\w/]+\.py)::(\w+)``", text)
    assert len(named) == text.count("``tests/") > 40
    for file, test in named:
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), test
