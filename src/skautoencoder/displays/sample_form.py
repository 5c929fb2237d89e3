"""How a sample is drawn: as an image, a sequence, or the row of a table."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from skautoencoder._estimator.containers import as_pandas, is_frame
from skautoencoder._estimator.image_detection import looks_like_image
from skautoencoder._estimator.sample_validation import from_torch
from skautoencoder._estimator.sequences import Sequences
from skautoencoder.architectures import Conv, Conv1d, Recurrent
from skautoencoder.displays.axes import COLORS, FIRST, hide_ticks, plain
from skautoencoder.imputation import AutoencoderImputer

Float64 = NDArray[np.float64]
KINDS = ("image", "sequence", "table")
# Up to this many columns have a tick with their name.
_MOST_NAMES = 16


@dataclass(frozen=True)
class Column:
    """What turns a column of a table to numbers in standard deviations.

    Parameters
    ----------
    mean, scale : float
        The mean, and the standard deviation.
    levels : tuple or None
        The levels of a column that holds no numbers, which stand for 0, 1, ...
    """

    mean: float
    scale: float
    levels: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class SampleForm:
    """What samples look like, and in which units.

    Parameters
    ----------
    kind : {"image", "sequence", "table"}
        What a sample is drawn as.
    shape : tuple of int
        (height, width), (n_channels, height, width), (n_steps, n_channels) or
        (n_features,).
    names : tuple of str, default=()
        Names of the features of a table.
    columns : tuple of Column, default=()
        How columns of a table that is a data frame become numbers.
    limits : (float, float), default=(0.0, 1.0)
        Lowest and highest value, for the shades of an image.
    """

    kind: str
    shape: tuple[int, ...]
    names: tuple[str, ...] = ()
    columns: tuple[Column, ...] = field(default=())
    limits: tuple[float, float] = (0.0, 1.0)

    @classmethod
    def of(
        cls,
        X: Any,
        estimator: Any = None,
        sample_shape: Any = None,
        kind: str = "auto",
    ) -> Self:
        """Return the form of samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.
        estimator : estimator instance, default=None
            A fitted estimator whose samples they are.
        sample_shape : tuple of int, default=None
            Shape of a sample. None: that of the estimator, or of `X`.
        kind : {"auto", "image", "sequence", "table"}, default="auto"
            What a sample is drawn as. "auto": by the estimator's architecture, or by
            the shape.
        """
        if kind not in ("auto", *KINDS):
            raise ValueError(f"kind must be one of 'auto', {KINDS}, got {kind!r}.")
        if not len(X):
            raise ValueError("There is nothing to draw: X has no samples.")
        last = last_step(estimator)
        fitted_shape: Any = getattr(last, "sample_shape_", ())
        has_shape = sample_shape is not None or len(fitted_shape) > 1
        if is_frame(X) and not has_shape and kind in ("auto", "table"):
            table = as_pandas(X)
            columns = tuple(
                map(_column, (table.iloc[:, i] for i in range(len(table.T))))
            )
            return cls("table", (len(columns),), tuple(map(plain, table)), columns)
        array = as_array(X, fitted_shape[0] if len(fitted_shape) == 2 else None)
        shape = tuple(sample_shape or array.shape[1:])
        if sample_shape is None and len(shape) == 1:
            shape = tuple(fitted_shape or shape)
        if np.prod(shape) != array[0].size:
            raise ValueError(
                f"sample_shape={shape} has {np.prod(shape)} values, but X has "
                f"{array[0].size} a sample. Give the shape of one sample of X."
            )
        if kind == "auto":
            kind = _kind_of(shape, last, given=sample_shape is not None)
        names = tuple(map(plain, _names_of(estimator)))
        finite = array[np.isfinite(array.astype(np.float64))].astype(np.float64)
        limits = (float(finite.min()), float(finite.max())) if finite.size else (0, 1)
        if kind == "table":
            shape = (int(np.prod(shape)),)
        elif kind == "sequence" and len(shape) == 1:
            shape = (*shape, 1)
        elif kind == "image" and len(shape) == 1:
            side = int(np.sqrt(shape[0]))
            shape = (side, side) if side * side == shape[0] else (1, *shape)
        return cls(
            kind, shape, names if len(names) == np.prod(shape) else (), (), limits
        )

    def read(self, X: Any) -> Float64:
        """Return samples as numbers of shape (n_samples, ...), NaN where missing.

        Columns of a data frame are given in standard deviations from their mean.
        """
        if not self.columns:
            array = as_array(X, self.shape[0]).astype(np.float64)
            return array.reshape(len(array), *self.shape)
        flat = X if is_frame(X) else np.asarray(X).reshape(len(X), -1)
        table = as_pandas(flat) if is_frame(X) else pd.DataFrame(flat)
        read = [
            _numbers(table.iloc[:, i], column.levels)
            for i, column in enumerate(self.columns)
        ]
        pairs = zip(read, self.columns, strict=True)
        return np.stack([(v - c.mean) / c.scale for v, c in pairs], axis=1)

    @property
    def value_label(self) -> str:
        """Label of an axis with the values of a table."""
        return "value (std. deviations)" if self.columns else "value"

    @property
    def panel(self) -> tuple[float, float]:
        """Width and height of a panel with one sample, in inches."""
        if self.kind == "image":
            height, width = self.shape[-2:]
            return 1.1 * float(np.clip(width / height, 0.5, 4)), 1.1
        return 2.6, 2.2 if self._shows_names else 1.7

    @property
    def _shows_names(self) -> bool:
        return bool(self.names) and len(self.names) <= _MOST_NAMES

    def draw(self, ax: Any, sample: Float64, **style: Any) -> None:
        """Draw one sample.

        Parameters
        ----------
        ax : matplotlib Axes
            The axes.
        sample : ndarray
            The sample, in this form's shape.
        **style : dict
            For lines: colour, line style, label.
        """
        if self.kind == "image":
            self.draw_image(ax, sample)
        elif self.kind == "sequence":
            self.draw_sequence(ax, sample, **style)
        else:
            self.draw_row(ax, sample, **style)

    def draw_image(self, ax: Any, image: Float64, **style: Any) -> Any:
        """Draw an image, in grey or in the colours of three channels."""
        low, high = self.limits
        if image.ndim == 3 and len(image) in (3, 4):
            span = (high - low) or 1.0
            shown = np.clip((image - low) / span, 0, 1).transpose(1, 2, 0)
        else:
            shown = image if image.ndim == 2 else image.mean(axis=0)
        hide_ticks(ax)
        style = {"cmap": "gray", "vmin": low, "vmax": high, **style}
        return ax.imshow(shown, interpolation="nearest", **style)

    def draw_sequence(self, ax: Any, sequence: Float64, **style: Any) -> None:
        """Draw a line for each channel of a sequence, each in a colour of its own."""
        label = style.pop("label", None)
        for channel, values in enumerate(sequence.T):
            own = dict(style)
            if "color" not in own or sequence.shape[1] > 1:
                own["color"] = COLORS[channel % len(COLORS)]
            ax.plot(values, label=label if channel == 0 else None, **own)
        ax.tick_params(labelsize="small")

    def draw_row(self, ax: Any, row: Float64, **style: Any) -> None:
        """Draw the row of a table: a point for each feature."""
        few = len(row) <= _MOST_NAMES
        style = {**FIRST, **({"marker": "o", "markersize": 3} if few else {}), **style}
        ax.plot(np.arange(len(row)), row, **style)
        if self._shows_names:
            ax.set_xticks(np.arange(len(row)), [])
        ax.tick_params(axis="y", labelsize="small")

    def label_axes(self, axes: Any, n_panels: int) -> None:
        """Label the outer axes of a grid, of which the first `n_panels` are used."""
        for ax in axes.flat[n_panels:]:
            ax.set_axis_off()
        if self.kind == "image":
            return
        for ax in axes.flat[max(n_panels - axes.shape[1], 0) : n_panels]:
            if self.kind == "sequence":
                ax.set_xlabel("step", fontsize="small")
            elif self._shows_names:
                places = np.arange(len(self.names))
                ax.set_xticks(places, self.names, rotation=90, fontsize="x-small")
            else:
                ax.set_xlabel("feature", fontsize="small")
        for ax in axes[:, 0]:
            ax.set_ylabel(self.value_label, fontsize="small")


def as_array(X: Any, n_steps: int | None = None) -> NDArray[Any]:
    """Return samples as an array; shorter sequences have NaN after their ends.

    Parameters
    ----------
    X : array-like or DataFrame
        Samples.
    n_steps : int, default=None
        Steps that sequences have at least.
    """
    if is_frame(X):
        numbers: Float64 = as_pandas(X).to_numpy(np.float64, na_value=np.nan)
        return numbers
    sequences = Sequences.read(X, "the display", None, None)
    if sequences is None:
        return np.asarray(from_torch(X))
    padded = sequences.padded
    wider = max(n_steps or 0, padded.shape[1]) - padded.shape[1]
    return np.pad(padded, ((0, 0), (0, wider), (0, 0)), constant_values=np.nan)


def _steps(estimator: Any) -> tuple[Pipeline | None, Any]:
    """Return the steps before the last one, of a Pipeline or search, and that one."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if not isinstance(estimator, Pipeline):
        return None, estimator
    return (estimator[:-1] if len(estimator) > 1 else None), estimator[-1]


