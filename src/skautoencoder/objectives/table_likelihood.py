"""Likelihood of the columns of a table: levels, numbers, and numbers with atoms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skautoencoder.objectives.likelihoods import normal_like, uniform_like

# The smallest standard deviation of a number given the code, where the column has a
# standard deviation of 1. Columns that determine each other would otherwise take it to
# zero and the likelihood to infinity.
_LEAST_DEVIATION = 0.01
_FIRST_DEVIATION = 0.5
# Outputs are clipped to this: no table has larger numbers, and squares stay finite.
_LARGEST_OUTPUT = 1e6
# Used in place of infinity, whose derivatives would be NaN.
_FAR = 1e7
_SERIES_BELOW = -10.0
_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True)
class ColumnBlock:
    """Position and kind of a table's column in the rows that are the network's input.

    Parameters
    ----------
    kind : {"levels", "number"}
        Whether the block has a 1 for one of several levels and zeros for the
        others, or is a single number.
    start, stop : int
        Index of the block's first number, and of its last plus one.
    atoms : tuple of (float, float, float), default=()
        Values that occur repeatedly, in ascending order. For each, the lowest and the
        highest number that stand for it, and the number that is the network's input.
        The lowest of all may be minus infinity, the highest infinity.
    """

    kind: str
    start: int
    stop: int
    atoms: tuple[tuple[float, float, float], ...] = ()

    @property
    def place(self) -> slice:
        """The block's numbers in a row."""
        return slice(self.start, self.stop)


