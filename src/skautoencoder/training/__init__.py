"""How a network learns and how it is applied: skorch, batches, seeds, devices."""

from skautoencoder.training.batches import (
    RowBatches,
    Rows,
    drawn_by_weight,
    n_training_rows,
)
from skautoencoder.training.callbacks import copy_callbacks
from skautoencoder.training.checkpoint import Checkpoint
from skautoencoder.training.concurrent_fits import takes_turns
from skautoencoder.training.devices import (
    PRECISIONS,
    evaluating,
    resolve_device,
    resolve_precision,
    usual_torch,
)
from skautoencoder.training.epoch_hooks import EpochHooks
from skautoencoder.training.inference import apply_in_batches, to_tensor
from skautoencoder.training.joint_fits import (
    Finished,
    frame_of_search,
    run_together,
    train_together,
)
from skautoencoder.training.learning_rate import SCHEDULES
from skautoencoder.training.net import AutoencoderNet
from skautoencoder.training.net_checks import check_net
from skautoencoder.training.operation_count import count_operations
from skautoencoder.training.optimizers import OPTIMIZERS, resolve_optimizer
from skautoencoder.training.progress import Progress
from skautoencoder.training.randomness import (
    draw_seed,
    isolated_randomness,
    seeds_of_starts,
)
from skautoencoder.training.stopping import EarlyStopping
from skautoencoder.training.threads import (
    one_thread,
    one_thread_for_numpy,
    operating,
)

__all__ = [
    "OPTIMIZERS",
    "PRECISIONS",
    "SCHEDULES",
    "AutoencoderNet",
    "Checkpoint",
    "EarlyStopping",
    "EpochHooks",
    "Finished",
    "Progress",
    "RowBatches",
    "Rows",
    "apply_in_batches",
    "check_net",
    "copy_callbacks",
    "count_operations",
    "draw_seed",
    "drawn_by_weight",
    "evaluating",
    "frame_of_search",
    "isolated_randomness",
    "n_training_rows",
    "one_thread",
    "one_thread_for_numpy",
    "operating",
    "resolve_device",
    "resolve_optimizer",
    "resolve_precision",
    "run_together",
    "seeds_of_starts",
    "takes_turns",
    "to_tensor",
    "train_together",
    "usual_torch",
]
