"""The denoising autoencoder."""

from __future__ import annotations

import os
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions
from torch.optim import Optimizer

from skautoencoder._estimator.array_statistics import row_chunks
from skautoencoder._estimator.array_types import Array, Shape
from skautoencoder._estimator.base import CODE_SIZE_OR_AUTO, BaseAutoencoder
from skautoencoder._estimator.code_transformer import (
    CodeTransformer,
    fraction_explained,
)
from skautoencoder._estimator.input_hints import column_names, naming
from skautoencoder._estimator.penalties import PENALTY_CONSTRAINTS
from skautoencoder._estimator.plan import Samples, TrainingPlan
from skautoencoder._estimator.sample_validation import (
    check_finite,
    from_torch,
    holds_samples,
)
from skautoencoder._estimator.sample_weights import (
    check_sample_weight,
    weighted_share_explained,
)
from skautoencoder._estimator.sequences import Sequences
from skautoencoder.architectures import Architecture
from skautoencoder.denoising.noise_parameters import make_corruption
from skautoencoder.objectives import NOISES, Penalty
from skautoencoder.objectives.corruption import Noise
from skautoencoder.training import Rows, isolated_randomness, one_thread

# Seed of the noise in `score`, the same for every call.
_SCORE_SEED = 0
_CHUNK = 1024


