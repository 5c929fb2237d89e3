"""Drawn rows of a table beside real ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skautoencoder._estimator.containers import as_pandas, is_frame
from skautoencoder._estimator.sample_validation import from_torch
from skautoencoder.displays.association import associations
from skautoencoder.displays.axes import (
    FIRST,
    SECOND,
    axes_grid,
    legend_above,
    near_square,
    plain,
)
from skautoencoder.displays.sample_form import as_last_step_sees, require_method

# A column of numbers with at most so many values is drawn as bars.
_FEW_VALUES = 12
# Most levels and most columns that are drawn.
_MOST_LEVELS = 10
_MOST_COLUMNS = 20


class DrawnRowsDisplay:
    """Drawn rows of a table beside real ones: each column, and each pair of columns.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions` to
    create it. All parameters are stored as attributes.

    Read more in the :ref:`User Guide <displays>`.

    Parameters
    ----------
    real : DataFrame
        Real rows.
    drawn : DataFrame
        Drawn rows, with the same columns.

    Attributes
    ----------
    distances_ : ndarray of shape (n_columns,)
        How far a column's drawn values are from the real ones, from 0 to 1: of
        numbers, the Kolmogorov-Smirnov statistic; of levels, the total variation
        distance.
    trends_ : tuple of two ndarrays of shape (n_columns, n_columns)
        Association of each pair of columns, in the real and in the drawn rows; with
        ``kind="pairs"`` only. See Notes.
    axes_ : ndarray of matplotlib Axes
        The axes.
    ax_ : matplotlib Axes
        The first of them.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    SampleGridDisplay : Drawn samples one by one.

    Notes
    -----
    The association of two columns of numbers is Spearman's rank correlation, of two
    columns of levels Cramér's V, and of one of each the correlation ratio of ranks.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skautoencoder import VAESampler
    >>> from skautoencoder.displays import DrawnRowsDisplay
    >>> X = load_iris(as_frame=True).frame
    >>> sampler = VAESampler(
    ...     categorical_features=["target"], max_epochs=10, random_state=0
    ... ).fit(X)
    >>> display = DrawnRowsDisplay.from_estimator(sampler, X, random_state=0)
    """

    def __init__(self, real: pd.DataFrame, drawn: pd.DataFrame) -> None:
        self.real = real
        self.drawn = drawn

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        n_samples: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw rows, and compare them with real ones.

        Parameters
        ----------
        estimator : VAESampler
            A sampler that is fitted to a table, or a Pipeline that ends in one, whose
            rows are drawn as its last step sees them.
        X : DataFrame or array-like of shape (n_samples, n_features)
            Real rows; better those that were kept out of `fit`.
        n_samples : int, default=None
            How many rows are drawn. None: as many as `X` has.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws.
        ax : matplotlib Axes, default=None
            Whose place to draw in. None: in a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : DrawnRowsDisplay
            The display.
        """
        require_method(estimator, "sample", "a VAESampler")
        sampler, X = as_last_step_sees(estimator, X)
        drawn = sampler.sample(n_samples or len(X), random_state)
        return cls.from_predictions(X, drawn, ax=ax, **kwargs)

    @classmethod
    def from_predictions(
        cls, X: Any, X_drawn: Any, *, ax: Any = None, **kwargs: Any
    ) -> Self:
        """Compare rows that were drawn already with real ones.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Real rows.
        X_drawn : DataFrame or array-like with the same columns
            Drawn rows.
        ax : matplotlib Axes, default=None
            Whose place to draw in. None: in a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : DrawnRowsDisplay
            The display.
        """
        real, drawn = _table(X, "X"), _table(X_drawn, "X_drawn")
        if list(real) != list(drawn):
            raise ValueError(
                f"X has the columns {list(real)}, but X_drawn {list(drawn)}. Pass "
                "tables with the same columns."
            )
        return cls(real, drawn).plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        kind: str = "columns",
        columns: Sequence[Any] | None = None,
    ) -> Self:
        """Draw the comparison.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Whose place to draw in. None: in a new figure.
        kind : {"columns", "pairs"}, default="columns"
            The distribution of each column; or how strongly each pair of columns
            depends on each other, and the difference.
        columns : sequence of names, default=None
            Which columns. None: the first 20.

        Returns
        -------
        display : DrawnRowsDisplay
            This object.
        """
        if kind not in ("columns", "pairs"):
            raise ValueError(f"kind must be 'columns' or 'pairs', got {kind!r}.")
        names = list(self.real)[:_MOST_COLUMNS] if columns is None else list(columns)
        if unknown := [name for name in names if name not in self.real]:
            raise ValueError(f"columns has {unknown}, which X does not have.")
        categorical = [_has_levels(self.real[name]) for name in names]
        pairs = [(self.real[name], self.drawn[name]) for name in names]
        self.distances_ = np.array(
            [
                _total_variation(*pair) if is_levels else _kolmogorov(*pair)
                for pair, is_levels in zip(pairs, categorical, strict=True)
            ]
        )
        if kind == "columns":
            self._plot_columns(ax, names, pairs)
        else:
            self._plot_pairs(ax, names, categorical)
        self.ax_ = self.axes_.flat[0]
        self.figure_ = self.ax_.figure
        return self

    def _plot_columns(self, ax: Any, names: list[Any], pairs: list[Any]) -> None:
        shape = near_square(len(names), most_columns=4)
        self.axes_ = axes_grid("DrawnRowsDisplay", ax, shape, (2.5, 1.9))
        for panel, name, (real, drawn), distance in zip(
            self.axes_.flat, names, pairs, self.distances_, strict=False
        ):
            levels = _has_levels(real)
            if levels or real.nunique() <= _FEW_VALUES:
                _draw_bars(panel, real, drawn)
            else:
                _draw_histograms(panel, real, drawn)
            what = "TV" if levels else "KS"
            panel.set_title(f"{plain(name)} ({what} {distance:.2f})", fontsize="small")
            panel.tick_params(labelsize="x-small")
        for panel in self.axes_.flat[len(names) :]:
            panel.set_axis_off()
        for panel in self.axes_[:, 0]:
            panel.set_ylabel("share of the rows", fontsize="x-small")
        legend_above(self.axes_)

    def _plot_pairs(self, ax: Any, names: list[Any], categorical: list[bool]) -> None:
        real = associations(self.real[names], categorical)
        drawn = associations(self.drawn[names], categorical)
        self.trends_ = real, drawn
        labels = list(map(plain, names))
        side = 1.6 + 0.18 * len(names)
        panel = (side, side + 1.0)  # room for names and titles
        self.axes_ = axes_grid("DrawnRowsDisplay", ax, (1, 3), panel)[0]
        difference = np.abs(real - drawn)
        known = difference[np.triu_indices(len(names), 1)]
        known = known[np.isfinite(known)]
        mean = f", mean {known.mean():.2f}" if len(known) else ""
        for axes, shown, title in zip(
            self.axes_,
            (real, drawn, difference),
            ("real", "drawn", f"|difference|{mean}"),
            strict=True,
        ):
            is_difference = shown is difference
            image = axes.imshow(
                shown,
                cmap="gray_r" if is_difference else "cividis",
                vmin=0 if is_difference else -1,
                vmax=1,
            )
            axes.set_title(title, fontsize="small")
            axes.set_xticks(range(len(names)), labels, rotation=90, fontsize="x-small")
            axes.set_yticks([])
            if axes is not self.axes_[0]:
                bar = axes.figure.colorbar(image, ax=axes, shrink=0.7)
                bar.ax.tick_params(labelsize="x-small")
        self.axes_[0].set_yticks(range(len(names)), labels, fontsize="x-small")
        self.axes_[1].set_xlabel("association of two columns", fontsize="small")


def _table(X: Any, name: str) -> pd.DataFrame:
    if is_frame(X):
        return as_pandas(X)
    array = np.asarray(from_torch(X))
    if array.ndim != 2:
        raise ValueError(
            f"{name} must be a table of shape (n_samples, n_features), but has shape "
            f"{array.shape}. SampleGridDisplay draws images."
        )
    return pd.DataFrame(array, columns=[f"feature {i}" for i in range(array.shape[1])])


def _has_levels(values: pd.Series) -> bool:
    is_bool = pd.api.types.is_bool_dtype(values.dtype)
    return is_bool or not pd.api.types.is_numeric_dtype(values.dtype)


def _shares(real: pd.Series, drawn: pd.Series) -> pd.DataFrame:
    """Return the share of each value in both, numbers in ascending order."""
    shares = [values.value_counts(normalize=True) for values in (real, drawn)]
    table = pd.concat([s.rename(i) for i, s in enumerate(shares)], axis=1).fillna(0.0)
    return table if _has_levels(real) else table.sort_index()


def _total_variation(real: pd.Series, drawn: pd.Series) -> float:
    shares = _shares(real.astype(str), drawn.astype(str))
    return float(0.5 * (shares[0] - shares[1]).abs().sum())


def _kolmogorov(real: pd.Series, drawn: pd.Series) -> float:
    one, other = (np.sort(_finite(values)) for values in (real, drawn))
    places = np.concatenate([one, other])
    difference = np.searchsorted(one, places, "right") / max(len(one), 1)
    difference = difference - np.searchsorted(other, places, "right") / max(
        len(other), 1
    )
    return float(np.abs(difference).max())


def _finite(values: pd.Series) -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = values.to_numpy(dtype=np.float64, na_value=np.nan)
    return numbers[np.isfinite(numbers)]


def _draw_bars(panel: Any, real: pd.Series, drawn: pd.Series) -> None:
    shares = _shares(real, drawn)[:_MOST_LEVELS]
    places = np.arange(len(shares))
    panel.bar(places - 0.2, shares[0], 0.4, color="black", label="real")
    style = {"color": "white", "edgecolor": SECOND["color"], "hatch": "////"}
    panel.bar(places + 0.2, shares[1], 0.4, label="drawn", **style)
    labels = [
        f"{v:g}" if isinstance(v, float) else plain(v, 12)
        for v in shares.index.tolist()
    ]
    panel.set_xticks(places, labels, rotation=45 if len(labels) > 4 else 0)


def _draw_histograms(panel: Any, real: pd.Series, drawn: pd.Series) -> None:
    one, other = _finite(real), _finite(drawn)
    edges = np.histogram_bin_edges(np.concatenate([one, other]), 24)
    for values, name, style in ((one, "real", FIRST), (other, "drawn", SECOND)):
        weights = np.full(len(values), 1 / max(len(values), 1))
        panel.hist(values, edges, weights=weights, histtype="step", label=name, **style)
