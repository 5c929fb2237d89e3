"""Autoencoders whose `transform` returns codes."""

from __future__ import annotations

import os
from dataclasses import replace
from numbers import Integral
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils._param_validation import Interval
from torch.optim import Optimizer

from skautoencoder._estimator.array_types import Shape
from skautoencoder._estimator.base import CODE_SIZE_OR_AUTO, BaseAutoencoder
from skautoencoder._estimator.code_transformer import (
    CodeTransformer,
)
from skautoencoder._estimator.estimator_protocol import params_of
from skautoencoder._estimator.net_training import make_nets, train_nets
from skautoencoder._estimator.penalties import PENALTY_CONSTRAINTS
from skautoencoder._estimator.plan import Samples, TrainingPlan
from skautoencoder._estimator.principal_components import (
    LINEAR_LOSSES,
    better_from_pca,
    has_linear_encoder,
    is_linear,
    plan_with,
)
from skautoencoder.architectures import Architecture, Conv, Conv1d, Dense, Network
from skautoencoder.objectives import Objective, Penalty
from skautoencoder.training import AutoencoderNet

# Fewer rows say too little to choose by.
_FEWEST_ROWS = 10
# From this many images on, networks are mostly ahead of PCA, but those that learn from
# halves of them show it too seldom.
_MANY_IMAGES = 200
# With skip connections, the code would consist of the maps of all stages.
_NOT_OF_CONV = {"skip_connections"}


