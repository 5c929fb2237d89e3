"""Imputation in tables: first guesses, training rows, and the weights of guesses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls
from torch import Tensor

from skautoencoder._estimator.array_statistics import row_chunks
from skautoencoder._estimator.array_types import Array, Mask, Rows64
from skautoencoder.imputation.feature_statistics import FeatureStatistics
from skautoencoder.imputation.gaussian import Gaussian, fit_gaussian
from skautoencoder.imputation.neighbors import Neighbors
from skautoencoder.training import Rows

# Each observed value is hidden in one fold. The last fold determines the weights, the
# others are for training.
_N_FOLDS = 5
# Training rows of the network: as many as have this many numbers in all, or the number
# of rows below if that is more. The few training steps hardly use more.
_NUMBERS_TO_LEARN_FROM = 2**21
_ROWS_TO_LEARN_FROM = 20_000
_ROWS_TO_JUDGE_BY = 2000
_ROWS_TO_COMPARE_WITH = 2000
# With fewer rows per feature, a distribution that was fitted to a value guesses it too
# well, and is fitted anew without the hidden values.
_ROWS_A_FEATURE = 50
# Weight of a prior of zero weights, in numbers of hidden values: few values determine
# the weights of network and neighbours badly, and the choice below.
_PRIOR_VALUES = 20.0

# How the distribution is fitted: the weight of its prior of uncorrelated features, in
# numbers of rows, and steps of EM. The weak prior is for features that nearly follow
# from others, where EM takes more steps. It is often worse elsewhere, so its squared
# error of hidden values has to be lower by this share and by a standard error, or more
# if there are few. To choose takes some fits to so many rows: too long for many
# features.
_USUAL_FIT: dict[str, Any] = {"prior_rows": 5.0, "max_iter": 15, "tol": 3e-3}
_WEAK_PRIOR_FIT: dict[str, Any] = {"prior_rows": 0.01, "max_iter": 40, "tol": 1e-3}
# Of rows with other values hidden, that begins with the distribution of them all.
_FIT_ANEW = {"max_iter": 4, "tol": 3e-3}
_CLEAR_SHARE = 0.05
_ROWS_TO_CHOOSE_BY = 500
_FEATURES_TO_CHOOSE_BY = 200

# Returns the network's outputs, given values and flags.
Answer = Callable[[Tensor], Rows64]


@dataclass(frozen=True)
class Fold:
    """Rows in which some of the observed values are hidden too.

    Parameters
    ----------
    numbers : ndarray of int of shape (n_rows,)
        Indices of the rows among the training rows.
    rows : ndarray of shape (n_rows, n_features)
        The rows in standard units.
    filled : ndarray of shape (n_rows, n_features)
        The rows with first guesses for missing and hidden values.
    shown : ndarray of bool of shape (n_rows, n_features)
        Which values are neither missing nor hidden.
    hidden : ndarray of bool of shape (n_rows, n_features)
        Which values are observed, but hidden.
    """

    numbers: NDArray[np.intp]
    rows: Rows64
    filled: Rows64
    shown: Mask
    hidden: Mask

    @property
    def residuals(self) -> Rows64:
        """Differences between the rows and the first guesses."""
        return self.rows - self.filled


@dataclass(frozen=True)
class TableFilling:
    """Fills holes of a table with a combination of three guesses.

    The first guess is the conditional mean of a normal distribution. Corrections of it
    by a network and by the nearest rows are added, with weights that were fitted to
    values that had been hidden from them.

    Parameters
    ----------
    gaussian : Gaussian
        The normal distribution.
    neighbors : Neighbors
        The rows to compare with.
    weights : tuple of float
        Weights of the corrections by the network and by the neighbours.
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
            guess += network * answer(network_input(filled, observed))
        if neighbors:
            guess += neighbors * (self.neighbors.average(filled) - filled)
        return guess


