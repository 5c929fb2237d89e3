"""What each parameter of the two transformers does."""

from __future__ import annotations

import copy
import functools
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from helpers import (
    BOTH,
    IMAGES,
    ROWS,
    Recorder,
    ValidationRecorder,
    assert_same_answers,
    assert_same_weights,
    have_same_weights,
    noise,
    tiny_conv,
    tiny_dense,
)
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EarlyStopping, GradientNormClipping
from torch import nn

from skautoencoder import AutoencoderTransformer, ConvAutoencoderTransformer
from skautoencoder.architectures import Conv, Custom, Dense

X = ROWS[:100]
NORMAL = noise(100, 3) @ noise(3, 12, seed=1) + 0.1 * noise(100, 12, seed=2)

either = pytest.mark.parametrize("make", BOTH)


@functools.cache
def fitted(make: Any) -> Any:
    return make().fit(X)


# ---- the network --------------------------------


@pytest.mark.parametrize("code_size", [1, 2, 7, np.int64(4), 100])
@either
def test_code_size(make: Any, code_size: int) -> None:
    estimator = make(code_size, max_epochs=1)
    assert estimator.fit_transform(X).shape == (100, code_size)
    assert estimator.code_size_ == code_size


def test_the_default_code_size_is_ten() -> None:
    for estimator in (AutoencoderTransformer(), ConvAutoencoderTransformer()):
        assert estimator.code_size == 10


def has_convolutions(estimator: Any) -> bool:
    return any(isinstance(m, nn.Conv2d) for m in estimator.net_.module_.modules())


@pytest.mark.parametrize(
    ("shape", "is_image"),
    [
        ((64,), False),
        ((8, 8), True),
        ((4, 30), True),
        ((30, 3), False),
        ((3, 8, 8), True),
        ((1, 4, 4), True),
        ((2, 2, 3, 3), False),
    ],
    ids=str,
)
def test_the_auto_architecture(shape: tuple[int, ...], is_image: bool) -> None:
    estimator = AutoencoderTransformer(2, max_epochs=1, random_state=0)
    estimator.fit(noise(8, *shape))
    assert has_convolutions(estimator) == is_image
    if len(shape) == 2:
        flat = AutoencoderTransformer(2, sample_shape=shape, max_epochs=1)
        assert has_convolutions(flat.fit(noise(8, np.prod(shape)))) == is_image


@pytest.mark.parametrize("name", ["dense", "conv"])
def test_an_architecture_by_name(name: str) -> None:
    for data in (X[:20], IMAGES[:20]):
        estimator = AutoencoderTransformer(architecture=name, max_epochs=1).fit(data)
        assert has_convolutions(estimator) == (name == "conv")


@pytest.mark.parametrize(
    ("name", "kind", "nested"),
    [
        ("dense", Dense, {"hidden_layer_sizes": (9, 5), "tied_weights": True}),
        ("dense", Dense, {"batch_norm": True, "dropout": 0.2, "activation": "relu"}),
        ("conv", Conv, {"channels": (5,), "upsampling": "nearest"}),
        ("auto", Dense, {"hidden_layer_sizes": (9,), "code_activation": "tanh"}),
    ],
    ids=str,
)
def test_an_architecture_by_name_or_by_object(
    name: str, kind: Any, nested: dict[str, Any]
) -> None:
    params = {"max_epochs": 2, "random_state": 0}
    by_name = AutoencoderTransformer(
        3,
        architecture=name,
        **params,
        **{f"architecture__{key}": value for key, value in nested.items()},
    ).fit(X)
    by_object = AutoencoderTransformer(3, architecture=kind(**nested), **params).fit(X)
    assert_same_weights(by_name, by_object)
    assert_same_answers(by_name, by_object, X)


