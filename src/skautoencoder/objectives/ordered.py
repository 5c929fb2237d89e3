"""The objective of codes whose leading numbers are codes themselves."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skautoencoder.objectives.objective import EncoderDecoder, Objective
from skautoencoder.objectives.random_generators import generator_for

# Share of the rows that learn from a code between two sizes that have a decoder.
_BETWEEN = 0.25
# Share of the gradient of larger codes that reaches units of smaller ones at the end.
_LAST_SHARE = 0.1
# Losses of nothing at all count as this share of the variance.
_EXACT = 1e-9


class OrderedObjective(Objective):
    """The geometric mean of the losses of the leading parts of codes, plus penalties.

    In it a loss that is lower by a tenth counts the same for a small code, whose loss
    is large, and for a large one.

    Units belong to the smallest code that has them: what larger codes would like to
    change about them counts less and less while training goes on, down to a tenth.
    So early units first become what all sizes can use, and then bend as a small code
    has to.

    Parameters are those of :class:`Objective`.

    References
    ----------
    Rippel, Gelbart and Adams, "Learning ordered representations with nested dropout",
    ICML 2014.
    Kusupati et al., "Matryoshka representation learning", NeurIPS 2022.
    """

    # Share of the training that is done, set before each step.
    progress: float = 0.0

    @property
    def splits(self) -> bool:
        """Whether it is a mean over rows, which a geometric mean is not."""
        return False

    def _reconstruction(
        self, network: EncoderDecoder, codes: Tensor, target: Tensor
    ) -> Tensor:
        losses = torch.stack(
            [
                self._compare(network, logits, target)
                for logits in self._logits(network, codes)
            ]
        )
        return (losses + _EXACT).log().mean().exp()

    def _logits(self, network: Any, codes: Tensor) -> list[Tensor]:
        """Return what each decoder makes of its part of the codes."""
        decoder, before, logits = network.decoder, 0, []
        share = _LAST_SHARE + (1 - _LAST_SHARE) * (1 - self.progress)
        generator = generator_for(network, codes.device)
        for place, size in enumerate(decoder.sizes):
            given = codes[:, :size]
            if network.training and before:
                earlier = given[:, :before]
                earlier = torch.lerp(earlier.detach(), earlier, share)
                given = torch.cat([earlier, given[:, before:]], dim=1)
            if network.training and 1 < size - before <= given.shape[1] - before:
                n_units = _cuts(codes, before, size, generator)
                given = decoder.without_last(place, given, n_units)
            if given.shape[1] < size:  # the code was cut after an earlier fit
                logits.append(network.decode_logits(given))
                break
            answers = decoder.decode_at(place, given)
            logits.append(network.with_offset(answers.float()))
            before = size
        return logits


def _cuts(
    codes: Tensor, before: int, size: int, generator: torch.Generator | None
) -> Tensor:
    """Return how many units of each code are kept: all for most."""
    draws = torch.rand(len(codes), generator=generator, device=codes.device)
    n_between = size - before - 1
    kept = before + 1 + (draws / _BETWEEN * n_between).long()
    return torch.where(draws < _BETWEEN, kept, size)
