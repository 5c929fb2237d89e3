"""Making the net of a plan, and training it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch

from skautoencoder._estimator.estimator_protocol import params_of
from skautoencoder._estimator.plan import TrainingPlan
from skautoencoder._estimator.trained_network import measure
from skautoencoder._estimator.user_warnings import warn_user
from skautoencoder.objectives import seeded_generator
from skautoencoder.training import (
    AutoencoderNet,
    EarlyStopping,
    copy_callbacks,
    draw_seed,
    isolated_randomness,
    operating,
    resolve_device,
    resolve_optimizer,
    resolve_precision,
    seeds_of_starts,
    takes_turns,
    train_together,
)


def make_nets(
    plan: TrainingPlan,
    params: Mapping[str, Any],
    betas: tuple[float, float],
    label: str,
    *,
    is_part: bool = False,
    n_starts: int = 1,
) -> tuple[list[AutoencoderNet], float, int]:
    """Return nets that differ in their initial weights, to be trained by the plan.

    Parameters
    ----------
    plan : TrainingPlan
        The plan.
    params : mapping
        Parameters of the estimator, the nested ones included.
    betas : tuple of float
        Decay rates of Adam's averages, unless `params` has others.
    label : str
        Name of the estimator, for messages and progress bars.
    is_part : bool, default=False
        Whether more of the data is to come, in further calls.
    n_starts : int, default=1
        Number of nets.

    Returns
    -------
    nets : list of AutoencoderNet
        The nets.
    work : float
        Floating-point operations that a network takes for a row.
    code_size : int
        Numbers in a code.

    Raises
    ------
    ValueError
        If the network has no weights to learn.
    """
    device = resolve_device(params["device"])
    seed = draw_seed(params["random_state"])
    kind, optimizer = resolve_optimizer(
        params["optimizer"], params_of("optimizer", params), device, betas
    )
    schedule = plan.schedule
    n_samples, batch_size = len(plan.data), schedule.batch_size
    if batch_size > n_samples and not is_part:
        # Not in partial_fit, as later parts of the data may have more rows.
        if params["batch_size"] != "auto":
            warn_user(
                f"batch_size={batch_size} is larger than the number of samples, "
                f"{n_samples}, and is clipped to it. Lower it or use "
                "batch_size='auto'.",
            )
        batch_size = n_samples
    validation_fraction = None if is_part else schedule.validation_fraction
    has_valid = validation_fraction is not None or plan.valid is not None
    parts = {
        "module": plan.network.arguments,
        "criterion": plan.objective.arguments,
        "optimizer": optimizer,
        "callbacks": params_of("callbacks", params),
        "iterator_train": params_of("iterator_train", params),
    }
    nets = []
    for own_seed in seeds_of_starts(seed, n_starts):
        callbacks = copy_callbacks(params["callbacks"])
        if params["early_stopping"] and has_valid:
            stopping = EarlyStopping(params["n_iter_no_change"], params["tol"])
            callbacks.append(("early_stopping", stopping))
        net = AutoencoderNet(
            plan.network.make,
            plan.objective.make,
            optimizer=kind,
            lr=float(params["lr"]),  # np.float32 would round those of the schedule
            lr_schedule=params["lr_schedule"],
            batch_size=batch_size,
            max_epochs=schedule.max_epochs,
            validation_fraction=validation_fraction,
            callbacks=callbacks,
            device=str(device),
            verbose=int(params["verbose"]),
            # That of the validation split, which all starts share.
            seed=seed,
            label=label,
            **{
                f"{part}__{name}": value
                for part, arguments in parts.items()
                for name, value in arguments.items()
            },
        )
        with isolated_randomness(own_seed, device):
            net.initialize()
        nets.append(net)
    if not any(weight.requires_grad for weight in nets[0].module_.parameters()):
        raise ValueError(
            "The network has no weights to learn: all of them are frozen. Let some "
            "of your modules' parameters require a gradient."
        )
    work, code_size = measure(nets[0].module_, plan.data.rows)
    # The backward pass takes twice as many operations as the forward pass.
    step_work = 3 * work * min(batch_size, n_samples)
    for net in nets:
        net.step_work = 3 * work * batch_size
        net.compute_dtype = resolve_precision(params["precision"], device, step_work)
    return nets, work, code_size


def train_nets(
    nets: Sequence[AutoencoderNet], plan: TrainingPlan, params: Mapping[str, Any]
) -> None:
    """Train nets by the plan.

    Parameters
    ----------
    nets : sequence of AutoencoderNet
        The nets, of :func:`make_nets`, or one that was trained before.
    plan : TrainingPlan
        The plan.
    params : mapping
        Parameters of the estimator, the nested ones included.
    """
    # The seed depends on the epochs so far, so that further calls draw new numbers.
    seed = (nets[0].seed + len(nets[0].history)) % 2**31
    device, seeds = torch.device(nets[0].device), seeds_of_starts(seed, len(nets))
    for net, own_seed in zip(nets, seeds, strict=True):
        if plan.start is not None and not net.history:
            with operating():
                plan.start(net.module_, plan.data.rows)
        if "iterator_train__seed" not in params:
            net.iterator_train__seed = own_seed
        if plan.valid is not None:
            net.valid_rows = plan.valid.to(device)
    # Not within isolated_randomness, which one fit holds at a time.
    trained = train_together(nets, plan.data, isolated_randomness(seed, device))
    for place, net in enumerate(nets):
        if not trained[place]:
            if len(nets) > 1:
                net.which_start = f" [start {place + 1}/{len(nets)}]"
            alone: AbstractContextManager[None] = (
                isolated_randomness(seeds[place], device)
                if takes_turns(net)
                else seeded_generator(seeds[place])
            )
            with alone:
                net.partial_fit(plan.data)
        if len(nets) > 1:
            net.forget_steps()  # which take more memory than the weights
        for name in ("valid_rows", "which_start"):
            net.__dict__.pop(name, None)  # it would be pickled with the net


def loss_of_start(net: AutoencoderNet) -> float:
    """Return the loss of a trained net: on rows that were held out, if there are any.

    That of the weights that are kept: of the last epoch, with early stopping of the
    best one.
    """
    last = net.history[-1]
    if "valid_loss" not in last:
        return float(last["train_loss"])
    if any(isinstance(callback, EarlyStopping) for _, callback in net.callbacks_):
        return float(min(net.history[:, "valid_loss"]))
    return float(last["valid_loss"])
