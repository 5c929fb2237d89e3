"""A variational autoencoder: new rows that look like the data, and likelihoods."""

from __future__ import annotations

import os
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils._set_output import _wrap_data_with_container
from torch.optim import Optimizer

from skautoencoder._estimator.array_types import Array, Range, Shape
from skautoencoder._estimator.base import BaseAutoencoder
from skautoencoder._estimator.containers import in_frame_like, is_frame
from skautoencoder._estimator.data_units import Units
from skautoencoder._estimator.input_hints import naming
from skautoencoder._estimator.interpolation import (
    as_samples,
    check_count,
    codes_between,
    require_one,
)
from skautoencoder._estimator.parameter_hints import require_as_before
from skautoencoder._estimator.plan import Recipe, TrainingPlan
from skautoencoder._estimator.sample_validation import (
    check_codes,
    float_types,
    from_torch,
    warn_of_ignored_samples,
)
from skautoencoder._estimator.sample_weights import check_sample_weight
from skautoencoder.architectures import Architecture, Dense
from skautoencoder.objectives import VariationalObjective
from skautoencoder.sampling.classes import Classes, numbers_of_classes, one_hot
from skautoencoder.sampling.generative_model import GenerativeModel
from skautoencoder.sampling.plan import (
    SampledRows,
    check_range,
    learn_likelihood,
    variational_recipe,
)
from skautoencoder.sampling.priors import (
    NormalPrior,
    Prior,
    fit_mixtures,
    sample_codes,
)
from skautoencoder.sampling.row_conversion import (
    ArrayFormat,
    TableFormat,
    check_table,
    learn_format,
)
from skautoencoder.training import Rows, draw_seed, drawn_by_weight

# A unit is inactive if the variance of its posterior mean over the data is lower.
_ACTIVE_VARIANCE = 0.01


