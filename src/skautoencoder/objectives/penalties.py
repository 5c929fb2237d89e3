"""Penalties on codes, added to the reconstruction loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    validate_parameter_constraints,
)
from torch import Tensor

from skautoencoder.objectives.contraction import contraction
from skautoencoder.objectives.losses import is_in_unit_interval
from skautoencoder.objectives.mmd import SCALES, maximum_mean_discrepancy
from skautoencoder.objectives.random_generators import generator_for

# Larger batches are compared in parts: memory grows with the square of the rows.
_MOST_COMPARED = 512
_WEIGHT = [Interval(Real, 0, None, closed="left")]


class Penalty(BaseEstimator):
    """Base class of the penalties.

    A penalty is a description: it holds nothing but its parameters, so that it can be
    cloned and searched over (``penalty__weight``). Called with a batch, it returns the
    number that is added to the loss, times its `weight`. A subclass implements
    ``__call__``, and declares what it needs in class attributes and other methods.
    """

    # The module that users import it from, and that errors about `penalty` name.
    __module__ = "skautoencoder.objectives"

    _parameter_constraints: dict[str, list[Any]] = {}

    #: Factor of the penalty. It is not computed if this is 0.
    weight: float = 1.0

    #: Whether the penalty on a batch is the mean of the penalties on its rows, so that
    #: large batches can be divided into shards.
    is_mean_over_rows: bool = False

    #: Whether it needs derivatives by the rows.
    needs_row_gradients: bool = False

    #: How many rows a batch must have.
    fewest_rows: int = 1

    def __call__(self, codes: Tensor, rows: Tensor, network: Any) -> Tensor:
        """Return the penalty on a batch.

        Parameters
        ----------
        codes : Tensor of shape (n_samples, code_size)
            The codes of the batch, in float32.
        rows : Tensor of shape (n_samples, n_features)
            The encoded rows, in the network's units.
        network : Network
            The network.

        Returns
        -------
        penalty : Tensor of shape ()
            The penalty, to be minimised.
        """
        raise NotImplementedError(f"{type(self).__name__} has no __call__.")

    def network_params(self) -> dict[str, Any]:
        """Return the arguments of ``Architecture.build`` that it needs."""
        return {}

    def check(self) -> None:
        """Raise an error that names the parameter whose value is not allowed."""
        validate_parameter_constraints(
            self._parameter_constraints,
            self.get_params(deep=False),
            caller_name=type(self).__name__,
        )

    def check_architecture(self, architecture: Any) -> None:
        """Raise if an architecture's codes do not suit the penalty."""

    def check_codes(self, codes: Tensor) -> None:
        """Raise if the codes of an untrained network do not suit the penalty."""

    def check_batch_size(self, n_rows: int) -> None:
        """Raise if batches have too few rows for the penalty."""
        if n_rows < self.fewest_rows:
            raise ValueError(
                f"The penalty {self!r} needs batches of at least {self.fewest_rows} "
                f"rows, but they would have {n_rows}. Raise batch_size, or give more "
                "rows at a time (early_stopping keeps validation_fraction of them out "
                "of training)."
            )


class L1(Penalty):
    """The sum of a code's absolute values, the mean over the rows.

    Parameters
    ----------
    weight : float, default=1e-4
        What the penalty is multiplied by.

    See Also
    --------
    l1_sparsity : The formula.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skautoencoder import L1, AutoencoderTransformer
    >>> X = load_digits().data[:500] / 16
    >>> autoencoder = AutoencoderTransformer(
    ...     8, architecture="dense", penalty=L1(), max_epochs=5, random_state=0
    ... )
    >>> float(abs(autoencoder.fit_transform(X)).mean())
    2.3
    >>> autoencoder = autoencoder.set_params(penalty__weight=0.1)
    >>> float(abs(autoencoder.fit_transform(X)).mean())
    0.0
    """

    _parameter_constraints = {"weight": _WEIGHT}

    is_mean_over_rows = True

    def __init__(self, weight: float = 1e-4) -> None:
        self.weight = weight

    def __call__(self, codes: Tensor, rows: Tensor, network: Any) -> Tensor:
        """Return the mean L1 norm of a code."""
        return l1_sparsity(codes)


