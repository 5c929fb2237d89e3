"""Outlier detection with autoencoders."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import false_discovery_control
from sklearn.base import OutlierMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from torch.optim import Optimizer

from skautoencoder._estimator.array_statistics import feature_spread
from skautoencoder._estimator.array_types import Array, Range
from skautoencoder._estimator.base import CODE_SIZE_OR_AUTO, BaseAutoencoder
from skautoencoder._estimator.containers import in_frame_like, is_frame
from skautoencoder._estimator.data_units import Scaling, Units
from skautoencoder._estimator.image_detection import looks_like_image
from skautoencoder._estimator.plan import Samples, TrainingPlan, auto_or
from skautoencoder.architectures import Architecture, Conv, Dense
from skautoencoder.outliers.distance_embedding import (
    Embedding,
    ImageEmbedding,
    TableEmbedding,
)
from skautoencoder.outliers.reference_distances import References
from skautoencoder.outliers.sequence_embedding import SequenceEmbedding
from skautoencoder.outliers.thresholds import (
    conformal_p_values,
    offset_of_contamination,
    offset_of_false_alarms,
)

# Size and number of the sets of reference rows for data with outliers: so few rows
# seldom include an outlier, and the mean over so many sets hides those that do.
_SET_SIZE, _N_SETS = 8, 50
# Most reference rows for clean data.
_MOST_REFERENCES = 10_000
# Share of clean data that is kept out of training to determine the threshold, and the
# fewest rows that tell where it is, of which a third is all that few rows can spare.
_KEPT_OUT, _FEWEST_KEPT_OUT = 0.1, 20
# What detectors mean by architecture="dense".
DENSE_OF_DETECTORS = Dense(hidden_layer_sizes=(64, 32), dropout=0.2)


@dataclass(frozen=True, kw_only=True)
class SplitSamples(Samples):
    """Rows to train on, and others to determine the threshold.

    Parameters
    ----------
    every : ndarray of shape (n_samples, n_features)
        All rows.
    kept_out : ndarray of shape (n_kept_out, n_features)
        The rows among them that are kept out of training.
    """

    every: Array
    kept_out: Array


def may_predict_training_rows(detector: Any) -> bool:
    """Return True, or raise if training rows are taken for normal."""
    if detector.novelty:
        raise AttributeError(
            "fit_predict is not available when novelty=True: training rows are then "
            "taken for normal. Use novelty=False to find outliers among them, or "
            "predict on new rows."
        )
    return True


class AutoencoderOutlierDetector(OutlierMixin, BaseAutoencoder[SplitSamples]):
    r"""Outlier detection with an autoencoder.

    An autoencoder learns what the rows have in common. Each row then has a place:
    what the network makes of it, and what it leaves. A row's score is minus its
    distance from rows of the training data, measured between such places, so it is
    low for rows that the network cannot reconstruct and for rows that it
    reconstructs far away from all others.

    Read more in the :ref:`User Guide <outliers>`.

    Parameters
    ----------
    code_size : int, "auto" or None, default="auto"
        How many numbers the code has. "auto" is half the number of features, at
        least 2 (1 for a single feature) and at most 8, for images 16. None keeps
        the spatial map of a convolutional architecture without hidden layers as the
        code; with :class:`~skautoencoder.architectures.Custom` modules the encoder
        decides.
        Of sequences of different lengths, the last number of a code is the length,
        as a share of the longest in `fit`.
    contamination : float in (0, 0.5] or "auto", default="auto"
        Where the threshold lies. A float is the share of the training rows that
        are outliers. "auto" puts it where boxplots do: at the third quartile of
        the training rows' distances plus 1.5 times the distance between the
        first and the third. With ``novelty=True`` it is about a tenth of the rows
        instead, which are kept out of training for that: at least 20, or a third if
        there are fewer than 60.
    novelty : bool, default=False
        Whether the training rows are all normal. False: they may have outliers
        among them; rows are compared with many small samples of them, in which
        outliers have no neighbours. True: rows are compared with all of them,
        which finds more in data that are clean and less in data that are not.
        As in :class:`~sklearn.neighbors.LocalOutlierFactor`, `fit_predict` is for
        ``novelty=False`` only.
    n_neighbors : int, default=1
        How many of the nearest training rows in each sample the distance is
        averaged over. With ``novelty=True`` more than 1 helps if some of the rows
        are outliers after all.
    calibration_fraction : float in (0, 1), default=None
        Share of the training rows that `fit` keeps out of training for
        :meth:`p_values` and `false_alarm_rate`. None: nothing is kept out.
    false_alarm_rate : float in (0, 1), default=None
        Puts the threshold where at most this share of new normal rows is taken
        for outliers, from the rows of `calibration_fraction`. `contamination`
        then has to be "auto".
    architecture : str or Architecture, default="auto"
        What the network looks like: "dense", "conv" for images, "conv1d" or
        "recurrent" for sequences. "auto" is "conv" for samples with an image
        shape (two lengths of at least 4, which are given as `sample_shape` or
        of which neither is above three times the other; or three), "conv1d"
        for others of two lengths, (n_steps, n_channels) with more than one step,
        and for sequences of different lengths, and "dense" for the rest. "dense" is
        ``Dense((64, 32), dropout=0.2)`` here. An object such as
        ``Dense(hidden_layer_sizes=(64,))`` has parameters that can be set and
        searched as ``architecture__hidden_layer_sizes``; beside a name they can be
        given in the same way.
    sample_shape : tuple of int, default=None
        Shape of one sample for the network: (height, width), (n_channels,
        height, width), (n_steps, n_channels) or (n_features,). Its product is the
        number of features. None: the shape of a sample of `X`; there a flat row
        whose length is a square number is a square image for a convolutional
        architecture, and any other a strip of height 1. In an architecture for
        sequences a flat row has one channel.
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
        Seed of the first weights, the order of the rows, the validation part, and
        the rows that are kept out or compared with. Global generators are neither
        read nor changed.
    **nested : dict
        Parameters of the parts, under skorch's names: ``optimizer__*``,
        ``iterator_train__*``, ``callbacks__*`` and ``architecture__*``.

    Attributes
    ----------
    offset_ : float
        The threshold: rows whose `score_samples` is below it are outliers.
    calibration_scores_ : ndarray of shape (n_calibration,)
        Scores of the rows that were kept out, in ascending order; only with
        `calibration_fraction`.
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
        Number of features of a sample.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features, if `X` had names that are all strings.

    See Also
    --------
    sklearn.ensemble.IsolationForest : Random cuts; no training, no residuals.
    sklearn.neighbors.LocalOutlierFactor : Local density of neighbours.
    AutoencoderTransformer : The codes themselves.

    Notes
    -----
    With a reconstruction :math:`\hat x` and a residual :math:`e = x - \hat x`, the
    distance of two rows of a table is

    .. math::

        \sqrt{\frac{1}{d} \sum_j \left(\frac{\hat x_j - \hat x'_j}{s_j}\right)^2
        + \left(\frac{e_j - e'_j}{2 \sigma_j}\right)^2},

    where :math:`s_j` is the standard deviation of feature :math:`j` and
    :math:`\sigma_j` that of its residual in training. Reconstruction and residual
    add up to the row, so a row far from the data is far away by this distance even
    if the network reconstructs it perfectly, as autoencoders do with rows along the
    directions that they have learnt [1]_. Scores do not depend on the units of a
    table's features.

    Images (samples of several dimensions, and all that a convolutional architecture
    sees) are compared by their whitened codes and by their residuals divided by
    the image's own contrast, for a network reconstructs images with little in them
    well, whatever they show. With codes :math:`z` whitened to unit variance and
    :math:`r = e / \lVert x - b \rVert` for the background :math:`b`, the median
    pixel, the squared distance is

    .. math::

        \frac{2}{k} \sum_i (z_i - z'_i)^2 + (v - v')^2
        + \frac{\lVert r - r' \rVert^2}{\overline{\lVert r \rVert^2}}.

    Here :math:`v` tells images with too little in them, or too much: it is 0 if the
    logarithm of an image's variance is within three standard deviations of the median
    of the training images, and else how many it is beyond. Sequences have no
    background: of them :math:`r = e`, with at least .3 of the usual distance from the
    mean sequence as its root mean square.

    With ``novelty=False`` the score is the mean over 50 samples of 8 rows of the
    distance to the nearest row, after [2]_; with ``novelty=True`` the distance to
    the nearest of up to 10 000 training rows.

    References
    ----------
    .. [1] Bouman and Heskes, "Autoencoders for anomaly detection are unreliable",
       arXiv:2501.13864, 2025.
    .. [2] Pang, Ting and Albrecht, "LeSiNN: detecting anomalies by identifying
       least similar nearest neighbours", ICDM Workshops 2015.
    .. [3] Bates, Candès, Lei, Romano and Sesia, "Testing for outliers with conformal
       p-values", Annals of Statistics 51, 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from skautoencoder import AutoencoderOutlierDetector
    >>> rng = np.random.RandomState(0)
    >>> t = rng.uniform(0, 3, size=(500, 1))
    >>> X = np.hstack([t, t**2, np.sin(t)]) + 0.05 * rng.normal(size=(500, 3))
    >>> detector = AutoencoderOutlierDetector(random_state=0).fit(X)
    >>> detector.predict([[1.0, 1.0, 0.84], [1.0, 8.0, 0.1]])
    array([ 1, -1])
    """

    _parameter_constraints = {
        **BaseAutoencoder._parameter_constraints,
        "code_size": CODE_SIZE_OR_AUTO,
        "contamination": [
            StrOptions({"auto"}),
            Interval(Real, 0, 0.5, closed="right"),
        ],
        "novelty": ["boolean"],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "calibration_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "false_alarm_rate": [Interval(Real, 0, 1, closed="neither"), None],
    }

    _fitted_state = (
        *BaseAutoencoder._fitted_state,
        "offset_",
        "calibration_scores_",
        "_references",
    )
    _references: References

    _takes_ragged = True

    # Few steps: the network is to learn what rows have in common, not the outliers.
    _usual_steps = 500
    _fewest_epochs = 2

    def __init__(
        self,
        code_size: int | str | None = "auto",
        *,
        contamination: float | str = "auto",
        novelty: bool = False,
        n_neighbors: int = 1,
        calibration_fraction: float | None = None,
        false_alarm_rate: float | None = None,
        architecture: str | Architecture = "auto",
        sample_shape: tuple[int, ...] | None = None,
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
        self.code_size = code_size
        self.contamination = contamination
        self.novelty = novelty
        self.n_neighbors = n_neighbors
        self.calibration_fraction = calibration_fraction
        self.false_alarm_rate = false_alarm_rate
        self.architecture = architecture
        self.sample_shape = sample_shape
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

    def _validate(self, X: Any, y: Any, previous: Self | None) -> SplitSamples:
        rows, data_shape, sequences = self._check_samples(X, previous)
        self._check_thresholds()
        training, kept_out = self._split(rows, self._seed(previous))
        samples = self._describe(training, data_shape, sequences, previous)
        return SplitSamples(**vars(samples), every=rows, kept_out=kept_out)

    def _make_plan(self, samples: SplitSamples, previous: Self | None) -> TrainingPlan:
        n_features = math.prod(samples.sample_shape)
        # A single number tells little of two or three features. Of sequences of
        # different lengths one number is the length.
        fewest = min(n_features, 2) if samples.sequences is None else 2
        most = 16 if _sees_images(samples) else 8
        code_size = max(min(most, n_features // 2), fewest)
        return self._usual_plan(samples, previous, auto_or(self.code_size, code_size))

    def _new_units(self, samples: SplitSamples, value_range: Range) -> Units:
        """Return units in which the features of a table have about the same weight.

        So outliers do not depend on the units of features, also if a table happens to
        fill [0, 1]. All pixels of an image have the same unit.
        """
        if _sees_images(samples):
            return super()._new_units(samples, value_range)
        units = super()._new_units(samples, (-math.inf, math.inf))
        if units.scaling.offset is None:
            return units
        scaling = Scaling(units.scaling.offset, _training_units(samples.rows))
        return replace(units, scaling=scaling)

    def _complete(self, samples: SplitSamples, plan: TrainingPlan) -> None:
        """Choose the reference rows, and determine the threshold."""
        training, kept_out = samples.rows, samples.kept_out
        embedding: Embedding
        if _sees_images(samples):
            shape = samples.sample_shape
            n_channels = shape[0] if len(shape) == 3 else 1
            is_ragged = samples.sequences is not None
            kind = SequenceEmbedding if is_ragged else ImageEmbedding
            embedding = kind.from_rows(
                self.trained_network,
                training,
                n_channels,
                are_images=_have_one_background(samples),
            )
        else:
            embedding = TableEmbedding.from_rows(self.trained_network, training)
        self._references = self._make_references(embedding, training)
        kept_out_scores = np.sort(self._score_rows(kept_out))
        if self.calibration_fraction is not None:
            self.calibration_scores_ = kept_out_scores
        else:  # a warm start may go on from a fit that kept rows out
            self.__dict__.pop("calibration_scores_", None)
        if self.false_alarm_rate is not None:
            self.offset_ = offset_of_false_alarms(
                kept_out_scores, self.false_alarm_rate
            )
            return
        # Training rows are among the references with novelty=True: their distances are
        # too small to determine the threshold.
        has_kept_out = self.novelty and len(kept_out)
        scores = kept_out_scores if has_kept_out else self._score_rows(training)
        self.offset_ = offset_of_contamination(scores, self.contamination)
        if self.novelty and self.calibration_fraction is None:
            self._references = self._make_references(embedding, samples.every)

    def _check_thresholds(self) -> None:
        if self.false_alarm_rate is None:
            return
        if self.calibration_fraction is None:
            raise ValueError(
                f"false_alarm_rate={self.false_alarm_rate} needs rows that training "
                "has not seen. Set calibration_fraction, for example to 0.2."
            )
        if self.contamination != "auto":
            raise ValueError(
                f"false_alarm_rate={self.false_alarm_rate} and contamination="
                f"{self.contamination} both set the threshold. Leave contamination "
                "at 'auto', or false_alarm_rate at None."
            )

    def _split(self, rows: Array, seed: int) -> tuple[Array, Array]:
        """Return rows to train on and rows to determine the threshold."""
        n_samples = len(rows)
        if self.calibration_fraction is not None:
            n_kept_out = round(self.calibration_fraction * n_samples)
            if n_kept_out < 1 or n_samples - n_kept_out < 2:
                raise ValueError(
                    f"calibration_fraction={self.calibration_fraction} of {n_samples} "
                    f"samples leaves {n_kept_out} to calibrate with and "
                    f"{n_samples - n_kept_out} to train on. At least 1 and 2 are "
                    "needed."
                )
        elif self.novelty:
            few = min(_FEWEST_KEPT_OUT, n_samples // 3)
            n_kept_out = max(round(_KEPT_OUT * n_samples), few)
        else:
            return rows, rows[:0]
        order = np.random.RandomState(seed).permutation(n_samples)
        return rows[order[n_kept_out:]], rows[order[:n_kept_out]]

    def _make_references(self, embedding: Embedding, rows: Array) -> References:
        return References.from_rows(
            self.trained_network,
            embedding,
            rows,
            self._draw_sets(len(rows)),
            self.n_neighbors,
        )

    def _draw_sets(self, n_rows: int) -> NDArray[np.intp]:
        """Draw indices of reference rows, of shape (n_sets, set_size)."""
        random_state = np.random.RandomState(self.net_.seed)
        if self.novelty:
            return random_state.permutation(n_rows)[np.newaxis, :_MOST_REFERENCES]
        size = min(_SET_SIZE, n_rows)
        # Copied at once: `choice` returns a view of a permutation of all rows.
        sets = np.empty((_N_SETS, size), dtype=np.intp)
        for chosen in sets:
            chosen[:] = random_state.choice(n_rows, size, replace=False)
        return sets

    def _named_architecture(self, name: str) -> Architecture:
        if name == "dense":
            return DENSE_OF_DETECTORS
        return super()._named_architecture(name)

    # ---- scores ----------------------------------------------------------------

    @property
    def references(self) -> References:
        """The reference rows, from which distances are measured."""
        return self._references

    def _score_rows(self, rows: Array) -> NDArray[np.float64]:
        return -self._references.distances(self.trained_network, rows)

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return minus each sample's distance from the training rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples, flat or in the shape that `fit` saw.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Never above 0; the lower, the more abnormal. For tables in standard
            deviations, as a root mean square over the features. A sample's score
            depends on the fitted detector and the sample alone.
        """
        return self._score_rows(self._check_applied(X))

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return `score_samples` minus the threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.

        Returns
        -------
        decision : ndarray of shape (n_samples,)
            Negative for outliers.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Tell outliers from normal samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            -1 for outliers and 1 for others.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    @available_if(may_predict_training_rows)
    def fit_predict(self, X: ArrayLike, y: object = None) -> NDArray[np.int64]:
        """Fit to samples and tell the outliers among them from the others.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training samples.
        y : None
            Ignored.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            -1 for outliers and 1 for others.
        """
        return self.fit(X).predict(X)

    def explain(self, X: ArrayLike) -> Any:
        """Return how much each feature takes from a sample's score.

        A distance is the root of a sum over the features; each feature's share of
        that sum, times the distance, is its contribution. What lies in the code is
        seen through the decoder: two codes differ in the features in which their
        reconstructions do, and by the squares of those differences.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.

        Returns
        -------
        contributions : ndarray of the shape of `X`, or DataFrame
            Never above 0; the lower, the more the feature makes the sample an
            outlier. Their sum over a sample is its `score_samples`. A DataFrame
            with the names and the index of `X` if that is one; for images a map.
        """
        rows = self._check_applied(X)
        contributions = -self._references.contributions(self.trained_network, rows)
        if is_frame(X):
            return in_frame_like(X, contributions, getattr(X, "columns", None))
        if self._record.sequences is not None:
            maps = contributions.reshape(-1, *self._record.data_shape)
            return self._in_form_of(X, maps, rows)
        return contributions.reshape(np.shape(X))

    def p_values(self, X: ArrayLike) -> NDArray[np.float64]:
        r"""Return conformal p-values of the samples being normal.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.

        Returns
        -------
        p_values : ndarray of shape (n_samples,)
            The share of the rows kept out by `calibration_fraction`, with the
            sample itself counted in, that score as low as the sample or lower. If
            those rows and a sample are drawn alike, the p-value is at most
            :math:`\alpha` with a probability of at most :math:`\alpha`, whatever
            the data and however good or bad the network.

        Raises
        ------
        ValueError
            If no rows were kept out.

        References
        ----------
        Bates, Candès, Lei, Romano and Sesia, "Testing for outliers with conformal
        p-values", Annals of Statistics 51, 2023.
        """
        rows = self._check_applied(X)
        if not hasattr(self, "calibration_scores_"):
            raise ValueError(
                "p_values needs rows that training has not seen. Set "
                "calibration_fraction, for example to 0.2, and fit again."
            )
        return conformal_p_values(self._score_rows(rows), self.calibration_scores_)

    def discover(
        self, X: ArrayLike, *, false_discovery_rate: float = 0.1
    ) -> NDArray[np.bool_]:
        """Return which samples are outliers, with few false ones among them.

        Where `predict` looks at each sample alone, this looks at all of them: how
        low a score has to be depends on how many are low.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.
        false_discovery_rate : float in (0, 1), default=0.1
            Which share of the samples found may be normal ones, on average over
            such sets of samples.

        Returns
        -------
        found : ndarray of shape (n_samples,)
            True for the samples found, by the method of Benjamini and Hochberg on
            the :meth:`p_values`.

        Raises
        ------
        ValueError
            If `false_discovery_rate` is not between 0 and 1, or no rows were kept
            out of training (`calibration_fraction`).

        References
        ----------
        Benjamini and Hochberg, "Controlling the false discovery rate", Journal of
        the Royal Statistical Society B 57, 1995. That it holds for conformal
        p-values, which depend on each other: Bates et al., Annals of Statistics 51,
        2023.
        """
        rate = false_discovery_rate
        if not (isinstance(rate, Real) and 0 < rate < 1):
            raise ValueError(
                "false_discovery_rate must be between 0 and 1, both excluded. Got "
                f"{rate!r}."
            )
        adjusted = false_discovery_control(self.p_values(X), method="bh")
        found: NDArray[np.bool_] = adjusted <= false_discovery_rate
        return found


def _sees_images(samples: Samples) -> bool:
    grid_shape = samples.architecture.grid_shape(samples.sample_shape)
    return grid_shape is not None or len(samples.sample_shape) > 1


def _have_one_background(samples: Samples) -> bool:
    """Return whether samples are images, and not sequences, whose channels differ."""
    if isinstance(samples.architecture, Conv):
        return True
    may_be = not samples.architecture.takes_ragged
    return may_be and looks_like_image(samples.sample_shape, given=False)


def _training_units(rows: Array) -> NDArray[np.float64]:
    """Return the divisor of each feature for the network.

    It is the geometric mean of standard deviation and range, rescaled. Divided by the
    standard deviation alone, features that seldom differ from their usual value, such
    as indicators of rare categories, would dominate training.
    """
    spread = feature_spread(rows)
    # The range of finite float32 may be infinite in float32.
    extent = np.subtract(rows.max(axis=0), rows.min(axis=0), dtype=np.float64)
    extent = np.maximum(extent, spread)
    units = np.sqrt(spread) * np.sqrt(extent)
    mean_square: float = np.square(spread / units).mean()
    scaled: NDArray[np.float64] = units * np.sqrt(mean_square)
    return scaled
