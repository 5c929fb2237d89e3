"""Balancing classes with rows drawn from a variational autoencoder."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, _fit_context, clone
from sklearn.utils import Tags
from sklearn.utils._param_validation import InvalidParameterError, StrOptions
from sklearn.utils.validation import _num_samples

from skautoencoder._estimator.callback_support import (
    CallbackSupportMixin,
    fit_of_part,
    with_callbacks,
)
from skautoencoder._estimator.containers import is_frame, is_polars
from skautoencoder._estimator.input_hints import naming
from skautoencoder._estimator.parameter_hints import (
    cure_of,
    did_you_mean,
    public_name,
)
from skautoencoder._estimator.sample_validation import from_torch
from skautoencoder.sampling.classes import Classes
from skautoencoder.sampling.sampler import VAESampler
from skautoencoder.training import draw_seed


class VAEOverSampler(CallbackSupportMixin, BaseEstimator):
    """Balance classes by drawing new rows of the rare ones.

    A class-conditional :class:`VAESampler` learns from the rows of all classes what
    rows of each class look like, and draws as many as are missing. It can stand in
    a Pipeline of imbalanced-learn, in front of a classifier; new rows are drawn in
    `fit` of such a Pipeline only.

    Read more in the :ref:`User Guide <sampling>`.

    Parameters
    ----------
    sampler : VAESampler, default=None
        What draws the rows; it is cloned, and made conditional. None:
        ``VAESampler()``.
    sampling_strategy : {"auto", "not majority", "minority", "all"} or dict, \
            default="auto"
        Which classes are drawn: all but the most frequent ("auto" and "not
        majority"), the rarest alone, or all. They then have as many rows as the
        most frequent one. A dict says for each class to draw how many rows it shall
        have in the end.
    random_state : int, RandomState instance or None, default=None
        Seed of the fit and of the new rows. Global generators are neither read nor
        changed.
    **others : dict
        None: what training needs are parameters of the sampler.

    Attributes
    ----------
    sampler_ : VAESampler
        The fitted sampler.
    sampling_strategy_ : dict
        How many rows are drawn of each class.
    classes_ : ndarray of shape (n_classes,)
        The classes.
    n_features_in_ : int
        Number of features of a sample.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features, if `X` had names that are all strings.

    See Also
    --------
    VAESampler : The sampler itself.

    References
    ----------
    Chawla, Bowyer, Hall and Kegelmeyer, "SMOTE: synthetic minority over-sampling
    technique", Journal of Artificial Intelligence Research 16, 2002.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from skautoencoder import VAEOverSampler, VAESampler
    >>> X, y = make_classification(300, weights=[0.9], random_state=0)
    >>> over_sampler = VAEOverSampler(VAESampler(max_epochs=5), random_state=0)
    >>> X_balanced, y_balanced = over_sampler.fit_resample(X, y)
    >>> int((y_balanced == 0).sum() - (y_balanced == 1).sum())
    0
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "sampler": [VAESampler, None],
        "sampling_strategy": [
            StrOptions({"auto", "not majority", "minority", "all"}),
            dict,
        ],
        "random_state": ["random_state"],
    }

    # The attributes that a fit sets.
    _fitted_state: ClassVar[tuple[str, ...]] = (
        "sampler_",
        "sampling_strategy_",
        "classes_",
        "n_features_in_",
        "feature_names_in_",
    )

    def __init__(
        self,
        sampler: VAESampler | None = None,
        *,
        sampling_strategy: str | dict[Any, int] = "auto",
        random_state: int | np.random.RandomState | None = None,
        **others: Any,
    ) -> None:
        self.sampler = sampler
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self._refuse(others, InvalidParameterError, " has no parameter")

    def set_params(self, **params: Any) -> Self:
        """Set the parameters of this over-sampler.

        Parameters
        ----------
        **params : dict
            Its parameters, and those of the sampler (``sampler__max_epochs``).

        Returns
        -------
        self : VAEOverSampler
            The over-sampler.
        """
        own = self._get_param_names()
        others = {n: v for n, v in params.items() if n.partition("__")[0] not in own}
        self._refuse(others, InvalidParameterError, " has no parameter")
        nested = next((name for name in params if name.startswith("sampler__")), None)
        if nested is not None and params.get("sampler", self.sampler) is None:
            name = nested.removeprefix("sampler__")
            raise InvalidParameterError(
                f"{nested!r} is for a sampler, but sampler is None. Set "
                f"sampler=VAESampler({name}=...)."
            )
        own_params = {n: v for n, v in params.items() if n not in others}
        return super().set_params(**own_params)

    def _refuse(self, given: dict[str, Any], error: type[Exception], verb: str) -> None:
        """Raise for unknown parameters; the message says whose parameters they are."""
        for name in given:
            if name == "others":
                # scikit-learn's checks pass every name of the signature, also that of
                # ``**others``, and expect no error.
                continue
            own, near = self._get_param_names(), public_name(name)
            if near not in own and near in VAESampler._get_param_names():
                cure = f" It is one of the sampler: sampler=VAESampler({near}=...)."
            else:
                cure = did_you_mean(name, own)
            if not cure:
                cure = cure_of(name, VAESampler._get_param_names()) + (
                    " What training needs are parameters of the sampler: "
                    "sampler=VAESampler(...)."
                )
            raise error(f"{type(self).__name__}{verb} {name!r}.{cure}")

    def fit(
        self, X: Any, y: ArrayLike, *, X_valid: Any = None, **fit_params: Any
    ) -> Self:
        """Learn what rows of each class look like.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or DataFrame
            Training samples.
        y : array-like of shape (n_samples,), or array or DataFrame of one column
            Their classes.
        X_valid : tuple of (array-like or DataFrame, array-like), default=None
            Samples and their classes to measure ``valid_loss`` on after each epoch,
            see :meth:`VAESampler.fit`.
        **fit_params : dict
            None: what training needs are parameters of the sampler.

        Returns
        -------
        self : VAEOverSampler
            The fitted over-sampler.

        Raises
        ------
        ValueError
            If `y` has one class alone, or `sampling_strategy` names a class that `y`
            does not have, or wants fewer rows of one than there are.
        TypeError
            If `X` or `y` are a data frame of another library, or there are
            `fit_params`; says which parameter it is instead.
        """
        self._refuse(fit_params, TypeError, ".fit takes no")
        self._fit(X, y, X_valid)
        return self

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=False)
    def _fit(self, X: Any, y: Any, X_valid: Any) -> tuple[NDArray[np.intp], int]:
        """Fit the sampler; return the indices of the rows' classes, and a seed."""
        _check_container(X, "X")
        _check_container(y, "y")
        y = _labels(y)
        with naming("X"):
            n_samples = _num_samples(X)
        classes, numbers = Classes.of(y, n_samples, type(self).__name__)
        strategy = self._missing(classes.names, numbers)
        sampler = VAESampler() if self.sampler is None else self.sampler
        random = np.random.RandomState(draw_seed(self.random_state))
        seeds = random.randint(2**31 - 1, size=2)
        sampler = clone(sampler).set_params(
            conditional=True, random_state=int(seeds[0])
        )
        if isinstance(X_valid, tuple) and len(X_valid) == 2:
            X_valid = X_valid[0], _labels(X_valid[1])
        with fit_of_part(self, sampler, X, y):
            self.sampler_ = sampler.fit(X, y, X_valid=X_valid)
            self.sampling_strategy_ = strategy
            self.classes_ = classes.names
            self.n_features_in_ = sampler.n_features_in_
            self.__dict__.pop("feature_names_in_", None)
            if hasattr(sampler, "feature_names_in_"):
                self.feature_names_in_ = sampler.feature_names_in_
        return numbers, int(seeds[1])

    def _missing(
        self, classes: NDArray[Any], numbers: NDArray[np.intp]
    ) -> dict[Any, int]:
        """Return the number of rows to draw of each class."""
        names = classes.tolist()
        if len(names) == 1:
            raise ValueError(
                f"y has one class alone, {names[0]!r}, so that there is nothing to "
                "balance. To draw more rows, use VAESampler().fit(X).sample(n_samples)."
            )
        counts = dict(zip(names, np.bincount(numbers).tolist(), strict=True))
        most = max(counts.values())
        if isinstance(self.sampling_strategy, dict):
            wanted = self.sampling_strategy
        elif self.sampling_strategy == "minority":
            wanted = {min(names, key=counts.__getitem__): most}
        else:
            wanted = dict.fromkeys(names, most)
        for name, number in wanted.items():
            if name not in counts:
                raise ValueError(
                    f"sampling_strategy has the class {name!r}, but y has only {names}."
                )
            if not isinstance(number, Integral) or number < counts[name]:
                raise ValueError(
                    f"sampling_strategy wants {number!r} rows of class {name!r}, "
                    f"which has {counts[name]} already. Give a whole number that is "
                    "not below."
                )
        return {
            name: int(wanted[name]) - counts[name] for name in names if name in wanted
        }

    def fit_resample(
        self, X: Any, y: ArrayLike, *, X_valid: Any = None, **fit_params: Any
    ) -> tuple[Any, Any]:
        """Learn what rows of each class look like, and draw those that are missing.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or DataFrame
            Samples.
        y : array-like of shape (n_samples,), or array or DataFrame of one column
            Their classes.
        X_valid : tuple of (array-like or DataFrame, array-like), default=None
            Samples and their classes to measure ``valid_loss`` on after each epoch,
            see :meth:`VAESampler.fit`.
        **fit_params : dict
            None: what training needs are parameters of the sampler.

        Returns
        -------
        X_resampled : ndarray of shape (n_samples_new, n_features) or DataFrame
            The samples, followed by new ones, in the container and of the types
            that they came in: arrays, and frames of pandas (with a fresh index) or
            polars. What is only like an array comes back as one.
        y_resampled : ndarray of shape (n_samples_new,), Series or DataFrame
            Their classes, in the same way.

        Raises
        ------
        TypeError
            If `X` or `y` are a data frame of another library, or there are
            `fit_params`; says which parameter it is instead.
        ValueError
            If `y` has one class alone, or `sampling_strategy` names a class that `y`
            does not have, or wants fewer rows of one than there are.
        """
        self._refuse(fit_params, TypeError, ".fit_resample takes no")
        numbers, seed = self._fit(X, y, X_valid)
        names = self.classes_.tolist()
        n_rows = [self.sampling_strategy_.get(name, 0) for name in names]
        drawn = np.repeat(np.arange(len(names)), n_rows)
        given = np.arange(len(numbers))
        if not len(drawn):
            return _take(X, given), _take(y, given)
        new = self.sampler_.sample(len(drawn), seed, y=self.classes_[drawn])
        # Take the labels from a row of each class, so that they keep their type.
        first = np.unique(numbers, return_index=True)[1]
        return _append(X, new), _take(y, np.concatenate([given, first[drawn]]))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.categorical = True
        return tags


