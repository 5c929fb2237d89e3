"""What a trained sampler is asked: codes, rows, and how likely rows are."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from sklearn.utils import Tags, check_scalar
from sklearn.utils.validation import check_is_fitted

from skautoencoder._code_features import CodeFeaturesMixin
from skautoencoder._containers import in_frame_like, is_frame
from skautoencoder._samples import Array, check_codes, float_types, from_torch
from skautoencoder.training import draw_seed


class SamplingMixin(CodeFeaturesMixin):
    """What an autoencoder offers whose codes and rows are distributions."""

    # ---- codes ---------------------------------------------------------------

    def fit_transform(
        self: Any, X: ArrayLike, y: object = None, **fit_params: Any
    ) -> Any:
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
        self: Any, X: Any, *, return_std: bool = False
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
        check_is_fitted(self)
        means, deviations = self._codes(X)
        return (means, deviations) if return_std else means

    def _codes(self: Any, X: Any) -> tuple[Array, Array]:
        """Return means and standard deviations of the codes of samples."""
        given, _ = self._check(X)
        dtype = float_types(from_torch(X))[0]
        means, deviations = self._model.posterior(self._shown(given))
        return means.astype(dtype), deviations.astype(dtype)

    def inverse_transform(self: Any, X: ArrayLike, y: ArrayLike | None = None) -> Any:
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
        check_is_fitted(self)
        codes = check_codes(self, X)
        labels = self._labels(self._numbers(y, len(codes)))
        if self.conditional and y is None:
            labels[:] = self._classes.shares
        return self._rows(self._model.decode(codes, labels), X)

    def predict(self: Any, X: Any, y: ArrayLike | None = None) -> Any:
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
        check_is_fitted(self)
        rows = self._shown(self._check(X)[0])
        numbers = self._numbers(y, len(rows))
        if self.conditional and y is None:
            joint = self._log_likelihoods(rows) + np.log(self._classes.shares)
            numbers = joint.argmax(axis=1)
        means, _ = self._model.posterior(rows)
        return self._rows(self._model.decode(means, self._labels(numbers)), X)

    def interpolate(
        self: Any, start: Any, stop: Any, n_steps: int = 10, *, y: Any = None
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
        check_is_fitted(self)
        _check_count(n_steps, "n_steps", 2)
        ends = [self._code_of(start, "start"), self._code_of(stop, "stop")]
        share = np.linspace(0, 1, n_steps)[:, np.newaxis]
        return self.inverse_transform((1 - share) * ends[0] + share * ends[1], y)

    def _code_of(self: Any, sample: Any, name: str) -> Array:
        """Return the code of one sample, with or without an axis of samples."""
        if not hasattr(sample, "columns"):
            sample = np.asarray(from_torch(sample))
            if sample.shape in (self._data_shape, self.sample_shape_):
                sample = sample[np.newaxis]
        rows = self._shown(self._check(sample)[0])
        if len(rows) != 1:
            raise ValueError(
                f"{name} has to be one sample, but has {len(rows)} rows. Pass one of "
                "them, such as X[:1]."
            )
        return self._model.posterior(rows)[0]

    # ---- rows ----------------------------------------------------------------

    def sample(
        self: Any,
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
        check_is_fitted(self)
        _check_count(n_samples, "n_samples", 1)
        random = np.random.RandomState(draw_seed(random_state))
        numbers = self._numbers(y, n_samples)
        if self.conditional and y is None:
            numbers = self._classes.draw(n_samples, random)
        codes = np.empty((n_samples, self.code_size_))
        for place, prior in enumerate(self._priors):
            mine = slice(None) if len(self._priors) == 1 else numbers == place
            codes[mine] = prior.sample(len(codes[mine]), random)
        labels = self._labels(numbers)
        if self._has_probabilities:
            return self._rows(self._model.decode(codes, labels))
        seed = random.randint(2**31 - 1)
        return self._rows(self._model.draw(codes, labels, seed))

    def _rows(self: Any, shown: Array, X: Any = None) -> Any:
        """Return rows in the network's units as the user gave them to `fit`.

        Row by row they were made of `X`, whose index they have if there is one.
        """
        index = X.index if isinstance(X, pd.DataFrame) else None
        if self._columns is not None:
            rows = self._columns.to_data(shown, index)
        else:
            rows = self._container.wrap(
                self._scaling.to_data(torch.from_numpy(shown), np.dtype(np.float64)),
                index,
            )
        return rows if is_frame(rows) else in_frame_like(X, rows)

    def _labels(self: Any, numbers: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return classes as ones and zeros, of which there are none without classes."""
        if not self.conditional:
            return np.empty((len(numbers), 0), dtype=np.float32)
        return self._classes.one_hot(numbers)

    def _numbers(self: Any, y: Any, n_samples: int) -> NDArray[np.intp]:
        """Return the places of classes among those of `fit`."""
        if y is None:
            return np.zeros(n_samples, dtype=np.intp)
        if not self.conditional:
            raise ValueError(
                "y was given, but the sampler does not know classes. Fit it with "
                "conditional=True."
            )
        return self._classes.number(y, n_samples)

    # ---- likelihood ----------------------------------------------------------

    def score_samples(self: Any, X: Any, y: ArrayLike | None = None) -> Array:
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
        check_is_fitted(self)
        given, _ = self._check(X)
        rows = self._shown(given)
        self._check_range((float(rows.min()), float(rows.max())))
        numbers = self._numbers(y, len(rows))
        if not self.conditional:
            scores = self._log_likelihoods(rows)[:, 0]
        elif y is None:
            scores = logsumexp(
                self._log_likelihoods(rows) + np.log(self._classes.shares), axis=1
            )
        else:
            scores = self._log_likelihoods(rows)[np.arange(len(rows)), numbers]
        if self._columns is not None:
            return scores + self._columns.log_jacobian(given)
        unit = self._container.scale if self.likelihood_ == "gaussian" else 1
        scale = np.broadcast_to(unit * self._scaling.scale, rows.shape[1])
        return scores - np.log(scale).sum()

    def _log_likelihoods(self: Any, rows: Array) -> NDArray[np.float64]:
        """Return log-likelihoods in the network's units, for each class if any."""
        # Known from the fit alone: the same for all rows, at every call.
        generator = torch.Generator().manual_seed(self.net_.seed)
        shape = (self.n_importance_samples, self.code_size_)
        noise = torch.randn(shape, generator=generator, dtype=torch.float32)
        return self._model.log_likelihoods(rows, self._priors, noise)

    def score(self: Any, X: Any, y: ArrayLike | None = None) -> float:
        """Return the mean log-likelihood of rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.
        y : array-like of shape (n_samples,), default=None
            Their classes; unused unless ``conditional=True``.

        Returns
        -------
        score : float
            The mean of `score_samples`, in nats a row.
        """
        return float(np.mean(self.score_samples(X, y if self.conditional else None)))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.conditional
        tags.input_tags.categorical = True
        return tags


def _check_count(value: object, name: str, least: int) -> None:
    if isinstance(value, bool):
        raise TypeError(f"{name} must be an instance of int, not bool.")
    check_scalar(value, name, Integral, min_val=least)
