"""The objective of autoencoders: a reconstruction loss plus penalties."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Protocol

import torch
from torch import Tensor, nn

from skautoencoder.objectives.corruption import Corruption
from skautoencoder.objectives.losses import (
    LOSSES,
    check_outputs,
    reconstruction_loss,
)
from skautoencoder.objectives.penalties import Penalty


class EncoderDecoder(Protocol):
    """The methods of a network that an objective uses."""

    output_activation: str
    training: bool

    def encode(self, rows: Tensor) -> Tensor:
        """Return the codes of rows."""

    def decode(self, codes: Tensor) -> Tensor:
        """Return reconstructions."""

    def decode_logits(self, codes: Tensor) -> Tensor:
        """Return reconstructions before the output activation."""

    def encoder_input(self, rows: Tensor) -> Tensor:
        """Return rows as the encoder sees them."""


class Objective(nn.Module):
    """Reconstruction loss plus penalties on the code.

    Parameters
    ----------
    loss : {"mse", "l1", "huber", "bce"}, default="mse"
        The reconstruction loss, see :func:`reconstruction_loss`.
    penalties : sequence of Penalty, default=()
        What is added to it, each times its weight.
    corruption : Corruption, default=None
        Noise on the rows in training. None: no noise.
    """

    def __init__(
        self,
        loss: str = "mse",
        *,
        penalties: Sequence[Penalty] = (),
        corruption: Corruption | None = None,
    ) -> None:
        super().__init__()
        self.loss = loss
        self.penalties = tuple(penalties)
        self.corruption = corruption

    def check(self, network: EncoderDecoder, rows: Tensor) -> None:
        """Raise if the loss or a penalty is not defined for the network's outputs."""
        if not self.penalties and self.loss != "bce":
            return
        codes = network.encode(rows)
        for penalty in self.penalties:
            penalty.check_codes(self._penalized(codes))
        if self.loss == "bce":
            check_outputs(self.loss, network.decode(codes))

    def check_batch_size(self, n_rows: int) -> None:
        """Raise if batches of `n_rows` rows are too small for a penalty."""
        for penalty in self.penalties:
            penalty.check_batch_size(n_rows)

    @property
    def added(self) -> list[Penalty]:
        """The penalties that add a term to the loss."""
        return [penalty for penalty in self.penalties if penalty.weight]

    @property
    def splits(self) -> bool:
        """Whether it is a mean over rows, so that a batch may be divided into shards.

        Not with noise of the user's own, which may use generators shared by threads.
        """
        if not all(penalty.is_mean_over_rows for penalty in self.added):
            return False
        return self.corruption is None or not callable(self.corruption.noise)

    def forward(self, network: EncoderDecoder, rows: Tensor, target: Tensor) -> Tensor:
        """Return the objective on a batch.

        Parameters
        ----------
        network : EncoderDecoder
            The network in training.
        rows : Tensor of shape (n_samples, n_features)
            Inputs of the network.
        target : Tensor of shape (n_samples, n_features)
            The wanted outputs.

        Returns
        -------
        objective : Tensor of shape ()
            The number to minimise.
        """
        if self.corruption is not None and network.training:
            rows = self.corruption(rows)
        added = self.added
        differentiates = any(penalty.needs_row_gradients for penalty in added)
        with torch.enable_grad() if differentiates else nullcontext():
            if differentiates:
                rows = rows.detach().requires_grad_()
            codes = network.encode(rows)
            exact = self._penalized(codes)
            terms = [_term(penalty, exact, rows, network) for penalty in added]
        return sum(terms, start=self._reconstruction(network, codes, target))

    def loss_of_answers(
        self, network: EncoderDecoder, rows: Tensor, target: Tensor
    ) -> Tensor:
        """Return the reconstruction loss alone, without noise and penalties."""
        return LOSSES[self.loss](network.decode(network.encode(rows)).float(), target)

    def loss_of_mean(
        self, network: EncoderDecoder, rows: Tensor, target: Tensor
    ) -> Tensor:
        """Return the loss if the network's output were the mean target for all rows."""
        return LOSSES[self.loss](target.mean(dim=0).expand_as(target), target)

    def _penalized(self, codes: Tensor) -> Tensor:
        """Return what penalties see of codes."""
        # In float32, as penalties would lose their digits in bfloat16.
        return codes.float()

    def _reconstruction(
        self, network: EncoderDecoder, codes: Tensor, target: Tensor
    ) -> Tensor:
        """Return the loss of what codes are decoded to."""
        return self._compare(network, network.decode_logits(codes), target)

    def _compare(
        self, network: EncoderDecoder, logits: Tensor, target: Tensor
    ) -> Tensor:
        """Return the reconstruction loss."""
        return reconstruction_loss(self.loss, logits, target, network.output_activation)


def _term(
    penalty: Penalty, codes: Tensor, rows: Tensor, network: EncoderDecoder
) -> Tensor:
    """Return what a penalty adds to the loss; raise if it returns no number."""
    found = penalty(codes, rows, network)
    if isinstance(found, Tensor) and not found.dim():
        return penalty.weight * found
    if isinstance(found, Tensor):
        what, cure = f"a tensor of shape {tuple(found.shape)}", "Take its mean()."
    else:
        what = repr(found)
        cure = "Compute it with torch; where there is none, return codes.new_zeros(())."
    raise ValueError(
        f"The penalty {penalty!r} must return one number for a batch, as a tensor, but "
        f"returned {what}. {cure}"
    )
