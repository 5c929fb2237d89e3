"""Axes to draw on, and styles that can be told apart without colours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Colours of increasing lightness; line styles and markers go with them, so that curves
# and groups differ in grey, too.
COLORS = ("#1b1b5a", "#b2182b", "#2a8a57", "#e08214", "#4aa5d8", "#c8b400", "#d6a5d0")
LINE_STYLES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
# The first of two things that are compared, such as real rows, and the second.
FIRST = {"color": "black", "linestyle": "-"}
SECOND = {"color": "#e08214", "linestyle": "--"}


def pyplot(caller: str) -> Any:
    """Return :mod:`matplotlib.pyplot`.

    Parameters
    ----------
    caller : str
        What needs it, for the message.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{caller} needs matplotlib, which is not installed. Install it with "
            "pip install 'skautoencoder[plot]'."
        ) from error
    return plt


def single_axes(
    caller: str, ax: Any, figsize: tuple[float, float] | None = None
) -> Any:
    """Return `ax`, or the axes of a new figure if it is None."""
    plt = pyplot(caller)
    if ax is not None:
        return ax
    return plt.subplots(figsize=figsize, layout="constrained")[1]


def axes_grid(
    caller: str,
    ax: Any,
    shape: tuple[int, int],
    panel: tuple[float, float],
    **spacing: Any,
) -> NDArray[Any]:
    """Return a grid of axes, in a new figure or in the place of `ax`.

    Parameters
    ----------
    caller : str
        What is drawn, for an error message.
    ax : matplotlib Axes or None
        The axes whose place is divided. None: a new figure.
    shape : (int, int)
        Number of rows and columns.
    panel : (float, float)
        Width and height of one of the axes in a new figure, in inches.
    **spacing : dict
        Parameters of :class:`matplotlib.gridspec.GridSpec`.

    Returns
    -------
    axes : ndarray of matplotlib Axes, of this shape
        The axes.
    """
    plt = pyplot(caller)
    n_rows, n_columns = shape
    if ax is None:
        _, axes = plt.subplots(
            n_rows,
            n_columns,
            figsize=(panel[0] * n_columns, panel[1] * n_rows + 0.3),
            squeeze=False,
            layout="constrained",
            gridspec_kw=spacing,
        )
        return np.asarray(axes)
    ax.set_axis_off()
    grid = ax.get_subplotspec()
    if grid is None:
        raise ValueError(
            f"{caller} divides the place of ax, but ax has no place in a grid. Pass "
            "axes made by plt.subplots() or figure.add_subplot()."
        )
    parts = grid.subgridspec(n_rows, n_columns, **spacing)
    return np.asarray(parts.subplots(squeeze=False))


def legend_above(axes: NDArray[Any]) -> None:
    """Put the legend of the first of the axes above all, or into it."""
    first = axes.flat[0]
    figure = first.figure
    if figure.get_layout_engine() is None or len(figure.axes) > axes.size:
        first.legend(fontsize="x-small")
        return
    handles, labels = first.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=4, fontsize="small"
    )


def near_square(n_panels: int, most_columns: int = 8) -> tuple[int, int]:
    """Return rows and columns of a grid for so many panels."""
    n_columns = min(int(np.ceil(np.sqrt(n_panels))), most_columns)
    return -(-n_panels // n_columns), n_columns


def common_limits(samples: NDArray[np.float64]) -> tuple[float, float]:
    """Return limits of an axis within which all samples lie."""
    low, high = float(np.nanmin(samples)), float(np.nanmax(samples))
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def hide_ticks(ax: Any) -> None:
    """Take ticks and their labels off, and keep the frame and the axis label."""
    ax.set(xticks=[], yticks=[])


def plain(name: object, most: int = 24) -> str:
    """Return a name, shortened; dollars are no formulas, which matplotlib would read.

    Parameters
    ----------
    name : object
        The name of a column, a class or a fit.
    most : int, default=24
        Number of characters that are kept.
    """
    text = str(name)
    text = text if len(text) <= most else f"{text[: most - 1]}…"
    return text.replace("$", r"\$")


def count_axis(axis: Any) -> None:
    """Let an axis of epochs or sizes have whole numbers, also if there is only one."""
    axis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def short(number: float) -> str:
    """Return a number with three significant digits."""
    return f"{number:.3g}"
