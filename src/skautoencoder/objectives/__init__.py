"""Objectives of training: losses, penalties on codes, likelihoods, and their sums."""

from skautoencoder.objectives.contraction import contraction
from skautoencoder.objectives.corruption import NOISES, Corruption
from skautoencoder.objectives.likelihoods import (
    BernoulliLikelihood,
    GaussianLikelihood,
)
from skautoencoder.objectives.losses import LOSSES, reconstruction_loss
from skautoencoder.objectives.masked_objective import MaskedObjective, draw_mask
from skautoencoder.objectives.mmd import maximum_mean_discrepancy
from skautoencoder.objectives.objective import Objective
from skautoencoder.objectives.ordered import OrderedObjective
from skautoencoder.objectives.penalties import (
    KL,
    L1,
    MMD,
    PENALTIES,
    Contraction,
    Penalty,
    TopK,
    check_penalties,
    kl_sparsity,
    l1_sparsity,
)
from skautoencoder.objectives.ragged import RaggedObjective
from skautoencoder.objectives.random_generators import seeded_generator
from skautoencoder.objectives.table_likelihood import ColumnBlock, ColumnsLikelihood
from skautoencoder.objectives.variational import (
    VariationalObjective,
    bounded_log_variance,
    kl_divergence,
)

__all__ = [
    "KL",
    "L1",
    "LOSSES",
    "MMD",
    "NOISES",
    "PENALTIES",
    "BernoulliLikelihood",
    "ColumnBlock",
    "ColumnsLikelihood",
    "Contraction",
    "Corruption",
    "GaussianLikelihood",
    "MaskedObjective",
    "Objective",
    "OrderedObjective",
    "Penalty",
    "RaggedObjective",
    "TopK",
    "VariationalObjective",
    "bounded_log_variance",
    "check_penalties",
    "contraction",
    "draw_mask",
    "kl_divergence",
    "kl_sparsity",
    "l1_sparsity",
    "maximum_mean_discrepancy",
    "reconstruction_loss",
    "seeded_generator",
]