def start_filling(
    rows: Array,
    observed: Mask,
    statistics: FeatureStatistics,
    random: np.random.RandomState,
) -> tuple[TableFilling, list[Fold]]:
    """Fit the normal distribution, and hide values for the network to guess.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        Rows in the units of the data.
    observed : ndarray of bool of shape (n_samples, n_features)
        Which values are not missing.
    statistics : FeatureStatistics
        Of the observed values.
    random : RandomState
        Generator of the subsets of rows and of the hidden values.

    Returns
    -------
    filling : TableFilling
        The first guess and the neighbours.
    folds : list of Fold
        Rows with hidden values. No value is hidden in two folds.
    """
    n_samples, n_features = rows.shape

    def some(n_rows: int) -> NDArray[np.intp]:
        if n_rows >= n_samples:
            return np.arange(n_samples)
        return np.sort(random.permutation(n_samples)[:n_rows])

    # Only of the rows that are used: of all, they would take twice the memory of data.
    def standard(numbers: NDArray[np.intp]) -> Rows64:
        return statistics.to_standard(rows[numbers], observed[numbers])

    part, kept = some(max(2000, 40 * n_features)), some(_ROWS_TO_COMPARE_WITH)
    fold_of, together = np.empty(rows.shape, np.int8), _missing_together(observed)
    for chunk in row_chunks(rows):
        folds_of_cells = random.randint(_N_FOLDS, size=rows[chunk].shape)
        fold_of[chunk] = folds_of_cells[:, together]
    given, known = standard(part), observed[part]
    settings = _settings_of_fit(given, known, fold_of[part] == 0)
    gaussian = fit_gaussian(given, known, **settings)
    neighbors = Neighbors(
        gaussian.fill(standard(kept), observed[kept]), observed[kept], kept
    )
    few = n_samples < _ROWS_A_FEATURE * n_features
    most = max(_NUMBERS_TO_LEARN_FROM // n_features, _ROWS_TO_LEARN_FROM)
    most //= _N_FOLDS - 1
    folds = []
    for i in range(_N_FOLDS):
        last = i == _N_FOLDS - 1
        numbers = some(_ROWS_TO_JUDGE_BY if last else most)
        hidden = observed[numbers] & (fold_of[numbers] == i)
        shown = observed[numbers] & ~hidden
        values, guesser = standard(numbers), gaussian
        if few:
            anew = settings | _FIT_ANEW
            guesser = fit_gaussian(values, shown, start=gaussian, **anew)
        filled = guesser.fill(values, shown)
        folds.append(Fold(numbers, values, filled, shown, hidden))
    return TableFilling(gaussian, neighbors), folds


def _missing_together(observed: Mask) -> NDArray[np.intp]:
    """Return for each feature the first one that is missing in the same rows.

    Such features, as those of a one-hot category or of one sensor, are hidden together:
    else they would be guessed from each other. Features without holes stand alone, and
    rows without any value do not count.
    """
    is_known = observed.any(axis=1)
    first: dict[bytes, int] = {}
    together = []
    for i, known in enumerate(observed.T):
        holes = ~known & is_known
        name = np.packbits(holes).tobytes()
        together.append(first.setdefault(name, i) if holes.any() else i)
    return np.array(together)


def _settings_of_fit(rows: Rows64, observed: Mask, hidden: Mask) -> dict[str, Any]:
    """Return the settings of a fit, with the prior that is better at hidden values."""
    if rows.shape[1] > _FEATURES_TO_CHOOSE_BY:
        return _USUAL_FIT
    some = slice(None, None, -(-len(rows) // _ROWS_TO_CHOOSE_BY))
    rows, shown = rows[some], observed[some] & ~hidden[some]
    asked = observed[some] & hidden[some]

    def errors(settings: dict[str, Any]) -> Rows64:
        guess = fit_gaussian(rows, shown, **settings).fill(rows, shown)
        return np.square(guess - rows)[asked]

    usual = errors(_USUAL_FIT)
    gain = usual - errors(_WEAK_PRIOR_FIT)
    least = max(_CLEAR_SHARE * usual.sum(), np.sqrt(np.square(gain).sum()))
    is_clear = gain.sum() > least * (1 + _PRIOR_VALUES / max(len(gain), 1))
    return _WEAK_PRIOR_FIT if is_clear else _USUAL_FIT


def network_input(filled: Rows64, observed: Mask) -> Tensor:
    """Return the network's input: the values, then a flag for each hole."""
    values = torch.from_numpy(filled).float()
    return torch.cat([values, torch.from_numpy(~observed).float()], dim=1)


def rows_to_learn_from(folds: list[Fold]) -> Rows:
    """Return training rows, with the corrections of the hidden values as targets."""
    targets = [
        torch.from_numpy(np.where(fold.hidden, fold.residuals, np.nan)).float()
        for fold in folds
    ]
    shown = [network_input(fold.filled, fold.shown) for fold in folds]
    samples = np.concatenate([fold.numbers for fold in folds])
    return Rows(torch.cat(shown), torch.cat(targets), torch.from_numpy(samples))


def weigh_guesses(filling: TableFilling, fold: Fold, answer: Answer) -> TableFilling:
    """Choose the weights of the network and the neighbours.

    By non-negative least squares on values that were hidden from both.

    Parameters
    ----------
    filling : TableFilling
        The first guess and the neighbours.
    fold : Fold
        Rows with hidden values that were not used in training.
    answer : callable
        Returns the network's outputs, given values and flags.
    """
    if not fold.hidden.any():
        return filling
    network = answer(network_input(fold.filled, fold.shown))
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
