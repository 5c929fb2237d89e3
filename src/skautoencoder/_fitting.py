"""How the parameters of an estimator become a net, and the net a trained one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator

from skautoencoder._parameters import NestedParametersMixin
from skautoencoder._samples import Array, Shape, is_in_unit_range
from skautoencoder.architectures import Architecture, Conv, Network
from skautoencoder.architectures.conv import is_small
from skautoencoder.objectives import Objective
from skautoencoder.training import (
    AutoencoderNet,
    EarlyStopping,
    Rows,
    copy_callbacks,
    counting_work,
    draw_seed,
    evaluating,
    isolated_randomness,
    n_training_rows,
    one_thread,
    resolve_device,
    resolve_optimizer,
    resolve_precision,
)


def build_network(architecture: Architecture, **kwargs: Any) -> Network:
    """Build a network; a function of this module so that a net can be pickled."""
    return architecture.build(**kwargs)


class NetMixin(NestedParametersMixin, BaseEstimator):
    """The part of an estimator that makes a net and lets it learn.

    The estimator has the parameters of training, and sets ``_architecture``,
    ``sample_shape_`` and the units ``_scaling``, ``_center``, ``_spread`` and
    ``_output_activation`` before.
    """

    # Estimators without a penalty on the code have no such parameters.
    sparsity: str | None = None
    sparsity_weight: float | str = 0.0
    sparsity_target: float = 0.05
    n_nonzero_coefs: int | None = None
    contraction_weight: float = 0.0

    # The sampler has a likelihood instead.
    loss: str = "mse"

    # What max_epochs="auto" aims at.
    _usual_steps = 4000
    _fewest_epochs = 8
    # How long Adam remembers.
    _betas = (0.9, 0.99)

    # ---- the net -------------------------------------------------------------

    def _start_net(
        self,
        n_samples: int,
        validation_fraction: float | None = None,
        *,
        more_to_come: bool = False,
    ) -> None:
        """Make the net, with fresh weights."""
        device = resolve_device(self.device)
        seed = draw_seed(self.random_state)
        kind, optimizer = resolve_optimizer(
            self.optimizer, self._nested_params("optimizer"), device, self._betas
        )
        n_rows = n_training_rows(n_samples, validation_fraction)
        batch_size = self._resolve_batch_size(n_rows)
        if not more_to_come:
            batch_size = min(batch_size, n_samples)
        callbacks = copy_callbacks(self.callbacks)
        if validation_fraction is not None:
            stopping = EarlyStopping(self.n_iter_no_change, self.tol)
            callbacks.append(("early_stopping", stopping))
        build, description = self._make_network()
        objective, criterion = self._make_objective()
        net = AutoencoderNet(
            build,
            objective,
            **{f"module__{name}": value for name, value in description.items()},
            **{f"criterion__{name}": value for name, value in criterion.items()},
            optimizer=kind,
            **{f"optimizer__{name}": value for name, value in optimizer.items()},
            lr=self.lr,
            lr_schedule=self.lr_schedule,
            batch_size=batch_size,
            max_epochs=self._resolve_max_epochs(n_rows, batch_size),
            validation_fraction=validation_fraction,
            callbacks=callbacks,
            **self._with_prefix("callbacks"),
            **self._with_prefix("iterator_train"),
            device=str(device),
            verbose=int(self.verbose),
            seed=seed,
        )
        # On one thread: orthogonal weights have other digits on two.
        with isolated_randomness(seed, device), one_thread():
            net.initialize()
        if not any(weight.requires_grad for weight in net.module_.parameters()):
            raise ValueError(
                "The network has no weights to learn: all of them are frozen. Let some "
                "of your modules' parameters require a gradient."
            )
        net.check_nested()
        net.check_callbacks()
        net.check_batch_size(n_rows)
        self._work, self.code_size_ = self._measure(net.module_, device)
        # Forward, and twice that to come back.
        net.compute_dtype = resolve_precision(
            self.precision, device, 3 * self._work * min(batch_size, n_rows)
        )
        self.net_ = net

    def _measure(self, network: Network, device: torch.device) -> tuple[float, int]:
        """Return the operations that a row takes, and how many numbers a code has."""
        known = network.work_and_code_size()
        if known is not None:
            return known
        # One sample says what the network is like.
        with counting_work(network) as work:
            sample = torch.zeros(1, math.prod(self._shown_shape), device=device)
            codes = network.encode(sample)
            network.decode(codes)
        return work.n_operations, codes.shape[1]

    @property
    def _shown_shape(self) -> Shape:
        """Shape of what the network is shown of a sample."""
        return self.sample_shape_

    def _make_network(self) -> tuple[Callable[..., Network], dict[str, Any]]:
        """Return what makes the network, and its arguments."""
        return build_network, {
            "architecture": self._architecture,
            "sample_shape": self._shown_shape,
            "code_size": self._resolve_code_size(),
            "output_activation": self._output_activation,
            "code_activation": "sigmoid" if self.sparsity == "kl" else "identity",
            "code_activity": self.sparsity_target if self.sparsity == "kl" else None,
            "top_k": self.sparsity == "top_k",
            "n_nonzero_coefs": self.n_nonzero_coefs,
            "center": self._center,
            "spread": self._spread,
        }

    def _make_objective(self) -> tuple[type[torch.nn.Module], dict[str, Any]]:
        """Return what training makes small, and its parameters."""
        return Objective, {
            "loss": self.loss,
            "sparsity": self.sparsity,
            "sparsity_weight": self._resolve_sparsity_weight(),
            "sparsity_target": self.sparsity_target,
            "contraction_weight": self.contraction_weight,
            "corruption": self._corruption,
        }

    def _with_prefix(self, prefix: str) -> dict[str, Any]:
        nested = self._nested_params(prefix)
        return {f"{prefix}__{name}": value for name, value in nested.items()}

    # ---- what "auto" stands for ------------------------------------------------

    def _resolve_code_size(self) -> int | None:
        """Return how many numbers the architecture is asked to put in a code."""
        if self.code_size == "auto":
            return self._auto_code_size()
        return None if self.code_size is None else int(self.code_size)

    def _auto_code_size(self) -> int | None:
        """Return what "auto" stands for: room, where answers need no small code.

        None, which is the spatial map itself, for convolutions without dense layers.
        """
        architecture = self._architecture
        spatial = isinstance(architecture, Conv) and architecture.map_is_code(None)
        return None if spatial else 128

    def _resolve_sparsity_weight(self) -> float:
        if not isinstance(self.sparsity_weight, str):
            return self.sparsity_weight
        # With the second, units come within a few per cent of their target.
        return 1e-4 if self.sparsity == "l1" else 0.1

    def _resolve_batch_size(self, n_rows: int) -> int:
        if self.batch_size != "auto":
            return int(self.batch_size)
        # Convolutions of small images take nearly as long for half as many of them.
        n_batches = 30 if self._convolves_small_images else 60
        return int(np.clip(2 ** round(np.log2(n_rows / n_batches)), 32, 128))

    @property
    def _convolves_small_images(self) -> bool:
        return isinstance(self._architecture, Conv) and is_small(self._shown_shape)

    def _resolve_max_epochs(self, n_rows: int, batch_size: int) -> int:
        if self.max_epochs != "auto":
            return int(self.max_epochs)
        # Enough steps to learn, few enough epochs not to learn by heart.
        n_batches = max(n_rows // batch_size, 1)
        most = np.clip(1000 / n_batches, 50, 200)
        return int(np.clip(self._usual_steps / n_batches, self._fewest_epochs, most))

    # ---- training --------------------------------------------------------------

    def _train(self, rows: Array, targets: Array | None) -> None:
        """Let the net learn from rows in the user's units."""
        shown = self._scaling.to_network_in_parts(rows)
        wanted = None
        if targets is not None:
            wanted = self._scaling.to_network_in_parts(targets)
        self._train_net(Rows(shown, wanted))

    def _train_net(self, data: Rows) -> None:
        """Let the net learn from rows in its own units."""
        self._check_network(data.rows[:64])
        net = self.net_
        device = torch.device(net.device)
        if device.type != "cpu":
            data = data.to(device)
        # A seed of its own: a second call must not repeat the first one's draws.
        seed = (net.seed + len(net.history)) % 2**31
        if "seed" not in self._nested_params("iterator_train"):
            net.iterator_train__seed = seed
        net.step_work = 3 * self._work * net.batch_size
        with isolated_randomness(seed, device):
            net.partial_fit(data)
        self.history_ = net.history
        self.n_iter_ = len(net.history)

    def _check_network(self, rows: torch.Tensor) -> None:
        """Raise if the network answers with what the objective cannot use."""
        if self.sparsity != "kl" and self.loss != "bce":
            return
        network = self.net_.module_
        sample = rows.to(self.net_.device)
        with evaluating(network):
            codes = network.encode(sample)
            outputs = network.decode(codes)
        if self.sparsity == "kl" and not self._bounds_codes(codes.cpu().numpy()):
            raise ValueError(
                "sparsity='kl' needs codes in [0, 1]. Leave code_activation at 'auto' "
                "or set it to 'sigmoid', and code_batch_norm at False; let an encoder "
                "of your own end in a sigmoid."
            )
        if self.loss == "bce" and not is_in_unit_range(outputs.cpu().numpy()):
            raise ValueError(
                "loss='bce' needs reconstructions in [0, 1]. Let the decoder of Custom "
                "end in a sigmoid, or set its output_activation='sigmoid'."
            )

    def _bounds_codes(self, first_codes: Array) -> bool:
        """Return whether codes will stay in [0, 1]."""
        activation = getattr(self._architecture, "code_activation", None)
        if activation is None:
            # Modules of the user's own can only be asked.
            return is_in_unit_range(first_codes)
        normalized = getattr(self._architecture, "code_batch_norm", False)
        return activation in ("auto", "sigmoid") and not normalized