class DenoisingAutoencoder(CodeTransformer):
    """Removes noise from samples, and encodes them in a way that noise changes little.

    The network is shown samples with noise and compared with the clean ones. The
    noise is either made here, anew for every batch, or comes with the data, as
    pairs of noisy and clean samples: ``fit(X_noisy, X_clean=X_clean)``.

    Read more in the :ref:`User Guide <denoising>`.

    Parameters
    ----------
    noise : {"gaussian", "masking", "salt_and_pepper"} or callable, \
            default="gaussian"
        The noise of training, drawn for every batch. "gaussian" adds a normal
        number to each value; "masking" sets values chosen at random to 0;
        "salt_and_pepper" sets them to the lowest or the highest value of the
        training data (or of `clip`), either with probability one half. A
        callable is given a batch of samples as a float32 tensor, in the shape
        and the units of `X`, and returns a tensor or an array of the same shape;
        it may change what it is given. Let it draw from torch's generators,
        which `random_state` seeds. Unused with pairs.
    noise_level : float or "auto", default="auto"
        Standard deviation of "gaussian" noise, in units of the data, or the share
        in [0, 1] of values that "masking" and "salt_and_pepper" choose. "auto" is
        half of the root mean squared distance of the training samples from their
        mean (per feature), or a share of 0.25. Unused by a callable.
    clip : "auto", (low, high) or None, default="auto"
        Range to which noisy values are cut. "auto" is (0, 1) where the training
        data lie in [0, 1] and span at least half of it, and no range elsewhere;
        None is none.
    code_size : int, "auto" or None, default="auto"
        How many numbers the code has. A denoiser need not be small in the middle:
        "auto" keeps the spatial map of a convolutional architecture without
        hidden layers, as None does, and is 128 elsewhere.
        Of sequences of different lengths, the last number of a code is the length,
        as a share of the longest in `fit`.
    ordered : bool, default=False
        Whether units of the code are ordered by importance, as components of PCA are:
        ``transform(X)[:, :k]`` then is a code of `k` numbers, and `inverse_transform`
        takes any number of leading columns. `validation_fraction` of the samples is
        kept out of training for `error_path_`, unless `fit` is given `X_valid`. See
        :ref:`ordered_codes`.
    architecture : str or Architecture, default="auto"
        What the network looks like: "dense", "conv" for images, "conv1d" or
        "recurrent" for sequences. "auto" is "conv" for samples with an image
        shape (two lengths of at least 4, which are given as `sample_shape` or
        of which neither is above three times the other; or three), "conv1d"
        for others of two lengths, (n_steps, n_channels) with more than one step,
        and for sequences of different lengths, and "dense" for the rest. An object
        such as ``Dense(hidden_layer_sizes=(64,))`` has parameters that can be set
        and searched as ``architecture__hidden_layer_sizes``; beside a name they can
        be given in the same way.
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
    sparsity : {"l1", "kl", "top_k"} or None, default=None
        What makes codes sparse. "l1" and "kl" are penalties: on the sum of a
        code's absolute values; and on the distance of each unit's mean, the units
        becoming sigmoids, from `sparsity_target`. "top_k" keeps the
        `n_nonzero_coefs` largest numbers of each code, here and in `transform`,
        and sets the others to zero.
    sparsity_weight : float or "auto", default="auto"
        What the penalty is multiplied by: "auto" is 1e-4 for "l1" and 0.1 for
        "kl". Unused by "top_k".
    sparsity_target : float in (0, 1), default=0.05
        Mean activity of a unit of the code with ``sparsity="kl"``.
    n_nonzero_coefs : int, default=None
        How many numbers of a code are not zero with ``sparsity="top_k"``. None: a
        tenth of them, at least one.
    contraction_weight : float, default=0.0
        What a penalty on the encoder's Jacobian is multiplied by, which makes
        codes change little where samples do: its squared Frobenius norm, the mean
        over the samples, in the network's units.
    penalty : {"l1", "kl", "top_k", "contraction", "mmd"}, Penalty, list or \
            None, default=None
        Further penalties on the code, as objects or by their names. An object such
        as ``MMD(weight=0.1)`` has parameters that can be set and searched as
        ``penalty__weight``; beside a name they can be given in the same way. A list
        has several, of different kinds. They are added to what `sparsity` and
        `contraction_weight` ask for, which are short ways of writing ``L1``, ``KL``,
        ``TopK`` and ``Contraction``. :class:`~skautoencoder.objectives.MMD` makes
        codes normal numbers, whose draws `inverse_transform` decodes to new samples.
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
        Passes over the data. "auto" is as many as make about 9000 steps, but at
        least 18; and at most 50, or with fewer than 20 batches an epoch as many as
        make 1000 steps, up to 200.
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
    n_init : int, default=1
        How many networks are trained, from other first weights and with the rows in
        another order; that of the lowest loss is kept: on held-out samples, if there
        are any (`early_stopping`, `X_valid`, ordered codes), else on the training
        samples in the last epoch. The first is that of ``n_init=1``. One is trained in
        `partial_fit`, and where `warm_start` continues. See :ref:`several_starts`.
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
        Seed of the first weights, the order of the rows, the noise, and the
        validation part. Global generators are neither read nor changed.
    **nested : dict
        Parameters of the parts, under skorch's names: ``optimizer__*``,
        ``iterator_train__*``, ``callbacks__*``, ``architecture__*`` and
        ``penalty__*``.

    Attributes
    ----------
    net_ : AutoencoderNet
        The trained skorch net; ``net_.module_`` is the torch module.
    encoder_ : torch.nn.Module
        Its encoder, see :ref:`the guide <encoder_decoder>`.
    decoder_ : torch.nn.Module
        Its decoder.
    code_size_ : int
        Numbers in a code.
    code_shape_ : tuple of int
        Shape of a code: (code_size,), or that of the spatial map that is the code.
    sample_shape_ : tuple of int
        Shape of a sample for the network.
    history_ : skorch.history.History
        A row for each epoch: ``epoch``, ``train_loss``, ``valid_loss`` (with
        early stopping), ``lr``, ``dur`` (seconds). ``history_[:, "train_loss"]``
        is a list. Losses are in the network's units: of data divided by their
        root mean squared distance from the mean, unless the output is a sigmoid.
    error_path_ : ndarray of shape (n_sizes,)
        With ordered codes, the squared error per feature of reconstructions from the
        leading 1, 2, ... numbers of codes, in squared units of the data: the mean over
        samples that were not trained on (`X_valid`, or `validation_fraction` of `X`;
        after `partial_fit` over those of its last call), with the noise of training.
    error_path_standard_errors_ : ndarray of shape (n_sizes,)
        Standard errors of these means.
    explained_variance_ratio_ : ndarray of shape (`code_size_`,)
        With ordered codes, what share of the variance of the same samples each number
        of a code explains beyond those before it.
    n_iter_ : int
        Epochs trained.
    init_losses_ : ndarray of shape (`n_init`,)
        The losses that the networks were compared by, in the order of their training.
    n_features_in_ : int
        Number of features of a sample.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features, if `X` had names that are all strings.

    See Also
    --------
    AutoencoderTransformer : Codes without noise.
    ConvAutoencoderTransformer : Codes of images.
    sklearn.decomposition.KernelPCA : Removes noise by projection.

    Notes
    -----
    A `y` changes nothing that is learnt, whatever it is: a Pipeline hands its targets
    to each of its steps. Clean samples reach a step as ``step__X_clean``, and through
    a search with metadata routing; see :ref:`the guide <denoising_pipelines>`.

    References
    ----------
    Vincent, Larochelle, Bengio and Manzagol, "Extracting and composing robust
    features with denoising autoencoders", ICML 2008.
    Vincent, Larochelle, Lajoie, Bengio and Manzagol, "Stacked denoising
    autoencoders", Journal of Machine Learning Research 11, 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skautoencoder import DenoisingAutoencoder
    >>> X = load_digits().data / 16
    >>> X_train, X_test = X[:1400], X[1400:]
    >>> noise = np.random.RandomState(0).normal(scale=0.3, size=X_test.shape)
    >>> X_noisy = np.clip(X_test + noise, 0, 1)
    >>> denoiser = DenoisingAutoencoder(
    ...     noise_level=0.3, max_epochs=5, random_state=0
    ... ).fit(X_train)
    >>> X_denoised = denoiser.predict(X_noisy)
    >>> error, noise = X_denoised - X_test, X_noisy - X_test
    >>> bool(np.square(error).sum() < 0.5 * np.square(noise).sum())
    True
    """

    _parameter_constraints = {
        **BaseAutoencoder._parameter_constraints,
        **PENALTY_CONSTRAINTS,
        "noise": [StrOptions(set(NOISES)), callable],
        "noise_level": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "clip": [StrOptions({"auto"}), "array-like", None],
        "code_size": CODE_SIZE_OR_AUTO,
        "ordered": ["boolean"],
        "n_init": [Interval(Integral, 1, None, closed="left")],
    }

    # With new noise in each epoch, more epochs still help.
    _usual_steps = 9000
    _fewest_epochs = 18

    _learns_from_noise = True
    _chooses_code_size = False

    def __init__(
        self,
        noise: str | Noise = "gaussian",
        *,
        noise_level: float | str = "auto",
        clip: str | tuple[float, float] | None = "auto",
        code_size: int | str | None = "auto",
        ordered: bool = False,
        architecture: str | Architecture = "auto",
        sample_shape: tuple[int, ...] | None = None,
        loss: str = "mse",
        sparsity: str | None = None,
        sparsity_weight: float | str = "auto",
        sparsity_target: float = 0.05,
        n_nonzero_coefs: int | None = None,
        contraction_weight: float = 0.0,
        penalty: str | Penalty | list[str | Penalty] | None = None,
        optimizer: str | type[Optimizer] = "adam",
        lr: float = 3e-3,
        lr_schedule: str = "one_cycle",
        batch_size: int | str = "auto",
        max_epochs: int | str = "auto",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        n_init: int = 1,
        warm_start: bool = False,
        callbacks: list[Any] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        device: str | torch.device = "auto",
        precision: str = "auto",
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
        **nested: Any,
    ) -> None:
        self.noise = noise
        self.noise_level = noise_level
        self.clip = clip
        self.code_size = code_size
        self.ordered = ordered
        self.architecture = architecture
        self.sample_shape = sample_shape
        self.loss = loss
        self.sparsity = sparsity
        self.sparsity_weight = sparsity_weight
        self.sparsity_target = sparsity_target
        self.n_nonzero_coefs = n_nonzero_coefs
        self.contraction_weight = contraction_weight
        self.penalty = penalty
        self.optimizer = optimizer
        self.lr = lr
        self.lr_schedule = lr_schedule
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.n_init = n_init
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.device = device
        self.precision = precision
        self.verbose = verbose
        self.random_state = random_state
        self._set_nested_params(nested)

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: ArrayLike,
        y: object = None,
        *,
        X_clean: ArrayLike | None = None,
        X_valid: Any = None,
        **fit_params: Any,
    ) -> Self:
        """Learn to take noise away.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training samples: flat, or images of shape (n_samples, height,
            width) or (n_samples, n_channels, height, width). Clean ones, to which
            noise is added, or with `X_clean` noisy ones, to which none is.
        y : object, default=None
            Ignored.
        X_clean : array-like of the shape of `X`, default=None
            The clean samples that belong to noisy `X`, in the same units.
        X_valid : array-like of shape (n_valid, n_features) or (n_valid, ...), or a \
                pair of them, default=None
            Samples to measure ``valid_loss`` on after each epoch, which `history_` then
            holds and `early_stopping` goes by: all of `X` is trained on. With
            `X_clean`, a pair of noisy and clean samples.
        **fit_params : dict
            Only ``sample_weight``, an array of shape (n_samples,): a whole number
            counts a sample so many times, other weights say how often it is drawn in an
            epoch. What else training needs are parameters of the estimator.

        Returns
        -------
        self : estimator instance
            The fitted estimator.

        Raises
        ------
        TypeError
            If there are other `fit_params`; says which parameter it is instead.
        ValueError
            If samples or parameters are not what they should be, clean samples come
            as `y`, or the loss stops being a finite number. The estimator then is as
            it was before.
        """
        weights = self._take_weights(fit_params)
        self._refuse_samples(y, X, X_clean, "fit")
        self._fit(X, X_clean, X_valid=X_valid, sample_weight=weights)
        return self

    @_fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self,
        X: ArrayLike,
        y: object = None,
        *,
        X_clean: ArrayLike | None = None,
        **fit_params: Any,
    ) -> Self:
        """Go once through a part of the data.

        The first call decides on the units of the network and on the noise: let
        its part be like the rest. The learning rate stays at `lr`, whatever
        `lr_schedule` says, and no rows are kept out for early stopping. Parameters of
        training that are changed between calls take effect in the next `fit`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training samples, see `fit`.
        y : object, default=None
            Ignored.
        X_clean : array-like of the shape of `X`, default=None
            The clean samples that belong to noisy `X`, see `fit`. Either all parts
            come with clean samples or none.
        **fit_params : dict
            None: what training needs are parameters of the estimator.

        Returns
        -------
        self : estimator instance
            The fitted estimator.

        Raises
        ------
        TypeError
            If there are `fit_params`; says which parameter it is instead.
        ValueError
            If some parts come with clean samples and others without, or clean samples
            come as `y`.
        """
        self._refuse_fit_params(fit_params, "partial_fit")
        self._refuse_samples(y, X, X_clean, "partial_fit")
        if hasattr(self, "net_") and (X_clean is None) != self._makes_noise:
            before, now = ("without", "with")[:: 1 if self._makes_noise else -1]
            raise ValueError(
                f"partial_fit was called {before} clean samples (X_clean) before, "
                f"and now {now} them. Keep to one of the two."
            )
        self._fit(X, X_clean, is_part=True)
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Take noise away.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Noisy samples.

        Returns
        -------
        denoised : ndarray of shape (n_samples, n_features) or (n_samples, ...)
            What they are without noise, in the shape that `fit` saw.
        """
        return super().predict(X)

    def score_samples(self, X: ArrayLike) -> Array:
        """Return minus the squared difference that denoising makes to each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples, to which no noise is added.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus the mean over the features of the squared difference between a
            sample and what `predict` makes of it, in squared units of the data.
        """
        return super().score_samples(X)

    def score(
        self,
        X: ArrayLike,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        *,
        X_clean: ArrayLike | None = None,
    ) -> float:
        """Return the fraction of the variance of clean samples that is restored.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Noisy samples if `X_clean` holds the clean ones. Else clean ones: noise
            like that of training is put on them first, the same at every call (if it
            is not a callable with random numbers of its own).
        y : object, default=None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples. None: all weigh the same.
        X_clean : array-like of the shape of `X`, default=None
            The clean samples.

        Returns
        -------
        score : float
            One minus the squared error of the denoised samples over the squared
            distance of the clean ones from their mean. 1 is best; 0 is as good as
            answering with the mean; there is no lower bound. Samples without
            variance score 1 if they are restored exactly and 0 otherwise.

        Raises
        ------
        ValueError
            If there is no `X_clean` and the noise is unknown, as `fit` was given
            pairs, or if clean samples come as `y`.
        """
        self._check_fitted()
        self._refuse_samples(y, X, X_clean, "score")
        rows = self._check_samples(X, self)[0]
        given = self._check_targets(rows, X_clean, self._record.data_shape)
        if given is None and not self._makes_noise:
            raise ValueError(
                "score needs the clean samples: this denoiser was fitted on pairs and "
                "does not know how to make the noise. Call score(X_noisy, "
                "X_clean=X_clean). A search passes them on with "
                "sklearn.set_config(enable_metadata_routing=True) and "
                "set_score_request(X_clean=True)."
            )
        clean = rows if given is None else given
        weights = check_sample_weight(sample_weight, len(rows))
        errors = np.empty(len(rows))
        device = torch.device(self.net_.device)
        with one_thread(), isolated_randomness(_SCORE_SEED, device):
            for part in row_chunks(rows, _CHUNK):
                noisy = self._make_noisy(rows[part]) if given is None else rows[part]
                denoised = self.trained_network.reconstruct(noisy).reshape(noisy.shape)
                difference = np.subtract(denoised, clean[part], dtype=np.float64)
                with np.errstate(over="ignore"):
                    squares = np.square(difference)
                    # What follows the end of a sequence is NaN.
                    add = np.sum if self._record.sequences is None else np.nansum
                    errors[part] = add(squares, axis=1)
        if weights is not None:
            return weighted_share_explained(errors, clean, weights)
        return fraction_explained(float(errors.sum()), clean)

    # ---- fitting ------------------------------------------------------------------

    def _validate(self, X: Any, y: Any, previous: Self | None) -> Samples:
        samples = super()._validate(X, None, previous)
        clean = self._check_targets(samples.rows, y, samples.data_shape)
        return replace(samples, targets=clean)

    def _valid_rows(self, X_valid: Any, samples: Samples, plan: TrainingPlan) -> Rows:
        if samples.targets is None:
            return super()._valid_rows(X_valid, samples, plan)
        if not isinstance(X_valid, tuple) or len(X_valid) != 2:
            raise ValueError(
                "With X_clean, X_valid has to be a pair of noisy and clean samples: "
                "X_valid=(X_noisy, X_clean)."
            )
        rows = self._check_samples(X_valid[0], self)[0]
        clean = self._check_targets(rows, X_valid[1], samples.data_shape)
        assert clean is not None
        to_network = plan.units.scaling.to_network_in_parts
        return Rows(to_network(rows), to_network(clean))

    def _make_plan(self, samples: Samples, previous: Self | None) -> TrainingPlan:
        plan = super()._make_plan(samples, previous)
        if samples.targets is not None:
            return plan
        corruption = make_corruption(
            self.noise,
            self.noise_level,
            self.clip,
            samples.rows,
            scaling=plan.units.scaling,
            sample_shape=samples.data_shape,
            n_channels=samples.n_channels,
        )
        return replace(plan, objective=plan.objective.updated(corruption=corruption))

    # ---- clean samples and noise ------------------------------------------------

    @property
    def _makes_noise(self) -> bool:
        """Whether noise was added in `fit`, instead of passing pairs."""
        return self.net_.criterion_.corruption is not None

    def _refuse_samples(self, y: object, X: Any, X_clean: Any, method: str) -> None:
        """Raise if `y` holds clean samples, which are passed as `X_clean`."""
        if X_clean is None and holds_samples(y, X):
            raise ValueError(
                "y holds samples of the shape of X, but is ignored. Pass clean samples "
                f"by name: {method}(X_noisy, X_clean=X_clean). Leave out what else it "
                "may be: a denoiser has no targets."
            )

    def _check_targets(self, rows: Array, y: Any, data_shape: Shape) -> Array | None:
        """Return clean rows, or None if there are none."""
        if y is None:
            return None
        with naming("X_clean"):
            return self._read_targets(rows, y, data_shape)

    def _read_targets(self, rows: Array, y: Any, data_shape: Shape) -> Array:
        """Return clean rows."""
        self._check_names(y)
        is_ragged = bool(np.isnan(rows[:, -1:]).any())
        if is_ragged:
            sequences = Sequences.read(
                y, type(self).__name__, data_shape[0], data_shape
            )
            y = y if sequences is None else sequences.padded
        clean = check_array(
            from_torch(y),
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan" if is_ragged else True,
            allow_nd=True,
            estimator=self,
            input_name="X_clean",
        )
        if clean.shape not in {rows.shape, (len(rows), *data_shape)}:
            shape = (len(rows), *data_shape)
            raise ValueError(
                f"X_clean has shape {clean.shape}, but X has {shape}. Give the clean "
                "samples in the shape of the noisy ones, one for each."
            )
        clean = clean.reshape(rows.shape)
        if is_ragged and not np.array_equal(np.isnan(clean), np.isnan(rows)):
            raise ValueError(
                "X_clean has sequences of other lengths than X. Give the clean samples "
                "in the shape of the noisy ones, one for each."
            )
        return clean

    def _check_names(self, X_clean: Any) -> None:
        """Raise if clean samples have other columns than the noisy ones."""
        names = getattr(self, "feature_names_in_", None)
        given = column_names(X_clean)
        if names is None or given is None:
            return
        for name, column in zip(names, given, strict=False):
            if name != column:
                raise ValueError(
                    f"X_clean has the column {column!r} where X has {name!r}. Put its "
                    "columns in the order of those of X."
                )

    def _make_noisy(self, rows: Array) -> Array:
        """Return rows with the noise of training."""
        scaling = self._record.units.scaling
        shown = scaling.to_network(rows)
        if self._record.sequences is None:
            check_finite(rows, shown, type(self).__name__)
        noisy = self.net_.criterion_.corruption(shown.to(self.net_.device)).cpu()
        # In double precision, as noise in the units of `fit` may overflow in float32.
        return scaling.to_data(noisy, np.dtype(np.float64))
