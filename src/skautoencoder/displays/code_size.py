"""Error against the number of numbers in a code."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skautoencoder._estimator.ordered_codes import bound_of_best
from skautoencoder.displays.axes import FIRST, SECOND, count_axis, single_axes
from skautoencoder.displays.sample_form import last_step

# A logarithmic axis is used if the highest error is this many times the lowest.
_WIDE = 10.0


class CodeSizeDisplay:
    """Error of reconstruction by the size of the code, and the size to take.

    It is recommended to use :meth:`from_estimator` to create it. All parameters are
    stored as attributes.

    Read more in the :ref:`User Guide <displays>`.

    Parameters
    ----------
    sizes : array-like of shape (n_sizes,)
        Numbers in a code.
    errors : array-like of shape (n_sizes,)
        Errors on rows that were not trained on; NaN for sizes that are not known.
    standard_errors : array-like of shape (n_sizes,)
        Standard errors of these.
    chosen_size : int, default=None
        The size that is marked. None: the smallest whose error is within one standard
        error of the lowest.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What is drawn on.
    figure_ : matplotlib Figure
        The figure.
    line_ : matplotlib Line2D
        The errors.

    See Also
    --------
    skautoencoder.AutoencoderTransformer : Its ``ordered=True`` and ``"auto"`` size.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skautoencoder import AutoencoderTransformer
    >>> from skautoencoder.displays import CodeSizeDisplay
    >>> X = load_digits().data[:300] / 16
    >>> autoencoder = AutoencoderTransformer("auto", max_epochs=2, random_state=0)
    >>> autoencoder.fit(X).code_size_ <= 32
    True
    >>> display = CodeSizeDisplay.from_estimator(autoencoder)
    """

    def __init__(
        self,
        sizes: ArrayLike,
        errors: ArrayLike,
        standard_errors: ArrayLike,
        *,
        chosen_size: int | None = None,
    ) -> None:
        self.sizes = sizes
        self.errors = errors
        self.standard_errors = standard_errors
        self.chosen_size = chosen_size

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the errors of a fitted estimator with ordered codes.

        Parameters
        ----------
        estimator : estimator instance
            Fitted with ``ordered=True`` or ``code_size="auto"``; or a Pipeline or a
            search with one at its end. A size that it chose itself is marked.
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : CodeSizeDisplay
            The display.
        """
        fitted = last_step(estimator)
        check_is_fitted(fitted)
        if not hasattr(fitted, "error_path_"):
            raise ValueError(
                f"{type(fitted).__name__} has errors for one code size alone. Fit a "
                "transformer or DenoisingAutoencoder with ordered=True, or a "
                "transformer with code_size='auto'."
            )
        errors = fitted.error_path_
        display = cls(
            np.arange(1, len(errors) + 1),
            errors,
            fitted.error_path_standard_errors_,
            chosen_size=fitted.code_size_ if fitted.code_size_ < len(errors) else None,
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax: Any = None, *, yscale: str = "auto") -> Self:
        """Draw the errors.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.
        yscale : {"auto", "linear", "log"}, default="auto"
            Scale of the errors. "auto": logarithmic if they are positive and the
            highest is above ten times the lowest.

        Returns
        -------
        display : CodeSizeDisplay
            This object.
        """
        sizes, errors, spread = (
            np.asarray(values, dtype=float)
            for values in (self.sizes, self.errors, self.standard_errors)
        )
        check_consistent_length(sizes, errors, spread)
        if not np.isfinite(errors).any():
            raise ValueError(
                f"errors={self.errors!r} has no number to draw. Give the error of at "
                "least one size; after a search in which every fit failed, set "
                "error_score='raise' there to see why."
            )
        self.ax_ = single_axes("CodeSizeDisplay", ax, (5.2, 3.4))
        self.figure_ = self.ax_.figure
        bound = bound_of_best(errors, spread)
        chosen = self.chosen_size
        if chosen is None:
            chosen = int(sizes[errors <= bound].min())
        (self.line_,) = self.ax_.plot(
            sizes, errors, marker="o", markersize=3, label="held-out error", **FIRST
        )
        self.ax_.fill_between(
            sizes,
            errors - spread,
            errors + spread,
            color="0.75",
            label="standard error",
        )
        self.ax_.axhline(bound, color="0.5", linestyle=":", label="best + one of it")
        self.ax_.axvline(chosen, label=f"chosen: {chosen}", **SECOND)
        lowest = np.nanmin(errors)
        wide = lowest > 0 and np.nanmax(errors) > _WIDE * lowest
        self.ax_.set(
            xlabel="numbers in the code",
            ylabel="mean squared error",
            yscale=("log" if wide else "linear") if yscale == "auto" else yscale,
        )
        count_axis(self.ax_.xaxis)
        self.ax_.legend(fontsize="small")
        return self