def last_step(estimator: Any) -> Any:
    """Return the autoencoder at the end of a search or a Pipeline."""
    return _steps(estimator)[1]


def as_last_step_sees(estimator: Any, *samples: Any) -> tuple[Any, ...]:
    """Return the last step of a Pipeline or search, and samples as they reach it.

    What it decodes is in these units: beside samples in other ones it looks wrong.
    """
    before, last = _steps(estimator)
    if before is None:
        return last, *samples
    return last, *(X if X is None else before.transform(X) for X in samples)


def _names_of(estimator: Any) -> Any:
    """Return the names of the features that the last step of a Pipeline sees."""
    before, last = _steps(estimator)
    names = None
    if before is not None:
        with suppress(AttributeError, ValueError):
            names = before.get_feature_names_out()
    return getattr(last, "feature_names_in_", ()) if names is None else names


def _kind_of(shape: tuple[int, ...], estimator: Any, *, given: bool) -> str:
    """Return the kind of samples of this shape."""
    net = getattr(estimator, "net_", None)
    architecture = None if net is None else net.module__architecture
    if len(shape) == 1:
        return "sequence" if isinstance(architecture, Conv1d | Recurrent) else "table"
    if isinstance(architecture, Conv):
        return "image"
    if isinstance(architecture, Conv1d | Recurrent):
        return "sequence"
    given = given or getattr(estimator, "sample_shape", None) is not None
    return "image" if looks_like_image(shape, given=given) else "sequence"


def _column(values: pd.Series) -> Column:
    """Return what turns this column of a frame to numbers."""
    levels = None
    if not pd.api.types.is_numeric_dtype(values.dtype):
        levels = tuple(sorted(values.dropna().unique().tolist(), key=str))
    numbers = _numbers(values, levels)
    scale = float(np.nanstd(numbers)) or 1.0
    return Column(float(np.nanmean(numbers)), scale, levels)


def _numbers(values: pd.Series, levels: tuple[Any, ...] | None) -> Float64:
    """Return a column as numbers: of levels, their positions."""
    if levels is None:
        numbers: Float64 = values.to_numpy(dtype=np.float64, na_value=np.nan)
        return numbers
    position = {level: float(i) for i, level in enumerate(levels)}
    return np.array([position.get(v, np.nan) for v in values.tolist()])


def require_codes(estimator: Any, *methods: str) -> None:
    """Raise if an estimator lacks methods that make codes, or samples of them."""
    last = last_step(estimator)
    has_codes = all(hasattr(estimator, name) for name in methods)
    if not has_codes or isinstance(last, AutoencoderImputer):
        raise TypeError(
            f"{type(last).__name__} has no codes to draw. Draw those of a transformer, "
            "a denoiser or a VAESampler; for a detector there are OutlierScoresDisplay "
            "and ExplanationDisplay, for an imputer FilledValuesDisplay."
        )


def require_method(estimator: Any, method: str, whose: str) -> None:
    """Raise if the last step of a Pipeline or search lacks a method that is drawn.

    Parameters
    ----------
    estimator : object
        The estimator.
    method : str
        Name of the method.
    whose : str
        Which estimators have it, for the message.
    """
    last = last_step(estimator)
    if not hasattr(last, method):
        raise TypeError(
            f"{type(last).__name__} has no method {method}. Draw {whose}, or a "
            "Pipeline that ends in one."
        )
