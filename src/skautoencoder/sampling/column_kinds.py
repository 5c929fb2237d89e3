"""Kinds of columns: levels, and numbers brought to a normal distribution."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Float64 = NDArray[np.float64]

# Numbers are rounded to as many decimals as all of fit had, up to these.
_MOST_DECIMALS = 6
# A value is an atom if this share of the rows has it, and this many rows.
_ATOM_SHARE = 0.02
_ATOM_ROWS = 5
# If at least this share of the other rows has a value that another row has too, or
# if there are no more other values than atoms, the column takes the values of fit
# only: all are atoms.
_SHARED = 0.5
# Knots of the way to a normal distribution: this many times the cube root of the
# number of rows, but not fewer than a line and its tails need.
_KNOTS = 4.0
_FEWEST_KNOTS = 5
_LARGEST = np.finfo(np.float64).max


@dataclass(frozen=True)
class Levels:
    """A column that has one of several levels.

    Parameters
    ----------
    values : ndarray of shape (n_levels,)
        The levels, in order, of the type that a column is read as.
    nearest : bool, default=False
        Whether the levels are numbers, and one that is none of them stands for the
        nearest.
    """

    values: NDArray[Any]
    nearest: bool = False

    shown_as: ClassVar[str] = "levels"
    name: ClassVar[str] = "categorical"

    @property
    def width(self) -> int:
        """How many numbers a network is shown."""
        return len(self.values)

    @classmethod
    def learn(cls, column: NDArray[Any]) -> Self:
        """Take the levels of a column.

        Raises
        ------
        TypeError
            If cells hold what cannot be compared, such as lists.
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
            seen = ", ".join(repr(level) for level in self.values[:10].tolist())
            more = (
                "" if len(self.values) <= 10 else f" and {len(self.values) - 10} more"
            )
            raise ValueError(
                f"Column {name!r} has the level {error.args[0]!r}, which was not there "
                f"in fit. Seen were {seen}{more}. Remove these rows, or fit on rows "
                "that have the level."
            ) from None


@dataclass(frozen=True)
class Numbers:
    """A column of numbers, shown to a network as normal ones.

    Between knots the way there is straight, and so it is beyond the outermost ones,
    which lie out of reach of the values of `fit`.
    An atom, a value that many rows have, is two knots of the same number: an interval
    of the normal distribution stands for it.

    Parameters
    ----------
    number, shown : ndarray of shape (n_knots,)
        The knots, in the table's and in the network's units. Both rise; `number` is
        the same where an atom begins and ends.
    atom_values : ndarray of shape (n_atoms,)
        The atoms, in order, of the type that a column is read as: they go out as
        they came in, also if no float is equal to them.
    atoms : tuple of (float, float, float)
        Beginning, end and middle of each, in the network's units.
    decimals : int or None
        How many decimals the numbers have. None: any number.
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
        """What a column like this is called."""
        if self.only_atoms:
            return "discrete"
        return "mixed" if self.atoms else "continuous"

    def to_network(self, column: NDArray[Any]) -> tuple[Float64, Float64]:
        """Return numbers in the network's units, and how they are stretched there.

        Parameters
        ----------
        column : ndarray of shape (n_samples,)
            Numbers in the table's units.

        Returns
        -------
        shown, log_slope : ndarray of shape (n_samples,)
            The numbers, and the logarithm of the slope there; 0 at atoms.
        """
        if self.only_atoms:
            middles = np.array([atom[2] for atom in self.atoms])
            nearest = _nearest(self.atom_values, column)
            return middles[nearest], np.zeros(len(column))
        numbers = column.astype(np.float64)
        part, slope = self._part(numbers)
        # What is too far away to be computed with is refused by name.
        with np.errstate(over="ignore"):
            shown = self.shown[part] + (numbers - self.number[part]) * slope
        if self.atoms:
            middles = np.array([atom[2] for atom in self.atoms])
            index, is_atom = self._atom(column, slope)
            shown = np.where(is_atom, middles[index], shown)
            slope = np.where(is_atom, 1.0, slope)
        return shown, np.log(slope)

    def to_data(
        self, shown: Float64, cast: Callable[[Float64], NDArray[Any]]
    ) -> NDArray[Any]:
        """Return the numbers that those of the network stand for.

        Parameters
        ----------
        shown : ndarray of shape (n_samples,)
            Numbers in the network's units.
        cast : callable
            Turns numbers that are no atoms into the column's type.
        """
        index, is_atom = self._atom_at(shown)
        if self.only_atoms:
            return self.atom_values[index]
        part = self.shown[1:-1].searchsorted(shown, side="right")
        run = self.shown[part + 1] - self.shown[part]
        rise = self.number[part + 1] - self.number[part]
        # Two knots in one place are the end of an atom and the start of the next.
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
        """Return the atom at or above each number of the network, and whether at."""
        if not len(self.atoms):
            return np.zeros(len(shown), np.intp), np.zeros(len(shown), bool)
        starts, ends, _ = np.array(self.atoms).T
        index = np.minimum(np.searchsorted(ends, shown), len(ends) - 1)
        return index, (starts[index] <= shown) & (shown <= ends[index])

    def _part(self, column: Float64) -> tuple[NDArray[np.intp], Float64]:
        """Return which knot each number comes after, and the slope from there."""
        part = self.number[1:-1].searchsorted(column, side="right")
        rise = self.shown[part + 1] - self.shown[part]
        run = self.number[part + 1] - self.number[part]
        slope = np.ones(len(column))
        with np.errstate(over="ignore"):  # numbers that are smaller than any float
            np.divide(rise, run, out=slope, where=run > 0)
        return part, np.minimum(slope, _LARGEST)

    def _atom(
        self, column: NDArray[Any], slope: Float64
    ) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return the nearest atom of each number, and whether it stands for it."""
        nearest = _nearest(self.atom_values, column)
        is_atom = np.asarray(self.atom_values[nearest] == column, dtype=bool)
        # Between two atoms side by side there was nothing: the nearer one stands for
        # what lies there. Neither was there beyond an atom at the end.
        below = np.asarray(column < self.atom_values[0], dtype=bool)
        above = np.asarray(column > self.atom_values[-1], dtype=bool)
        below &= math.isinf(self.atoms[0][0])
        above &= math.isinf(self.atoms[-1][1])
        return nearest, is_atom | (slope == 0) | below | above