def _check_container(given: Any, name: str) -> None:
    """Raise if `given` is in a container to which rows cannot be appended."""
    if hasattr(given, "columns") and not is_frame(given):
        kind = f"{type(given).__module__.partition('.')[0]}.{type(given).__name__}"
        raise TypeError(
            f"{name} is a {kind}, which cannot be given back with more rows. Pass a "
            "DataFrame of pandas or polars, or an array."
        )


def _labels(y: Any) -> Any:
    """Return class labels in one dimension; they may be a frame of one column."""
    y = from_torch(y)
    if (getattr(y, "ndim", 1) != 2 and not is_polars(y)) or issparse(y):
        return y
    if y.shape[1] != 1:
        raise ValueError(
            f"y has {y.shape[1]} columns, but must have one: the class of each row."
        )
    if is_polars(y):
        return y.to_series()
    return y.iloc[:, 0] if isinstance(y, pd.DataFrame) else y[:, 0]


def _take(given: Any, places: NDArray[np.intp]) -> Any:
    """Return some rows of `given`, in the same container and of the same type."""
    if isinstance(given, pd.DataFrame | pd.Series):
        return given.iloc[places].reset_index(drop=True)
    if is_polars(given) or is_polars(given, "Series"):
        return given[places]
    return np.asarray(from_torch(given))[places]


def _append(given: Any, new: Any) -> Any:
    """Return `given` with the rows of `new` appended, in the same container."""
    if isinstance(given, pd.DataFrame):
        return pd.concat([given, new], ignore_index=True)
    if is_polars(given):
        return given.vstack(new)
    return np.concatenate([_take(given, np.arange(len(given))), new])