@pytest.mark.parametrize(
    "params",
    [
        {"channels": (4,)},
        {"channels": (4, 6), "kernel_size": 5},
        {"channels": (4, 6), "n_downsamplings": 1},
        {"channels": (4, 6), "activation": "tanh"},
        {"channels": (4, 6), "downsampling": "max_pool"},
        {"channels": (4, 6), "upsampling": "nearest"},
        {"channels": (4, 6), "upsampling_kernel_size": 2},
        {"channels": (4, 6), "residual": True},
        {"channels": (4, 6), "batch_norm": False},
        {"channels": (4, 6), "hidden_layer_sizes": (7,)},
        {"channels": (4, 6), "code_activation": "sigmoid"},
        {"channels": (4, 6), "output_activation": "identity"},
        {"channels": [4, 6]},
    ],
    ids=str,
)
def test_parameters_of_the_convolutions_are_those_of_conv(
    params: dict[str, Any],
) -> None:
    own = tiny_conv(max_epochs=2, **params).fit(X)
    general = tiny_dense(max_epochs=2, architecture=Conv(**params)).fit(X)
    assert_same_weights(own, general)
    assert_same_answers(own, general, X)
    # And each makes a difference.
    if params.keys() > {"channels"}:
        plain = tiny_conv(max_epochs=2, channels=(4, 6)).fit(X)
        assert not np.array_equal(plain.transform(X), own.transform(X))


def test_the_defaults_of_conv_are_those_of_the_architecture() -> None:
    estimator, architecture = ConvAutoencoderTransformer(), Conv()
    for name, value in architecture.get_params().items():
        assert getattr(estimator, name) == value, name
    for name, value in AutoencoderTransformer().get_params().items():
        if name != "architecture":
            assert getattr(estimator, name) == value, name


def test_an_architecture_object_is_not_changed_by_fits() -> None:
    architecture = Dense((9,))
    one = tiny_dense(architecture=architecture).fit(X)
    two = tiny_dense(architecture=architecture).fit(noise(30, 5))
    assert architecture.get_params() == Dense((9,)).get_params()
    assert vars(architecture) == vars(Dense((9,)))
    assert one.architecture is two.architecture is architecture
    assert one.transform(X).shape == (100, 3)


def test_a_module_of_the_users_own_is_copied_at_each_fit() -> None:
    encoder, decoder = nn.Linear(64, 4), nn.Linear(4, 64)
    weights = encoder.weight.clone()
    estimator = tiny_dense(None, architecture=Custom(encoder, decoder))
    first = estimator.fit(X).transform(X)
    assert torch.equal(encoder.weight, weights)
    assert estimator.architecture.encoder is encoder
    assert_array_equal(estimator.fit(X).transform(X), first)
    assert estimator.code_size_ == 4


def test_modules_of_the_users_own_see_samples_in_their_shape() -> None:
    class Encoder(nn.Module):
        def __init__(self, sample_shape: tuple[int, ...], code_size: int) -> None:
            super().__init__()
            self.shape = sample_shape
            self.layer = nn.Linear(int(np.prod(sample_shape)), code_size)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            assert images.shape[1:] == self.shape
            return self.layer(images.flatten(1))

    def make_decoder(code_size: int) -> nn.Module:
        return nn.Sequential(nn.Linear(code_size, 64), nn.Unflatten(1, (1, 8, 8)))

    estimator = tiny_dense(
        5, architecture=Custom(Encoder, make_decoder), lr=0.02, max_epochs=30
    )
    data = IMAGES[:100, None] - IMAGES.mean()
    estimator.fit(data)
    assert estimator.transform(data).shape == (100, 5)
    assert estimator.predict(data).shape == data.shape
    assert estimator.score(data) > 0


# ---- the objective --------------------------------


@pytest.mark.parametrize("loss", ["mse", "l1", "huber", "bce"])
@either
def test_loss(make: Any, loss: str) -> None:
    estimator = make(loss=loss, max_epochs=15, lr=1e-2).fit(X)
    losses = estimator.history_[:, "train_loss"]
    assert losses[-1] < 0.95 * losses[0]
    assert estimator.score(X) > 0
    others = [make(loss=other, max_epochs=1).fit(X) for other in ("mse", "l1", "bce")]
    last = make(loss=loss, max_epochs=1).fit(X)
    same = sum(have_same_weights(last, other) for other in others)
    assert same == (loss != "huber")


