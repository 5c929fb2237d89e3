"""A trained network as a function from arrays to arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skautoencoder._estimator.array_types import Array, Shape
from skautoencoder._estimator.data_units import Scaling, Units
from skautoencoder._estimator.sample_validation import (
    all_finite,
    check_finite,
    check_fits,
    too_large,
)
from skautoencoder._estimator.sequences import SequenceFormat
from skautoencoder.architectures import Network
from skautoencoder.training import apply_in_batches, count_operations

ArrayT = TypeVar("ArrayT", bound=NDArray[Any])


@dataclass(frozen=True)
class FitRecord:
    """What methods of a fitted estimator need in addition to the network.

    Parameters
    ----------
    data_shape : tuple of int
        Shape of a sample as `fit` saw it.
    units : Units
        The user's units and the network's.
    work : float
        Floating-point operations that the network takes for a row.
    sequences : SequenceFormat, default=None
        How `fit` was given sequences of different lengths. None: it was not.
    n_inputs : int, default=0
        Numbers in a row of the network's input.
    """

    data_shape: Shape
    units: Units
    work: float
    sequences: SequenceFormat | None = None
    n_inputs: int = 0


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained network and the units of its training data.

    Rows are processed in batches, so that memory stays bounded, and the result for a
    row does not depend on the other rows.

    Parameters
    ----------
    network : Network
        The network, in evaluation mode.
    scaling : Scaling
        The user's units and the network's.
    data_shape : tuple of int
        Shape of a sample as `fit` saw it.
    code_size : int
        Numbers in a code.
    work : float
        Floating-point operations that a row takes.
    name : str
        Name of the estimator, for messages.
    n_inputs : int
        Numbers in a row of the network's input.
    is_ragged : bool, default=False
        Whether rows are sequences of different lengths, which are NaN after their end.
    shows_progress : bool, default=False
        Whether long computations have a progress bar.
    """

    network: Network
    scaling: Scaling
    data_shape: Shape
    code_size: int
    work: float
    name: str
    n_inputs: int
    is_ragged: bool = False
    shows_progress: bool = False

    def encode(self, rows: Array) -> Array:
        """Return the codes of rows of shape (n_samples, n_features)."""
        codes = np.empty((len(rows), self.code_size), dtype=rows.dtype)
        return self.fill(codes, self.network.encode, rows)

    def decode(self, codes: Array) -> Array:
        """Return the samples decoded from codes of shape (n_samples, code_size).

        What follows the end of a sequence has no meaning.
        """

        def read(part: slice) -> Tensor:
            return torch.from_numpy(np.array(codes[part], dtype=np.float32))

        return self._samples(self.network.decode, codes, read=read)

    def reconstruct(self, rows: Array) -> Array:
        """Return the reconstructions of rows of shape (n_samples, n_features)."""
        return self._samples(self.network, rows)

    def squared_errors(self, rows: Array) -> Array:
        """Return each row's mean squared error of reconstruction, in data units."""
        unit = torch.tensor(self.scaling.scale, dtype=torch.float64, device="cpu")

        def error(batch: Tensor) -> Tensor:
            # In double precision on the CPU: not every accelerator has it.
            difference = (self.network(batch) - batch).cpu().double()
            squares = difference.mul_(unit).square_()
            if not self.is_ragged:
                return squares.mean(dim=1)
            # Without the rest of the row, which is NaN.
            present = ~squares.isnan()
            return squares.nan_to_num_(0.0).sum(dim=1) / present.sum(dim=1)

        return self.fill(np.empty(len(rows)), error, rows)

    def _samples(
        self, function: Callable[[Tensor], Tensor], given: Array, **kwargs: Any
    ) -> Array:
        samples = np.empty((len(given), *self.data_shape), dtype=given.dtype)
        rows = samples.reshape(len(given), -1)  # a view

        def write(part: slice, result: Tensor) -> None:
            rows[part] = self.scaling.to_data(result, rows.dtype)
            check_fits(rows[part], self.name)

        self.apply(function, given, write, at_once=True, **kwargs)
        return samples

    def fill(
        self,
        answers: ArrayT,
        function: Callable[[Tensor], Tensor],
        given: Array,
        read: Callable[[slice], Tensor] | None = None,
        *,
        at_once: bool = True,
        **numbers: Any,
    ) -> ArrayT:
        """Write a function's results for rows into an array, and return that.

        Parameters
        ----------
        answers : ndarray of shape (n_samples, ...)
            The array.
        function, given, read, at_once, **numbers : object
            See :meth:`apply`.
        """
        write = answers.__setitem__
        self.apply(function, given, write, read, at_once=at_once, **numbers)
        return answers

    def apply(
        self,
        function: Callable[[Tensor], Tensor],
        given: Array,
        write: Callable[[slice, Tensor], None],
        read: Callable[[slice], Tensor] | None = None,
        *,
        extra_work: float = 0.0,
        n_numbers: int = 0,
        at_once: bool = False,
    ) -> None:
        """Apply a function of the network to rows, batch by batch.

        Parameters
        ----------
        function : callable
            Applied to each batch, in the network's units.
        given : ndarray of shape (n_samples, n_features)
            The rows.
        write : callable
            Called with a slice of the rows and the result for it.
        read : callable, default=None
            Returns the batch of a slice. None: the rows in the network's units.
        extra_work : float, default=0.0
            Floating-point operations per row besides the network's.
        n_numbers : int, default=0
            Numbers that the function returns per row, if more than a sample has.
        at_once : bool, default=False
            Whether several threads may call `function` and `write` at the same time.
        """

        def read_checked(part: slice) -> Tensor:
            tensor = self.scaling.to_network(given[part])
            if self.is_ragged:  # NaN was checked before
                if tensor.isinf().any():
                    raise too_large(given[part], self.name)
                return tensor
            # Checked here, as the batch is in the processor's cache.
            check_finite(given[part], tensor, self.name)
            return tensor

        def write_checked(part: slice, result: Tensor) -> None:
            # Finite rows may be so large that the result overflows.
            if not all_finite(result):
                raise too_large(given[part], self.name)
            write(part, result)

        apply_in_batches(
            self.network,
            function,
            read or read_checked,
            write_checked,
            n_samples=len(given),
            n_features=given.shape[1],
            n_numbers=max(math.prod(self.data_shape), n_numbers),
            work=self.work,
            extra_work=extra_work,
            at_once=at_once and self.network.is_thread_safe(),
            progress=self.name if self.shows_progress else "",
        )


def measure(network: Network, rows: Tensor) -> tuple[float, int]:
    """Return the number of operations per row, and the size of a code."""
    row = rows.new_zeros(1, rows.shape[1], device=next(network.parameters()).device)

    def encode_and_decode() -> Tensor:
        codes = network.encode(row)
        network.decode_logits(codes)
        return codes

    n_operations, codes = count_operations(network, encode_and_decode)
    return n_operations, codes.shape[1]
