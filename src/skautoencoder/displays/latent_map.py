"""A map of a code of two numbers: what each place is decoded to."""

from __future__ import annotations

from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.utils import check_scalar

from skautoencoder.displays.axes import (
    axes_grid,
    common_limits,
    hide_ticks,
    short,
    single_axes,
)
from skautoencoder.displays.sample_form import (
    SampleForm,
    as_last_step_sees,
    require_codes,
)

# Quantiles of the codes that the map covers.
_ENDS = (0.02, 0.98)


class LatentMapDisplay:
    """A map of a code of two numbers: what each place of the plane is decoded to.

    It is recommended to use :meth:`from_estimator` to create it. All parameters are
    stored as attributes.

    Read more in the :ref:`User Guide <displays>`.

    Parameters
    ----------
    samples : ndarray of shape (n_rows, n_columns, ...)
        The decoded samples; the first row has the lowest values of unit 2.
    unit_1 : ndarray of shape (n_columns,)
        Values of the first unit, from left to right.
    unit_2 : ndarray of shape (n_rows,)
        Values of the second unit, from bottom to top.
    form : SampleForm
        How a sample is drawn.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes; of sequences and tables, the first of them.
    axes_ : ndarray of matplotlib Axes
        All axes.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    CodeSpaceDisplay : Where samples lie in this plane.
    CodeWalkDisplay : For codes of more numbers.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skautoencoder import VAESampler
    >>> from skautoencoder.displays import LatentMapDisplay
    >>> images = load_digits().images[:500] / 16
    >>> sampler = VAESampler(
    ...     2, architecture="dense", max_epochs=3, random_state=0
    ... ).fit(images)
    >>> display = LatentMapDisplay.from_estimator(sampler, images)
    """

    def __init__(
        self,
        samples: NDArray[np.float64],
        unit_1: NDArray[np.float64],
        unit_2: NDArray[np.float64],
        *,
        form: SampleForm,
    ) -> None:
        self.samples = samples
        self.unit_1 = unit_1
        self.unit_2 = unit_2
        self.form = form

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        n_steps: int = 15,
        y: Any = None,
        sample_shape: tuple[int, ...] | None = None,
        kind: str = "auto",
        ax: Any = None,
    ) -> Self:
        """Draw what the places of a plane of codes are decoded to.

        Parameters
        ----------
        estimator : estimator instance
            A fitted estimator, or Pipeline, with codes of two numbers. Of a Pipeline,
            samples are drawn as its last step sees them.
        X : array-like of shape (n_samples, n_features) or (n_samples, ...), \
                default=None
            Samples: the map covers their codes, from the 2 % to the 98 % quantile of
            each unit. None: equal steps of probability of the standard normal
            distribution, to which a :class:`~skautoencoder.VAESampler` draws codes.
        n_steps : int, default=15
            Number of rows and columns of the map.
        y : object, default=None
            The class of all samples, of a conditional sampler.
        sample_shape : tuple of int, default=None
            Shape of a sample. None: that of the estimator.
        kind : {"auto", "image", "sequence", "table"}, default="auto"
            What a sample is drawn as. "auto": by the architecture and the shape.
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.

        Returns
        -------
        display : LatentMapDisplay
            The display.
        """
        require_codes(estimator, "inverse_transform")
        check_scalar(n_steps, "n_steps", Integral, min_val=2)
        last, X = as_last_step_sees(estimator, X)
        if X is None:
            units = [norm.ppf(np.linspace(*_ENDS, n_steps))] * 2
        else:
            codes = np.asarray(last.transform(X), dtype=np.float64)
            _check_two(codes.shape[1])
            low, high = np.quantile(codes, _ENDS, axis=0)
            units = list(np.linspace(low, high, n_steps).T)
        if hasattr(last, "code_size_"):
            _check_two(last.code_size_)
        plane = np.stack(np.meshgrid(*units), axis=-1).reshape(-1, 2)
        given = {} if y is None else {"y": y}
        decoded = last.inverse_transform(plane, **given)
        form = SampleForm.of(decoded if X is None else X, estimator, sample_shape, kind)
        samples = form.read(decoded).reshape(n_steps, n_steps, *form.shape)
        return cls(samples, units[0], units[1], form=form).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.

        Returns
        -------
        display : LatentMapDisplay
            This object.
        """
        if self.form.kind == "image":
            self._plot_images(ax)
        else:
            self._plot_lines(ax)
        self.figure_ = self.ax_.figure
        return self

    def _plot_images(self, ax: Any) -> None:
        self.ax_ = single_axes("LatentMapDisplay", ax, (5.5, 5.5))
        self.axes_ = np.array([self.ax_])
        n_rows, n_columns, *_, height, width = self.samples.shape
        # The map's first row is at the top of the picture and has the highest values.
        rows = [np.concatenate(list(row), axis=-1) for row in self.samples[::-1]]
        self.form.draw_image(self.ax_, np.concatenate(rows, axis=-2))
        # At equal distances, from the middle.
        columns, lines = (
            np.arange(n // 2 % (step := -(-n // 5)), n, step)
            for n in (n_columns, n_rows)
        )
        self.ax_.set_xticks(
            (columns + 0.5) * width - 0.5, [short(v) for v in self.unit_1[columns]]
        )
        self.ax_.set_yticks(
            (n_rows - lines - 0.5) * height - 0.5,
            [short(v) for v in self.unit_2[lines]],
        )
        self.ax_.set(xlabel="code, unit 1", ylabel="code, unit 2")

    def _plot_lines(self, ax: Any) -> None:
        shape = self.samples.shape[:2]
        self.axes_ = axes_grid("LatentMapDisplay", ax, shape, (0.9, 0.7))
        self.ax_ = self.axes_[0, 0]
        limits = common_limits(self.samples)
        for axes, row in zip(self.axes_, self.samples[::-1], strict=True):
            for panel, sample in zip(axes, row, strict=True):
                panel.plot(sample, linewidth=0.9, color="black")
                panel.set_ylim(*limits)
                hide_ticks(panel)
        for number, value in enumerate(self.unit_1):
            name = "\ncode, unit 1" if number == shape[1] // 2 else ""
            self.axes_[-1, number].set_xlabel(short(value) + name, fontsize="x-small")
        for number, value in enumerate(self.unit_2[::-1]):
            name = "code, unit 2\n" if number == shape[0] // 2 else ""
            self.axes_[number, 0].set_ylabel(name + short(value), fontsize="x-small")


def _check_two(code_size: int) -> None:
    if code_size != 2:
        raise ValueError(
            f"A map needs codes of two numbers, but these have {code_size}. Fit with "
            "code_size=2, or use CodeWalkDisplay."
        )