@pytest.mark.parametrize("loss", ["mse", "l1", "huber", "bce"])
def test_the_recorded_loss_is_the_loss(loss: str) -> None:
    said: list[Any] = []
    estimator = tiny_dense(
        loss=loss, early_stopping=True, callbacks=[ValidationRecorder(said)]
    ).fit(X)
    rows = next(what for event, what in said if event == "valid")
    answer = torch.from_numpy(estimator.predict(rows.numpy()))
    expected = {
        "mse": nn.functional.mse_loss,
        "l1": nn.functional.l1_loss,
        "huber": nn.functional.huber_loss,
        "bce": nn.functional.binary_cross_entropy,
    }[loss](answer, rows)
    best = min(estimator.history_[:, "valid_loss"])
    assert float(expected) == pytest.approx(best, rel=1e-4)


def test_an_l1_penalty_makes_codes_small() -> None:
    plain = tiny_dense(max_epochs=20).fit(X).transform(X)
    weak = tiny_dense(max_epochs=20, sparsity="l1").fit(X).transform(X)
    strong = tiny_dense(max_epochs=20, sparsity="l1", sparsity_weight=0.1)
    off = tiny_dense(max_epochs=20, sparsity="l1", sparsity_weight=0).fit(X)
    strong_codes = strong.fit(X).transform(X)
    assert np.abs(strong_codes).mean() < 0.5 * np.abs(plain).mean()
    assert not np.array_equal(weak, plain)
    assert_allclose(off.transform(X), plain, atol=1e-4)


@pytest.mark.parametrize("target", [0.05, 0.4])
@either
def test_a_kl_penalty_draws_the_mean_activity_to_its_target(
    make: Any, target: float
) -> None:
    estimator = make(
        sparsity="kl",
        sparsity_weight=1.0,
        sparsity_target=target,
        max_epochs=80,
        lr=1e-2,
    ).fit(X)
    codes = estimator.transform(X)
    assert codes.min() > 0
    assert codes.max() < 1
    assert_allclose(codes.mean(axis=0), target, atol=0.04)


# ---- the optimizer --------------------------------

