"""The objective for sequences of different lengths."""

from __future__ import annotations

from torch import Tensor

from skautoencoder.objectives.losses import LOSSES, masked_loss
from skautoencoder.objectives.objective import EncoderDecoder, Objective


class RaggedObjective(Objective):
    """Reconstruction loss on sequences that are NaN after their end, plus penalties.

    The loss is the mean over the values that there are, so that each weighs the same.
    Penalties are on all numbers of a code but the last, which is the length.

    Parameters are those of :class:`Objective`.
    """

    def weigh(self, target: Tensor) -> float:
        """Return over how many values of a shard the objective is the mean."""
        return float((~target.isnan()).sum())

    def loss_of_answers(
        self, network: EncoderDecoder, rows: Tensor, target: Tensor
    ) -> Tensor:
        """Return the reconstruction loss alone, without noise and penalties."""
        present = ~target.isnan()
        answers = network.decode(network.encode(rows)).float()
        return LOSSES[self.loss](answers[present], target[present])

    def loss_of_mean(
        self, network: EncoderDecoder, rows: Tensor, target: Tensor
    ) -> Tensor:
        """Return the loss if the network's output were the mean target for all rows."""
        present = ~target.isnan()
        mean = target.nanmean(dim=0).expand_as(target)
        return LOSSES[self.loss](mean[present], target[present])

    def _penalized(self, codes: Tensor) -> Tensor:
        return codes[:, :-1].float()

    def _compare(
        self, network: EncoderDecoder, logits: Tensor, target: Tensor
    ) -> Tensor:
        return masked_loss(self.loss, logits, target, network.output_activation)
