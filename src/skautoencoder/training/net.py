"""The skorch net behind every estimator."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from typing import Any, Self

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer
from skorch.callbacks import EarlyStopping as SkorchEarlyStopping
from skorch.history import History
from torch import Tensor

from skautoencoder.training.allocator import keep_freed_memory
from skautoencoder.training.batches import RowBatches, Rows, mean_loss
from skautoencoder.training.callbacks import KNOWN_CALLBACKS
from skautoencoder.training.devices import without_autocast
from skautoencoder.training.learning_rate import learning_rate_factor
from skautoencoder.training.net_checks import (
    is_memory_error,
    network_too_large,
    refused_by_optimizer,
    require_finite,
    require_finite_weights,
    require_same_layers,
)
from skautoencoder.training.optimizers import (
    lay_out_gradients,
    lay_out_states,
    takes_one_gradient,
)
from skautoencoder.training.progress import EpochTable, FitProgress
from skautoencoder.training.shards import Shards
from skautoencoder.training.step_functions import StepFunctions
from skautoencoder.training.stopping import StopTraining
from skautoencoder.training.threads import (
    is_large,
    n_shards_for,
    operating,
    threads_for,
    torchs_threads,
)

try:
    from skautoencoder.training.fast import fit_many, step_for
except ModuleNotFoundError:  # training/fast was deleted: slower, same results

    def step_for(network: Any, objective: Any, optimizer: Any) -> StepFunctions:
        """Return no faster ways: autograd and the optimizer do everything."""
        return StepFunctions()

    def fit_many(
        nets: Sequence[Any], data: Sequence[Rows]
    ) -> list[bool | str | Exception]:
        """Train no networks together: they are trained one by one."""
        return ["training/fast was deleted"] * len(nets)


class AutoencoderNet(NeuralNet):
    """A skorch net that minimises an objective over batches of rows.

    What differs from skorch's own loop: the objective is called with the module
    and the batch, not with a prediction; losses are read from the device once per
    epoch; only callbacks that override a hook for batches are called for each; a loss
    that is not finite is an error; KeyboardInterrupt is not suppressed.

    Parameters
    ----------
    module : callable
        Returns the network (``module__*`` are its arguments).
    criterion : callable
        Returns the objective (``criterion__*`` are its arguments).
    lr_schedule : {"one_cycle", "cosine", "constant"}, default="constant"
        How the learning rate changes during one call of ``fit``.
    validation_fraction : float, default=None
        Share of the rows kept out of training for ``valid_loss``.
    compute_dtype : torch.dtype, default=torch.float32
        Type of the matrix products in training.
    step_work : float, default=0.0
        Floating-point operations of a step: large ones are computed in shards.
    seed : int, default=0
        Seed of the validation split.
    label : str, default="AutoencoderNet"
        What a progress bar calls the fit.
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
        label: str = "AutoencoderNet",
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
        self.label = label

    # The module that users import it from, and that its representation shows.
    __module__ = "skautoencoder.training"

    history: History
    optimizer_: Any
    # Number of shards of each batch in the last fit.
    n_shards_: int = 1
    # Epochs of this fit that an earlier process has done, see Checkpoint.
    n_epochs_before: int = 0
    # Steps of this call of ``partial_fit`` that are done.
    n_done: int = 0
    # Set during a fit only.
    _shards: Shards | None = None
    valid_rows: Rows | None = None
    # Such as " [start 2/5]", where a fit trains several networks.
    which_start: str = ""
    _quick: StepFunctions | None = None

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        callbacks: list[tuple[str, Callback]] = [("epoch_timer", EpochTimer())]
        if self.verbose == 1:
            callbacks.append(("progress", FitProgress(self.label)))
        if self.verbose > 1:
            callbacks.append(("print_log", EpochTable()))
        return callbacks

    def initialize(self) -> Self:
        """Make the network, the objective, the optimizer and the callbacks."""
        try:
            return super().initialize()
        except (MemoryError, RuntimeError, TypeError) as error:
            if is_memory_error(error):
                raise network_too_large(self) from error
            raise

    def initialize_optimizer(self, triggered_directly: None = None) -> Self:
        """Make the optimizer."""
        try:
            return super().initialize_optimizer()
        except (TypeError, ValueError, RuntimeError) as error:
            raise refused_by_optimizer(self, error) from error

    # ---- one fit -------------------------------------------------------------

    def get_split_datasets(
        self, X: Rows, y: None = None, **fit_params: Any
    ) -> tuple[Rows, Rows | None]:
        """Return the training and the validation part of the rows."""
        if self.valid_rows is not None:
            train, valid = X, self.valid_rows
        elif self.validation_fraction is None:
            return X, None
        else:
            train, valid = X.split(self.validation_fraction, self.seed)
        corruption = self.get_params_for("criterion").get("corruption")
        if corruption is None:
            return train, valid
        # Noise like that of training, but the same in each epoch. A callable of the
        # user's own is called with batches, as in training.
        noisy = [corruption(rows) for rows in valid.rows.split(self.batch_size)]
        return train, Rows(torch.cat(noisy), valid[:][1])

    def partial_fit(
        self, X: Rows, y: None = None, classes: None = None, **fit_params: Any
    ) -> Self:
        """Train on `X` for ``max_epochs`` epochs, from the current weights."""
        if not self.initialized_:
            self.initialize()
        fit_params.pop("_routing_method", None)
        self.begin(X, y)
        n_shards = self.n_shards_ = 1
        takes_threads = getattr(self.criterion_, "takes_torchs_threads", True)
        if takes_threads and self._device_type == "cpu" and is_large(self.step_work):
            n_weights = sum(weight.numel() for weight in self.module_.parameters())
            n_shards = n_shards_for(self.step_work, n_weights)
        # The compute dtype applies even if the caller uses autocast.
        with (
            without_autocast(self._device_type),
            threads_for(n_shards) as run,
            suppress(StopTraining),
        ):
            self._shards = Shards(n_shards, run) if n_shards > 1 else None
            n_left = self.max_epochs - self.n_epochs_before
            rows = X.to(torch.device(self.device))
            try:
                self.fit_loop(rows, y, epochs=n_left, **fit_params)
            finally:
                # Threads and closures cannot be pickled with the net.
                self._shards = self._quick = None
        return self.end(X, y)

    def begin(self, X: Rows, y: None = None) -> None:
        """Prepare for the first epoch of a call of ``partial_fit``."""
        keep_freed_memory()
        # Counters of this call, from which the schedule computes its progress.
        self._n_steps, self.n_done, self.n_epochs_before = 0, 0, 0
        for group in self.optimizer_.param_groups:
            # An earlier call may have ended at the low end of its schedule.
            group["lr"] = group.setdefault("initial_lr", group["lr"])
        self.notify("on_train_begin", X=X, y=y)

    def end(self, X: Rows, y: None = None) -> Self:
        """Notify callbacks and check the weights, after the last epoch."""
        self.notify("on_train_end", X=X, y=y)
        self._set_training(False)
        require_finite_weights(self)
        return self

    def get_iterator(self, dataset: Rows, training: bool = False) -> RowBatches:
        """Return the batches of rows, in the order that follows the epochs before."""
        batches: RowBatches = super().get_iterator(dataset, training=training)
        if training:
            for _ in range(self.n_epochs_before):
                batches.skip()
        return batches

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
        # Callbacks such as Checkpoint read the last batch of an epoch.
        self.history.new_batch()
        unknown = any(type(cb) not in KNOWN_CALLBACKS for _, cb in self.callbacks_)
        if unknown or not training or self._quick is None:
            self._prepare_steps(training)
        # Entered once an epoch: it takes as long as the product of two small matrices.
        with torch.no_grad():
            steps = self._steps(iterator, training, step_fn, unknown)
            loss, n_steps = mean_loss(steps, iterator)
        self.record_epoch(prefix, loss, n_steps)

    def record_epoch(self, prefix: str, loss: float, n_steps: int) -> None:
        """Record the mean loss of an epoch in the history.

        Parameters
        ----------
        prefix : {"train", "valid"}
            What the epoch was for.
        loss : float
            The mean loss. An error is raised if it is not finite.
        n_steps : int
            Number of batches.
        """
        # Not history[-1], which takes skorch longer than the rest.
        name, epoch = f"{prefix}_loss", next(reversed(self.history))
        best = (row[name] for row in reversed(self.history) if row.get(f"{name}_best"))
        epoch[f"{name}_best"] = loss < next(best, math.inf)
        epoch[name] = loss
        epoch[f"{prefix}_batch_count"] = n_steps
        if hasattr(self.criterion_, "take_terms"):
            for term, mean in self.criterion_.take_terms().items():
                epoch[f"{prefix}_{term}"] = mean
        if prefix == "train":
            epoch["lr"] = self.optimizer_.param_groups[0]["lr"]
        require_finite(self, loss, f"{prefix}_loss")

    def _prepare_steps(self, training: bool) -> None:
        """Set the network's mode, and look up faster functions for its steps."""
        self._set_training(training)
        self._quick = None
        if training:
            lay_out_states(self.optimizer_)
        if not training or not takes_one_gradient(self.optimizer_):
            return
        step = step_for(self.module_, self.criterion_, self.optimizer_)
        if self._shards is not None or self.compute_dtype != torch.float32:
            step = replace(step, gradient=None)
        if step.gradient is not None:
            # It would overwrite the tensors in `grad`, which a callback may have kept.
            for group in self.optimizer_.param_groups:
                for weight in group["params"]:
                    weight.grad = None
        self._quick = step

    def _steps(
        self,
        batches: Iterable[tuple[Tensor, Tensor]],
        training: bool,
        step_fn: Callable[..., dict[str, Any]],
        unknown: bool,
    ) -> Iterator[tuple[Tensor, int]]:
        """Take the steps of an epoch; yield their losses and how much these count.

        Parameters
        ----------
        batches : iterable of tuple of Tensor
            Rows and targets.
        training : bool
            Whether to train, or only to measure the loss.
        step_fn : callable
            :meth:`train_step` or :meth:`validation_step`.
        unknown : bool
            Whether there is a callback that may change the network, or keep its
            gradients.
        """
        hooks = ("on_batch_begin", "on_batch_end", "on_grad_computed")
        *of_batches, of_gradients = (bool(self._listeners(hook)) for hook in hooks)
        notifies = any(of_batches)
        unknown = unknown and (notifies or of_gradients)
        # The target of a step may be another one than that of the batch.
        weigh = len if hasattr(self.criterion_, "prepare") else self._weigh
        for batch in batches:
            if notifies:
                self.notify("on_batch_begin", batch=batch, training=training)
            if unknown:
                self._prepare_steps(training)
            with operating():
                step, size = step_fn(batch), round(weigh(batch[1]))
            yield step["loss"], size
            if notifies:
                self.notify("on_batch_end", batch=batch, training=training, **step)

    def train_step(
        self, batch: tuple[Tensor, Tensor], **fit_params: Any
    ) -> dict[str, Tensor]:
        """Take one step of the optimizer; return its loss, still on the device."""
        progress = self.n_done / self._n_steps
        self.n_done += 1
        # Looked up on the class: a missing attribute of a module takes long to look up.
        if hasattr(type(self.criterion_), "progress"):
            self.criterion_.progress = progress
        # A constant rate is not set, as callbacks may change it.
        if self.lr_schedule != "constant":
            factor = learning_rate_factor(self.lr_schedule, progress)
            for group in self.optimizer_.param_groups:
                group["lr"] = group["initial_lr"] * factor
        step = self._quick
        if step is None:
            # The optimizer calls the closure itself, perhaps several times.
            with torch.enable_grad():
                loss = self.optimizer_.step(lambda: self._learn(batch))
            return {"loss": loss.detach()}
        if step.gradient is None:
            loss = self._learn(batch)
        else:
            loss = step.gradient(*batch)
            self._notify_of_gradients(batch)
        if step.update is None:
            self.optimizer_.step()
        else:
            step.update()
        return {"loss": loss.detach()}

    @torch.enable_grad()
    def _learn(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Set the gradients of the weights with autograd; return the objective."""
        self.optimizer_.zero_grad()
        shown, shards = self._prepared(batch), self._shards_if_independent()
        if shards is not None:
            loss = shards.learn(self._objective, self.module_, shown, self._weigh)
        else:
            with self._whole_batch():
                loss = self._objective(shown)
                loss.backward()
        self._notify_of_gradients(batch)
        if self._quick is None and not self.optimizer_.defaults.get("fused"):
            # L-BFGS flattens gradients with ``view``, which needs contiguous memory.
            for weight in self.module_.parameters():
                if weight.grad is not None:
                    weight.grad = weight.grad.contiguous()
        return loss

    def _notify_of_gradients(self, batch: tuple[Tensor, Tensor]) -> None:
        if self._listeners("on_grad_computed"):
            self.notify(
                "on_grad_computed",
                named_parameters=list(self.get_all_learnable_params()),
                batch=batch,
                training=True,
            )
            lay_out_gradients(self.module_.parameters())

    def validation_step(
        self, batch: tuple[Tensor, Tensor], **fit_params: Any
    ) -> dict[str, Tensor]:
        """Return the loss of a batch, without gradients."""
        shown, shards = self._prepared(batch), self._shards_if_independent()
        if shards is not None:
            return {"loss": shards.evaluate(self._objective, shown, self._weigh)}
        with self._whole_batch():
            return {"loss": self._objective(shown)}

    @property
    def _weigh(self) -> Callable[[Tensor], float]:
        """A function of targets: over how many terms the objective is the mean."""
        weigh: Callable[[Tensor], float] = getattr(self.criterion_, "weigh", len)
        return weigh

    def _shards_if_independent(self) -> Shards | None:
        """Return the shards, or None if those of a batch depend on each other."""
        if self._shards is None or not getattr(self.criterion_, "splits", False):
            return None
        if not self.module_.can_shard():
            return None
        self.n_shards_ = self._shards.n_shards
        return self._shards

    def _whole_batch(self) -> AbstractContextManager[Any]:
        """Return the context in which to compute a batch that is not sharded."""
        return nullcontext() if self._shards is None else torchs_threads()

    def _objective(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        autocast: AbstractContextManager[Any] = nullcontext()
        if self.compute_dtype != torch.float32:
            # No cache: rounded weights are used once, and threads would share it.
            autocast = torch.autocast(
                self._device_type, dtype=self.compute_dtype, cache_enabled=False
            )
        with autocast:
            loss: Tensor = self.criterion_(self.module_, *batch)
        return loss

    def _prepared(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return a batch after the objective's `prepare`, before it is sharded."""
        if not hasattr(self.criterion_, "prepare"):
            return batch
        prepared: tuple[Tensor, Tensor] = self.criterion_.prepare(self.module_, *batch)
        return prepared

    @property
    def _device_type(self) -> str:
        return str(self.device).partition(":")[0]

    def continue_from(self, net: AutoencoderNet) -> None:
        """Take over the weights, the history and the seed of another net."""
        require_same_layers(self.module_, net.module_)
        # By the seed, the rows that it was validated on are kept out again.
        self.seed = net.seed
        self.module_.load_state_dict(net.module_.state_dict())
        self.history = copy.deepcopy(net.history)

    def twin(self) -> AutoencoderNet:
        """Return a copy that can be trained further while this net stays unchanged.

        Callbacks and their state are shared.
        """
        net = self.snapshot()
        net.initialize_optimizer()
        if self.optimizer_.state:
            state = copy.deepcopy(self.optimizer_.state_dict())
            net.optimizer_.load_state_dict(state)
        return net

    def snapshot(self) -> AutoencoderNet:
        """Return a copy with the weights of now, in evaluation mode."""
        net: AutoencoderNet = object.__new__(type(self))
        net.__dict__.update(self.__dict__)
        # Hooks in the copied module must refer to the same callbacks.
        memo = {id(callback): callback for _, callback in self.callbacks_}
        net.module_ = copy.deepcopy(self.module_, memo)
        net.criterion_ = copy.copy(self.criterion_)
        net.history = History(self.history)
        net._set_training(False)
        return net

    def forget_steps(self) -> None:
        """Drop the optimizer's state.

        Adam's has twice the size of the weights and would be pickled with the net.
        """
        self.optimizer_.zero_grad()
        self.optimizer_.state.clear()
        # Copying an optimizer keeps its groups and state, and drops other attributes.
        self.optimizer_ = copy.copy(self.optimizer_)

    def __deepcopy__(self, memo: dict[int, Any]) -> AutoencoderNet:
        # skorch's __getstate__ would do if everything in a net could be pickled.
        net: AutoencoderNet = object.__new__(type(self))
        memo[id(self)] = net
        net.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return net

    def __getstate__(self) -> dict[str, Any]:
        try:
            state: dict[str, Any] = super().__getstate__()
        except (AttributeError, TypeError, pickle.PicklingError):
            # skorch pickles device-dependent attributes itself, which fails for
            # lambdas. The caller may be cloudpickle, which can pickle them.
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
                with torch.enable_grad():
                    getattr(callback, method_name)(self, **cb_kwargs)
            except StopTraining:
                stops = True
            except KeyboardInterrupt:
                if not isinstance(callback, SkorchEarlyStopping):
                    raise
                stops = True
        if method_name == "on_epoch_end":
            # Callbacks need the records of batches during the epoch only; kept, they
            # would be pickled with every fitted estimator. One empty record stays for
            # callbacks that read the last one later.
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