OPTIMIZERS = {
    "adagrad": torch.optim.Adagrad,
    "adam": torch.optim.Adam,
    "adamax": torch.optim.Adamax,
    "adamw": torch.optim.AdamW,
    "lbfgs": torch.optim.LBFGS,
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer(name: str) -> None:
    lr = 0.05 if name in ("lbfgs", "sgd") else 0.01
    params: dict[str, Any] = {"lr": lr, "max_epochs": 4}
    if name == "lbfgs":  # is made for whole data
        params |= {"batch_size": 100, "optimizer__line_search_fn": "strong_wolfe"}
    estimator = tiny_dense(optimizer=name, **params).fit(NORMAL)
    assert type(estimator.net_.optimizer_) is OPTIMIZERS[name]
    losses = estimator.history_[:, "train_loss"]
    assert losses[-1] < losses[0]
    by_class = tiny_dense(optimizer=OPTIMIZERS[name], **params).fit(NORMAL)
    assert_same_weights(estimator, by_class)
    assert name in AutoencoderTransformer.__doc__


def test_optimizer_of_the_users_own() -> None:
    class Downhill(torch.optim.SGD):
        pass

    estimator = tiny_dense(optimizer=Downhill, optimizer__momentum=0.5).fit(X)
    assert type(estimator.net_.optimizer_) is Downhill
    assert estimator.net_.optimizer_.param_groups[0]["momentum"] == 0.5


@pytest.mark.parametrize("lr", [1e-4, 0.02])
def test_lr_is_the_highest_learning_rate(lr: float) -> None:
    constant = tiny_dense(lr=lr, lr_schedule="constant").fit(X)
    assert constant.history_[:, "lr"] == [lr] * 3
    cycle = tiny_dense(lr=lr, max_epochs=20).fit(X)
    assert 0.9 * lr < max(cycle.history_[:, "lr"]) <= lr


def test_lr_schedule() -> None:
    rates = {
        schedule: tiny_dense(
            max_epochs=20,
            lr=1.0,
            lr_schedule=schedule,
            batch_size=5,
            optimizer="sgd",
            optimizer__weight_decay=0,
        )
        .set_params(lr=1e-3)
        .fit(X)
        .history_[:, "lr"]
        for schedule in ("one_cycle", "cosine", "constant")
    }
    assert rates["constant"] == [1e-3] * 20
    assert rates["cosine"] == sorted(rates["cosine"], reverse=True)
    # Half of the way down is half of the rate.
    assert rates["cosine"][9] == pytest.approx(0.5e-3, rel=0.02)
    assert rates["cosine"][-1] < 1e-5
    peak = int(np.argmax(rates["one_cycle"]))
    assert peak in (1, 2)
    assert rates["one_cycle"][0] < 0.6e-3
    assert rates["one_cycle"][peak:] == sorted(rates["one_cycle"][peak:], reverse=True)
    assert rates["one_cycle"][-1] < 1e-5


@either
def test_schedules_give_different_networks(make: Any) -> None:
    names = ("one_cycle", "cosine", "constant")
    codes = [make(lr_schedule=name).fit(X).transform(X) for name in names]
    assert not np.array_equal(codes[0], codes[1])
    assert not np.array_equal(codes[1], codes[2])


@pytest.mark.parametrize(("batch_size", "n_batches"), [(100, 1), (25, 4), (30, 4)])
def test_batch_size(batch_size: int, n_batches: int) -> None:
    said: list[Any] = []
    estimator = tiny_dense(
        batch_size=batch_size, max_epochs=2, callbacks=[BatchRecorder(said)]
    ).fit(X)
    sizes = [what for _, what in said]
    assert len(sizes) == 2 * n_batches
    assert max(sizes) == batch_size
    assert sum(sizes) == 200
    assert estimator.history_[:, "train_batch_count"] == [n_batches] * 2


def test_a_single_row_left_over_joins_the_batch_before() -> None:
    said: list[Any] = []
    estimator = tiny_dense(
        architecture=Dense((4,), batch_norm=True),
        batch_size=33,
        max_epochs=1,
        callbacks=[BatchRecorder(said)],
    )
    estimator.fit(X)
    assert [what for _, what in said] == [33, 33, 34]


@pytest.mark.parametrize(("n_rows", "batch_size"), [(20, 20), (100, 32), (9000, 128)])
def test_the_auto_batch_size(n_rows: int, batch_size: int) -> None:
    said: list[Any] = []
    tiny_dense(max_epochs=1, callbacks=[BatchRecorder(said)]).fit(noise(n_rows, 2))
    assert max(what for _, what in said) == batch_size


@pytest.mark.parametrize(
    ("n_rows", "max_epochs"), [(32, 200), (1600, 50), (3200, 40), (64_000, 8)]
)
def test_the_auto_number_of_epochs(n_rows: int, max_epochs: int) -> None:
    class Counted(Exception):
        pass

    class Counts(Recorder):
        def on_train_begin(self, net: Any, **kwargs: Any) -> None:
            self.said.append(("max_epochs", net.max_epochs))
            raise Counted

    said: list[Any] = []
    estimator = tiny_dense(max_epochs="auto", batch_size=32, callbacks=[Counts(said)])
    with pytest.raises(Counted):
        estimator.fit(noise(n_rows, 2))
    assert said == [("max_epochs", max_epochs)]


@pytest.mark.parametrize("max_epochs", [1, 5])
@either
def test_max_epochs(make: Any, max_epochs: int) -> None:
    estimator = make(max_epochs=max_epochs).fit(X)
    assert estimator.n_iter_ == len(estimator.history_) == max_epochs


# ---- early stopping --------------------------------


def fit_with_validation(make: Any, data: Any, **params: Any) -> tuple[Any, Any, Any]:
    said: list[Any] = []
    estimator = make(
        early_stopping=True, callbacks=[ValidationRecorder(said)], **params
    ).fit(data)
    parts = dict(said[:2])
    return estimator, parts["train"], parts["valid"]


class Spoils(ValidationRecorder):
    """Spoils what was learned, from the fifth epoch on."""

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        if len(net.history) >= 5:
            with torch.no_grad():
                for weight in net.module_.parameters():
                    weight.mul_(2)


@either
def test_early_stopping_puts_the_best_weights_back(make: Any) -> None:
    said: list[Any] = []
    estimator = make(
        max_epochs=8, early_stopping=True, lr=0.01, callbacks=[Spoils(said)]
    ).fit(X)
    losses = estimator.history_[:, "valid_loss"]
    assert len(losses) == estimator.n_iter_ == 8
    assert losses[-1] > min(losses)
    rows = next(what for event, what in said if event == "valid")
    reached = -estimator.score_samples(rows.numpy()).mean()
    assert reached == pytest.approx(min(losses), rel=1e-4)


def test_early_stopping_keeps_running_means_of_the_best_epoch_too() -> None:
    estimator = tiny_conv(early_stopping=True, lr=0.03, max_epochs=4).fit(X)
    best = int(np.argmin(estimator.history_[:, "valid_loss"])) + 1
    batches = [
        value
        for name, value in estimator.net_.module_.state_dict().items()
        if name.endswith("num_batches_tracked")
    ]
    per_epoch = estimator.history_[-1, "train_batch_count"]
    assert batches
    assert {int(value) for value in batches} == {best * per_epoch}


@pytest.mark.parametrize("patience", [1, 4])
def test_early_stopping_waits_for_n_iter_no_change_epochs(patience: int) -> None:
    # No loss falls by all of itself.
    estimator = tiny_dense(
        early_stopping=True, tol=1.0, n_iter_no_change=patience, max_epochs=50
    ).fit(X)
    assert estimator.n_iter_ == 1 + patience


def test_tol_is_the_share_by_which_the_loss_must_fall() -> None:
    params: dict[str, Any] = {
        "early_stopping": True,
        "n_iter_no_change": 2,
        "max_epochs": 60,
        "lr_schedule": "constant",
    }
    n_epochs = [
        tiny_dense(tol=tol, **params).fit(X).n_iter_ for tol in (0.0, 0.02, 0.2, 1.0)
    ]
    assert n_epochs == sorted(n_epochs, reverse=True)
    assert n_epochs[0] > n_epochs[1] > n_epochs[-1] == 3


@pytest.mark.parametrize(("fraction", "n_valid"), [(0.1, 10), (0.25, 25), (0.001, 1)])
def test_validation_fraction(fraction: float, n_valid: int) -> None:
    _, train, valid = fit_with_validation(
        tiny_dense, X, max_epochs=1, validation_fraction=fraction
    )
    assert len(valid) == n_valid
    assert len(train) == 100 - n_valid


def rows_in(part: torch.Tensor, data: np.ndarray) -> list[int]:
    rows = data.astype(np.float32)
    return [int(np.flatnonzero((rows == row).all(1))[0]) for row in part.numpy()]


def test_the_validation_part_is_shuffled_and_seeded() -> None:
    data = np.random.RandomState(0).uniform(size=(100, 4))
    held_out = []
    for seed in (0, 0, 1):
        _, train, valid = fit_with_validation(
            tiny_dense, data, max_epochs=1, random_state=seed
        )
        index = rows_in(valid, data)
        assert sorted(index + rows_in(train, data)) == list(range(100))
        held_out.append(index)
    assert held_out[0] == held_out[1]
    assert held_out[0] != held_out[2]
    for index in held_out:
        assert min(index) < 50 < max(index)


@either
def test_early_stopping_off_trains_on_all(make: Any) -> None:
    estimator = make(validation_fraction=0.5, n_iter_no_change=1, tol=1.0).fit(X)
    assert estimator.n_iter_ == 3
    assert_same_weights(estimator, fitted(make))


# ---- callbacks --------------------------------


class BatchRecorder(Recorder):
    def on_batch_end(self, net: Any, batch: Any, training: bool, **kwargs: Any) -> None:
        self.said.append(("batch", len(batch[0])))


class EverythingRecorder(Recorder):
    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.said.append("train_begin")

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        self.said.append("epoch_begin")

    def on_batch_begin(self, net: Any, **kwargs: Any) -> None:
        self.said.append("batch_begin")

    def on_grad_computed(self, net: Any, named_parameters: Any, **kwargs: Any) -> None:
        names = dict(named_parameters)
        assert all(weight.grad is not None for weight in names.values())
        self.said.append("grad")

    def on_batch_end(self, net: Any, **kwargs: Any) -> None:
        self.said.append("batch_end")

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        self.said.append(net.history[-1, "train_loss"])

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        self.said.append("train_end")


@either
def test_callbacks_are_told_of_everything(make: Any) -> None:
    said: list[Any] = []
    estimator = make(
        max_epochs=2, batch_size=50, callbacks=[EverythingRecorder(said)]
    ).fit(X)
    batch = ["batch_begin", "grad", "batch_end"]
    first, second = estimator.history_[:, "train_loss"]
    assert said == [
        "train_begin",
        *("epoch_begin", *batch, *batch, first),
        *("epoch_begin", *batch, *batch, second),
        "train_end",
    ]
    # Listening changes nothing.
    assert_same_weights(estimator, make(max_epochs=2, batch_size=50).fit(X))


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_callback_that_clips_gradients(kind: Any) -> None:
    clipped = tiny_dense(callbacks=kind([GradientNormClipping(1e-9)]), optimizer="sgd")
    free = tiny_dense(optimizer="sgd", lr=1e-9)
    one, other = weights_list(clipped.fit(X)), weights_list(free.fit(X))
    for mine, theirs in zip(one, other, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=0)
    assert not have_same_weights(clipped, tiny_dense(optimizer="sgd").fit(X))


def weights_list(estimator: Any) -> list[torch.Tensor]:
    return list(estimator.net_.module_.state_dict().values())


def test_early_stopping_of_skorch_ends_the_fit_without_an_interrupt(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stopping = EarlyStopping(monitor="train_loss", patience=2, threshold=10.0)
    estimator = tiny_dense(callbacks=[stopping], max_epochs=30).fit(X)
    assert 2 <= estimator.n_iter_ < 30
    assert np.isfinite(estimator.predict(X)).all()


def test_named_callbacks_and_their_parameters() -> None:
    clip = GradientNormClipping(100.0)
    estimator = tiny_dense(
        callbacks=[("clip", clip)],
        callbacks__clip__gradient_clip_value=1e-9,
        optimizer="sgd",
    ).fit(X)
    fitted_callback = dict(estimator.net_.callbacks_)["clip"]
    assert fitted_callback.gradient_clip_value == 1e-9
    assert clip.gradient_clip_value == 100.0
    off = tiny_dense(
        callbacks=[("clip", clip)], callbacks__clip=None, optimizer="sgd"
    ).fit(X)
    assert_same_weights(off, tiny_dense(optimizer="sgd").fit(X))


# ---- device, precision, verbosity --------------------------------


@either
def test_device(make: Any) -> None:
    by_name = make(device="cpu").fit(X)
    assert {p.device.type for p in by_name.net_.module_.parameters()} == {"cpu"}
    assert_same_weights(by_name, make(device=torch.device("cpu")).fit(X))
    auto = make(device="auto").fit(X)
    if torch.cuda.is_available():
        best = "cuda"
    else:
        best = "mps" if torch.backends.mps.is_available() else "cpu"
    assert {p.device.type for p in auto.net_.module_.parameters()} == {best}
    assert_allclose(auto.predict(X), by_name.predict(X), atol=1e-2)


@either
def test_precision(make: Any) -> None:
    exact = make(precision="float32", max_epochs=10).fit(X)
    rough = make(precision="bfloat16", max_epochs=10).fit(X)
    assert {w.dtype for w in rough.net_.module_.parameters()} == {torch.float32}
    assert not have_same_weights(exact, rough)
    assert rough.score(X) == pytest.approx(exact.score(X), abs=0.05)
    # Answers are computed in full precision.
    codes = rough.transform(X)
    assert codes.dtype == np.float64
    rounded = torch.from_numpy(codes).bfloat16().double().numpy()
    assert not np.array_equal(codes, rounded)
    # So small a network has nothing to gain.
    auto = make(precision="auto", max_epochs=10, device="cpu").fit(X)
    assert_same_weights(
        auto, make(precision="float32", max_epochs=10, device="cpu").fit(X)
    )


EPOCH_COLUMNS = ["dur", "epoch", "lr", "train_loss", "valid_loss"]


@either
def test_verbose(make: Any, capsys: pytest.CaptureFixture[str]) -> None:
    quiet = make(verbose=0).fit(X)
    assert capsys.readouterr() == ("", "")
    for verbose in (1, True):
        bar = make(verbose=verbose).fit(X)
        out, err = capsys.readouterr()
        assert out == ""
        # A bar of tqdm for each epoch; 100 rows are four batches.
        assert err.count("| 0/4 [") >= 3
    table = make(verbose=2, early_stopping=True).fit(X)
    out, _ = capsys.readouterr()
    lines = out.splitlines()
    assert sorted(lines[0].split()) == EPOCH_COLUMNS
    assert len(lines) == 2 + table.n_iter_
    assert_same_weights(quiet, bar)


@either
def test_verbose_partial_fit(make: Any, capsys: pytest.CaptureFixture[str]) -> None:
    estimator = make(verbose=1).partial_fit(X)
    assert "| 0/4 [" in capsys.readouterr().err
    estimator.set_params(verbose=0)
    estimator.transform(X)
    assert capsys.readouterr() == ("", "")


# ---- nested parameters --------------------------------

NESTED: dict[str, Any] = {
    "optimizer__weight_decay": 0.25,
    "optimizer__betas": (0.8, 0.9),
    "iterator_train__shuffle": False,
    "iterator_train__drop_last": True,
    "callbacks__clip__gradient_clip_value": 0.5,
}
OF_ARCHITECTURE = {"architecture__hidden_layer_sizes": (5,)}


def nested_of(make: Any) -> dict[str, Any]:
    return NESTED | OF_ARCHITECTURE if make is tiny_dense else NESTED


def make_nested(make: Any, **params: Any) -> Any:
    if make is tiny_dense:
        params.setdefault("architecture", "dense")
    params.setdefault("callbacks", [("clip", GradientNormClipping(1.0))])
    return make(**params)


def assert_takes_effect(estimator: Any, make: Any) -> None:
    net = estimator.fit(X).net_
    for group in net.optimizer_.param_groups:
        assert group["weight_decay"] == 0.25
        assert group["betas"] == (0.8, 0.9)
    assert dict(net.callbacks_)["clip"].gradient_clip_value == 0.5
    # Four rows do not fill a batch of 32.
    assert estimator.history_[-1, "train_batch_count"] == 3
    if make is tiny_dense:
        assert net.module_.encoder.layers[0].out_features == 5


@either
def test_nested_parameters_take_effect(make: Any) -> None:
    nested = nested_of(make)
    estimator = make_nested(make, **nested)
    assert_takes_effect(estimator, make)
    plain = make_nested(make)
    plain.fit(X)
    assert plain.net_.optimizer_.param_groups[0]["weight_decay"] == 0
    assert plain.history_[-1, "train_batch_count"] == 4
    assert plain.set_params(**nested) is plain
    assert_takes_effect(plain, make)
    assert_same_weights(plain, estimator)


@either
def test_nested_parameters_survive(make: Any) -> None:
    nested = nested_of(make)
    estimator = make_nested(make, **nested)
    copies = [
        clone(estimator),
        clone(clone(estimator)),
        copy.deepcopy(estimator),
        pickle.loads(pickle.dumps(estimator)),
        type(estimator)(**estimator.get_params(deep=False)),
        type(estimator)(**estimator.get_params()),
        make_nested(make).set_params(**nested),
    ]
    for each in copies:
        for deep in (False, True):
            params = each.get_params(deep=deep)
            assert {name: params[name] for name in nested} == nested
        assert_same_weights(each.fit(X), copies[0].fit(X))
    again = clone(estimator.fit(X))
    assert {name: again.get_params()[name] for name in nested} == nested


@either
def test_nested_parameters_change_with_set_params(make: Any) -> None:
    estimator = make(optimizer__weight_decay=0.25).fit(X)
    estimator.set_params(optimizer__weight_decay=0.5)
    assert estimator.get_params()["optimizer__weight_decay"] == 0.5
    # Like any parameter, it counts from the next fit on.
    assert estimator.net_.optimizer_.param_groups[0]["weight_decay"] == 0.25
    assert estimator.fit(X).net_.optimizer_.param_groups[0]["weight_decay"] == 0.5
    assert_same_weights(estimator, make(optimizer__weight_decay=0.5).fit(X))
    # A clone's are its own.
    clone(estimator).set_params(optimizer__weight_decay=0.0)
    assert estimator.get_params()["optimizer__weight_decay"] == 0.5


def test_nested_parameters_in_a_pipeline() -> None:
    pipeline = make_pipeline(StandardScaler(), tiny_dense())
    pipeline.set_params(
        autoencodertransformer__optimizer__weight_decay=0.25,
        autoencodertransformer__architecture__hidden_layer_sizes=(5,),
    )
    net = clone(pipeline).fit(X)[-1].net_
    assert net.optimizer_.param_groups[0]["weight_decay"] == 0.25
    assert net.module_.encoder.layers[0].out_features == 5


def test_parameters_of_an_architecture_object() -> None:
    estimator = tiny_dense(architecture=Dense((9,)))
    assert estimator.get_params()["architecture__hidden_layer_sizes"] == (9,)
    assert "architecture__hidden_layer_sizes" not in estimator.get_params(deep=False)
    twin = clone(estimator)
    estimator.set_params(architecture__hidden_layer_sizes=(6,))
    assert estimator.architecture.hidden_layer_sizes == (6,)
    assert twin.architecture.hidden_layer_sizes == (9,)
    # A new object and its parameters can come in one call.
    estimator.set_params(architecture__channels=(2,), architecture=Conv())
    assert estimator.architecture.channels == (2,)
    assert has_convolutions(estimator.fit(X))
    with pytest.raises(ValueError, match="Invalid parameter 'hidden_sizes'"):
        estimator.set_params(architecture__hidden_sizes=(2,))


def test_the_order_of_rows_without_shuffling() -> None:
    class Rows(Recorder):
        def on_batch_end(self, net: Any, batch: Any, **kwargs: Any) -> None:
            self.said.append(batch[0].clone())

    def seen(**params: Any) -> np.ndarray:
        said: list[Any] = []
        tiny_dense(max_epochs=2, callbacks=[Rows(said)], **params).fit(X)
        return torch.cat(said).numpy()

    in_order = seen(iterator_train__shuffle=False)
    assert_array_equal(in_order, np.vstack([X, X]).astype(np.float32))
    shuffled = seen()
    assert not np.array_equal(shuffled[:100], shuffled[100:])
    assert not np.array_equal(shuffled[:100], in_order[:100])
    for part in (shuffled[:100], shuffled[100:]):
        assert_array_equal(np.sort(part, axis=0), np.sort(in_order[:100], axis=0))
    assert not np.array_equal(shuffled, seen(iterator_train__seed=99))
