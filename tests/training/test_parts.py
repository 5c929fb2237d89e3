"""Batches in parts, each on a thread of its own."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from helpers import assert_same_weights, weights_of
from skorch.callbacks import Callback, GradientNormClipping
from torch import Tensor, nn

from skautoencoder import (
    AutoencoderImputer,
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAESampler,
)
from skautoencoder.architectures import Conv, Custom
from skautoencoder.objectives import MaskedObjective, Objective
from skautoencoder.training.division import Division
from skautoencoder.training.parts import Parts
from skautoencoder.training.threads import crew_of

IMAGES = np.random.default_rng(0).random((50, 12, 10), dtype=np.float32)
NETWORK = {"sample_shape": (1, 12, 10), "code_size": 4}


pytestmark = pytest.mark.usefixtures("three_processors")


def conv(**params: Any) -> ConvAutoencoderTransformer:
    defaults = {"channels": (3, 4), "max_epochs": 2, "random_state": 0}
    defaults |= {"batch_size": 16, "precision": "float32"}
    return ConvAutoencoderTransformer(4, **{**defaults, **params})


def fitted(estimator: Any, n_threads: int, X: Any = IMAGES) -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        estimator.fit(X)
        assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)
    return estimator


ESTIMATORS = {
    "plain": lambda: conv(batch_norm=False),
    "batch norm": lambda: conv(),
    "residual": lambda: conv(residual=True, downsampling="max_pool"),
    "nearest": lambda: conv(upsampling="nearest", upsampling_kernel_size=3),
    "skips": lambda: DenoisingAutoencoder(
        architecture=Conv((3, 4), skip_connections=True),
        max_epochs=2,
        batch_size=16,
        random_state=0,
    ),
    "top k": lambda: conv(sparsity="top_k"),
    "bfloat16": lambda: conv(precision="bfloat16"),
    "early stopping": lambda: conv(early_stopping=True),
    "masking": lambda: DenoisingAutoencoder(
        code_size=4, noise="masking", max_epochs=2, batch_size=16, random_state=0
    ),
    "salt and pepper": lambda: DenoisingAutoencoder(
        code_size=4,
        noise="salt_and_pepper",
        max_epochs=2,
        batch_size=16,
        random_state=0,
    ),
    "sampler": lambda: VAESampler(
        4,
        architecture=Conv((3, 4)),
        sample_shape=(1, 12, 10),
        max_epochs=2,
        batch_size=16,
        random_state=0,
    ),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_number_of_threads_does_not_change_a_bit(name: str) -> None:
    one, *others = (fitted(ESTIMATORS[name](), n) for n in (1, 2, 3))
    assert one.net_.n_parts_ == 3
    for other in others:
        assert_same_weights(one, other)
        assert list(one.history_[:, "train_loss"]) == list(
            other.history_[:, "train_loss"]
        )


def network_and_batch(**params: Any) -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    torch.manual_seed(0)
    network = Conv((3, 4), **params).build(**NETWORK)
    rows = torch.from_numpy(IMAGES[:16].reshape(16, -1))
    return network.train(), (rows, rows)


@pytest.mark.parametrize("params", [{}, {"batch_norm": False}, {"residual": True}])
@pytest.mark.parametrize("loss", ["mse", "huber"])
def test_the_gradient_is_the_whole_batch_s(params: dict[str, Any], loss: str) -> None:
    objective = Objective(loss)
    network, batch = network_and_batch(**params)
    expected = objective(network, *batch)
    expected.backward()
    gradients = {name: w.grad for name, w in network.named_parameters()}
    buffers = {name: b.clone() for name, b in network.named_buffers()}
    network, batch = network_and_batch(**params)
    with crew_of(3) as crew:
        parts = Parts(3, crew, network)
        loss_in_parts = parts.learn(
            lambda part: objective(network, *part), network, batch
        )
    torch.testing.assert_close(loss_in_parts, expected.detach())
    for name, weight in network.named_parameters():
        torch.testing.assert_close(weight.grad, gradients[name], rtol=1e-4, atol=1e-6)
    for name, buffer in network.named_buffers():
        torch.testing.assert_close(buffer, buffers[name], rtol=1e-5, atol=1e-6)
        if name.endswith("num_batches_tracked"):
            assert buffer == 1


def with_holes() -> np.ndarray:
    images = IMAGES.copy()
    # The first images lack more than the others.
    images[:20, 2:9, 3:8] = np.nan
    images[20:40, 5, 5] = np.nan
    return images


def test_images_with_holes() -> None:
    one, *others = (
        fitted(
            AutoencoderImputer(
                architecture=Conv((3, 4)), max_epochs=2, batch_size=16, random_state=0
            ),
            n_threads,
            with_holes(),
        )
        for n_threads in (1, 2, 3)
    )
    assert one.net_.n_parts_ == 3
    for other in others:
        assert_same_weights(one, other)


def test_parts_count_by_what_is_asked_of_them() -> None:
    objective = MaskedObjective()
    torch.manual_seed(0)
    network = Conv((3, 4)).build((2, 12, 10), 4).train()
    targets = torch.from_numpy(with_holes()[14:30].reshape(16, -1))
    rows = torch.cat([targets.nan_to_num(), targets.isnan().float()], dim=1)
    # Of the last part nothing is asked.
    targets[11:] = torch.nan
    expected = objective(network, rows, targets)
    expected.backward()
    gradients = {name: w.grad for name, w in network.named_parameters()}
    with crew_of(3) as crew:
        loss = Parts(3, crew, network).learn(
            lambda part: objective(network, *part),
            network,
            (rows, targets),
            objective.weigh,
        )
    torch.testing.assert_close(loss, expected.detach())
    for name, weight in network.named_parameters():
        torch.testing.assert_close(weight.grad, gradients[name], rtol=1e-3, atol=1e-6)


def test_the_objective_without_learning() -> None:
    network, batch = network_and_batch()
    network.eval()
    with crew_of(3) as crew:
        parts = Parts(3, crew, network)
        loss = parts.evaluate(lambda part: Objective()(network, *part), batch)
    torch.testing.assert_close(loss, Objective()(network, *batch).detach())
    assert all(weight.grad is None for weight in network.parameters())


def test_fewer_rows_than_parts() -> None:
    network, (rows, _) = network_and_batch()
    with crew_of(3) as crew:
        parts = Parts(3, crew, network)
        loss = parts.learn(
            lambda part: Objective()(network, *part), network, (rows[:2], rows[:2])
        )
    assert loss.isfinite()


def test_weights_that_play_no_part_have_no_gradient() -> None:
    network, batch = network_and_batch()
    network.unused = nn.Linear(2, 2)
    network.encoder[1].weight.requires_grad_(False)
    with crew_of(2) as crew:
        parts = Parts(2, crew, network)
        parts.learn(lambda part: Objective()(network, *part), network, batch)
    assert network.unused.weight.grad is None
    assert network.encoder[1].weight.grad is None
    assert network.encoder[1].bias.grad is not None


def test_an_error_in_one_part_ends_all() -> None:
    network, batch = network_and_batch()

    def fails(part: tuple[Tensor, Tensor]) -> Tensor:
        if part[0][0, 0] == batch[0][-5, 0]:
            raise ValueError("the last part")
        return Objective()(network, *part)

    with crew_of(3) as crew:
        parts = Parts(3, crew, network)
        with pytest.raises(ValueError, match="the last part"):
            parts.learn(fails, network, batch)
        # And they can be asked again.
        parts.learn(lambda part: Objective()(network, *part), network, batch)


class Stored(Callback):
    """Stores the net while it learns."""

    def on_batch_end(self, net: Any, **kwargs: Any) -> None:
        assert isinstance(net._division, Division)
        assert pickle.loads(pickle.dumps(net._division)) is None


def test_threads_are_not_stored() -> None:
    estimator = conv(callbacks=[Stored()]).fit(IMAGES)
    assert estimator.net_._division is None
    pickle.loads(pickle.dumps(estimator)).transform(IMAGES)


def test_callbacks_see_the_gradients() -> None:
    clipped = conv(callbacks=[GradientNormClipping(1e-6)], optimizer="sgd", lr=1.0)
    plain = conv(optimizer="sgd", lr=1.0)
    start = weights_of(conv(optimizer="sgd", lr=1e-30).fit(IMAGES))
    moved = [
        sum(
            float((w - start[name]).abs().sum())
            for name, w in weights_of(e).items()
            if "running" not in name and "tracked" not in name
        )
        for e in (clipped.fit(IMAGES), plain.fit(IMAGES))
    ]
    assert 0 < moved[0] < 1e-3 * moved[1]


class Own(nn.Module):
    """Keeps what it was last shown, as a skip connection might."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 3, padding=1)
        self.sizes: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self.sizes.append(len(images))
        return self.layer(images).flatten(1)


