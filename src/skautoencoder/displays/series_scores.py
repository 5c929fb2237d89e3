"""A series, the scores of its steps, and the stretches that are flagged."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_consistent_length

from skautoencoder._estimator.containers import as_pandas, is_frame
from skautoencoder._estimator.sample_validation import from_torch
from skautoencoder.displays.axes import COLORS, LINE_STYLES, axes_grid, plain

_FLAGGED: dict[str, Any] = {
    "color": "#b2182b",
    "alpha": 0.25,
    "linewidth": 0,
    "zorder": 0,
}


class SeriesScoresDisplay:
    """A series, the score of each time step, and what is below the threshold.

    Each channel has a panel, and below them stands the score. Steps whose score is
    below the threshold are shaded in all panels. Contributions, if there are any, are
    drawn in a last panel, stacked, so that their outline is the score again.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions` to
    create it. All parameters are stored as attributes.

    Read more in the :ref:`User Guide <displays>`.

    Parameters
    ----------
    series : DataFrame of shape (n_timepoints, n_channels)
        The series; its index is the time.
    scores : ndarray of shape (n_timepoints,)
        The scores of the steps; the lower, the more abnormal.
    threshold : float, default=None
        The score below which steps are outliers.
    y : ndarray of shape (n_timepoints,), default=None
        Whether each step truly is an outlier.
    contributions : DataFrame of shape (n_timepoints, n_channels), default=None
        What each channel takes from the scores.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the scores.
    axes_ : ndarray of matplotlib Axes
        All of them, from top to bottom.
    figure_ : matplotlib Figure
        The figure.
    line_ : matplotlib Line2D or None
        The threshold.

    See Also
    --------
    OutlierScoresDisplay : Scores of samples that have no order.
    skautoencoder.SeriesOutlierDetector : Scores the steps of long series.

    Examples
    --------
    >>> import numpy as np
    >>> from skautoencoder import SeriesOutlierDetector
    >>> from skautoencoder.displays import SeriesScoresDisplay
    >>> series = np.sin(np.arange(600) / 4)
    >>> series[400:420] = 0
    >>> detector = SeriesOutlierDetector(max_epochs=3, random_state=0).fit(series)
    >>> display = SeriesScoresDisplay.from_estimator(detector, series)
    """

    def __init__(
        self,
        series: pd.DataFrame,
        scores: NDArray[np.floating],
        *,
        threshold: float | None = None,
        y: NDArray[np.bool_] | None = None,
        contributions: pd.DataFrame | None = None,
    ) -> None:
        self.series = series
        self.scores = scores
        self.threshold = threshold
        self.y = y
        self.contributions = contributions

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike | None = None,
        *,
        before: Any = None,
        explain: bool = False,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw a series and its scores.

        Parameters
        ----------
        estimator : SeriesOutlierDetector
            A fitted detector.
        X : array-like of shape (n_timepoints,) or (n_timepoints, n_channels)
            One series.
        y : array-like of shape (n_timepoints,), default=None
            Whether each step truly is an outlier, as a boolean, as 0 and 1, or
            as 1 and -1 like `predict`.
        before : array-like of the kind of `X`, default=None
            The time steps that come directly before `X`.
        explain : bool, default=False
            Whether to draw what each channel takes from the scores, too.
        ax : matplotlib Axes, default=None
            The axes whose place is divided. None: a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : SeriesScoresDisplay
            The display.
        """
        return cls.from_predictions(
            X,
            estimator.score_samples(X, before=before),
            y,
            threshold=estimator.offset_,
            contributions=estimator.explain(X, before=before) if explain else None,
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        X: Any,
        scores: ArrayLike,
        y: ArrayLike | None = None,
        *,
        threshold: float | None = None,
        contributions: Any = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw a series and scores of its steps.

        Parameters
        ----------
        X : array-like of shape (n_timepoints,) or (n_timepoints, n_channels)
            One series.
        scores : array-like of shape (n_timepoints,)
            The scores of its steps, as `score_samples` returns them.
        y : array-like of shape (n_timepoints,), default=None
            Whether each step truly is an outlier, as a boolean, as 0 and 1, or
            as 1 and -1 like `predict`.
        threshold : float, default=None
            The score below which steps are outliers: the detector's `offset_`.
        contributions : array-like of the shape of `X`, default=None
            What each channel takes from the scores, as `explain` returns it.
        ax : matplotlib Axes, default=None
            The axes whose place is divided. None: a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : SeriesScoresDisplay
            The display.

        Raises
        ------
        ValueError
            If `X` is a list of several series, or lengths differ.
        """
        series = _as_table(X, "X")
        parts = None
        if contributions is not None:
            parts = _as_table(contributions, "contributions")
            parts = parts.set_axis(series.columns, axis=1)
        numbers = np.asarray(scores, dtype=np.float64)
        truth = None if y is None else np.asarray(from_torch(y))
        if truth is not None:  # labels as `predict` gives them, or 0 and 1
            truth = truth == -1 if (truth == -1).any() else truth.astype(bool)
        check_consistent_length(series, numbers, truth, parts)
        display = cls(
            series, numbers, threshold=threshold, y=truth, contributions=parts
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax: Any = None, *, n_channels: int = 6) -> Self:
        """Draw the series and its scores.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes whose place is divided. None: a new figure.
        n_channels : int, default=6
            How many channels are drawn at most. Of more, those are drawn whose
            contributions to the lowest scores are largest, or the first ones if
            there are no contributions.

        Returns
        -------
        display : SeriesScoresDisplay
            This object.
        """
        channels = self._channels(n_channels)
        n_panels = len(channels) + 1 + (self.contributions is not None)
        axes = axes_grid("SeriesScoresDisplay", ax, (n_panels, 1), (8.0, 1.5))[:, 0]
        self.axes_, self.ax_ = axes, axes[len(channels)]
        self.figure_ = self.ax_.figure
        steps = _places(self.series.index)
        for panel, name in zip(axes, channels, strict=False):
            panel.plot(steps, self.series[name], color="black", linewidth=0.7)
            panel.set_ylabel(plain(name, 16), fontsize="small")
        self._draw_scores(steps)
        if self.contributions is not None:
            self._draw_contributions(axes[-1], steps, channels)
        for panel in axes:
            if len(steps) == 1 and panel.lines:  # a line would not be seen
                panel.lines[0].set_marker(".")
            panel.margins(x=0)
            panel.tick_params(labelsize="small")
            if panel is not axes[-1]:
                panel.sharex(axes[-1])
                panel.tick_params(labelbottom=False)
            if self.threshold is not None:
                _shade(panel, steps, self.scores < self.threshold, **_FLAGGED)
        self.figure_.align_ylabels(axes)
        is_time = steps.dtype.kind == "M"
        axes[-1].set_xlabel("time" if is_time else "time step")
        if is_time:
            from matplotlib.dates import ConciseDateFormatter

            axis = axes[-1].xaxis
            axis.set_major_formatter(ConciseDateFormatter(axis.get_major_locator()))
        return self

    def _channels(self, n_channels: int) -> list[Any]:
        """Return the names of the channels to draw, in their order."""
        names = list(self.series.columns)
        if self.contributions is None or len(names) <= n_channels:
            return names[:n_channels]
        lowest = self.scores <= np.quantile(self.scores, 0.01)
        order = self.contributions[lowest].to_numpy().sum(axis=0).argsort()
        return [names[i] for i in np.sort(order[:n_channels])]

    def _draw_scores(self, steps: NDArray[Any]) -> None:
        self.ax_.plot(steps, self.scores, color=COLORS[0], linewidth=0.8)
        self.ax_.set_ylabel("score", fontsize="small")
        self.line_ = None
        if self.threshold is not None:
            share = np.mean(self.scores < self.threshold)
            label = f"threshold {self.threshold:.3g}: {share:.1%} below"
            self.line_ = self.ax_.axhline(
                self.threshold, color="black", linestyle="--", label=label
            )
        if self.y is not None:
            _shade(
                self.ax_,
                steps,
                self.y,
                top=0.06,
                color="black",
                linewidth=0,
                label="true outliers",
            )
        if self.threshold is not None or self.y is not None:
            _legend(self.ax_)

    def _draw_contributions(
        self, ax: Any, steps: NDArray[Any], channels: list[Any]
    ) -> None:
        parts = self.contributions
        assert parts is not None
        shown = {plain(name): parts[name] for name in channels}
        if len(channels) < parts.shape[1]:
            shown["others"] = parts.drop(columns=channels).sum(axis=1)
        below = np.zeros(len(parts))
        for number, (name, part) in enumerate(shown.items()):
            above, below = below, below + part.to_numpy()
            style = LINE_STYLES[number % len(LINE_STYLES)]
            color = COLORS[number % len(COLORS)]
            ax.fill_between(steps, above, below, color=color, lw=0, label=name)
            ax.plot(steps, below, color="black", linewidth=0.3, linestyle=style)
        ax.set_ylabel("part of the score", fontsize="small")
        _legend(ax)


def _as_table(X: Any, name: str) -> pd.DataFrame:
    """Return one series as a table with a row for each time step."""
    if isinstance(X, pd.Series):
        return X.to_frame()
    if is_frame(X):
        return as_pandas(X)
    if isinstance(X, list | tuple) and any(getattr(x, "ndim", 0) for x in X):
        raise ValueError(
            f"{name} must be one series, but is a list of {len(X)}. Draw them one by "
            "one."
        )
    values = np.asarray(from_torch(X))
    if values.ndim == 1:
        return pd.DataFrame({"value": values})
    if values.ndim != 2:
        raise ValueError(
            f"{name} must have the shape (n_timepoints,) or (n_timepoints, "
            f"n_channels), but has {values.shape}."
        )
    return pd.DataFrame(
        values, columns=[f"channel {i}" for i in range(values.shape[1])]
    )


def _legend(ax: Any) -> None:
    """Put a legend where scores seldom are; it may be wider than small axes."""
    ax.legend(fontsize="x-small", loc="lower left", ncols=2).set_in_layout(False)


def _places(index: pd.Index) -> NDArray[Any]:
    """Return where the steps stand on the axis: numbers or times."""
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    if isinstance(index, pd.DatetimeIndex):
        return index.tz_localize(None).to_numpy()
    is_numeric = pd.api.types.is_numeric_dtype(index.dtype)
    return index.to_numpy() if is_numeric else np.arange(len(index))


def _shade(
    ax: Any,
    steps: NDArray[Any],
    where: NDArray[np.bool_],
    *,
    top: float = 1,
    **style: Any,
) -> None:
    """Shade steps, each from halfway to its neighbours, over the height of the axes.

    With `top`, only so much of the height, from above.
    """
    changes = np.flatnonzero(np.diff(np.r_[False, where, False]))
    middles = steps[:-1] + np.diff(steps) / 2
    edges = np.concatenate((steps[:1], middles, steps[-1:]))
    ranges = [(edges[i], edges[j] - edges[i]) for i, j in changes.reshape(-1, 2)]
    ax.broken_barh(ranges, (1 - top, top), transform=ax.get_xaxis_transform(), **style)
