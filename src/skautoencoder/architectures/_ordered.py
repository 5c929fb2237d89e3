"""Codes whose leading numbers are codes themselves.

A network with ordered codes is a row of networks, one for each of a few sizes. Each
adds units to the code, and its decoder reads all units so far. One network for all
sizes cannot bend the code as much as a small code needs and keep it as straight as a
large one does: its errors are a third higher than those of networks for one size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# The networks of small codes may be smaller, down to this share of the width.
_SMALLEST_SHARE = 0.25


def leading_sizes(code_size: int) -> list[int]:
    """Return the sizes that have a network: powers of two, and the whole code."""
    sizes, size = [], 1
    while 1.5 * size <= code_size:
        sizes.append(size)
        size *= 2
    return [*sizes, code_size]


def share_of_width(size: int, code_size: int) -> float:
    """Return how wide the network of a leading part is, beside that of the whole."""
    return max(size / code_size, _SMALLEST_SHARE)


class OrderedEncoder(nn.Module):
    """Encoders side by side, each of which adds units to the code.

    Parameters
    ----------
    encoders : list of torch.nn.Module
        From flat rows to the units that each adds.
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
        encoders: list[nn.Module],
        n_features: int,
        code_size: int,
        *,
        has_lines: bool,
        n_kept: int,
    ) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)
        self.line = None
        if has_lines:
            self.line = nn.Linear(n_features, code_size, bias=False)
            if not self.line.weight.is_meta:
                nn.init.orthogonal_(self.line.weight)
        self.n_kept = n_kept

    def forward(self, rows: Tensor) -> Tensor:
        """Return the codes of rows."""
        codes = torch.cat([encoder(rows) for encoder in self.encoders], dim=1)
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
        Whether a linear function of the code is added to each decoder's answer.

    Attributes
    ----------
    absent : list of torch.nn.Parameter
        What each decoder is given in the place of units that a shorter code lacks.
    """

    def __init__(
        self,
        decoders: list[nn.Module],
        sizes: list[int],
        n_features: int,
        *,
        has_lines: bool,
    ) -> None:
        super().__init__()
        self.sizes = sizes
        self.decoders = nn.ModuleList(decoders)
        self.absent = nn.ParameterList([torch.zeros(size) for size in sizes])
        self.lines = nn.ModuleList()
        for size in sizes if has_lines else ():
            line = nn.Linear(size, n_features, bias=False)
            if not line.weight.is_meta:
                nn.init.zeros_(line.weight)
            self.lines.append(line)

    def forward(self, codes: Tensor) -> Tensor:
        """Return rows, before the output activation, for codes of any leading size."""
        n_units = codes.shape[1]
        place = next(i for i, size in enumerate(self.sizes) if size >= n_units)
        absent = self.absent[place][n_units:].expand(len(codes), -1)
        return self.decode_at(place, torch.cat([codes, absent], dim=1))

    def decode_at(self, place: int, codes: Tensor) -> Tensor:
        """Return the rows that the decoder at a place makes of its units."""
        rows: Tensor = self.decoders[place](codes)
        if self.lines:
            rows = rows + self.lines[place](codes)
        return rows

    def without_last(self, place: int, codes: Tensor, n_units: Tensor) -> Tensor:
        """Return codes of the size of a decoder, some of them cut after a few units.

        Parameters
        ----------
        place : int
            The place of the decoder.
        codes : Tensor of shape (n_samples, size)
            The codes.
        n_units : Tensor of int of shape (n_samples,)
            How many units of each code are kept.
        """
        is_there = torch.arange(codes.shape[1], device=codes.device) < n_units[:, None]
        return torch.where(is_there, codes, self.absent[place])