class VAESampler(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseAutoencoder[SampledRows]
):
    """Draw new rows that look like the data, and say how likely a row is.

    A variational autoencoder: an encoder network turns each row into a normal
    distribution of codes, its posterior; a decoder network turns codes into
    distributions of rows; and both are trained to make the data likely while the
    posteriors stay near a prior, from which new codes are drawn. Like
    :class:`~sklearn.neighbors.KernelDensity` and
    :class:`~sklearn.mixture.GaussianMixture` it has `sample` and `score_samples`.

    The rows may be images, arrays of numbers, or tables with categorical, boolean,
    integer and float columns. They come back as they came in: a DataFrame of pandas
    or polars with the same columns, types and levels, an array with the same type.

    Read more in the :ref:`User Guide <sampling>`.

    Parameters
    ----------
    code_size : int or "auto", default="auto"
        How many numbers the code has. "auto" is 32 for arrays and images, of which
        those that are not needed fall silent, see `n_active_units_`; and 8 for
        tables; or less where a row has fewer numbers.
    architecture : str or Architecture, default="auto"
        What the network looks like: "dense", "conv" for images, "conv1d" or
        "recurrent" for sequences. "auto" is "conv" for samples with an image
        shape (two lengths of at least 4, which are given as `sample_shape` or
        of which neither is above three times the other; or three), "conv1d"
        for others of two lengths, (n_steps, n_channels) with more than one step,
        and "dense", with hidden layers of 128 and 128 "silu" units each way, for
        the rest. An
        object such as ``Dense(hidden_layer_sizes=(64,))`` has parameters that
        can be set and searched as ``architecture__hidden_layer_sizes``; beside
        a name they can be given in the same way.
    sample_shape : tuple of int, default=None
        Shape of one sample for the network: (height, width), (n_channels,
        height, width), (n_steps, n_channels) or (n_features,). Its product is the
        number of features. None: the shape of a sample of `X`; there a flat row
        whose length is a square number is a square image for a convolutional
        architecture, and any other a strip of height 1. In an architecture for
        sequences a flat row has one channel.
    likelihood : {"auto", "bernoulli", "gaussian"}, default="auto"
        What the decoder's answers stand for. "bernoulli": the probability that a
        value is 1; values between 0 and 1 are taken for probabilities, of which
        training draws ones and zeros anew for each batch. "gaussian": the mean of a
        normal distribution, whose variance is learnt. "auto": for tables, each
        column is what it is, see Notes; for images and rows of more than 200 values
        "bernoulli" if they lie in [0, 1] and span at least half of it, and
        "gaussian" otherwise. Pixels that are integers lie between 0 and the
        brightest, 255 or 65535 if they make use of it, and count as if divided by
        that; in flat rows uint8 alone is taken for pixels. Tables are 2-D data for a
        dense architecture without `sample_shape`.
    variance : {"per_feature", "shared"}, default="per_feature"
        Whether each feature of the "gaussian" likelihood has a variance of its own.
        "shared" is the model of probabilistic PCA.
    beta : float, default=1.0
        What the divergence of the posteriors from the prior is multiplied by in
        training. 1 is the bound of the likelihood; less lets the code say more.
    kl_warm_up : float in [0, 1], default=0.2
        Share of the fit over which `beta` rises from 0, which keeps units of the
        code from falling silent before they have said anything.
    prior : {"mixture", "normal"}, default="mixture"
        What codes are drawn from in `sample`, and expected to come from in
        `score_samples`: a mixture of normal distributions that is fitted to the
        codes of the training rows after training, or the standard normal
        distribution that they were drawn to in training.
    n_importance_samples : int, default=100
        Codes that `score_samples` draws for each row. More are closer to the
        log-likelihood, from below on average.
    conditional : bool, default=False
        Whether the decoder is told the class of a row: ``fit(X, y)``, then
        ``sample(n_samples, y=...)``.
    categorical_features : "from_dtype" or array-like, default="from_dtype"
        Columns of a table whose numbers are names of categories: a boolean mask,
        indices, or column names. "from_dtype" and None: none but those whose dtype
        says so, which are the columns of a DataFrame with categories, strings,
        objects or booleans.
    optimizer : str or torch.optim.Optimizer subclass, default="adam"
        "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "asgd",
        "lbfgs", "nadam", "radam", "rmsprop", "rprop", "sgd", or a class. Its own
        parameters are given as ``optimizer__weight_decay=1e-4``. "betas" of
        "adam", "adamw" and "nadam" are torch's own: drawn codes make gradients
        noisy.
    lr : float, default=1e-2
        Highest learning rate of the fit.
    lr_schedule : {"one_cycle", "cosine", "constant"}, default="one_cycle"
        How the learning rate goes through a fit: up over the first tenth and
        down along a cosine, only down, or not at all.
    batch_size : int or "auto", default="auto"
        Rows a step. "auto" is a power of two from 32 to 128 that grows with the
        number of samples, twice as large where images of at most 8×8 pixels are
        convolved; for tables 64, from 500 samples on 128, and from 2000 on
        256. More than there are is clipped, with a warning.
    max_epochs : int or "auto", default="auto"
        Passes over the training data. "auto" is at least 8, and as many as make
        about 4000 steps, or 1500 where images of at most 8×8 pixels are convolved;
        of tables, 1.4 steps for each row, at least 1000, and at most those in which
        384 000 rows are shown; of tables of up to three columns, 14 for each row, and
        768 000. There, one of categories counts as many as it has.
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
        the codes that `score_samples` draws, which are the same at every call.
        Global generators are neither read nor changed.
    **nested : dict
        Parameters of the parts, under skorch's names: ``optimizer__*``,
        ``iterator_train__*``, ``callbacks__*`` and ``architecture__*``.

    Attributes
    ----------
    n_active_units_ : int
        Numbers of the code that say something: those whose posterior mean has a
        variance above 0.01 over the training rows. 0 is a collapsed posterior.
    likelihood_ : {"bernoulli", "gaussian", "columns"}
        What ``likelihood="auto"`` stood for.
    column_kinds_ : dict of str or None
        What each column of a table was taken for, by its name or index:
        "categorical", one of several levels; "discrete", a number that takes only the
        values of `fit`; "continuous", any number; "mixed", a continuous one with
        values that many rows have. None for rows that are no table.
    classes_ : ndarray of shape (n_classes,)
        The classes, with ``conditional=True``.
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
        early stopping), ``lr``, ``dur`` (seconds). Losses are minus the evidence
        lower bound (ELBO) of a row in the network's units, in nats:
        ``train_reconstruction`` plus ``train_kl`` times `beta`, or less than that
        during the warm-up; the same with ``valid_``.
    n_iter_ : int
        Epochs trained.
    n_features_in_ : int
        Number of features of a sample.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features, if `X` had names that are all strings.

    See Also
    --------
    VAEOverSampler : Balances classes with rows drawn like this.
    AutoencoderTransformer : Codes, without a distribution.
    sklearn.neighbors.KernelDensity : A normal distribution around each row.
    sklearn.mixture.GaussianMixture : A few normal distributions.
    sklearn.decomposition.PCA : The same with linear networks: probabilistic PCA.

    Notes
    -----
    In tables each column is modelled as what it is. Categories, booleans, strings,
    and numbers that take few values have a probability for each level that was
    seen, and no others are drawn: they go out as exactly as they came in. Other
    numbers are brought to a normal distribution by a smooth curve that follows their
    own, so that several modes and heavy tails are no matter, and are drawn with
    noise, so that no row is a copy; integers are
    rounded. Log-likelihoods are then log-densities where columns are continuous and
    log-probabilities where they are not.

    With one linear layer each way, ``Dense(())``, and ``likelihood="gaussian",
    variance="shared"`` the optimum is probabilistic PCA, and `score` that of
    :class:`~sklearn.decomposition.PCA` [5]_.

    References
    ----------
    .. [1] Kingma and Welling, "Auto-encoding variational Bayes", ICLR 2014.
    .. [2] Rezende, Mohamed and Wierstra, "Stochastic backpropagation and
       approximate inference in deep generative models", ICML 2014.
    .. [3] Burda, Grosse and Salakhutdinov, "Importance weighted autoencoders",
       ICLR 2016.
    .. [4] Sohn, Lee and Yan, "Learning structured output representation using deep
       conditional generative models", NeurIPS 2015.
    .. [5] Lucas, Tucker, Grosse and Norouzi, "Don't blame the ELBO! A linear VAE
       perspective on posterior collapse", NeurIPS 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skautoencoder import VAESampler
    >>> X = load_iris(as_frame=True).data
    >>> sampler = VAESampler(max_epochs=20, random_state=0).fit(X)
    >>> sampler.sample(2, random_state=0).columns.equals(X.columns)
    True
    >>> sampler.score_samples(X).shape
    (150,)
    """

    _parameter_constraints = {
        **BaseAutoencoder._parameter_constraints,
        "code_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "likelihood": [StrOptions({"auto", "bernoulli", "gaussian"})],
        "variance": [StrOptions({"per_feature", "shared"})],
        "beta": [Interval(Real, 0, None, closed="left")],
        "kl_warm_up": [Interval(Real, 0, 1, closed="both")],
        "prior": [StrOptions({"normal", "mixture"})],
        "n_importance_samples": [Interval(Integral, 1, None, closed="left")],
        "conditional": ["boolean"],
        "categorical_features": ["array-like", StrOptions({"from_dtype"})],
    }
    # The likelihood takes the place of a loss.
    del _parameter_constraints["loss"]

    _fitted_state = (
        *BaseAutoencoder._fitted_state,
        "likelihood_",
        "column_kinds_",
        "classes_",
        "n_active_units_",
        "_format",
        "_has_probabilities",
        "_classes",
        "_priors",
    )
    _format: TableFormat | ArrayFormat
    _has_probabilities: bool
    _classes: Classes | None
    _priors: list[Prior]

    _betas = (0.9, 0.999)
    _few_features = 3
    _takes_weights = True
    __metadata_request__fit: ClassVar[dict[str, Any]] = {"sample_weight": None}

    def __init__(
        self,
        code_size: int | str = "auto",
        *,
        architecture: str | Architecture = "auto",
        sample_shape: tuple[int, ...] | None = None,
        likelihood: str = "auto",
        variance: str = "per_feature",
        beta: float = 1.0,
        kl_warm_up: float = 0.2,
        prior: str = "mixture",
        n_importance_samples: int = 100,
        conditional: bool = False,
        categorical_features: str | ArrayLike = "from_dtype",
        optimizer: str | type[Optimizer] = "adam",
        lr: float = 1e-2,
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
        self.architecture = architecture
        self.sample_shape = sample_shape
        self.likelihood = likelihood
        self.variance = variance
        self.beta = beta
        self.kl_warm_up = kl_warm_up
        self.prior = prior
        self.n_importance_samples = n_importance_samples
        self.conditional = conditional
        self.categorical_features = categorical_features
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

    def _validate(self, X: Any, y: Any, previous: Self | None) -> SampledRows:
        given, data_shape = self._read(X, previous)
        classes = numbers = None
        if self.conditional:
            classes, numbers = Classes.of(y, len(given), type(self).__name__)
        if previous is None:
            form, rows = learn_format(
                X,
                given,
                data_shape,
                sample_shape=self.sample_shape,
                likelihood=self.likelihood,
                takes_tables=self._takes_tables,
                categorical_features=self.categorical_features,
            )
        else:
            require_as_before("likelihood", self.likelihood, previous.likelihood_)
            form = previous._format
            if classes is not None and previous._classes is not None:
                classes.require(previous._classes)
            rows = form.to_rows(given)
        samples = self._describe(rows, data_shape, None, previous)
        if previous is None:
            likelihood, has_probabilities = learn_likelihood(
                self.likelihood, rows, form
            )
        else:
            likelihood = previous.likelihood_
            has_probabilities = previous._has_probabilities
        return SampledRows(
            **vars(samples),
            format=form,
            likelihood=likelihood,
            has_probabilities=has_probabilities,
            classes=classes,
            numbers=numbers,
        )

    def _read(self, X: Any, previous: Self | None) -> tuple[Any, Shape]:
        """Return samples as flat rows and their shape; a table in a frame unchanged."""
        keeps = self._takes_tables
        if previous is not None:
            keeps = isinstance(previous._format, TableFormat)
        if keeps and is_frame(X):
            return check_table(self, X, fits=previous is None), X.shape[1:]
        # Arrays keep their type, so that large integers stay exact.
        rows, shape, _ = self._check_samples(
            X,
            previous,
            ensure_all_finite=previous is None or keeps,
            numeric=not hasattr(X, "columns"),
        )
        if keeps and isinstance(X, np.ndarray) and X.dtype == object:
            rows = X.reshape(rows.shape)
        return rows, shape

    @property
    def _takes_tables(self) -> bool:
        """Whether 2-D data are treated as tables with columns of different kinds."""
        dense = isinstance(self.architecture, Dense)
        dense = dense or self.architecture in ("auto", "dense")
        return dense and self.likelihood == "auto" and self.sample_shape is None

    def _make_plan(self, samples: SampledRows, previous: Self | None) -> TrainingPlan:
        samples.check()
        units = self._units(samples, previous)
        network = variational_recipe(
            samples, units, self.code_size, shared=self.variance == "shared"
        )
        objective = {
            "beta": self.beta,
            "warm_up": self.kl_warm_up,
            "binarizes": samples.has_probabilities,
        }
        return TrainingPlan(
            network,
            Recipe(VariationalObjective, objective),
            samples.in_units(units),
            units,
            self._usual_schedule(len(samples.rows), samples),
        )

    def _new_units(self, samples: SampledRows, value_range: Range) -> Units:
        return samples.new_units(shared=self.variance == "shared")

    def _valid_rows(
        self, X_valid: Any, samples: SampledRows, plan: TrainingPlan
    ) -> Rows:
        numbers = None
        if samples.classes is not None:
            if not isinstance(X_valid, tuple) or len(X_valid) != 2:
                raise ValueError(
                    "X_valid has to be a pair of samples and their classes, as the "
                    "sampler is conditional: X_valid=(X, y)."
                )
            X_valid, y = X_valid
        self._format = samples.format
        given, _ = self._read(X_valid, self)
        rows = samples.format.to_rows(given)
        check_range(rows, samples.likelihood, samples.format)
        if samples.classes is not None:
            numbers = samples.classes.number(y, len(rows))
        return replace(samples, rows=rows, numbers=numbers).in_units(plan.units)

    def _complete(self, samples: SampledRows, plan: TrainingPlan) -> None:
        """Count active units, and fit the prior to the codes of the training rows."""
        form, classes = samples.format, samples.classes
        self._format = form
        kinds = form.columns.kinds if isinstance(form, TableFormat) else None
        self.column_kinds_ = kinds
        self.likelihood_ = samples.likelihood
        self._has_probabilities = samples.has_probabilities
        self._classes = classes
        if classes is not None:
            self.classes_ = classes.names
        means, deviations = self._model.posterior(samples.rows)
        weights, numbers, counted = plan.data.weights, samples.numbers, means
        if weights is not None:
            counted = means[drawn_by_weight(weights, 0.5).numpy()]
        if classes is not None and numbers is not None:
            self._classes = classes.counted(numbers, weights)
        self.n_active_units_ = int((counted.var(axis=0) > _ACTIVE_VARIANCE).sum())
        self._priors = [NormalPrior(self.code_size_)]
        if self.prior == "mixture":
            self._priors = fit_mixtures(
                means, deviations, numbers, self._n_classes, self.net_.seed, weights
            )

    def _named_architecture(self, name: str) -> Architecture:
        if name == "dense":
            return Dense(hidden_layer_sizes=(128, 128), activation="silu")
        return super()._named_architecture(name)

    @property
    def _n_classes(self) -> int:
        return 0 if self._classes is None else len(self._classes.names)

    @property
    def _model(self) -> GenerativeModel:
        return GenerativeModel(self.trained_network, self._n_classes)

    @property
    def row_format(self) -> TableFormat | ArrayFormat:
        """How samples become rows for the network."""
        return self._format

    # ---- codes ---------------------------------------------------------------

    def fit_transform(self, X: ArrayLike, y: object = None, **fit_params: Any) -> Any:
        """Fit to samples and return their posterior means.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training samples.
        y : object, default=None
            Their classes, with ``conditional=True``; else ignored.
        **fit_params : dict
            Passed to `fit`.

        Returns
        -------
        means : ndarray of shape (n_samples, code_size)
            The means.
        """
        return super().fit_transform(X, y if self.conditional else None, **fit_params)

    def transform(
        self, X: Any, *, return_std: bool = False
    ) -> Array | tuple[Array, Array]:
        """Return the posterior means of samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.
        return_std : bool, default=False
            Whether to return the posteriors' standard deviations, too.

        Returns
        -------
        means : ndarray of shape (n_samples, code_size)
            The means.
        deviations : ndarray of shape (n_samples, code_size)
            The standard deviations; with ``return_std=True`` only.
        """
        self._check_fitted()
        means, deviations = self._codes(X)
        return (means, deviations) if return_std else means

    def _codes(self, X: Any) -> tuple[Array, Array]:
        """Return means and standard deviations of the codes of samples."""
        given, _ = self._read(X, self)
        dtype = float_types(from_torch(X))[0]
        means, deviations = self._model.posterior(self._format.to_rows(given))
        return means.astype(dtype), deviations.astype(dtype)

    def sample_posterior(
        self, X: Any, random_state: int | np.random.RandomState | None = None
    ) -> Any:
        """Draw one code of each sample's posterior.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws. None: other codes at every call. Global generators are
            neither read nor changed.

        Returns
        -------
        codes : ndarray of shape (n_samples, code_size), or DataFrame
            The codes: the means of `transform` plus noise of their standard deviations,
            in the container that `set_output` asks for.
        """
        self._check_fitted()
        means, deviations = self._codes(X)
        noise = np.random.RandomState(draw_seed(random_state)).normal(size=means.shape)
        codes = means + deviations * noise.astype(means.dtype)
        return _wrap_data_with_container("transform", codes, X, self)

    def inverse_transform(self, X: ArrayLike, y: ArrayLike | None = None) -> Any:
        """Return the mean rows that codes stand for.

        Parameters
        ----------
        X : array-like of shape (n_samples, code_size)
            Codes.
        y : array-like of shape (n_samples,) or a class, default=None
            Their classes, or the class of all, with ``conditional=True``. None: a
            blend of the classes, as frequent as in `fit`.

        Returns
        -------
        samples : ndarray of shape (n_samples, n_features) or (n_samples, ...), or \
                DataFrame
            The rows, as `fit` saw them: without the noise that `sample` adds, and of
            categories the most probable. With the index of `X` if that is a frame.

        Raises
        ------
        ValueError
            If codes have another length, or `y` has classes
            that `fit` did not see or was given without ``conditional=True``.
        """
        self._check_fitted()
        codes = check_codes(self, X)
        numbers = numbers_of_classes(self._classes, y, len(codes))
        labels = one_hot(self._classes, numbers)
        if self._classes is not None and y is None:
            labels[:] = self._classes.shares
        return self._rows(self._model.decode(codes, labels), X)

    def predict(self, X: Any, y: ArrayLike | None = None) -> Any:
        """Reconstruct samples from the means of their posteriors.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.
        y : array-like of shape (n_samples,) or a class, default=None
            Their classes, with ``conditional=True``. None: the most likely class of
            each.

        Returns
        -------
        reconstructions : ndarray of shape (n_samples, n_features) or \
                (n_samples, ...), or DataFrame
            What the network makes of them, as `fit` saw them. With the index of `X`
            if that is a frame.

        Raises
        ------
        ValueError
            If `y` has classes that `fit` did not see, or was given without
            ``conditional=True``.
        """
        self._check_fitted()
        rows = self._format.to_rows(self._read(X, self)[0])
        numbers = numbers_of_classes(self._classes, y, len(rows))
        if self._classes is not None and y is None:
            joint = self._log_likelihoods(rows) + np.log(self._classes.shares)
            numbers = joint.argmax(axis=1)
        means, _ = self._model.posterior(rows)
        return self._rows(self._model.decode(means, one_hot(self._classes, numbers)), X)

    def interpolate(
        self, start: Any, stop: Any, n_steps: int = 10, *, y: Any = None
    ) -> Any:
        """Walk from one sample to another through their codes.

        Parameters
        ----------
        start, stop : array-like of shape (n_features,) or (1, n_features) or of \
                one sample's shape, or DataFrame of one row
            The two samples.
        n_steps : int, default=10
            Number of samples on the way, both ends included.
        y : object, default=None
            The class of all samples on the way, with ``conditional=True``.

        Returns
        -------
        samples : ndarray of shape (n_steps, n_features) or (n_steps, ...), or \
                DataFrame
            The reconstructions of `start` and `stop` and, between them, the rows of
            codes on the straight line between theirs.

        Raises
        ------
        ValueError
            If an end is not one sample, `n_steps` is below 2, or `y` has classes
            that `fit` did not see or was given without ``conditional=True``.
        """
        self._check_fitted()
        check_count(n_steps, "n_steps", 2)
        first, last = self._code_of(start, "start"), self._code_of(stop, "stop")
        return self.inverse_transform(codes_between(first, last, n_steps), y)

    def _code_of(self, sample: Any, name: str) -> Array:
        """Return the code of one sample, with or without an axis of samples."""
        with naming(name):
            sample = as_samples(sample, (self._record.data_shape, self.sample_shape_))
            rows = self._format.to_rows(self._read(sample, self)[0])
            require_one(rows, name)
            return self._model.posterior(rows)[0].astype(np.float64)

    # ---- rows ----------------------------------------------------------------

    def sample(
        self,
        n_samples: int = 1,
        random_state: int | np.random.RandomState | None = None,
        *,
        y: ArrayLike | None = None,
    ) -> Any:
        """Draw new rows.

        Parameters
        ----------
        n_samples : int, default=1
            How many.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws. None: other rows at every call. Global generators are
            neither read nor changed.
        y : array-like of shape (n_samples,) or a class, default=None
            The classes of the rows, or the class of all, with ``conditional=True``.
            None: classes drawn as frequently as they were in `fit`.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features) or (n_samples, ...), or DataFrame
            Rows as `fit` saw them, of the same types. Where the "bernoulli"
            likelihood was fitted to values between 0 and 1, these are probabilities
            and not draws of ones and zeros.

        Raises
        ------
        ValueError
            If `n_samples` is below 1, or `y` has classes
            that `fit` did not see or was given without ``conditional=True``.
        """
        self._check_fitted()
        check_count(n_samples, "n_samples", 1)
        numbers = numbers_of_classes(self._classes, y, n_samples)
        random = np.random.RandomState(draw_seed(random_state))
        if self._classes is not None and y is None:
            numbers = self._classes.draw(n_samples, random)
        codes = sample_codes(self._priors, numbers, self.code_size_, random)
        labels = one_hot(self._classes, numbers)
        if self._has_probabilities:
            return self._rows(self._model.decode(codes, labels))
        seed = random.randint(2**31 - 1)
        return self._rows(self._model.draw(codes, labels, seed))

    def _rows(self, shown: Array, X: Any = None) -> Any:
        """Return rows in the network's units in the container that `fit` saw.

        If they were made of `X`, row by row, they get its index.
        """
        index = X.index if isinstance(X, pd.DataFrame) else None
        scaling = self._record.units.scaling
        rows = self._format.to_given(shown, scaling, index)
        return rows if is_frame(rows) else in_frame_like(X, rows)

    # ---- likelihood ----------------------------------------------------------

    def score_samples(self, X: Any, y: ArrayLike | None = None) -> Array:
        """Estimate the log-likelihood of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.
        y : array-like of shape (n_samples,) or a class, default=None
            Their classes, with ``conditional=True``. None: the log-likelihood
            whatever the class.

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,)
            In nats, in the units of `X`. The estimate is importance-weighted (Burda
            et al., 2016), from `n_importance_samples` codes. They are made of the
            same noise for all rows and at every call, so a row's score does not
            depend on the rows around it.

        Raises
        ------
        ValueError
            If `y` has classes that `fit` did not see, or was given without
            ``conditional=True``.
        """
        self._check_fitted()
        given, _ = self._read(X, self)
        scaling = self._record.units.scaling
        rows, log_jacobian = self._format.to_rows_with_log_jacobian(
            given, scaling, self.likelihood_
        )
        check_range(rows, self.likelihood_, self._format)
        numbers = numbers_of_classes(self._classes, y, len(rows))
        if self._classes is None:
            scores = self._log_likelihoods(rows)[:, 0]
        elif y is None:
            scores = logsumexp(
                self._log_likelihoods(rows) + np.log(self._classes.shares), axis=1
            )
        else:
            scores = self._log_likelihoods(rows)[np.arange(len(rows)), numbers]
        return scores + log_jacobian

    def _log_likelihoods(self, rows: Array) -> NDArray[np.float64]:
        """Return log-likelihoods in the network's units, for each class if any."""
        # Seeded by the fit alone, so that all rows and all calls share the same noise.
        rng = torch.Generator().manual_seed(self.net_.seed)
        shape = (self.n_importance_samples, self.code_size_)
        noise = torch.randn(shape, generator=rng, dtype=torch.float32, device="cpu")
        return self._model.log_likelihoods(rows, self._priors, noise)

    def score(
        self,
        X: Any,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Return the mean log-likelihood of rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.
        y : array-like of shape (n_samples,), default=None
            Their classes; unused unless ``conditional=True``.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples. None: all weigh the same.

        Returns
        -------
        score : float
            The mean of `score_samples`, in nats a row.
        """
        if not self.conditional:
            warn_of_ignored_samples(y, X, type(self).__name__, "compares nothing with")
        scores = self.score_samples(X, y if self.conditional else None)
        weights = check_sample_weight(sample_weight, len(scores))
        return float(np.average(scores, weights=weights))

    @property
    def _n_features_out(self) -> int:
        n_features_out: int = self.code_size_
        return n_features_out

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.target_tags.required = self.conditional
        tags.input_tags.categorical = True
        return tags