class KL(Penalty):
    """How far the mean activity of each unit of the code is from a target.

    The units become sigmoids, and start at the target.

    Parameters
    ----------
    target : float in (0, 1), default=0.05
        The wanted mean activity of a unit.
    weight : float, default=0.1
        What the penalty is multiplied by. With the default, units come within a few
        per cent of their target.

    See Also
    --------
    kl_sparsity : The formula.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skautoencoder import KL, AutoencoderTransformer
    >>> X = load_digits().data[:500] / 16
    >>> autoencoder = AutoencoderTransformer(
    ...     8, architecture="dense", penalty=KL(0.2), max_epochs=5, random_state=0
    ... )
    >>> float(autoencoder.fit_transform(X).mean())
    0.2
    """

    _parameter_constraints = {
        "target": [Interval(Real, 0, 1, closed="neither")],
        "weight": _WEIGHT,
    }

    def __init__(self, target: float = 0.05, weight: float = 0.1) -> None:
        self.target = target
        self.weight = weight

    def __call__(self, codes: Tensor, rows: Tensor, network: Any) -> Tensor:
        """Return the divergence, in nats, summed over the units."""
        return kl_sparsity(codes, self.target)

    def network_params(self) -> dict[str, Any]:
        """Return that the code's units are sigmoids that start at the target."""
        return {"code_activation": "sigmoid", "code_activity": self.target}

    def check_architecture(self, architecture: Any) -> None:
        """Raise if the architecture's own activation of the code is no sigmoid."""
        activation = getattr(architecture, "code_activation", "auto")
        normalized = getattr(architecture, "code_batch_norm", False)
        if activation not in ("auto", "sigmoid") or normalized:
            raise ValueError(_CODES_OUT_OF_RANGE)

    def check_codes(self, codes: Tensor) -> None:
        """Raise if codes are not between 0 and 1."""
        if not is_in_unit_interval(codes):
            raise ValueError(_CODES_OUT_OF_RANGE)


_CODES_OUT_OF_RANGE = (
    "The penalty KL (sparsity='kl') needs codes in [0, 1]. Leave code_activation at "
    "'auto' or set it to 'sigmoid', and code_batch_norm at False; let an encoder of "
    "your own end in a sigmoid."
)


class TopK(Penalty):
    """Only the largest numbers of each code are kept, the others set to zero.

    No number is added to the loss: the network sees to it, in training and after.

    Parameters
    ----------
    n_nonzero_coefs : int, default=None
        How many numbers are kept. None: a tenth of the code, at least one.

    References
    ----------
    Makhzani and Frey, "k-sparse autoencoders", ICLR 2014.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skautoencoder import AutoencoderTransformer, TopK
    >>> X = load_digits().data[:500] / 16
    >>> autoencoder = AutoencoderTransformer(
    ...     8, architecture="dense", penalty=TopK(2), max_epochs=5, random_state=0
    ... )
    >>> set((autoencoder.fit_transform(X) != 0).sum(axis=1).tolist())
    {2}
    """

    _parameter_constraints = {
        "n_nonzero_coefs": [Interval(Integral, 1, None, closed="left"), None]
    }

    weight = 0.0

    def __init__(self, n_nonzero_coefs: int | None = None) -> None:
        self.n_nonzero_coefs = n_nonzero_coefs

    def network_params(self) -> dict[str, Any]:
        """Return that a layer after the encoder keeps the largest numbers."""
        return {"top_k": True, "n_nonzero_coefs": self.n_nonzero_coefs}


class Contraction(Penalty):
    """The squared Frobenius norm of the encoder's Jacobian, the mean over the rows.

    Parameters
    ----------
    weight : float, default=1e-3
        What the penalty is multiplied by.

    See Also
    --------
    contraction : The formula.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skautoencoder import AutoencoderTransformer, Contraction
    >>> X = load_digits().data[:500] / 16
    >>> import numpy as np
    >>> X_noisy = X + np.random.RandomState(0).normal(scale=0.1, size=X.shape)
    >>> autoencoder = AutoencoderTransformer(
    ...     penalty=Contraction(0.1),
    ...     architecture="dense",
    ...     max_epochs=5,
    ...     random_state=0,
    ... )
    >>> codes = autoencoder.fit_transform(X)
    >>> float(abs(autoencoder.transform(X_noisy) - codes).mean() / codes.std())
    0.0
    """

    _parameter_constraints = {"weight": _WEIGHT}

    needs_row_gradients = True

    def __init__(self, weight: float = 1e-3) -> None:
        self.weight = weight

    def __call__(self, codes: Tensor, rows: Tensor, network: Any) -> Tensor:
        """Return the mean squared norm, in the network's units."""
        return contraction(network, rows, codes)


