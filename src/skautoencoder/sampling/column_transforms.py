"""Kinds of table columns: levels, and numbers transformed to be normal."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from skautoencoder._estimator.input_hints import first_few

Float64 = NDArray[np.float64]

# Drawn numbers are rounded to the decimals of the training data, up to this many.
_MOST_DECIMALS = 6
# A value is an atom if this share of the rows has it, and this many rows.
_ATOM_SHARE = 0.02
_ATOM_ROWS = 5
# All values are atoms, so that only values of `fit` are drawn, if at least this share
# of the remaining rows has a value that another row has too, or if there are not more
# remaining values than atoms.
_SHARED = 0.5
# Knots of the transformation to a normal distribution: this many times the cube root of
# the number of rows, but at least as many as a straight line with tails needs.
_KNOTS = 4.0
_FEWEST_KNOTS = 5
_LARGEST = np.finfo(np.float64).max


@dataclass(frozen=True)
class Levels:
    """A column that has one of several levels.

    Parameters
    ----------
    values : ndarray of shape (n_levels,)
        The levels, in order, in the type of the column after reading.
    nearest : bool, default=False
        Whether the levels are numbers, and other numbers are taken for the nearest
        level.
    """

    values: NDArray[Any]
    nearest: bool = False

    shown_as: ClassVar[str] = "levels"
    name: ClassVar[str] = "categorical"

    @property
    def width(self) -> int:
        """Number of network inputs for the column."""
        return len(self.values)

    @classmethod
    def learn(cls, column: NDArray[Any]) -> Self:
        """Take the levels of a column.

        Raises
        ------
        TypeError
            If cells hold objects that cannot be compared, such as lists.
        """
        found = list(dict.fromkeys(column.tolist()))
        try:
            found.sort()
        except TypeError:  # levels of several types have no order
            found.sort(key=lambda level: (type(level).__name__, str(level)))
        values = np.empty(len(found), dtype=object)
        values[:] = found
        return cls(values)

    def index(self, column: NDArray[Any], name: Any) -> NDArray[np.intp]:
        """Return the index of each row's level."""
        if self.nearest:
            return _nearest(self.values, column)
        index_of = {level: i for i, level in enumerate(self.values.tolist())}
        try:
            return np.array([index_of[level] for level in column.tolist()], np.intp)
        except KeyError as error:
            seen = first_few(self.values.tolist())
            raise ValueError(
                f"Column {name!r} of X has the level {error.args[0]!r}, which was not "
                f"there in fit. Seen were {seen}. Remove these rows, or fit on "
                "rows that have the level."
            ) from None