def _nearest(values: NDArray[Any], column: NDArray[Any]) -> NDArray[np.intp]:
    """Return the index of the nearest of rising values, the lower one between two.

    Compared as what they are: a float would take large integers for each other.
    """
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
    """Learn what a column of numbers is.

    Parameters
    ----------
    column : ndarray of shape (n_samples,)
        The column, without missing values: integers, floats, or Python's numbers.

    Returns
    -------
    kind : Levels or Numbers
        One or two values are levels.
    """
    values, counts = np.unique(column, return_counts=True)
    if len(values) <= 2:
        return Levels(values, nearest=True)
    is_atom = counts >= max(_ATOM_SHARE * len(column), _ATOM_ROWS)
    rest = counts[~is_atom]
    if rest[rest > 1].sum() >= _SHARED * rest.sum() or len(rest) <= is_atom.sum():
        is_atom[:] = True
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
    """Place knots where the data's distribution function says.

    Parameters
    ----------
    values : ndarray of shape (n_values,)
        The numbers that there are, in order.
    counts, below : ndarray of shape (n_values,)
        How many rows have each, and how many have less.
    is_atom : ndarray of shape (n_values,)
        Which of them are atoms.
    decimals : int or None
        How many decimals the numbers have.
    """
    n = int(counts.sum())
    begin, end = ndtri(below / n), ndtri(np.minimum((below + counts) / n, 1.0))
    # The mean of a normal number that is known to be between the two.
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
    """Return knots at the ends of atoms, and evenly between them."""
    n = int(counts.sum())
    # The data's quantiles, with each atom twice.
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
    # Divided first: squares of large numbers would be infinite.
    span = values[-1] - values[0]
    deviation = float(span * np.std(np.repeat((values - values[0]) / span, counts)))
    return _with_tails(number[finite], shown[finite], deviation)


def _with_tails(
    number: Float64, shown: Float64, deviation: float
) -> tuple[Float64, Float64]:
    """Add a knot at either end, which says how it goes on from there.

    As the last knots do, but not more steeply than a normal distribution with the
    column's standard deviation: where the largest numbers of `fit` happen to lie
    close together, one a little larger is not impossible for that.
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
