"""What was trained, in a few lines: layers, shapes, weights, device, epochs, losses."""

from __future__ import annotations

import html
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any

import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skautoencoder.training import one_thread


@dataclass(frozen=True)
class Layer:
    """A layer of a network.

    Parameters
    ----------
    name : str
        Its name in ``net_.module_``.
    kind : str
        Its class.
    shape : tuple of int or None
        Shape of what it returns for one sample. None: it was not called.
    n_weights : int
        Number of its weights.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    n_weights: int


@dataclass(frozen=True)
class Summary:
    """The network of a fitted estimator and its training.

    Parameters
    ----------
    title : str
        The estimator, and the sizes of a sample and of its code.
    layers : list of Layer
        The layers, in the order of the network.
    facts : dict of str
        Weights, device, epochs, seconds and losses.
    """

    title: str
    layers: list[Layer]
    facts: dict[str, str]

    @classmethod
    def of(cls, estimator: Any) -> Summary:
        """Return the summary of a fitted estimator."""
        check_is_fitted(estimator)
        network, history = estimator.net_.module_, estimator.history_
        weights = list(network.parameters())
        n_learnt = sum(w.numel() for w in weights if w.requires_grad)
        facts = {"weights": f"{sum(w.numel() for w in weights):,}"}
        if n_learnt < sum(w.numel() for w in weights):
            facts["weights"] += f", of which {n_learnt:,} are learnt"
        facts["device"] = str(estimator.net_.device)
        facts["epochs"] = str(len(history))
        facts["seconds"] = f"{sum(row['dur'] for row in history):.1f}"
        for key, what in (("train_loss", "training"), ("valid_loss", "validation")):
            losses = [(row[key], row["epoch"]) for row in history if key in row]
            if losses:
                loss, epoch = min(losses)
                facts[f"best {what} loss"] = f"{loss:.4g} (epoch {epoch})"
        shape = "×".join(map(str, estimator.sample_shape_))
        title = (
            f"{type(estimator).__name__}: samples of {shape}, codes of "
            f"{estimator.code_size_}"
        )
        return cls(title, _layers(network, estimator.trained_network.n_inputs), facts)

    def to_text(self) -> str:
        """Return the summary as lines of text."""
        rows = [("layer", "kind", "output shape", "weights")] + [
            (layer.name, layer.kind, _shape(layer), f"{layer.n_weights:,}")
            for layer in self.layers
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [self.title, ""]
        for name, kind, shape, n_weights in rows:
            cells = (
                name.ljust(widths[0]),
                kind.ljust(widths[1]),
                shape.ljust(widths[2]),
                n_weights.rjust(widths[3]),
            )
            lines.append("  ".join(cells))
        facts = [f"{name}: {value}" for name, value in self.facts.items()]
        return "\n".join([*lines, "", *facts])

    def to_html(self) -> str:
        """Return the summary as a table, for scikit-learn's diagram."""
        facts = "".join(
            f'<tr class="default"><td class="param">{html.escape(name)}</td>'
            f'<td colspan="3">{html.escape(value)}</td></tr>'
            for name, value in self.facts.items()
        )
        layers = "".join(
            f'<tr class="default"><td class="param">{html.escape(layer.name)}</td>'
            f"<td>{html.escape(layer.kind)}</td><td>{html.escape(_shape(layer))}</td>"
            f"<td>{layer.n_weights:,}</td></tr>"
            for layer in self.layers
        )
        return (
            '<div class="estimator-table"><details><summary>Network</summary>'
            f'<table class="parameters-table"><tbody>{facts}'
            "<tr><th>Layer</th><th>Kind</th><th>Output shape</th><th>Weights</th></tr>"
            f"{layers}</tbody></table></details></div>"
        )


class WithSummary:
    """A table of fitted attributes, with that of the network above it.

    Parameters
    ----------
    table : AttrsDict
        scikit-learn's table.
    summary : Summary
        The network's.
    """

    def __init__(self, table: Any, summary: Summary) -> None:
        self._table = table
        self._summary = summary

    def __len__(self) -> int:
        return len(self._table) + 1

    def _repr_html_inner(self) -> str:
        return f"{self._summary.to_html()}{self._table._repr_html_inner()}"


class ShortRepr:
    """A word that stands for an object in a table.

    Parameters
    ----------
    text : str
        The word.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


@cache
def documentation_url() -> str:
    """Return the address of this package's documentation; "" if none is declared."""
    try:
        urls = metadata.metadata("skautoencoder").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:  # run from the sources
        return ""
    named = dict(url.split(", ", 1) for url in urls)
    return str(named.get("Documentation", "")).rstrip("/")


def _layers(network: Any, n_inputs: int) -> list[Layer]:
    """Return the layers that have no layers within them, and the shapes they return."""
    shapes: dict[str, tuple[int, ...]] = {}
    leaves = {
        name: module
        for name, module in network.named_modules()
        if name and not list(module.children())
    }

    def keep(name: str, result: Any) -> None:
        result = result[0] if isinstance(result, tuple) else result
        if isinstance(result, Tensor):
            shapes[name] = tuple(result.shape[1:])

    hooks = [
        module.register_forward_hook(
            lambda _, __, result, name=name: keep(name, result)
        )
        for name, module in leaves.items()
    ]
    device = next((weight.device for weight in network.parameters()), None)
    try:
        with one_thread(), torch.inference_mode():
            network.decode(network.encode(torch.zeros(1, n_inputs, device=device)))
    finally:
        for hook in hooks:
            hook.remove()
    return [
        Layer(
            name,
            type(module).__name__,
            shapes.get(name),
            sum(weight.numel() for weight in module.parameters(recurse=False)),
        )
        for name, module in leaves.items()
    ]


def _shape(layer: Layer) -> str:
    return "" if layer.shape is None else str(layer.shape)
