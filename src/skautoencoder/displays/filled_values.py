"""Holes in samples, and what an imputer puts there."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from skautoencoder._estimator.containers import is_frame
from skautoencoder._estimator.sample_validation import from_torch
from skautoencoder.displays.axes import (
    FIRST,
    SECOND,
    axes_grid,
    legend_above,
    near_square,
    short,
)
from skautoencoder.displays.sample_form import SampleForm, as_array, as_last_step_sees

# Most columns of a table that are drawn: those with the most holes.
_MOST_COLUMNS = 9


class FilledValuesDisplay:
    """Holes in samples, and what an imputer puts there.

    Images are drawn with their holes and filled. Of a table, each column's filled
    values are compared with its observed ones; or, where the true values are known,
    drawn against them.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions` to
    create it. All parameters are stored as attributes.

    Read more in the :ref:`User Guide <displays>`.

    Parameters
    ----------
    samples : ndarray of shape (n_samples, ...)
        Samples, with NaN in their holes.
    filled : ndarray of the same shape
        The samples without holes.
    truth : ndarray of the same shape, default=None
        The true values.
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
    ReconstructionsDisplay : Samples without holes, and their reconstructions.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_wine
    >>> from skautoencoder import AutoencoderImputer
    >>> from skautoencoder.displays import FilledValuesDisplay
    >>> X = load_wine(as_frame=True).data
    >>> X_holes = X.mask(np.random.RandomState(0).rand(*X.shape) < 0.2)
    >>> imputer = AutoencoderImputer(max_epochs=2, random_state=0).fit(X_holes)
    >>> display = FilledValuesDisplay.from_estimator(imputer, X_holes, X)
    """

    def __init__(
        self,
        samples: NDArray[np.float64],
        filled: NDArray[np.float64],
        *,
        truth: NDArray[np.float64] | None = None,
        form: SampleForm,
    ) -> None:
        self.samples = samples
        self.filled = filled
        self.truth = truth
        self.form = form

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        X_true: Any = None,
        *,
        sample_shape: tuple[int, ...] | None = None,
        kind: str = "auto",
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Fill samples and draw them.

        Parameters
        ----------
        estimator : AutoencoderImputer
            A fitted imputer, of this package or of scikit-learn, that keeps all
            features and adds none; or a Pipeline that ends in one, of which is drawn
            what its last step sees.
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples with holes.
        X_true : array-like of the same shape, default=None
            The true values.
        sample_shape : tuple of int, default=None
            Shape of a sample. None: that of the estimator.
        kind : {"auto", "image", "sequence", "table"}, default="auto"
            What a sample is drawn as. "auto": by the architecture and the shape.
        ax : matplotlib Axes, default=None
            Whose place to draw in. None: in a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : FilledValuesDisplay
            The display.
        """
        last, X, X_true = as_last_step_sees(estimator, X, X_true)
        filled = last.transform(X)
        missing = getattr(last, "missing_values", np.nan)
        form = SampleForm.of(X, estimator, sample_shape, kind)
        return cls._from(X, filled, X_true, missing, form).plot(ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        X: Any,
        X_filled: Any,
        X_true: Any = None,
        *,
        missing_values: Any = np.nan,
        sample_shape: tuple[int, ...] | None = None,
        kind: str = "auto",
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw samples before and after their holes were filled.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples with holes.
        X_filled : array-like of the same shape
            The samples without holes.
        X_true : array-like of the same shape, default=None
            The true values.
        missing_values : object, default=NaN
            What stands in the holes of `X`.
        sample_shape : tuple of int, default=None
            Shape of a sample. None: that of a sample of `X`.
        kind : {"auto", "image", "sequence", "table"}, default="auto"
            What a sample is drawn as. "auto": by the shape.
        ax : matplotlib Axes, default=None
            Whose place to draw in. None: in a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : FilledValuesDisplay
            The display.
        """
        form = SampleForm.of(X, None, sample_shape, kind)
        return cls._from(X, X_filled, X_true, missing_values, form).plot(ax, **kwargs)

    @classmethod
    def _from(
        cls, X: Any, X_filled: Any, X_true: Any, missing: Any, form: SampleForm
    ) -> Self:
        X = as_array(X) if is_frame(X) else X
        if form.columns:  # in the units of the data: columns are not drawn together
            form = SampleForm("table", form.shape, form.names)
        shapes = {np.shape(part) for part in (X, X_filled, X_true) if part is not None}
        if len({np.prod(shape) for shape in shapes}) > 1:
            raise ValueError(
                f"X is of shape {np.shape(X)}, but what was filled or is true of "
                f"{sorted(shapes - {np.shape(X)})}. An imputer has to keep all "
                "features (keep_empty_features=True) and add none "
                "(add_indicator=False)."
            )
        samples, filled = (
            form.read(np.asarray(from_torch(part))) for part in (X, X_filled)
        )
        truth = None if X_true is None else form.read(np.asarray(from_torch(X_true)))
        samples = np.where(samples == missing, np.nan, samples)
        return cls(samples, filled, truth=truth, form=form)

    def plot(self, ax: Any = None, *, n_samples: int = 6) -> Self:
        """Draw holes and what was put there.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Whose place to draw in. None: in a new figure.
        n_samples : int, default=6
            How many images or sequences are drawn: the first ones. A table's columns
            are drawn from all rows.

        Returns
        -------
        display : FilledValuesDisplay
            This object.
        """
        if self.form.kind == "image":
            self._plot_images(ax, n_samples)
        elif self.form.kind == "sequence":
            self._plot_sequences(ax, n_samples)
        else:
            self._plot_columns(ax)
        self.ax_ = self.axes_.flat[0]
        self.figure_ = self.ax_.figure
        return self

    def _plot_images(self, ax: Any, n_samples: int) -> None:
        rows = [("with holes", self.samples), ("filled", self.filled)]
        if self.truth is not None:
            rows.append(("true", self.truth))
        shape = (len(rows), min(n_samples, len(self.samples)))
        self.axes_ = axes_grid("FilledValuesDisplay", ax, shape, self.form.panel)
        for axes, (name, images) in zip(self.axes_, rows, strict=True):
            for panel, image in zip(axes, images, strict=False):
                shown = (
                    np.isnan(image).any(axis=0) if image.ndim == 3 else np.isnan(image)
                )
                # Hatched, as a hole may have any colour.
                panel.set_facecolor("0.85")
                panel.patch.set(hatch="////", edgecolor="0.4")
                drawn = self.form.draw_image(panel, np.nan_to_num(image))
                drawn.set_alpha((~shown).astype(float))
            axes[0].set_ylabel(name, fontsize="small")
        if self.truth is not None:
            for panel, error in zip(self.axes_[-1], self._errors(), strict=False):
                panel.set_xlabel(f"RMSE {short(error)}", fontsize="small")

    def _errors(self) -> NDArray[np.float64]:
        """Return the root mean squared error in the holes of each sample."""
        assert self.truth is not None
        square = np.square(self.filled - self.truth).reshape(len(self.filled), -1)
        holes = np.isnan(self.samples).reshape(square.shape)
        counts = np.maximum(holes.sum(axis=1), 1)
        errors: NDArray[np.float64] = np.sqrt((square * holes).sum(axis=1) / counts)
        return errors

    def _plot_sequences(self, ax: Any, n_samples: int) -> None:
        n_samples = min(n_samples, len(self.samples))
        shape = near_square(n_samples, most_columns=3)
        self.axes_ = axes_grid("FilledValuesDisplay", ax, shape, self.form.panel)
        for number, panel in enumerate(self.axes_.flat[:n_samples]):
            if self.truth is not None:
                style = {"color": "0.6", "linestyle": ":"}
                self.form.draw_sequence(
                    panel, self.truth[number], label="true", **style
                )
            self.form.draw_sequence(
                panel, self.filled[number], label="filled", **SECOND
            )
            self.form.draw_sequence(
                panel, self.samples[number], label="observed", **FIRST
            )
        self.form.label_axes(self.axes_, n_samples)
        legend_above(self.axes_)

    def _plot_columns(self, ax: Any) -> None:
        holes = np.isnan(self.samples)
        order = holes.sum(axis=0).argsort(kind="stable")[::-1][:_MOST_COLUMNS]
        chosen = [int(i) for i in np.sort(order) if holes[:, i].any()]
        if not chosen:
            raise ValueError("X has no missing values: there is nothing to draw.")
        shape = near_square(len(chosen), most_columns=3)
        self.axes_ = axes_grid("FilledValuesDisplay", ax, shape, (2.6, 2.2))
        for panel, column in zip(self.axes_.flat, chosen, strict=False):
            is_hole = holes[:, column]
            filled = self.filled[is_hole, column]
            name = self.form.names[column] if self.form.names else f"feature {column}"
            if self.truth is None:
                self._draw_histograms(panel, self.samples[~is_hole, column], filled)
            else:
                self._draw_against_truth(panel, self.truth[is_hole, column], filled)
            panel.set_title(f"{name}: {is_hole.mean():.0%} missing", fontsize="small")
            panel.tick_params(labelsize="x-small")
        for panel in self.axes_.flat[len(chosen) :]:
            panel.set_axis_off()
        labels = ("value", "density") if self.truth is None else ("true", "filled")
        for panel in self.axes_.flat[max(len(chosen) - shape[1], 0) : len(chosen)]:
            panel.set_xlabel(labels[0], fontsize="small")
        for panel in self.axes_[:, 0]:
            panel.set_ylabel(labels[1], fontsize="small")
        if self.truth is None:
            legend_above(self.axes_)

    @staticmethod
    def _draw_histograms(panel: Any, observed: Any, filled: Any) -> None:
        edges = np.histogram_bin_edges(np.concatenate([observed, filled]), 20)
        for values, name, style in (
            (observed, "observed", FIRST),
            (filled, "filled", SECOND),
        ):
            panel.hist(
                values, edges, density=True, histtype="step", label=name, **style
            )

    @staticmethod
    def _draw_against_truth(panel: Any, truth: Any, filled: Any) -> None:
        panel.scatter(truth, filled, s=6, color="black", alpha=0.6, linewidths=0)
        panel.axline(
            (float(truth.mean()),) * 2,
            slope=1,
            color="0.5",
            linestyle="--",
            linewidth=1,
        )
        error = float(np.sqrt(np.square(filled - truth).mean()))
        panel.annotate(
            f"RMSE {short(error)}",
            (0.04, 0.9),
            xycoords="axes fraction",
            fontsize="x-small",
        )
