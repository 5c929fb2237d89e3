"""n_init: several networks are trained, and that of the lowest loss is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fits import X
from helpers import (
    BOTH,
    Recorder,
    assert_same_answers,
    assert_same_weights,
    tiny_dense,
)
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

from skautoencoder import AutoencoderTransformer, DenoisingAutoencoder, load, save
from skautoencoder._estimator import net_training
from skautoencoder.architectures import Dense
from skautoencoder.training import Rows, draw_seed, joint_fits, seeds_of_starts

WINE = StandardScaler().fit_transform(load_wine().data)


def one_by_one(nets: Any, data: Any) -> list[str]:
    return ["to compare with"] * len(nets)


def tiny_denoiser(**params: Any) -> DenoisingAutoencoder:
    return DenoisingAutoencoder(
        code_size=3,
        architecture=Dense((8,)),
        **{"max_epochs": 3, "random_state": 0, **params},
    )


@pytest.mark.parametrize("make", [*BOTH, tiny_denoiser])
def test_the_network_of_the_lowest_loss_is_kept(make: Any) -> None:
    one, two, four = (make(n_init=n, max_epochs=2).fit(X[:60]) for n in (1, 2, 4))
    assert len(set(four.init_losses_)) == 4
    np.testing.assert_array_equal(four.init_losses_[:2], two.init_losses_)
    np.testing.assert_array_equal(four.init_losses_[:1], one.init_losses_)
    assert_same_weights(one, make(max_epochs=2).fit(X[:60]))
    assert four.history_[-1, "train_loss"] == four.init_losses_.min()
    assert four.n_iter_ == one.n_iter_


@pytest.mark.parametrize("random_state", [0, 1, 2])
def test_each_start_is_a_fit_of_its_own(
    random_state: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = tiny_dense(random_state=random_state, lr=0.01)
    best = clone(make).set_params(n_init=3).fit(X)
    losses = []
    for seed in seeds_of_starts(draw_seed(random_state), 3):
        monkeypatch.setattr(net_training, "draw_seed", lambda _, seed=seed: seed)
        own = clone(make).fit(X)
        losses.append(own.init_losses_[0])
        if losses[-1] == best.init_losses_.min():
            assert_same_weights(own, best)
    np.testing.assert_array_equal(losses, best.init_losses_)


@pytest.mark.parametrize(
    "params",
    [{}, {"batch_size": 32}, {"loss": "huber", "lr_schedule": "cosine"}],
    ids=str,
)
def test_starts_trained_at_once_have_the_bits_of_one_after_the_other(
    params: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = AutoencoderTransformer(
        3, architecture=Dense((16,)), max_epochs=4, n_init=5, random_state=0, **params
    )
    together = clone(make).fit(WINE)
    monkeypatch.setattr(joint_fits, "fit_many", one_by_one)
    apart = clone(make).fit(WINE)
    np.testing.assert_array_equal(together.init_losses_, apart.init_losses_)
    assert_same_weights(together, apart)


def squared_error(fitted: Any, rows: Any) -> float:
    return float(-fitted.score_samples(rows).mean())


@pytest.mark.parametrize("stops", [False, True])
def test_rows_of_the_user_decide_where_there_are_some(stops: bool) -> None:
    params = {"max_epochs": 4, "early_stopping": stops}
    learnt, held_out = WINE[:120], WINE[120:]
    found = set()
    for random_state in range(3):
        one, three = (
            tiny_dense(2, n_init=n, random_state=random_state, **params).fit(
                learnt, X_valid=held_out
            )
            for n in (1, 3)
        )
        found.add(int(three.init_losses_.argmin()))
        errors = squared_error(three, held_out), squared_error(one, held_out)
        ratio = three.init_losses_.min() / one.init_losses_[0]
        assert errors[0] / errors[1] == pytest.approx(ratio, rel=1e-4)
    assert found != {0}


@pytest.mark.parametrize("random_state", [0, 2])
def test_all_starts_have_the_same_held_out_rows(random_state: int) -> None:
    one, four = (
        AutoencoderTransformer(
            *(2,),
            architecture=Dense((8,)),
            max_epochs=5,
            early_stopping=True,
            validation_fraction=0.3,
            n_init=n,
            random_state=random_state,
        ).fit(WINE)
        for n in (1, 4)
    )
    rows = Rows(torch.from_numpy(WINE)).split(0.3, one.net_.seed)[1].rows.numpy()
    ratio = four.init_losses_.min() / one.init_losses_[0]
    assert ratio < 1
    errors = squared_error(four, rows), squared_error(one, rows)
    assert errors[0] / errors[1] == pytest.approx(ratio, rel=1e-4)


def test_ordered_codes_are_chosen_by_the_rows_of_their_path() -> None:
    make = AutoencoderTransformer(
        4, ordered=True, architecture=Dense((8,)), max_epochs=3, random_state=0
    )
    fitted = clone(make).set_params(n_init=3).fit(WINE)
    assert fitted.history_[-1, "valid_loss"] == fitted.init_losses_.min()
    assert fitted.error_path_.shape == (4,)
    chosen = clone(make).set_params(n_init=2, code_size="auto", ordered=False)
    assert len(chosen.fit(WINE).init_losses_) == 2


def test_defaults_may_still_keep_codes_of_pca(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AutoencoderTransformer, "_usual_steps", 10)
    fits = [
        AutoencoderTransformer(2, n_init=n, random_state=0).fit(WINE[:40])
        for n in (1, 2)
    ]
    assert [fit.has_linear_codes_ for fit in fits] == [True, True]
    assert_same_answers(*fits, WINE)
    assert len(fits[1].init_losses_) == 2


def test_one_network_goes_on_in_warm_starts_and_parts() -> None:
    fitted = tiny_dense(n_init=3, warm_start=True).fit(X)
    best = fitted.init_losses_.min()
    fitted.fit(X)
    assert len(fitted.init_losses_) == 1
    assert fitted.history_[2, "train_loss"] == best
    part = tiny_dense(n_init=3).partial_fit(X)
    assert_same_weights(part, tiny_dense().partial_fit(X))
    assert part.init_losses_ == part.history_[:, "train_loss"]


def test_a_random_state_is_moved_as_by_one_start() -> None:
    states = [np.random.RandomState(0) for _ in range(2)]
    for n_init, state in zip((1, 3), states, strict=True):
        tiny_dense(n_init=n_init, random_state=state).fit(X)
    assert states[0].randint(1000) == states[1].randint(1000)


class Begins(Recorder):
    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.said.append(self)


def test_each_start_has_callbacks_of_its_own() -> None:
    said: list[Any] = []
    fitted = tiny_dense(n_init=3, callbacks=[Begins(said)]).fit(X)
    assert len({*said}) == 3
    assert_same_weights(fitted, tiny_dense(n_init=3).fit(X))


def test_a_bar_says_which_start(capsys: pytest.CaptureFixture[str]) -> None:
    fitted = tiny_dense(n_init=2, verbose=1).fit(X)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "AutoencoderTransformer [start 1/2]",
        "AutoencoderTransformer [start 2/2]",
    ]
    assert not fitted.net_.which_start


def test_the_first_error_of_a_start_ends_the_fit() -> None:
    estimator = tiny_dense(n_init=3, lr=1e30, optimizer="sgd")
    with pytest.raises(ValueError, match="diverged"):
        estimator.fit(X * 1e4)
    assert not hasattr(estimator, "net_")


def test_a_checkpoint_holds_one_training(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match=r"n_init=1, or checkpoint=None"):
        tiny_dense(n_init=2, checkpoint=tmp_path / "state").fit(X)
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("n_init", [0, -1, 1.5, "auto", None])
def test_other_numbers_of_starts_are_refused(n_init: Any) -> None:
    with pytest.raises(ValueError, match="n_init"):
        tiny_dense(n_init=n_init).fit(X)


def test_losses_of_starts_are_saved(tmp_path: Any) -> None:
    fitted = tiny_dense(n_init=2).fit(X)
    save(fitted, tmp_path / "fitted.safetensors")
    loaded = load(tmp_path / "fitted.safetensors")
    np.testing.assert_array_equal(loaded.init_losses_, fitted.init_losses_)
    assert loaded.n_init == 2
