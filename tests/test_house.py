"""How the package is built: short files, and few classes above an estimator."""

from __future__ import annotations

import ast
import tokenize
from pathlib import Path

import pytest

import skautoencoder

SOURCE = Path(skautoencoder.__file__).parent
# Files are to have about 400 lines of code.
MOST_LINES = 420
NO_CODE = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}
ESTIMATORS = [
    kind
    for kind in vars(skautoencoder).values()
    if isinstance(kind, type) and hasattr(kind, "fit")
]


def lines_of_code(path: Path) -> int:
    """Return the number of lines that are not blank, comments or docstrings."""
    with tokenize.open(path) as file:
        tokens = list(tokenize.generate_tokens(file.readline))
    lines = {
        line
        for token in tokens
        if token.type not in NO_CODE
        for line in range(token.start[0], token.end[0] + 1)
    }
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (
            ast.get_docstring(node, clean=False) is not None
        ):
            docstring = node.body[0]
            lines -= {*range(docstring.lineno, (docstring.end_lineno or 0) + 1)}
    return len(lines)


def test_files_are_short() -> None:
    files = [*SOURCE.rglob("*.py"), *Path(__file__).parent.rglob("*.py")]
    long = [path for path in files if path.read_bytes().count(b"\n") > MOST_LINES]
    counts = {str(path): lines_of_code(path) for path in long}
    assert {path: n for path, n in counts.items() if n > MOST_LINES} == {}


@pytest.mark.parametrize("kind", ESTIMATORS, ids=lambda kind: kind.__name__)
def test_estimators_have_few_classes_above_them(kind: type) -> None:
    own = [base for base in kind.__mro__ if base.__module__.startswith("skauto")]
    assert len(own) <= 4
