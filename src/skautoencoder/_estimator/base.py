"""The base class of the estimators: the steps of a fit, and validated samples."""

from __future__ import annotations

import copy
from abc import abstractmethod
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from numbers import Integral
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context, clone
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skautoencoder._estimator.array_types import Array, Range, Shape
from skautoencoder._estimator.callback_support import (
    CallbackSupportMixin,
    FitTasks,
    with_callbacks,
)
from skautoencoder._estimator.data_units import Units
from skautoencoder._estimator.estimator_protocol import EstimatorProtocol, params_of
from skautoencoder._estimator.fit_warnings import warn_of_divergence
from skautoencoder._estimator.image_detection import looks_like_image, warn_of_shape
from skautoencoder._estimator.input_hints import naming
from skautoencoder._estimator.net_training import (
    loss_of_start,
    make_nets,
    train_nets,
)
from skautoencoder._estimator.parameter_hints import suggesting
from skautoencoder._estimator.plan import (
    Recipe,
    Samples,
    Schedule,
    TrainingPlan,
    auto_or,
    network_recipe,
)
from skautoencoder._estimator.sample_validation import (
    check_samples,
    resolve_sample_shape,
    warn_of_ignored_samples,
)
from skautoencoder._estimator.sample_weights import weighted_samples
from skautoencoder._estimator.sequences import (
    SequenceFormat,
    lengths_of_rows,
    require_ragged,
    sequences_as_fitted,
    sequences_to_fit,
)
from skautoencoder._estimator.trained_network import FitRecord, TrainedNetwork
from skautoencoder.architectures import ARCHITECTURES, Architecture
from skautoencoder.objectives import Objective, RaggedObjective
from skautoencoder.training import (
    AutoencoderNet,
    Checkpoint,
    Rows,
    check_net,
    draw_seed,
    n_training_rows,
    operating,
    usual_torch,
)

# Constraints of `code_size` in estimators that have a default for it.
CODE_SIZE_OR_AUTO: list[Any] = [
    Interval(Integral, 1, None, closed="left"),
    StrOptions({"auto"}),
    None,
]

# The validated samples of a fit; some estimators have a subclass of their own.
SamplesT = TypeVar("SamplesT", bound=Samples)


