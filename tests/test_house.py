"""How the package is built: short files, few classes above each, private attributes."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import skautoencoder

SOURCE = Path(skautoencoder.__file__).parent
# Files are to have about 400 lines of code.
MOST_LINES = 420

# Declarations of a class that scikit-learn reads, and files.
READ_BY_ALL = {"_fitted_state", "_get_param_names", "_parameter_constraints"}
ESTIMATORS = [
    kind
    for kind in vars(skautoencoder).values()
    if isinstance(kind, type) and hasattr(kind, "fit")
]


def lines_of_code(path: Path) -> int:
    """Return the number of lines that are not blank, comments or docstrings."""
    text = path.read_text(encoding="utf-8")
    lines = {
        number
        for number, line in enumerate(text.splitlines(), start=1)
        if not line.isspace() and line and not line.lstrip().startswith("#")
    }
    for node in ast.walk(ast.parse(text)):
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


def declared_by(kind: ast.ClassDef) -> set[str]:
    """Return the private names of methods and attributes that a class declares."""
    names = set()
    for node in ast.walk(kind):
        match node:
            case ast.FunctionDef(name) | ast.Name(name, ast.Store()):
                names.add(name)
            case ast.Attribute(ast.Name("self"), name, ast.Store()):
                names.add(name)
    return {n for n in names if n.startswith("_") and not n.startswith("__")}


def private_reads(tree: ast.AST) -> Iterator[tuple[str, str, int]]:
    """Yield reads of private attributes: the class around them, name and line."""
    trees = [(tree, "")]
    while trees:
        above, kind = trees.pop()
        for node in ast.iter_child_nodes(above):
            trees.append((node, node.name if isinstance(node, ast.ClassDef) else kind))
            match node:
                case ast.Attribute(_, name) | ast.Call(
                    ast.Name("getattr" | "hasattr"), [_, ast.Constant(name), *_]
                ):
                    yield kind, name, node.lineno


def test_private_attributes_are_read_in_their_own_class() -> None:
    declared, bases, reads = defaultdict(set), defaultdict(set), {}
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_bytes())
        reads[path] = list(private_reads(tree))
        for kind in ast.walk(tree):
            if not isinstance(kind, ast.ClassDef):
                continue
            declared[kind.name] |= declared_by(kind)
            for node in kind.bases:
                base = node.value if isinstance(node, ast.Subscript) else node
                if isinstance(base, ast.Name):
                    bases[kind.name].add(base.id)

    def known_to(kind: str) -> set[str]:
        return declared[kind].union(*map(known_to, bases[kind]))

    ours = set().union(*declared.values()) - READ_BY_ALL
    found = [
        f"{path.relative_to(SOURCE)}:{line} {name}"
        for path, all_reads in reads.items()
        for kind, name, line in all_reads
        if name in ours and name not in known_to(kind)
    ]
    assert found == []
