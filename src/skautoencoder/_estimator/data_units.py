"""Conversion between the units of the user's data and those of the network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skautoencoder._estimator.array_statistics import (
    fills_unit_range,
    is_in_unit_range,
    mean_and_spread,
    mean_and_spread_of_sequences,
    row_chunks,
)
from skautoencoder._estimator.array_types import Array, Range
from skautoencoder.architectures import Architecture
from skautoencoder.training import to_tensor


@dataclass(frozen=True)
class Scaling:
    """An affine map from the user's units to the network's.

    Mostly one number scales all features, as in PCA: the user decides on the weights of
    features, with a scaler in front. The offset is subtracted in the precision of the
    data, as rounding large numbers to float32 first would lose digits.

    Parameters
    ----------
    offset : ndarray of shape (n_features,), default=None
        Subtracted from rows. None: nothing.
    scale : float or ndarray of shape (n_features,), default=1.0
        The divisor.
    """

    offset: NDArray[np.float64] | None = None
    scale: float | NDArray[np.float64] = 1.0

    def to_network(self, rows: Array) -> Tensor:
        """Return rows in the network's units, as float32."""
        tensor = to_tensor(rows)
        if self.offset is None:
            return tensor.float().contiguous()
        offset = to_tensor(self.offset)
        if tensor.dtype != offset.dtype and offset.to(tensor.dtype).isfinite().all():
            offset = offset.to(tensor.dtype)
        scale = torch.tensor(self.scale, dtype=torch.float64)
        return ((tensor - offset) / scale).float().contiguous()

    def to_network_in_parts(self, rows: Array) -> Tensor:
        """Return rows in the network's units without a copy in double precision."""
        if self.offset is None:
            return self.to_network(rows)
        tensor = torch.empty(rows.shape, dtype=torch.float32)
        for part in row_chunks(rows):
            tensor[part] = self.to_network(rows[part])
        return tensor

    def to_data(self, tensor: Tensor, dtype: np.dtype[Any]) -> Array:
        """Return rows in the user's units."""
        if self.offset is None:
            return tensor.numpy().astype(dtype, copy=False)
        # In double precision, as offset or scale may overflow in float32.
        rows: Array = tensor.numpy().astype(np.float64)
        rows *= self.scale
        rows += self.offset
        with np.errstate(over="ignore"):
            return rows.astype(dtype, copy=False)


@dataclass(frozen=True)
class Units:
    """The scaling of a network's input, and the activation of its output.

    Parameters
    ----------
    scaling : Scaling, default=Scaling()
        The user's units and the network's.
    output_activation : {"identity", "sigmoid"}, default="identity"
        Activation of the decoder's output.
    center : Tensor of shape (n_features,), default=None
        The mean sample, which is the initial output of a sigmoid.
    spread : float, default=1.0
        Root mean squared distance from `center`.
    """

    scaling: Scaling = field(default_factory=Scaling)
    output_activation: str = "identity"
    center: Tensor | None = None
    spread: float = 1.0

    @classmethod
    def of_data(
        cls,
        rows: Array,
        value_range: Range,
        architecture: Architecture,
        loss: str | None,
        *,
        n_channels: int | None = None,
    ) -> Self:
        """Choose units for rows like these.

        For data in [0, 1] the output is a sigmoid; others are centred and divided by
        one number for all features, as in PCA.

        Parameters
        ----------
        rows : ndarray of shape (n_samples, n_features)
            The wanted outputs.
        value_range : tuple of float
            Their lowest and highest value.
        architecture : Architecture
            Architecture of the network.
        loss : str or None
            The reconstruction loss.
        n_channels : int, default=None
            Channels of sequences of different lengths. None: rows are no such.
        """
        activation = architecture.output_activation
        if activation == "auto":
            bounded = loss == "bce" or fills_unit_range(value_range)
            activation = "sigmoid" if bounded else "identity"
        if not architecture.standardizes:
            return cls(output_activation=activation)
        if n_channels is None:
            mean, spread = mean_and_spread(rows)
        else:
            mean, spread = mean_and_spread_of_sequences(rows, n_channels)
        if activation == "sigmoid":
            center = torch.from_numpy(mean).float()
            return cls(output_activation=activation, center=center, spread=spread)
        return cls(Scaling(mean, spread), activation)

    def check(
        self, value_range: Range, architecture: Architecture, loss: str | None
    ) -> None:
        """Raise if the data are outside of the range of the loss or the output."""
        if self.output_activation == "sigmoid":
            asked = architecture.output_activation == "sigmoid" or loss == "bce"
            # Later parts of the data may exceed the range of the first one a little.
            margin = {} if asked else {"margin": 0.5}
            what = "loss='bce'" if loss == "bce" else "A sigmoid output"
        elif loss == "bce":
            if architecture.standardizes:
                raise ValueError(
                    "loss='bce' needs output_activation='sigmoid' or 'auto', but the "
                    "network's is 'identity'."
                )
            asked, margin, what = True, {}, "loss='bce'"
        else:
            return
        if is_in_unit_range(value_range, **margin):
            return
        low, high = value_range
        if not asked:
            raise ValueError(
                "The first rows that this network learnt from lay in [0, 1], so it "
                f"answers with a sigmoid, but X now goes from {low:.6g} to "
                f"{high:.6g}. Bring all rows to [0, 1] in the same way (divide "
                "pixels by 255; a MinMaxScaler fitted on all), or begin anew with "
                "output_activation='identity' of the architecture."
            )
        raise ValueError(
            f"{what} needs data in [0, 1], but X goes from {low:.6g} to "
            f"{high:.6g}. Put a MinMaxScaler(clip=True) in front (or divide "
            "pixels by 255), or use loss='mse' and leave the architecture's "
            "output_activation alone."
        )
