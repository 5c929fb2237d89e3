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
    rows = re.split(r"\n   \* - ", text)[1:]
    held = [row.partition("\n     - ")[2] for row in rows]
    assert len(held) > 45
    for row, by in zip(rows, held, strict=True):
        assert re.match(r"test$|``(tests/|make )", by), row
    named = re.findall(r"``(tests/[\w/]+\.py)::(\w+)``", text)
    assert len(named) == text.count("``tests/")
    for file, test in named:
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), test
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"``make\s+([\w-]+)``", text):
        assert re.search(rf"^([\w-]+ )*{target}( [\w-]+)*:", makefile, re.M), target
