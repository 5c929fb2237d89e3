"""The program of networks that are trained together: stacked weights and batches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from skautoencoder.training.batch_invariance import VECTOR
from skautoencoder.training.batches import RowBatches, Rows
from skautoencoder.training.fast.sequential_gradients import Chain, layers_of
from skautoencoder.training.fast.stacked_layers import (
    LINE,
    StackedActivation,
    StackedLinear,
    StackedLoss,
    StackedRows,
    WeightStack,
    aligned_zeros,
)
from skautoencoder.training.learning_rate import learning_rate_factor
from skautoencoder.training.threads import operating

# What became of a network: trained, the reason why not, or the error of its training.
Outcome = bool | str | Exception


def _linear_layers(network: Any) -> list[nn.Linear]:
    layers = layers_of(network.encoder, network.decoder)
    return [layer for layer in layers if isinstance(layer, nn.Linear)]


def n_encoder_layers(network: Any) -> int:
    """Return the number of linear layers up to the code."""
    return sum(isinstance(layer, nn.Linear) for layer in layers_of(network.encoder))


def code_size_of(network: Any) -> int:
    """Return the code size of a dense network."""
    return _linear_layers(network)[n_encoder_layers(network) - 1].out_features


class StackedFit:
    """A net in a program.

    Attributes
    ----------
    place : int
        Its place in stacks of all nets.
    code_place : int
        Its place among the nets ordered by code size.
    """

    place = code_place = -1

    def __init__(self, index: int, net: Any, rows: Rows) -> None:
        self.index, self.net, self.data = index, net, rows
        self.network = net.module_
        self.group = net.optimizer_.param_groups[0]
        self.batches: RowBatches = net.get_iterator(rows, training=True)
        self.code_size = code_size_of(self.network)
        sizes = [stop - start for start, stop in self.batches.bounds]
        # Of each batch in the rows of an epoch.
        self.shares = torch.tensor(sizes, dtype=torch.float32) / sum(sizes)
        self.error: Exception | None = None

    @property
    def sort_key(self) -> tuple[Any, ...]:
        """Nets with the same key have as many steps and the same optimizer step."""
        group = self.group
        options = ("initial_lr", "betas", "eps", "weight_decay", "maximize")
        group.setdefault("initial_lr", group["lr"])
        return (-len(self.batches.bounds), *(group[option] for option in options))


# ---- one program -------------------------------------------------------------------


class _Part:
    """The chain of layers of the first nets of a program, for batches of some sizes."""

    def __init__(self, program: _Program, rows: StackedRows) -> None:
        self.program, self.part = program, slice(len(rows.counts))
        network = program.fits[0].network
        layers = layers_of(network.encoder, network.decoder)
        n_coding = n_encoder_layers(network)
        fits = program.fits[self.part]
        by_code = sorted(fits, key=lambda fit: fit.code_place)
        order = [fit.place for fit in by_code]
        self.order = self.inverse = None
        if order != sorted(order):
            self.order = torch.tensor(order)
            self.inverse = self.order.argsort()
        groups = [[*g] for _, g in groupby(by_code, key=lambda fit: fit.code_size)]
        self.sizes = [len(group) for group in groups]

        def links(of: list[nn.Module], first: int, group: list[StackedFit]) -> Chain:
            counts = tuple(rows.counts[fit.place] for fit in group)
            of_group = StackedRows(counts, rows.n_rows)
            made: list[Any] = []
            for layer in of:
                if isinstance(layer, nn.Linear):
                    stacks = program.stacks[first]
                    stack = next(s for s in stacks if group[0].index in s.places)
                    start = stack.places[group[0].index]
                    part = slice(start, start + len(group))
                    made.append(StackedLinear(stack, part, of_group))
                    first += 1
                else:
                    before = _linear_layers(group[0].network)[first - 1]
                    n_units = before.out_features
                    made.append(StackedActivation(layer, n_units, of_group))
            return Chain(made)

        linear = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Linear)]
        begin, end = linear[n_coding - 1], linear[n_coding] + 1
        self.encoder = links(layers[:begin], 0, fits)
        self.coders = [links(layers[begin:end], n_coding - 1, g) for g in groups]
        self.decoder = links(layers[end:], n_coding + 1, fits)
        n_features = program.targets.shape[2]
        activation = network.output_activation
        self.loss = StackedLoss(program.loss, activation, n_features, rows)

    def learn(self, rows: slice) -> Tensor:
        """Set the gradients of the weights; return the loss of each net."""
        program = self.program
        outputs = self.encoder.forward(program.inputs[self.part, rows])
        outputs = self._through_coders(outputs, Chain.forward)
        outputs = self.decoder.forward(outputs)
        if program.offsets is not None:
            outputs = outputs + program.offsets[self.part]
        losses, gradient = self.loss(outputs, program.targets[self.part, rows])
        gradient = self.decoder.backward_to_inputs(gradient)
        if self.encoder.links:
            gradient = self._through_coders(gradient, Chain.backward_to_inputs)
            self.encoder.backward(gradient)
        else:
            for coder, part in self._by_code(gradient):
                coder.backward(part)
        return losses

    def _through_coders(
        self, stacked: Tensor, function: Callable[[Chain, Tensor], Tensor]
    ) -> Tensor:
        """Apply a function to the nets of each code size."""
        if len(self.coders) == 1:
            return function(self.coders[0], stacked)
        joined = torch.cat([function(*pair) for pair in self._by_code(stacked)])
        return joined if self.inverse is None else joined[self.inverse]

    def _by_code(self, stacked: Tensor) -> Iterator[tuple[Chain, Tensor]]:
        """Yield the layers at the code, and what is theirs of a stack."""
        if self.order is not None:
            stacked = stacked.index_select(0, self.order)
        return zip(self.coders, stacked.split_with_sizes(self.sizes), strict=True)


class _Block:
    """Neighbouring nets with as many batches and the same steps of Adam."""

    def __init__(self, program: _Program, fits: list[StackedFit]) -> None:
        self.start, self.stop = fits[0].place, fits[-1].place + 1
        self.n_batches, self.n_done = len(fits[0].batches), 0
        self.n_steps = program.max_epochs * self.n_batches
        # Weights, gradients, and Adam's two averages.
        self.tensors: tuple[list[Tensor], ...] = ([], [], [], [])
        for stacks in program.stacks:
            for stack in stacks:
                places = stack.places
                found = sorted(places[f.index] for f in fits if f.index in places)
                for kind in (stack.weights, stack.biases) if found else ():
                    at_once = not kind[0][0].numel() % VECTOR
                    first, last = found[0], found[-1] + 1
                    for target, tensor in zip(self.tensors, kind, strict=True):
                        if at_once:
                            target.append(tensor[first:last])
                        else:
                            target.extend(tensor[first:last].unbind())
        self.counters = torch.zeros(len(self.tensors[0]))
        self.steps = [*self.counters]
        self.schedule, group = program.schedule, fits[0].group
        self.lr = self.initial_lr = group["initial_lr"]
        self.options: dict[str, Any] = {
            "beta1": group["betas"][0],
            "beta2": group["betas"][1],
            "weight_decay": group["weight_decay"],
            "eps": group["eps"],
            "maximize": group["maximize"],
            "amsgrad": False,
        }

    def update(self) -> None:
        """Take a step of Adam."""
        progress = self.n_done / self.n_steps
        self.lr = self.initial_lr * learning_rate_factor(self.schedule, progress)
        self.n_done += 1
        self.counters.add_(1)
        weights, gradients, means, squares = self.tensors
        torch._fused_adam_(
            weights,
            gradients,
            means,
            squares,
            [],
            self.steps,
            lr=self.lr,
            **self.options,
        )


class _Program:
    """Stacked weights and rows of nets, and their training."""

    def __init__(self, fits: list[StackedFit]) -> None:
        self.fits = fits = sorted(fits, key=lambda f: (f.sort_key, f.code_size))
        for place, fit in enumerate(fits):
            fit.place = place
        by_code = sorted(fits, key=lambda fit: (fit.code_size, fit.place))
        for place, fit in enumerate(by_code):
            fit.code_place = place
        first = fits[0].net
        self.loss, self.schedule = first.criterion_.loss, first.lr_schedule
        self.max_epochs = first.max_epochs
        network = fits[0].network
        n_coding = n_encoder_layers(network)
        # For each linear layer one stack or, at the code, one of each code size.
        self.stacks: list[list[WeightStack]] = []
        for number in range(len(_linear_layers(network))):
            groups = [fits]
            if number in (n_coding - 1, n_coding):
                groups = [[*g] for _, g in groupby(by_code, lambda f: f.code_size)]
            self.stacks.append(
                [
                    WeightStack({f.index: _linear_layers(f.network)[number] for f in g})
                    for g in groups
                ]
            )
        self._set_rows()
        self.blocks = [
            _Block(self, [*group])
            for _, group in groupby(fits, key=lambda fit: fit.sort_key)
        ]
        self._set_steps()

    def _set_rows(self) -> None:
        """Make room for the shuffled rows of an epoch."""
        fits = self.fits
        # The last batch may be filled up with rows, see _set_steps.
        longest = max(len(fit.data) for fit in fits) + LINE
        n_features = fits[0].data.rows.shape[1]
        self.targets = aligned_zeros(len(fits), longest, n_features)
        self.inputs, self.offsets = self.targets, None
        if fits[0].network.center is not None:
            self.inputs = aligned_zeros(len(fits), longest, n_features)
        if fits[0].network.output_offset is not None:
            offsets = [fit.network.output_offset for fit in fits]
            self.offsets = torch.stack(offsets)[:, None]
        self.shuffled: list[tuple[StackedFit, Tensor, Tensor | None]] = []
        for fit, targets, inputs in zip(fits, self.targets, self.inputs, strict=True):
            n_rows = len(fit.data)
            shown = inputs[:n_rows] if self.inputs is not self.targets else None
            self.shuffled.append((fit, targets[:n_rows], shown))

    def _set_steps(self) -> None:
        """Prepare the steps of an epoch: a part, its rows, and the blocks to update."""
        widths = {
            w
            for f in self.fits
            for x in _linear_layers(f.network)
            for w in x.weight.shape
        }
        unit = LINE // math.gcd(LINE, *widths)
        parts: dict[StackedRows, _Part] = {}
        self.steps: list[tuple[_Part, slice, list[_Block]]] = []
        for step in range(self.blocks[0].n_batches):
            active = [block for block in self.blocks if step < block.n_batches]
            bounds = [f.batches.bounds[step] for f in self.fits[: active[-1].stop]]
            counts = tuple(stop - start for start, stop in bounds)
            n_rows = math.ceil(max(counts) / unit) * unit
            rows = StackedRows(counts, n_rows)
            if rows not in parts:
                parts[rows] = _Part(self, rows)
            start = bounds[0][0]
            self.steps.append((parts[rows], slice(start, start + n_rows), active))

    def shuffle(self) -> None:
        """Put the rows of each net into the order of its next pass."""
        for fit, targets, inputs in self.shuffled:
            rows, order = fit.data.rows, fit.batches.next_order()
            torch.index_select(rows, 0, order, out=targets)
            if inputs is not None:
                inputs.copy_(fit.network.encoder_input(targets))

    def run_epoch(self) -> None:
        """Take the steps of an epoch, and collect their losses."""
        self.shuffle()
        self.losses: list[Tensor] = []
        for part, rows, blocks in self.steps:
            with operating():
                self.losses.append(part.learn(rows))
                for block in blocks:
                    block.update()

    def losses_of(self, block: _Block) -> Tensor:
        """Return the losses of the last epoch, a row for each net of a block."""
        found = self.losses[: block.n_batches]
        return torch.stack([losses[block.start : block.stop] for losses in found], 1)


def train_stacked(fits: list[StackedFit]) -> list[Outcome]:
    """Train nets together; record the history of each as a fit of its own does."""
    program = _Program(fits)
    for fit in fits:
        fit.net.begin(fit.data)
    for _ in range(program.max_epochs):
        start = time.time()
        program.run_epoch()
        for block in program.blocks:
            losses = program.losses_of(block)
            for fit, of_steps in zip(
                program.fits[block.start : block.stop], losses.unbind(), strict=True
            ):
                fit.group["lr"] = block.lr
                # A copy, as sums of products depend on where their numbers start.
                loss = float(of_steps.clone() @ fit.shares)
                _record_epoch(fit, loss, block.n_batches, start)
    for stacks in program.stacks:
        for stack in stacks:
            stack.write_back()
    outcomes: list[Outcome] = []
    for fit in fits:
        try:
            if fit.error is None:
                fit.net.end(fit.data)
        except ValueError as error:
            fit.error = error
        outcomes.append(True if fit.error is None else fit.error)
    return outcomes


def _record_epoch(fit: StackedFit, loss: float, n_steps: int, start: float) -> None:
    """Write what skorch's hooks would; they take a sixth of a small epoch's time."""
    if fit.error is not None:
        return
    history = fit.net.history
    epoch = {"batches": [{}], "epoch": len(history) + 1}
    history.append(epoch)
    try:
        fit.net.record_epoch("train", loss, n_steps)
        epoch["dur"] = time.time() - start
    except ValueError as error:  # it diverged; the others go on
        fit.error = error
