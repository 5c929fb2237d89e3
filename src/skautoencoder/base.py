"""What all estimators share: parameters, the way into a net, and out of it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, Self

import torch
from numpy.typing import ArrayLike
from sklearn.base import _fit_context, clone
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skautoencoder._fit_warnings import few_of, warn_of_divergence
from skautoencoder._fitting import NetMixin
from skautoencoder._images import (
    looks_like_image,
    warn_of_channels_last,
    warn_of_guess,
)
from skautoencoder._samples import (
    Array,
    Range,
    Scaling,
    Shape,
    check_samples,
    fills_unit_range,
    is_in_unit_range,
    mean_and_spread,
    resolve_sample_shape,
    warn_of_ignored_samples,
)
from skautoencoder._trained import TrainedNetwork
from skautoencoder.architectures import Architecture, Conv, Dense
from skautoencoder.objectives import LOSSES, Corruption
from skautoencoder.training import (
    OPTIMIZERS,
    PRECISIONS,
    SCHEDULES,
    AutoencoderNet,
    float32_by_default,
    keeping_grad_mode,
    one_thread,
)

_ARCHITECTURES: dict[str, type[Architecture]] = {"dense": Dense, "conv": Conv}


# What code_size may be where the estimator knows one that suits its purpose.
CODE_SIZE_OR_AUTO: list[Any] = [
    Interval(Integral, 1, None, closed="left"),
    StrOptions({"auto"}),
    None,
]


class BaseAutoencoder(NetMixin):
    """Base class of the estimators. Think twice before adding to it.

    It knows how samples become rows, rows a trained net, and what a net says an
    array again. What a user asks of the net belongs to the estimators.
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "code_size": [Interval(Integral, 1, None, closed="left"), None],
        "architecture": [StrOptions({"auto", *_ARCHITECTURES}), Architecture],
        "sample_shape": ["array-like", None],
        "loss": [StrOptions(set(LOSSES))],
        "optimizer": [StrOptions(set(OPTIMIZERS)), type],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "lr_schedule": [StrOptions(set(SCHEDULES))],
        "batch_size": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "max_epochs": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "callbacks": [list, tuple, None],
        "device": [str, torch.device],
        "precision": [StrOptions(set(PRECISIONS))],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    # ---- fitting -------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: object = None, **fit_params: Any) -> Self:
        """Learn to encode `X` and to decode it again.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training samples: flat, or images of shape (n_samples, height,
            width) or (n_samples, n_channels, height, width).
        y : None
            Ignored.
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
            If samples or parameters are not what they should be, or the loss
            stops being a finite number. The estimator then is as it was before.
        """
        self._refuse_fit_params(fit_params)
        warn_of_ignored_samples(y, X, type(self).__name__, "learns")
        self._fit_anew(X, y)
        return self

    def _fit_anew(self, X: ArrayLike, y: object) -> None:
        """Do the work of `fit`."""
        with self._learner() as learner:
            learner._fit(X, y)
            learner.net_.forget_steps()

    def _fit(self, X: ArrayLike, y: object) -> None:
        """Learn from samples; estimators that learn more extend it."""
        previous = self._previous_net
        rows, data_shape = check_samples(
            self, X, reset=previous is None, ensure_min_samples=2
        )
        self._learn(rows, data_shape, previous, y)

    def _learn(
        self,
        rows: Array,
        data_shape: Shape,
        previous: AutoencoderNet | None,
        y: object,
    ) -> None:
        """Make a network for rows and train it, from `previous` on if there is one."""
        self._check_batch_size(len(rows))
        self._set_architecture(rows, data_shape)
        targets = self._check_targets(rows, y)
        wanted = rows if targets is None else targets
        value_range = float(wanted.min()), float(wanted.max())
        if previous is None:
            self._set_units(wanted, value_range)
        self._check_range(value_range)
        self._corruption = self._make_corruption(rows, targets, value_range)
        self._start_or_continue(len(rows), previous)
        self._train(rows, targets)
        shown = self._scaling.to_network(few_of(rows))
        warn_of_divergence(
            self.net_.module_,
            self.loss,
            self.history_[-1, "train_loss"],
            shown,
            shown if targets is None else self._scaling.to_network(few_of(targets)),
        )

    @property
    def _previous_net(self) -> AutoencoderNet | None:
        """The net that a fit continues from."""
        return getattr(self, "net_", None) if self.warm_start else None

    def _start_or_continue(
        self, n_samples: int, previous: AutoencoderNet | None
    ) -> None:
        """Make the net of a fit, with the weights of `previous` if there is one."""
        self._start_net(
            n_samples, self.validation_fraction if self.early_stopping else None
        )
        if previous is not None:
            self.net_.continue_from(previous)

    @contextmanager
    def _learner(self) -> Iterator[Self]:
        """Hand out a copy of this estimator, which it becomes if the block ends well.

        If it does not, nothing has to be undone, and nothing can interrupt that.
        Within it torch is as a fit wants it, whatever the user has set.
        """
        learner = object.__new__(type(self))
        learner.__dict__.update(self.__dict__)
        with (
            one_thread(),
            keeping_grad_mode(),
            torch.inference_mode(False),
            float32_by_default(),
        ):
            yield learner
        self.__dict__ = learner.__dict__

    def _set_architecture(self, rows: Array, data_shape: Shape) -> None:
        """Decide what the network looks like."""
        self._data_shape = data_shape
        self.sample_shape_ = resolve_sample_shape(self.sample_shape, data_shape)
        self._architecture = self._make_architecture(self.sample_shape_)
        self._architecture.check()
        is_conv = isinstance(self._architecture, Conv)
        if is_conv:
            warn_of_channels_last(self.sample_shape_)
        if self.sample_shape is None:
            is_auto = getattr(self, "architecture", None) == "auto"
            warn_of_guess(rows, data_shape, is_conv=is_conv, is_auto=is_auto)

    def _make_architecture(self, sample_shape: Shape) -> Architecture:
        """Return the architecture that the parameters stand for."""
        architecture = self.architecture
        if architecture == "auto":
            given = self.sample_shape is not None
            is_image = looks_like_image(sample_shape, given=given)
            architecture = "conv" if is_image else "dense"
        if isinstance(architecture, str):
            architecture = self._named_architecture(architecture)
        made: Architecture = clone(architecture, safe=False)
        return made.set_params(**self._nested_params("architecture"))

    def _named_architecture(self, name: str) -> Architecture:
        """Return the architecture that is called `name` here."""
        return _ARCHITECTURES[name]()

    def _set_units(self, rows: Array, value_range: Range) -> None:
        """Decide in which units the network sees rows like these."""
        self._output_activation = self._architecture.output_activation
        if self._output_activation == "auto":
            bounded = self.loss == "bce" or fills_unit_range(value_range)
            self._output_activation = "sigmoid" if bounded else "identity"
        self._center, self._spread, self._scaling = None, 1.0, Scaling()
        if not self._architecture._standardizes:
            return
        mean, spread = mean_and_spread(rows)
        if self._output_activation == "sigmoid":
            self._center, self._spread = torch.from_numpy(mean).float(), spread
        else:
            self._scaling = Scaling(mean, spread)

    # What the network is to answer is what it is shown, and it is shown that as it
    # is; unless an estimator wants otherwise.

    def _check_targets(self, rows: Array, y: object) -> Array | None:
        """Return what the network is to answer to rows, None for the rows."""
        return None

    def _make_corruption(
        self, rows: Array, targets: Array | None, value_range: Range
    ) -> Corruption | None:
        """Return the noise that training puts on rows like these."""
        return None

    def _check_batch_size(self, n_samples: int) -> None:
        """Warn if there are too few samples for a batch, which then has them all."""
        if self.batch_size != "auto" and self.batch_size > n_samples:
            warnings.warn(
                f"batch_size={self.batch_size} is larger than the number of samples, "
                f"{n_samples}, and is clipped to it. Lower it or use "
                "batch_size='auto'.",
                stacklevel=2,
            )

    def _check_range(self, value_range: Range) -> None:
        """Raise if the loss or the output cannot do what the data ask for."""
        if self._output_activation == "sigmoid":
            asked = self._architecture.output_activation == "sigmoid"
            asked = asked or self.loss == "bce"
            # Later rows may lie a little outside of what the first ones filled.
            margin = {} if asked else {"margin": 0.5}
            what = "loss='bce'" if self.loss == "bce" else "A sigmoid output"
        elif self.loss == "bce":
            if self._architecture._standardizes:
                raise ValueError(
                    "loss='bce' needs output_activation='sigmoid' or 'auto', but the "
                    "network's is 'identity'."
                )
            asked, margin, what = True, {}, "loss='bce'"
        else:
            return
        if not is_in_unit_range(value_range, **margin):
            low, high = value_range
            if not asked:
                raise ValueError(
                    "The first rows that this network learnt from lay in [0, 1], so it "
                    f"answers with a sigmoid, but X now goes from {low:.6g} to "
                    f"{high:.6g}. Bring all rows to [0, 1] in the same way (divide "
                    "pixels by 255; a MinMaxScaler fitted on all), or begin anew with "
                    "output_activation='identity' of the architecture."
                )
            raise ValueError(
                f"{what} needs data in [0, 1], but X goes from {low:.6g} to "
                f"{high:.6g}. Put a MinMaxScaler(clip=True) in front (or divide "
                "pixels by 255), or use loss='mse' and leave the architecture's "
                "output_activation alone."
            )

    # ---- what the estimators stand on ------------------------------------------

    def _check_applied(self, X: ArrayLike) -> Array:
        """Return samples to be encoded or scored as flat rows.

        Whether they are finite is checked batch by batch, see TrainedNetwork.
        """
        check_is_fitted(self)
        rows, _ = check_samples(self, X, reset=False, ensure_all_finite=False)
        return rows

    @property
    def _trained(self) -> TrainedNetwork:
        return TrainedNetwork(
            self.net_.module_,
            self._scaling,
            self._data_shape,
            self.code_size_,
            self._work,
            type(self).__name__,
        )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags
