"""Encoders and decoders for sequences of different lengths."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skautoencoder.architectures._layers import flat_layers
from skautoencoder.architectures._sequence_layers import (
    FromSteps,
    SequenceShape,
    Steps,
)

# Layers that would mix what is past the end of a sequence with its steps.
_MIXING = (nn.Conv1d, nn.ConvTranspose1d, nn.Flatten, FromSteps)


class RaggedEncoder(nn.Module):
    """An encoder for sequences that may end early, which are NaN after their end.

    Values past the end are set to zero before each layer that looks at neighbouring
    steps, as the zeros with which convolutions pad. So a code depends on the steps of
    its sequence alone.

    Parameters
    ----------
    shape : tuple of int
        (n_planes, n_steps, n_channels) of the longest sequences.
    encoder : torch.nn.Module
        The layers, for sequences of `n_steps` steps.
    """

    def __init__(self, shape: SequenceShape, encoder: nn.Module) -> None:
        super().__init__()
        self.shape = shape
        self.layers = encoder

    def forward(self, rows: Tensor) -> Tensor:
        """Return codes whose last number is the length, as a share of the longest."""
        missing = rows.isnan()
        lengths = (~missing.unflatten(1, self.shape)[:, 0, :, 0]).sum(dim=1)
        values = torch.where(missing, 0.0, rows)
        remaining = lengths
        for layer in flat_layers(self.layers, opens_hooked=True):
            values = _apply(layer, values, remaining)
            if isinstance(layer, nn.Conv1d):
                remaining = _halved(remaining)
        share = lengths.to(torch.float32) / self.shape[1]
        return torch.cat([values.float(), share[:, None]], dim=1)


class RaggedDecoder(nn.Module):
    """A decoder to sequences that may end early, and are zero after their end.

    Parameters
    ----------
    shape : tuple of int
        (n_planes, n_steps, n_channels) of the longest sequences.
    decoder : torch.nn.Module
        The layers, for sequences of `n_steps` steps.
    """

    def __init__(self, shape: SequenceShape, decoder: nn.Module) -> None:
        super().__init__()
        self.shape = shape
        self.layers = decoder

    def forward(self, codes: Tensor) -> Tensor:
        """Return the rows that codes stand for, whose last number is the length."""
        layers = list(flat_layers(self.layers, opens_hooked=True))
        lengths = [lengths_of(codes, self.shape[1])]
        for layer in layers:
            if isinstance(layer, nn.ConvTranspose1d):
                lengths.append(_halved(lengths[-1]))
        values = codes[:, :-1]
        for layer in layers:
            values = _apply(layer, values, lengths[-1])
            if isinstance(layer, nn.ConvTranspose1d):
                lengths.pop()
        return values


def lengths_of(codes: Tensor, n_steps: int) -> Tensor:
    """Return the numbers of steps that the last numbers of codes stand for."""
    return (codes[:, -1] * n_steps).round().clamp(1, n_steps).long()


def _halved(lengths: Tensor) -> Tensor:
    """Return how many steps a convolution of stride 2 leaves."""
    return (lengths + 1) // 2


def _apply(layer: nn.Module, values: Tensor, lengths: Tensor) -> Tensor:
    """Return a layer's output for sequences of shape (n_samples, n_channels, n_steps).

    What comes before the first and after the last layer of sequences is flat.
    """
    if values.dim() == 3:
        if isinstance(layer, Steps):
            return layer(values, lengths)
        present = torch.arange(values.shape[2], device=values.device)
        present = present < lengths[:, None]
        if isinstance(layer, nn.BatchNorm1d) and layer.training:
            return _normalize(layer, values, present)
        if isinstance(layer, _MIXING):
            values = torch.where(present[:, None], values, 0.0)
    answers: Tensor = layer(values)
    return answers


def _normalize(layer: nn.BatchNorm1d, values: Tensor, present: Tensor) -> Tensor:
    """Return values normalised by the moments of those within the sequences."""
    steps = values.transpose(1, 2)
    normalized = torch.zeros_like(steps)
    normalized[present] = layer(steps[present]).to(steps.dtype)
    return normalized.transpose(1, 2)
