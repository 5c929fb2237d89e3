"""What the README shows, runs, and prints what stands below it."""

from __future__ import annotations

import re
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import ShuffleSplit

from skautoencoder import VAESampler

README = Path(__file__).parents[1] / "README.md"

pytestmark = pytest.mark.skipif(
    not README.exists(), reason="the package is installed elsewhere"
)


def python_blocks() -> list[str]:
    text = README.read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def rows_to_write() -> list[str]:
    """The second column of the table "you want / you write"."""
    text = README.read_text(encoding="utf-8")
    table = text.split("| you want | you write |\n|---|---|\n")[1].split("\n\n")[0]
    return [
        code for line in table.splitlines() for code in re.findall(r"`(.*?)`", line)
    ]


def test_each_block_is_looked_at_here() -> None:
    # A program, the search, what the rows of the table need.
    assert len(python_blocks()) == 3


def test_the_first_snippet_prints_what_stands_below_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    exec(python_blocks()[0], {})
    shape, explained = capsys.readouterr().out.splitlines()
    text = README.read_text(encoding="utf-8")
    found = re.search(r"```\n(\(.*\))\n([\d.]+) of the variance explained\n```", text)
    assert found is not None
    assert shape == found[1]
    # Other processors round otherwise, which training makes more of.
    assert float(explained.split()[0]) == pytest.approx(float(found[2]), abs=0.021)


def test_the_search_prints_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    # Half of the sizes, and one fold, are enough to tell whether the table is right.
    shortened = python_blocks()[1]
    for shown, instead in [
        ("cv=3", "cv=ShuffleSplit(1, test_size=0.34, random_state=0)"),
        ("[2, 4, 8, 16]", "[2, 16]"),
    ]:
        assert shown in shortened
        shortened = shortened.replace(shown, instead)
    exec(shortened, {"ShuffleSplit": ShuffleSplit})
    lines = re.findall(
        r"(\d+) numbers: ([\d.]+)%, PCA ([\d.]+)%", capsys.readouterr().out
    )
    printed = {int(size): (float(ours), float(pca)) for size, ours, pca in lines}
    rows = re.findall(
        r"^\| (\d+) \| \**([\d.]+) %\** \| \**([\d.]+) %\** \|$",
        README.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    table = {int(size): (float(ours), float(pca)) for size, ours, pca in rows}
    assert sorted(table) == [2, 4, 8, 16]
    assert sorted(printed) == [2, 16]
    for size, figures in printed.items():
        # Other processors round otherwise, which training makes more of.
        assert figures == pytest.approx(table[size], abs=3.0)


def quickened(name: str, value: Any) -> Any:
    """What trains, for one epoch; arrays cut to 100 rows."""
    if isinstance(value, np.ndarray):
        return value[:100]
    if name == "VAEOverSampler":
        return partial(value, VAESampler(max_epochs=1))
    if name == "pipeline":
        return value.set_params(code__max_epochs=1)
    if isinstance(value, type) and "max_epochs" in signature(value).parameters:
        return partial(value, max_epochs=1)
    return value


# A line that runs with this little runs with more.
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("code", rows_to_write() if README.exists() else [])
def test_each_row_of_the_table_runs(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a row saves a file
    names: dict[str, Any] = {}
    exec(python_blocks()[2], names)
    names = {name: quickened(name, value) for name, value in names.items()}
    result = eval(code.replace("n_jobs=2", "n_jobs=None"), names)
    if isinstance(result, np.ndarray):
        assert np.isfinite(result).all()
