"""Losses of one or several fits, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skautoencoder.displays.axes import COLORS, MARKERS, axes_grid, count_axis, plain
from skautoencoder.displays.sample_form import last_step

# Terms of the loss that `history_` holds apart, and their titles.
_TERMS = {"reconstruction": "reconstruction", "kl": "KL divergence"}
_UNITS = {
    "mse": "mean squared error (network's units)",
    "l1": "mean absolute error (network's units)",
    "huber": "Huber loss (network's units)",
    "bce": "cross-entropy (nats a feature)",
}
# A logarithmic axis is used if the highest loss is this many times the lowest.
_WIDE = 10.0


class TrainingCurvesDisplay:
    """Training and validation losses of one or several fits.

    It is recommended to use :meth:`from_estimator` to create it. All parameters are
    stored as attributes.

    Read more in the :ref:`User Guide <displays>`.

    Parameters
    ----------
    histories : dict
        For each fit, by its name, a list with a dict for each epoch, as in
        ``history_``: "epoch", "train_loss", and what else is known.
    loss_label : str, default="loss"
        Label of the vertical axis, with the unit.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        One for the loss, and one for each of its terms that `histories` hold.
    ax_ : matplotlib Axes
        The first of them.
    figure_ : matplotlib Figure
        The figure.
    lines_ : list of matplotlib Line2D
        The curves of the loss.

    See Also
    --------
    sklearn.model_selection.LearningCurveDisplay : Scores by the number of samples.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skautoencoder import AutoencoderTransformer
    >>> from skautoencoder.displays import TrainingCurvesDisplay
    >>> X = load_digits().data[:500] / 16
    >>> fits = {
    ...     f"code_size={k}": AutoencoderTransformer(
    ...         k, max_epochs=3, early_stopping=True, random_state=0
    ...     ).fit(X)
    ...     for k in (2, 10)
    ... }
    >>> display = TrainingCurvesDisplay.from_estimator(fits)
    """

    def __init__(
        self,
        histories: Mapping[str, Sequence[Mapping[str, Any]]],
        *,
        loss_label: str = "loss",
    ) -> None:
        self.histories = histories
        self.loss_label = loss_label

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str | None = None, ax: Any = None, **kwargs: Any
    ) -> Self:
        """Draw the losses of fitted estimators.

        Parameters
        ----------
        estimator : estimator instance, list or dict of them
            Fitted autoencoders, or Pipelines and searches with one at their end; a
            dict gives them names.
        name : str, default=None
            Name of a single fit in the legend. None: none.
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : TrainingCurvesDisplay
            The display.
        """
        if isinstance(estimator, Mapping):
            fits = {key: last_step(fit) for key, fit in estimator.items()}
        elif isinstance(estimator, list | tuple):
            fits = {f"fit {i}": last_step(fit) for i, fit in enumerate(estimator, 1)}
        else:
            fits = {name or "": last_step(estimator)}
        if not fits:
            raise ValueError("estimator is empty. Pass one fitted estimator at least.")
        for fit in fits.values():
            if not hasattr(fit, "history_"):
                check_is_fitted(fit)
                raise TypeError(
                    "estimator must be a fitted autoencoder, or a Pipeline or a search "
                    f"with one at its end, got {type(fit).__name__}."
                )
        labels = {_loss_label(fit) for fit in fits.values()}
        display = cls(
            {key: list(fit.history_) for key, fit in fits.items()},
            loss_label=labels.pop() if len(labels) == 1 else "loss (network's units)",
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax: Any = None, *, yscale: str = "auto") -> Self:
        """Draw the losses.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.
        yscale : {"auto", "linear", "log"}, default="auto"
            Scale of the losses. "auto": logarithmic if they are positive and the
            highest is above ten times the lowest.

        Returns
        -------
        display : TrainingCurvesDisplay
            This object.
        """
        terms = ["loss", *(t for t in _TERMS if self._values(f"train_{t}"))]
        axes = axes_grid("TrainingCurvesDisplay", ax, (1, len(terms)), (4.2, 3.2))
        self.axes_, self.ax_ = axes[0], axes[0, 0]
        self.figure_ = self.ax_.figure
        self.lines_: list[Any] = []
        for panel, term in zip(self.axes_, terms, strict=True):
            lines = self._draw_term(panel, term)
            if term == "loss":
                self.lines_ = lines
            losses = self._values(f"train_{term}") + self._values(f"valid_{term}")
            wide = min(losses) > 0 and max(losses) > _WIDE * min(losses)
            scale = ("log" if wide else "linear") if yscale == "auto" else yscale
            panel.set(xlabel="epoch", yscale=scale)
            count_axis(panel.xaxis)
            if term != "loss":
                panel.set_title(_TERMS[term], fontsize="small")
        self.ax_.set_ylabel(self.loss_label)
        self.ax_.legend(fontsize="small")
        return self

    def _values(self, key: str) -> list[float]:
        histories = self.histories.values()
        return [row[key] for rows in histories for row in rows if key in row]

    def _draw_term(self, ax: Any, term: str) -> list[Any]:
        """Draw one term of all fits; return the lines."""
        lines = []
        for number, (name, rows) in enumerate(self.histories.items()):
            style = {"color": COLORS[number % len(COLORS)]}
            style["marker"] = MARKERS[number % len(MARKERS)]
            step = max(len(rows) // 8, 1)
            for part, line in (("train", "-"), ("valid", "--")):
                key = f"{part}_{term}"
                pairs = [(row["epoch"], row[key]) for row in rows if key in row]
                if not pairs:
                    continue
                label = "training" if part == "train" else "validation"
                label = f"{plain(name, 40)}, {label}" if name else label
                face = style["color"] if part == "train" else "white"
                lines += ax.plot(
                    *np.transpose(pairs),
                    linestyle=line,
                    label=label,
                    markevery=step,
                    markersize=4,
                    markerfacecolor=face,
                    **style,
                )
        return lines


def _loss_label(estimator: Any) -> str:
    loss = getattr(estimator, "loss", None)
    if loss is None:
        return "minus the ELBO (nats a row)"
    if getattr(estimator.net_, "criterion__penalties", ()):
        return "loss and penalties (network's units)"
    return _UNITS.get(loss, "loss (network's units)")
