"""What makes an estimator learn from a stream of parts of the data."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike
from sklearn.base import _fit_context

from skautoencoder._samples import check_samples, warn_of_ignored_samples


class IncrementalMixin:
    """What an autoencoder offers that can learn a part at a time."""

    @_fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self: Any, X: ArrayLike, y: object = None) -> Any:
        """Go once through a part of the data.

        The first call decides on the units of the network: let its part be like
        the rest. The learning rate stays at `lr`, whatever `lr_schedule` says, and
        no rows are kept out for early stopping. Parameters of training that are
        changed between calls take effect in the next `fit`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training samples.
        y : None
            Ignored.

        Returns
        -------
        self : estimator instance
            The fitted estimator.
        """
        warn_of_ignored_samples(y, X, type(self).__name__, "learns")
        self._partial_fit(X, y)
        return self

    def _partial_fit(self: Any, X: ArrayLike, y: object) -> None:
        """Do the work of `partial_fit`."""
        with self._learner() as learner:
            learner._learn_part(X, y)

    def _learn_part(self: Any, X: ArrayLike, y: object) -> None:
        """Go through a part of the data; what went wrong leaves traces."""
        first = not hasattr(self, "net_")
        rows, data_shape = check_samples(
            self, X, reset=first, ensure_min_samples=2 if first else 1
        )
        if first:
            self._set_architecture(rows, data_shape)
        targets = self._check_targets(rows, y)
        wanted = rows if targets is None else targets
        value_range = float(wanted.min()), float(wanted.max())
        if first:
            self._set_units(wanted, value_range)
            self._corruption = self._make_corruption(rows, targets, value_range)
            self._start_net(len(rows), more_to_come=True)
        else:
            self.net_ = self.net_.twin()
        self._check_range(value_range)
        self.net_.check_batch_size(len(rows))
        self.net_.set_params(
            lr_schedule="constant", max_epochs=1, validation_fraction=None
        )
        self._train(rows, targets)
