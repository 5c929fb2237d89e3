"""Samples beside their reconstructions, with the error of each."""

from __future__ import annotations

from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_consistent_length

from skautoencoder.displays.axes import (
    FIRST,
    SECOND,
    axes_grid,
    legend_above,
    near_square,
    short,
)
from skautoencoder.displays.sample_form import SampleForm, as_last_step_sees

# Wide and pale, so that a reconstruction that lies on it is seen.
_ORIGINAL = {**FIRST, "linewidth": 3.0, "alpha": 0.4}


class ReconstructionsDisplay:
    """Samples beside their reconstructions, with the mean squared error of each.

    Images stand above their reconstructions and the absolute differences; sequences
    and rows of tables are drawn as pairs of lines.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions` to
    create it. All parameters are stored as attributes.

    Read more in the :ref:`User Guide <displays>`.

    Parameters
    ----------
    samples : ndarray of shape (n_samples, ...)
        The samples.
    reconstructions : ndarray of the same shape
        What the network makes of them.
    form : SampleForm
        How a sample is drawn.

    Attributes
    ----------
    errors : ndarray of shape (n_samples,)
        Mean squared error of each sample: in squared units of the data, for a data
        frame in variances of its columns.
    axes_ : ndarray of matplotlib Axes
        The axes.
    ax_ : matplotlib Axes
        The first of them.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    FilledValuesDisplay : Holes, and what an imputer puts there.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skautoencoder import ConvAutoencoderTransformer
    >>> from skautoencoder.displays import ReconstructionsDisplay
    >>> images = load_digits().images[:500] / 16
    >>> transformer = ConvAutoencoderTransformer(
    ...     channels=(8, 8), max_epochs=3, random_state=0
    ... ).fit(images)
    >>> display = ReconstructionsDisplay.from_estimator(
    ...     transformer, images, n_samples=6
    ... )
    """

    def __init__(
        self,
        samples: NDArray[np.float64],
        reconstructions: NDArray[np.float64],
        *,
        form: SampleForm,
    ) -> None:
        self.samples = samples
        self.reconstructions = reconstructions
        self.form = form
        difference = np.square(samples - reconstructions).reshape(len(samples), -1)
        self.errors = np.nanmean(difference, axis=1)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        X_clean: Any = None,
        n_samples: int = 8,
        sample_shape: tuple[int, ...] | None = None,
        kind: str = "auto",
        ax: Any = None,
    ) -> Self:
        """Draw the first samples of `X` and their reconstructions.

        Parameters
        ----------
        estimator : estimator instance
            A fitted autoencoder whose `predict` reconstructs, or a Pipeline that
            ends in one, of which is drawn what its last step sees.
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples. Of a denoiser, noisy ones.
        X_clean : array-like of the shape of `X`, default=None
            What reconstructions are compared with. None: `X`.
        n_samples : int, default=8
            How many samples are drawn.
        sample_shape : tuple of int, default=None
            Shape of a sample. None: that of the estimator.
        kind : {"auto", "image", "sequence", "table"}, default="auto"
            What a sample is drawn as. "auto": by the architecture and the shape.
        ax : matplotlib Axes, default=None
            Whose place to draw in. None: in a new figure.

        Returns
        -------
        display : ReconstructionsDisplay
            The display.
        """
        if hasattr(estimator, "offset_"):
            raise ValueError(
                f"{type(estimator).__name__}.predict returns labels, not "
                "reconstructions. Use OutlierScoresDisplay or ExplanationDisplay."
            )
        check_scalar(n_samples, "n_samples", Integral, min_val=1)
        last, X, X_clean = as_last_step_sees(estimator, X, X_clean)
        form = SampleForm.of(X, estimator, sample_shape, kind)
        first = X[:n_samples]
        clean = first if X_clean is None else X_clean[:n_samples]
        display = cls(form.read(clean), form.read(last.predict(first)), form=form)
        return display.plot(ax)

    @classmethod
    def from_predictions(
        cls,
        X: Any,
        X_reconstructed: Any,
        *,
        n_samples: int = 8,
        sample_shape: tuple[int, ...] | None = None,
        kind: str = "auto",
        ax: Any = None,
    ) -> Self:
        """Draw the first samples of `X` and of their reconstructions.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.
        X_reconstructed : array-like of the same shape
            Their reconstructions.
        n_samples : int, default=8
            How many samples are drawn.
        sample_shape : tuple of int, default=None
            Shape of a sample. None: that of a sample of `X`.
        kind : {"auto", "image", "sequence", "table"}, default="auto"
            What a sample is drawn as. "auto": by the shape.
        ax : matplotlib Axes, default=None
            Whose place to draw in. None: in a new figure.

        Returns
        -------
        display : ReconstructionsDisplay
            The display.
        """
        check_scalar(n_samples, "n_samples", Integral, min_val=1)
        check_consistent_length(X, X_reconstructed)
        form = SampleForm.of(X, None, sample_shape, kind)
        display = cls(
            form.read(X[:n_samples]), form.read(X_reconstructed[:n_samples]), form=form
        )
        return display.plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw samples and reconstructions.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Whose place to draw in. None: in a new figure.

        Returns
        -------
        display : ReconstructionsDisplay
            This object.
        """
        if self.form.kind == "image":
            self._plot_images(ax)
        else:
            self._plot_lines(ax)
        self.ax_ = self.axes_.flat[0]
        self.figure_ = self.ax_.figure
        return self

    def _plot_images(self, ax: Any) -> None:
        shape = (3, len(self.samples))
        self.axes_ = axes_grid("ReconstructionsDisplay", ax, shape, self.form.panel)
        difference = np.abs(self.samples - self.reconstructions)
        low, high = self.form.limits
        rows: list[tuple[str, Any, dict[str, Any]]] = [
            ("original", self.samples, {}),
            ("reconstruction", self.reconstructions, {}),
            ("|difference|", difference, {"vmin": 0, "vmax": (high - low) or 1.0}),
        ]
        for axes, (name, images, style) in zip(self.axes_, rows, strict=True):
            for panel, image in zip(axes, images, strict=True):
                if style and image.ndim == 3:
                    image = image.mean(axis=0)
                self.form.draw_image(
                    panel, image, **(style and {**style, "cmap": "gray_r"})
                )
            axes[0].set_ylabel(name, fontsize="small")
        for panel, error in zip(self.axes_[-1], self.errors, strict=True):
            panel.set_xlabel(f"MSE {short(error)}", fontsize="small")

    def _plot_lines(self, ax: Any) -> None:
        n_samples = len(self.samples)
        shape = near_square(n_samples, most_columns=4)
        self.axes_ = axes_grid("ReconstructionsDisplay", ax, shape, self.form.panel)
        pairs = zip(
            self.axes_.flat,
            self.samples,
            self.reconstructions,
            self.errors,
            strict=False,
        )
        for panel, sample, reconstruction, error in pairs:
            self.form.draw(panel, sample, label="original", **_ORIGINAL)
            self.form.draw(panel, reconstruction, label="reconstruction", **SECOND)
            panel.set_title(f"MSE {short(error)}", fontsize="small")
        self.form.label_axes(self.axes_, n_samples)
        legend_above(self.axes_)
