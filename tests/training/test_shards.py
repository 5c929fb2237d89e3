"""Large batches in shards, each of which may be on a thread of its own."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from helpers import Recorder, assert_same_weights, noise, unchanged, weights_of
from skorch.callbacks import Callback, GradientNormClipping
from torch import Tensor, nn

from skautoencoder import (
    AutoencoderImputer,
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAESampler,
)
from skautoencoder.architectures import Conv, Conv1d, Custom, Dense, Recurrent
from skautoencoder.objectives import MaskedObjective, Objective, Penalty
from skautoencoder.training.shards import Shards

# Batches of 64 rows of 1000 features, through 800 hidden units, are two shards.
TABLE = noise(100, 5) @ noise(5, 1000, seed=1) + 0.1 * noise(100, 1000, seed=2)
BATCH, FEW = TABLE[:64], TABLE[:, :10]
IMAGES = np.random.default_rng(0).random((32, 24, 24), dtype=np.float32)

LARGE: dict[str, Any] = {
    "batch_size": 64,
    "max_epochs": 1,
    "precision": "float32",
    "random_state": 0,
}
OF_IMAGES: dict[str, Any] = {**LARGE, "batch_size": 32, "max_epochs": 1}


def dense(architecture: Any = None, **params: Any) -> AutoencoderTransformer:
    architecture = architecture or Dense((800,))
    return AutoencoderTransformer(4, architecture=architecture, **{**LARGE, **params})


def small(architecture: Any = None, **params: Any) -> AutoencoderTransformer:
    """Return an estimator of `FEW`, which `all_sharded` has in shards."""
    return dense(architecture or Dense((8,)), **params)


def conv(**params: Any) -> ConvAutoencoderTransformer:
    return ConvAutoencoderTransformer(4, **{**OF_IMAGES, **params})


def with_holes(data: np.ndarray) -> np.ndarray:
    data = data.copy()
    # The first samples lack more than the others.
    data[:20, 2:9] = np.nan
    data[20:, 5] = np.nan
    return data


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skautoencoder.training.net.is_large", lambda work: True)


@pytest.fixture
def one_thread_only() -> None:
    """Whole batches take torch's threads, which wait for each other."""
    torch.set_num_threads(1)


all_sharded = pytest.mark.usefixtures("everything_is_large")
all_whole = pytest.mark.usefixtures("everything_is_large", "one_thread_only")


