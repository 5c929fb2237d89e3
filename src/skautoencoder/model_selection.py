"""Choosing parameters: a grid search that trains many networks at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from numbers import Integral
from typing import Any, Self

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs, parallel_config
from joblib.parallel import ParallelBackendBase, get_active_backend
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV

from skautoencoder.training import Finished, run_together

# Fits that wait for each other hold their samples at the same time: at most so many
# fits, and fewer if their samples have more bytes than that.
_MOST_FITS = 64
_MOST_BYTES = 2**27
# Tasks that joblib may hand over before it asks for a result. It refuses to compute
# with numbers above 10**6, as in pre_dispatch="2*n_jobs", the default of scikit-learn.
_MOST_TASKS = 10**4


class AutoencoderSearchCV(GridSearchCV):
    """Grid search that trains the networks of its candidates and folds at once.

    A :class:`~sklearn.model_selection.GridSearchCV` with the same parameters,
    attributes and results, but faster for small dense networks: a step of one is mostly
    overhead, which networks that are trained together share. Each of them ends with
    the weights that it would have had alone, to the last bit.

    Parameters
    ----------
    estimator : estimator
        An autoencoder, or a Pipeline with one. Steps before it are fitted on each fold,
        steps after it go on as usual.
    param_grid : dict or list of dict
        Values to try for each parameter.
    scoring : str, callable, list, tuple or dict, default=None
        How candidates are scored on the held-out fold. None: the estimator's `score`.
    n_jobs : int, default=None
        Number of processes, each of which trains a part of the networks together.
    refit : bool, str or callable, default=True
        Whether to fit the best candidate to all of the data. See
        :func:`smallest_within_one_standard_error` for the one with the smallest code.
    cv : int, cross-validation generator or iterable, default=None
        How the data are split.
    verbose : int, default=0
        How much is printed.
    pre_dispatch : int or str, default="all"
        How many fits are prepared before networks are trained together, if not all.
    error_score : "raise" or float, default=nan
        Score of a candidate whose fit fails.
    return_train_score : bool, default=False
        Whether training scores are computed too.

    Attributes
    ----------
    trained_alone_ : list of tuple
        Candidates some of whose networks were trained one by one: ``(candidate,
        reason)``, where `candidate` is an index into ``cv_results_["params"]``.
    cv_results_ : dict
        Results, as of GridSearchCV. The fit time of networks that were trained
        together is an equal share of the time of all.
    best_estimator_ : estimator
        The best candidate, fitted to all of the data.
    best_score_ : float
        Its mean score on held-out folds.
    best_params_ : dict
        Its parameters.
    best_index_ : int
        Its index in `cv_results_`.
    scorer_ : callable or dict
        The scorer.
    n_splits_ : int
        Number of folds.
    refit_time_ : float
        Seconds of the last fit.
    multimetric_ : bool
        Whether there are several scorers.

    See Also
    --------
    sklearn.model_selection.GridSearchCV : The same, for any estimator.

    Notes
    -----
    Networks are trained together if they have the same dense layers up to the code
    size, the same loss, batch size, number of epochs and learning rate schedule, and
    Adam as the optimizer. They may differ in code size, learning rate, seed and rows.
    Networks of more than 65536 weights (the default layers have more), convolutions,
    dropout, batch normalisation, penalties, noise, early stopping and
    callbacks are trained one by one. Of a Pipeline with several autoencoders the first
    is trained together with others.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skautoencoder import AutoencoderTransformer
    >>> from skautoencoder.model_selection import AutoencoderSearchCV
    >>> pipeline = make_pipeline(
    ...     StandardScaler(),
    ...     AutoencoderTransformer(
    ...         architecture="dense",
    ...         architecture__hidden_layer_sizes=(32, 16),
    ...         max_epochs=20,
    ...         random_state=0,
    ...     ),
    ... )
    >>> grid = {"autoencodertransformer__code_size": [1, 2, 4]}
    >>> search = AutoencoderSearchCV(pipeline, grid, cv=3).fit(load_wine().data)
    >>> search.best_params_
    {'autoencodertransformer__code_size': 4}
    >>> search.trained_alone_
    []
    """

    trained_alone_: list[tuple[int, str]]

    def __init__(
        self,
        estimator: BaseEstimator,
        param_grid: dict[str, Any] | list[dict[str, Any]],
        *,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: bool | str | Callable[..., Any] = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "all",
        error_score: Any = np.nan,
        return_train_score: bool = False,
    ) -> None:
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )

    def fit(self, X: ArrayLike, y: Any = None, **params: Any) -> Self:
        """Score each candidate on each fold, and fit the best one to all of the data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples.
        y : array-like of shape (n_samples,), default=None
            Targets, for the estimator's last step, the scorer, or folds of equal
            shares of classes.
        **params : dict
            Passed to the estimator, the scorer and the splitter, as by GridSearchCV.

        Returns
        -------
        self : AutoencoderSearchCV
            The fitted search.

        Raises
        ------
        ValueError
            If `param_grid` is empty or names a parameter that does not exist.
        """
        # What is neither of these is refused by scikit-learn, which says so.
        if isinstance(self.param_grid, (dict, list)) and not self.param_grid:
            raise ValueError(
                f"param_grid={self.param_grid!r} is empty, so there is nothing to "
                "choose. Give values to try, such as {'code_size': [2, 4, 8]}."
            )
        n_bytes = max(getattr(X, "nbytes", 0), 1)
        backend = _JointBackend(int(np.clip(_MOST_BYTES // n_bytes, 1, _MOST_FITS)))
        # GridSearchCV hands its fits to joblib, which hands them to this backend.
        before = vars(self).copy()
        config = self._config = parallel_config(backend=backend)
        try:
            super().fit(X, y, **params)
        except BaseException:
            # GridSearchCV would keep a part of what it was about to set.
            self.__dict__ = before
            raise
        finally:
            config.unregister()
        del self._config
        self.trained_alone_ = self._alone(backend.finished)
        return self

    def _run_search(
        self, evaluate_candidates: Callable[..., Any], *, callback_ctx: Any = None
    ) -> None:
        # Versions of scikit-learn before 1.9 have no callbacks.
        context = {} if callback_ctx is None else {"callback_ctx": callback_ctx}
        try:
            super()._run_search(evaluate_candidates, **context)
        finally:
            # The last fit, to all of the data, is not a part of the search.
            self._config.unregister()

    def __getstate__(self) -> dict[str, Any]:
        # Tasks that are sent to other processes hold the search that made them.
        state = dict(super().__getstate__())
        state.pop("_config", None)
        return state

    def _alone(self, finished: list[Finished]) -> list[tuple[int, str]]:
        """Return the candidates whose networks were trained one by one, and why."""
        reasons: dict[int, str] = {}
        for number, fit in enumerate(finished):
            if fit.alone:
                reasons.setdefault(number // self.n_splits_, fit.alone)
        return sorted(reasons.items())


def smallest_within_one_standard_error(cv_results: Mapping[str, Any]) -> int:
    """Return the candidate with the smallest code whose score is nearly the best.

    Give it as ``refit`` to :class:`AutoencoderSearchCV`,
    :class:`~sklearn.model_selection.GridSearchCV` or another search. Nearly is within
    one standard error of the best candidate's mean score over the folds; of candidates
    with the same size of the code, the one with the best score is taken.

    Parameters
    ----------
    cv_results : dict
        Results of a search with one scorer.

    Returns
    -------
    index : int
        Index of the candidate.

    Raises
    ------
    ValueError
        If candidates have no `code_size`, or no score, or there are several scorers.

    References
    ----------
    Hastie, Tibshirani and Friedman, "The elements of statistical learning", 2nd
    edition, section 7.10, 2009.

    Examples
    --------
    >>> from skautoencoder.model_selection import smallest_within_one_standard_error
    >>> smallest_within_one_standard_error({
    ...     "params": [{"code_size": 8}, {"code_size": 4}, {"code_size": 2}],
    ...     "mean_test_score": [0.92, 0.91, 0.7],
    ...     "std_test_score": [0.03, 0.02, 0.02],
    ...     "split0_test_score": [0.95, 0.89, 0.72],
    ...     "split1_test_score": [0.89, 0.93, 0.68],
    ... })
    1
    """
    if "mean_test_score" not in cv_results:
        raise ValueError(
            "smallest_within_one_standard_error needs results of one scorer. Set "
            "scoring to one."
        )
    sizes = []
    for params in cv_results["params"]:
        names = [name for name in params if name.rpartition("__")[2] == "code_size"]
        numbers = [params[name] for name in names if _is_number(params[name])]
        if len(numbers) != 1:
            raise ValueError(
                "smallest_within_one_standard_error compares candidates by a number, "
                f"their code_size, but one has the parameters {dict(params)!r}. Give "
                "sizes in param_grid, such as {'code_size': [2, 4, 8]}."
            )
        sizes.append(numbers[0])
    means = np.array(cv_results["mean_test_score"], dtype=float)
    if "iter" in cv_results:
        # Searches by halving compare candidates that had all of the samples.
        means[np.asarray(cv_results["iter"]) < np.max(cv_results["iter"])] = np.nan
    if np.isnan(means).all():
        raise ValueError(
            "smallest_within_one_standard_error cannot choose, as no candidate has a "
            "score. Set error_score='raise' in the search to see why."
        )
    n_splits = sum(
        name.startswith("split") and name.endswith("_test_score") for name in cv_results
    )
    best = int(np.nanargmax(means))
    # The deviation in the results is that of a population.
    deviation = float(cv_results["std_test_score"][best])
    bound = means[best] - deviation / np.sqrt(max(n_splits - 1, 1))
    near = [i for i, mean in enumerate(means) if mean >= bound]
    return min(near, key=lambda i: (sizes[i], -means[i]))


def _is_number(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


class _Job:
    """A task that was handed to the backend."""

    def __init__(
        self,
        backend: _JointBackend,
        function: Callable[[], Any],
        callback: Callable[..., Any] | None,
    ) -> None:
        self.backend, self.function, self.callback = backend, function, callback

    def get(self) -> Any:
        """Return the task's result, after running all that were handed in."""
        return self.backend.result_of(self)


class _JointBackend(ParallelBackendBase):
    """A backend of joblib whose tasks train their networks together.

    Parameters
    ----------
    n_together : int
        Number of tasks that may wait for each other.
    """

    supports_retrieve_callback = False
    supports_sharedmem = True
    uses_threads = True

    def __init__(self, n_together: int) -> None:
        super().__init__(nesting_level=0)
        self.n_together = n_together
        # Where tasks are run, and what parallel steps within them use.
        self.outer, self.default_n_jobs_outer = get_active_backend()
        self.n_processes = 1
        self.waiting: list[_Job] = []
        self.results: dict[_Job, Any] = {}
        self.finished: list[Finished] = []

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return how many tasks may wait; processes are used later."""
        with parallel_config(backend=self.outer, n_jobs=self.default_n_jobs_outer):
            self.n_processes = effective_n_jobs(n_jobs)
        return _MOST_TASKS

    def submit(self, func: Any, callback: Any = None) -> _Job:
        """Keep a task until its result is asked for."""
        # Without what else joblib's batch of calls holds, which cannot be pickled.
        job = _Job(self, partial(_call, func.items), callback)
        self.waiting.append(job)
        return job

    def result_of(self, job: _Job) -> Any:
        """Run all tasks that are waiting, and return the result of one."""
        if job not in self.results:
            jobs, self.waiting = self.waiting, []
            finished = self._run([job.function for job in jobs])
            self.finished.extend(finished)
            for one, end in zip(jobs, finished, strict=True):
                self.results[one] = _with_own_time(end)
            for one in jobs:
                if one.callback is not None:  # joblib hands over the next tasks
                    one.callback(one)
        return self.results.pop(job)

    def get_nested_backend(self) -> tuple[Any, Any]:
        """Return the backend of parallel steps within tasks."""
        return self.outer, self.default_n_jobs_outer

    def _run(self, functions: list[Callable[[], Any]]) -> list[Finished]:
        if self.n_processes == 1 or len(functions) == 1:
            return _run_in_portions(functions, self.n_together)
        shares = np.array_split(np.arange(len(functions)), self.n_processes)
        with parallel_config(backend=self.outer, n_jobs=self.n_processes):
            parts = Parallel()(
                delayed(_run_in_portions)([functions[i] for i in part], self.n_together)
                for part in shares
                if len(part)
            )
        return [end for part in parts for end in part]


def _call(items: list[tuple[Callable[..., Any], Any, Any]]) -> list[Any]:
    return [function(*args, **kwargs) for function, args, kwargs in items]


def _run_in_portions(
    functions: Sequence[Callable[[], Any]], n_together: int
) -> list[Finished]:
    finished: list[Finished] = []
    for start in range(0, len(functions), n_together):
        finished += run_together(functions[start : start + n_together])
    return finished


def _with_own_time(end: Finished) -> Any:
    """Return the result of a task; its fit time without the time it waited."""
    for result in end.value:
        if isinstance(result, dict) and "fit_time" in result:
            result["fit_time"] = max(result["fit_time"] + end.extra_seconds, 0.0)
    return end.value
