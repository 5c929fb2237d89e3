"""Docstrings are complete, in numpydoc's format, and their examples run."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

import skautoencoder

validate = pytest.importorskip("numpydoc.validate").validate

# What numpydoc finds fault with and we do not.
ALLOWED = {
    "ES01",  # no extended summary
    "EX01",  # no examples (classes have them, see below)
    "GL01",  # text starts on the line of the quotes, as in all of scikit-learn
    "GL08",  # no docstring: ruff asks for them where they are wanted
    "SA01",  # no See Also (classes have it)
    "SA04",  # See Also without a description
    "PR01",  # parameters of __init__ stand in the class
    "RT02",  # a name before the type of what is returned
    "RT03",
    "SS06",  # a summary of more than one line
    "YD01",
}
# Of methods that scikit-learn documents.
INHERITED = {
    "fit_transform",
    "get_feature_names_out",
    "get_metadata_routing",
    "set_output",
}

MODULES = [
    module.name
    for module in pkgutil.walk_packages(skautoencoder.__path__, "skautoencoder.")
]


def public_objects() -> Iterator[Any]:
    packages = ("", ".architectures", ".objectives", ".displays")
    modules = [f"skautoencoder{package}" for package in packages]
    seen = set()
    for module in map(importlib.import_module, modules):
        for name in module.__all__:
            thing = getattr(module, name)
            if not inspect.isclass(thing) or thing in seen:
                continue
            seen.add(thing)
            path = f"{module.__name__}.{name}"
            yield pytest.param(path, thing, id=name)
            for method, _ in inspect.getmembers(thing, callable):
                inherited = method in INHERITED or hasattr(torch_module(), method)
                if not method.startswith("_") and not inherited:
                    yield pytest.param(f"{path}.{method}", thing, id=f"{name}.{method}")


def torch_module() -> Any:
    from torch import nn

    return nn.Module


@pytest.mark.parametrize(("path", "owner"), list(public_objects()))
def test_docstring(path: str, owner: Any) -> None:
    result = validate(path)
    docstring = result["docstring"]
    allowed = set(ALLOWED)
    if docstring.startswith(("Return ", "Apply ")) and "\n" not in docstring.strip():
        allowed |= {"PR01", "RT01"}  # one line that says it all
    found = [
        f"{code}: {message}"
        for code, message in result["errors"]
        if code not in allowed
    ]
    assert not found, "\n".join(found)


ESTIMATORS = [
    name
    for name in skautoencoder.__all__
    if hasattr(getattr(skautoencoder, name), "fit")
]


@pytest.mark.parametrize(
    "name", [*ESTIMATORS, "Conv", "Conv1d", "Custom", "Dense", "Recurrent"]
)
def test_a_public_class_shows_its_use(name: str) -> None:
    docstring = inspect.getdoc(getattr(skautoencoder, name)) or ""
    sections = ["Parameters", "See Also", "Examples", "References"]
    if name == "Custom":
        sections.remove("References")  # it is the user's own
    for section in sections:
        assert f"\n{section}\n{'-' * len(section)}\n" in docstring, section


@pytest.mark.parametrize("name", ["skautoencoder", *MODULES])
def test_every_module_says_what_it_is(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    assert module.__doc__.strip().endswith((".", "*"))
    for thing_name, thing in vars(module).items():
        mine = getattr(thing, "__module__", None) == name
        if mine and not thing_name.startswith("_") and callable(thing):
            assert inspect.getdoc(thing), f"{name}.{thing_name}"


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder()
    examples = [
        example
        for name in MODULES
        for test in finder.find(importlib.import_module(name))
        for example in test.examples
    ]
    assert len(examples) > 20
