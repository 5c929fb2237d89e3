"""Prior distributions of codes: a normal distribution, or a mixture of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn import config_context
from torch import Tensor
from torch.nn import functional as F

from skautoencoder.training import drawn_by_weight, one_thread_for_numpy
from skautoencoder.training.inference import to_tensor

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

_LOG_TWO_PI = math.log(2 * math.pi)
# The numbers of components to choose from, and the most codes to fit them to.
_NUMBERS_OF_COMPONENTS = (1, 2, 3, 4, 6, 8, 12, 16, 24)
_CODES_TO_FIT = 10_000
# One of this many parts of the rows is held out for the choice, which stops after so
# many numbers in a row that were worse.
_N_PARTS = 5
_PATIENCE = 2
# Covariance types to choose from, see GaussianMixture.
_SHAPES = ("full", "tied", "diag")
# A component needs this many codes for each number in a code.
_CODES_A_NUMBER = 5


class Prior(Protocol):
    """A distribution of codes."""

    def log_density(self, codes: Tensor) -> Tensor:
        """Return the log-density of codes of shape (n_samples, code_size), in nats."""

    def sample(
        self, n_samples: int, random: np.random.RandomState
    ) -> NDArray[np.float64]:
        """Draw codes of shape (n_samples, code_size)."""


@dataclass(frozen=True)
class NormalPrior:
    """The standard normal distribution.

    Parameters
    ----------
    code_size : int
        Numbers in a code.
    """

    code_size: int

    def log_density(self, codes: Tensor) -> Tensor:
        """Return the log-density of codes of shape (n_samples, code_size), in nats."""
        squares = codes.double().square().sum(dim=1)
        return -0.5 * (squares + self.code_size * _LOG_TWO_PI)

    def sample(
        self, n_samples: int, random: np.random.RandomState
    ) -> NDArray[np.float64]:
        """Draw codes of shape (n_samples, code_size)."""
        return random.normal(size=(n_samples, self.code_size))


@dataclass(frozen=True)
class MixturePrior:
    """A mixture of normal distributions.

    Parameters
    ----------
    weights : ndarray of shape (n_components,)
        Weights of the components.
    means : ndarray of shape (n_components, code_size)
        Their means.
    factors : ndarray of shape (n_components, code_size, code_size)
        Cholesky factors of the covariances.
    """

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    factors: NDArray[np.float64]

    def log_density(self, codes: Tensor) -> Tensor:
        """Return the log-density of codes of shape (n_samples, code_size), in nats."""
        centred = codes[:, None] - to_tensor(self.means).to(codes)
        inverses = to_tensor(self._inverses).to(codes)
        # F.linear, so that the bits do not depend on the batch (BatchInvariant).
        standard = [
            F.linear(part, inverse)
            for part, inverse in zip(centred.unbind(dim=1), inverses, strict=True)
        ]
        squares = torch.stack(standard, dim=1).double().square().sum(dim=2)
        terms = to_tensor(self._heights) - 0.5 * (
            squares + codes.shape[1] * _LOG_TWO_PI
        )
        return torch.logsumexp(terms, dim=1)

    # Kept, as for a single row they would take longer than the rest.
    @cached_property
    def _inverses(self) -> NDArray[np.float64]:
        """The inverses of the factors."""
        return torch.linalg.inv(to_tensor(self.factors)).numpy()

    @cached_property
    def _heights(self) -> NDArray[np.float64]:
        """The logarithm of each component's weight over its factor's determinant."""
        factors = to_tensor(self.factors)
        roots = factors.diagonal(dim1=1, dim2=2).log().sum(dim=1)
        return (to_tensor(self.weights).log() - roots).numpy()

    def sample(
        self, n_samples: int, random: np.random.RandomState
    ) -> NDArray[np.float64]:
        """Draw codes of shape (n_samples, code_size)."""
        components = random.choice(len(self.weights), size=n_samples, p=self.weights)
        noise = random.normal(size=(n_samples, self.means.shape[1]))
        turned = np.einsum("nij,nj->ni", self.factors[components], noise)
        codes: NDArray[np.float64] = self.means[components] + turned
        return codes


def fit_mixtures(
    means: NDArray[np.floating],
    deviations: NDArray[np.floating],
    numbers: NDArray[np.intp] | None,
    n_classes: int,
    seed: int,
    weights: Tensor | None = None,
) -> list[Prior]:
    """Fit a mixture to the posteriors of the rows of each class, or of all rows.

    Parameters
    ----------
    means, deviations, seed : object
        See :func:`fit_mixture`.
    numbers : ndarray of int of shape (n_samples,) or None
        Index of each row's class. None: there are no classes.
    n_classes : int
        Number of classes.
    weights : Tensor of shape (n_samples,), default=None
        How often a row counts, relative to others. None: all the same.
    """
    parts = [np.arange(len(means))]
    if numbers is not None:
        parts = [np.flatnonzero(numbers == number) for number in range(n_classes)]
    if weights is not None:
        parts = [part[drawn_by_weight(weights[part], 0.5).numpy()] for part in parts]
    return [fit_mixture(means[part], deviations[part], seed) for part in parts]


def sample_codes(
    priors: list[Prior],
    numbers: NDArray[np.intp],
    code_size: int,
    random: np.random.RandomState,
) -> NDArray[np.float64]:
    """Draw codes of the prior of all rows, or of each row's class.

    Parameters
    ----------
    priors : list of Prior
        The prior of each class, or one for all.
    numbers : ndarray of int of shape (n_samples,)
        Index of each row's class.
    code_size : int
        Numbers in a code.
    random : RandomState
        Draws them.
    """
    if len(priors) == 1:
        return priors[0].sample(len(numbers), random)
    codes = np.empty((len(numbers), code_size))
    for number, prior in enumerate(priors):
        mine = numbers == number
        codes[mine] = prior.sample(mine.sum(), random)
    return codes


# On several threads, sums in k-means and matrix products are rounded differently.
@one_thread_for_numpy()
def fit_mixture(
    means: NDArray[np.floating], deviations: NDArray[np.floating], seed: int
) -> MixturePrior:
    """Fit a mixture of normal distributions to the posteriors of rows.

    The number of components and the type of their covariances are those with the
    highest likelihood of held-out codes.

    Parameters
    ----------
    means, deviations : ndarray of shape (n_samples, code_size)
        Means and standard deviations of the posteriors.
    seed : int
        Seed of the choice of rows, the drawn codes, and the initial components.

    Returns
    -------
    prior : MixturePrior
        The mixture.
    """
    random = np.random.RandomState(seed)
    if len(means) > _CODES_TO_FIT:
        chosen = random.permutation(len(means))[:_CODES_TO_FIT]
        means, deviations = means[chosen], deviations[chosen]
    n_rows, code_size = means.shape
    # Few rows give codes in few directions only. Several codes are then drawn from each
    # posterior, which has a spread in all directions.
    copies = -(-_CODES_A_NUMBER * code_size // n_rows)
    means, deviations = np.tile(means, (copies, 1)), np.tile(deviations, (copies, 1))
    codes = means + deviations * random.normal(size=means.shape)
    kept_out = np.tile(np.arange(n_rows) % _N_PARTS == 0, copies)
    if n_rows < _N_PARTS:
        kept_out[:] = False
    best, highest = (1, _SHAPES[0]), -np.inf
    for shape in _SHAPES:
        n_worse = 0
        for n_components in _NUMBERS_OF_COMPONENTS:
            if n_components > 1 and n_rows < _CODES_A_NUMBER * code_size * n_components:
                break
            if not kept_out.any() or n_worse == _PATIENCE:
                break
            mixture = _fitted(codes[~kept_out], n_components, shape, seed)
            likelihood = mixture.score(codes[kept_out])
            n_worse = 0 if likelihood > highest else n_worse + 1
            if likelihood > highest:
                best, highest = (n_components, shape), likelihood
    mixture = _fitted(codes, *best, seed)
    factors = np.linalg.cholesky(_full_covariances(mixture)).astype(np.float64)
    return MixturePrior(
        mixture.weights_ / mixture.weights_.sum(), mixture.means_, factors
    )


def _fitted(
    codes: NDArray[np.float64], n_components: int, shape: str, seed: int
) -> GaussianMixture:
    # Imported here, as it imports much of scikit-learn and would slow our import.
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(
        n_components,
        covariance_type=shape,
        reg_covar=1e-4,
        max_iter=100,
        tol=1e-2,
        random_state=seed,
    )
    # The initial components are found by k-means, which supports only NumPy.
    with config_context(array_api_dispatch=False):
        return mixture.fit(codes)


def _full_covariances(mixture: GaussianMixture) -> NDArray[np.float64]:
    """Return the components' covariances as matrices, whatever their type."""
    covariances = mixture.covariances_
    n_components = len(mixture.means_)
    if mixture.covariance_type == "tied":
        return np.tile(covariances, (n_components, 1, 1))
    if mixture.covariance_type == "diag":
        return np.stack([np.diag(variances) for variances in covariances])
    matrices: NDArray[np.float64] = covariances
    return matrices
