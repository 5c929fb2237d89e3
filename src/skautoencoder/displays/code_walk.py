"""What each unit of the code stands for: samples along it."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_scalar

from skautoencoder.displays.axes import (
    axes_grid,
    common_limits,
    hide_ticks,
    near_square,
    pyplot,
    short,
)
from skautoencoder.displays.sample_form import (
    SampleForm,
    as_last_step_sees,
    require_codes,
)

# Quantiles of a unit of the code between which it walks.
_ENDS = (0.02, 0.98)


class CodeWalkDisplay:
    """Decoded samples while one unit of the code changes and the others do not.

    It is recommended to use :meth:`from_estimator` to create it. All parameters are
    stored as attributes.

    Read more in the :ref:`User Guide <displays>`.

    Parameters
    ----------
    samples : ndarray of shape (n_units, n_steps, ...)
        The decoded samples.
    values : ndarray of shape (n_units, n_steps)
        The value of the unit in each.
    units : sequence of int
        Indices of the units, counted from 0.
    form : SampleForm
        How a sample is drawn.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        One for each unit and step; for tables one for each unit.
    ax_ : matplotlib Axes
        The first of them.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    LatentMapDisplay : Both units of a code of two numbers at once.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skautoencoder import AutoencoderTransformer
    >>> from skautoencoder.displays import CodeWalkDisplay
    >>> images = load_digits().images[:500] / 16
    >>> transformer = AutoencoderTransformer(
    ...     3, architecture="dense", max_epochs=3, random_state=0
    ... ).fit(images)
    >>> display = CodeWalkDisplay.from_estimator(transformer, images)
    """

    def __init__(
        self,
        samples: NDArray[np.float64],
        values: NDArray[np.float64],
        *,
        units: Sequence[int],
        form: SampleForm,
    ) -> None:
        self.samples = samples
        self.values = values
        self.units = units
        self.form = form

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        units: Sequence[int] | int = 6,
        n_steps: int = 7,
        start: Any = None,
        sample_shape: tuple[int, ...] | None = None,
        kind: str = "auto",
        ax: Any = None,
    ) -> Self:
        """Draw samples along units of the code.

        Parameters
        ----------
        estimator : estimator instance
            A fitted estimator, or Pipeline, with `transform` and `inverse_transform`.
            Of a Pipeline, samples are drawn as its last step sees them.
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples. Each unit goes from the 2 % to the 98 % quantile of their codes.
        units : int or sequence of int, default=6
            Which units. A number: so many, those of the highest variance over `X`.
        n_steps : int, default=7
            How many samples along a unit.
        start : array-like of shape (code_size,), default=None
            The code whose other units are kept. None: the median code of `X`.
        sample_shape : tuple of int, default=None
            Shape of a sample. None: that of the estimator.
        kind : {"auto", "image", "sequence", "table"}, default="auto"
            What a sample is drawn as. "auto": by the architecture and the shape.
        ax : matplotlib Axes, default=None
            Whose place to draw in. None: in a new figure.

        Returns
        -------
        display : CodeWalkDisplay
            The display.
        """
        require_codes(estimator, "transform", "inverse_transform")
        check_scalar(n_steps, "n_steps", Integral, min_val=2)
        last, X = as_last_step_sees(estimator, X)
        form = SampleForm.of(X, estimator, sample_shape, kind)
        codes = np.asarray(last.transform(X), dtype=np.float64)
        if isinstance(units, int):
            by_variance = codes.var(axis=0).argsort(kind="stable")[::-1]
            chosen = sorted(by_variance[:units].tolist())
        else:
            chosen = list(units)
        if not chosen or min(chosen) < 0 or max(chosen) >= codes.shape[1]:
            raise ValueError(
                f"units must be a number above 0 or indices from 0 to "
                f"{codes.shape[1] - 1}, got {units!r}."
            )
        begin = np.median(codes, axis=0) if start is None else np.asarray(start)
        if begin.shape != codes.shape[1:]:
            raise ValueError(
                f"start must be a code, of shape {codes.shape[1:]}, but has "
                f"{begin.shape}. Pass transform(X)[0], for example."
            )
        low, high = np.quantile(codes[:, chosen], _ENDS, axis=0)
        values = np.linspace(low, high, n_steps).T
        walks = np.tile(begin.astype(np.float64), (len(chosen), n_steps, 1))
        for number, unit in enumerate(chosen):
            walks[number, :, unit] = values[number]
        decoded = last.inverse_transform(walks.reshape(-1, codes.shape[1]))
        samples = form.read(decoded).reshape(len(chosen), n_steps, *form.shape)
        return cls(samples, values, units=chosen, form=form).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the samples.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Whose place to draw in. None: in a new figure.

        Returns
        -------
        display : CodeWalkDisplay
            This object.
        """
        if self.form.kind == "table":
            self._plot_rows(ax)
        else:
            self._plot_steps(ax)
        self.ax_ = self.axes_.flat[0]
        self.figure_ = self.ax_.figure
        return self

    def _plot_steps(self, ax: Any) -> None:
        shape, is_image = self.values.shape, self.form.kind == "image"
        panel_size = self.form.panel if is_image else (1.3, 0.9)
        self.axes_ = axes_grid("CodeWalkDisplay", ax, shape, panel_size)
        limits = common_limits(self.samples)
        for number, axes in enumerate(self.axes_):
            for panel, sample, value in zip(
                axes, self.samples[number], self.values[number], strict=True
            ):
                self.form.draw(panel, sample)
                if not is_image:
                    panel.set_ylim(*limits)
                    hide_ticks(panel)
                panel.set_xlabel(short(value), fontsize="x-small", labelpad=1)
            axes[0].set_ylabel(f"unit {self.units[number] + 1}", fontsize="small")

    def _plot_rows(self, ax: Any) -> None:
        n_units, n_steps = self.values.shape
        shape = near_square(n_units, most_columns=3)
        self.axes_ = axes_grid("CodeWalkDisplay", ax, shape, (3.4, 2.6))
        shades = pyplot("CodeWalkDisplay").get_cmap("cividis")(
            np.linspace(0, 0.9, n_steps)
        )
        for number, panel in enumerate(self.axes_.flat[:n_units]):
            for step in range(n_steps):
                label = short(self.values[number, step])
                width = 0.8 + 1.6 * step / n_steps
                style: dict[str, Any] = {"linestyle": "-", "linewidth": width}
                style |= {"color": shades[step], "label": label}
                self.form.draw_row(panel, self.samples[number, step], **style)
            panel.set_title(f"unit {self.units[number] + 1}", fontsize="small")
            ends = panel.get_legend_handles_labels()
            panel.legend(*(e[:: n_steps - 1] for e in ends), fontsize="x-small")
        self.form.label_axes(self.axes_, n_units)
