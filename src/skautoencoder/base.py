"""What all estimators share: parameters, the way into a net, and out of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, _fit_context, clone
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skautoencoder._parameters import NestedParametersMixin
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
    warn_of_channels_last,
)
from skautoencoder._trained import TrainedNetwork
from skautoencoder.architectures import Architecture, Conv, Dense, Network
from skautoencoder.objectives import LOSSES, Corruption, Objective
from skautoencoder.training import (
    OPTIMIZERS,
    PRECISIONS,
    SCHEDULES,
    AutoencoderNet,
    EarlyStopping,
    Rows,
    copy_callbacks,
    draw_seed,
    isolated_randomness,
    n_training_rows,
    resolve_device,
    resolve_optimizer,
    resolve_precision,
    threads_for,
    work_per_sample,
)

_ARCHITECTURES: dict[str, type[Architecture]] = {"dense": Dense, "conv": Conv}


# What code_size may be where the estimator knows one that suits its purpose.
CODE_SIZE_OR_AUTO: list[Any] = [
    Interval(Integral, 1, None, closed="left"),
    StrOptions({"auto"}),
    None,
]


def build_network(architecture: Architecture, **kwargs: Any) -> Network:
    """Build a network; a function of this module so that a net can be pickled."""
    return architecture.build(**kwargs)


class BaseAutoencoder(NestedParametersMixin, BaseEstimator):
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

    # Estimators without a penalty on the code have no such parameters.
    sparsity: str | None = None
    sparsity_weight: float | str = 0.0
    sparsity_target: float = 0.05
    n_nonzero_coefs: int | None = None
    contraction_weight: float = 0.0

    # The sampler has a likelihood instead.
    loss: str = "mse"

    # What max_epochs="auto" aims at.
    _usual_steps = 4000
    _fewest_epochs = 8
    # How long Adam remembers.
    _betas = (0.9, 0.99)

    # ---- fitting -------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learn to encode `X` and to decode it again.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training samples: flat, or images of shape (n_samples, height,
            width) or (n_samples, n_channels, height, width).
        y : None
            Ignored.

        Returns
        -------
        self : estimator instance
            The fitted estimator.

        Raises
        ------
        ValueError
            If samples or parameters are not what they should be, or the loss
            stops being a finite number. The estimator then is as it was before.
        """
        with self._unchanged_on_error():
            self._fit(X, y)
        return self

    def _fit(self, X: ArrayLike, y: object) -> None:
        """Do the work of `fit`; estimators that learn more extend it."""
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
        self._set_architecture(data_shape)
        targets = self._check_targets(rows, y)
        wanted = rows if targets is None else targets
        value_range = float(wanted.min()), float(wanted.max())
        if previous is None:
            self._set_units(wanted, value_range)
        self._check_range(value_range)
        self._corruption = self._make_corruption(rows, targets, value_range)
        self._start_or_continue(len(rows), previous)
        self._train(rows, targets)

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
    def _unchanged_on_error(self) -> Iterator[None]:
        """Put the attributes back if the block does not end well."""
        before = self.__dict__.copy()
        try:
            yield
        except BaseException:
            self.__dict__ = before
            raise

    def _set_architecture(self, data_shape: Shape) -> None:
        """Decide what the network looks like."""
        self._data_shape = data_shape
        self.sample_shape_ = resolve_sample_shape(self.sample_shape, data_shape)
        self._architecture = self._make_architecture(self.sample_shape_)
        self._architecture.check()
        if isinstance(self._architecture, Conv):
            warn_of_channels_last(self.sample_shape_)

    def _make_architecture(self, sample_shape: Shape) -> Architecture:
        """Return the architecture that the parameters stand for."""
        architecture = self.architecture
        if architecture == "auto":
            architecture = "conv" if looks_like_image(sample_shape) else "dense"
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

    def _resolve_code_size(self) -> int | None:
        """Return how many numbers the architecture is asked to put in a code."""
        if self.code_size == "auto":
            return self._auto_code_size()
        return None if self.code_size is None else int(self.code_size)

    def _auto_code_size(self) -> int | None:
        """Return what "auto" stands for: room, where answers need no small code.

        None, which is the spatial map itself, for convolutions without dense layers.
        """
        architecture = self._architecture
        spatial = isinstance(architecture, Conv) and architecture.map_is_code(None)
        return None if spatial else 128

    def _check_batch_size(self, n_samples: int) -> None:
        """Raise if there are too few samples for a batch."""
        if self.batch_size != "auto" and self.batch_size > n_samples:
            raise ValueError(
                f"batch_size={self.batch_size} is larger than the number of "
                f"samples, {n_samples}. Lower it or use batch_size='auto'."
            )

    def _check_range(self, value_range: Range) -> None:
        """Raise if the loss or the output cannot do what the data ask for."""
        if self._output_activation == "sigmoid":
            asked = self._architecture.output_activation == "sigmoid"
            # Later rows may lie a little outside of what the first ones filled.
            margin = {} if asked or self.loss == "bce" else {"margin": 0.5}
            what = "loss='bce'" if self.loss == "bce" else "A sigmoid output"
        elif self.loss == "bce":
            if self._architecture._standardizes:
                raise ValueError(
                    "loss='bce' needs output_activation='sigmoid' or 'auto', but the "
                    "network's is 'identity'."
                )
            margin, what = {}, "loss='bce'"
        else:
            return
        if not is_in_unit_range(value_range, **margin):
            low, high = value_range
            raise ValueError(
                f"{what} needs data in [0, 1], but X goes from {low:.6g} to "
                f"{high:.6g}. Put a MinMaxScaler(clip=True) in front (or divide "
                "pixels by 255), or use loss='mse' and leave the architecture's "
                "output_activation alone."
            )

    def _check_network(self, rows: torch.Tensor) -> None:
        """Raise if the network answers with what the objective cannot use."""
        network = self.net_.module_
        sample = rows.to(self.net_.device)
        with evaluating(network):
            codes = network.encode(sample)
            outputs = network.decode(codes)
        if self.sparsity == "kl" and not self._bounds_codes(codes.cpu().numpy()):
            raise ValueError(
                "sparsity='kl' needs codes in [0, 1]. Leave code_activation at 'auto' "
                "or set it to 'sigmoid', and code_batch_norm at False; let an encoder "
                "of your own end in a sigmoid."
            )
        if self.loss == "bce" and not is_in_unit_range(outputs.cpu().numpy()):
            raise ValueError(
                "loss='bce' needs reconstructions in [0, 1]. Let the decoder of Custom "
                "end in a sigmoid, or set its output_activation='sigmoid'."
            )

    def _bounds_codes(self, first_codes: Array) -> bool:
        """Return whether codes will stay in [0, 1]."""
        activation = getattr(self._architecture, "code_activation", None)
        if activation is None:
            # Modules of the user's own can only be asked.
            return is_in_unit_range(first_codes)
        normalized = getattr(self._architecture, "code_batch_norm", False)
        return activation in ("auto", "sigmoid") and not normalized

    def _start_net(self, n_samples: int, validation_fraction: float | None) -> None:
        """Make the net, with fresh weights."""
        device = resolve_device(self.device)
        seed = draw_seed(self.random_state)
        kind, optimizer = resolve_optimizer(
            self.optimizer, self._nested_params("optimizer"), device, self._betas
        )
        n_rows = n_training_rows(n_samples, validation_fraction)
        batch_size = self._resolve_batch_size(n_rows)
        callbacks = copy_callbacks(self.callbacks)
        if validation_fraction is not None:
            stopping = EarlyStopping(self.n_iter_no_change, self.tol)
            callbacks.append(("early_stopping", stopping))
        build, network = self._make_network()
        objective, criterion = self._make_objective()
        net = AutoencoderNet(
            build,
            objective,
            **{f"module__{name}": value for name, value in network.items()},
            **{f"criterion__{name}": value for name, value in criterion.items()},
            optimizer=kind,
            **{f"optimizer__{name}": value for name, value in optimizer.items()},
            lr=self.lr,
            lr_schedule=self.lr_schedule,
            batch_size=batch_size,
            max_epochs=self._resolve_max_epochs(n_rows, batch_size),
            validation_fraction=validation_fraction,
            callbacks=callbacks,
            **self._with_prefix("callbacks"),
            **self._with_prefix("iterator_train"),
            device=str(device),
            verbose=int(self.verbose),
            seed=seed,
        )
        # On one thread: orthogonal weights have other digits on two.
        with isolated_randomness(seed, device), threads_for(0.0):
            net.initialize()
        net.check_nested()
        net.check_callbacks()
        net.check_batch_size(n_rows)
        n_features = math.prod(self._shown_shape)
        self._work = work_per_sample(net.module_, n_features)
        # Forward, and twice that to come back.
        net.compute_dtype = resolve_precision(
            self.precision, device, 3 * self._work * min(batch_size, n_rows)
        )
        self.code_size_ = code_size_of(net.module_, n_features)
        self.net_ = net

    @property
    def _shown_shape(self) -> Shape:
        """Shape of what the network is shown of a sample."""
        return self.sample_shape_

    def _make_network(self) -> tuple[Callable[..., Network], dict[str, Any]]:
        """Return what makes the network, and its arguments."""
        return build_network, {
            "architecture": self._architecture,
            "sample_shape": self._shown_shape,
            "code_size": self._resolve_code_size(),
            "output_activation": self._output_activation,
            "code_activation": "sigmoid" if self.sparsity == "kl" else "identity",
            "code_activity": self.sparsity_target if self.sparsity == "kl" else None,
            "top_k": self.sparsity == "top_k",
            "n_nonzero_coefs": self.n_nonzero_coefs,
            "center": self._center,
            "spread": self._spread,
        }

    def _make_objective(self) -> tuple[type[torch.nn.Module], dict[str, Any]]:
        """Return what training makes small, and its parameters."""
        return Objective, {
            "loss": self.loss,
            "sparsity": self.sparsity,
            "sparsity_weight": self._resolve_sparsity_weight(),
            "sparsity_target": self.sparsity_target,
            "contraction_weight": self.contraction_weight,
            "corruption": self._corruption,
        }

    def _with_prefix(self, prefix: str) -> dict[str, Any]:
        nested = self._nested_params(prefix)
        return {f"{prefix}__{name}": value for name, value in nested.items()}

    def _resolve_sparsity_weight(self) -> float:
        if not isinstance(self.sparsity_weight, str):
            return self.sparsity_weight
        # With the second, units come within a few per cent of their target.
        return 1e-4 if self.sparsity == "l1" else 0.1

    def _resolve_batch_size(self, n_rows: int) -> int:
        if self.batch_size != "auto":
            return int(self.batch_size)
        return int(np.clip(2 ** round(np.log2(n_rows / 60)), 32, 128))

    def _resolve_max_epochs(self, n_rows: int, batch_size: int) -> int:
        if self.max_epochs != "auto":
            return int(self.max_epochs)
        # Enough steps to learn, few enough epochs not to learn by heart.
        n_batches = max(n_rows // batch_size, 1)
        most = np.clip(1000 / n_batches, 50, 200)
        return int(np.clip(self._usual_steps / n_batches, self._fewest_epochs, most))

    def _train(self, rows: Array, targets: Array | None) -> None:
        """Let the net learn from rows in the user's units."""
        shown = self._scaling.to_network_in_parts(rows)
        wanted = None
        if targets is not None:
            wanted = self._scaling.to_network_in_parts(targets)
        self._train_net(Rows(shown, wanted))

    def _train_net(self, data: Rows) -> None:
        """Let the net learn from rows in its own units."""
        self._check_network(data.rows[:64])
        net = self.net_
        device = torch.device(net.device)
        if device.type != "cpu":
            data = data.to(device)
        # A seed of its own: a second call must not repeat the first one's draws.
        seed = (net.seed + len(net.history)) % 2**31
        if "seed" not in self._nested_params("iterator_train"):
            net.iterator_train__seed = seed
        step_work = 3 * self._work * net.batch_size
        with isolated_randomness(seed, device), threads_for(step_work):
            net.partial_fit(data)
        self.history_ = net.history
        self.n_iter_ = len(net.history)

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


def looks_like_image(sample_shape: Shape) -> bool:
    """Return whether samples of this shape are taken for images.

    A pair of lengths is one if neither is very short: (100, 3) is a sequence of
    three channels more often than an image three pixels wide.
    """
    if len(sample_shape) == 2:
        return min(sample_shape) >= 4
    return len(sample_shape) == 3


def code_size_of(network: Network, n_features: int) -> int:
    """Return how many numbers a network makes of a row."""
    device = next((p.device for p in network.parameters()), None)
    with evaluating(network):
        return network.encode(torch.zeros(1, n_features, device=device)).shape[1]


@contextmanager
def evaluating(network: torch.nn.Module) -> Iterator[None]:
    """Ask a network within the block, without gradients and without a trace."""
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        network.train(was_training)
