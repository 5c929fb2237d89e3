"""What a method of a fitted estimator computes, as a torch module."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from skautoencoder._estimator.code_transformer import CodeTransformer
from skautoencoder._estimator.data_units import Scaling
from skautoencoder.outliers import AutoencoderOutlierDetector
from skautoencoder.sampling import VAESampler
from skautoencoder.sampling.row_conversion import ArrayFormat
from skautoencoder.training import to_tensor

#: The methods that each estimator can be exported with.
METHODS: dict[type, tuple[str, ...]] = {
    AutoencoderOutlierDetector: ("predict", "decision_function", "score_samples"),
    CodeTransformer: ("transform", "inverse_transform", "predict", "score_samples"),
    VAESampler: ("transform",),
}


class Answer(nn.Module):
    """A method of a fitted estimator, from float32 samples to its answers.

    Parameters
    ----------
    estimator : estimator
        A fitted estimator.
    method : str
        Name of the method.
    """

    def __init__(self, estimator: Any, method: str) -> None:
        super().__init__()
        # A copy on the CPU, as the export changes modules for a while.
        trained = estimator.trained_network
        self.network = copy.deepcopy(trained.network).to("cpu")
        self.trained = replace(trained, network=self.network)
        self.references = getattr(estimator, "references", None)
        self.offset = getattr(estimator, "offset_", 0.0)
        self.divisor = 1
        if isinstance(estimator, VAESampler):
            assert isinstance(estimator.row_format, ArrayFormat)
            self.divisor = estimator.row_format.container.scale
        name = method if self.references is None else f"detect_{method}"
        self.answer: Callable[[Tensor], Tensor] = getattr(self, name)

    def forward(self, X: Tensor) -> Tensor:
        """Return the answers for a batch of samples."""
        return self.answer(X.flatten(1))

    def transform(self, rows: Tensor) -> Tensor:
        """Return codes."""
        codes: Tensor = self.network.encode(self.shown(rows))
        return codes

    def inverse_transform(self, codes: Tensor) -> Tensor:
        """Return samples, in the shape that `fit` saw."""
        return self.in_data(self.network.decode(codes))

    def predict(self, rows: Tensor) -> Tensor:
        """Return reconstructions, in the shape that `fit` saw."""
        return self.in_data(self.network(self.shown(rows)))

    def score_samples(self, rows: Tensor) -> Tensor:
        """Return minus the mean squared error of reconstruction."""
        shown = self.shown(rows)
        unit = torch.tensor(self.trained.scaling.scale, dtype=torch.float64)
        error = (self.network(shown) - shown).double() * unit
        return -error.square().mean(dim=1).float()

    def detect_score_samples(self, rows: Tensor) -> Tensor:
        """Return minus the distances from the reference rows."""
        return -self.distances(rows).float()

    def detect_decision_function(self, rows: Tensor) -> Tensor:
        """Return scores above the threshold."""
        return (-self.distances(rows) - self.offset).float()

    def detect_predict(self, rows: Tensor) -> Tensor:
        """Return -1 for outliers and 1 for others."""
        is_outlier = -self.distances(rows) - self.offset < 0
        return 1 - 2 * is_outlier.long()

    def distances(self, rows: Tensor) -> Tensor:
        """Return distances from the reference rows, in double precision."""
        assert self.references is not None
        points = self.references.embedding.points(self.trained, self.shown(rows))
        distances: Tensor = self.references.distances_of(points)
        return distances

    def shown(self, rows: Tensor) -> Tensor:
        """Return rows in the network's units."""
        if self.divisor != 1:
            rows = rows / self.divisor
        return in_network_units(self.trained.scaling, rows)

    def in_data(self, answers: Tensor) -> Tensor:
        """Return a network's answers in the user's units and shape."""
        scaling = self.trained.scaling
        if scaling.offset is not None:
            scale = torch.tensor(scaling.scale, dtype=torch.float64)
            answers = answers.double() * scale + to_tensor(scaling.offset)
        return answers.float().unflatten(1, self.trained.data_shape)


def in_network_units(scaling: Scaling, rows: Tensor) -> Tensor:
    """Return float32 rows in the network's units, as `Scaling.to_network` does."""
    if scaling.offset is None:
        return rows
    offset = to_tensor(scaling.offset)
    if offset.float().isfinite().all():
        offset = offset.float()
    scale = torch.tensor(scaling.scale, dtype=torch.float64)
    return ((rows - offset) / scale).float()
