"""Noise that is added to rows before they are the network's input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skautoencoder.objectives.random_generators import generator

NOISES = ("gaussian", "masking", "salt_and_pepper")

# Returns samples with noise, given samples.
Noise = Callable[[Tensor], Any]


class Corruption(nn.Module):
    """Adds new noise to rows at each call.

    The parameters are in the units of the data. Rows before and after are in the
    network's units, ``(data - offset) / scale``.

    Noise is drawn from torch's global generator, which the caller seeds.

    Parameters
    ----------
    noise : {"gaussian", "masking", "salt_and_pepper"} or callable
        "gaussian" adds a normal number to each value; "masking" puts 0 in the
        place of values chosen at random; "salt_and_pepper" puts `low` or `high`
        there, either with the same probability. A callable takes a float32
        tensor of shape (n_samples, ...), in the units of the data,
        which is its own to change, and returns a tensor or an array of the
        same shape. No gradient goes through it.
    level : float
        Standard deviation of "gaussian" noise, or the probability with which
        the others choose a value. Unused by a callable.
    low : float, default=0.0
        What "pepper" is, and the lowest value that `clip` leaves.
    high : float, default=1.0
        What "salt" is, and the highest value that `clip` leaves.
    clip : bool, default=False
        Whether values beyond `low` and `high` are cut to them.
    offset : Tensor of shape (n_features,), default=None
        The data's value that is 0 to the network. None: 0.
    scale : float, default=1.0
        The data's length that is 1 to the network.
    sample_shape : tuple of int, default=None
        Shape in which a callable sees a sample. None: flat.
    ragged : bool, default=False
        Whether rows are sequences that are NaN after their end. They stay so, and a
        callable sees them so.

    References
    ----------
    Vincent, Larochelle, Lajoie, Bengio and Manzagol, "Stacked denoising
    autoencoders", Journal of Machine Learning Research 11, 2010.
    """

    ragged = False
    offset: Tensor
    zero: Tensor
    low: Tensor
    high: Tensor

    def __init__(
        self,
        noise: str | Noise,
        level: float,
        *,
        low: float = 0.0,
        high: float = 1.0,
        clip: bool = False,
        offset: Tensor | None = None,
        scale: float = 1.0,
        sample_shape: tuple[int, ...] | None = None,
        ragged: bool = False,
    ) -> None:
        super().__init__()
        self.noise = noise
        self.level = level
        self.clip = clip
        self.scale = scale
        self.sample_shape = sample_shape
        self.ragged = ragged
        # Computed in double precision, as a large offset leaves few digits in float32.
        offset = torch.zeros(()) if offset is None else offset
        shift = offset.double()
        self.register_buffer("offset", offset.float(), persistent=False)
        for name, value in {"zero": 0.0, "low": low, "high": high}.items():
            in_network = ((value - shift) / scale).float()
            self.register_buffer(name, in_network, persistent=False)

    def forward(self, rows: Tensor) -> Tensor:
        """Return noisy copies of rows of shape (n_samples, n_features)."""
        if self.noise == "gaussian":
            noisy = _new_like(rows).normal_(generator=generator())
            noisy.mul_(self.level / self.scale).add_(rows)
        elif self.noise == "masking":
            chance = _new_like(rows).uniform_(generator=generator())
            noisy = torch.where(chance < self.level, self.zero, rows)
        elif self.noise == "salt_and_pepper":
            chance = _new_like(rows).uniform_(generator=generator())
            noisy = torch.where(chance < self.level / 2, self.low, rows)
            noisy = torch.where(chance >= 1 - self.level / 2, self.high, noisy)
        else:
            noisy = self._ask(rows)
        noisy = noisy.clamp(self.low, self.high) if self.clip else noisy
        return noisy.masked_fill(rows.isnan(), torch.nan) if self.ragged else noisy

    def extra_repr(self) -> str:
        """Return what the representation shows: the noise, in the units of the data."""
        # The bounds are stored in the network's units, rounded.
        shift = self.offset / self.scale
        low, high = (
            round(float((bound + shift).flatten()[0]), 5) * self.scale
            for bound in (self.low, self.high)
        )
        clip = f"({low:.4g}, {high:.4g})" if self.clip else "None"
        return f"noise={self.noise!r}, level={self.level:.9g}, clip={clip}"

    def _ask(self, rows: Tensor) -> Tensor:
        """Return the result of the user's callable for rows."""
        assert callable(self.noise)
        shape = self.sample_shape or rows.shape[1:]
        samples = (rows * self.scale + self.offset).reshape(len(rows), *shape)
        shape = tuple(samples.shape)
        with torch.no_grad():
            answer = self.noise(samples)
        if not isinstance(answer, Tensor | np.ndarray):
            raise TypeError(
                f"noise must return a tensor or an array of shape {shape}, but "
                f"returned {answer!r:.60}. (Does it end in a return?)"
            )
        if tuple(answer.shape) != shape:
            raise ValueError(
                "noise must return samples of the shape that it is given, "
                f"{shape}, but returned {tuple(answer.shape)}."
            )
        given = torch.as_tensor(answer)
        if given.is_complex():
            raise ValueError("noise must return real numbers, but returned complex.")
        noisy = given.to(rows.device, torch.float32)
        noisy = noisy.reshape(rows.shape)
        if not (noisy.isfinite() | (rows.isnan() if self.ragged else False)).all():
            raise ValueError(
                "noise returned samples with NaN, infinity or values too large for "
                "float32. The network can learn from numbers alone: let it return some."
            )
        return (noisy - self.offset) / self.scale


def _new_like(rows: Tensor) -> Tensor:
    """Return memory for noise that is drawn row by row, however rows are stored."""
    return torch.empty_like(rows, memory_format=torch.contiguous_format)