class BaseAutoencoder(CallbackSupportMixin, EstimatorProtocol, Generic[SamplesT]):
    """Base class of the estimators.

    A fit has four steps: validate the samples, make a plan, train the network by the
    plan, and set what is specific to the estimator. Subclasses implement or extend
    ``_validate``, ``_make_plan`` and ``_complete``; training is the same for all.
    """

    # The attributes that a fit sets. Others are dropped at its end, so that this list
    # is complete for warm starts, copies and files.
    _fitted_state: ClassVar[tuple[str, ...]] = (
        "n_features_in_",
        "feature_names_in_",
        "sample_shape_",
        "code_size_",
        "net_",
        "history_",
        "n_iter_",
        "_record",
    )
    _record: FitRecord
    net_: AutoencoderNet
    # Number of trainings of which the best is kept; a parameter of some estimators.
    n_init: int = 1
    # The reconstruction loss; a parameter of most estimators.
    loss: str | None = None

    # Number of training steps that max_epochs="auto" aims at.
    _usual_steps: ClassVar[int] = 4000
    _fewest_epochs: ClassVar[int] = 8
    # Of how many features "auto" takes more epochs. What bends through few features
    # takes long to learn, and a short code of few is hard to overfit.
    _few_features: ClassVar[int] = 0
    # Decay rates of Adam's averages of gradients and squared gradients.
    _betas: ClassVar[tuple[float, float]] = (0.9, 0.99)
    # Whether NaN at the end of a sequence marks its end.
    _takes_ragged: ClassVar[bool] = False
    # Whether `fit` takes weights of samples.
    _takes_weights: ClassVar[bool] = False

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: ArrayLike,
        y: object = None,
        *,
        X_valid: Any = None,
        **fit_params: Any,
    ) -> Self:
        """Learn to encode `X` and to decode it again.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training samples: flat, or images of shape (n_samples, height,
            width) or (n_samples, n_channels, height, width), or sequences of shape
            (n_samples, n_steps, n_channels). See :ref:`sequences` for those of
            different lengths.
        y : None
            Ignored.
        X_valid : array-like of shape (n_valid, n_features) or (n_valid, ...), \
                default=None
            Samples to measure ``valid_loss`` on after each epoch, which `history_` then
            holds and `early_stopping` goes by: all of `X` is trained on, and
            `validation_fraction` is unused.
        **fit_params : dict
            Only ``sample_weight``, an array of shape (n_samples,), for transformers,
            denoisers and samplers: a whole number counts a sample so many times, other
            weights say how often it is drawn in an epoch. What else training needs are
            parameters of the estimator.

        Returns
        -------
        self : estimator instance
            The fitted estimator.

        Raises
        ------
        TypeError
            If there are other `fit_params`; says which parameter it is instead.
        ValueError
            If samples or parameters are not what they should be, or the loss
            stops being a finite number. The estimator then is as it was before.
        """
        weights = self._take_weights(fit_params)
        warn_of_ignored_samples(y, X, type(self).__name__, "learns nothing from")
        self._fit(X, y, X_valid=X_valid, sample_weight=weights)
        return self

    # `sample_weight` is not in the signature of `fit`: scikit-learn's checks would ask
    # for the last digit of a fit to repeated rows, which are in another order.
    def _take_weights(self, fit_params: dict[str, Any]) -> Any:
        """Return `sample_weight`, and refuse other parameters of `fit`."""
        weights = None
        if self._takes_weights:
            weights = fit_params.pop("sample_weight", None)
        if fit_params:
            self._refuse_fit_params(fit_params)
        return weights

    # ---- the steps of a fit ---------------------------------------------------

    def _fit(
        self,
        X: ArrayLike,
        y: object,
        *,
        X_valid: Any = None,
        sample_weight: Any = None,
        is_part: bool = False,
    ) -> None:
        """Fit anew, from the weights of the previous fit, or to a part of the data.

        Parameters
        ----------
        X, y : object
            What `fit` or `partial_fit` was given.
        X_valid, sample_weight : object, default=None
            What `fit` was given.
        is_part : bool, default=False
            Whether more of the data is to come, in further calls.
        """
        continues = hasattr(self, "net_") and (is_part or self.warm_start)
        previous = self if continues else None
        parameters = {
            name: value
            for name, value in vars(self).items()
            if name not in self._fitted_state
        }
        # A copy is fitted: if that raises, the estimator is unchanged.
        learner = object.__new__(type(self))
        learner.__dict__.update(vars(self) if continues else parameters)
        with usual_torch():
            learner._learn(X, y, previous, X_valid, sample_weight, is_part=is_part)
        learnt = vars(learner)
        fitted = {name: learnt[name] for name in self._fitted_state if name in learnt}
        self.__dict__ = parameters | fitted

    @with_callbacks
    def _learn(
        self,
        X: ArrayLike,
        y: object,
        previous: Self | None,
        X_valid: Any,
        sample_weight: Any,
        *,
        is_part: bool,
    ) -> None:
        """Take the steps of a fit, on a copy of the estimator; see :meth:`_fit`."""
        if self.n_init > 1 and self.checkpoint is not None and not is_part:
            raise ValueError(
                f"checkpoint keeps the state of one training, and n_init={self.n_init} "
                "makes several. Use n_init=1, or checkpoint=None."
            )
        with Checkpoint.opened(None if is_part else self.checkpoint) as checkpoint:
            # This is a copy: the parameter of the estimator stays what it is. One
            # seed for a fit can be kept by those that go on from it, see `_seed`.
            attributes, given = self.__dict__, self.__dict__["random_state"]
            if checkpoint is not None and given is None:
                attributes["random_state"] = checkpoint.seed
            elif not isinstance(given, Integral):
                attributes["random_state"] = draw_seed(given)
            X, y, weights, copies = weighted_samples(X, y, sample_weight)
            samples = self._validate(X, y, previous).repeated(copies)
            plan = self._make_plan(samples, previous).weighted(weights, copies)
            if X_valid is not None:
                plan = self._with_validation(plan, X_valid, samples)
            tasks = FitTasks(self, X, y, is_part=is_part)
            self._train(plan, samples, previous, tasks, checkpoint, is_part=is_part)
            if previous is None and not is_part:
                plan = self._settle(samples, plan)
            self._complete(samples, plan)
            with operating():
                warn_of_divergence(self.net_, samples, plan, is_part=is_part)
            if not is_part:
                self.net_.forget_steps()
            tasks.end()

    def _with_validation(
        self, plan: TrainingPlan, X_valid: Any, samples: SamplesT
    ) -> TrainingPlan:
        """Return the plan with rows of the user's own to measure the loss on."""
        # What methods of a fitted estimator validate samples by.
        self.sample_shape_ = samples.sample_shape
        self._record = FitRecord(samples.data_shape, plan.units, 0.0, samples.sequences)
        schedule = replace(plan.schedule, validation_fraction=None)
        with naming("X_valid"):
            valid = self._valid_rows(X_valid, samples, plan)
        return replace(plan, schedule=schedule, valid=valid)

    def _valid_rows(self, X_valid: Any, samples: SamplesT, plan: TrainingPlan) -> Rows:
        """Return validation samples in the network's units, and their targets."""
        rows = self._check_samples(X_valid, self)[0]
        return Rows(plan.units.scaling.to_network_in_parts(rows))

    def _seed(self, previous: Self | None) -> int:
        """Return the seed of a fit: that of the fit from which it continues, if any.

        So samples that were kept out of its training are kept out again.
        """
        if previous is None:
            return draw_seed(self.__dict__["random_state"])
        seed: int = previous.net_.seed
        return seed

    @abstractmethod
    def _validate(self, X: Any, y: Any, previous: Self | None) -> SamplesT:
        """Return the samples of a fit, validated.

        Parameters
        ----------
        X, y : object
            What `fit` was given.
        previous : estimator or None
            The fitted estimator from which this fit continues.
        """

    @abstractmethod
    def _make_plan(self, samples: SamplesT, previous: Self | None) -> TrainingPlan:
        """Return what to train, on which data, and for how long.

        Parameters
        ----------
        samples : Samples
            The result of :meth:`_validate`.
        previous : estimator or None
            The fitted estimator from which this fit continues.
        """

    def _units(self, samples: SamplesT, previous: Self | None) -> Units:
        """Return units, new or of the fit before; raise if rows exceed their range."""
        value_range, architecture = samples.value_range, samples.architecture
        if previous is None:
            units = self._new_units(samples, value_range)
        else:
            units = previous._record.units
        units.check(value_range, architecture, self.loss)
        return units

    def _new_units(self, samples: SamplesT, value_range: Range) -> Units:
        """Choose the units in which the network sees rows.

        Parameters
        ----------
        samples : Samples
            The result of :meth:`_validate`.
        value_range : tuple of float
            Lowest and highest value of the wanted outputs.
        """
        return Units.of_data(
            samples.wanted,
            value_range,
            samples.architecture,
            self.loss,
            n_channels=samples.n_channels,
        )

    def _usual_plan(
        self, samples: SamplesT, previous: Self | None, code_size: int | None
    ) -> TrainingPlan:
        """Return the plan to reconstruct samples, or to make their targets of them."""
        units = self._units(samples, previous)
        to_network, targets = units.scaling.to_network_in_parts, samples.targets
        is_ragged = samples.sequences is not None
        network = network_recipe(
            samples.architecture, samples.sample_shape, code_size, units
        )
        return TrainingPlan(
            network.updated(ragged=True) if is_ragged else network,
            Recipe(RaggedObjective if is_ragged else Objective, {"loss": self.loss}),
            Rows(
                to_network(samples.rows),
                None if targets is None else to_network(targets),
            ),
            units,
            self._usual_schedule(len(samples.rows), samples),
        )

    def _usual_schedule(self, n_rows: int, samples: Samples) -> Schedule:
        """Return the batch size and the number of epochs for `n_rows` rows."""
        fraction = self.validation_fraction if self.early_stopping else None
        n_rows = n_training_rows(n_rows, fraction)
        batch_size = auto_or(self.batch_size, samples.usual_batch_size(n_rows))
        max_epochs = samples.usual_epochs(
            n_rows,
            batch_size,
            self._usual_steps,
            self._fewest_epochs,
            self._few_features,
        )
        return Schedule(batch_size, auto_or(self.max_epochs, max_epochs), fraction)

    def _train(
        self,
        plan: TrainingPlan,
        samples: SamplesT,
        previous: Self | None,
        tasks: FitTasks,
        checkpoint: Checkpoint | None,
        *,
        is_part: bool,
    ) -> None:
        """Train a network by the plan, and set the attributes of the training."""
        params = self.get_params(deep=False)
        with operating():
            if is_part and previous is not None:
                nets, work = [previous.net_.twin()], previous._record.work
            else:
                name = type(self).__name__
                n_starts = 1 if is_part or previous is not None else self.n_init
                nets, work, self.code_size_ = make_nets(
                    plan, params, self._betas, name, is_part=is_part, n_starts=n_starts
                )
                if previous is not None:
                    nets[0].continue_from(previous.net_)
            if is_part:
                nets[0].set_params(
                    lr_schedule="constant", max_epochs=1, validation_fraction=None
                )
            check_net(nets[0], plan.data, plan.valid)

        def fitted(net: AutoencoderNet) -> dict[str, Any]:
            """Return the fitted attributes as if the training of a net ended now."""
            now = copy.copy(self)
            now._keep(net.snapshot(), work, samples, plan)
            now._complete(samples, plan)
            return {k: v for k, v in vars(now).items() if k in self._fitted_state}

        keeping: AbstractContextManager[None] = nullcontext()
        if checkpoint is not None:
            keeping = checkpoint.of(nets[0], plan.data, plan.valid, type(self).__name__)
        with keeping, tasks.running(nets, fitted):
            train_nets(nets, plan, params)
        losses = [loss_of_start(net) for net in nets]
        self.init_losses_ = np.array(losses)
        self._keep(nets[int(np.argmin(losses))], work, samples, plan)

    def _keep(
        self, net: AutoencoderNet, work: float, samples: SamplesT, plan: TrainingPlan
    ) -> None:
        """Set the fitted attributes that all estimators have."""
        self.net_, self.history_, self.n_iter_ = net, net.history, len(net.history)
        self.sample_shape_ = samples.sample_shape
        self._record = FitRecord(
            samples.data_shape,
            plan.units,
            work,
            samples.sequences,
            plan.data.rows.shape[1],
        )

    def _settle(self, samples: SamplesT, plan: TrainingPlan) -> TrainingPlan:
        """Return the plan of the network to keep, after the training of a new one.

        Parameters
        ----------
        samples : Samples
            The result of :meth:`_validate`.
        plan : TrainingPlan
            The plan by which the network was trained.
        """
        return plan

    def _complete(self, samples: SamplesT, plan: TrainingPlan) -> None:
        """Set the fitted attributes that are specific to the estimator.

        Parameters
        ----------
        samples : Samples
            The result of :meth:`_validate`.
        plan : TrainingPlan
            The plan by which the network was trained.
        """

    # ---- validated samples ----------------------------------------------------

    def _check_samples(
        self, X: Any, previous: Self | None, **checks: Any
    ) -> tuple[Array, Shape, SequenceFormat | None]:
        """Return samples as flat rows, the shape of one, and the form of sequences.

        Parameters
        ----------
        X : array-like
            The samples.
        previous : estimator or None
            A fitted estimator with whose features to compare. None: `n_features_in_`
            and `feature_names_in_` are set, and one sample is too few.
        **checks : dict
            Passed to :func:`check_samples`.

        Returns
        -------
        rows : ndarray of shape (n_samples, n_features)
            The samples.
        data_shape : tuple of int
            Shape of a sample of `X`.
        form : SequenceFormat or None
            How sequences of different lengths are given. None: samples are no such.
        """
        name, shapes, least = type(self).__name__, None, 2
        sequences, form = None, None
        if previous is not None:
            form, least = previous._record.sequences, 1
            shapes = (previous._record.data_shape, previous.sample_shape_)
            if self._takes_ragged:
                sequences = sequences_as_fitted(X, name, shapes[0], form)
        elif self._takes_ragged:
            architecture = getattr(self, "architecture", None)
            sequences = sequences_to_fit(X, name, self.sample_shape, architecture)
        if sequences is not None:
            X, checks = sequences.padded, {"ensure_all_finite": "allow-nan"}
            # Those that all end early, at the same step, have one length.
            if form is not None or np.isnan(X[:, -1:]).any():
                form = sequences.format
        rows, data_shape = check_samples(
            self, X, fitted_shapes=shapes, ensure_min_samples=least, **checks
        )
        return rows, data_shape, form

    def _in_form_of(self, X: Any, samples: Array, rows: Array) -> Any:
        """Return sequences, and their lengths, in the form in which `X` has them.

        Parameters
        ----------
        X : object
            What the user passed.
        samples : ndarray of shape (n_samples, n_steps, n_channels)
            The sequences. What follows their ends is of no matter.
        rows : ndarray of shape (n_samples, n_features)
            `X`, validated.
        """
        form = SequenceFormat.of(X) or self._record.sequences
        assert form is not None
        return form.wrap(samples, lengths_of_rows(rows, self._record.data_shape))

    def _check_applied(self, X: ArrayLike) -> Array:
        """Return samples as flat rows, validated for a fitted estimator.

        Whether they are finite is checked batch by batch, see TrainedNetwork.
        """
        self._check_fitted()
        return self._check_samples(X, self, ensure_all_finite=False)[0]

    def _check_fitted(self) -> None:
        """Raise if there was no fit; scikit-learn's check takes long for each row."""
        if not hasattr(self, "net_"):
            check_is_fitted(self)

    def _describe(
        self,
        rows: Array,
        data_shape: Shape,
        sequences: SequenceFormat | None,
        previous: Self | None,
    ) -> Samples:
        """Return rows, together with their shape and the network's architecture.

        Parameters
        ----------
        rows : ndarray of shape (n_samples, n_features)
            The samples.
        data_shape : tuple of int
            Shape of a sample of `X`.
        sequences : SequenceFormat or None
            How sequences of different lengths were given. None: samples are no such.
        previous : estimator or None
            The fitted estimator from which this fit continues.
        """
        sample_shape = resolve_sample_shape(self.sample_shape, data_shape)
        is_ragged = sequences is not None
        architecture = self._checked_architecture(sample_shape, is_ragged=is_ragged)
        if is_ragged:
            require_ragged(architecture)
        elif previous is None:
            warn_of_shape(
                rows,
                data_shape,
                None if self.sample_shape is None else sample_shape,
                architecture,
                is_auto=getattr(self, "architecture", None) == "auto",
            )
        return Samples(
            rows=rows,
            data_shape=data_shape,
            sample_shape=sample_shape,
            architecture=architecture,
            sequences=sequences,
        )

    # ---- architecture -----------------------------------------------------------

    def _checked_architecture(
        self, sample_shape: Shape, *, is_ragged: bool = False
    ) -> Architecture:
        """Return the architecture; raise if its parameters are not what they may be."""
        architecture = self._make_architecture(sample_shape, is_ragged=is_ragged)
        with suggesting(architecture):
            architecture.check()
        return architecture

    def _make_architecture(
        self, sample_shape: Shape, *, is_ragged: bool = False
    ) -> Architecture:
        """Return the architecture for the parameters."""
        architecture = self.architecture
        if architecture == "auto":
            architecture = self._usual_architecture(sample_shape, is_ragged=is_ragged)
        if isinstance(architecture, str):
            architecture = self._named_architecture(architecture)
        made: Architecture = clone(architecture, safe=False)
        return made.set_params(**params_of("architecture", vars(self)))

    def _usual_architecture(self, sample_shape: Shape, *, is_ragged: bool) -> str:
        """Return the name of the architecture that "auto" stands for."""
        if is_ragged:
            return "conv1d"
        if looks_like_image(sample_shape, given=self.sample_shape is not None):
            return "conv"
        # Of a single step, there are only the channels.
        has_steps = len(sample_shape) == 2 and sample_shape[0] > 1
        return "conv1d" if has_steps else "dense"

    def _named_architecture(self, name: str) -> Architecture:
        """Return the default of this estimator for the architecture `name`."""
        return ARCHITECTURES[name]()

    # ---- the trained network ----------------------------------------------------

    @property
    def trained_network(self) -> TrainedNetwork:
        """The network and its units, for what stands on a fitted estimator."""
        record = self._record
        return TrainedNetwork(
            self.net_.module_,
            record.units.scaling,
            record.data_shape,
            self.code_size_,
            record.work,
            type(self).__name__,
            n_inputs=record.n_inputs,
            is_ragged=record.sequences is not None,
            shows_progress=bool(self.verbose),
        )

    @property
    def encoder_(self) -> nn.Module:
        """The encoder, a torch module; see :ref:`the guide <encoder_decoder>`."""
        self._check_fitted()
        encoder: nn.Module = self.net_.module_.encoder
        return encoder

    @property
    def decoder_(self) -> nn.Module:
        """The decoder, a torch module; see :ref:`the guide <encoder_decoder>`."""
        self._check_fitted()
        decoder: nn.Module = self.net_.module_.decoder
        return decoder

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags
