"""scikit-learn's callbacks, which it has since 1.9."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from skautoencoder.training import EpochHooks

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in the place of scikit-learn's class: there are no callbacks."""

    def with_callbacks(method: Any) -> Any:
        """Return the method unchanged."""
        return method


class FitTasks:
    """The tasks of a fit that scikit-learn's callbacks are told of: it and its epochs.

    Parameters
    ----------
    estimator : estimator instance
        The estimator that is being fitted.
    X, y : object
        What `fit` was given. Without `y`, callbacks are given `X` for it, which is
        what an autoencoder is to reconstruct.
    is_part : bool
        Whether this is a call of `partial_fit`, of which callbacks are told nothing.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, *, is_part: bool) -> None:
        self._estimator = estimator
        self._data = {"X": X, "y": X if y is None else y}
        self._is_told = bool(getattr(estimator, "_skl_callbacks", [])) and not is_part

    @contextmanager
    def running(
        self, nets: Sequence[Any], fitted: Callable[[Any], dict[str, Any]]
    ) -> Iterator[None]:
        """Tell callbacks of the epochs of nets that are trained within the block.

        Parameters
        ----------
        nets : sequence of AutoencoderNet
            The nets.
        fitted : callable
            Returns the fitted attributes as if the training of a net ended now.
        """
        if not self._is_told:
            yield
            return
        estimator, data = self._estimator, self._data
        n_epochs = sum(net.max_epochs for net in nets)
        self._fit = estimator._init_callback_context(max_subtasks=n_epochs)
        self._fit.call_on_fit_task_begin(estimator=estimator, **data)

        def begin() -> None:
            self._epoch = self._fit.subcontext(task_name="epoch")
            self._epoch.call_on_fit_task_begin(estimator=estimator, **data)

        def end(net: Any) -> bool:
            stops: bool = self._epoch.call_on_fit_task_end(
                estimator=estimator,
                reconstruction_attributes=partial(fitted, net),
                **data,
            )
            return stops

        for net in nets:
            hooks = EpochHooks(begin, partial(end, net))
            net.callbacks_.append(("sklearn_callbacks", hooks))
        try:
            yield
        finally:
            for net in nets:
                net.callbacks_.pop()

    def end(self) -> None:
        """Tell callbacks that the fit has ended."""
        if self._is_told:
            self._fit.call_on_fit_task_end(
                estimator=self._estimator, reconstruction_attributes={}, **self._data
            )


@contextmanager
def fit_of_part(estimator: Any, part: Any, X: Any, y: Any) -> Iterator[None]:
    """Tell callbacks of a fit in which another estimator is fitted within the block.

    Parameters
    ----------
    estimator : estimator instance
        The estimator that is being fitted.
    part : estimator instance
        The estimator in it. It is told of the callbacks that follow into the parts of
        an estimator.
    X, y : object
        What `fit` was given.
    """
    if not hasattr(estimator, "_init_callback_context"):
        yield
        return
    fit = estimator._init_callback_context(max_subtasks=1)
    fit.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
    task = fit.subcontext(task_name=f"fit-{type(part).__name__.lower()}")
    with task.propagate_callback_context(part):
        yield
    fit.call_on_fit_task_end(
        estimator=estimator, reconstruction_attributes={}, X=X, y=y
    )