CASES: dict[str, tuple[Callable[[], Any], np.ndarray]] = {
    "dense": (
        lambda: dense(Dense((800,), batch_norm=True, dropout=0.2), early_stopping=True),
        BATCH,
    ),
    "tied": (lambda: dense(Dense((1700,), tied_weights=True)), BATCH),
    "top k": (lambda: dense(sparsity="top_k"), BATCH),
    "denoising": (
        lambda: DenoisingAutoencoder(
            code_size=4, architecture=Dense((800,)), noise="masking", **LARGE
        ),
        BATCH,
    ),
    "sampler": (lambda: VAESampler(4, architecture=Dense((800,)), **LARGE), BATCH),
    "imputer": (
        lambda: AutoencoderImputer(architecture=Dense((1500, 400)), **LARGE),
        with_holes(BATCH[:, :100]),
    ),
    "conv": (conv, IMAGES),
    # Four shards.
    "larger conv": (
        lambda: conv(channels=(32, 64)),
        IMAGES.repeat(4, axis=1).repeat(4, axis=2),
    ),
    "bfloat16": (lambda: conv(precision="bfloat16"), IMAGES),
    "residual": (lambda: conv(residual=True, downsampling="max_pool"), IMAGES),
    "skips": (
        lambda: DenoisingAutoencoder(
            architecture=Conv((48, 64), skip_connections=True), **OF_IMAGES
        ),
        IMAGES,
    ),
    "lstm": (lambda: dense(Recurrent()), BATCH.reshape(64, 50, 20)),
    "gru": (lambda: dense(Recurrent("gru")), BATCH.reshape(64, 50, 20)),
    "conv1d": (lambda: dense(Conv1d((64, 128))), BATCH.reshape(64, 50, 20)),
    "sampler of images": (
        lambda: VAESampler(4, sample_shape=(1, 24, 24), **OF_IMAGES),
        IMAGES,
    ),
    "imputer of images": (
        lambda: AutoencoderImputer(architecture=Conv((48, 64)), **OF_IMAGES),
        with_holes(IMAGES),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_number_of_threads_does_not_change_a_bit(name: str) -> None:
    make, X = CASES[name]
    fits = []
    for n_threads in (1, 3):
        torch.set_num_threads(n_threads)
        fits.append(make().fit(X))
        assert torch.get_num_threads() == n_threads
    one, other = fits
    assert one.net_.n_shards_ == (4 if name == "larger conv" else 2)
    assert_same_weights(one, other)
    for loss in {"train_loss", "valid_loss"} & one.history_[0].keys():
        assert list(one.history_[:, loss]) == list(other.history_[:, loss])


@pytest.mark.parametrize("name", ["dense", "conv"])
def test_ordered_codes_take_one_thread(name: str) -> None:
    make, X = {"dense": (dense, TABLE), "conv": (conv, IMAGES)}[name]
    fits = []
    for n_threads in (1, 3):
        torch.set_num_threads(n_threads)
        fits.append(make(ordered=True).fit(X))
    assert_same_weights(*fits)
    np.testing.assert_array_equal(*(fit.error_path_ for fit in fits))


# Where nothing is drawn and no batch is normalised, rounding is all that differs.
SAME_SUMS: dict[str, tuple[Callable[[], Any], np.ndarray]] = {
    "dense": (dense, TABLE),
    "early stopping": (lambda: dense(early_stopping=True), TABLE),
    "l1": (lambda: dense(sparsity="l1", loss="huber"), TABLE),
    "conv": (lambda: conv(batch_norm=False), IMAGES),
    # The gradient of the last weights lies in memory otherwise than they do.
    "nearest": (lambda: conv(batch_norm=False, upsampling="nearest"), IMAGES),
    "lstm": (lambda: dense(Recurrent()), BATCH.reshape(64, 50, 20)),
}


@pytest.mark.parametrize("name", SAME_SUMS)
def test_whole_batches_lead_to_the_same_network(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, X = SAME_SUMS[name]
    sharded = make().fit(X)
    assert sharded.net_.n_shards_ > 1
    monkeypatch.setattr("skautoencoder.training.net.is_large", lambda work: False)
    torch.set_num_threads(1)
    whole = make().fit(X)
    assert whole.net_.n_shards_ == 1
    for name, weight in weights_of(whole).items():
        found = weights_of(sharded)[name]
        torch.testing.assert_close(found, weight, rtol=1e-3, atol=1e-4)
    for loss in {"train_loss", "valid_loss"} & whole.history_[0].keys():
        np.testing.assert_allclose(
            sharded.history_[:, loss], whole.history_[:, loss], rtol=1e-4
        )


@all_sharded
@pytest.mark.parametrize("n_rows", [66, 67, 127])
def test_rows_that_do_not_divide_evenly(n_rows: int) -> None:
    estimator = small(Dense((8,), batch_norm=True))
    estimator.fit(FEW[:n_rows])
    assert estimator.net_.n_shards_ == 2
    assert np.isfinite(estimator.history_[:, "train_loss"]).all()


@all_sharded
def test_batch_normalisation_counts_batches() -> None:
    estimator = small(Dense((8,), batch_norm=True)).fit(FEW)
    counts = [
        int(value) for name, value in weights_of(estimator).items() if "tracked" in name
    ]
    assert counts
    assert set(counts) == {2}


class FailsInAShard(Penalty):
    """Costs nothing, and fails where a row of a batch is like the last one."""

    is_mean_over_rows = True

    def __init__(self, error: Any = None) -> None:
        self.error = error

    def __call__(self, codes: Tensor, rows: Tensor, network: Any) -> Tensor:
        if self.error is not None and network.training:
            raise self.error("in a shard")
        return codes.mean() * 0


@all_sharded
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_in_a_shard_leaves_the_estimator_as_it_was(error: Any) -> None:
    estimator = small(penalty=FailsInAShard(), warm_start=True).fit(FEW)
    assert estimator.net_.n_shards_ == 2
    with unchanged(estimator, FEW):
        estimator.penalty.error = error
        with pytest.raises(error, match="in a shard"):
            estimator.fit(FEW)
        estimator.penalty.error = None
    assert torch.get_num_threads() == 2
    estimator.fit(FEW)


class Stores(Callback):
    """Stores the net while it learns."""

    def on_batch_end(self, net: Any, training: bool, **kwargs: Any) -> None:
        pickle.loads(pickle.dumps(net)).infer(torch.zeros(2, 10))


@all_sharded
def test_nothing_of_threads_is_stored() -> None:
    estimator = small(callbacks=[Stores()]).fit(FEW)
    assert estimator.net_.n_shards_ == 2
    again = pickle.loads(pickle.dumps(estimator))
    assert_same_weights(again, small().fit(FEW))


@all_sharded
def test_callbacks_get_the_gradient_of_the_batch() -> None:
    sgd = {"optimizer": "sgd", "lr_schedule": "constant"}
    clip = GradientNormClipping(1e-3)
    start = small(**sgd, lr=1e-30).fit(FEW)
    end = small(**sgd, lr=1.0, callbacks=[clip]).fit(FEW)
    before, after = (
        torch.nn.utils.parameters_to_vector(estimator.net_.module_.parameters())
        for estimator in (start, end)
    )
    # Two steps of this length, about in the same direction.
    assert 1e-3 < (after - before).norm() < 2.01e-3


class Sizes(Recorder):
    """Puts a hook on a layer before, or after, the first batch."""

    when = "on_train_begin"

    def _hook(self, net: Any) -> None:
        def note(layer: nn.Module, inputs: Any, output: Tensor) -> None:
            if layer.training:
                self.said.append(len(output))

        net.module_.encoder[0].register_forward_hook(note)

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self._hook(net)


class LateSizes(Sizes):
    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.n_batches = 0

    def on_batch_end(self, net: Any, **kwargs: Any) -> None:
        self.n_batches += 1
        if self.n_batches == 1:
            self._hook(net)


@all_whole
@pytest.mark.parametrize(("kind", "expected"), [(Sizes, [64, 36]), (LateSizes, [36])])
def test_hooks_get_whole_batches(kind: Any, expected: list[int]) -> None:
    said: list[Any] = []
    small(callbacks=[kind(said)]).fit(FEW)
    assert said == expected


class Own(nn.Module):
    """May do anything."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(10, 8)
        self.sizes: list[int] = []

    def forward(self, rows: Tensor) -> Tensor:
        if self.training:
            self.sizes.append(len(rows))
        return self.layer(rows)


@all_whole
def test_modules_of_the_users_own_get_whole_batches() -> None:
    estimator = AutoencoderTransformer(
        architecture=Custom(Own(), nn.Linear(8, 10)), **LARGE
    ).fit(FEW)
    assert estimator.net_.n_shards_ == 1
    assert set(estimator.net_.module_.encoder.sizes) == {64, 36}


@all_whole
def test_a_noise_of_the_users_own_gets_whole_batches() -> None:
    sizes = []

    def own(samples: Tensor) -> Tensor:
        sizes.append(len(samples))
        return samples + 0.1 * torch.randn_like(samples)

    DenoisingAutoencoder(architecture=Dense((8,)), noise=own, **LARGE).fit(FEW)
    assert set(sizes) == {64, 36}


@all_whole
@pytest.mark.parametrize("params", [{"sparsity": "kl"}, {"contraction_weight": 0.1}])
def test_what_is_no_mean_over_rows_learns_from_whole_batches(
    params: dict[str, Any],
) -> None:
    estimator = small(**params, max_epochs=2, lr=1e-3).fit(FEW)
    assert estimator.net_.n_shards_ == 1
    losses = estimator.history_[:, "train_loss"]
    assert losses[-1] < losses[0]


class TestShards:
    """What networks, gradients and statistics are after a step."""

    @staticmethod
    def network(**params: Any) -> nn.Module:
        torch.manual_seed(0)
        return Dense((7,), **params).build((6,), 3).train()

    rows = torch.randn(16, 6, generator=torch.Generator().manual_seed(0))

    def learn(self, network: nn.Module, n_rows: int = 16, n_shards: int = 3) -> Tensor:
        rows = self.rows[:n_rows]
        return Shards(n_shards, map).learn(
            lambda shard: Objective()(network, *shard), network, (rows, rows)
        )

    @pytest.mark.parametrize("n_rows", [1, 2, 3, 5, 16])
    def test_the_gradient_is_that_of_the_whole_batch(self, n_rows: int) -> None:
        network, other = self.network(), self.network()
        rows = self.rows[:n_rows]
        expected = Objective()(other, rows, rows)
        expected.backward()
        torch.testing.assert_close(self.learn(network, n_rows), expected.detach())
        for mine, theirs in zip(network.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(mine.grad, theirs.grad)

    def test_running_statistics_are_the_mean_of_the_shards(self) -> None:
        network = self.network(batch_norm=True)
        with torch.no_grad():
            hidden = network.encoder[0](self.rows).tensor_split(3)
        self.learn(network)
        (layer, *_) = (
            m for m in network.encoder.modules() if isinstance(m, nn.BatchNorm1d)
        )
        means = torch.stack([shard.mean(0) for shard in hidden]).mean(0)
        variances = torch.stack([shard.var(0) for shard in hidden]).mean(0)
        torch.testing.assert_close(layer.running_mean, 0.1 * means)
        torch.testing.assert_close(layer.running_var, 0.9 + 0.1 * variances)
        assert layer.num_batches_tracked == 1

    def test_each_shard_drops_other_units(self) -> None:
        rows = torch.ones(8, 50)
        network = nn.Sequential(nn.Dropout(0.5))
        seen: list[Tensor] = []

        def look(shard: Any) -> Tensor:
            seen.append(network(shard[0]))
            return (seen[-1] * weight).sum()

        weight = network.weight = nn.Parameter(torch.ones(()))
        Shards(2, map).learn(look, network, (rows, rows))
        assert not torch.equal(*seen)
        assert set(torch.cat(seen).unique().tolist()) == {0.0, 2.0}

    def test_weights_without_a_part_in_the_objective_have_no_gradient(self) -> None:
        network = self.network()
        network.unused = nn.Linear(2, 2)
        network.encoder[0].weight.requires_grad_(False)
        self.learn(network)
        assert network.unused.weight.grad is None
        assert network.encoder[0].weight.grad is None
        assert network.encoder[0].bias.grad is not None

    def test_shards_weigh_by_what_is_asked_of_them(self) -> None:
        objective = MaskedObjective()
        torch.manual_seed(0)
        network = Dense((7,)).build((12,), 3).train()
        rows, targets = torch.randn(16, 12), torch.randn(16, 12)
        targets[:5, :8] = torch.nan
        # Of the last shard nothing is asked.
        targets[11:] = torch.nan
        expected = objective(network, rows, targets)
        slopes = torch.autograd.grad(expected, [*network.parameters()])
        loss = Shards(3, map).learn(
            lambda shard: objective(network, *shard),
            network,
            (rows, targets),
            objective.weigh,
        )
        torch.testing.assert_close(loss, expected.detach())
        for weight, slope in zip(network.parameters(), slopes, strict=True):
            torch.testing.assert_close(weight.grad, slope)
