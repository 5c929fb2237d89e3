"""A variational autoencoder: new rows that look like the data, and likelihoods."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import validate_data
from torch import Tensor
from torch.optim import Optimizer

from skautoencoder._classes import Classes
from skautoencoder._columns import TableColumns
from skautoencoder._containers import Container, as_pandas, is_frame
from skautoencoder._generative import GenerativeModel
from skautoencoder._images import looks_like_image
from skautoencoder._priors import NormalPrior, Prior, fit_mixture
from skautoencoder._samples import (
    Array,
    Range,
    Scaling,
    Shape,
    check_samples,
    feature_spread,
    fills_unit_range,
    is_in_unit_range,
    mean_and_spread,
    resolve_sample_shape,
)
from skautoencoder._sampling import SamplingMixin
from skautoencoder.architectures import (
    Architecture,
    Dense,
    Network,
    VariationalNetwork,
)
from skautoencoder.base import BaseAutoencoder
from skautoencoder.objectives import (
    BernoulliLikelihood,
    ColumnsLikelihood,
    GaussianLikelihood,
    VariationalObjective,
    bounded_log_variance,
)
from skautoencoder.training import AutoencoderNet, Rows

# Wider data are taken for what a picture or a spectrum is: values of one kind.
_MOST_COLUMNS = 200
# A unit whose posterior mean varies less over the data says nothing of them.
_ACTIVE_VARIANCE = 0.01
# What code_size="auto" stands for, at most in tables.
_CODE_SIZE = 32
_CODE_SIZE_OF_TABLES = 8
# Training steps of a table: for each of its rows, and at least; and how many rows are
# shown in all, each as often as it is, at most.
_STEPS_A_ROW = 1.4
_FEWEST_STEPS = 1000
# With as many as other samples take, images of 8×8 pixels are learnt by heart.
_STEPS_OF_SMALL_IMAGES = 1500.0
_MOST_SHOWN = 384_000


def build_network(
    architecture: Architecture, likelihood: torch.nn.Module, **kwargs: Any
) -> VariationalNetwork:
    """Build a network; a function of this module so that a net can be pickled."""
    return architecture.build_variational(
        likelihood=copy.deepcopy(likelihood), bound=bounded_log_variance, **kwargs
    )


class VAESampler(SamplingMixin, BaseAutoencoder):
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
    architecture : {"auto", "dense", "conv"} or Architecture, default="auto"
        What the network looks like. "auto" is "conv" for samples with an image
        shape (two lengths of at least 4, which are given as `sample_shape` or
        of which neither is above three times the other; or three) and "dense",
        with hidden layers of 128 and 128 "silu" units each way, for others. An
        object such as ``Dense(hidden_layer_sizes=(64,))`` has parameters that
        can be set and searched as ``architecture__hidden_layer_sizes``; beside
        a name they can be given in the same way.
    sample_shape : tuple of int, default=None
        Shape of one sample for the network: (height, width), (n_channels,
        height, width) or (n_features,). Its product is the number of features.
        None: the shape of a sample of `X`; there a flat row whose length is a
        square number is a square image for a convolutional architecture, and
        any other a strip of height 1.
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
        384 000 rows are shown.
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
    device : str or torch.device, default="auto"
        Where to compute. "auto" is CUDA where there is one, then MPS, then the
        CPU.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Type of the matrix products in training. "auto" is bfloat16 for large
        networks on hardware that is faster with it. Results are computed in
        float32.
    verbose : int, default=0
        1 shows a progress bar for each epoch, 2 prints the losses too.
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
    code_size_ : int
        Numbers in a code.
    sample_shape_ : tuple of int
        Shape of a sample.
    history_ : skorch.history.History
        A row for each epoch: ``epoch``, ``train_loss``, ``valid_loss`` (with
        early stopping), ``lr``, ``dur`` (seconds). Losses are minus the evidence
        lower bound (ELBO) of a row in the network's units, in nats.
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
    # The likelihood says what a reconstruction is compared by.
    del _parameter_constraints["loss"]

    _betas = (0.9, 0.999)

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
        self.device = device
        self.precision = precision
        self.verbose = verbose
        self.random_state = random_state
        self._set_nested_params(nested)

    _columns: TableColumns | None
    column_kinds_: dict[Any, str] | None
    _classes: Classes

    # ---- fitting -------------------------------------------------------------

    def _fit(self, X: Any, y: object) -> None:
        previous = self._previous_net
        given, data_shape = self._check(X, reset=previous is None)
        if previous is None:
            self._learn_columns(X, given, data_shape)
        self._learn(self._shown(given), data_shape, previous, y)

    def _learn(
        self,
        rows: Array,
        data_shape: Shape,
        previous: AutoencoderNet | None,
        y: object,
    ) -> None:
        self._set_classes(y, len(rows), previous)
        self._check_batch_size(len(rows))
        self._set_architecture(rows, data_shape)
        value_range = float(rows.min()), float(rows.max())
        if previous is None:
            self._set_units(rows, value_range)
        self._check_range(value_range)
        self._start_or_continue(len(rows), previous)
        # Rows are compared with themselves, so classes can stand in for targets.
        labels = None
        if self.conditional:
            labels = torch.from_numpy(self._labels(self._classes.numbers))
        self._train_net(Rows(self._scaling.to_network_in_parts(rows), labels))
        self._set_prior(rows)

    def _set_classes(
        self, y: object, n_samples: int, previous: AutoencoderNet | None
    ) -> None:
        """Learn which classes there are."""
        if not self.conditional:
            self.__dict__.pop("classes_", None)
            return
        classes = Classes(y, n_samples, type(self).__name__)
        if previous is not None:
            classes.require(self._classes)
        self._classes, self.classes_ = classes, classes.names

    def _check(self, X: Any, *, reset: bool = False) -> tuple[Any, Shape]:
        """Return samples as flat rows, and their shape; a table's frame as it is."""
        keeps = self._takes_tables if reset else self._columns is not None
        if keeps and is_frame(X):
            validate_data(self, X, reset=reset, skip_check_array=True)
            _check_enough(X, 2 if reset else 1)
            return as_pandas(X), X.shape[1:]
        # What is an array stays as exact as it came.
        rows, shape = check_samples(
            self,
            X,
            reset=reset,
            ensure_min_samples=2 if reset else 1,
            ensure_all_finite=reset or keeps,
            numeric=not hasattr(X, "columns"),
        )
        if keeps and isinstance(X, np.ndarray) and X.dtype == object:
            rows = X.reshape(rows.shape)
        return rows, shape

    @property
    def _takes_tables(self) -> bool:
        """Whether columns of a table are learnt as what each of them is."""
        dense = isinstance(self.architecture, Dense)
        dense = dense or self.architecture in ("auto", "dense")
        return dense and self.likelihood == "auto" and self.sample_shape is None

    def _learn_columns(self, X: Any, rows: Any, shape: Shape) -> None:
        """Learn what the rows are given in, and of a table what its columns are."""
        few = len(shape) == 1 and shape[0] <= _MOST_COLUMNS
        if self._takes_tables and (few or is_frame(X)):
            table = X if is_frame(X) else rows
            self._columns = TableColumns.fit(table, self.categorical_features)
            self.column_kinds_ = self._columns.kinds
        else:
            self._columns, self.column_kinds_ = None, None
            self._container = Container.of(X, rows, shape)
            if self._holds_pixels(rows, shape):
                scale = self._container.full_scale
                self._container = replace(self._container, scale=scale or 1)

    def _holds_pixels(self, rows: Any, shape: Shape) -> bool:
        """Return whether integers are pixels, and so lie between two ends."""
        given = self.sample_shape is not None
        is_image = looks_like_image(
            resolve_sample_shape(self.sample_shape, shape), given=given
        )
        looks_so = self.likelihood == "auto" and (is_image or rows.dtype == np.uint8)
        return looks_so or self.likelihood == "bernoulli"

    def _shown(self, rows: Any) -> Array:
        """Return rows that the network can be shown, but for the scale."""
        if self._columns is not None:
            return self._columns.to_network(rows)
        return self._container.read(rows)

    def _set_units(self, rows: Array, value_range: Range) -> None:
        """Decide on the likelihood, and in which units the network sees rows."""
        self.likelihood_ = self.likelihood
        if self._columns is not None:
            self.likelihood_ = "columns"
        elif self.likelihood == "auto":
            bounded = fills_unit_range(value_range)
            self.likelihood_ = "bernoulli" if bounded else "gaussian"
        self._center, self._spread, self._scaling = None, 1.0, Scaling()
        self._has_probabilities = False
        if self.likelihood_ == "bernoulli":
            self._has_probabilities = not np.isin(rows, (0, 1)).all()
        if self._columns is not None or not self._architecture._standardizes:
            return
        mean, spread = mean_and_spread(rows)
        if self.likelihood_ == "bernoulli":
            self._center, self._spread = torch.from_numpy(mean).float(), spread
        elif self.variance == "shared":
            self._scaling = Scaling(mean, spread)
        else:
            self._scaling = Scaling(mean, feature_spread(rows))

    def _check_range(self, value_range: Range) -> None:
        """Raise if the likelihood is not one of such values."""
        if not np.isfinite(value_range).all():
            return  # refused where rows are read, which says what is wrong
        if self.likelihood_ == "bernoulli" and not is_in_unit_range(value_range):
            scale = self._container.scale
            low, high = (scale * value for value in value_range)
            raise ValueError(
                f"likelihood='bernoulli' needs data in [0, {scale}], but X goes from "
                f"{low:.6g} to {high:.6g}. Put a MinMaxScaler(clip=True) in front (or "
                "divide pixels by 255), or use likelihood='gaussian'."
            )

    def _check_network(self, rows: Tensor) -> None:
        """Raise if the network answers with what the objective cannot use."""
        if self._architecture.output_activation == "sigmoid" and (
            self.likelihood_ != "bernoulli"
        ):
            raise ValueError(
                "output_activation='sigmoid' is for likelihood='bernoulli', but here "
                f"it is {self.likelihood_!r}. Leave output_activation at its default."
            )

    def _auto_code_size(self) -> int:
        if self._columns is None:
            return min(self.n_features_in_, _CODE_SIZE)
        return min(self._columns.n_shown, _CODE_SIZE_OF_TABLES)

    def _named_architecture(self, name: str) -> Architecture:
        if name == "dense":
            return Dense(hidden_layer_sizes=(128, 128), activation="silu")
        return super()._named_architecture(name)

    def _resolve_batch_size(self, n_rows: int) -> int:
        if self.batch_size != "auto" or self._columns is None:
            return super()._resolve_batch_size(n_rows)
        return 64 if n_rows < 500 else 128 if n_rows < 2000 else 256

    def _resolve_max_epochs(self, n_rows: int, batch_size: int) -> int:
        if self.max_epochs != "auto":
            return int(self.max_epochs)
        n_batches = math.ceil(n_rows / batch_size)
        n_steps = float(self._usual_steps)
        if self._convolves_small_images:
            n_steps = _STEPS_OF_SMALL_IMAGES
        if self._columns is not None:
            # With more, short tables are learnt by heart.
            most = max(_MOST_SHOWN / batch_size, _FEWEST_STEPS)
            n_steps = np.clip(_STEPS_A_ROW * n_rows, _FEWEST_STEPS, most)
        return max(math.ceil(n_steps / n_batches), self._fewest_epochs)

    @property
    def _shown_shape(self) -> Shape:
        if self._columns is None:
            return self.sample_shape_
        return (self._columns.n_shown,)

    def _make_network(self) -> tuple[Callable[..., Network], dict[str, Any]]:
        likelihood: torch.nn.Module = BernoulliLikelihood()
        if self._columns is not None:
            likelihood = ColumnsLikelihood(self._columns.blocks)
        elif self.likelihood_ == "gaussian":
            likelihood = GaussianLikelihood(
                math.prod(self.sample_shape_), shared=self.variance == "shared"
            )
        return build_network, {
            "architecture": self._architecture,
            "likelihood": likelihood,
            "sample_shape": self._shown_shape,
            "code_size": self._resolve_code_size(),
            "n_classes": self._n_classes,
            "center": self._center,
            "spread": self._spread,
        }

    @property
    def _n_classes(self) -> int:
        return len(self.classes_) if self.conditional else 0

    def _make_objective(self) -> tuple[type[torch.nn.Module], dict[str, Any]]:
        return VariationalObjective, {
            "beta": self.beta,
            "warm_up": self.kl_warm_up,
            "binarizes": self._has_probabilities,
        }

    def _set_prior(self, rows: Array) -> None:
        """Look at the codes of the training rows, and decide on a prior."""
        means, deviations = self._model.posterior(rows)
        self.n_active_units_ = int((means.var(axis=0) > _ACTIVE_VARIANCE).sum())
        self._priors: list[Prior] = [NormalPrior(self.code_size_)]
        if self.prior == "normal":
            return
        parts: list[Any] = [slice(None)]
        if self.conditional:
            numbers = self._classes.numbers
            parts = [numbers == number for number in range(self._n_classes)]
        self._priors = [
            fit_mixture(means[part], deviations[part], self.net_.seed) for part in parts
        ]

    @property
    def _model(self) -> GenerativeModel:
        return GenerativeModel(
            self._trained, math.prod(self._shown_shape), self._n_classes
        )


def _check_enough(X: pd.DataFrame, least: int) -> None:
    if len(X) < least or not X.shape[1]:
        raise ValueError(
            f"Found array with {len(X)} sample(s) and {X.shape[1]} feature(s) "
            f"(shape={X.shape}) while a minimum of {least} sample(s) and 1 feature(s) "
            "is required."
        )