@dataclass(frozen=True)
class Numbers:
    """A column of numbers, transformed to a normal distribution for the network.

    The transformation is piecewise linear between knots, and linear beyond the
    outermost ones, which lie outside the range of the values of `fit`. An atom, a value
    that many rows have, has two knots with the same number: the interval of the normal
    distribution between them stands for it.

    Parameters
    ----------
    number, shown : ndarray of shape (n_knots,)
        The knots, in the table's and in the network's units, in ascending order. The
        two knots of an atom have the same `number`.
    atom_values : ndarray of shape (n_atoms,)
        The atoms, in order, in the type of the column after reading: they are returned
        exactly, also if no float is equal to them.
    atoms : tuple of (float, float, float)
        Beginning, end and middle of each atom's interval, in the network's units.
    decimals : int or None
        Number of decimals of the numbers. None: any.
    only_atoms : bool
        Whether the column has no other numbers than its atoms.
    """

    number: Float64
    shown: Float64
    atom_values: NDArray[Any]
    atoms: tuple[tuple[float, float, float], ...]
    decimals: int | None
    only_atoms: bool

    shown_as: ClassVar[str] = "number"
    width: ClassVar[int] = 1

    @property
    def name(self) -> str:
        """The kind's name in `column_kinds_`."""
        if self.only_atoms:
            return "discrete"
        return "mixed" if self.atoms else "continuous"

    def to_network(self, column: NDArray[Any]) -> tuple[Float64, Float64]:
        """Return numbers in the network's units, and the slope of the transformation.

        Numbers far outside of the range of `fit` may overflow.

        Parameters
        ----------
        column : ndarray of shape (n_samples,)
            Numbers in the table's units.

        Returns
        -------
        shown, log_slope : ndarray of shape (n_samples,)
            The numbers, and the logarithm of the slope at each; 0 at atoms.
        """
        if self.only_atoms:
            nearest = _nearest(self.atom_values, column)
            return self._middles[nearest], np.zeros(len(column))
        numbers = column.astype(np.float64)
        part = self.number[1:-1].searchsorted(numbers, side="right")
        slope = self._slopes[part]
        shown = self.shown[part] + (numbers - self.number[part]) * slope
        if self.atoms:
            index, is_atom = self._atom(column, slope)
            shown = np.where(is_atom, self._middles[index], shown)
            slope = np.where(is_atom, 1.0, slope)
        return shown, np.log(slope)

    def to_data(
        self, shown: Float64, cast: Callable[[Float64], NDArray[Any]]
    ) -> NDArray[Any]:
        """Return numbers in the table's units, given numbers in the network's units.

        Parameters
        ----------
        shown : ndarray of shape (n_samples,)
            Numbers in the network's units.
        cast : callable
            Converts numbers that are not atoms to the column's type.
        """
        index, is_atom = self._atom_at(shown)
        if self.only_atoms:
            return self.atom_values[index]
        part = self.shown[1:-1].searchsorted(shown, side="right")
        run = self.shown[part + 1] - self.shown[part]
        rise = self.number[part + 1] - self.number[part]
        # Two knots with equal `shown` are the end of an atom and the start of the next.
        slope = np.zeros(len(shown))
        with np.errstate(over="ignore"):
            np.divide(rise, run, out=slope, where=run > 0)
            numbers = self.number[part] + (shown - self.shown[part]) * slope
        if self.decimals is not None:
            numbers = numbers.round(self.decimals)
        values = cast(numbers)
        values[is_atom] = self.atom_values[index[is_atom]]
        return values

    def _atom_at(self, shown: Float64) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return the index of the atom at or above each number, and whether at it."""
        if not len(self.atoms):
            return np.zeros(len(shown), np.intp), np.zeros(len(shown), bool)
        starts, ends, _ = np.array(self.atoms).T
        index = np.minimum(np.searchsorted(ends, shown), len(ends) - 1)
        return index, (starts[index] <= shown) & (shown <= ends[index])

    # Kept, as for a single row they would take longer than all the rest.
    @cached_property
    def _slopes(self) -> Float64:
        """The slope between each knot and the next."""
        run = np.diff(self.number)
        slopes = np.ones(len(run))
        with np.errstate(over="ignore"):  # a run may be subnormal
            np.divide(np.diff(self.shown), run, out=slopes, where=run > 0)
        return np.minimum(slopes, _LARGEST)

    @cached_property
    def _middles(self) -> Float64:
        """The number that stands for each atom."""
        return np.array([middle for _, _, middle in self.atoms])

    def _atom(
        self, column: NDArray[Any], slope: Float64
    ) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return each number's nearest atom, and whether the number is taken for it."""
        nearest = _nearest(self.atom_values, column)
        is_atom = np.asarray(self.atom_values[nearest] == column, dtype=bool)
        # There were no values between two adjacent atoms, nor beyond an atom at the end
        # of the range: numbers there are taken for the nearest atom.
        is_atom |= slope == 0
        if math.isinf(self.atoms[0][0]):
            is_atom |= np.asarray(column < self.atom_values[0], dtype=bool)
        if math.isinf(self.atoms[-1][1]):
            is_atom |= np.asarray(column > self.atom_values[-1], dtype=bool)
        return nearest, is_atom


def _nearest(values: NDArray[Any], column: NDArray[Any]) -> NDArray[np.intp]:
    """Return the index of the nearest of ascending values, the lower one for ties.

    They are compared in their own type, as large integers may be equal as floats.
    """
    if len(values) == 1:
        return np.zeros(len(column), np.intp)
    if values.dtype != column.dtype and {values.dtype.kind, column.dtype.kind} == set(
        "iu"
    ):
        values, column = values.astype(object), column.astype(object)
    above = np.minimum(np.searchsorted(values, column), len(values) - 1)
    below = np.maximum(above - 1, 0)
    numbers = column.astype(np.float64)
    to_below = numbers - values[below].astype(np.float64)
    to_above = values[above].astype(np.float64) - numbers
    is_below = np.asarray(values[above] != column, dtype=bool)
    return np.where(is_below & (to_below <= to_above), below, above)


def learn_numbers(column: NDArray[Any]) -> Levels | Numbers:
    """Learn the kind of a column of numbers.

    Parameters
    ----------
    column : ndarray of shape (n_samples,)
        The column, without missing values: integers, floats, or Python's numbers.

    Returns
    -------
    kind : Levels or Numbers
        Levels if the column has one or two values.
    """
    values, counts = np.unique(column, return_counts=True)
    if len(values) <= 2:
        return Levels(values, nearest=True)
    is_atom = counts >= max(_ATOM_SHARE * len(column), _ATOM_ROWS)
    rest = counts[~is_atom]
    if rest[rest > 1].sum() >= _SHARED * rest.sum() or len(rest) <= is_atom.sum():
        is_atom[:] = True
    if float(values[0]) == float(values[-1]):
        is_atom[:] = True  # large integers that are one number as floats
    below = np.cumsum(counts) - counts
    decimals = _decimals(values.astype(np.float64))
    return _numbers_with(values, counts, below, is_atom, decimals)


