"""The table: what was asked, what was measured, and whether it was met."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from ._runner import Result, median_of, state_of, values_of

PACKAGES = (
    "skautoencoder",
    "torch",
    "scikit-learn",
    "skorch",
    "numpy",
    "keras",
    "tensorflow",
    "tensorflow-cpu",
    "pyod",
    "ctgan",
    "imbalanced-learn",
    "miceforest",
    "ForestDiffusion",
    "aeon",
)

# Cores that others may use before the reader is warned.
BUSY_CORES = 0.2


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    what : str
        What is compared with what.
    figure : float or None
        The ratio (or the bare figure) that a target is about; None when it could
        not be measured.
    ours, peer : str
        The two figures behind it, with units and the range over the runs.
    at_most, at_least : float or None
        The target; with neither, the row is for information.
    unit : str
        Unit of `figure`: "x" for a ratio of ours to the peer's.
    note : str
        What else the reader has to know.
    """

    what: str
    figure: float | None
    ours: str = ""
    peer: str = ""
    at_most: float | None = None
    at_least: float | None = None
    unit: str = "x"
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target was reached; None without a target or a figure."""
        if self.figure is None:
            return None
        if self.at_most is not None:
            return self.figure <= self.at_most
        if self.at_least is not None:
            return self.figure >= self.at_least
        return None

    def cells(self) -> tuple[str, ...]:
        """The texts of the table's columns."""
        asked = ""
        if self.at_most is not None:
            asked = f"≤ {with_unit(self.at_most, self.unit)}"
        elif self.at_least is not None:
            asked = f"≥ {with_unit(self.at_least, self.unit)}"
        measured = "–"
        if self.figure is not None:
            measured = with_unit(self.figure, self.unit)
            if self.met is False and measured == asked[2:]:
                # Missed by less than can be seen.
                measured = with_unit(self.figure, self.unit, 5)
        met = {True: "yes", False: "NO", None: "not measured" if asked else ""}
        return (
            measured,
            asked,
            met[self.met],
            self.what,
            self.ours,
            self.peer,
            self.note,
        )


HEADER = ("figure", "asked", "met", "what", "ours", "peer", "note")


def with_unit(value: float, unit: str, digits: int | None = None) -> str:
    """A number with three or four significant digits, or as many, and its unit."""
    digits = digits or (4 if unit == "mse" else 3)
    text = f"{value:.{digits}g}" if abs(value) < 1000 else f"{value:.0f}"
    return {"x": f"{text}×", "%": f"{text} %", "": text}.get(unit, f"{text} {unit}")


def spread(results: list[Result], key: str, unit: str) -> str:
    """Median of the runs, with the range when there are several."""
    state = state_of(results)
    if state is not None:
        return state
    values = values_of(results, key)
    text = with_unit(median_of(results, key) or 0.0, unit)
    if len(values) > 1:
        text += f" ({min(values):.3g}–{max(values):.3g})"
    return text


def ratio_row(
    what: str,
    ours: list[Result],
    peer: list[Result],
    key: str,
    *,
    unit: str = "s",
    peer_over_ours: bool = False,
    **fields: Any,
) -> Row:
    """A row on the ratio of two medians, ours over the peer's unless told."""
    our_value, peer_value = median_of(ours, key), median_of(peer, key)
    figure = None
    if our_value is not None and peer_value is not None:
        figure = our_value / peer_value
        if peer_over_ours:
            figure = 1 / figure
    if fields.get("at_most") or fields.get("at_least"):
        fields["note"] = " ".join(
            filter(None, [fields.get("note"), _sizes(ours, peer)])
        )
    return Row(
        what,
        figure,
        ours=spread(ours, key, unit),
        peer=spread(peer, key, unit),
        **fields,
    )


def _sizes(ours: list[Result], peer: list[Result]) -> str:
    """A warning when the two networks have different numbers of parameters."""
    sizes = [
        {v for r in results for k, v in r.items() if k.endswith("parameters")}
        for results in (ours, peer)
    ]
    if not all(sizes) or sizes[0] == sizes[1]:
        return ""
    shown = [", ".join(f"{size:.0f}" for size in sorted(s)) for s in sizes]
    return f"NOT THE SAME NETWORK: {shown[0]} parameters against {shown[1]}."


