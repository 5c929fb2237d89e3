"""The network of a variational autoencoder."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from skautoencoder.architectures.network import Network

# Returns means and log-variances of the codes from what the encoder says.
Bound = Callable[[Tensor], Tensor]


class VariationalNetwork(Network):
    """An encoder that answers with a distribution of codes, and a decoder.

    Parameters
    ----------
    encoder : torch.nn.Module
        Maps rows of shape (n_samples, n_features) to `2 * code_size` numbers: the
        means of the posterior's units, then what becomes their log-variances.
    decoder : torch.nn.Module
        Maps codes and classes, (n_samples, code_size + n_classes), to what the
        likelihood understands, (n_samples, n_features).
    likelihood : torch.nn.Module
        What the decoder's answers mean; has weights of its own.
    bound : callable
        Keeps log-variances within reason.
    n_classes : int, default=0
        Number of classes that the decoder is told of. 0: it is told of none.
    center : Tensor of shape (n_features,), default=None
        See :class:`Network`.
    spread : float, default=1.0
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
    ) -> None:
        super().__init__(encoder, decoder, center=center, spread=spread)
        self.likelihood = likelihood
        self.bound = bound
        self.n_classes = n_classes

    def extra_repr(self) -> str:
        """Return what the printed modules do not say."""
        return f"n_classes={self.n_classes}"

    def posterior(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and log-variances of the codes of rows."""
        # Sums of reduced precision would have lost what a divergence is about.
        parameters = self.encoder(self.encoder_input(rows)).float()
        mean, raw = parameters.chunk(2, dim=1)
        return mean, self.bound(raw)

    def encode(self, rows: Tensor) -> Tensor:
        """Return the posterior means of rows."""
        return self.posterior(rows)[0]

    def answer(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return what the decoder says to codes.

        Parameters
        ----------
        codes : Tensor of shape (n_samples, code_size)
            Codes.
        labels : Tensor of shape (n_samples, n_classes), default=None
            Their classes as ones and zeros. None: all classes alike.

        Returns
        -------
        answers : Tensor of shape (n_samples, n_features)
            What the likelihood understands.
        """
        if not self.n_classes:
            return self.decode_logits(codes)
        if labels is None:
            labels = codes.new_full((len(codes), self.n_classes), 1 / self.n_classes)
        return self.decode_logits(torch.cat([codes, labels.to(codes.dtype)], dim=1))

    def activate(self, logits: Tensor) -> Tensor:
        """Return the mean of what the decoder's answers stand for."""
        mean: Tensor = self.likelihood.mean(logits)  # type: ignore[operator]
        return mean

    def decode(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the mean rows that codes and classes stand for."""
        return self.activate(self.answer(codes, labels))
