"""Training of many small networks at once.

A step of a small network is mostly overhead: each of some sixty calls of torch takes
longer than its arithmetic. Networks that differ in their weights, rows, seeds, learning
rates and code sizes alone need the same calls, so their weights and batches are stacked
and each call computes for all of them; layers at the code are stacked by code size.

Each network gets the same bits as in a fit of its own. A product of stacked matrices is
used only where a test on random numbers gave the bits of single products, and functions
that round numbers at the end of a tensor differently are called for each network. Last
batches of different sizes are filled up with rows whose gradients are zero, under the
same test.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from skorch.callbacks import EpochTimer
from torch import nn

from skautoencoder.training.batches import RowBatches, Rows
from skautoencoder.training.devices import usual_torch
from skautoencoder.training.fast.adam import update_for
from skautoencoder.training.fast.objective_gradient import gradient_for
from skautoencoder.training.fast.sequential_gradients import layers_of
from skautoencoder.training.fast.stacked_layers import LINE
from skautoencoder.training.fast.stacked_program import (
    Outcome,
    StackedFit,
    code_size_of,
    n_encoder_layers,
    train_stacked,
)
from skautoencoder.training.optimizers import takes_one_gradient
from skautoencoder.training.threads import is_large

# Numbers that the weights of networks trained together may have. With Adam's averages
# and the gradients it is four times as many, which should stay in a processor's cache.
_MOST_WEIGHTS = 2**20
# Weights of a network above which its steps are arithmetic, not overhead.
_SMALL = 2**16
# Numbers that the shuffled rows of networks trained together may have.
_MOST_ROWS = 2**25

_NO_OTHER = "no other network has its layers, batch size and number of epochs"


def fit_many(nets: Sequence[Any], data: Sequence[Rows]) -> list[Outcome]:
    """Train many nets on their rows, those together that can be.

    Parameters
    ----------
    nets : sequence of AutoencoderNet
        The nets, initialised and checked.
    data : sequence of Rows
        The rows of each, on the CPU.

    Returns
    -------
    outcomes : list
        For each net True if it was trained, to the same bits as by ``partial_fit``; the
        reason if it was not, and is as it was; or the error that ended its training.
    """
    outcomes: list[Outcome] = [""] * len(nets)
    programs: dict[Any, list[int]] = defaultdict(list)
    for index, (net, rows) in enumerate(zip(nets, data, strict=True)):
        reason = _obstacle(net, rows)
        if reason is None:
            programs[_program_key(net, rows)].append(index)
        else:
            outcomes[index] = reason
    # What the fits have set holds in their threads alone.
    with usual_torch(), torch.no_grad():
        for indices in programs.values():
            for some in _within_memory(indices, nets, data):
                if len(some) == 1:
                    outcomes[some[0]] = _NO_OTHER
                    continue
                fits = [StackedFit(i, nets[i], data[i]) for i in some]
                for fit, outcome in zip(fits, train_stacked(fits), strict=True):
                    outcomes[fit.index] = outcome
    return outcomes


def _obstacle(net: Any, rows: Rows) -> str | None:
    """Return why a net cannot be trained together with others; None if it can."""
    if str(net.device) != "cpu":
        return f"it is trained on the device {str(net.device)!r}"
    if is_large(net.step_work) or net.compute_dtype != torch.float32:
        return "its steps are large, so that there is nothing to gain"
    if sum(weight.numel() for weight in net.module_.parameters()) > _SMALL:
        return "its layers are large, so that there is nothing to gain"
    callbacks = [name for name, cb in net.callbacks_ if type(cb) is not EpochTimer]
    if callbacks:
        return f"it has callbacks ({', '.join(callbacks)})"
    if net.history:
        return "its training continues from an earlier fit"
    if rows.targets is not None:
        return "its targets are not its rows"
    if net.validation_fraction is not None or net.valid_rows is not None:
        return "some of its rows are kept for validation"
    if net.iterator_train is not RowBatches or not net.iterator_train__shuffle:
        return "its rows are not shuffled"
    if net.batch_size * rows.rows.shape[1] % LINE and len(rows) > net.batch_size:
        return f"its batches are no multiple of {LINE} numbers"
    net.module_.train()
    try:
        return _obstacle_in_parts(net, rows)
    finally:
        net.module_.eval()


def _obstacle_in_parts(net: Any, rows: Rows) -> str | None:
    network, objective, optimizer = net.module_, net.criterion_, net.optimizer_
    if not takes_one_gradient(optimizer) or update_for(optimizer) is None:
        return "its optimizer is not Adam, or has options of its own"
    optimizer.state.clear()  # of the update function above
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    if len(optimizer.param_groups) != 1 or {*map(id, weights)} != {
        *map(id, network.parameters())
    }:
        return "its optimizer has groups of weights"
    if gradient_for(objective, network) is None:
        return "its gradients need autograd (layers, loss, penalty or tied weights)"
    if objective.corruption is not None:
        return "it learns from noise"
    layers = layers_of(network.encoder, network.decoder)
    if any(isinstance(layer, nn.Dropout | nn.BatchNorm1d) for layer in layers):
        return "it has dropout or batch normalisation"
    if network.center is not None:
        # Rows are centred once for the whole fit, not batch by batch.
        few = rows.rows[: net.batch_size]
        many = network.encoder_input(rows.rows)[: len(few)]
        if not torch.equal(network.encoder_input(few), many):
            return "the bits of its centred rows depend on the batch"
    return None


def _program_key(net: Any, rows: Rows) -> tuple[Any, ...]:
    """Return what nets that are trained together have in common."""
    network, n_coding = net.module_, n_encoder_layers(net.module_)
    shapes: list[Any] = []
    for layer in layers_of(network.encoder, network.decoder):
        if isinstance(layer, nn.Linear):
            n_in, n_out = layer.in_features, layer.out_features
            n_linear = sum(isinstance(shape, tuple) for shape in shapes) + 1
            # The code size may differ.
            shapes.append((n_in * (n_linear != n_coding + 1),))
            shapes[-1] += (n_out * (n_linear != n_coding),)
        else:
            shapes.append(repr(layer))
    return (
        *(tuple(shapes), n_coding, network.output_activation, net.criterion_.loss),
        *(network.center is None, net.batch_size, net.max_epochs, net.lr_schedule),
        bool(net.get_params_for("iterator_train").get("drop_last", False)),
    )


def _within_memory(
    indices: list[int], nets: Sequence[Any], data: Sequence[Rows]
) -> Iterator[list[int]]:
    """Yield nets of a program in portions whose weights stay in the cache."""
    n_weights = max(
        sum(w.numel() for w in nets[i].module_.parameters()) for i in indices
    )
    n_numbers = max(data[i].rows.numel() for i in indices)
    most = max(min(_MOST_WEIGHTS // n_weights, _MOST_ROWS // n_numbers), 1)
    n_portions = -(-len(indices) // most)
    # Of similar sizes, and nets of a code size in one portion where it can be.
    indices = sorted(indices, key=lambda i: code_size_of(nets[i].module_))
    size = -(-len(indices) // n_portions)
    for start in range(0, len(indices), size):
        yield indices[start : start + size]
