"""A normal distribution fitted to rows with missing values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from skautoencoder._estimator.array_statistics import row_chunks
from skautoencoder._estimator.array_types import Mask, Rows64
from skautoencoder.training.inference import to_tensor

# Most numbers in the matrices of a batch of factorisations: small enough for memory,
# large enough that the overhead of calls does not dominate.
_NUMBERS_TOGETHER = 2**22
_ROWS_TOGETHER = 512
_PRODUCTS_TOGETHER = 2**18
# Added to variances, in squared standard deviations, to keep the covariance invertible
# if columns are collinear.
_LEAST_VARIANCE = 1e-6


@dataclass(frozen=True)
class Gaussian:
    """A normal distribution of rows in standard units.

    Parameters
    ----------
    mean : ndarray of shape (n_features,)
        Its mean.
    covariance : ndarray of shape (n_features, n_features)
        Its covariance, positive definite.
    """

    mean: Rows64
    covariance: Rows64

    def fill(self, rows: Rows64, observed: Mask) -> Rows64:
        """Return rows with missing values replaced by their conditional mean.

        Parameters
        ----------
        rows : ndarray of shape (n_samples, n_features)
            The rows; their values where `observed` is False are not used.
        observed : ndarray of bool of shape (n_samples, n_features)
            Which values are known.

        Returns
        -------
        filled : ndarray of shape (n_samples, n_features)
            The rows, with the mean of the missing values given the known ones.
        """
        return self.condition(rows, observed)[0]

    def condition(
        self, rows: Rows64, observed: Mask, *, with_covariance: bool = False
    ) -> tuple[Rows64, Rows64]:
        """Return filled rows, and the sum of the covariances of the filled values.

        The conditional covariance of the missing values of a row is the inverse of
        their block of the precision matrix (the inverse of the covariance). So only
        matrices of the size of the missing part are factorised, which is mostly the
        smaller one.
        """
        n_features = rows.shape[1]
        precision = torch.linalg.inv(to_tensor(self.covariance))
        # One more row and column, used as padding for rows with fewer missing values
        # than others in the batch.
        padded = torch.zeros((n_features + 1,) * 2, dtype=torch.float64)
        padded[:-1, :-1] = (precision + precision.T) / 2
        centred = np.where(observed, rows - self.mean, 0.0)
        filled = np.where(observed, rows, self.mean)
        summed = np.zeros((n_features + 1) ** 2 if with_covariance else 1)
        for part, missing in self._parts(observed):
            row, column = missing.nonzero(as_tuple=True)
            place = (missing.cumsum(1) - 1)[row, column]
            width = _width(int(missing.sum(1).max()))
            index = torch.full((len(part), width), n_features)
            index[row, place] = column
            block = padded[index[:, :, None], index[:, None, :]]
            block.diagonal(dim1=1, dim2=2).add_((index == n_features).double())
            factor = torch.linalg.cholesky(block)
            known = torch.zeros(len(part), width, 1, dtype=torch.float64)
            places = part[row.numpy()], column.numpy()
            pull = _products(centred, padded.numpy()[:-1, :-1], *places)
            known[row, place, 0] = torch.from_numpy(pull)
            answer = torch.cholesky_solve(known, factor)[row, place, 0].numpy()
            filled[places] -= answer
            if with_covariance:
                cell = index[:, :, None] * (n_features + 1) + index[:, None, :]
                inverse = torch.cholesky_inverse(factor)
                summed += np.bincount(
                    cell.flatten().numpy(), inverse.flatten().numpy(), len(summed)
                )
        if not with_covariance:
            return filled, summed
        return filled, summed.reshape((n_features + 1,) * 2)[:-1, :-1]

    @staticmethod
    def _parts(observed: Mask) -> Iterator[tuple[NDArray[np.intp], torch.Tensor]]:
        """Yield batches of the rows with missing values, grouped by `_width`."""
        missing = ~observed
        n_missing = _width(missing.sum(axis=1))
        order = np.argsort(n_missing, kind="stable")
        start = int(np.searchsorted(n_missing[order], 1))
        while start < len(order):
            last = min(start + _ROWS_TOGETHER, len(order)) - 1
            width = n_missing[order[start]]
            last = min(last, int(np.searchsorted(n_missing[order], width, "right")) - 1)
            stop = min(start + max(_NUMBERS_TOGETHER // int(width) ** 2, 1), last + 1)
            part = order[start:stop]
            yield part, torch.from_numpy(missing[part])
            start = stop


def _width(n_missing: Any) -> Any:
    """Return the size of a row's matrix, given its number of missing values.

    The size is rounded up to a multiple of 8: few different sizes make large batches,
    and each matrix of a batch is aligned to vector registers. It depends on no other
    row, and so do not the bits of the result.
    """
    return -(-n_missing // 8) * 8


def _products(
    rows: Rows64, matrix: Rows64, row: NDArray[np.intp], column: NDArray[np.intp]
) -> Rows64:
    """Return some elements of a product of rows and a symmetric matrix.

    Not computed by a matrix product, whose rounding depends on the number of rows.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        The rows.
    matrix : ndarray of shape (n_features, n_features)
        The matrix.
    row, column : ndarray of int of shape (n_numbers,)
        Indices of the elements.
    """
    numbers = np.empty(len(row))
    for part in row_chunks(row, max(_PRODUCTS_TOGETHER // len(matrix), 1)):
        numbers[part] = (rows[row[part]] * matrix[column[part]]).sum(axis=1)
    return numbers


def fit_gaussian(
    rows: Rows64,
    observed: Mask,
    *,
    start: Gaussian | None = None,
    max_iter: int = 20,
    tol: float = 1e-3,
    prior_rows: float = 5.0,
) -> Gaussian:
    """Fit a normal distribution by expectation maximisation.

    Each iteration fills the missing values with their conditional mean, and then
    computes the mean and the covariance of the filled rows; the conditional
    covariance of the filled values is added to the latter.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        Rows in standard units; their values where `observed` is False are not used.
    observed : ndarray of bool of shape (n_samples, n_features)
        Which values are known.
    start : Gaussian, default=None
        The initial distribution. None: all features are independent.
    max_iter : int, default=20
        Maximum number of iterations.
    tol : float, default=1e-3
        Root mean square of the changes of filled rows below which iteration ends.
    prior_rows : float, default=5.0
        Weight of a prior of uncorrelated features, in numbers of rows.

    Returns
    -------
    gaussian : Gaussian
        The distribution.

    References
    ----------
    Dempster, Laird and Rubin, "Maximum likelihood from incomplete data via the EM
    algorithm", Journal of the Royal Statistical Society B 39, 1977.
    Little and Rubin, "Statistical analysis with missing data", chapter 11, Wiley
    2002.
    """
    n_samples, n_features = rows.shape
    share = min(prior_rows / n_samples, 0.5)
    gaussian = start or Gaussian(np.zeros(n_features), np.eye(n_features))
    filled = previous = None
    for _ in range(max_iter):
        filled, summed = gaussian.condition(rows, observed, with_covariance=True)
        if previous is not None:
            change = np.sqrt(np.mean(np.square(filled - previous)))
            if change < tol:
                break
        mean = filled.mean(axis=0)
        # Not NumPy's product, whose threads may deadlock in a forked process.
        centred = torch.from_numpy(filled - mean)
        covariance = ((centred.t() @ centred).numpy() + summed) / n_samples
        variances = np.diag(covariance).copy()
        covariance *= 1 - share
        np.fill_diagonal(covariance, variances + _LEAST_VARIANCE)
        gaussian, previous = Gaussian(mean, covariance), filled
    return gaussian
