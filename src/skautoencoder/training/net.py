"""The skorch net behind every estimator."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from itertools import chain, zip_longest
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import (
    Callback,
    EpochTimer,
    GradientNormClipping,
    LRScheduler,
    PrintLog,
    ProgressBar,
)
from skorch.callbacks import EarlyStopping as SkorchEarlyStopping
from skorch.history import History
from torch import Tensor

from skautoencoder.objectives import DirectGradient
from skautoencoder.training.adam import without_autograd
from skautoencoder.training.batches import RowBatches, Rows
from skautoencoder.training.checks import ChecksMixin
from skautoencoder.training.devices import without_autocast
from skautoencoder.training.direct_parts import DirectParts
from skautoencoder.training.division import Division, divided
from skautoencoder.training.memory import keep_freed_memory
from skautoencoder.training.optimizers import takes_one_gradient
from skautoencoder.training.parts import Parts
from skautoencoder.training.schedule import learning_rate_factor
from skautoencoder.training.stopping import EarlyStopping, StopTraining

# What callbacks are told of batches.
_OF_BATCHES = ("on_batch_begin", "on_batch_end", "on_grad_computed")

# Those who leave network, gradients and optimizer as they are, but for the rate.
_KNOWN_CALLBACKS = {
    EarlyStopping,
    EpochTimer,
    GradientNormClipping,
    LRScheduler,
    PrintLog,
    ProgressBar,
}


# In a batch whose memory does not matter.
_FEW_NUMBERS = 2**18


class AutoencoderNet(ChecksMixin, NeuralNet):
    """A skorch net that minimises an objective over batches of rows.

    What differs from skorch's own loop: the objective is asked with the module
    and the batch, not with a prediction; losses are read from the device once an
    epoch; callbacks are told of a batch only if they listen; a loss that is not
    finite is an error; Ctrl-C is not swallowed.

    Parameters
    ----------
    module : callable
        Makes the network (``module__*`` are its arguments).
    criterion : callable
        Makes the objective (``criterion__*`` are its arguments).
    lr_schedule : {"one_cycle", "cosine", "constant"}, default="constant"
        How the learning rate goes through one call of ``fit``.
    validation_fraction : float, default=None
        Share of the rows kept out of training for ``valid_loss``.
    compute_dtype : torch.dtype, default=torch.float32
        Type of the matrix products in training.
    step_work : float, default=0.0
        Floating-point operations of a step, by which it is divided among threads.
    seed : int, default=0
        Seed of the validation split.
    **kwargs : dict
        Parameters of :class:`skorch.NeuralNet`.
    """

    def __init__(
        self,
        module: Callable[..., torch.nn.Module],
        criterion: Callable[..., torch.nn.Module],
        *,
        lr_schedule: str = "constant",
        validation_fraction: float | None = None,
        compute_dtype: torch.dtype = torch.float32,
        step_work: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("iterator_train", RowBatches)
        kwargs.setdefault("iterator_train__shuffle", True)
        kwargs.setdefault("iterator_valid", RowBatches)
        super().__init__(module, criterion=criterion, train_split=None, **kwargs)
        self.lr_schedule = lr_schedule
        self.validation_fraction = validation_fraction
        self.compute_dtype = compute_dtype
        self.step_work = step_work
        self.seed = seed

    # Where users find it, and what its representation shows.
    __module__ = "skautoencoder.training"

    history: History
    optimizer_: Any
    # Into how many parts batches of the last fit were divided.
    n_parts_: int = 1
    # During a fit.
    _division: Division | None = None
    # How gradients are had, as long as nobody can have changed it.
    _gradient: DirectGradient | None = None

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        callbacks: list[tuple[str, Callback]] = [("epoch_timer", EpochTimer())]
        if self.verbose:
            callbacks.append(("progress", ProgressBar()))
        if self.verbose > 1:
            callbacks.append(("print_log", PrintLog()))
        return callbacks

    # ---- one fit -------------------------------------------------------------

    def get_split_datasets(
        self, X: Rows, y: None = None, **fit_params: Any
    ) -> tuple[Rows, Rows | None]:
        """Return the training and the validation part of the rows."""
        if self.validation_fraction is None:
            return X, None
        train, valid = X.split(self.validation_fraction, self.seed)
        corruption = self.get_params_for("criterion").get("corruption")
        if corruption is None:
            return train, valid
        # Noisy like the rows to learn from, but with the same noise in each epoch.
        # A noise of the user's own is asked for batches, as in training.
        noisy = [corruption(rows) for rows in valid.rows.split(self.batch_size)]
        return train, Rows(torch.cat(noisy), valid[:][1])

    def partial_fit(
        self, X: Rows, y: None = None, classes: None = None, **fit_params: Any
    ) -> AutoencoderNet:
        """Train on `X` for ``max_epochs`` epochs, from the weights that there are."""
        if not self.initialized_:
            self.initialize()
        self.check_monitors()
        fit_params.pop("_routing_method", None)
        keep_freed_memory()
        # Counters of this call, from which the schedule knows how far it is.
        self._n_steps, self._step = 0, 0
        for group in self.optimizer_.param_groups:
            # A call before may have left it at the end of its schedule.
            group["lr"] = group.setdefault("initial_lr", group["lr"])
        self.notify("on_train_begin", X=X, y=y)
        # What the compute dtype says goes, also where the user computes otherwise.
        with (
            without_autocast(self._device_type),
            self._divided(),
            suppress(StopTraining),
        ):
            self.fit_loop(X, y, **fit_params)
        self.notify("on_train_end", X=X, y=y)
        self._set_training(False)
        self._require_finite_weights()
        return self

    @contextmanager
    def _divided(self) -> Iterator[None]:
        """Divide long steps among threads within the block."""
        self.n_parts_ = 1
        with divided(self.module_, self.step_work, self._device_type) as division:
            self._division = division
            try:
                yield
            finally:
                # Neither can be stored with the net.
                self._division = self._gradient = None

    def run_single_epoch(
        self,
        iterator: RowBatches | None,
        training: bool,
        prefix: str,
        step_fn: Callable[..., dict[str, Any]],
        **fit_params: Any,
    ) -> None:
        """Go through all batches once and record the mean loss."""
        if iterator is None:
            return
        if training and not self._n_steps:
            self._n_steps = self.max_epochs * len(iterator)
        # Callbacks such as Checkpoint look for the last batch of an epoch.
        self.history.new_batch()
        undisturbed = _are_known(callback for _, callback in self.callbacks_)
        gradient = self._gradient
        if gradient is None or not training or not undisturbed:
            # Callbacks may listen to layers by now, or have stopped to.
            self._set_training(training)
            gradient = self._start_direct_gradient() if training else None
            self._gradient = gradient if undisturbed else None
        if gradient is None or any(map(self._listeners, _OF_BATCHES)):
            steps = self._told_steps(iterator, training, step_fn, gradient)
            loss, n_steps = _mean_loss(steps, iterator)
        else:
            with without_autograd():
                steps = self._quiet_steps(iterator, gradient)
                loss, n_steps = _mean_loss(steps, iterator)
        name, epoch = f"{prefix}_loss", self.history[-1]
        best = (row[name] for row in reversed(self.history) if row.get(f"{name}_best"))
        epoch[f"{name}_best"] = loss < next(best, math.inf)
        epoch[name] = loss
        epoch[f"{prefix}_batch_count"] = n_steps
        if training:
            epoch["lr"] = self.optimizer_.param_groups[0]["lr"]
        self._require_finite(loss, f"{prefix}_loss")

    def train_step(
        self,
        batch: tuple[Tensor, Tensor],
        direct_gradient: DirectGradient | None = None,
        **fit_params: Any,
    ) -> dict:
        """Take one step of the optimizer; return its loss, still on the device."""
        self._set_out()
        told = self._listeners("on_grad_computed")

        def closure() -> Tensor:
            self.optimizer_.zero_grad()
            parts, shown = self._parts(), self._prepared(batch)
            if parts is not None:
                loss = parts.learn(self._objective, self.module_, shown, self._weigh)
            else:
                with self._whole():
                    loss = self._objective(shown)
                loss.backward()
            if told:
                self._tell_of_gradients(batch)
            return loss

        if direct_gradient is not None:
            with without_autograd():
                loss = direct_gradient(*self._on_device(batch))
            if told:
                self._tell_of_gradients(batch)
        elif takes_one_gradient(self.optimizer_):
            with torch.enable_grad():
                loss = closure()
        else:
            return {"loss": self.optimizer_.step(closure).detach()}
        self._take_step()()
        return {"loss": loss.detach()}

    def _told_steps(
        self,
        batches: Iterable[tuple[Tensor, Tensor]],
        training: bool,
        step_fn: Callable[..., dict[str, Any]],
        gradient: DirectGradient | None,
    ) -> Iterator[tuple[Tensor, int]]:
        """Take the steps of an epoch and tell callbacks; yield losses and sizes."""
        told = self._listeners("on_batch_begin") or self._listeners("on_batch_end")
        # Who is not known may change the network, or keep gradients, between any two.
        listeners = chain.from_iterable(map(self._listeners, _OF_BATCHES))
        anew = not _are_known(listeners)
        for batch in batches:
            if told:
                self.notify("on_batch_begin", batch=batch, training=training)
            if anew:
                self._set_training(training)
                gradient = self._start_direct_gradient() if training else None
            step = step_fn(batch, direct_gradient=gradient)
            yield step["loss"], len(batch[0])
            if told:
                self.notify("on_batch_end", batch=batch, training=training, **step)

    def _quiet_steps(
        self, batches: Iterable[tuple[Tensor, Tensor]], gradient: DirectGradient
    ) -> Iterator[tuple[Tensor, int]]:
        """Take the steps of an epoch of which nobody is told; yield losses and sizes.

        Without autograd. What else a step does takes a tenth of a small network's time.
        """
        take_step = self._take_step()
        for batch in batches:
            self._set_out()
            rows, targets = self._on_device(batch)
            loss = gradient(rows, targets)
            take_step()
            yield loss, len(rows)

    def _set_out(self) -> None:
        """Tell objective and optimizer how far the fit is, before a step."""
        progress = self._step / self._n_steps
        self._step += 1
        # Modules take their time to say that they do not have something.
        if hasattr(type(self.criterion_), "progress"):
            self.criterion_.progress = progress
        # A constant rate is left alone: callbacks may be changing it.
        if self.lr_schedule != "constant":
            factor = learning_rate_factor(self.lr_schedule, progress)
            for group in self.optimizer_.param_groups:
                group["lr"] = group["initial_lr"] * factor

    def _tell_of_gradients(self, batch: tuple[Tensor, Tensor]) -> None:
        self.notify(
            "on_grad_computed",
            named_parameters=list(self.get_all_learnable_params()),
            batch=batch,
            training=True,
        )

    def validation_step(self, batch: tuple[Tensor, Tensor], **fit_params: Any) -> dict:
        """Return the loss of a batch, without learning from it."""
        parts, shown = self._parts(), self._prepared(batch)
        if parts is not None:
            return {"loss": parts.evaluate(self._objective, shown, self._weigh)}
        with torch.no_grad(), self._whole():
            return {"loss": self._objective(shown)}

    def _whole(self) -> AbstractContextManager[Any]:
        """Return the block within which whole batches are computed."""
        return nullcontext() if self._division is None else self._division.blocks

    def _take_step(self) -> Callable[[], object]:
        """Return what changes the weights by the gradients that are there."""
        step: Callable[[], object] = self.optimizer_.step
        whole = self._whole()
        if isinstance(whole, nullcontext):
            return step

        def take_step() -> None:
            with whole:
                step()

        return take_step

    def _parts(self) -> Parts | None:
        """Return what divides batches, if their parts may be computed by themselves."""
        if self._division is None or self._division.parts is None:
            return None
        if not self.can_split():
            return None
        self.n_parts_ = self._division.parts.n_parts
        return self._division.parts

    def can_split(self) -> bool:
        """Return whether the parts of a batch may be computed at the same time."""
        return (
            self._device_type == "cpu"
            and getattr(self.criterion_, "splits", False)
            and self.module_.can_split()
        )

    def _start_direct_gradient(self) -> DirectGradient | None:
        """Return how the objective's gradient is had without autograd, if it can be.

        Weights are left without one, for it to begin anew.

        Products of reduced precision are for steps so long that autograd's share in
        them does not matter, unless they are computed in parts. Optimizers that are not
        known may want several gradients a step, or keep them.
        """
        find = getattr(self.criterion_, "direct_gradient", None)
        if find is None or not takes_one_gradient(self.optimizer_):
            return None
        # It would write over the last ones, which somebody may have kept.
        for group in self.optimizer_.param_groups:
            for weight in group["params"]:
                weight.grad = None
        division = self._division or Division()
        parts = division.parts
        if parts is not None and (division.meets or not parts.meet):
            direct = DirectParts(find, self.module_, parts, self.compute_dtype)
            if direct.is_possible:
                self.n_parts_ = parts.n_parts
                return direct
        if self.compute_dtype != torch.float32:
            return None
        found: DirectGradient | None = find(self.module_)
        return found

    def _objective(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        with self._autocast():
            loss: Tensor = self.criterion_(self.module_, *batch)
        return loss

    def _prepared(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return a batch as the objective wants it, before it may be divided."""
        batch = self._on_device(batch)
        if not hasattr(self.criterion_, "prepare"):
            return batch
        prepared: tuple[Tensor, Tensor] = self.criterion_.prepare(self.module_, *batch)
        return prepared

    @property
    def _weigh(self) -> Callable[[Tensor], float]:
        return getattr(self.criterion_, "weigh", len)

    def _on_device(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        rows, targets = batch
        if rows.device.type == self._device_type:
            return batch
        device = torch.device(self.device)
        shared = targets is rows
        rows = rows.to(device, non_blocking=True)
        targets = rows if shared else targets.to(device, non_blocking=True)
        return rows, targets

    @property
    def _device_type(self) -> str:
        return str(self.device).partition(":")[0]

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.compute_dtype == torch.float32:
            return nullcontext()
        # Rounded weights are used once. To keep them is to share them among threads.
        return torch.autocast(
            self._device_type, dtype=self.compute_dtype, cache_enabled=False
        )

    def continue_from(self, net: AutoencoderNet) -> None:
        """Take over the weights and the history of another net."""
        # Weights of another network might fit by chance: compare the layers.
        if repr(self.module_) != repr(net.module_):
            pairs = zip_longest(
                repr(net.module_).splitlines(), repr(self.module_).splitlines()
            )
            before, now = next((b, n) for b, n in pairs if b != n)
            raise ValueError(
                "warm_start=True continues with the network of the fit before, but "
                "the parameters now describe another one. Set warm_start=False or "
                f"put them back. First difference: {before}, now {now}."
            )
        self.module_.load_state_dict(net.module_.state_dict())
        self.history = copy.deepcopy(net.history)

    def twin(self) -> AutoencoderNet:
        """Return a net that goes on from here and leaves this one as it is.

        Callbacks and their state are shared.
        """
        net: AutoencoderNet = object.__new__(type(self))
        net.__dict__.update(self.__dict__)
        # Hooks of callbacks are to be those of the same callbacks.
        memo = {id(callback): callback for _, callback in self.callbacks_}
        net.module_ = copy.deepcopy(self.module_, memo)
        net.criterion_ = copy.copy(self.criterion_)
        if self.optimizer_.state:
            net.optimizer_ = copy.deepcopy(self.optimizer_, memo)
        else:
            net.initialize_optimizer()
        net.history = History(self.history)
        return net

    def forget_steps(self) -> None:
        """Drop what the optimizer knows of the steps before.

        It is twice as much as the weights, and stored with them.
        """
        self.optimizer_.zero_grad()
        self.optimizer_.state.clear()
        # What optimizers hold besides is not copied.
        self.optimizer_ = copy.copy(self.optimizer_)

    def __deepcopy__(self, memo: dict[int, Any]) -> AutoencoderNet:
        # skorch's way of storing a net would do, if all that nets hold could be stored.
        net: AutoencoderNet = object.__new__(type(self))
        memo[id(self)] = net
        net.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return net

    def __getstate__(self) -> dict[str, Any]:
        try:
            state: dict[str, Any] = super().__getstate__()
        except (AttributeError, TypeError, pickle.PicklingError):
            # skorch pickles what may be on a device by itself, which lambdas are not
            # for. Whoever is storing this net, cloudpickle perhaps, may know how to.
            return self.__dict__.copy()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "module_" in state:
            self.__dict__.update(state)
        else:
            super().__setstate__(state)

    # ---- callbacks -------------------------------------------------------------

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call a method of this net and of the callbacks that have one."""
        getattr(self, method_name)(self, **cb_kwargs)
        stops = False
        for callback in self._listeners(method_name):
            try:
                getattr(callback, method_name)(self, **cb_kwargs)
            except StopTraining:
                stops = True
            except KeyboardInterrupt:
                if not isinstance(callback, SkorchEarlyStopping):
                    raise
                stops = True
        if method_name == "on_epoch_end":
            # Batches are of use to callbacks while the epoch runs; kept, they
            # would be stored with every fitted estimator. One stays, without
            # contents, for those that look for the last one later.
            self.history[-1]["batches"][:] = [{}]
        if stops:
            raise StopTraining

    def _listeners(self, method_name: str) -> list[Callback]:
        return [
            callback
            for _, callback in self.callbacks_
            if getattr(type(callback), method_name)
            is not getattr(Callback, method_name)
        ]


def _mean_loss(
    steps: Iterator[tuple[Tensor, int]], batches: RowBatches
) -> tuple[float, int]:
    """Return the mean loss of steps over all rows, and how many steps there were.

    A loss that stays where its step left it splits the memory that the step freed,
    and large steps cannot use it again. So losses move to a place of their own, after
    each step or, where batches are small, several steps: that takes less time.
    """
    numbers_a_batch = batches.dataset.rows.numel() / len(batches)
    n_together = min(max(int(_FEW_NUMBERS / numbers_a_batch), 1), 64)
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
    # The one place in an epoch where the processor waits for the device.
    return float(losses.float().cpu() @ weights), len(sizes)


def _are_known(callbacks: Iterable[Callback]) -> bool:
    """Return whether none of these callbacks may change or keep what is the net's."""
    return all(type(callback) in _KNOWN_CALLBACKS for callback in callbacks)
