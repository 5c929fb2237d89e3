"""The base class of the estimators whose `transform` returns codes."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.utils import Tags

from skautoencoder._estimator.array_statistics import (
    ROUNDING,
    mean_row,
    row_parts,
)
from skautoencoder._estimator.array_types import Array, Shape
from skautoencoder._estimator.base import BaseAutoencoder
from skautoencoder._estimator.containers import in_frame_like
from skautoencoder._estimator.estimator_protocol import params_of
from skautoencoder._estimator.fit_warnings import warn_of_large_codes, warn_of_units
from skautoencoder._estimator.input_hints import naming, with_hints
from skautoencoder._estimator.interpolation import (
    as_samples,
    check_count,
    codes_between,
    require_one,
)
from skautoencoder._estimator.ordered_codes import (
    ErrorPath,
    most_units,
    require_sizes,
    with_ordered_codes,
)
from skautoencoder._estimator.penalties import make_penalties
from skautoencoder._estimator.plan import (
    Samples,
    TrainingPlan,
    ample_code_size,
    auto_or,
)
from skautoencoder._estimator.sample_validation import (
    check_codes,
    from_torch,
    warn_of_ignored_samples,
)
from skautoencoder._estimator.sample_weights import (
    check_sample_weight,
    weighted_share_explained,
)
from skautoencoder.architectures._ragged import lengths_of
from skautoencoder.training import to_tensor


class CodeTransformer(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseAutoencoder[Samples]
):
    """Base class of the transformers: codes, reconstructions and their errors."""

    _takes_ragged = True
    _takes_weights = True
    __metadata_request__fit: ClassVar[dict[str, Any]] = {"sample_weight": None}
    # Whether noise is added in training, which keeps a network from copying its input.
    _learns_from_noise: ClassVar[bool] = False
    # Whether code_size="auto" is the best size on held-out rows.
    _chooses_code_size: ClassVar[bool] = True

    _fitted_state: ClassVar[tuple[str, ...]] = (
        *BaseAutoencoder._fitted_state,
        "init_losses_",
        "error_path_",
        "error_path_standard_errors_",
        "explained_variance_ratio_",
    )

    @_fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, X: ArrayLike, y: object = None, **fit_params: Any) -> Self:
        """Go once through a part of the data.

        The first call decides on the units of the network: let its part be like
        the rest. The learning rate stays at `lr`, whatever `lr_schedule` says, and
        no rows are kept out for early stopping or to choose a code size by:
        ``code_size="auto"`` is the largest, or that of the `fit` before. Parameters of
        training that are changed between calls take effect in the next `fit`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training samples.
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
        """
        self._refuse_fit_params(fit_params, "partial_fit")
        warn_of_ignored_samples(y, X, type(self).__name__, "learns nothing from")
        self._fit(X, y, is_part=True)
        return self

    def _validate(self, X: Any, y: Any, previous: Self | None) -> Samples:
        return self._describe(*self._check_samples(X, previous), previous)

    def _make_plan(self, samples: Samples, previous: Self | None) -> TrainingPlan:
        usual = ample_code_size(samples.architecture)
        if self._chooses_now:
            usual = most_units(samples.rows.shape[1])
        plan = self._usual_plan(samples, previous, auto_or(self.code_size, usual))
        penalties = make_penalties(
            self.sparsity,
            self.sparsity_weight,
            self.sparsity_target,
            self.n_nonzero_coefs,
            self.contraction_weight,
            self.penalty,
            params_of("penalty", vars(self)),
        )
        if previous is None:
            self._warn_of_units(samples, plan)
        network_params: dict[str, Any] = {}
        for penalty in penalties:
            penalty.check_architecture(samples.architecture)
            network_params |= penalty.network_params()
        plan = replace(
            plan,
            network=plan.network.updated(**network_params),
            objective=plan.objective.updated(penalties=penalties),
        )
        if not self._is_ordered:
            return plan
        require_sizes(plan, penalties, type(self).__name__)
        return with_ordered_codes(plan, self.validation_fraction)

    @property
    def _is_ordered(self) -> bool:
        return bool(self.ordered) or self._chooses_now

    @property
    def _chooses_now(self) -> bool:
        is_auto = isinstance(self.code_size, str)
        return is_auto and self._chooses_code_size

    def _complete(self, samples: Samples, plan: TrainingPlan) -> None:
        # The network of an earlier call, in partial_fit, may differ from `ordered`.
        decoder: Any = self.net_.module_.decoder
        if not hasattr(decoder, "decode_leading"):
            return
        path = ErrorPath.of(self.net_, plan, self.trained_network)
        least = path.least_units(decoder.sizes)
        path = path.with_least(decoder.sizes, least)
        self.net_.module__least = decoder.least = least
        if self._chooses_now and path.is_held_out:
            self.code_size_ = path.smallest_size
            self.net_.module__n_kept = self.code_size_
            self.net_.module_.encoder.n_kept = self.code_size_
        self.error_path_ = path.errors
        self.error_path_standard_errors_ = path.standard_errors
        self.explained_variance_ratio_ = path.shares_explained[: self.code_size_]

    def _warn_of_units(self, samples: Samples, plan: TrainingPlan) -> None:
        """Warn of features, or channels, of very different variance."""
        shape, is_sequence = samples.sample_shape, samples.architecture.takes_ragged
        if plan.units.scaling.offset is None or (len(shape) == 2 and not is_sequence):
            return  # pixels of a single channel have one unit
        names = getattr(self, "feature_names_in_", None) if len(shape) == 1 else None
        axis = len(shape) - 1 if is_sequence else 0
        warn_of_units(samples.rows, names, shape=shape, axis=axis)

    def _train(
        self,
        plan: TrainingPlan,
        samples: Samples,
        previous: Self | None,
        *how: Any,
        **more: Any,
    ) -> None:
        super()._train(plan, samples, previous, *how, **more)
        is_bound = plan.objective.arguments["penalties"] or self._learns_from_noise
        if previous is None and not is_bound and not self._chooses_now:
            # Of the network, as some choose the size of their codes themselves.
            warn_of_large_codes(self.code_size_, samples.rows.shape[1])

    def fit_transform(self, X: ArrayLike, y: object = None, **fit_params: Any) -> Any:
        """Fit to samples and encode them.

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
        codes : ndarray of shape (n_samples, code_size)
            Their codes.
        """
        return super().fit_transform(X, **fit_params)

    def transform(self, X: ArrayLike) -> Array:
        """Encode samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples, flat or in the shape that `fit` saw.

        Returns
        -------
        codes : ndarray of shape (n_samples, code_size)
            Their codes. A row's code does not depend on the rows around it.
        """
        rows = self._check_applied(X)
        codes: Array = self.trained_network.encode(rows)
        return codes

    @property
    def code_shape_(self) -> Shape:
        """Shape of a code: (n_channels, height, width) if it is a spatial map."""
        first = next(self.decoder_.children(), None)
        shape = tuple(getattr(first, "unflattened_size", ()))
        is_map = len(shape) > 0 and math.prod(shape) == self.code_size_
        return shape if is_map else (self.code_size_,)

    def code_maps(self, X: ArrayLike) -> Array:
        """Encode samples, with codes in their shape.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples, flat or in the shape that `fit` saw.

        Returns
        -------
        maps : ndarray of shape (n_samples, n_channels, height, width)
            What `transform` returns, in the shape of the encoder's spatial map, which
            `inverse_transform` takes, too. Where the code is no such map (see
            `code_size`), of shape (n_samples, code_size).
        """
        codes: Array = self.trained_network.encode(self._check_applied(X))
        return codes.reshape(-1, *self.code_shape_)

    def interpolate(self, start: Any, stop: Any, n_steps: int = 10) -> Any:
        """Walk from one sample to another through their codes.

        Parameters
        ----------
        start, stop : array-like of shape (n_features,) or (1, n_features) or of \
                one sample's shape, or DataFrame of one row
            The two samples.
        n_steps : int, default=10
            Number of samples on the way, both ends included.

        Returns
        -------
        samples : ndarray of shape (n_steps, n_features) or (n_steps, ...)
            The reconstructions of `start` and `stop` and, between them, what codes on
            the straight line between theirs are decoded to.

        Raises
        ------
        ValueError
            If an end is not one sample, or `n_steps` is below 2.
        """
        self._check_fitted()
        check_count(n_steps, "n_steps", 2)
        ends = []
        for sample, name in ((start, "start"), (stop, "stop")):
            with naming(name):
                if self._record.sequences is not None and np.ndim(sample) < 3:
                    given = sample if isinstance(sample, list) else [sample]
                else:
                    shapes = (self._record.data_shape, self.sample_shape_)
                    given = as_samples(sample, shapes)
                rows = self._check_applied(given)
                require_one(rows, name)
                ends.append(self.trained_network.encode(rows))
        return self.inverse_transform(codes_between(ends[0], ends[1], n_steps))

    def inverse_transform(self, X: ArrayLike) -> Any:
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, code_size) or (n_samples, ...)
            Codes; those of a spatial map also in their shape, `code_shape_`. With
            ``ordered=True`` also any number of their leading columns.

        Returns
        -------
        samples : ndarray of shape (n_samples, n_features) or (n_samples, ...), or \
                DataFrame
            The samples that they stand for, in the shape that `fit` saw; a DataFrame
            with the index of `X` if that is one and samples are flat.
        """
        self._check_fitted()
        with with_hints(X, type(self).__name__):
            shape = np.shape(X)
            if len(shape) > 2 and shape[1:] == self.code_shape_:
                X = np.asarray(from_torch(X)).reshape(shape[0], -1)
        is_ordered = hasattr(self, "error_path_")
        codes = check_codes(self, X, takes_leading=is_ordered)
        samples = self.trained_network.decode(codes)
        if self._record.sequences is not None:
            n_steps = self._record.data_shape[0]
            lengths = lengths_of(to_tensor(codes), n_steps).numpy()
            return self._record.sequences.wrap(samples, lengths)
        return in_frame_like(X, samples, getattr(self, "feature_names_in_", None))

    def predict(self, X: ArrayLike) -> Any:
        """Reconstruct samples: encode and decode them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.

        Returns
        -------
        reconstructions : ndarray of shape (n_samples, n_features) or \
                (n_samples, ...), or DataFrame
            What the network makes of them, in the shape that `fit` saw; a DataFrame
            with the names and the index of `X` if that is one and samples are flat.
        """
        rows = self._check_applied(X)
        samples = self.trained_network.reconstruct(rows)
        if self._record.sequences is not None:
            return self._in_form_of(X, samples, rows)
        return in_frame_like(X, samples, getattr(X, "columns", None))

    def score_samples(self, X: ArrayLike) -> Array:
        """Return minus the reconstruction error of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus the mean over the features of the squared difference between a
            sample and its reconstruction, whatever `loss` was trained with; in
            squared units of the data. The higher, the better reconstructed.
        """
        rows = self._check_applied(X)
        scores: Array = -self.trained_network.squared_errors(rows)
        return scores

    def score(
        self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the fraction of the variance of `X` that reconstructions explain.

        On the same data it compares with ``explained_variance_ratio_.sum()`` of
        :class:`~sklearn.decomposition.PCA`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.
        y : object, default=None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples. None: all weigh the same.

        Returns
        -------
        score : float
            One minus the squared error of the reconstruction over the squared
            distance from the mean of `X`. 1 is best; 0 is as good as answering
            with the mean; there is no lower bound. Samples without variance
            score 1 if they are reconstructed exactly and 0 otherwise.
        """
        warn_of_ignored_samples(y, X, type(self).__name__, "compares nothing with")
        rows = self._check_applied(X)
        errors = self.trained_network.squared_errors(rows)
        weights = check_sample_weight(sample_weight, len(rows))
        if weights is not None:
            sums = errors * (~np.isnan(rows)).sum(axis=1)
            return weighted_share_explained(sums, rows, weights)
        if self._record.sequences is not None:
            n_values = (~np.isnan(rows)).sum(axis=1)
            return fraction_explained(float(errors @ n_values), rows)
        residual = float(errors.sum()) * rows.shape[1]
        return fraction_explained(residual, rows)

    @property
    def _n_features_out(self) -> int:
        n_features_out: int = self.code_size_
        return n_features_out

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def fraction_explained(residual: float, rows: Array) -> float:
    """Return the fraction of the variance of rows that a reconstruction explains.

    Parameters
    ----------
    residual : float
        Sum of the squared errors over all rows and features.
    rows : ndarray of shape (n_samples, n_features)
        The rows; sequences may be NaN after their end.

    Returns
    -------
    fraction : float
        At most 1. For rows without variance, 1 if there is no error and 0 otherwise.
    """
    if np.isnan(rows[:, -1:]).any():  # sequences of different lengths
        n_values = np.maximum((~np.isnan(rows)).sum(axis=0), 1)
        mean = np.nansum(rows, axis=0, dtype=np.float64) / n_values
        total = sum(
            float(np.nansum(np.square(part - mean))) for part in row_parts(rows)
        )
    else:
        mean = mean_row(rows)
        total = sum(float(np.square(part - mean).sum()) for part in row_parts(rows))
    # Due to rounding, the mean of equal numbers may differ from them.
    rounding = len(rows) * float(np.square(ROUNDING * mean).sum())
    if total <= rounding:
        return 1.0 if residual <= rounding else 0.0
    # Not minus infinity, which grid searches cannot average.
    return max(1.0 - residual / total, -sys.float_info.max)
