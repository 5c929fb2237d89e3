"""What the README shows, runs, and prints what the table below it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.skipif(not README.exists(), reason="the package is installed elsewhere")
def test_the_first_snippet_prints_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    text = README.read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?)```(.*?)\n## ", text, re.DOTALL)
    assert found is not None
    snippet, below = found.groups()
    # Processes would each import torch once more; figures are the same without.
    assert "n_jobs=2" in snippet
    names: dict[str, Any] = {}
    exec(snippet.replace("n_jobs=2", "n_jobs=None"), names)
    # In the units that the step was fitted on.
    assert names["autoencoder"].score(names["images"]) > 0.9
    lines = re.findall(
        r"(\d+) numbers: ([\d.]+)%, PCA ([\d.]+)%", capsys.readouterr().out
    )
    printed = {int(size): (float(ours), float(pca)) for size, ours, pca in lines}
    rows = re.findall(
        r"^\| (\d+) \| \**([\d.]+) %\** \| \**([\d.]+) %\** \|$", below, re.MULTILINE
    )
    table = {int(size): (float(ours), float(pca)) for size, ours, pca in rows}
    assert sorted(printed) == sorted(table) == [2, 4, 8, 16]
    for size, figures in table.items():
        # Other processors round otherwise, which training makes more of.
        assert printed[size] == pytest.approx(figures, abs=3.0)