class ColumnsLikelihood(nn.Module):
    """Likelihood of rows of a table, given a decoder's outputs for each column.

    Columns are independent given the code. A column of levels has a softmax of the
    decoder's outputs. A number is normal, with the output as its mean and a learnt
    standard deviation, one for each column. An atom of a number has the probability of
    the interval that stands for it; a column of atoms alone is an ordered probit model.

    Parameters
    ----------
    blocks : sequence of ColumnBlock
        The columns, in order.
    least_deviation : float, default=0.01
        Lower bound of the standard deviations.

    Attributes
    ----------
    n_outputs : int
        Number of the decoder's outputs for a row, which is the length of a row.

    References
    ----------
    Rybkin, Daniilidis and Levine, "Simple and effective VAE training with calibrated
    decoders", ICML 2021.
    McCullagh, "Regression models for ordinal data", Journal of the Royal Statistical
    Society B 42, 1980.

    Examples
    --------
    >>> import torch
    >>> from skautoencoder.objectives import ColumnBlock, ColumnsLikelihood
    >>> blocks = [ColumnBlock("levels", 0, 2), ColumnBlock("number", 2, 3)]
    >>> likelihood = ColumnsLikelihood(blocks)
    >>> outputs = torch.tensor([[0.0, 1.0, 0.5]])
    >>> likelihood.mean(outputs)
    tensor([[0.0000, 1.0000, 0.5000]])
    >>> rows = likelihood.sample(outputs, torch.Generator().manual_seed(0))
    >>> likelihood.log_likelihood(outputs, rows).shape
    torch.Size([1])
    """

    numbers: Tensor
    levels: Tensor
    level_places: Tensor
    level_exists: Tensor
    bounds: Tensor
    low: Tensor
    high: Tensor
    shown: Tensor
    is_atom: Tensor

    def __init__(
        self,
        blocks: Sequence[ColumnBlock],
        *,
        least_deviation: float = _LEAST_DEVIATION,
    ) -> None:
        super().__init__()
        self.blocks = tuple(blocks)
        self.least_deviation = least_deviation
        self.n_outputs = max((block.stop for block in self.blocks), default=0)
        numbers = [block for block in self.blocks if block.kind == "number"]
        levels = [block for block in self.blocks if block.kind == "levels"]
        self._set_buffers(
            numbers=torch.tensor([b.start for b in numbers], dtype=torch.long),
            levels=torch.tensor(
                [place for b in levels for place in range(b.start, b.stop)],
                dtype=torch.long,
            ),
        )
        self._set_level_places(levels)
        self._set_intervals(numbers)
        start = math.log(math.expm1(_FIRST_DEVIATION - least_deviation))
        self.raw_deviation = nn.Parameter(
            torch.full((len(numbers),), start, dtype=torch.float32)
        )

    def _set_buffers(self, **tensors: Tensor) -> None:
        # Not persistent: they follow from the blocks and are not learnt.
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor, persistent=False)

    def _set_level_places(self, levels: list[ColumnBlock]) -> None:
        """Set the indices of the blocks of levels, padded to the same length."""
        width = max((b.stop - b.start for b in levels), default=0)
        rank = torch.arange(width)
        starts = torch.tensor([b.start for b in levels], dtype=torch.long)[:, None]
        counts = torch.tensor([b.stop - b.start for b in levels])[:, None]
        exists = rank < counts
        self._set_buffers(
            level_places=torch.where(exists, starts + rank, starts),
            level_exists=exists,
        )

    def _set_intervals(self, numbers: list[ColumnBlock]) -> None:
        """Divide the range of each number into intervals, some of which are atoms."""
        tables = []
        for block in numbers:
            intervals: list[tuple[float, float, float, bool]] = []
            end = -math.inf
            for first, last, middle in block.atoms:
                if first > end:
                    intervals.append((end, first, 0.0, False))
                intervals.append((first, last, middle, True))
                end = last
            if end < math.inf:
                intervals.append((end, math.inf, 0.0, False))
            tables.append(intervals)
        n_most = max(map(len, tables), default=0)
        filler = (math.inf, math.inf, 0.0, False)
        padded = torch.tensor(
            [table + [filler] * (n_most - len(table)) for table in tables],
            dtype=torch.float32,
        ).reshape(len(tables), n_most, 4)
        low, high, shown, is_atom = padded.unbind(dim=2)
        self._set_buffers(
            bounds=low[:, 1:].contiguous(),
            low=low.clamp_min(-_FAR).contiguous(),
            high=high.clamp_max(_FAR).contiguous(),
            shown=shown.contiguous(),
            is_atom=is_atom.bool(),
        )
        self._has_atoms = bool(is_atom.any())

    @property
    def deviation(self) -> Tensor:
        """Standard deviations of the numbers, of shape (n_numbers,)."""
        return self.least_deviation + F.softplus(self.raw_deviation)

    def log_likelihood(self, outputs: Tensor, rows: Tensor) -> Tensor:
        """Return the log-likelihood of each row.

        Parameters
        ----------
        outputs : Tensor of shape (n_samples, n_outputs)
            The decoder's outputs.
        rows : Tensor of shape (n_samples, n_outputs)
            The rows, in the form of the network's input.

        Returns
        -------
        log_likelihood : Tensor of shape (n_samples,)
            The sum over the columns, in nats: of log-probabilities for levels and
            atoms, of log-densities in the network's units for other numbers.
        """
        return self._log_likelihood(outputs, rows, self.deviation)

    def without_code(self, rows: Tensor) -> Tensor:
        """Return the log-likelihood of rows by shares of levels, and normal numbers."""
        outputs = rows.mean(dim=0)
        outputs[self.levels] = outputs[self.levels].clamp(min=1e-12).log()
        deviation = torch.ones_like(self.deviation)
        return self._log_likelihood(outputs.expand_as(rows), rows, deviation)

    def _log_likelihood(
        self, outputs: Tensor, rows: Tensor, deviation: Tensor
    ) -> Tensor:
        outputs = bounded(outputs)
        total = outputs.new_zeros(len(outputs))
        if len(self.levels):
            logits = outputs[:, self.levels]
            total = total + (logits * rows[:, self.levels]).sum(dim=1)
            total = total - self._level_logits(outputs).logsumexp(dim=2).sum(dim=1)
        if len(self.numbers):
            total = total + self._of_numbers(
                outputs[:, self.numbers], rows[:, self.numbers], deviation
            ).sum(dim=1)
        return total

    def _level_logits(self, outputs: Tensor) -> Tensor:
        """Return logits of shape (n_samples, n_columns, n_levels), padded with -inf."""
        logits = outputs[:, self.level_places]
        return logits.masked_fill(~self.level_exists, -math.inf)

    def _of_numbers(self, means: Tensor, values: Tensor, deviation: Tensor) -> Tensor:
        deviation = deviation.to(means.dtype)
        standard = (values - means) / deviation
        density = -0.5 * standard.square() - deviation.log() - _HALF_LOG_TWO_PI
        if not self._has_atoms:
            return density
        index = self._interval_of(values)
        is_atom = self._look_up(self.is_atom, index)
        # Many rows have none. In training, to look would make a device wait.
        if not means.requires_grad and not is_atom.any():
            return density
        # Where there is no atom, the result is not used; any finite interval will do.
        low = torch.where(is_atom, self._look_up(self.low, index), -1.0)
        high = torch.where(is_atom, self._look_up(self.high, index), 1.0)
        mass = log_interval_probability(
            (low - means) / deviation, (high - means) / deviation
        )
        return torch.where(is_atom, mass, density)

    def _interval_of(self, values: Tensor) -> Tensor:
        """Return the index of the interval of each number, (n_columns, n_samples)."""
        columns = values.detach().T.contiguous()
        return torch.searchsorted(self.bounds.to(values.dtype), columns, right=True)

    @staticmethod
    def _look_up(table: Tensor, index: Tensor) -> Tensor:
        return table.gather(1, index).T

    def mean(self, outputs: Tensor) -> Tensor:
        """Return the mean rows for a decoder's outputs.

        Parameters
        ----------
        outputs : Tensor of shape (n_samples, n_outputs)
            The decoder's outputs.

        Returns
        -------
        rows : Tensor of shape (n_samples, n_outputs)
            A 1 at the most probable level of each column, and the means of numbers;
            where the mean stands for an atom, the atom's number.
        """
        rows = torch.zeros_like(outputs)
        if len(self.levels):
            self._choose(rows, self._level_logits(bounded(outputs)))
        if len(self.numbers):
            rows[:, self.numbers] = self._to_atoms(bounded(outputs)[:, self.numbers])
        return rows

    @torch.no_grad()
    def sample(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Draw rows.

        Parameters
        ----------
        outputs : Tensor of shape (n_samples, n_outputs)
            The decoder's outputs.
        generator : torch.Generator
            Generator of the noise, on the CPU.

        Returns
        -------
        rows : Tensor of shape (n_samples, n_outputs)
            A row for each row of outputs, in the form of the network's input.
        """
        outputs = bounded(outputs)
        rows = torch.zeros_like(outputs)
        if len(self.levels):
            logits = self._level_logits(outputs)
            chance = uniform_like(logits, generator)
            # The argmax of logits plus Gumbel noise is a draw from the softmax.
            tiny = torch.finfo(logits.dtype).tiny
            noise = -(-chance.clamp_min(tiny).log()).clamp_min(tiny).log()
            self._choose(rows, logits + noise)
        if len(self.numbers):
            means = outputs[:, self.numbers]
            noise = normal_like(means, generator)
            rows[:, self.numbers] = self._to_atoms(means + self.deviation * noise)
        return rows

    def _choose(self, rows: Tensor, logits: Tensor) -> None:
        """Write a 1 at the largest logit of each column."""
        chosen = logits.argmax(dim=2)
        places = self.level_places.T.gather(0, chosen)
        rows.scatter_(1, places, 1.0)

    def _to_atoms(self, values: Tensor) -> Tensor:
        """Return numbers, with each one in an atom's interval replaced by the atom."""
        if not self._has_atoms:
            return values
        index = self._interval_of(values)
        shown = self._look_up(self.shown, index).to(values.dtype)
        return torch.where(self._look_up(self.is_atom, index), shown, values)


def bounded(outputs: Tensor) -> Tensor:
    """Return outputs whose squares do not overflow."""
    return outputs.clamp(-_LARGEST_OUTPUT, _LARGEST_OUTPUT)


def log_interval_probability(low: Tensor, high: Tensor) -> Tensor:
    """Return the logarithm of a standard normal number's probability in intervals.

    Far from 0 the difference of two distribution functions would lose its digits. So
    it is computed in the tail where these are small, and from their logarithms.

    Parameters
    ----------
    low, high : Tensor
        Ends of the intervals, low < high, finite.

    Returns
    -------
    log_probability : Tensor
        In nats.
    """
    answer: Tensor = _LogIntervalProbability.apply(low, high)
    return answer


class _LogIntervalProbability(torch.autograd.Function):
    """:func:`log_interval_probability`, with its derivatives.

    They need only intermediate results of the forward pass, and on tables with atoms
    training spends most of its time here.
    """

    @staticmethod
    def forward(ctx: Any, low: Tensor, high: Tensor) -> Tensor:
        flip = low + high > 0
        ends = torch.stack(
            [torch.where(flip, -high, low), torch.where(flip, -low, high)]
        )
        log_cdf, hazard = _log_normal_cdf(ends)
        # A lower bound of the difference of the logarithms, which rounding may violate.
        least = (ends[1] - ends[0]) * (-ends[1]).clamp_min(0.5)
        least = torch.where(ends[1] > 0, 0.0, least)
        drop = (log_cdf[1] - log_cdf[0]).maximum(least).clamp_min(1e-30)
        share = -torch.expm1(-drop)
        ctx.save_for_backward(flip, hazard, drop, share)
        return log_cdf[1] + share.log()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        flip, hazard, drop, share = ctx.saved_tensors
        of_end = gradients[0] / share
        by_low = -hazard[0] * (-drop).exp() * of_end
        by_high = hazard[1] * of_end
        return torch.where(flip, -by_high, by_low), torch.where(flip, -by_low, by_high)


def _log_normal_cdf(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logarithm of the normal distribution function, and its derivative.

    Far below zero the asymptotic series is used; torch's own functions are slow, and
    inaccurate in single precision.
    """
    near = values.clamp_min(_SERIES_BELOW)
    log_near = (0.5 * torch.erfc(near * -math.sqrt(0.5))).log()
    far = values.clamp_max(_SERIES_BELOW)
    square = far.square()
    series = 1 - (1 - (3 - 15 / square) / square) / square
    log_far = -0.5 * square - (-far).log() - _HALF_LOG_TWO_PI + series.log()
    is_far = values < _SERIES_BELOW
    slope = (-0.5 * near.square() - _HALF_LOG_TWO_PI - log_near).exp()
    return (
        torch.where(is_far, log_far, log_near),
        torch.where(is_far, -far / series, slope),
    )