class MMD(Penalty):
    """How far codes are from draws of a standard normal distribution.

    With it an autoencoder is a Wasserstein autoencoder: codes become independent normal
    numbers of mean 0 and variance 1, as far as the reconstruction lets them, and
    the decoder makes new samples of such numbers.

    Parameters
    ----------
    weight : float, default=0.03
        What the penalty is multiplied by. The loss is in the network's units, see
        `history_` of the estimators: images in [0, 1] stand a lower weight.
    scales : tuple of float, default=(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
        Scales of the kernel, see :func:`maximum_mean_discrepancy`.

    Notes
    -----
    The draws are as many as the codes of the batch, and new for each. Large batches are
    compared in equal parts of at most 512 rows, and the mean is taken, which keeps
    time and memory in proportion to the rows.

    References
    ----------
    Tolstikhin, Bousquet, Gelly and Schölkopf, "Wasserstein auto-encoders", ICLR 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skautoencoder import MMD, AutoencoderTransformer
    >>> X = load_digits().data[:500] / 16
    >>> autoencoder = AutoencoderTransformer(
    ...     4, architecture="dense", penalty=MMD(), max_epochs=5, random_state=0
    ... )
    >>> autoencoder.fit_transform(X).std(axis=0).round()
    array([1., 1., 1., 1.])
    """

    _parameter_constraints = {"weight": _WEIGHT, "scales": ["array-like"]}

    fewest_rows = 2

    def __init__(self, weight: float = 0.03, scales: Sequence[float] = SCALES) -> None:
        self.weight = weight
        self.scales = scales

    def __call__(self, codes: Tensor, rows: Tensor, network: Any) -> Tensor:
        """Return the squared discrepancy between a batch's codes and normal draws."""
        if len(codes) < self.fewest_rows:
            # The last batch may be too short.
            return codes.new_zeros(())
        draws = torch.randn(
            codes.shape,
            generator=generator_for(network, codes.device),
            device=codes.device,
        )
        n_parts = math.ceil(len(codes) / _MOST_COMPARED)
        codes_of, draws_of = codes.tensor_split(n_parts), draws.tensor_split(n_parts)
        parts = zip(codes_of, draws_of, strict=True)
        found = [maximum_mean_discrepancy(*part, self.scales) for part in parts]
        return torch.stack(found).mean()

    def check(self) -> None:
        """Raise an error that names the parameter whose value is not allowed."""
        super().check()
        scales = np.asarray(self.scales)
        is_list = scales.dtype.kind in "iuf" and scales.ndim == 1 and scales.size > 0
        if not (is_list and (scales > 0).all() and np.isfinite(scales).all()):
            raise InvalidParameterError(
                "The 'scales' parameter of MMD must be a sequence of positive numbers, "
                f"such as (0.5, 1, 2). Got {self.scales!r} instead."
            )


#: The penalties by their names in the parameters `sparsity` and `penalty`.
PENALTIES: dict[str, type[Penalty]] = {
    "l1": L1,
    "kl": KL,
    "top_k": TopK,
    "contraction": Contraction,
    "mmd": MMD,
}


def check_penalties(penalties: Sequence[Penalty]) -> None:
    """Raise if parameters of penalties are invalid, or penalties are incompatible.

    Parameters
    ----------
    penalties : sequence of Penalty
        All penalties of an objective.
    """
    for penalty in penalties:
        penalty.check()
    kinds = [type(penalty) for penalty in penalties]
    for kind in kinds:
        if kinds.count(kind) > 1:
            raise ValueError(
                f"The penalty {kind.__name__} is asked for twice: sparsity, "
                f"contraction_weight and penalty come to {[*penalties]!r}. Leave one "
                "of the two out."
            )
    demanding = [penalty for penalty in penalties if penalty.network_params()]
    if len(demanding) > 1:
        raise ValueError(
            f"The penalties {demanding[0]!r} and {demanding[1]!r} both decide what the "
            "units of the code are (sparsity and penalty ask for them). Leave one of "
            "the two out."
        )


def l1_sparsity(codes: Tensor) -> Tensor:
    """Return the sum of absolute values of a code, averaged over the rows.

    Parameters
    ----------
    codes : Tensor of shape (n_samples, code_size)
        The codes.

    Returns
    -------
    penalty : Tensor of shape ()
        The mean L1 norm of a code.
    """
    return codes.abs().sum(dim=1).mean()


def kl_sparsity(codes: Tensor, target: float) -> Tensor:
    """Return how far the mean activity of the code's units is from `target`.

    Each unit is taken as a Bernoulli variable whose probability is the unit's mean over
    the batch; the penalty is its Kullback-Leibler divergence from a Bernoulli variable
    of probability `target`, summed over the units.

    Parameters
    ----------
    codes : Tensor of shape (n_samples, code_size)
        The codes, in (0, 1).
    target : float
        The wanted mean activity of a unit, in (0, 1).

    Returns
    -------
    penalty : Tensor of shape ()
        The divergence, in nats.

    References
    ----------
    Ng, "Sparse autoencoder", CS294A lecture notes, Stanford, 2011.
    """
    margin = 1e-6
    activity = codes.mean(dim=0).clamp(margin, 1 - margin)
    on = target * (target / activity).log()
    off = (1 - target) * ((1 - target) / (1 - activity)).log()
    return (on + off).sum()
