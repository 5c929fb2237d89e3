"""Scores of an outlier detector, and its threshold."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_array, check_consistent_length

from skautoencoder._estimator.sample_validation import from_torch
from skautoencoder.displays.axes import COLORS, LINE_STYLES, MARKERS, plain, single_axes
from skautoencoder.displays.sample_form import last_step, require_method

_MOST_GROUPS = 20


class OutlierScoresDisplay:
    """Scores of samples, with the threshold below which they are outliers.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions` to
    create it. All parameters are stored as attributes.

    Read more in the :ref:`User Guide <displays>`.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        The scores; the lower, the more abnormal.
    threshold : float, default=None
        The score below which samples are outliers.
    y : ndarray of shape (n_samples,), default=None
        A group of each sample, such as its true label.
    score_label : str, default="score"
        Label of the axis with the scores.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.
    line_ : matplotlib Line2D or None
        The threshold.

    See Also
    --------
    ExplanationDisplay : What makes one sample an outlier.
    sklearn.metrics.RocCurveDisplay : False alarms and detections at each threshold.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skautoencoder import AutoencoderOutlierDetector
    >>> from skautoencoder.displays import OutlierScoresDisplay
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> detector = AutoencoderOutlierDetector(
    ...     novelty=True, max_epochs=3, random_state=0
    ... ).fit(X[y == 1])
    >>> display = OutlierScoresDisplay.from_estimator(detector, X, y)
    """

    def __init__(
        self,
        scores: NDArray[np.floating],
        *,
        threshold: float | None = None,
        y: NDArray[Any] | None = None,
        score_label: str = "score",
    ) -> None:
        self.scores = scores
        self.threshold = threshold
        self.y = y
        self.score_label = score_label

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike | None = None,
        *,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the scores of samples.

        Parameters
        ----------
        estimator : estimator instance
            A fitted outlier detector, of this package or of scikit-learn, with
            `score_samples` and `offset_`, or a Pipeline that ends in one.
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.
        y : array-like of shape (n_samples,), default=None
            A group of each sample, such as its true label.
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : OutlierScoresDisplay
            The display.
        """
        require_method(estimator, "score_samples", "a detector")
        return cls.from_predictions(
            estimator.score_samples(X),
            y,
            threshold=getattr(last_step(estimator), "offset_", None),
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        scores: ArrayLike,
        y: ArrayLike | None = None,
        *,
        threshold: float | None = None,
        score_label: str = "score (lower is more abnormal)",
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw scores.

        Parameters
        ----------
        scores : array-like of shape (n_samples,)
            Scores, as `score_samples` returns them.
        y : array-like of shape (n_samples,), default=None
            A group of each sample, such as its true label.
        threshold : float, default=None
            The score below which samples are outliers: the detector's `offset_`.
        score_label : str, default="score (lower is more abnormal)"
            Label of the axis with the scores.
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : OutlierScoresDisplay
            The display.
        """
        numbers = check_array(
            scores, ensure_2d=False, dtype=np.float64, input_name="scores"
        )
        groups = None if y is None else np.asarray(from_torch(y))
        check_consistent_length(numbers, groups)
        display = cls(
            numbers,
            threshold=threshold,
            y=groups,
            score_label=score_label,
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax: Any = None, *, kind: str = "histogram", bins: int = 40) -> Self:
        """Draw the scores.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.
        kind : {"histogram", "samples"}, default="histogram"
            A histogram for each group, or a point for each sample in the order of
            the samples, such as time.
        bins : int, default=40
            Number of bins of the histograms.

        Returns
        -------
        display : OutlierScoresDisplay
            This object.
        """
        if kind not in ("histogram", "samples"):
            raise ValueError(f"kind must be 'histogram' or 'samples', got {kind!r}.")
        self.ax_ = single_axes("OutlierScoresDisplay", ax, (5.6, 3.4))
        self.figure_ = self.ax_.figure
        groups: list[tuple[str | None, Any]] = [(None, slice(None))]
        if self.y is not None:
            groups = [(plain(g, 40), self.y == g) for g in np.unique(self.y)]
            if len(groups) > _MOST_GROUPS:
                raise ValueError(
                    f"y has {len(groups)} groups, of which at most {_MOST_GROUPS} can "
                    "be told apart. Put them together, numbers with pandas.cut."
                )
        draw = self._draw_histogram if kind == "histogram" else self._draw_points
        edges = np.histogram_bin_edges(self.scores, bins)
        for number, (name, mine) in enumerate(groups):
            if self.threshold is not None:
                share = np.mean(self.scores[mine] < self.threshold)
                name = f"{name or 'samples'}: {share:.1%} below"
            draw(number, name, mine, edges)
        self.line_ = None
        if self.threshold is not None:
            line = self.ax_.axvline if kind == "histogram" else self.ax_.axhline
            name = f"threshold {self.threshold:.3g}"
            self.line_ = line(self.threshold, color="black", linestyle="--", label=name)
        if self.threshold is not None or self.y is not None:
            self.ax_.legend(fontsize="small")
        return self

    def _draw_histogram(self, number: int, name: Any, mine: Any, edges: Any) -> None:
        style = {
            "color": COLORS[number % len(COLORS)],
            "linestyle": LINE_STYLES[number % len(LINE_STYLES)],
        }
        self.ax_.hist(
            self.scores[mine],
            edges,
            histtype="step",
            linewidth=1.6,
            density=self.y is not None,
            label=name,
            **style,
        )
        label = "samples" if self.y is None else "density in the group"
        self.ax_.set(xlabel=self.score_label, ylabel=label)

    def _draw_points(self, number: int, name: Any, mine: Any, edges: Any) -> None:
        places = np.arange(len(self.scores))[mine]
        self.ax_.scatter(
            places,
            self.scores[mine],
            s=8,
            color=COLORS[number % len(COLORS)],
            marker=MARKERS[number % len(MARKERS)],
            label=name,
        )
        self.ax_.set(xlabel="sample", ylabel=self.score_label)
