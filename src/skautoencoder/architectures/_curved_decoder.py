"""A decoder that is affine but for a mean of random hidden units."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CurvedDecoder(nn.Module):
    """An affine function of codes, and a mean of random hidden units added to it.

    The weights of the hidden units are not trained; those of their mean start at zero,
    where the decoder is affine. As it is a mean and no sum, a step of an optimizer
    changes answers by as much as in the affine part, however many units there are.

    Parameters
    ----------
    code_size : int
        Numbers in a code.
    n_hidden_units : int
        Number of hidden units.
    n_features : int
        Numbers in a row.
    has_limits : bool
        Whether the hidden units see each number of a code between two limits only,
        its lowest and highest value in training. Beyond them, where nothing was learnt,
        the decoder is affine.

    References
    ----------
    Rahimi and Recht, "Random features for large-scale kernel machines", NIPS 2007.
    """

    linear: nn.Linear
    hidden: nn.Linear
    curve: nn.Linear
    lowest: Tensor | None
    highest: Tensor

    def __init__(
        self,
        code_size: int,
        n_hidden_units: int,
        n_features: int,
        *,
        has_limits: bool = False,
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(code_size, n_features)
        self.hidden = nn.Linear(code_size, n_hidden_units)
        self.hidden.requires_grad_(False)
        self.curve = nn.Linear(n_hidden_units, n_features)
        nn.init.zeros_(self.curve.weight)
        nn.init.zeros_(self.curve.bias)
        largest = torch.finfo(torch.float32).max
        no_limit = torch.full((code_size,), largest, dtype=torch.float32)
        self.register_buffer("lowest", -no_limit if has_limits else None)
        self.register_buffer("highest", no_limit if has_limits else None)

    def forward(self, codes: Tensor) -> Tensor:
        """Return the rows that codes stand for."""
        seen = codes
        if self.lowest is not None:
            seen = torch.minimum(torch.maximum(codes, self.lowest), self.highest)
        units = torch.tanh(self.hidden(seen))
        curved: Tensor = self.curve(units / units.shape[1])
        return curved.add(self.linear(codes))
