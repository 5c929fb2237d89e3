"""Codes whose leading numbers are codes themselves.

A network with ordered codes is an encoder to all units and a row of decoders, one for
each of a few sizes, which reads the units up to its size. One decoder for all sizes
does worse: it cannot bend what a small code needs bent and keep straight what a large
one needs straight. Decoders of dense networks read what the smaller ones make of their
part of a code, which has then been unbent already.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# How wide the decoders of leading parts are, beside that of the whole code.
SHARE_OF_WIDTH = 0.5
# What is not linear in the code starts at this share of its usual size: the linear part
# starts in the order of principal components.
_SHARE_AT_START = 0.3


def leading_sizes(code_size: int) -> list[int]:
    """Return the sizes that have a decoder: powers of two, and the whole code.

    One number alone has none. The best that it can be is a curve that fills the space,
    and numbers that are added to such a curve are worth little.
    """
    sizes, size = [], 2
    while 1.5 * size <= code_size:
        sizes.append(size)
        size *= 2
    return [*sizes, code_size]


class OrderedEncoder(nn.Module):
    """An encoder to a code, plus a linear function of the row.

    Parameters
    ----------
    encoder : torch.nn.Module
        From flat rows to codes.
    n_features : int
        Numbers in a row.
    code_size : int
        Numbers in the whole code.
    has_lines : bool
        Whether a linear function of the row is added to the code.
    n_kept : int
        How many numbers of the code are returned.
    """

    def __init__(
        self,
        encoder: nn.Module,
        n_features: int,
        code_size: int,
        *,
        has_lines: bool,
        n_kept: int,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.line = None
        if has_lines:
            self.line = nn.Linear(n_features, code_size, bias=False)
            if not self.line.weight.is_meta:
                nn.init.orthogonal_(self.line.weight)
                _shrink_last_layer(encoder)
        self.n_kept = n_kept

    def forward(self, rows: Tensor) -> Tensor:
        """Return the codes of rows."""
        codes: Tensor = self.encoder(rows)
        if self.line is not None:
            codes = codes + self.line(rows)
        return codes[:, : self.n_kept]


class OrderedDecoder(nn.Module):
    """Decoders side by side, each for codes of up to a size.

    Parameters
    ----------
    decoders : list of torch.nn.Module
        From the leading units of a code to flat rows.
    sizes : list of int
        How many units each of them takes.
    n_features : int
        Numbers in a row.
    has_lines : bool
        Whether a linear function of the code is added to the answer of the last one.
    has_laterals : bool, default=False
        Whether the first hidden layer of each decoder also reads that of the decoder
        before it. Decoders then are sequences of the same kinds of layers.
    least : sequence of int, default=None
        How many numbers a code needs at least for each decoder. Shorter ones are cut
        for the decoder before it. None: one more than the decoder before takes.

    Attributes
    ----------
    absent : torch.nn.Parameter
        What each decoder is given in the place of units that a shorter code lacks, a
        row for each.
    """

    def __init__(
        self,
        decoders: list[nn.Module],
        sizes: list[int],
        n_features: int,
        *,
        has_lines: bool,
        has_laterals: bool = False,
        least: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.sizes = sizes
        self.least = list(least or [1, *(size + 1 for size in sizes[:-1])])
        self.decoders = nn.ModuleList(decoders)
        self.absent = nn.Parameter(torch.zeros(len(sizes), sizes[-1]))
        self.laterals = None
        if has_laterals:
            self.laterals = nn.ModuleList()
            firsts = [decoder[0] for decoder in decoders]  # type: ignore[index]
            for before, first in pairwise(firsts):
                lateral = nn.Linear(before.out_features, first.out_features, bias=False)
                if not lateral.weight.is_meta:
                    nn.init.zeros_(lateral.weight)
                self.laterals.append(lateral)
        self.line = None
        if has_lines:
            self.line = nn.Linear(sizes[-1], n_features, bias=False)
            if not self.line.weight.is_meta:
                nn.init.zeros_(self.line.weight)

    def forward(self, codes: Tensor) -> Tensor:
        """Return rows, before the output activation, for codes of any leading size."""
        n_units = codes.shape[1]
        place = max(i for i, least in enumerate(self.least) if least <= n_units)
        return self.decode_leading(codes[:, : self.sizes[place]])

    def decode_leading(self, codes: Tensor) -> Tensor:
        """Return rows, by the smallest decoder that takes all units of the codes."""
        place = bisect_left(self.sizes, codes.shape[1])
        return self.decode_at(place, self.completed(place, codes))

    def completed(self, place: int, codes: Tensor) -> Tensor:
        """Return codes of the size of a decoder, given fewer of their units."""
        size, n_units = self.sizes[place], codes.shape[1]
        absent = F.pad(self.absent[place, n_units:size], (n_units, 0))
        # A sum, as ONNX would keep the number of rows of an expanded tensor.
        return F.pad(codes, (0, size - n_units)) + absent

    def decode_at(self, place: int, codes: Tensor) -> Tensor:
        """Return the rows that the decoder at a place makes of its units."""
        hidden = None
        if self.laterals is not None:
            for before, size in enumerate(self.sizes[:place]):
                hidden = self._hidden(
                    self._halves(before)[0], before, codes[:, :size], hidden
                )
        return self.decode_after(place, codes, hidden)[0]

    def decode_after(
        self, place: int, codes: Tensor, hidden: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return rows by the decoder at a place, and its first hidden layer.

        Parameters
        ----------
        place : int
            The place.
        codes : Tensor of shape (n_samples, n_units)
            The units that it takes.
        hidden : Tensor or None
            The first hidden layer of the decoder before it, if it reads that.
        """
        rows: Tensor
        if self.laterals is not None:
            first, others = self._halves(place)
            rows = hidden = self._hidden(first, place, codes, hidden)
            for layer in others:
                rows = layer(rows)
        else:
            rows, hidden = self.decoders[place](codes), None
        if self.line is not None and place == len(self.sizes) - 1:
            rows = rows + self.line(codes)
        return rows, hidden

    def _hidden(
        self, layers: list[nn.Module], place: int, codes: Tensor, before: Tensor | None
    ) -> Tensor:
        hidden: Tensor = layers[0](codes)
        if before is not None and self.laterals is not None:
            hidden = hidden + self.laterals[place - 1](before)
        for layer in layers[1:]:
            hidden = layer(hidden)
        return hidden

    def _halves(self, place: int) -> tuple[list[nn.Module], list[nn.Module]]:
        """Return the layers of a decoder up to its first hidden layer, and others."""
        layers = list(self.decoders[place].children())
        second = next(
            i for i, layer in enumerate(layers) if i and isinstance(layer, nn.Linear)
        )
        return layers[:second], layers[second:]


def _shrink_last_layer(encoder: nn.Module) -> None:
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d)
    layers = [layer for layer in encoder.modules() if isinstance(layer, kinds)]
    with torch.no_grad():
        for weight in layers[-1].parameters() if layers else ():
            weight.mul_(_SHARE_AT_START)
