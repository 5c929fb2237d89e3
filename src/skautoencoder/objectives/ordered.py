"""The objective of codes whose leading numbers are codes themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skautoencoder.objectives.objective import EncoderDecoder, Objective
from skautoencoder.objectives.random_generators import generator_for

# In each step this share of one decoder's rows has codes that are cut to a size between
# two of decoders. More would serve those sizes better, and all others worse.
_SHARE_CUT = 0.1
# Share of the gradient of larger codes that reaches units of smaller ones, at the start
# and at the end of training.
_FIRST_SHARE, _LAST_SHARE = 1.0, 0.4
# A code of one number counts by so much more than a long one.
_MORE_FOR_SMALL = 4
# Added to losses before the logarithm, which is infinite at 0; a share of the variance.
_EXACT = 1e-9


@dataclass(frozen=True)
class OrderedPart:
    """What one decoder learns from in a step.

    Parameters
    ----------
    place : int
        The place of the decoder.
    before : int
        How many of its units belong to smaller codes.
    size : int
        How many units it reads.
    n_cut : int
        So many rows, the first ones of the batch, have codes that are cut.
    n_units : int
        To so many numbers.
    """

    place: int
    before: int
    size: int
    n_cut: int
    n_units: int


class OrderedObjective(Objective):
    """The geometric mean of the losses of the leading parts of codes, plus penalties.

    In it a loss that is lower by a tenth counts the same for a loss that is large, as
    that of a small code is, and for one that is small. Small codes lose most by what
    they share with others, and have larger weights in the mean.

    Units belong to the smallest code that has them: what larger codes would like to
    change about them counts less and less while training goes on, down to two fifths.
    So early units first become what all sizes can use, and then bend as a small code
    has to. If it counted for less, numbers that small codes have bent would be lost to
    large ones.

    Parameters are those of :class:`Objective`.

    References
    ----------
    Rippel, Gelbart and Adams, "Learning ordered representations with nested dropout",
    ICML 2014.
    Kusupati et al., "Matryoshka representation learning", NeurIPS 2022.
    """

    # Share of the training that is done, set before each step.
    progress: float = 0.0

    #: Whether a large batch that is not sharded is computed on torch's threads. A step
    #: has many operations, after each of which these wait for each other: on two
    #: threads it takes as long as on one, and many times as long beside other work.
    takes_torchs_threads: bool = False

    @property
    def splits(self) -> bool:
        """Whether it is a mean over rows, which a geometric mean is not."""
        return False

    @property
    def share(self) -> float:
        """Share of the gradient of larger codes that reaches units of smaller ones."""
        return _FIRST_SHARE + (_LAST_SHARE - _FIRST_SHARE) * self.progress

    def parts(
        self, network: Any, sizes: Sequence[int], n_rows: int, n_kept: int
    ) -> list[OrderedPart]:
        """Return what each decoder learns from in a step.

        Parameters
        ----------
        network : Network
            The network. In evaluation mode each decoder has all rows, and no code is
            cut.
        sizes : sequence of int
            How many units each decoder reads.
        n_rows : int
            Number of rows in the batch.
        n_kept : int
            How many numbers codes have.

        Returns
        -------
        parts : list of OrderedPart
            One for each decoder.
        """
        between = -1
        if network.training:
            generator = generator_for(network, torch.device("cpu"))
            draw = torch.rand((), generator=generator)
            between = size_between(sizes, float(draw))
        parts, before = [], 0
        for place, size in enumerate(sizes):
            n_cut, n_units = 0, size
            if size > n_kept:  # the code was cut after an earlier fit
                n_cut, n_units = n_rows, n_kept
            elif before < between < size:
                n_cut, n_units = round(n_rows * _SHARE_CUT), between
            parts.append(OrderedPart(place, before, size, n_cut, n_units))
            if size >= n_kept:
                break
            before = size
        return parts

    def combined(
        self, losses: Tensor, parts: Sequence[OrderedPart]
    ) -> tuple[Tensor, Tensor]:
        """Return the weighted geometric mean of losses, and its derivatives.

        Parameters
        ----------
        losses : Tensor of shape (n_parts,)
            The losses.
        parts : sequence of OrderedPart
            What they are losses of.

        Returns
        -------
        mean : Tensor of shape ()
            The mean.
        derivatives : Tensor of shape (n_parts,)
            Its derivatives by the losses.
        """
        counts = [1 + _MORE_FOR_SMALL / part.size for part in parts]
        weights = losses.new_tensor([count / sum(counts) for count in counts])
        positive = losses + _EXACT
        mean = positive.log().dot(weights).exp()
        return mean, mean.detach() * weights / positive.detach()

    def _reconstruction(
        self, network: EncoderDecoder, codes: Tensor, target: Tensor
    ) -> Tensor:
        whole: Any = network
        decoder = whole.decoder
        parts = self.parts(network, decoder.sizes, len(codes), codes.shape[1])
        losses: list[Tensor] = []
        hidden: Tensor | None = None
        for part in parts:
            given = self._given(decoder, part, codes)
            logits, hidden = decoder.decode_after(part.place, given, hidden)
            logits = whole.with_offset(logits.float())
            losses.append(self._compare(network, logits, target))
        mean: Tensor = self.combined(torch.stack(losses), parts)[0]
        return mean

    def _given(self, decoder: Any, part: OrderedPart, codes: Tensor) -> Tensor:
        """Return what a decoder is given of codes."""
        given = codes[:, : part.size]
        if part.before and self.share < 1:
            earlier = given[:, : part.before]
            earlier = torch.lerp(earlier.detach(), earlier, self.share)
            given = torch.cat([earlier, given[:, part.before :]], dim=1)
        # Also of no rows, so that what is absent has a gradient in every step.
        cut = decoder.completed(part.place, given[: part.n_cut, : part.n_units])
        others = given[part.n_cut :]
        return torch.cat([cut, others]) if len(others) else cut


def size_between(sizes: Sequence[int], draw: float) -> int:
    """Return a size of a leading part that has no decoder, small ones more often.

    Parameters
    ----------
    sizes : sequence of int
        Those that have one.
    draw : float in [0, 1)
        A random number.
    """
    others, ends = _between(tuple(sizes))
    if not others:
        return -1
    return others[int(np.searchsorted(ends, draw * ends[-1], side="right"))]


@cache  # asked in every step
def _between(sizes: tuple[int, ...]) -> tuple[list[int], NDArray[np.float64]]:
    """Return sizes without a decoder, and the sums of their weights up to each."""
    others = [size for size in range(1, sizes[-1]) if size not in sizes]
    return others, np.cumsum(np.array(others) ** -0.5)
