"""An autoencoder that fills missing values."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import TransformerMixin
from sklearn.utils import Tags
from sklearn.utils._param_validation import MissingValues
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_feature_names_in
from torch import Tensor
from torch.optim import Optimizer

from skautoencoder._estimator.array_types import (
    Array,
    Mask,
    Range,
    Rows64,
    Shape,
)
from skautoencoder._estimator.base import CODE_SIZE_OR_AUTO, BaseAutoencoder
from skautoencoder._estimator.data_units import Units
from skautoencoder._estimator.image_detection import looks_like_image
from skautoencoder._estimator.plan import (
    Recipe,
    Samples,
    TrainingPlan,
    ample_code_size,
    auto_or,
    network_recipe,
)
from skautoencoder._estimator.sample_validation import check_fits
from skautoencoder._estimator.user_warnings import warn_user
from skautoencoder.architectures import Architecture, Conv, Dense
from skautoencoder.architectures.conv import as_image_shape
from skautoencoder.imputation.feature_statistics import FeatureStatistics
from skautoencoder.imputation.images import ImageFilling
from skautoencoder.imputation.tables import (
    Fold,
    TableFilling,
    rows_to_learn_from,
    start_filling,
    weigh_guesses,
)
from skautoencoder.objectives import MaskedObjective
from skautoencoder.training import (
    Rows,
    apply_in_batches,
    n_training_rows,
    one_thread,
)

_ROWS_TOGETHER = 4096


@dataclass(frozen=True, kw_only=True)
class IncompleteSamples(Samples):
    """Samples with holes, and first guesses for the missing values.

    Parameters
    ----------
    observed : ndarray of bool of shape (n_samples, n_features)
        Which values are not missing.
    image_shape : tuple of int or None
        (n_channels, height, width) of images; None for tables.
    statistics : FeatureStatistics
        Statistics of the observed values.
    indicator : MissingIndicator or None
        Returns flags for holes, with ``add_indicator=True``.
    filling : TableFilling or None
        Fills a table, at first without a network; None for images.
    folds : list of Fold
        Rows of a table with further values hidden, which the network learns to guess.
    """

    observed: Mask
    image_shape: tuple[int, int, int] | None
    statistics: FeatureStatistics
    indicator: Any
    filling: TableFilling | None
    folds: list[Fold]

    @property
    def wanted(self) -> Array:
        """The samples, with means in their holes."""
        return self.statistics.fill(self.rows, self.observed)

    @property
    def value_range(self) -> Range:
        """Lowest and highest observed value."""
        return float(self.statistics.low.min()), float(self.statistics.high.max())


class AutoencoderImputer(TransformerMixin, BaseAutoencoder[IncompleteSamples]):
    """Fill missing values with what an autoencoder makes of the others.

    In a table, a normal distribution fitted to the observed values makes a first
    guess at each missing one. A denoising autoencoder, shown the row and which of
    its values are guesses, says what has to be added; so do the most similar
    rows. How far each is believed is decided on observed values that were hidden
    from all of them. In images the network fills the holes by itself: while it
    learns, further holes are made in the images, and it learns to fill those.

    The network learns from observed values alone, and what was observed comes
    back as it was, to the last bit.

    Read more in the :ref:`User Guide <imputation>`.

    Parameters
    ----------
    missing_values : int, float, np.nan or pandas.NA, default=np.nan
        What stands where a value is missing. NaN is an error if it is another.
    add_indicator : bool, default=False
        Whether `transform` appends a column of 0 and 1 for each feature that had
        missing values in `fit`. For tables.
    keep_empty_features : bool, default=False
        Whether features that were never observed in `fit` are returned, as 0,
        and not left out. In N-D samples they always are.
    code_size : int, "auto" or None, default="auto"
        How many numbers the code has. It may be longer than a row: the network
        cannot copy what it does not see. "auto" keeps the spatial map of a
        convolutional architecture without hidden layers, as None does, and is 128
        elsewhere.
    architecture : str or Architecture, default="auto"
        What the network looks like: "dense", "conv" for images, "conv1d" or
        "recurrent" for sequences. "auto" is "conv" for samples with an image
        shape (two lengths of at least 4, which are given as `sample_shape` or
        of which neither is above three times the other; or three), which is
        ``Conv(residual=True, skip_connections=True)`` here, a U-Net, unless
        `code_size` is a number; "conv1d" for others of two lengths, (n_steps,
        n_channels) with more than one step; and "dense", with one hidden layer of
        256 "silu" units each way, for the rest. An object such as
        ``Dense(hidden_layer_sizes=(64,))`` has parameters that can be set and
        searched as ``architecture__hidden_layer_sizes``; beside a name they can
        be given in the same way. The network is shown a flag for each value as
        well, after the values: twice the features, or twice the channels.
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
        Passes over the rows to learn from, of which a table gives four for each
        of its own, with other values hidden. "auto" is as many as make about
        2000 steps, fewer in tables with more than 32 features, and 3 to 10; for
        images as many as make about 4000 steps, 8 to 200.
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
        Seed of the first weights, the order of the rows, and the validation
        part. Global generators are neither read nor changed.
    **nested : dict
        Parameters of the parts, under skorch's names: ``optimizer__*``,
        ``iterator_train__*``, ``callbacks__*`` and ``architecture__*``.

    Attributes
    ----------
    statistics_ : ndarray of shape (`n_features_in_`,)
        Mean of the observed values of each feature. Where there were none, 0 if
        the feature is returned and NaN if it is left out.
    weights_ : dict or None
        How far the "network" and the "neighbors" are believed in a table, from 0
        to 1. None for images.
    indicator_ : MissingIndicator or None
        Makes the flags, with ``add_indicator=True``.
    net_ : AutoencoderNet
        The trained skorch net; ``net_.module_`` is the torch module.
    encoder_ : torch.nn.Module
        Its encoder, see :ref:`the guide <encoder_decoder>`.
    decoder_ : torch.nn.Module
        Its decoder.
    code_size_ : int
        Numbers in a code.
    sample_shape_ : tuple of int
        Shape of a sample.
    history_ : skorch.history.History
        A row for each epoch: ``epoch``, ``train_loss``, ``valid_loss`` (with
        early stopping), ``lr``, ``dur`` (seconds). Losses are in the network's
        units; of a table, in variances of a feature.
    n_iter_ : int
        Epochs trained.
    n_features_in_ : int
        Number of features of a sample.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features, if `X` had names that are all strings.

    See Also
    --------
    sklearn.impute.SimpleImputer : Fills with the mean of a feature.
    sklearn.impute.KNNImputer : Fills with the mean of the nearest rows.
    sklearn.impute.IterativeImputer : Fills with linear regressions on the other
        features.

    Notes
    -----
    In a table each feature is divided by its own standard deviation first: the
    answer does not depend on units, and scalers are not needed. No guess lies
    outside of what was observed of a feature. Values are taken to be missing at
    random; where a value is missing because of what it is, no imputer that looks
    at the others alone can know.

    In a table `loss` compares what is to be added to a first guess, so "bce" is for
    images. `random_state` draws the values that are hidden, too.

    For images with pixels in [0, 1], ``loss="bce"`` learns faster. ``Conv()`` trains
    faster than the default network and fills holes less well.

    A distribution is fitted to at most ``max(2000, 40 * n_features)`` rows, rows
    are compared with at most 2000, and a network learns from 20 000 or, with few
    features, from some more; so time grows slowly with the number of rows.

    References
    ----------
    Vincent, Larochelle, Bengio and Manzagol, "Extracting and composing robust
    features with denoising autoencoders", ICML 2008.
    Gondara and Wang, "MIDA: multiple imputation using denoising autoencoders",
    PAKDD 2018.
    Pathak, Krähenbühl, Donahue, Darrell and Efros, "Context encoders: feature
    learning by inpainting", CVPR 2016.
    Little and Rubin, "Statistical analysis with missing data", Wiley 2002.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_wine
    >>> from skautoencoder import AutoencoderImputer
    >>> X, _ = load_wine(return_X_y=True)
    >>> X_holes = X.copy()
    >>> X_holes[np.random.RandomState(0).rand(*X.shape) < 0.2] = np.nan
    >>> imputer = AutoencoderImputer(random_state=0)
    >>> X_filled = imputer.fit_transform(X_holes)
    >>> bool(np.isnan(X_filled).any())
    False
    >>> observed = ~np.isnan(X_holes)
    >>> bool((X_filled == X)[observed].all())
    True
    """

    _parameter_constraints = {
        **BaseAutoencoder._parameter_constraints,
        "missing_values": [MissingValues(numeric_only=True)],
        "add_indicator": ["boolean"],
        "keep_empty_features": ["boolean"],
        "code_size": CODE_SIZE_OR_AUTO,
    }

    _fitted_state = (
        *BaseAutoencoder._fitted_state,
        "statistics_",
        "indicator_",
        "_statistics",
        "_filling",
    )
    _statistics: FeatureStatistics
    _filling: TableFilling | ImageFilling

    def __init__(
        self,
        *,
        missing_values: Any = np.nan,
        add_indicator: bool = False,
        keep_empty_features: bool = False,
        code_size: int | str | None = "auto",
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
        self.missing_values = missing_values
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.code_size = code_size
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

    def fit(self, X: ArrayLike, y: object = None, **fit_params: Any) -> Self:
        """Learn to fill holes from what is observed.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training samples with missing values: flat, or images of shape
            (n_samples, height, width) or (n_samples, n_channels, height, width).
        y : None
            Ignored.
        **fit_params : dict
            None: what training needs are parameters of the imputer.

        Returns
        -------
        self : AutoencoderImputer
            The fitted imputer.

        Raises
        ------
        TypeError
            If there are `fit_params`; says which parameter it is instead.
        ValueError
            If nothing is observed, if samples or parameters are not what they
            should be, or if the loss stops being a finite number. The imputer
            then is as it was before.
        """
        return super().fit(X, y, **fit_params)

    def _valid_rows(self, X_valid: Any, samples: Any, plan: TrainingPlan) -> Rows:
        raise ValueError(
            "X_valid is not for AutoencoderImputer, which learns from values that it "
            "hides itself. Set early_stopping=True, which keeps samples out of "
            "training."
        )

    def _validate(self, X: Any, y: Any, previous: Self | None) -> IncompleteSamples:
        rows, data_shape = self._check_rows(X, previous)
        observed = ~self._is_missing(rows)
        samples = self._describe(rows, data_shape, None, previous)
        image_shape = self._image_shape(samples)
        statistics = FeatureStatistics.from_rows(rows, observed)
        if not observed.any():
            raise ValueError(
                f"X has no observed value: all of its {rows.size} entries equal "
                f"missing_values={self.missing_values!r}. Pass data of which at "
                "least one entry is known, or check missing_values."
            )
        filling: TableFilling | None = None
        folds: list[Fold] = []
        if image_shape is None:
            random = np.random.RandomState(self._seed(previous))
            filling, folds = start_filling(rows, observed, statistics, random)
        return IncompleteSamples(
            **vars(samples),
            observed=observed,
            image_shape=image_shape,
            statistics=statistics,
            indicator=self._fit_indicator(rows, data_shape),
            filling=filling,
            folds=folds,
        )

    def _image_shape(self, samples: Samples) -> tuple[int, int, int] | None:
        """Return the shape of a sample if samples are images, None for tables."""
        architecture, shape = samples.architecture, samples.sample_shape
        given = self.sample_shape is not None
        grid_shape = architecture.grid_shape(shape)
        if grid_shape is not None or looks_like_image(shape, given=given):
            return grid_shape or as_image_shape(shape)
        if self.loss == "bce" or architecture.output_activation == "sigmoid":
            what = "loss='bce'" if self.loss == "bce" else "A sigmoid output"
            raise ValueError(
                f"{what} is for images in [0, 1]. What the network adds to a first "
                "guess in a table may have any sign: use loss='mse', 'l1' or 'huber' "
                "and output_activation='auto', or give sample_shape=(height, width)."
            )
        return None

    def _make_plan(
        self, samples: IncompleteSamples, previous: Self | None
    ) -> TrainingPlan:
        if samples.image_shape is None:
            return self._plan_of_table(samples)
        return self._plan_of_images(samples, samples.image_shape, previous)

    def _plan_of_table(self, samples: IncompleteSamples) -> TrainingPlan:
        """Return the plan in which the network corrects a normal distribution."""
        units = Units()
        data = rows_to_learn_from(samples.folds[:-1])
        n_features = math.prod(samples.sample_shape)
        code_size = auto_or(self.code_size, ample_code_size(samples.architecture))
        schedule = self._usual_schedule(len(data), samples)
        n_rows = n_training_rows(len(data), schedule.validation_fraction)
        # Fewer epochs for wide tables: steps take longer, and overfitting starts early.
        n_epochs = 2000 * min(1.0, 32 / n_features) * schedule.batch_size / n_rows
        max_epochs = auto_or(self.max_epochs, int(np.clip(n_epochs, 3, 10)))
        return TrainingPlan(
            network_recipe(samples.architecture, (2 * n_features,), code_size, units),
            Recipe(MaskedObjective, {"loss": self.loss}),
            data,
            units,
            replace(schedule, max_epochs=max_epochs),
        )

    def _new_units(self, samples: IncompleteSamples, value_range: Range) -> Units:
        """Return units for images and the flags of their holes."""
        units = super()._new_units(samples, value_range)
        if units.center is None:
            return units
        missing = torch.from_numpy(1 - samples.observed.mean(axis=0)).float()
        return replace(units, center=torch.cat([units.center, missing]))

    def _plan_of_images(
        self,
        samples: IncompleteSamples,
        image_shape: tuple[int, int, int],
        previous: Self | None,
    ) -> TrainingPlan:
        """Return the plan in which the network fills holes that are made in images."""
        rows, architecture = samples.rows, samples.architecture
        units = self._units(samples, previous)
        filling = ImageFilling(samples.statistics, units.scaling)
        n_channels, *lengths = image_shape
        code_size = auto_or(self.code_size, ample_code_size(architecture))
        return TrainingPlan(
            network_recipe(architecture, (2 * n_channels, *lengths), code_size, units),
            Recipe(
                MaskedObjective,
                {
                    "loss": self.loss,
                    "hole_shape": image_shape,
                    "background": filling.background,
                },
            ),
            filling.rows_to_learn_from(rows, samples.observed),
            units,
            self._usual_schedule(len(rows), samples),
        )

    def _complete(self, samples: IncompleteSamples, plan: TrainingPlan) -> None:
        """Choose the weights of network and neighbours; set the fitted attributes."""
        if samples.filling is None:
            self._filling = ImageFilling(samples.statistics, plan.units.scaling)
        else:
            judging = samples.folds[-1]  # not used in training
            self._filling = weigh_guesses(samples.filling, judging, self._answer)
        self._statistics, self.indicator_ = samples.statistics, samples.indicator
        self.statistics_ = np.where(self._is_kept, self._statistics.mean, np.nan)

    def _named_architecture(self, name: str) -> Architecture:
        if name == "dense":
            # Wide enough for the network to use the flags together with the values.
            return Dense(hidden_layer_sizes=(256,), activation="silu")
        if name == "conv" and self.code_size in ("auto", None):
            # Skip connections let details around a hole bypass the small maps.
            return Conv(residual=True, skip_connections=True)
        return super()._named_architecture(name)

    # ---- filling -------------------------------------------------------------

    def _guess(self, rows: Array, missing: Mask) -> Rows64:
        """Return guesses for all entries of rows, used where values are missing."""
        statistics = self._statistics
        observed = ~missing & ~statistics.is_empty
        if isinstance(self._filling, ImageFilling):
            guess = self._filling.fill(rows, observed, self._apply)
        else:
            standard = statistics.to_standard(rows, observed)
            answer = self._filling.fill(standard, observed, self._answer)
            guess = statistics.from_standard(answer)
        return statistics.limit(guess, observed)

    def _answer(self, shown: Tensor) -> Rows64:
        return self._apply(shown).double().numpy()

    def _apply(self, shown: Tensor) -> Tensor:
        """Return the network's output for values and flags."""
        network = self.net_.module_
        n_features = shown.shape[1] // 2
        answers = torch.empty(len(shown), n_features, dtype=torch.float32)

        def write(part: slice, result: Tensor) -> None:
            answers[part] = result[:, :n_features]

        apply_in_batches(
            network,
            network,
            shown.__getitem__,
            write,
            n_samples=len(shown),
            n_features=shown.shape[1],
            n_numbers=shown.shape[1],
            work=self._record.work,
            at_once=network.is_thread_safe(),
            progress=type(self).__name__ if self.verbose else "",
        )
        return answers

    # ---- attributes ----------------------------------------------------------

    @property
    def weights_(self) -> dict[str, float] | None:
        """Weights of the network and the neighbours in a table."""
        self._check_fitted()
        if isinstance(self._filling, ImageFilling):
            return None
        return dict(zip(("network", "neighbors"), self._filling.weights, strict=True))

    # ---- missing values ------------------------------------------------------

    def _check_rows(self, X: Any, previous: Self | None) -> tuple[Array, Shape]:
        finite = "allow-nan" if self._marks_nan else True
        return self._check_samples(X, previous, ensure_all_finite=finite)[:2]

    def _is_missing(self, rows: Array) -> Mask:
        if self._marks_nan:
            return np.isnan(rows)
        is_missing: Mask = rows == self.missing_values
        return is_missing

    @property
    def _marks_nan(self) -> bool:
        """Whether NaN marks missing values, as it does if they are pandas.NA."""
        mark = self.missing_values
        return not isinstance(mark, Real) or math.isnan(mark)

    def _fit_indicator(self, rows: Array, data_shape: Shape) -> Any:
        """Return the fitted indicator of holes, None without ``add_indicator``."""
        if not self.add_indicator:
            return None
        if len(data_shape) > 1:
            raise ValueError(
                "add_indicator=True is for tables: flags have no place in samples of "
                f"shape {data_shape}. Set it to False, or pass rows of shape "
                "(n_samples, n_features) and sample_shape."
            )
        # Imported here, as it imports much of scikit-learn and would slow our import.
        from sklearn.impute import MissingIndicator

        indicator = MissingIndicator(
            missing_values=np.nan if self._marks_nan else self.missing_values,
            error_on_new=False,
        )
        with np.errstate(invalid="ignore"):  # sums of large values may be NaN
            return indicator.fit(rows)

    # ---- what comes out ------------------------------------------------------

    def fit_transform(self, X: ArrayLike, y: object = None, **fit_params: Any) -> Any:
        """Fit to samples and fill their holes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training samples.
        y : object, default=None
            Ignored: a Pipeline hands its targets to each of its steps.
        **fit_params : dict
            Passed to `fit`.

        Returns
        -------
        filled : ndarray of shape (n_samples, n_features_out) or (n_samples, ...)
            The samples without holes, see `transform`.
        """
        return super().fit_transform(X, **fit_params)

    @one_thread()
    def transform(self, X: ArrayLike) -> Array:
        """Fill the holes of samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples with missing values.

        Returns
        -------
        filled : ndarray of shape (n_samples, n_features_out) or (n_samples, ...)
            The samples without holes. What was observed is what it was, to the
            last bit. A sample of which nothing is observed becomes the mean of
            what `fit` observed. Features that `fit` never observed are left out,
            or 0 with ``keep_empty_features=True`` and in N-D samples. With
            ``add_indicator=True`` columns of flags follow.
        """
        self._check_fitted()
        self._check_output()
        rows, data_shape = self._check_rows(X, self)
        missing = self._is_missing(rows)
        filled = rows.copy()
        with_holes = np.flatnonzero(missing.any(axis=1))
        for i in range(0, len(with_holes), _ROWS_TOGETHER):
            part = with_holes[i : i + _ROWS_TOGETHER]
            guess = self._guess(rows[part], missing[part])
            with np.errstate(over="ignore"):
                filled[part] = np.where(missing[part], guess, rows[part])
            check_fits(filled[part], type(self).__name__)
        if len(data_shape) > 1:
            return filled.reshape(len(filled), *data_shape)
        if not self._is_kept.all():
            left_out = list(_check_feature_names_in(self, None)[~self._is_kept])
            warn_user(
                "Features without any observed values in fit are left out: "
                f"{left_out}. With keep_empty_features=True they are returned, as 0.",
            )
            filled = filled[:, self._is_kept]
        if self.indicator_ is None:
            return filled
        flags = missing[:, self.indicator_.features_]
        return np.concatenate([filled, flags.astype(filled.dtype)], axis=1)

    def _check_output(self) -> None:
        """Raise if `set_output` asks for a frame of images."""
        container = _get_output_config("transform", self)["dense"]
        if len(self._record.data_shape) > 1 and container != "default":
            raise ValueError(
                f"transform_output={container!r} cannot hold samples of shape "
                f"{self._record.data_shape}. Ask for arrays, with "
                "set_output(transform='default'), or pass flat rows of shape "
                "(n_samples, n_features) and sample_shape."
            )

    @property
    def _is_kept(self) -> Mask:
        """Mask of the features that are returned; of images, all."""
        if self.keep_empty_features or len(self._record.data_shape) > 1:
            return np.ones_like(self._statistics.is_empty)
        kept: Mask = ~self._statistics.is_empty
        return kept

    def get_feature_names_out(
        self, input_features: ArrayLike | None = None
    ) -> NDArray[np.object_]:
        """Return the names of the columns that `transform` returns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the features of `X`. None: ``feature_names_in_``, or "x0",
            "x1" and so on.

        Returns
        -------
        names : ndarray of str
            The names of the features that are kept, and with
            ``add_indicator=True`` ``missingindicator_`` and the name of each
            feature that had missing values in `fit`.
        """
        self._check_fitted()
        names = _check_feature_names_in(self, input_features)
        kept = names[self._is_kept]
        if self.indicator_ is None:
            return kept
        flags = self.indicator_.get_feature_names_out(names)
        return np.concatenate([kept, flags])

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._marks_nan
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