def _decimals(values: Float64) -> int | None:
    for decimals in range(_MOST_DECIMALS + 1):
        if np.array_equal(np.round(values, decimals), values):
            return decimals
    return None


def _numbers_with(
    values: NDArray[Any],
    counts: NDArray[np.intp],
    below: NDArray[np.intp],
    is_atom: NDArray[np.bool_],
    decimals: int | None,
) -> Numbers:
    """Place knots by the empirical distribution function.

    Parameters
    ----------
    values : ndarray of shape (n_values,)
        The distinct numbers, in ascending order.
    counts, below : ndarray of shape (n_values,)
        Number of rows with each value, and of rows with a lower one.
    is_atom : ndarray of shape (n_values,)
        Which of them are atoms.
    decimals : int or None
        Number of decimals of the numbers.
    """
    n = int(counts.sum())
    begin, end = ndtri(below / n), ndtri(np.minimum((below + counts) / n, 1.0))
    # The mean of a normal distribution truncated to the interval.
    share = counts / n
    middle = (_density(begin) - _density(end)) / share
    atoms = tuple(
        (float(begin[i]), float(end[i]), float(middle[i]))
        for i in np.flatnonzero(is_atom)
    )
    only_atoms = bool(is_atom.all())
    number = shown = np.empty(0)
    if not only_atoms:
        numbers = values.astype(np.float64)
        number, shown = _knots(numbers, counts, below, is_atom, begin, end)
    return Numbers(number, shown, values[is_atom], atoms, decimals, only_atoms)


def _knots(
    values: Float64,
    counts: NDArray[np.intp],
    below: NDArray[np.intp],
    is_atom: NDArray[np.bool_],
    begin: Float64,
    end: Float64,
) -> tuple[Float64, Float64]:
    """Return knots at the ends of atoms' intervals, and evenly spaced between them."""
    n = int(counts.sum())
    # The empirical quantiles, with each atom twice.
    usual = ndtri((below + counts / 2) / n)
    points = np.concatenate([values[~is_atom], values[is_atom], values[is_atom]])
    scores = np.concatenate([usual[~is_atom], begin[is_atom], end[is_atom]])
    order = np.lexsort((scores, points))
    points, scores = points[order], scores[order]
    finite = np.isfinite(scores)
    points, scores = points[finite], scores[finite]
    n_knots = min(len(points), max(_FEWEST_KNOTS, round(_KNOTS * n ** (1 / 3))))
    grid, step = np.linspace(scores[0], scores[-1], n_knots, retstep=True)
    for low, high in zip(begin[is_atom], end[is_atom], strict=True):
        margin = step / 4
        grid = grid[(grid < low - margin) | (grid > high + margin)]
    at_grid = np.interp(grid, scores, points)
    number = np.concatenate([at_grid, values[is_atom], values[is_atom]])
    shown = np.concatenate([grid, begin[is_atom], end[is_atom]])
    order = np.lexsort((shown, number))
    number, shown = number[order], shown[order]
    finite = np.isfinite(shown)
    # Divided first, as squares of large numbers would overflow. Shares are at most 1,
    # but NumPy 1 fills up its vectors with ones, and warns of 1 / span if that is
    # subnormal.
    span = values[-1] - values[0]
    with np.errstate(over="ignore"):
        shares = (values - values[0]) / span
    deviation = float(span * np.std(np.repeat(shares, counts)))
    return _with_tails(number[finite], shown[finite], deviation)


def _with_tails(
    number: Float64, shown: Float64, deviation: float
) -> tuple[Float64, Float64]:
    """Add a knot at either end, which gives the slope beyond the data.

    The slope of the outermost knots is continued, but not more steeply than that of a
    normal distribution with the column's standard deviation: otherwise a slightly
    larger number would be nearly impossible if the largest ones of `fit` happen to be
    close together.
    """
    if len(number) < 2:
        return number, shown
    runs, rises = np.diff(number)[[0, -1]], np.diff(shown)[[0, -1]]
    with np.errstate(over="ignore"):
        slopes = np.divide(rises, runs, out=np.full(2, np.inf), where=runs > 0)
        steps = np.minimum(slopes * deviation, 1.0)
        ends = [number[0] - deviation], number, [number[-1] + deviation]
    number = np.concatenate(ends).clip(-_LARGEST, _LARGEST)
    shown = np.concatenate([[shown[0] - steps[0]], shown, [shown[-1] + steps[1]]])
    return number, shown


def _density(scores: Float64) -> Float64:
    return np.exp(-0.5 * scores**2) / math.sqrt(2 * math.pi)