def test_modules_of_one_s_own_are_shown_whole_batches() -> None:
    decoder = nn.Sequential(nn.Linear(120, 120), nn.Unflatten(1, (1, 12, 10)))
    estimator = AutoencoderTransformer(
        None,
        architecture=Custom(Own(), decoder),
        sample_shape=(1, 12, 10),
        max_epochs=1,
        batch_size=16,
        random_state=0,
    ).fit(IMAGES)
    assert estimator.net_.n_parts_ == 1
    sizes = estimator.net_.module_.encoder.module.sizes
    assert set(sizes) <= {16, 2}
    assert sum(sizes) == len(IMAGES)


class Listens(Callback):
    """Listens to a layer from the second batch on."""

    def __init__(self, sizes: list[int]) -> None:
        self.sizes = sizes
        self.n_batches = 0

    def __deepcopy__(self, memo: Any) -> Listens:
        return Listens(self.sizes)

    def on_batch_end(self, net: Any, **kwargs: Any) -> None:
        self.n_batches += 1
        if self.n_batches == 1:
            net.module_.encoder[1].register_forward_hook(
                lambda layer, inputs, output: self.sizes.append(len(output))
            )


def test_who_listens_to_a_layer_is_told_of_whole_batches() -> None:
    sizes: list[int] = []
    conv(callbacks=[Listens(sizes)], max_epochs=1).fit(IMAGES)
    assert sizes == [16, 16, 2]


@pytest.mark.parametrize(
    "params",
    [{"sparsity": "kl"}, {"contraction_weight": 0.1}],
    ids=["kl", "contraction"],
)
def test_what_is_no_mean_over_rows_is_asked_for_whole_batches(
    params: dict[str, Any],
) -> None:
    assert conv(**params).fit(IMAGES).net_.n_parts_ == 1


def test_a_noise_of_one_s_own_is_given_whole_batches() -> None:
    sizes = []

    def noise(samples: Tensor) -> Tensor:
        sizes.append(len(samples))
        return samples + 0.1 * torch.randn_like(samples)

    DenoisingAutoencoder(
        code_size=4, noise=noise, max_epochs=1, batch_size=16, random_state=0
    ).fit(IMAGES)
    assert set(sizes) <= {16, 2}
