"""Drawn samples, side by side."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from skautoencoder.displays.axes import axes_grid
from skautoencoder.displays.sample_form import SampleForm, last_step, require_method


class SampleGridDisplay:
    """Drawn samples, side by side.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions` to
    create it. All parameters are stored as attributes.

    Read more in the :ref:`User Guide <displays>`.

    Parameters
    ----------
    samples : ndarray of shape (n_samples, ...)
        The samples.
    form : SampleForm
        How a sample is drawn.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The axes.
    ax_ : matplotlib Axes
        The first of them.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    DrawnRowsDisplay : Columns of drawn tables beside those of real ones.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skautoencoder import VAESampler
    >>> from skautoencoder.displays import SampleGridDisplay
    >>> images = load_digits().images[:500] / 16
    >>> sampler = VAESampler(
    ...     architecture="dense", max_epochs=3, random_state=0
    ... ).fit(images)
    >>> display = SampleGridDisplay.from_estimator(sampler, random_state=0)
    """

    def __init__(self, samples: NDArray[np.float64], *, form: SampleForm) -> None:
        self.samples = samples
        self.form = form

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        n_samples: int = 24,
        *,
        y: Any = None,
        random_state: int | np.random.RandomState | None = None,
        sample_shape: tuple[int, ...] | None = None,
        kind: str = "auto",
        ax: Any = None,
    ) -> Self:
        """Draw new samples.

        Parameters
        ----------
        estimator : VAESampler
            A fitted sampler, or a Pipeline that ends in one, whose samples are drawn as
            its last step sees them.
        n_samples : int, default=24
            How many.
        y : array-like of shape (n_samples,) or a class, default=None
            Their classes, of a conditional sampler.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws.
        sample_shape : tuple of int, default=None
            Shape of a sample. None: that of the estimator.
        kind : {"auto", "image", "sequence", "table"}, default="auto"
            What a sample is drawn as. "auto": by the architecture and the shape.
        ax : matplotlib Axes, default=None
            Whose place to draw in. None: in a new figure.

        Returns
        -------
        display : SampleGridDisplay
            The display.
        """
        require_method(estimator, "sample", "a VAESampler")
        given = {} if y is None else {"y": y}
        samples = last_step(estimator).sample(n_samples, random_state, **given)
        form = SampleForm.of(samples, estimator, sample_shape, kind)
        return cls(form.read(samples), form=form).plot(ax)

    @classmethod
    def from_predictions(
        cls,
        samples: Any,
        *,
        sample_shape: tuple[int, ...] | None = None,
        kind: str = "auto",
        ax: Any = None,
    ) -> Self:
        """Draw samples that are there already.

        Parameters
        ----------
        samples : array-like of shape (n_samples, n_features) or (n_samples, ...)
            The samples.
        sample_shape : tuple of int, default=None
            Shape of a sample. None: that of a sample of `samples`.
        kind : {"auto", "image", "sequence", "table"}, default="auto"
            What a sample is drawn as. "auto": by the shape.
        ax : matplotlib Axes, default=None
            Whose place to draw in. None: in a new figure.

        Returns
        -------
        display : SampleGridDisplay
            The display.
        """
        form = SampleForm.of(samples, None, sample_shape, kind)
        return cls(form.read(samples), form=form).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the samples.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Whose place to draw in. None: in a new figure.

        Returns
        -------
        display : SampleGridDisplay
            This object.
        """
        most = 8 if self.form.kind == "image" else 4
        n_columns = min(len(self.samples), most)
        shape = (-(-len(self.samples) // n_columns), n_columns)
        self.axes_ = axes_grid("SampleGridDisplay", ax, shape, self.form.panel)
        for panel, sample in zip(self.axes_.flat, self.samples, strict=False):
            self.form.draw(panel, sample)
        self.form.label_axes(self.axes_, len(self.samples))
        self.ax_ = self.axes_.flat[0]
        self.figure_ = self.ax_.figure
        return self
