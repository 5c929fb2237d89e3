"""In what a user gets rows back: as they gave them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skautoencoder._samples import Array, Shape


@dataclass(frozen=True)
class Container:
    """What rows were given in.

    Parameters
    ----------
    data_shape : tuple of int
        Shape of one sample.
    dtype : dtype
        Type of the values.
    names : pandas.Index or None
        Names of the columns of a DataFrame. None: an array.
    """

    data_shape: Shape
    dtype: np.dtype[Any]
    names: pd.Index | None

    @classmethod
    def of(cls, X: object, rows: Array, data_shape: Shape) -> Container:
        """Return what `X` is, whose validated rows are `rows`."""
        names = X.columns if isinstance(X, pd.DataFrame) else None
        return cls(data_shape, rows.dtype, names)

    def wrap(self, rows: Array) -> Array | pd.DataFrame:
        """Return flat rows in what the user gave them in."""
        samples = rows.astype(self.dtype, copy=False).reshape(-1, *self.data_shape)
        if self.names is None:
            return samples
        return pd.DataFrame(samples, columns=self.names)
