"""Parameters, data and callbacks that must fit each other, or be refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import ROWS, tiny_conv, tiny_dense
from skorch.callbacks import EpochScoring, LRScheduler
from torch import nn
from torch.optim.lr_scheduler import StepLR

from skautoencoder import AutoencoderTransformer, ConvAutoencoderTransformer
from skautoencoder.architectures import Conv, Custom, Dense

X = ROWS[:200]


def encoder(code_size: int) -> nn.Module:
    return nn.Linear(64, code_size)


def decoder(code_size: int) -> nn.Module:
    return nn.Linear(code_size, 64)


class TestBinaryCrossEntropy:
    def test_a_decoder_that_leaves_the_unit_interval_is_refused(self) -> None:
        custom = AutoencoderTransformer(8, architecture=Custom(encoder, decoder))
        with pytest.raises(ValueError, match="output_activation='sigmoid'"):
            custom.set_params(loss="bce", max_epochs=1).fit(X)

    @pytest.mark.parametrize("own_sigmoid", [True, False])
    def test_one_that_does_not_learns(self, own_sigmoid: bool) -> None:
        def with_sigmoid(code_size: int) -> nn.Module:
            return nn.Sequential(nn.Linear(code_size, 64), nn.Sigmoid())

        architecture = (
            Custom(encoder, with_sigmoid)
            if own_sigmoid
            else Custom(encoder, decoder, output_activation="sigmoid")
        )
        custom = AutoencoderTransformer(
            8, architecture=architecture, loss="bce", lr=0.03, max_epochs=40
        )
        assert custom.set_params(random_state=0).fit(X).score(X) > 0.4

    def test_a_warm_start_cannot_turn_to_it(self) -> None:
        estimator = tiny_dense(warm_start=True).fit(X * 0.3)
        with pytest.raises(ValueError, match="output_activation"):
            estimator.set_params(loss="bce").fit(X)


class TestSparsityByDivergence:
    def test_codes_that_are_no_activities_are_refused(self) -> None:
        kl: dict[str, Any] = {"sparsity": "kl", "max_epochs": 1}
        custom = AutoencoderTransformer(8, architecture=Custom(encoder, decoder), **kl)
        relu = AutoencoderTransformer(8, architecture=Dense(code_activation="relu"))
        # Whose first weights happen to say nothing above 1.
        normalized = AutoencoderTransformer(8, architecture=Dense(code_batch_norm=True))
        images = ConvAutoencoderTransformer(
            8, channels=(4, 8), code_activation="relu", sample_shape=(8, 8)
        )
        for estimator in (custom, relu, normalized, images):
            with pytest.raises(ValueError, match="sparsity='kl'. needs codes"):
                estimator.set_params(**kl).fit(X)

    def test_maps_of_all_stages_are_refused(self) -> None:
        estimator = AutoencoderTransformer(
            None,
            architecture=Conv((4, 8), skip_connections=True),
            sample_shape=(8, 8),
            sparsity="kl",
        )
        with pytest.raises(ValueError, match="skip_connections=True it is the maps"):
            estimator.fit(X)


class TestUnits:
    def test_later_data_far_outside_of_a_sigmoid_are_refused(self) -> None:
        estimator = tiny_dense(warm_start=True).fit(X)
        with pytest.raises(ValueError, match=r"lay in \[0, 1\]"):
            estimator.fit(X * 100)
        with pytest.raises(ValueError, match=r"lay in \[0, 1\]"):
            estimator.partial_fit(X * 100)
        assert estimator.partial_fit(X * 1.2).n_iter_ == estimator.history_[-1, "epoch"]

    def test_values_whose_squares_overflow_are_refused(self) -> None:
        with pytest.raises(ValueError, match="overflow"), np.errstate(all="ignore"):
            tiny_dense().fit(np.random.RandomState(0).randn(20, 9) * 1e200)

    def test_a_warm_start_cannot_change_the_output(self) -> None:
        estimator = tiny_conv(warm_start=True).fit(X)
        with pytest.raises(ValueError, match="warm_start=True continues"):
            estimator.set_params(output_activation="identity").fit(X)


class TestLearningRate:
    def test_a_scheduler_of_the_users_works_on_a_constant_rate(self) -> None:
        scheduler = LRScheduler(StepLR, step_size=1, gamma=0.1)
        estimator = tiny_dense(max_epochs=3, lr=0.1, callbacks=[scheduler])
        rates = estimator.set_params(lr_schedule="constant").fit(X).history_[:, "lr"]
        np.testing.assert_allclose(rates, [0.1, 0.01, 0.001])

    def test_and_not_against_a_schedule(self) -> None:
        estimator = tiny_dense(callbacks=[LRScheduler(StepLR, step_size=1)])
        with pytest.raises(ValueError, match="lr_schedule='constant'"):
            estimator.fit(X)


def test_scores_of_skorchs_loop_are_refused_by_name() -> None:
    with pytest.raises(TypeError, match="cannot hold EpochScoring"):
        tiny_dense(callbacks=[EpochScoring("r2")]).fit(X)


def test_the_history_says_which_epoch_was_best() -> None:
    history = tiny_dense(max_epochs=4, early_stopping=True).fit(X).history_
    for name in ("train_loss", "valid_loss"):
        losses = history[:, name]
        best = [loss < min(losses[:i], default=np.inf) for i, loss in enumerate(losses)]
        assert history[:, f"{name}_best"] == best


def test_a_small_first_part_does_not_make_small_batches() -> None:
    estimator = tiny_dense(batch_size=64).partial_fit(X[:10]).partial_fit(X[:128])
    assert estimator.history_[:, "train_batch_count"] == [1, 2]


def test_what_an_object_is_told_wins_over_what_stood_beside_it() -> None:
    estimator = AutoencoderTransformer(
        3, architecture=Conv((2,)), architecture__channels=(3,), max_epochs=1
    )
    estimator.set_params(architecture__channels=(5,))
    assert estimator.get_params()["architecture__channels"] == (5,)
    network = estimator.fit(X[:40].reshape(-1, 8, 8)).net_.module_
    assert network.encoder[1].out_channels == 5


def test_numbers_of_a_numpy_grid_are_sizes_too() -> None:
    for channels in (np.array([2, 3]), (np.int64(2), np.int64(3))):
        images = X[:20].reshape(-1, 8, 8)
        conv = ConvAutoencoderTransformer(4, channels=channels, max_epochs=1)
        assert conv.fit_transform(images).shape == (20, 4)


def test_channels_that_come_last_are_noticed() -> None:
    with pytest.warns(UserWarning, match=r"transpose\(0, 3, 1, 2\)"):
        tiny_conv(max_epochs=1).fit(np.random.RandomState(0).rand(9, 8, 8, 3))


def test_a_factory_that_needs_a_code_size_says_so() -> None:
    custom = AutoencoderTransformer(None, architecture=Custom(encoder, decoder))
    with pytest.raises(ValueError, match="asks for code_size, which is None"):
        custom.fit(X)


@pytest.mark.parametrize(
    ("params", "near"),
    [
        ({"optimizer": "adma"}, "adam"),
        ({"optimizer": "SGD"}, "sgd"),
        ({"loss": "MSE"}, "mse"),
        ({"loss": "mae"}, "l1"),
        ({"n_components": 3}, "code_size"),
    ],
    ids=str,
)
def test_names_of_other_libraries_lead_to_ours(params: Any, near: str) -> None:
    with pytest.raises(ValueError, match=f"Did you mean '{near}'"):
        AutoencoderTransformer(**params).fit(X)
