"""Codes of samples as points in a plane."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.utils.validation import check_consistent_length

from skautoencoder._estimator.sample_validation import from_torch
from skautoencoder.displays.axes import COLORS, MARKERS, plain, single_axes
from skautoencoder.displays.sample_form import require_codes

METHODS = ("auto", "pca", "tsne", "umap")
# Up to this many whole numbers are labels, with a marker each; so many labels at most.
_MOST_LABELS = 20
_MOST_NAMED = 40


class CodeSpaceDisplay:
    """Codes of samples as points in a plane, coloured by a label or a number.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions` to
    create it. All parameters are stored as attributes.

    Read more in the :ref:`User Guide <displays>`.

    Parameters
    ----------
    positions : ndarray of shape (n_samples, 2)
        Where the codes are drawn.
    axis_labels : (str, str)
        What the two axes are.
    y : ndarray of shape (n_samples,), default=None
        A label or a number of each sample.
    y_name : str, default=None
        What `y` is, with its unit.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.
    colorbar_ : matplotlib Colorbar or None
        The colour bar, if `y` are numbers.

    See Also
    --------
    LatentMapDisplay : What codes of two numbers are decoded to.
    sklearn.manifold.TSNE : Neighbours in many dimensions, kept in two.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skautoencoder import AutoencoderTransformer
    >>> from skautoencoder.displays import CodeSpaceDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> transformer = AutoencoderTransformer(2, max_epochs=3, random_state=0)
    >>> display = CodeSpaceDisplay.from_estimator(transformer.fit(X / 16), X / 16, y)
    """

    def __init__(
        self,
        positions: NDArray[np.floating],
        *,
        axis_labels: tuple[str, str],
        y: NDArray[Any] | None = None,
        y_name: str | None = None,
    ) -> None:
        self.positions = positions
        self.axis_labels = axis_labels
        self.y = y
        self.y_name = y_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike | None = None,
        *,
        method: str = "auto",
        y_name: str | None = None,
        random_state: int | np.random.RandomState | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the codes of samples.

        Parameters
        ----------
        estimator : estimator instance
            A fitted estimator, or Pipeline, whose `transform` returns codes.
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.
        y : array-like of shape (n_samples,), default=None
            A label of each, or a number such as a score, for its colour.
        method : {"auto", "pca", "tsne", "umap"}, default="auto"
            What brings codes of more than two numbers into a plane: "auto" is "pca".
            "umap" needs the package umap-learn. Codes of two numbers, or of one, are
            drawn as they are with "auto".
        y_name : str, default=None
            What `y` is, with its unit.
        random_state : int, RandomState instance or None, default=None
            Seed of "tsne" and "umap".
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : CodeSpaceDisplay
            The display.
        """
        require_codes(estimator, "transform")
        return cls.from_predictions(
            estimator.transform(X),
            y,
            method=method,
            y_name=y_name,
            random_state=random_state,
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        codes: Any,
        y: ArrayLike | None = None,
        *,
        method: str = "auto",
        y_name: str | None = None,
        random_state: int | np.random.RandomState | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw codes.

        Parameters
        ----------
        codes : array-like of shape (n_samples, code_size)
            Codes, as `transform` returns them.
        y : array-like of shape (n_samples,), default=None
            A label of each, or a number such as a score, for its colour.
        method : {"auto", "pca", "tsne", "umap"}, default="auto"
            What brings codes of more than two numbers into a plane, see
            :meth:`from_estimator`.
        y_name : str, default=None
            What `y` is, with its unit.
        random_state : int, RandomState instance or None, default=None
            Seed of "tsne" and "umap".
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : CodeSpaceDisplay
            The display.
        """
        if method not in METHODS:
            raise ValueError(f"method must be one of {METHODS}, got {method!r}.")
        codes = np.asarray(from_torch(codes))
        codes = codes.reshape(len(codes), -1)
        labels = None if y is None else np.asarray(from_torch(y))
        check_consistent_length(codes, labels)
        if y_name is None:
            y_name = getattr(y, "name", None)
        positions, names = _in_plane(codes, method, random_state)
        display = cls(positions, axis_labels=names, y=labels, y_name=y_name)
        return display.plot(ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the points.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: in a new figure.
        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.scatter`.

        Returns
        -------
        display : CodeSpaceDisplay
            This object.
        """
        self.ax_ = single_axes("CodeSpaceDisplay", ax, (5.2, 4.2))
        self.figure_ = self.ax_.figure
        self.colorbar_ = None
        style = {"s": 9, "linewidths": 0, "alpha": 0.8, **kwargs}
        x, y = self.positions.T
        if self.y is None:
            self.ax_.scatter(x, y, **{"color": "black", **style})
        elif _are_labels(self.y):
            self._plot_labels(x, y, self.y, style)
        else:
            points = self.ax_.scatter(x, y, c=self.y, **{"cmap": "cividis", **style})
            self.colorbar_ = self.figure_.colorbar(points, ax=self.ax_)
            self.colorbar_.set_label(plain(self.y_name or "y", 60))
            self.colorbar_.solids.set_alpha(1)
        self.ax_.set(xlabel=self.axis_labels[0], ylabel=self.axis_labels[1])
        if not self.axis_labels[1]:
            self.ax_.set_yticks([])
        return self

    def _plot_labels(
        self, x: Any, y: Any, given: NDArray[Any], style: dict[str, Any]
    ) -> None:
        given = given.astype(str) if given.dtype == object else given
        labels = np.unique(given)
        if len(labels) > _MOST_NAMED:
            raise ValueError(
                f"y has {len(labels)} labels, of which at most {_MOST_NAMED} fit "
                "beside the picture. Put them together, or pass numbers, for a colour "
                "bar."
            )
        shades = np.linspace(0, 1, max(len(labels), 2))
        colormap = _colormap("nipy_spectral") if len(labels) > len(COLORS) else None
        for number, label in enumerate(labels):
            mine = given == label
            color = colormap(0.92 * shades[number]) if colormap else COLORS[number]
            own = {
                "color": [color],
                "marker": MARKERS[number % len(MARKERS)],
                "label": plain(label),
            }
            self.ax_.scatter(x[mine], y[mine], **{**own, **style})
        legend = self.ax_.legend(
            title=self.y_name and plain(self.y_name),
            fontsize="small",
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
            ncols=-(-len(labels) // 20),
            markerscale=1.5,
        )
        for handle in legend.legend_handles:
            handle.set_alpha(1)


def _colormap(name: str) -> Any:
    import matplotlib

    return matplotlib.colormaps[name]


def _are_labels(y: NDArray[Any]) -> bool:
    """Return whether values are labels rather than numbers."""
    if y.dtype.kind == "f":
        return False
    return y.dtype.kind not in "iu" or len(np.unique(y)) <= _MOST_LABELS


def _in_plane(
    codes: NDArray[Any], method: str, random_state: Any
) -> tuple[NDArray[np.floating], tuple[str, str]]:
    """Return positions of codes in a plane, and names of the axes."""
    n_samples, code_size = codes.shape
    if code_size == 1:
        heights = np.random.RandomState(0).uniform(size=n_samples)
        return np.column_stack([codes[:, 0], heights]), ("code, unit 1", "")
    if code_size == 2 and method == "auto":
        return codes, ("code, unit 1", "code, unit 2")
    if method in ("auto", "pca"):
        pca = PCA(2).fit(codes)
        shares = pca.explained_variance_ratio_
        first, second = (
            f"component {i} of the codes ({share:.0%} of the variance)"
            for i, share in enumerate(shares, 1)
        )
        return pca.transform(codes), (first, second)
    if method == "tsne":
        perplexity = min(30.0, (n_samples - 1) / 3)
        tsne = TSNE(2, perplexity=perplexity, random_state=random_state)
        return tsne.fit_transform(codes), ("t-SNE 1", "t-SNE 2")
    try:
        from umap import UMAP
    except ImportError as error:
        raise ImportError(
            "method='umap' needs umap-learn, which is not installed. Install it with "
            "pip install umap-learn, or use method='tsne' or 'pca'."
        ) from error
    umap = UMAP(n_neighbors=min(15, n_samples - 1), n_jobs=1, random_state=random_state)
    return umap.fit_transform(codes), ("UMAP 1", "UMAP 2")
