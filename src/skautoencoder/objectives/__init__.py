"""What a network minimises: losses, penalties, and their sum."""

from skautoencoder.objectives.columns import ColumnBlock, ColumnsLikelihood
from skautoencoder.objectives.contraction import contraction
from skautoencoder.objectives.corruption import NOISES, Corruption
from skautoencoder.objectives.losses import LOSSES, reconstruction_loss
from skautoencoder.objectives.masked import MaskedObjective, draw_holes
from skautoencoder.objectives.objective import Objective
from skautoencoder.objectives.penalties import kl_sparsity, l1_sparsity

__all__ = [
    "LOSSES",
    "NOISES",
    "ColumnBlock",
    "ColumnsLikelihood",
    "Corruption",
    "MaskedObjective",
    "Objective",
    "contraction",
    "draw_holes",
    "kl_sparsity",
    "l1_sparsity",
    "reconstruction_loss",
]
