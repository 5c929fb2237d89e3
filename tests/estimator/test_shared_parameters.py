"""A parameter that several estimators have is the same in all of them."""

from __future__ import annotations

import inspect
from collections import defaultdict
from typing import Any

import pytest
from sklearn.base import BaseEstimator

import skautoencoder

docscrape = pytest.importorskip("numpydoc.docscrape")

# (estimator, parameter): why its default is another one.
OTHER_DEFAULT: dict[tuple[str, str], str] = {
    ("AutoencoderImputer", "code_size"): "it need not be shorter than a row",
    ("AutoencoderOutlierDetector", "code_size"): "it suits the number of features",
    ("DenoisingAutoencoder", "code_size"): "a code that is short loses the sample",
    ("SeriesOutlierDetector", "code_size"): "it suits the window",
    ("VAESampler", "code_size"): "it suits the data",
    ("VAESampler", "lr"): "posteriors learn more slowly than weights",
}
# (estimator, parameter): why its docstring entry is another one.
OTHER_ENTRY: dict[tuple[str, str], str] = {
    ("AutoencoderImputer", "architecture"): "it has a dense network of its own",
    ("AutoencoderImputer", "code_size"): "it need not be shorter than a row",
    ("AutoencoderImputer", "max_epochs"): "tables show it their rows four times",
    ("ConvAutoencoderTransformer", "code_size"): "it has no other architectures",
    ("AutoencoderOutlierDetector", "architecture"): "it has a smaller dense network",
    ("AutoencoderOutlierDetector", "code_size"): "it suits the number of features",
    ("AutoencoderOutlierDetector", "max_epochs"): "it trains for fewer steps",
    ("AutoencoderOutlierDetector", "random_state"): "it draws rows to compare, too",
    ("DenoisingAutoencoder", "code_size"): "a code that is short loses the sample",
    ("DenoisingAutoencoder", "max_epochs"): "fresh noise keeps every pass new",
    ("DenoisingAutoencoder", "random_state"): "it draws noise, too",
    ("SeriesOutlierDetector", "architecture"): "it has a network of its own",
    ("SeriesOutlierDetector", "code_size"): "it suits the window",
    ("SeriesOutlierDetector", "contamination"): "it counts steps",
    ("SeriesOutlierDetector", "max_epochs"): "it trains for fewer steps",
    ("SeriesOutlierDetector", "novelty"): "it compares windows",
    ("SeriesOutlierDetector", "random_state"): "it draws windows to compare, too",
    ("VAESampler", "code_size"): "it suits the data",
    ("VAESampler", "architecture"): "it has a dense network of its own",
    ("VAESampler", "batch_size"): "tables take larger batches",
    ("VAESampler", "lr"): "posteriors learn more slowly than weights",
    ("VAESampler", "max_epochs"): "it counts steps",
    ("VAESampler", "optimizer"): "its gradients are noisier",
    ("VAESampler", "random_state"): "it draws the codes of score_samples, too",
    ("VAEOverSampler", "random_state"): "it draws rows, too",
    ("AutoencoderTransformer", "architecture"): "it may answer as PCA",
    ("AutoencoderTransformer", "max_epochs"): "curves through few features take long",
    ("AutoencoderTransformer", "nested"): "it has penalty__*",
    ("ConvAutoencoderTransformer", "nested"): "it has no architecture__*",
    ("DenoisingAutoencoder", "nested"): "it has penalty__*",
}

# estimator -> what it says of a parameter
Said = dict[str, Any]


def estimators() -> dict[str, type[BaseEstimator]]:
    """Return all estimators that the package exports."""
    exported = {name: getattr(skautoencoder, name) for name in skautoencoder.__all__}
    return {
        name: thing
        for name, thing in exported.items()
        if inspect.isclass(thing) and hasattr(thing, "fit")
    }


def entries(estimator: type) -> dict[str, tuple[str, str]]:
    """Return parameter -> its type and its text in the docstring."""
    section = docscrape.ClassDoc(estimator)["Parameters"]
    return {p.name.lstrip("*"): (p.type, "\n".join(p.desc)) for p in section}


def defaults() -> dict[str, Said]:
    said: dict[str, Said] = defaultdict(dict)
    for name, estimator in estimators().items():
        for parameter in inspect.signature(estimator).parameters.values():
            said[parameter.name][name] = parameter.default
    return said


def descriptions() -> dict[str, Said]:
    said: dict[str, Said] = defaultdict(dict)
    for name, estimator in estimators().items():
        for parameter, entry in entries(estimator).items():
            said[parameter][name] = entry
    return said


def without_exceptions(
    parameter: str, said: Said, exceptions: dict[tuple[str, str], str]
) -> Said:
    return {
        name: what for name, what in said.items() if (name, parameter) not in exceptions
    }


def assert_all_equal(parameter: str, said: Said) -> None:
    (first, expected), *others = said.items()
    for name, what in others:
        assert what == expected, f"{parameter}: {name} differs from {first}"


def names_of(said: dict[str, Said]) -> list[str]:
    return [name for name, by_estimator in said.items() if len(by_estimator) > 1]


@pytest.mark.parametrize("parameter", names_of(defaults()))
def test_same_default(parameter: str) -> None:
    said = without_exceptions(parameter, defaults()[parameter], OTHER_DEFAULT)
    if said:
        assert_all_equal(parameter, said)


@pytest.mark.parametrize("parameter", names_of(descriptions()))
def test_same_docstring_entry(parameter: str) -> None:
    said = without_exceptions(parameter, descriptions()[parameter], OTHER_ENTRY)
    if said:
        assert_all_equal(parameter, said)


@pytest.mark.parametrize("name", estimators())
def test_the_docstring_has_the_parameters_of_the_signature(name: str) -> None:
    estimator = estimators()[name]
    assert list(entries(estimator)) == list(inspect.signature(estimator).parameters)


@pytest.mark.parametrize(
    ("exceptions", "said"),
    [(OTHER_DEFAULT, defaults()), (OTHER_ENTRY, descriptions())],
    ids=["default", "entry"],
)
def test_an_exception_is_one(
    exceptions: dict[tuple[str, str], str], said: dict[str, Said]
) -> None:
    for name, parameter in exceptions:
        alike = without_exceptions(parameter, said[parameter], exceptions)
        assert said[parameter][name] not in alike.values(), (name, parameter)


def test_there_is_something_to_compare() -> None:
    assert len(estimators()) >= 2
    assert {"code_size", "lr", "random_state"} <= set(names_of(defaults()))
    assert names_of(defaults()) == names_of(descriptions())


def test_another_default_and_other_words_are_found() -> None:
    with pytest.raises(AssertionError, match="lr: Two differs from One"):
        assert_all_equal("lr", {"One": 3e-3, "Two": 1e-3})
