"""A trained variational network as a distribution of rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skautoencoder._estimator.array_types import Array
from skautoencoder._estimator.trained_network import TrainedNetwork
from skautoencoder.sampling.importance import importance_weighted
from skautoencoder.sampling.priors import Prior

Float32 = NDArray[np.float32]
# Returns rows in the network's units, given a decoder's outputs.
ToRows = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class GenerativeModel:
    """Codes of rows, rows of codes, and log-likelihoods of rows.

    Rows are passed in the user's units (or in the network's, for a table), and
    returned in the network's.

    Parameters
    ----------
    trained : TrainedNetwork
        The network and its units.
    n_classes : int
        Number of classes that are an input of the decoder, or 0.
    """

    trained: TrainedNetwork
    n_classes: int

    @property
    def _network(self) -> Any:
        return self.trained.network

    def posterior(self, rows: Array) -> tuple[Array, Array]:
        """Return means and standard deviations of the codes of rows."""

        def posterior(batch: Tensor) -> Tensor:
            mean, log_variance = self._network.posterior(batch)
            return torch.cat([mean, (0.5 * log_variance).exp()], dim=1)

        both = self._apply(posterior, rows, 2 * self.trained.code_size)
        means, deviations = np.split(both, 2, axis=1)
        return means, deviations

    def decode(self, codes: Array, labels: Float32) -> Array:
        """Return the mean rows of codes and classes.

        Parameters
        ----------
        codes : ndarray of shape (n_samples, code_size)
            Codes.
        labels : ndarray of shape (n_samples, n_classes)
            Their classes, one-hot.
        """
        return self._decode(codes, labels, self._network.likelihood.mean)

    def draw(self, codes: Array, labels: Float32, seed: int) -> Array:
        """Return rows drawn from the decoder's distributions for codes and classes."""
        generator = torch.Generator().manual_seed(seed)
        sample = self._network.likelihood.sample

        def draw(outputs: Tensor) -> Any:
            return sample(outputs, generator)

        # One batch after the other, as all draw from the same generator.
        return self._decode(codes, labels, draw, at_once=False)

    def _decode(
        self, codes: Array, labels: Float32, to_rows: ToRows, *, at_once: bool = True
    ) -> Array:
        given = torch.from_numpy(np.hstack([codes.astype(np.float32), labels]))

        def decode(batch: Tensor) -> Tensor:
            code, label = batch.tensor_split([self.trained.code_size], dim=1)
            return to_rows(self._network.decode_logits(code, label))

        return self._apply(
            decode,
            given.numpy(),
            self.trained.n_inputs,
            read=given.__getitem__,
            at_once=at_once,
        )

    def log_likelihoods(
        self, rows: Array, priors: list[Prior], noise: Tensor
    ) -> NDArray[np.float64]:
        """Return the log-likelihoods of rows, for each class if there are any.

        Parameters
        ----------
        rows : ndarray of shape (n_samples, n_features)
            The rows.
        priors : list of Prior
            The prior of each class's codes, or one for all.
        noise : Tensor of shape (n_importance_samples, code_size)
            See :func:`importance_weighted`.

        Returns
        -------
        log_likelihoods : ndarray of shape (n_samples, max(n_classes, 1))
            In nats, in the network's units.
        """
        device = next(self._network.parameters()).device
        noise = noise.to(device)
        labels: list[Tensor | None] = [None]
        if self.n_classes:
            labels = [*torch.eye(self.n_classes, dtype=torch.float32, device=device)]
        if len(priors) < len(labels):
            priors = priors * len(labels)

        def score(batch: Tensor) -> Tensor:
            scores = [
                importance_weighted(self._network, prior, batch, noise, label)
                for prior, label in zip(priors, labels, strict=True)
            ]
            return torch.stack(scores, dim=1)

        answers: NDArray[np.float64] = self._apply(
            score,
            rows,
            len(labels),
            dtype=np.float64,
            extra_work=self.trained.work * len(noise) * len(labels),
        )
        return answers

    def _apply(
        self,
        function: Callable[[Tensor], Tensor],
        given: Array,
        n_out: int,
        *,
        read: Callable[[slice], Tensor] | None = None,
        dtype: type[np.floating] = np.float32,
        extra_work: float = 0.0,
        at_once: bool = True,
    ) -> Any:
        """Send rows through a function of the network."""
        return self.trained.fill(
            np.empty((len(given), n_out), dtype=dtype),
            function,
            given,
            read,
            at_once=at_once,
            extra_work=extra_work,
            n_numbers=max(n_out, given.shape[1]),
        )
