"""What makes one sample an outlier."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skautoencoder._estimator.containers import as_pandas, is_frame
from skautoencoder._estimator.sample_validation import from_torch
from skautoencoder.displays.axes import axes_grid, hide_ticks, plain, short, single_axes
from skautoencoder.displays.sample_form import (
    SampleForm,
    as_array,
    as_last_step_sees,
    require_method,
)


class ExplanationDisplay:
    """What each feature takes from a sample's score: bars, or a map of an image.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions` to
    create it. All parameters are stored as attributes.

    Read more in the :ref:`User Guide <displays>`.

    Parameters
    ----------
    contributions : ndarray of the shape of a sample
        Never above 0; their sum is the sample's score.
    sample : ndarray of the same shape, default=None
        The sample.
    form : SampleForm
        How a sample is drawn.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the bars or of the map.
    axes_ : ndarray of matplotlib Axes
        Those of the sample, if it is shown, and of the contributions.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    OutlierScoresDisplay : The scores of many samples.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skautoencoder import AutoencoderOutlierDetector
    >>> from skautoencoder.displays import ExplanationDisplay
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> detector = AutoencoderOutlierDetector(
    ...     novelty=True, max_epochs=3, random_state=0
    ... ).fit(X[y == 1])
    >>> display = ExplanationDisplay.from_estimator(detector, X[:1])
    """

    def __init__(
        self,
        contributions: NDArray[np.float64],
        *,
        sample: NDArray[np.float64] | None = None,
        form: SampleForm,
    ) -> None:
        self.contributions = contributions
        self.sample = sample
        self.form = form

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        sample_shape: tuple[int, ...] | None = None,
        kind: str = "auto",
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw what makes a sample an outlier.

        Parameters
        ----------
        estimator : AutoencoderOutlierDetector
            A fitted detector with `explain`, or a Pipeline that ends in one, of which
            is drawn what its last step sees.
        X : array-like of shape (1, n_features) or (1, ...), or of one sample
            The sample.
        sample_shape : tuple of int, default=None
            Shape of the sample. None: that of the estimator.
        kind : {"auto", "image", "sequence", "table"}, default="auto"
            What the sample is drawn as. "auto": by the architecture and the shape.
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : ExplanationDisplay
            The display.
        """
        require_method(estimator, "explain", "an AutoencoderOutlierDetector")
        last, X = as_last_step_sees(estimator, _one_sample(X, estimator))
        return cls._from(last.explain(X), X, estimator, sample_shape, kind).plot(
            ax, **kwargs
        )

    @classmethod
    def from_predictions(
        cls,
        contributions: ArrayLike,
        X: Any = None,
        *,
        sample_shape: tuple[int, ...] | None = None,
        kind: str = "auto",
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw contributions to a sample's score.

        Parameters
        ----------
        contributions : array-like of shape (1, n_features) or (1, ...)
            A sample's contributions, as `explain` returns them.
        X : array-like of the same shape, default=None
            The sample.
        sample_shape : tuple of int, default=None
            Shape of the sample. None: that of `contributions`.
        kind : {"auto", "image", "sequence", "table"}, default="auto"
            What the sample is drawn as. "auto": by the shape.
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : ExplanationDisplay
            The display.
        """
        if len(contributions) != 1:  # type: ignore[arg-type]
            raise ValueError(
                "contributions must be those of one sample, such as "
                "detector.explain(X[:1])."
            )
        return cls._from(contributions, X, None, sample_shape, kind).plot(ax, **kwargs)

    @classmethod
    def _from(
        cls, contributions: Any, X: Any, estimator: Any, sample_shape: Any, kind: str
    ) -> Self:
        names: tuple[str, ...] = ()
        if is_frame(contributions):
            table = as_pandas(contributions)
            names, contributions = tuple(map(plain, table)), table.to_numpy()
        X = as_array(X) if is_frame(X) else X
        given = contributions if X is None else X
        form = SampleForm.of(given, estimator, sample_shape, kind)
        names = names or form.names
        form = SampleForm(form.kind, form.shape, names, (), form.limits)
        sample = None if X is None or form.kind == "table" else form.read(X)[0]
        return cls(form.read(contributions)[0], sample=sample, form=form)

    def plot(self, ax: Any = None, *, n_features: int = 10) -> Self:
        """Draw the contributions.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.
        n_features : int, default=10
            How many bars are drawn at most: those of the features that take most
            from the score. For tables only.

        Returns
        -------
        display : ExplanationDisplay
            This object.
        """
        if self.form.kind == "image":
            self._plot_map(ax)
        elif self.form.kind == "sequence":
            self._plot_steps(ax)
        else:
            self._plot_bars(ax, n_features)
        self.figure_ = self.ax_.figure
        return self

    @property
    def _title(self) -> str:
        return f"score {short(float(self.contributions.sum()))}"

    def _plot_bars(self, ax: Any, n_features: int) -> None:
        self.ax_ = single_axes("ExplanationDisplay", ax, (5.2, 3.2))
        self.axes_ = np.array([self.ax_])
        strongest = self.contributions.argsort()[:n_features][::-1]
        names = [
            self.form.names[i] if self.form.names else f"feature {i}" for i in strongest
        ]
        places = np.arange(len(strongest))
        self.ax_.barh(places, self.contributions[strongest], color="0.35")
        self.ax_.set_yticks(places, names, fontsize="small")
        self.ax_.set(xlabel="part of the score", title=self._title)

    def _plot_map(self, ax: Any) -> None:
        n_panels = 1 if self.sample is None else 2
        panel = (2.6, 2.6)
        self.axes_ = axes_grid("ExplanationDisplay", ax, (1, n_panels), panel)[0]
        self.ax_ = self.axes_[-1]
        if self.sample is not None:
            self.form.draw_image(self.axes_[0], self.sample)
            self.axes_[0].set_title("sample", fontsize="small")
        parts = self.contributions
        shown = parts if parts.ndim == 2 else parts.sum(axis=0)
        drawn = self.ax_.imshow(shown, cmap="gray", vmax=0, interpolation="nearest")
        hide_ticks(self.ax_)
        self.ax_.set_title(self._title, fontsize="small")
        bar = self.ax_.figure.colorbar(drawn, ax=self.ax_, shrink=0.8)
        bar.set_label("part of the score", fontsize="small")
        bar.ax.tick_params(labelsize="small")

    def _plot_steps(self, ax: Any) -> None:
        n_panels = 1 if self.sample is None else 2
        axes = axes_grid("ExplanationDisplay", ax, (n_panels, 1), (5.2, 1.8))
        self.axes_ = axes[:, 0]
        self.ax_ = self.axes_[-1]
        if self.sample is not None:
            self.form.draw_sequence(self.axes_[0], self.sample)
            self.axes_[0].set_ylabel("value")
        steps = np.arange(len(self.contributions))
        self.ax_.bar(steps, self.contributions.sum(axis=1), width=1.0, color="0.35")
        self.ax_.set(xlabel="step", ylabel="part of the score")
        self.axes_[0].set_title(self._title, fontsize="small")


def _one_sample(X: Any, estimator: Any) -> Any:
    """Return one sample with an axis of samples."""
    if not hasattr(X, "columns"):
        X = np.asarray(from_torch(X))
        if X.shape == getattr(estimator, "sample_shape_", None) or X.ndim == 1:
            X = X[np.newaxis]
    if len(X) != 1:
        raise ValueError(f"X must be one sample, but has {len(X)}. Pass X[:1].")
    return X
