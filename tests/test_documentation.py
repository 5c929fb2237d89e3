"""The pages: their figures are those of the benchmarks, their programs run, and what
they refer to is there.

The `>>>` programs of docs/*.rst are run by pytest itself (`--doctest-glob`).
"""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from sklearn.experimental import enable_iterative_imputer  # noqa: F401

import skautoencoder
import skautoencoder.architectures

ROOT = Path(__file__).parents[1]
PAGES = sorted(ROOT.glob("docs/*.rst"))
MARKDOWN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
RESULTS = ROOT / "benchmarks" / "results" / "results.json"

pytestmark = pytest.mark.skipif(
    not PAGES or not RESULTS.exists(), reason="the package is installed elsewhere"
)

NUMBER = re.compile(r"(?<![\w.])\d+\.\d+")


def measured(benchmark: str | None = None) -> list[float]:
    """All numbers that a benchmark, or any, has written."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    rows = [
        row
        for name, result in results.items()
        if benchmark in (None, name)
        for row in result["rows"]
    ]
    texts = [str(value) for row in rows for value in row.values()]
    return [float(number) for text in texts for number in NUMBER.findall(text)]


def not_measured(text: str, benchmark: str | None = None) -> list[str]:
    """The decimal numbers of a text that no number of the results is rounded to."""
    known = measured(benchmark)
    return [
        number
        for number in NUMBER.findall(text)
        if not any(
            f"{value:.{len(number.split('.')[1])}f}" == number for value in known
        )
    ]


def test_the_figures_of_the_comparison_are_those_of_the_benchmarks() -> None:
    page = (ROOT / "docs" / "comparison.rst").read_text(encoding="utf-8")
    _, *parts = re.split(r"^\.\. figures of (\w+)$", page, flags=re.MULTILINE)
    wrong = {
        benchmark: not_measured(text, benchmark)
        for benchmark, text in zip(parts[::2], parts[1::2], strict=True)
    }
    assert not {name: numbers for name, numbers in wrong.items() if numbers}


def test_the_figures_of_the_readme_are_those_of_the_benchmarks() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.split("<!-- comparison: start -->")[1].split("<!-- comparison: end")[0]
    assert not_measured(table) == []


def blocks_of_python(page: Path) -> list[tuple[str, str]]:
    """Options and code of each block that is not run as a doctest."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(
        r"^( *).*?\.\. code-block:: python\n((?:\1 +:.*\n)*)\n((?:\1 +.*\n|\n)+)",
        text,
        re.MULTILINE,
    )
    return [(match[2], match[3]) for match in found]


def unindented(code: str) -> str:
    lines = code.strip("\n").splitlines()
    indent = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    return "\n".join(line[indent:] for line in lines)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_block_of_python_runs_or_says_that_it_is_not_run(page: Path) -> None:
    for options, code in blocks_of_python(page):
        if "not run" in options:  # in the caption
            continue
        names: dict[str, Any] = {}
        for module in (skautoencoder, skautoencoder.architectures):
            names |= {name: getattr(module, name) for name in module.__all__}
        exec(unindented(code), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_classes_and_functions_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r":(?:class|func|meth|mod):`~?([\w.]+)`", text):
        module, _, name = target.rpartition(".")
        if module.split(".")[0] in ("skautoencoder", "sklearn"):
            assert hasattr(import_module(module), name), target


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda page: page.name)
def test_files_that_a_text_links_to_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)", text)
    assert [
        link
        for link in links
        if not link.startswith("http") and not (page.parent / link).exists()
    ] == []


def test_the_reference_lists_names_that_exist_and_all_that_are_public() -> None:
    listed: dict[str, set[str]] = {}
    module = ""
    for line in (ROOT / "docs" / "api.rst").read_text(encoding="utf-8").splitlines():
        if line.startswith(".. currentmodule:: "):
            module = line.split()[-1]
        elif re.fullmatch(r"   [A-Za-z]\w+", line):
            listed.setdefault(module, set()).add(line.strip())
    for module, names in listed.items():
        missing = [name for name in names if not hasattr(import_module(module), name)]
        assert not missing, module
    public = {name for name in skautoencoder.__all__ if not name.startswith("__")}
    assert public <= set.union(*listed.values())


def test_pages_that_the_decision_chart_links_to_exist() -> None:
    chart = (ROOT / "docs" / "_static" / "choosing.svg").read_text(encoding="utf-8")
    pages = set(re.findall(r'href="([\w/]+)\.html', chart))
    assert len(pages) > 5
    for page in pages:
        name = page.removeprefix("auto_examples/")
        is_there = (ROOT / "docs" / f"{name}.rst").exists()
        assert is_there or (ROOT / "examples" / f"{name}.py").exists(), page