class AutoencoderTransformer(CodeTransformer):
    """Non-linear dimensionality reduction with an autoencoder.

    An encoder network turns each sample into a short code, a decoder network
    turns the code back into the sample, and both learn to lose as little as
    possible on the way. A linear autoencoder finds the subspace of
    :class:`~sklearn.decomposition.PCA`; this one may bend.

    Read more in the :ref:`User Guide <getting_started>`.

    Parameters
    ----------
    code_size : int, "auto" or None, default=10
        How many numbers the code has. "auto" chooses the smallest size, up to 32,
        whose error on held-out samples is within one standard error of the best, from
        one fit of ordered codes; see `ordered`. None keeps the spatial map of a
        convolutional architecture without hidden layers as the code; with
        :class:`~skautoencoder.architectures.Custom` modules the encoder decides.
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
        be given in the same way. "auto" also lets codes of PCA stand in for those
        of a network for rows, for sequences of one length, or for fewer than 200
        images, that does not do better, if `max_epochs` is "auto", too; see
        `has_linear_codes_`.
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
        Passes over the data. "auto" is as many as make about 4000 steps, but at
        least 8; and at most 50, or with fewer than 20 batches an epoch as many as
        make 1000 steps, up to 200; of up to six features at most 500.
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
        Seed of the first weights, the order of the rows, and the validation
        part. Global generators are neither read nor changed.
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
        after `partial_fit` over those of its last call).
    error_path_standard_errors_ : ndarray of shape (n_sizes,)
        Standard errors of these means.
    explained_variance_ratio_ : ndarray of shape (`code_size_`,)
        With ordered codes, what share of the variance of the same samples each number
        of a code explains beyond those before it.
    n_iter_ : int
        Epochs trained.
    init_losses_ : ndarray of shape (`n_init`,)
        The losses that the networks were compared by, in the order of their training.
    has_linear_codes_ : bool
        Whether the encoder is a single linear layer. With ``architecture="auto"`` and
        ``max_epochs="auto"`` it has the weights of
        :class:`~sklearn.decomposition.PCA` if the network that was trained did not
        reconstruct new rows better: up to 2000 rows are divided into halves, and what
        was trained on one is judged by the other; or `X_valid` decides. The decoder
        then adds to PCA's what the codes say of what PCA loses. `history_` and
        `n_iter_` are of the network that was trained.
    is_linear_ : bool
        Whether the decoder is a single linear layer, too: it is PCA's, as its codes say
        nothing of what it loses.
    n_features_in_ : int
        Number of features of a sample.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features, if `X` had names that are all strings.

    See Also
    --------
    ConvAutoencoderTransformer : The same for images, with the parameters of the
        convolutions at hand.
    sklearn.decomposition.PCA : Linear dimensionality reduction.

    Notes
    -----
    Data in [0, 1] are reconstructed by a sigmoid that starts at the mean sample;
    other data are centred and divided by one number for all features, so that
    features with a larger variance weigh more, as in PCA. Scale them first if
    they should not.

    References
    ----------
    Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural
    networks", Science 313, 2006.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import MinMaxScaler
    >>> from skautoencoder import AutoencoderTransformer
    >>> X, y = load_digits(return_X_y=True)
    >>> pipeline = make_pipeline(
    ...     MinMaxScaler(),
    ...     AutoencoderTransformer(code_size=16, max_epochs=10, random_state=0),
    ...     LogisticRegression(max_iter=1000),
    ... )
    >>> pipeline.fit(X[:1200], y[:1200]).score(X[1200:], y[1200:]) > 0.8
    True
    >>> pipeline[:-1].transform(X[:3]).shape
    (3, 16)
    """

    _parameter_constraints = {
        **BaseAutoencoder._parameter_constraints,
        **PENALTY_CONSTRAINTS,
        "code_size": CODE_SIZE_OR_AUTO,
        "ordered": ["boolean"],
        "n_init": [Interval(Integral, 1, None, closed="left")],
    }

    _few_features = 6

    def __init__(
        self,
        code_size: int | str | None = 10,
        *,
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

    @property
    def is_linear_(self) -> bool:
        """Whether the network is a single linear layer each way."""
        self._check_fitted()
        return is_linear(self.net_.module_)

    @property
    def has_linear_codes_(self) -> bool:
        """Whether the encoder is a single linear layer."""
        self._check_fitted()
        return has_linear_encoder(self.net_.module_)

    def _make_plan(self, samples: Samples, previous: Self | None) -> TrainingPlan:
        plan = super()._make_plan(samples, previous)
        if previous is None or not self._is_free or not previous.has_linear_codes_:
            return plan
        return plan_with(plan, previous.net_.module__architecture)

    def _settle(self, samples: Samples, plan: TrainingPlan) -> TrainingPlan:
        if not self._may_have_codes_of_pca(samples, plan):
            return plan
        # What is wrong with the batch size was said before the training.
        params = self.get_params(deep=False) | {"batch_size": "auto"}
        params["random_state"] = self.net_.seed
        quiet = params | {"verbose": 0, "callbacks": None}

        def make(
            plan: TrainingPlan, params: dict[str, Any]
        ) -> tuple[AutoencoderNet, float]:
            name = type(self).__name__
            (net,), work, _ = make_nets(plan, params, self._betas, name)
            return net, work

        def train(part: TrainingPlan) -> Network:
            schedule = self._usual_schedule(len(part.data), samples)
            part = replace(part, schedule=schedule)
            net, _ = make(part, quiet)
            train_nets([net], part, quiet)
            network: Network = net.module_
            return network

        better = better_from_pca(plan, self.net_.module_, self.net_.seed, train)
        if better is None:
            return plan
        plan, network = better
        net, work = make(plan, params)
        net.module_.load_state_dict(network.state_dict())
        net.history = self.net_.history
        self._keep(net, work, samples, plan)
        return plan

    @property
    def _is_free(self) -> bool:
        """Whether the network is left to the estimator."""
        nested = params_of("architecture", vars(self))
        return self.architecture == "auto" and not nested

    def _may_have_codes_of_pca(self, samples: Samples, plan: TrainingPlan) -> bool:
        """Return whether codes of PCA may take the place of the network's."""
        rows, code_size = plan.data.rows, plan.network.arguments["code_size"]
        return (
            self._is_free
            and self.max_epochs == "auto"
            and (
                isinstance(samples.architecture, Dense | Conv1d)
                or (isinstance(samples.architecture, Conv) and len(rows) < _MANY_IMAGES)
            )
            and samples.sequences is None
            and self.loss in LINEAR_LOSSES
            and plan.objective.make is Objective
            and not plan.objective.arguments["penalties"]
            and plan.data.weights is None
            and code_size < rows.shape[1]
            and len(rows) >= max(2 * code_size, _FEWEST_ROWS)
        )


class ConvAutoencoderTransformer(CodeTransformer):
    """Dimensionality reduction of images with a convolutional autoencoder.

    :class:`AutoencoderTransformer` with the architecture
    :class:`~skautoencoder.architectures.Conv`, whose parameters are its own.

    Read more in the :ref:`User Guide <getting_started>`.

    Parameters
    ----------
    code_size : int, "auto" or None, default=10
        How many numbers the code has. "auto" chooses the smallest size, up to 32,
        whose error on held-out samples is within one standard error of the best, from
        one fit of ordered codes; see `ordered`. None keeps the encoder's spatial map,
        flattened, as the code.
    ordered : bool, default=False
        Whether units of the code are ordered by importance, as components of PCA are:
        ``transform(X)[:, :k]`` then is a code of `k` numbers, and `inverse_transform`
        takes any number of leading columns. `validation_fraction` of the samples is
        kept out of training for `error_path_`, unless `fit` is given `X_valid`. See
        :ref:`ordered_codes`.
    channels : tuple of int, default=(32, 64, 128)
        Number of channels of each stage of the encoder.
    kernel_size : int, default=3
        Height and width of the kernels.
    n_downsamplings : int, default=None
        How many stages, counted from the input, halve the image. None: all.
    activation : str, default="silu"
        Follows every convolution.
    downsampling : {"stride", "max_pool"}, default="stride"
        Whether the convolution itself takes steps of two pixels, or 2×2
        max-pooling follows it.
    upsampling : {"transpose", "nearest"}, default="transpose"
        Whether a stage of the decoder is a transposed convolution with stride 2
        or a convolution followed by nearest-neighbour upsampling.
    upsampling_kernel_size : int, default=4
        Height and width of the kernels of transposed convolutions.
    residual : bool, default=False
        Whether stages have residual blocks.
    batch_norm : bool, default=True
        Whether to normalise over the batch before each activation.
    hidden_layer_sizes : tuple of int, default=()
        Dense layers between the spatial map and a flat code.
    code_activation : str, default="auto"
        Activation of the code. "auto" is "identity", and "sigmoid" with
        ``sparsity="kl"``.
    output_activation : {"auto", "identity", "sigmoid"}, default="auto"
        Activation of the reconstruction. "auto" is "sigmoid" where the
        training data lie in [0, 1] and span at least half of it, or the loss is
        "bce"; "identity" elsewhere.
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
        Passes over the data. "auto" is as many as make about 4000 steps, but at
        least 8; and at most 50, or with fewer than 20 batches an epoch as many as
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
        Seed of the first weights, the order of the rows, and the validation
        part. Global generators are neither read nor changed.
    **nested : dict
        Parameters of the parts, under skorch's names: ``optimizer__*``,
        ``iterator_train__*``, ``callbacks__*`` and ``penalty__*``.

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
        after `partial_fit` over those of its last call).
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
    AutoencoderTransformer : Any architecture.
    skautoencoder.architectures.Conv : The architecture.

    References
    ----------
    Masci, Meier, Cireşan and Schmidhuber, "Stacked convolutional auto-encoders
    for hierarchical feature extraction", ICANN 2011.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skautoencoder import ConvAutoencoderTransformer
    >>> images = load_digits().images / 16
    >>> autoencoder = ConvAutoencoderTransformer(
    ...     code_size=8, channels=(16, 32), max_epochs=2, random_state=0
    ... )
    >>> autoencoder.fit_transform(images).shape
    (1797, 8)
    >>> autoencoder.predict(images[:2]).shape
    (2, 8, 8)
    """

    _parameter_constraints = {
        **{
            name: constraint
            for name, constraint in BaseAutoencoder._parameter_constraints.items()
            if name != "architecture"
        },
        **PENALTY_CONSTRAINTS,
        "code_size": CODE_SIZE_OR_AUTO,
        "ordered": ["boolean"],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        **{
            name: constraint
            for name, constraint in Conv._parameter_constraints.items()
            if name not in _NOT_OF_CONV
        },
    }

    def __init__(
        self,
        code_size: int | str | None = 10,
        *,
        ordered: bool = False,
        channels: tuple[int, ...] = (32, 64, 128),
        kernel_size: int = 3,
        n_downsamplings: int | None = None,
        activation: str = "silu",
        downsampling: str = "stride",
        upsampling: str = "transpose",
        upsampling_kernel_size: int = 4,
        residual: bool = False,
        batch_norm: bool = True,
        hidden_layer_sizes: tuple[int, ...] = (),
        code_activation: str = "auto",
        output_activation: str = "auto",
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
        self.code_size = code_size
        self.ordered = ordered
        self.channels = channels
        self.kernel_size = kernel_size
        self.n_downsamplings = n_downsamplings
        self.activation = activation
        self.downsampling = downsampling
        self.upsampling = upsampling
        self.upsampling_kernel_size = upsampling_kernel_size
        self.residual = residual
        self.batch_norm = batch_norm
        self.hidden_layer_sizes = hidden_layer_sizes
        self.code_activation = code_activation
        self.output_activation = output_activation
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

    def _make_architecture(
        self, sample_shape: Shape, *, is_ragged: bool = False
    ) -> Architecture:
        names = Conv().get_params().keys() - _NOT_OF_CONV
        return Conv(**{name: getattr(self, name) for name in names})
