"""Principal axes of rows."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_N_ROWS_AT_ONCE = 4096
# Smaller mean squares along an axis, relative to the largest, are rounding errors.
_NO_VARIANCE = 1e-12


def principal_axes(
    rows: Tensor, n_axes: int, mean: Tensor | float = 0.0
) -> tuple[Tensor, Tensor]:
    """Return orthonormal axes of the largest mean squares of rows, and these.

    Both are computed in double precision. Many rows are not copied: their products are
    added from a part at a time.

    Parameters
    ----------
    rows : Tensor of shape (n_rows, n_features)
        The rows.
    n_axes : int
        Most axes. There are fewer if rows vary along fewer.
    mean : Tensor of shape (n_features,), default=0.0
        Subtracted from the rows.

    Returns
    -------
    axes : Tensor of shape (n_found, n_features)
        The axes, those of the largest mean squares first.
    mean_squares : Tensor of shape (n_found,)
        Mean squared coordinates of the rows.
    """
    n_rows, n_features = rows.shape
    # Of the smaller of the two: products of rows or of features.
    is_wide = n_rows < n_features
    if is_wide:
        centred = rows.double() - mean
        products = centred @ centred.T
    else:
        products = torch.zeros(n_features, n_features, dtype=torch.float64)
        for part in rows.split(_N_ROWS_AT_ONCE):
            centred = part.double() - mean
            products += centred.T @ centred
    values, vectors = torch.linalg.eigh(products)
    values, axes = values.flip(0)[:n_axes], vectors.T.flip(0)[:n_axes]
    varies = values > _NO_VARIANCE * values[:1]
    values, axes = values[varies], axes[varies]
    if is_wide:
        axes = F.normalize(axes @ centred, dim=1)
    return axes, values / n_rows
