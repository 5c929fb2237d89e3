"""Batches that are slices of one tensor.

skorch's default goes through one ``__getitem__`` a row and a collate function,
which on a small network costs more than the network itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from skautoencoder.training.threads import operating

# Up to this many numbers, a shuffled copy of all rows is made per epoch: slicing it is
# faster than selecting the rows of each batch.
_FEW_NUMBERS = 2**20

# Up to this many numbers per batch, losses are collected over several steps.
_FEW_A_BATCH = 2**18


@dataclass(eq=False)
class Rows(Dataset[tuple[Tensor, Tensor]]):
    """Rows to learn from, and the target of each.

    Parameters
    ----------
    rows : Tensor of shape (n_samples, n_features)
        Inputs of the network.
    targets : Tensor of shape (n_samples, n_features), default=None
        The outputs that it should give. None: the rows themselves.
    samples : Tensor of int of shape (n_samples,), default=None
        Index of the sample that each row was made from: the validation split keeps
        rows of one sample together. None: each row is a sample of its own.
    weights : Tensor of shape (n_samples,), default=None
        In training, how often a row is drawn in an epoch, relative to the others. None:
        each once.
    chosen : Tensor of int of shape (n_chosen,), default=None
        The positions of the rows that count, where some are set aside: a copy of all
        others would take as much memory as the rows. None: all.
    """

    rows: Tensor
    targets: Tensor | None = None
    samples: Tensor | None = None
    weights: Tensor | None = None
    chosen: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows if self.chosen is None else self.chosen)

    def __getitem__(self, index: int | slice) -> tuple[Tensor, Tensor]:
        where = index if self.chosen is None else self.chosen[index]
        rows = self.rows[where]
        return rows, rows if self.targets is None else self.targets[where]

    def take(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows and targets at these positions."""
        if self.chosen is not None:
            index = self.chosen[index]
        rows = self.rows.index_select(0, index)
        if self.targets is None:
            return rows, rows
        return rows, self.targets.index_select(0, index)

    def to(self, device: torch.device) -> Rows:
        """Return the same rows on another device."""
        targets = None if self.targets is None else self.targets.to(device)
        return replace(self, rows=self.rows.to(device), targets=targets)

    def split(self, fraction: float, seed: int) -> tuple[Rows, Rows]:
        """Return a training and a validation part, shuffled by `seed`.

        Both parts have at least one sample.
        """
        n_samples, sample_of_row = len(self), None
        if self.samples is not None:
            samples, sample_of_row = self.samples.unique(return_inverse=True)
            n_samples = len(samples)
        n_valid = n_samples - n_training_rows(n_samples, fraction)
        order = np.random.RandomState(seed).permutation(n_samples)
        is_valid = torch.zeros(n_samples, dtype=torch.bool)
        is_valid[torch.from_numpy(order[:n_valid])] = True
        if sample_of_row is not None:
            is_valid = is_valid[sample_of_row]
        train, valid = (part.nonzero()[:, 0] for part in (~is_valid, is_valid))
        weights = self.weights
        if weights is not None:
            # The loss of a validation part is a mean over its rows.
            if weights[valid].any():
                valid = valid[drawn_by_weight(weights[valid], 0.5)]
            weights = weights[train]
        device = self.rows.device
        rows, targets = self.take(valid.to(device))
        return (
            Rows(self.rows, self.targets, weights=weights, chosen=train.to(device)),
            Rows(rows, None if self.targets is None else targets),
        )


def drawn_by_weight(weights: Tensor, offset: float) -> Tensor:
    """Return as many indices as there are rows, each as often as its weight says.

    A row is drawn its expected number of times, rounded up or down: in the mean over
    `offset`, which is uniform in [0, 1), exactly that often.
    """
    n_rows = len(weights)
    ends = weights.double().cumsum(0)
    places = (torch.arange(n_rows, dtype=torch.float64) + offset) / n_rows
    found = torch.searchsorted(ends, places * ends[-1], right=True)
    return found.clamp(max=n_rows - 1)


def n_training_rows(n_samples: int, validation_fraction: float | None) -> int:
    """Return how many of the rows are left to train on."""
    if validation_fraction is None:
        return n_samples
    n_valid = max(round(n_samples * validation_fraction), 1)
    return max(n_samples - n_valid, 1)


class RowBatches:
    """Iterates over a dataset of :class:`Rows`, a batch at a time.

    Parameters
    ----------
    dataset : Rows
        The rows.
    batch_size : int
        Rows per batch. A single row left over at the end joins the previous batch:
        batch normalisation has no meaning for one row.
    shuffle : bool, default=False
        Whether the rows are shuffled anew for each pass.
    drop_last : bool, default=False
        Whether rows that do not fill a batch are left out of the pass, as long
        as one batch remains.
    seed : int, default=0
        Seed of the order. The iterator has its own generator.
    """

    def __init__(
        self,
        dataset: Rows,
        batch_size: int,
        *,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int = 0,
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.generator = torch.Generator().manual_seed(seed)
        n_samples = len(dataset)
        starts = list(range(0, n_samples, batch_size))
        if len(starts) > 1:
            n_left = n_samples - starts[-1]
            if drop_last and n_left < batch_size:
                n_samples = starts.pop()
            elif n_left == 1:
                starts.pop()
        # First and last row of each batch, in the order of a pass.
        self.bounds = list(zip(starts, [*starts[1:], n_samples], strict=True))

    def __len__(self) -> int:
        return len(self.bounds)

    def next_order(self) -> Tensor:
        """Draw the order of the rows for the next pass."""
        order = torch.randperm(len(self.dataset), generator=self.generator)
        if self.dataset.weights is None:
            return order
        offset = float(torch.rand((), generator=self.generator))
        return drawn_by_weight(self.dataset.weights, offset)[order]

    def skip(self) -> None:
        """Pass over one pass through the rows."""
        if self.shuffle:
            self.next_order()

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if not self.shuffle:
            for start, stop in self.bounds:
                yield self.dataset[slice(start, stop)]
            return
        order = self.next_order().to(self.dataset.rows.device)
        if self.dataset.rows.numel() > _FEW_NUMBERS:
            for start, stop in self.bounds:
                yield self.dataset.take(order[start:stop])
            return
        rows, targets = self.dataset.take(order[: self.bounds[-1][1]])
        sizes = [stop - start for start, stop in self.bounds]
        for part, wanted in zip(rows.split(sizes), targets.split(sizes), strict=True):
            yield part, part if targets is rows else wanted


def mean_loss(
    steps: Iterator[tuple[Tensor, int]], batches: RowBatches
) -> tuple[float, int]:
    """Return the mean loss of steps over all rows, and the number of steps.

    A loss tensor that stays alive fragments the memory that its step freed, so that the
    next large step cannot reuse it. So losses are copied into one tensor: after each
    step or, where batches are small, after several, which is faster.
    """
    numbers_a_batch = batches.dataset.rows.numel() / len(batches)
    n_together = min(max(int(_FEW_A_BATCH / numbers_a_batch), 1), 64)
    losses, waiting = torch.empty(0), []
    sizes: list[int] = []
    for loss, size in steps:
        if not sizes:
            losses = loss.new_empty(len(batches))
        waiting.append(loss)
        sizes.append(size)
        if len(waiting) == n_together or len(sizes) == len(batches):
            losses[len(sizes) - len(waiting) : len(sizes)] = torch.stack(waiting)
            waiting.clear()
    weights = torch.tensor(sizes, dtype=torch.float32) / sum(sizes)
    # The only synchronisation with the device in an epoch.
    with operating():
        return float(losses.float().cpu() @ weights), len(sizes)
