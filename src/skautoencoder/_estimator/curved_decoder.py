"""What PCA loses, predicted from its codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from skautoencoder.architectures._curved_decoder import CurvedDecoder

# Distances over which answers bend, in standard deviations of the codes. Each has its
# hidden units, and each feature has answers of the distance that suits it.
_DISTANCES = (1.0, 4.0)
# Penalties of the regression, for each row.
_PENALTIES = np.logspace(-4, 2, 9)
# Numbers of codes whose deviation is a smaller share of the largest one are rounding.
_LEAST_DEVIATION = 1e-5
# How many standard errors a prediction has to be ahead of none. The best of several
# distances and penalties looks better than it is.
_STANDARD_ERRORS = 3.0
_TINY = 1e-300


class _Regression(NamedTuple):
    """A ridge regression of each target, and its answers to rows that were left out."""

    weights: Tensor
    offset: Tensor
    left_out: Tensor
    errors: Tensor


def learn_curve(
    decoder: CurvedDecoder,
    codes: Tensor,
    residuals: Tensor,
    seed: int,
    loss: Callable[..., Tensor],
) -> bool:
    """Set a decoder's curved part to what codes say of residuals.

    Hidden units are random. The weights of their mean are a ridge regression of each
    feature, multiplied by a number from 0 to 1: 0 where the answers to rows that were
    left out of the regression do not predict these rows.

    Parameters
    ----------
    decoder : CurvedDecoder
        The decoder.
    codes : Tensor of shape (n_rows, code_size)
        Codes, in double precision.
    residuals : Tensor of shape (n_rows, n_features)
        What the decoder's affine part leaves of the rows.
    seed : int
        Seed of the hidden units.
    loss : callable
        Loss of torch's by which features are judged.

    Returns
    -------
    found : bool
        Whether any feature is predicted.
    """
    generator = torch.Generator().manual_seed(seed)
    deviations = codes.std(0, correction=0)
    seen = deviations > _LEAST_DEVIATION * deviations.max()
    n_units = decoder.hidden.out_features // len(_DISTANCES)
    shape = n_units, codes.shape[1]
    directions, biases, found = [], [], []
    for distance in _DISTANCES:
        weights = torch.randn(shape, generator=generator, dtype=torch.float64)
        bias = torch.rand(n_units, generator=generator, dtype=torch.float64) * 4 - 2
        weights = torch.where(seen, weights / (distance * deviations), 0.0)
        bias = bias - weights @ codes.mean(0)
        found.append(_regress(torch.tanh(codes @ weights.T + bias), residuals))
        directions.append(weights)
        biases.append(bias)
    best = torch.stack([regression.errors for regression in found]).argmin(0)
    left_out, offset = found[0].left_out, found[0].offset
    for i, regression in enumerate(found[1:], 1):
        left_out = torch.where(best == i, regression.left_out, left_out)
        offset = torch.where(best == i, regression.offset, offset)
    share = _shares(left_out, residuals)
    errors = loss(share * left_out, residuals, reduction="none").mean(0)
    is_better = errors < loss(0 * residuals, residuals, reduction="none").mean(0)
    share = torch.where(is_better, share, 0.0)
    curve = [share * r.weights * (best == i) for i, r in enumerate(found)]
    with torch.no_grad():
        decoder.hidden.weight.copy_(torch.cat(directions))
        decoder.hidden.bias.copy_(torch.cat(biases))
        decoder.curve.weight.copy_(torch.cat(curve).T * decoder.hidden.out_features)
        decoder.curve.bias.copy_(share * offset)
        if decoder.lowest is not None:
            decoder.lowest.copy_(codes.amin(0))
            decoder.highest.copy_(codes.amax(0))
    return bool(share.any())


def _shares(left_out: Tensor, targets: Tensor) -> Tensor:
    """Return what to multiply predictions of each target by, from 0 to 1.

    The slope of the regression of targets on the answers to rows that were left out,
    shrunk as Stein's estimate is: 0 where it is not several standard errors above 0.
    These are the jackknife's, so that one row that lies far away is no evidence.
    """
    squares = left_out.square()
    total = squares.sum(0).clamp_min(_TINY)
    slope = (left_out * targets).sum(0) / total
    rest = (targets - slope * left_out) / (1 - squares / total).clamp_min(1e-9)
    variance = (rest.square() * squares).sum(0) / total.square().clamp_min(_TINY)
    least = _STANDARD_ERRORS**2 * variance
    return torch.where(slope > 0, slope - least / slope, 0.0).clamp(0, 1)


def _regress(units: Tensor, targets: Tensor) -> _Regression:
    """Return the ridge regression of each target with the penalty that suits it best.

    Answers to a row that is left out follow from those of the regression of all rows
    and from the row's leverage (the PRESS statistic), for all penalties from one
    decomposition.
    """
    n_rows, mean, level = len(units), units.mean(0), targets.mean(0)
    centred = units - mean
    if n_rows <= units.shape[1]:
        squares, vectors = torch.linalg.eigh(centred @ centred.T)
    else:
        squares, vectors = torch.linalg.eigh(centred.T @ centred)
    kept = squares > 1e-12 * squares[-1]
    squares, vectors = squares[kept], vectors[:, kept]
    if n_rows > units.shape[1]:
        vectors = centred @ vectors / squares.sqrt()
    along, levers = vectors.T @ targets, vectors.square()
    penalties = n_rows * torch.from_numpy(_PENALTIES)

    def left_out_errors(penalty: Tensor) -> Tensor:
        """Return errors at rows that are left out, for one penalty or one a target."""
        shares = squares[:, None] / (squares[:, None] + penalty)
        rest = targets - level - vectors @ (shares * along)
        return rest / (1 - 1 / n_rows - levers @ shares)

    errors = torch.stack([left_out_errors(p).square().sum(0) for p in penalties])
    best, chosen = errors.min(0)
    left_out = targets - left_out_errors(penalties[chosen])
    weights = vectors @ (along / (squares[:, None] + penalties[chosen]))
    weights = centred.T @ weights
    return _Regression(weights, level - mean @ weights, left_out, best)
