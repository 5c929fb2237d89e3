"""The network of a variational autoencoder."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from skautoencoder.architectures._calls import call
from skautoencoder.architectures.network import Network

# Returns log-variances within bounds, given the encoder's raw outputs for them.
Bound = Callable[[Tensor], Tensor]


class VariationalNetwork(Network):
    """An encoder that returns a distribution of codes, and a decoder.

    Parameters
    ----------
    encoder : torch.nn.Module
        Maps rows of shape (n_samples, n_features) to `2 * code_size` numbers: the
        means of the posterior, then its log-variances before `bound`.
    decoder : torch.nn.Module
        Maps codes and classes, (n_samples, code_size + n_classes), to the parameters
        of the likelihood, (n_samples, n_features).
    likelihood : torch.nn.Module
        Distribution of rows whose parameters are the decoder's outputs; may have
        weights of its own.
    bound : callable
        Maps raw log-variances smoothly into bounds.
    n_classes : int, default=0
        Number of classes that are an input of the decoder. 0: it has no such input.
    center : Tensor of shape (n_features,), default=None
        See :class:`Network`.
    spread : float, default=1.0
        See :class:`Network`.
    copies_rows : bool, default=False
        See :class:`Network`.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: nn.Module,
        bound: Bound,
        *,
        n_classes: int = 0,
        center: Tensor | None = None,
        spread: float = 1.0,
        copies_rows: bool = False,
    ) -> None:
        super().__init__(
            encoder, decoder, center=center, spread=spread, copies_rows=copies_rows
        )
        self.likelihood = likelihood
        self.bound = bound
        self.n_classes = n_classes

    def extra_repr(self) -> str:
        """Return what `repr` shows besides the submodules."""
        return f"n_classes={self.n_classes}"

    def posterior(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and log-variances of the codes of rows."""
        # In float32, as the divergence would lose its digits in bfloat16.
        parameters = call(self.encoder, self.encoder_input(rows)).float()
        mean, raw = parameters.chunk(2, dim=1)
        return mean, self.bound(raw)

    def encode(self, rows: Tensor) -> Tensor:
        """Return the posterior means of rows."""
        return self.posterior(rows)[0]

    def decode_logits(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the decoder's outputs for codes.

        Parameters
        ----------
        codes : Tensor of shape (n_samples, code_size)
            Codes.
        labels : Tensor of shape (n_samples, n_classes), default=None
            Their classes, one-hot. None: all classes with equal weights.

        Returns
        -------
        outputs : Tensor of shape (n_samples, n_features)
            Parameters of the likelihood.
        """
        if self.n_classes:
            if labels is None:
                shape = len(codes), self.n_classes
                labels = codes.new_full(shape, 1 / self.n_classes)
            codes = torch.cat([codes, labels.to(codes.dtype)], dim=1)
        return super().decode_logits(codes)

    def activate(self, logits: Tensor) -> Tensor:
        """Return the mean of the distribution that the decoder's outputs describe."""
        mean: Tensor = self.likelihood.mean(logits)  # type: ignore[operator]
        return mean
