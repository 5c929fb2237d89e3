"""Outlier detection in long series."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import OutlierMixin
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from torch import Tensor
from torch.optim import Optimizer

from skautoencoder._estimator.array_statistics import feature_spread
from skautoencoder._estimator.array_types import Array, Range, Shape
from skautoencoder._estimator.base import CODE_SIZE_OR_AUTO, BaseAutoencoder
from skautoencoder._estimator.data_units import Scaling, Units
from skautoencoder._estimator.input_hints import naming
from skautoencoder._estimator.parameter_hints import require_as_before
from skautoencoder._estimator.plan import Samples, TrainingPlan, auto_or
from skautoencoder.architectures import Architecture
from skautoencoder.outliers.detector import (
    DENSE_OF_DETECTORS,
    may_predict_training_rows,
)
from skautoencoder.outliers.reference_distances import References
from skautoencoder.outliers.thresholds import offset_of_contamination
from skautoencoder.sequences.embedding import WindowEmbedding
from skautoencoder.sequences.gaps import GapFiller, interpolate
from skautoencoder.sequences.series import SeriesInput, warn_of_channels
from skautoencoder.sequences.windows import (
    mean_over_windows,
    share_missing,
    usual_window,
    window_rows,
    window_starts,
)
from skautoencoder.training import Progress, Rows

# Most parts of the training data, one after the other, and the rank of the one whose
# nearest window counts: an outlier is near windows of its own part, and of the next.
_N_PARTS, _PART_RANK = 10, 3
# Most windows to train on and to compare with, and most numbers in them.
_MOST_TRAINING, _MOST_REFERENCES, _MOST_NUMBERS = 20_000, 4_000, 2**25
# Share of clean series, at their end, that is kept out of training for the threshold.
_KEPT_OUT = 0.1
# Windows that are scored between two updates of a progress bar.
_WINDOWS_AT_ONCE = 2**15


@dataclass(frozen=True, kw_only=True)
class SeriesSamples(Samples):
    """Windows to train on, and the series that they are from.

    Parameters
    ----------
    series : list of ndarray of shape (n_timepoints, n_channels)
        The series, which may have NaN.
    n_training : list of int
        How many of the steps of each are for training; the others are kept out.
    filled : list of ndarray of shape (n_timepoints, n_channels)
        The series with their gaps interpolated.
    """

    series: list[Array]
    n_training: list[int]
    filled: list[Array]


class SeriesOutlierDetector(OutlierMixin, BaseAutoencoder[SeriesSamples]):
    r"""Outlier detection in long series, step by step.

    An autoencoder learns what the windows of a series have in common. A window is
    scored by its distance from the windows of the training data, measured between
    their reconstructions and between the sizes of what is not reconstructed; a time
    step by the windows that it lies in.

    Read more in the :ref:`User Guide <series>`.

    Parameters
    ----------
    window : int or "auto", default="auto"
        Steps of a window. "auto" is the period of the series, the first strong peak of
        its autocorrelation up to 400 steps; if there is none, 100 steps or a tenth of
        the series.
    stride : int, default=1
        Steps from the start of one window to that of the next, at most `window`.
        Above 1, fits and scores are faster and less exact. A causal detector always
        scores every step by its own window.
    code_size : int, "auto" or None, default="auto"
        How many numbers the code has. "auto" is 8, or half the numbers of a window if
        that is less.
    contamination : float in (0, 0.5] or "auto", default="auto"
        Where the threshold lies. A float is the share of the training steps that
        are outliers. "auto" puts it where boxplots do: at the third quartile of
        the training steps' distances plus 1.5 times the distance between the
        first and the third. With ``novelty=True`` it is the last tenth of the steps
        instead, which are kept out of training for that.
    novelty : bool, default=False
        Whether the training series are all normal. False: they may have outliers in
        them; windows are compared with ten parts of the training data, and that with
        the third nearest counts, for an outlier is near itself. True: windows are
        compared with all training windows. As in
        :class:`~sklearn.neighbors.LocalOutlierFactor`, `fit_predict` is for
        ``novelty=False`` only.
    causal : bool, default=False
        Whether the score of a step may depend on earlier steps and itself alone, as
        it must while a series is still being measured. False: a step's score is
        minus the mean distance of all windows that it lies in. True: that of the window
        that ends with it.
    architecture : str or Architecture, default="auto"
        What the network looks like: "dense", "conv1d" or "recurrent". "auto" is
        "dense", which is ``Dense((64, 32), dropout=0.2)`` here. An object such as
        ``Conv1d(channels=(16, 16))`` has parameters that can be set and searched as
        ``architecture__channels``; beside a name they can be given in the same way.
    loss : {"mse", "l1", "huber", "bce"}, default="mse"
        What a reconstruction is compared by: squared error, absolute error,
        Huber's mixture of the two, or binary cross-entropy in nats, which needs
        data in [0, 1].
    optimizer : str or torch.optim.Optimizer subclass, default="adam"
        "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "asgd",
        "lbfgs", "nadam", "radam", "rmsprop", "rprop", "sgd", or a class. Its own
        parameters are given as ``optimizer__weight_decay=1e-4``. Unless given,
        "betas" of "adam", "adamw" and "nadam" are (0.9, 0.99), which suits short
        fits.
    lr : float, default=3e-3
        Highest learning rate of the fit.
    lr_schedule : {"one_cycle", "cosine", "constant"}, default="one_cycle"
        How the learning rate goes through a fit: up over the first tenth and
        down along a cosine, only down, or not at all.
    batch_size : int or "auto", default="auto"
        Rows a step. "auto" is a power of two from 32 to 128 that grows with the
        number of samples, twice as large where images of at most 8×8 pixels are
        convolved. More than there are is clipped, with a warning.
    max_epochs : int or "auto", default="auto"
        Passes over the data. "auto" is as many as make about 500 steps, but at
        least 2 and at most 200.
    early_stopping : bool, default=False
        Whether to keep a shuffled part of the data out of training, stop when
        the loss on it no longer falls, and go back to the best weights.
    validation_fraction : float in (0, 1), default=0.1
        Share of the samples kept out for early stopping.
    n_iter_no_change : int, default=10
        Epochs without improvement after which early stopping ends the fit.
    tol : float, default=1e-4
        Share of the best validation loss by which a new one must be lower to
        count as an improvement.
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the fit before.
    callbacks : list of skorch callbacks, default=None
        Called during training, see :mod:`skorch.callbacks`; copied first.
        Parameters are given as ``callbacks__<name>__<parameter>``.
    checkpoint : str or path-like, default=None
        Folder in which `fit` keeps its state after each epoch. If the process dies,
        the same call goes on from there, to the same result. The folder is for one
        fit at a time, and its state is removed when that is done. None: no folder.
    device : str or torch.device, default="auto"
        Where to compute. "auto" is CUDA where there is one, then MPS, then the
        CPU.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Type of the matrix products in training. "auto" is bfloat16 for large
        networks on hardware that is faster with it. Results are computed in
        float32.
    verbose : int, default=0
        1 shows a progress bar, 2 prints a line for each epoch in its place. Both show
        a bar for long computations after `fit`. Without a terminal, bars are plain
        lines.
    random_state : int, RandomState instance or None, default=None
        Seed of the first weights, the order of the windows, the validation part, and
        the windows that are compared with. Global generators are neither read nor
        changed.
    **nested : dict
        Parameters of the parts, under skorch's names: ``optimizer__*``,
        ``iterator_train__*``, ``callbacks__*`` and ``architecture__*``.

    Attributes
    ----------
    window_ : int
        Steps of a window.
    offset_ : float
        The threshold: steps whose `score_samples` is below it are outliers.
    net_ : AutoencoderNet
        The trained skorch net; ``net_.module_`` is the torch module.
    encoder_ : torch.nn.Module
        Its encoder, see :ref:`the guide <encoder_decoder>`.
    decoder_ : torch.nn.Module
        Its decoder.
    code_size_ : int
        Numbers in a code.
    sample_shape_ : tuple of int
        Shape of a sample for the network.
    history_ : skorch.history.History
        A row for each epoch: ``epoch``, ``train_loss``, ``valid_loss`` (with
        early stopping), ``lr``, ``dur`` (seconds). ``history_[:, "train_loss"]``
        is a list. Losses are in the network's units: of data divided by their
        root mean squared distance from the mean, unless the output is a sigmoid.
    n_iter_ : int
        Epochs trained.
    n_features_in_ : int
        Number of channels of a series.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of channels, if `X` had names that are all strings.

    See Also
    --------
    AutoencoderOutlierDetector : Outliers among rows, images, or whole sequences.
    skautoencoder.architectures.Conv1d : Convolutions over time.

    Notes
    -----
    For a window :math:`x` of :math:`w` steps and :math:`c` channels, in units of the
    channels, let :math:`\hat x` be the part of its reconstruction along the principal
    axes of reconstructions, :math:`s` what the rest has along the axes on which that
    varies more than noise (by the law of Marchenko and Pastur), and :math:`n` what then
    is left. The squared distance of two windows is

    .. math::

        \frac{1}{w c} \sum_j \Bigl[\sum_t (\hat x_{tj} - \hat x'_{tj})^2
        + (s_{tj} - s'_{tj})^2
        + 9 \bigl(\lVert n_j \rVert - \lVert n'_j \rVert\bigr)^2 \Bigr].

    Two windows of noise are far from each other in every step, so only its size is
    compared.

    A channel's unit is its standard deviation, or, for channels with bursts, that of a
    normal distribution with the same 0.1 % and 99.9 % quantiles, if it is larger.

    Scores are comparable among series of one detector. NaN stand for missing values: a
    gap is filled with what the most similar training window has there, so that a window
    is judged by what is known of it. A window counts by the share of its values that
    are known, and a step in windows without any gets the median score of the training.

    References
    ----------
    Park et al., "PaAno: patch-based representation learning for time-series anomaly
    detection", 2026. Distances of patches from a memory of normal ones.

    Paparrizos et al., "TSB-UAD: an end-to-end benchmark suite for univariate
    time-series anomaly detection", PVLDB 15, 2022. Windows as long as the period.

    Examples
    --------
    >>> import numpy as np
    >>> from skautoencoder import SeriesOutlierDetector
    >>> rng = np.random.RandomState(0)
    >>> series = np.sin(np.arange(1000) * 2 * np.pi / 25) + 0.1 * rng.normal(size=1000)
    >>> series[600:612] = 0.0
    >>> detector = SeriesOutlierDetector(random_state=0).fit(series)
    >>> detector.window_
    25
    >>> int(detector.score_samples(series).argmin()) in range(590, 622)
    True
    """

    _parameter_constraints = {
        **{
            name: constraint
            for name, constraint in BaseAutoencoder._parameter_constraints.items()
            if name != "sample_shape"
        },
        "window": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "stride": [Interval(Integral, 1, None, closed="left")],
        "code_size": CODE_SIZE_OR_AUTO,
        "contamination": [
            StrOptions({"auto"}),
            Interval(Real, 0, 0.5, closed="right"),
        ],
        "novelty": ["boolean"],
        "causal": ["boolean"],
    }

    _fitted_state = (
        *BaseAutoencoder._fitted_state,
        "window_",
        "offset_",
        "_references",
        "_gaps",
        "_neutral_score",
    )
    window_: int
    _references: References
    _gaps: GapFiller
    _neutral_score: float

    # Few steps: the network is to learn what windows have in common, not the outliers.
    _usual_steps = 500
    _fewest_epochs = 2

    def __init__(
        self,
        window: int | str = "auto",
        stride: int = 1,
        code_size: int | str | None = "auto",
        *,
        contamination: float | str = "auto",
        novelty: bool = False,
        causal: bool = False,
        architecture: str | Architecture = "auto",
        loss: str = "mse",
        optimizer: str | type[Optimizer] = "adam",
        lr: float = 3e-3,
        lr_schedule: str = "one_cycle",
        batch_size: int | str = "auto",
        max_epochs: int | str = "auto",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        warm_start: bool = False,
        callbacks: list[Any] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        device: str | torch.device = "auto",
        precision: str = "auto",
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
        **nested: Any,
    ) -> None:
        self.window = window
        self.stride = stride
        self.code_size = code_size
        self.contamination = contamination
        self.novelty = novelty
        self.causal = causal
        self.architecture = architecture
        self.loss = loss
        self.optimizer = optimizer
        self.lr = lr
        self.lr_schedule = lr_schedule
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.device = device
        self.precision = precision
        self.verbose = verbose
        self.random_state = random_state
        self._set_nested_params(nested)

    # ---- fitting -------------------------------------------------------------

    def fit(self, X: ArrayLike, y: object = None, **fit_params: Any) -> Self:
        """Learn what is normal in series.

        Parameters
        ----------
        X : array-like of shape (n_timepoints,) or (n_timepoints, n_channels), or list
            One series, with a row for each time step, or a list of series, from which
            one detector learns. NaN are missing values.
        y : None
            Ignored.
        **fit_params : dict
            None: what training needs are parameters of the estimator.

        Returns
        -------
        self : SeriesOutlierDetector
            The fitted detector.

        Raises
        ------
        TypeError
            If there are `fit_params`; says which parameter it is instead.
        ValueError
            If series or parameters are not what they should be, or the loss
            stops being a finite number. The estimator then is as it was before.
        """
        return super().fit(X, y, **fit_params)

    def _valid_rows(self, X_valid: Any, samples: Any, plan: TrainingPlan) -> Rows:
        raise ValueError(
            "X_valid is not for SeriesOutlierDetector, which learns from windows of "
            "series. Set early_stopping=True, which keeps some of them out of training."
        )

    def _validate(self, X: Any, y: Any, previous: Self | None) -> SeriesSamples:
        given = SeriesInput.check(self, X, is_fitted=previous is not None)
        series = given.values
        require_values(self, series)
        if len(series) == 1:
            warn_of_channels(series[0], getattr(self, "feature_names_in_", None))
        filled = [interpolate(values) for values in series]
        if previous is None:
            self.window_ = self._resolve_window(filled)
        else:
            require_as_before("window", self.window, previous.window_)
            self.window_ = previous.window_
        self._check_stride()
        n_training = [self._n_training(len(values)) for values in series]
        rows = self._training_rows(series, filled, n_training, self._seed(previous))
        sample_shape = (self.window_, series[0].shape[1])
        architecture = self._checked_architecture(sample_shape)
        return SeriesSamples(
            rows=rows,
            data_shape=sample_shape,
            sample_shape=sample_shape,
            architecture=architecture,
            series=series,
            n_training=n_training,
            filled=filled,
        )

    def _resolve_window(self, series: list[Array]) -> int:
        longest = max(map(len, series))
        if longest < 2:
            shape = series[0].shape
            turned = "" if shape[1] == 1 else f" Is X of shape {shape} meant as X.T?"
            raise ValueError(
                f"Found series with {longest} sample(s), n_samples={longest}, but "
                f"{type(self).__name__} needs at least 2 time steps.{turned}"
            )
        window = auto_or(self.window, None) or usual_window(series)
        if window >= longest:
            raise ValueError(
                f"window={window} must be shorter than the longest series, which has "
                f"{longest} time steps. Lower window or use 'auto'."
            )
        return int(window)

    def _check_stride(self) -> None:
        """Raise if there are steps between two windows, which would have no score."""
        if self.stride > self.window_ and not self.causal:
            raise ValueError(
                f"stride={self.stride} leaves steps between windows of "
                f"{self.window_}, where outliers would not be seen. Lower stride to at "
                f"most {self.window_}, or raise window."
            )

    def _n_training(self, n_steps: int) -> int:
        """Return how many of the steps of a series are for training."""
        if not self.novelty:
            return n_steps
        n_kept_out = min(max(round(_KEPT_OUT * n_steps), 1), n_steps - self.window_ - 1)
        return n_steps - max(n_kept_out, 0)

    def _training_rows(
        self,
        series: list[Array],
        filled: list[Array],
        n_training: list[int],
        seed: int,
    ) -> Array:
        """Return windows to train on, in the order of time.

        Those with the fewest interpolated values: up to a tenth, or what the best has.
        """
        places, shares = [], []
        for i, (values, n_steps) in enumerate(zip(series, n_training, strict=True)):
            if n_steps < self.window_:
                continue
            starts = window_starts(n_steps, self.window_, self.stride)
            places.append(np.column_stack((np.full_like(starts, i), starts)))
            shares.append(share_missing(values, starts, self.window_))
        share = np.concatenate(shares)
        kept = np.flatnonzero(share <= max(0.1, float(share.min())))
        n_numbers = self.window_ * series[0].shape[1]
        most = min(_MOST_TRAINING, max(_MOST_NUMBERS // n_numbers, 100))
        if len(kept) > most:
            random_state = np.random.RandomState(seed)
            kept = np.sort(random_state.choice(kept, most, replace=False))
        chosen = np.concatenate(places)[kept]
        return np.concatenate(
            [
                window_rows(values, self.window_)[chosen[chosen[:, 0] == i, 1]]
                for i, values in enumerate(filled)
                if len(values) >= self.window_
            ]
        )

    def _usual_architecture(self, sample_shape: Shape, *, is_ragged: bool) -> str:
        return "dense"

    def _named_architecture(self, name: str) -> Architecture:
        if name == "dense":
            return DENSE_OF_DETECTORS
        return super()._named_architecture(name)

    def _make_plan(self, samples: SeriesSamples, previous: Self | None) -> TrainingPlan:
        code_size = max(min(8, math.prod(samples.sample_shape) // 2), 1)
        return self._usual_plan(samples, previous, auto_or(self.code_size, code_size))

    def _new_units(self, samples: SeriesSamples, value_range: Range) -> Units:
        """Return units in which all channels have the same mean and deviation."""
        units = super()._new_units(samples, (-math.inf, math.inf))
        if units.scaling.offset is None:
            return units
        window, n_channels = samples.sample_shape
        steps = samples.rows.reshape(-1, n_channels)
        mean = steps.mean(axis=0, dtype=np.float64)
        scaling = Scaling(np.tile(mean, window), np.tile(feature_spread(steps), window))
        return replace(units, scaling=scaling)

    def _complete(self, samples: SeriesSamples, plan: TrainingPlan) -> None:
        """Choose the windows to compare with, and determine the threshold."""
        rows, trained = samples.rows, self.trained_network
        embedding = WindowEmbedding.from_rows(
            trained, rows, self.sample_shape_[1], causal=self.causal
        )
        sets = self._draw_sets(len(rows), rows.shape[1])
        self._references = References.from_rows(
            trained, embedding, rows, sets, 1, 1 if self.novelty else _PART_RANK
        )
        self._gaps = GapFiller(plan.data.rows[torch.from_numpy(np.unique(sets))])
        has_kept_out = samples.n_training != [len(values) for values in samples.series]
        scores = np.concatenate(
            [
                self._score_steps(values)[n_training if has_kept_out else 0 :]
                for values, n_training in zip(
                    samples.series, samples.n_training, strict=True
                )
            ]
        )
        scores = scores[~np.isnan(scores)]
        self._neutral_score = float(np.median(scores))
        self.offset_ = offset_of_contamination(scores, self.contamination)

    def _draw_sets(self, n_rows: int, n_numbers: int) -> NDArray[np.intp]:
        """Draw indices of reference windows, of shape (n_parts, part_size)."""
        random_state = np.random.RandomState(self.net_.seed)
        most = min(_MOST_REFERENCES, max(_MOST_NUMBERS // n_numbers, 100))
        # Each part has a whole period, for all of it is normal.
        n_parts = n_rows * self.stride // self.window_
        n_parts = 1 if self.novelty else min(max(n_parts, 1), _N_PARTS, n_rows)
        parts = np.array_split(np.arange(n_rows), n_parts)
        size = min(len(parts[-1]), most // n_parts)
        return np.array(
            [np.sort(random_state.choice(part, size, replace=False)) for part in parts]
        )

    # ---- scores ----------------------------------------------------------------

    def _score_steps(self, values: Array, n_before: int = 0) -> NDArray[np.float64]:
        """Return the scores of the steps of a series; NaN for those nothing tells of.

        Parameters
        ----------
        values : ndarray of shape (n_before + n_timepoints, n_channels)
            The series.
        n_before : int, default=0
            How many of the steps are there for the later ones only.
        """
        measure = partial(self._references.distances, self.trained_network)
        return -self._of_steps(values, n_before, measure)

    def _of_steps(
        self, values: Array, n_before: int, measure: Any
    ) -> NDArray[np.float64]:
        """Return what is measured of windows, for each step of a series.

        Parameters
        ----------
        values : ndarray of shape (n_before + n_timepoints, n_channels)
            The series.
        n_before : int
            How many of the steps are there for the later ones only.
        measure : callable
            Takes windows as rows, and what reads a batch of them, and returns numbers
            of the windows.
        """
        n_steps, window = len(values) - n_before, self.window_
        n_used = min(n_before, window - 1)
        values = values[n_before - n_used :]
        # A causal window ends with its step; before the series all is missing, as
        # after one that is shorter than a window.
        first = window - 1 if self.causal else n_used
        n_front = first - n_used
        n_back = max(window - n_front - len(values), 0)
        if n_front or n_back:
            widths = ((n_front, n_back), (0, 0))
            values = np.pad(values, widths, constant_values=np.nan)
        stride = 1 if self.causal else self.stride
        starts = window_starts(len(values), window, stride)
        rows = window_rows(values, window)
        of_windows = self._measure(rows[::stride], measure)
        if len(of_windows) < len(starts):
            last = self._measure(rows[-1:], measure)
            of_windows = np.concatenate((of_windows, last))
        weights = 1.0 - share_missing(values, starts, window)
        if self.causal:
            of_windows[weights == 0] = np.nan
            return of_windows
        of_steps = mean_over_windows(of_windows, weights, starts, window)
        return of_steps[first : first + n_steps]

    def _measure(self, rows: Array, measure: Any) -> NDArray[np.float64]:
        """Measure windows, with a progress bar if there are many and it is wanted."""
        scaling, gaps = self.trained_network.scaling, self._gaps
        found = []
        starts = range(0, len(rows), _WINDOWS_AT_ONCE)
        bar: Progress | None = None
        if self.verbose and len(starts) > 1:
            bar = Progress(len(starts), "scoring", "part", keeps=True)
        for start in starts:
            some = rows[start : start + _WINDOWS_AT_ONCE]

            def read(part: slice, some: Array = some) -> Tensor:
                return gaps.fill(scaling.to_network(some[part]))

            found.append(measure(some, read))
            if bar is not None:
                bar.update()
        if bar is not None:
            bar.close()
        return np.concatenate(found)

    def _check_series(self, X: Any, before: Any) -> tuple[SeriesInput, list[Array]]:
        """Return series for a fitted detector, and each with what came before it."""
        self._check_fitted()
        self._check_stride()
        given = SeriesInput.check(self, X, is_fitted=True)
        if before is None:
            return given, given.values
        with naming("before"):
            # At the beginning of a stream nothing has come before.
            earlier = SeriesInput.check(self, before, is_fitted=True, least=0)
        if (len(earlier.values), earlier.is_list) != (len(given.values), given.is_list):
            raise ValueError(
                "before must have the steps that come before each series of X: a list "
                "as long as X if X is a list, one series otherwise."
            )
        joined = [
            np.concatenate(pair)
            for pair in zip(earlier.values, given.values, strict=True)
        ]
        return given, joined

    def score_samples(
        self, X: ArrayLike, *, before: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Return minus each time step's distance from the training data.

        Parameters
        ----------
        X : array-like of shape (n_timepoints,) or (n_timepoints, n_channels), or list
            One series, or a list of them.
        before : array-like of the kind of `X`, default=None
            The time steps that come directly before `X`, of which the last
            ``window_ - 1`` are used. With ``causal=True`` the scores of a stream that
            is scored in pieces, each with what came before it, are those of the whole.

        Returns
        -------
        scores : ndarray of shape (n_timepoints,), Series, or list of them
            Never above 0; the lower, the more abnormal. In units of the channels (their
            standard deviations, mostly), as a root mean square over steps and
            channels. A Series with the index of `X` if that is of pandas.
        """
        given, scores = self._scores_of(X, before)
        return given.wrap(scores)

    def _scores_of(
        self, X: Any, before: Any
    ) -> tuple[SeriesInput, list[NDArray[np.float64]]]:
        """Return series as they were given, and the scores of each."""
        given, values = self._check_series(X, before)
        scores = [
            self._score_steps(joined, len(joined) - len(own))
            for joined, own in zip(values, given.values, strict=True)
        ]
        return given, [np.where(np.isnan(s), self._neutral_score, s) for s in scores]

    def decision_function(
        self, X: ArrayLike, *, before: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Return `score_samples` minus the threshold.

        Parameters
        ----------
        X : array-like of shape (n_timepoints,) or (n_timepoints, n_channels), or list
            One series, or a list of them.
        before : array-like of the kind of `X`, default=None
            The time steps before `X`, see :meth:`score_samples`.

        Returns
        -------
        decision : ndarray of shape (n_timepoints,), Series, or list of them
            Negative for outliers.
        """
        given, scores = self._scores_of(X, before)
        return given.wrap([some - self.offset_ for some in scores])

    def predict(
        self, X: ArrayLike, *, before: ArrayLike | None = None
    ) -> NDArray[np.int64]:
        """Tell outliers from normal time steps.

        Parameters
        ----------
        X : array-like of shape (n_timepoints,) or (n_timepoints, n_channels), or list
            One series, or a list of them.
        before : array-like of the kind of `X`, default=None
            The time steps before `X`, see :meth:`score_samples`.

        Returns
        -------
        labels : ndarray of shape (n_timepoints,), Series, or list of them
            -1 for outliers and 1 for others.
        """
        given, scores = self._scores_of(X, before)
        return given.wrap([np.where(s - self.offset_ < 0, -1, 1) for s in scores])

    @available_if(may_predict_training_rows)
    def fit_predict(self, X: ArrayLike, y: object = None) -> NDArray[np.int64]:
        """Fit to series and tell the outliers in them from other time steps.

        Parameters
        ----------
        X : array-like of shape (n_timepoints,) or (n_timepoints, n_channels), or list
            One series, or a list of them.
        y : None
            Ignored.

        Returns
        -------
        labels : ndarray of shape (n_timepoints,), Series, or list of them
            -1 for outliers and 1 for others.
        """
        return self.fit(X).predict(X)

    def explain(self, X: ArrayLike, *, before: ArrayLike | None = None) -> Any:
        """Return how much each channel takes from a time step's score.

        A distance is the root of a sum over the channels; each channel's share of that
        sum, times the distance, is its contribution.

        Parameters
        ----------
        X : array-like of shape (n_timepoints,) or (n_timepoints, n_channels), or list
            One series, or a list of them.
        before : array-like of the kind of `X`, default=None
            The time steps before `X`, see :meth:`score_samples`.

        Returns
        -------
        contributions : ndarray of the shape of `X`, DataFrame, Series, or list of them
            Never above 0; the lower, the more the channel makes the step an outlier.
            Their sum over the channels is the step's `score_samples`.
        """
        given, values = self._check_series(X, before)
        explained = []
        for joined, own in zip(values, given.values, strict=True):
            n_channels = own.shape[1]

            def measure(rows: Array, read: Any, n_channels: int = n_channels) -> Any:
                return self._references.contributions(
                    self.trained_network, rows, read, n_channels
                )

            shares = -self._of_steps(joined, len(joined) - len(own), measure)
            neutral = self._neutral_score / n_channels
            explained.append(np.where(np.isnan(shares), neutral, shares))
        return given.wrap(explained)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = False
        return tags


def require_values(estimator: Any, series: list[Array]) -> None:
    """Raise if a channel has no values in any series, and so nothing to learn from."""
    name = type(estimator).__name__
    for channel in range(series[0].shape[1]):
        if all(np.isnan(values[:, channel]).all() for values in series):
            raise ValueError(
                f"Channel {channel} of X has no values: all are NaN. Leave it out to "
                f"fit {name}."
            )
