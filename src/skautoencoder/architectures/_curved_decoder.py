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

    References
    ----------
    Rahimi and Recht, "Random features for large-scale kernel machines", NIPS 2007.
    """

    linear: nn.Linear
    hidden: nn.Linear
    curve: nn.Linear

    def __init__(self, code_size: int, n_hidden_units: int, n_features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(code_size, n_features)
        self.hidden = nn.Linear(code_size, n_hidden_units)
        self.hidden.requires_grad_(False)
        self.curve = nn.Linear(n_hidden_units, n_features)
        nn.init.zeros_(self.curve.weight)
        nn.init.zeros_(self.curve.bias)

    def forward(self, codes: Tensor) -> Tensor:
        """Return the rows that codes stand for."""
        units = torch.tanh(self.hidden(codes))
        curved: Tensor = self.curve(units / units.shape[1])
        return curved.add(self.linear(codes))
