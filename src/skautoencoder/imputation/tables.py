"""Filling holes of tables: first guesses, what to learn from, whom to believe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls
from torch import Tensor

from skautoencoder._estimator.arrays import Mask, Rows64
from skautoencoder.imputation.gaussian import Gaussian, fit_gaussian
from skautoencoder.imputation.neighbors import Neighbors
from skautoencoder.training import Rows

# Each observed value is hidden in one of these; the last judges the others.
_N_FOLDS = 5
# The network learns from as many rows as have these many numbers together, but not
# from fewer than there are rows here: more are hardly seen in its few steps.
_NUMBERS_TO_LEARN_FROM = 2**21
_ROWS_TO_LEARN_FROM = 20_000
_ROWS_TO_JUDGE_BY = 2000
_ROWS_TO_COMPARE_WITH = 2000
# With fewer rows a feature, a distribution fitted to a value guesses it too well.
_ROWS_A_FEATURE = 50
# Few values say little on whom to believe; these many say "nobody".
_PRIOR_VALUES = 20.0

# Returns the network's answers to rows of values and flags.
Answer = Callable[[Tensor], Rows64]


@dataclass(frozen=True)
class Fold:
    """Rows in which some of the observed values are hidden too.

    Parameters
    ----------
    numbers : ndarray of int of shape (n_rows,)
        The rows' places among the training rows.
    rows : ndarray of shape (n_rows, n_features)
        The rows in standard units.
    filled : ndarray of shape (n_rows, n_features)
        The same with first guesses for what is missing or hidden.
    shown : ndarray of bool of shape (n_rows, n_features)
        What is neither missing nor hidden.
    hidden : ndarray of bool of shape (n_rows, n_features)
        What is observed, but hidden.
    """

    numbers: NDArray[np.intp]
    rows: Rows64
    filled: Rows64
    shown: Mask
    hidden: Mask

    @property
    def residuals(self) -> Rows64:
        """What has to be added to the first guesses."""
        return self.rows - self.filled


@dataclass(frozen=True)
class TableFilling:
    """A guess at each hole of a table, put together from three.

    The first guess is a normal distribution's. A network and the nearest rows
    say what should be added to it, and are believed as far as they were right on
    values that had been hidden from them.

    Parameters
    ----------
    gaussian : Gaussian
        Makes the first guess.
    neighbors : Neighbors
        The rows that others are compared with.
    weights : tuple of float
        How far the network and the neighbours are believed.
    """

    gaussian: Gaussian
    neighbors: Neighbors
    weights: tuple[float, float] = (0.0, 0.0)

    def fill(self, rows: Rows64, observed: Mask, answer: Answer) -> Rows64:
        """Return rows in standard units without holes."""
        filled = self.gaussian.fill(rows, observed)
        guess = filled.copy()
        network, neighbors = self.weights
        if network:
            guess += network * answer(shown_to_network(filled, observed))
        if neighbors:
            guess += neighbors * (self.neighbors.average(filled) - filled)
        return guess


def start_filling(
    rows: Rows64, observed: Mask, random: np.random.RandomState
) -> tuple[TableFilling, list[Fold]]:
    """Fit what needs no network, and hide values for the network to guess.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        Rows in standard units.
    observed : ndarray of bool of shape (n_samples, n_features)
        What is known of them.
    random : RandomState
        Draws the subsets of rows and the hidden values.

    Returns
    -------
    filling : TableFilling
        The first guess and the neighbours.
    folds : list of Fold
        Rows with hidden values. No value is hidden in two of them.
    """
    n_samples, n_features = rows.shape

    def some(n_rows: int) -> NDArray[np.intp]:
        if n_rows >= n_samples:
            return np.arange(n_samples)
        return np.sort(random.permutation(n_samples)[:n_rows])

    part = some(max(2000, 40 * n_features))
    gaussian = fit_gaussian(rows[part], observed[part], max_iter=15, tol=3e-3)
    kept = some(_ROWS_TO_COMPARE_WITH)
    neighbors = Neighbors(
        gaussian.fill(rows[kept], observed[kept]), observed[kept], kept
    )
    fold_of = random.randint(_N_FOLDS, size=rows.shape).astype(np.int8)
    few = n_samples < _ROWS_A_FEATURE * n_features
    most = max(_NUMBERS_TO_LEARN_FROM // n_features, _ROWS_TO_LEARN_FROM)
    most //= _N_FOLDS - 1
    folds = []
    for i in range(_N_FOLDS):
        last = i == _N_FOLDS - 1
        numbers = some(_ROWS_TO_JUDGE_BY if last else most)
        hidden = observed[numbers] & (fold_of[numbers] == i)
        shown = observed[numbers] & ~hidden
        guesser = gaussian
        if few:
            guesser = fit_gaussian(
                rows[numbers], shown, start=gaussian, max_iter=4, tol=3e-3
            )
        filled = guesser.fill(rows[numbers], shown)
        folds.append(Fold(numbers, rows[numbers], filled, shown, hidden))
    return TableFilling(gaussian, neighbors), folds


def shown_to_network(filled: Rows64, observed: Mask) -> Tensor:
    """Return what the network sees: the values, then a flag for each hole."""
    values = torch.from_numpy(filled).float()
    return torch.cat([values, torch.from_numpy(~observed).float()], dim=1)


def rows_to_learn_from(folds: list[Fold]) -> Rows:
    """Return rows with holes, and what is to be added to the guesses in them."""
    targets = [
        torch.from_numpy(np.where(fold.hidden, fold.residuals, np.nan)).float()
        for fold in folds
    ]
    shown = [shown_to_network(fold.filled, fold.shown) for fold in folds]
    samples = np.concatenate([fold.numbers for fold in folds])
    return Rows(torch.cat(shown), torch.cat(targets), torch.from_numpy(samples))


def judge(filling: TableFilling, fold: Fold, answer: Answer) -> TableFilling:
    """Decide how far to believe the network and the neighbours.

    Non-negative least squares on values that were hidden from all of them.

    Parameters
    ----------
    filling : TableFilling
        The guess so far.
    fold : Fold
        Rows whose hidden values the network has not learnt from.
    answer : callable
        What the network makes of rows and flags.
    """
    if not fold.hidden.any():
        return filling
    network = answer(shown_to_network(fold.filled, fold.shown))
    neighbors = filling.neighbors.average(fold.filled, fold.numbers) - fold.filled
    offers = np.stack([network[fold.hidden], neighbors[fold.hidden]], axis=1)
    target = fold.residuals[fold.hidden]
    share = np.sqrt(_PRIOR_VALUES / len(target))
    prior = np.diag(np.sqrt(np.square(offers).sum(axis=0)) * share)
    weights, _ = nnls(
        np.concatenate([offers, prior]), np.concatenate([target, np.zeros(2)])
    )
    network_weight, neighbors_weight = np.minimum(weights, 1.0)
    return TableFilling(
        filling.gaussian,
        filling.neighbors,
        (float(network_weight), float(neighbors_weight)),
    )