def figure_row(
    what: str,
    ours: list[Result],
    key: str,
    *,
    unit: str,
    peer: str = "",
    **fields: Any,
) -> Row:
    """A row on one figure of ours, without a ratio."""
    return Row(
        what,
        median_of(ours, key),
        ours=spread(ours, key, unit),
        peer=peer,
        unit=unit,
        **fields,
    )


def machine() -> dict[str, str]:
    """What the figures were measured on and with."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    return {
        "processor": ", ".join(
            (
                processor,
                instruction_set(),
                f"{os.cpu_count()} cores",
                *allowed_threads(),
                platform.system(),
            )
        ),
        "versions": f"Python {platform.python_version()}, " + ", ".join(versions),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def allowed_threads() -> list[str]:
    """The limit that the environment puts on threads, if any."""
    limit = os.environ.get("OMP_NUM_THREADS")
    return [] if limit is None else [f"OMP_NUM_THREADS={limit}"]


def instruction_set() -> str:
    """The widest instructions that torch's own kernels use here, and oneDNN's limit."""
    import torch

    own = torch.backends.cpu.get_cpu_capability()
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA")
    return own if limit is None else f"{own} (oneDNN: {limit} at most)"


def crowding(runs: Mapping[str, list[Result]]) -> str:
    """A warning when other processes were busy while the cases ran, else ""."""
    cores = [
        result["busy_elsewhere"]
        for results in runs.values()
        for result in results
        if "busy_elsewhere" in result
    ]
    worst = max(cores, default=0.0)
    if worst < BUSY_CORES:
        return ""
    return (
        f"Other processes kept up to {worst:.1f} of {os.cpu_count()} cores busy "
        "meanwhile: these times and their ratios are not to be relied on."
    )


def to_text(title: str, rows: list[Row], warning: str = "") -> str:
    """The table of one benchmark for the terminal."""
    table = [HEADER[:-1], *(row.cells()[:-1] for row in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in table
    ]
    notes = dict.fromkeys(row.note for row in rows if row.note)
    return "\n".join(
        [
            f"\n{title}",
            *(line.rstrip() for line in lines),
            *(f"  · {note}" for note in notes),
            *([f"  ! {warning}"] if warning else []),
        ]
    )


def to_rst(measured: Mapping[str, Mapping[str, Any]]) -> str:
    """All stored benchmarks as one page fragment with a list-table for each."""
    lines = [".. Written by ``python -m benchmarks``; do not edit.", ""]
    for name, entry in measured.items():
        rows = [Row(**row) for row in entry["rows"]]
        lines += [f".. rubric:: {entry['title']}", "", f".. list-table:: {name}"]
        lines += ["   :header-rows: 1", "   :widths: auto", ""]
        for cells in [HEADER[:-1], *(row.cells()[:-1] for row in rows)]:
            for i, cell in enumerate(cells):
                text = cell.replace("*", r"\*").replace("`", r"\`").replace("|", r"\|")
                lines.append(f"   {'* -' if i == 0 else '  -'} {text}".rstrip())
        lines.append("")
        lines += [f"- {note}" for note in dict.fromkeys(r.note for r in rows if r.note)]
        if entry.get("warning"):
            lines.append(f"- **{entry['warning']}**")
        where = entry["machine"]
        lines += [
            f"- {where['processor']}; {where['versions']}; {where['date']}; "
            f"{entry['repeats']}.",
            "",
        ]
    return "\n".join(lines)


def write(
    folder: Path,
    name: str,
    title: str,
    rows: list[Row],
    runs: Mapping[str, list[Result]],
    repeats: str,
    order: list[str],
) -> None:
    """Store one benchmark beside those stored before, and render them all.

    The figures of one benchmark are always of one run; those of different
    benchmarks need not be, so that one can be measured again on its own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    store = folder / "results.json"
    measured: dict[str, Any] = {}
    if store.is_file():
        measured = json.loads(store.read_text())
    measured[name] = {
        "title": title,
        "machine": machine(),
        "repeats": repeats,
        "warning": crowding(runs),
        "rows": [asdict(row) for row in rows],
        "met": [row.met for row in rows],
        "runs": dict(runs),
    }
    known = [key for key in order if key in measured]
    measured = {key: measured[key] for key in known}
    store.write_text(json.dumps(measured, indent=1, ensure_ascii=False) + "\n")
    (folder / "results.rst").write_text(to_rst(measured))
