from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skorch.callbacks import (
    Callback,
    Checkpoint,
    GradientNormClipping,
    TrainEndCheckpoint,
)
from torch import nn

from skautoencoder import AutoencoderTransformer
from skautoencoder.architectures import Custom, Dense
from skautoencoder.objectives import Objective
from skautoencoder.training import AutoencoderNet, Rows


@pytest.fixture
def X() -> np.ndarray:
    return np.random.RandomState(0).randn(70, 6)


def small(**params: Any) -> AutoencoderTransformer:
    defaults = {
        "code_size": 2,
        "architecture": Dense((5,)),
        "batch_size": 16,
        "max_epochs": 3,
        "random_state": 0,
    }
    return AutoencoderTransformer(**{**defaults, **params})


class Diary(Callback):
    """Notes every call, in order."""

    def __init__(self, note: str = "") -> None:
        self.note = note

    def initialize(self) -> Diary:
        self.calls_: list[tuple[str, bool | None]] = []
        self.losses_: list[float] = []
        self.sizes_: list[int] = []
        return self

    def _add(self, name: str, training: bool | None = None) -> None:
        self.calls_.append((name, training))

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self._add("train_begin")

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        self._add("train_end")

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        self._add("epoch_begin")

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        self._add("epoch_end")

    def on_batch_begin(
        self, net: Any, batch: Any = None, training: bool | None = None, **_: Any
    ) -> None:
        self._add("batch_begin", training)
        assert net.module_.training is training
        assert batch[0].shape[1] == 6

    def on_batch_end(
        self, net: Any, batch: Any = None, training: bool | None = None, **kw: Any
    ) -> None:
        self._add("batch_end", training)
        if training:
            self.losses_.append(float(kw["loss"]))
            self.sizes_.append(len(batch[0]))


def diary_of(autoencoder: AutoencoderTransformer) -> Diary:
    return dict(autoencoder.net_.callbacks_)["diary"]


class TestCallbacks:
    def test_those_that_listen_to_batches_are_told(self, X: np.ndarray) -> None:
        autoencoder = small(
            max_epochs=2, early_stopping=True, callbacks=[("diary", Diary())]
        ).fit(X)
        training = [("batch_begin", True), ("batch_end", True)]
        checking = [("batch_begin", False), ("batch_end", False)]
        # 63 rows of 70 in batches of 16; 7 are kept out.
        epoch = [("epoch_begin", None), *training * 4, *checking, ("epoch_end", None)]
        assert diary_of(autoencoder).calls_ == [
            ("train_begin", None),
            *epoch * 2,
            ("train_end", None),
        ]

    def test_the_epochs_loss_is_the_mean_over_rows(self, X: np.ndarray) -> None:
        autoencoder = small(max_epochs=2, callbacks=[("diary", Diary())]).fit(X)
        diary = diary_of(autoencoder)
        assert diary.sizes_ == [16, 16, 16, 16, 6] * 2
        for epoch, loss in enumerate(autoencoder.history_[:, "train_loss"]):
            part = slice(5 * epoch, 5 * epoch + 5)
            expected = np.average(diary.losses_[part], weights=diary.sizes_[part])
            assert loss == pytest.approx(expected, rel=1e-5)

    def test_listening_does_not_change_the_result(self, X: np.ndarray) -> None:
        alone = small().fit_transform(X)
        watched = small(callbacks=[Diary()]).fit_transform(X)
        np.testing.assert_array_equal(watched, alone)

    def test_the_users_objects_are_not_touched(self, X: np.ndarray) -> None:
        diary, clipping = Diary("mine"), GradientNormClipping(1.0)
        callbacks = [("diary", diary), clipping]
        before = [copy.deepcopy(vars(diary)), copy.deepcopy(vars(clipping))]
        autoencoder = small(callbacks=callbacks, callbacks__diary__note="changed").fit(
            X
        )
        assert callbacks == [("diary", diary), clipping]
        assert [vars(diary), vars(clipping)] == before
        assert diary_of(autoencoder) is not diary
        assert diary_of(autoencoder).note == "changed"

    def test_a_second_fit_does_not_share_callbacks(self, X: np.ndarray) -> None:
        autoencoder = small(callbacks=[("diary", Diary())]).fit(X)
        first = diary_of(autoencoder)
        n_calls = len(first.calls_)
        autoencoder.fit(X)
        assert diary_of(autoencoder) is not first
        assert len(first.calls_) == n_calls

    def test_gradients_can_be_clipped(self, X: np.ndarray) -> None:
        norms: list[float] = []

        class Norm(Callback):
            def on_grad_computed(self, net: Any, **kwargs: Any) -> None:
                gradients = [p.grad for p in net.module_.parameters()]
                norms.append(torch.cat([g.ravel() for g in gradients]).norm().item())

        clipping = GradientNormClipping(1e-3)
        small(callbacks=[Norm(), clipping, ("after", Norm())], max_epochs=1).fit(X)
        assert len(norms) == 10
        assert min(norms[::2]) > 1e-3
        assert norms[1::2] == pytest.approx([1e-3] * 5, rel=1e-2)

    def test_an_unknown_callback_is_named(self, X: np.ndarray) -> None:
        with pytest.raises(ValueError, match="nobody"):
            small(callbacks__nobody__note=1).fit(X)


class TestHistory:
    def test_what_it_holds(self, X: np.ndarray) -> None:
        autoencoder = small(early_stopping=True).fit(X)
        history = autoencoder.history_
        assert history[:, "epoch"] == [1, 2, 3]
        for name in ("train_loss", "valid_loss", "lr", "dur"):
            values = history[:, name]
            assert len(values) == 3
            assert all(type(value) is float for value in values)
        assert autoencoder.n_iter_ == 3

    @pytest.mark.parametrize("callbacks", [None, [Diary()]])
    @pytest.mark.parametrize("early_stopping", [False, True])
    def test_no_batches_are_left_in_it(
        self, X: np.ndarray, early_stopping: bool, callbacks: Any
    ) -> None:
        autoencoder = small(
            callbacks=callbacks, early_stopping=early_stopping, verbose=0
        ).fit(X)
        assert autoencoder.history_[:, "batches"] == [[{}]] * 3

    def test_nor_by_the_epoch_that_stopped_early(self, X: np.ndarray) -> None:
        autoencoder = small(
            callbacks=[Diary()],
            early_stopping=True,
            n_iter_no_change=1,
            tol=0.9,
            max_epochs=9,
        ).fit(X)
        assert autoencoder.n_iter_ < 9
        assert autoencoder.history_[:, "batches"] == [[{}]] * autoencoder.n_iter_

    def test_the_last_loss_is_near_that_of_the_weights(self, X: np.ndarray) -> None:
        autoencoder = small(max_epochs=40).fit(X)
        rows = autoencoder.trained_network.scaling.to_network(X)
        with torch.no_grad():
            loss = Objective()(autoencoder.net_.module_, rows, rows).item()
        assert autoencoder.history_[-1, "train_loss"] == pytest.approx(loss, rel=0.02)
        # The schedule is at its end, so nothing moves any more; and it has learnt.
        assert loss < 0.8 * autoencoder.history_[0, "train_loss"]


class TestDivergence:
    def diverging(self, **params: Any) -> AutoencoderTransformer:
        defaults = {"optimizer": "sgd", "lr": 1e3, "lr_schedule": "constant"}
        return small(**{**defaults, **params})

    def test_the_epoch_is_named(self, X: np.ndarray) -> None:
        class Poison(Callback):
            def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
                if len(net.history) == 3:  # skorch has already opened this epoch
                    with torch.no_grad():
                        next(net.module_.parameters()).fill_(float("nan"))

        autoencoder = small(callbacks=[Poison()], max_epochs=5)
        with pytest.raises(ValueError, match=r"train_loss became nan in epoch 3\."):
            autoencoder.fit(X)

    def test_the_message_says_what_to_look_at(self, X: np.ndarray) -> None:
        with pytest.raises(ValueError, match=r"diverged.*Lower lr \(now 1000.0\)"):
            self.diverging(max_epochs=20).fit(X)

    def test_an_unfitted_estimator_stays_unfitted(self, X: np.ndarray) -> None:
        autoencoder = self.diverging(max_epochs=20)
        before = vars(autoencoder).copy()
        with pytest.raises(ValueError, match="diverged"):
            autoencoder.fit(X)
        assert vars(autoencoder) == before

    @pytest.mark.parametrize("warm_start", [False, True])
    def test_a_fitted_one_keeps_its_fit(self, X: np.ndarray, warm_start: bool) -> None:
        autoencoder = small(warm_start=warm_start).fit(X)
        codes, n_epochs = autoencoder.transform(X), len(autoencoder.history_)
        autoencoder.set_params(
            optimizer="sgd", lr=1e3, lr_schedule="constant", max_epochs=20
        )
        with pytest.raises(ValueError, match="diverged"):
            autoencoder.fit(X)
        np.testing.assert_array_equal(autoencoder.transform(X), codes)
        assert len(autoencoder.history_) == autoencoder.n_iter_ == n_epochs

    def test_partial_fit_goes_back_to_the_weights_before(self, X: np.ndarray) -> None:
        autoencoder = small(optimizer="adam").fit(X)
        twin = copy.deepcopy(autoencoder)
        codes = autoencoder.transform(X)
        with pytest.raises(ValueError, match="diverged"):
            autoencoder.partial_fit(X * 1e30)
        np.testing.assert_array_equal(autoencoder.transform(X), codes)
        assert len(autoencoder.history_) == 3
        # The optimizer's state too: both go on in the same way.
        np.testing.assert_array_equal(
            autoencoder.partial_fit(X).transform(X), twin.partial_fit(X).transform(X)
        )

    def test_a_last_step_that_breaks_the_weights_is_found(self, X: np.ndarray) -> None:
        # One step: its loss is that of the first weights, still finite.
        autoencoder = self.diverging(lr=1e40, batch_size=70, max_epochs=1)
        with pytest.raises(ValueError, match="a weight of the network"):
            autoencoder.fit(X)

    def test_a_custom_module_that_answers_nan(self, X: np.ndarray) -> None:
        class Broken(nn.Linear):
            def forward(self, rows: torch.Tensor) -> torch.Tensor:
                return super().forward(rows) * float("nan")

        autoencoder = small(
            architecture=Custom(lambda: nn.Linear(6, 2), lambda: Broken(2, 6))
        )
        with pytest.raises(ValueError, match="nan in epoch 1"):
            autoencoder.fit(X)


class TestContinuing:
    def test_warm_start_goes_on_from_the_weights(self, X: np.ndarray) -> None:
        autoencoder = small(warm_start=True, lr=1e-9).fit(X)
        codes = autoencoder.transform(X)
        first = autoencoder.net_
        autoencoder.fit(X)
        np.testing.assert_allclose(autoencoder.transform(X), codes, atol=1e-4)
        assert autoencoder.history_[:, "epoch"] == [1, 2, 3, 4, 5, 6]
        assert len(first.history) == 3, "the net of the fit before is another one"
        fresh = small(random_state=1, lr=1e-9).fit_transform(X)
        assert np.abs(fresh - codes).max() > 0.1

    def test_without_it_every_fit_starts_anew(self, X: np.ndarray) -> None:
        autoencoder = small().fit(X)
        codes = autoencoder.transform(X)
        np.testing.assert_array_equal(autoencoder.fit(X).transform(X), codes)
        assert autoencoder.n_iter_ == 3

    def test_another_network_cannot_go_on(self, X: np.ndarray) -> None:
        autoencoder = small(warm_start=True).fit(X)
        autoencoder.set_params(architecture=Dense((7,)))
        with pytest.raises(ValueError, match="warm_start=True continues"):
            autoencoder.set_params(code_size=3).fit(X)

    def test_partial_fit_is_one_pass_in_an_order_of_its_own(
        self, X: np.ndarray
    ) -> None:
        orders: list[float] = []

        class Order(Callback):
            def on_batch_begin(self, net: Any, batch: Any = None, **_: Any) -> None:
                orders.extend(batch[0][:, 0].tolist())

        autoencoder = small(callbacks=[Order()])
        autoencoder.partial_fit(X).partial_fit(X)
        first, second = orders[:70], orders[70:]
        assert sorted(first) == sorted(second)
        assert len(set(first)) == 70
        assert first != second
        assert autoencoder.n_iter_ == 2

    def test_partial_fit_learns(self, X: np.ndarray) -> None:
        autoencoder = small(architecture=Dense(()), lr=0.03)
        scores = []
        for _ in range(25):
            scores.append(autoencoder.partial_fit(X).score(X))
        assert scores[-1] > scores[0]
        assert scores[-1] > 0.35


class TestIterator:
    def test_drop_last_reaches_the_batches(self, X: np.ndarray) -> None:
        autoencoder = small(
            iterator_train__drop_last=True, callbacks=[("diary", Diary())], max_epochs=1
        ).fit(X)
        assert diary_of(autoencoder).sizes_ == [16] * 4

    def test_a_seed_of_the_users_own_fixes_the_order(self, X: np.ndarray) -> None:
        first: list[float] = []

        class First(Callback):
            def on_batch_begin(self, net: Any, batch: Any = None, **_: Any) -> None:
                first.append(batch[0][0, 0].item())

        for random_state in (0, 1):
            small(
                iterator_train__seed=5,
                random_state=random_state,
                callbacks=[First()],
                max_epochs=1,
            ).fit(X)
        assert first[:5] == first[5:]

    def test_rows_in_order_where_shuffling_is_off(self, X: np.ndarray) -> None:
        seen: list[float] = []

        class Seen(Callback):
            def on_batch_begin(self, net: Any, batch: Any = None, **_: Any) -> None:
                seen.extend(batch[0][:, 0].tolist())

        small(iterator_train__shuffle=False, callbacks=[Seen()], max_epochs=1).fit(X)
        assert np.argsort(seen).tolist() == np.argsort(X[:, 0]).tolist()


class TestTheNetItself:
    """Without an estimator around it: what later estimators build on."""

    def net(self, **params: Any) -> AutoencoderNet:
        torch.manual_seed(0)
        return AutoencoderNet(
            Dense((5,)).build,
            Objective,
            module__sample_shape=(6,),
            module__code_size=2,
            optimizer=torch.optim.Adam,
            lr=0.01,
            batch_size=16,
            max_epochs=2,
            verbose=0,
            **params,
        )

    def test_it_learns_to_answer_with_the_targets(self, X: np.ndarray) -> None:
        rows = torch.from_numpy(X).float()
        net = self.net().set_params(max_epochs=100, lr=0.02)
        net.partial_fit(Rows(rows, torch.full_like(rows, 3.0)))
        with torch.no_grad():
            answers = net.module_(rows)
        torch.testing.assert_close(
            answers, torch.full_like(rows, 3.0), atol=0.2, rtol=0
        )

    def test_it_is_in_evaluation_mode_afterwards(self, X: np.ndarray) -> None:
        net = self.net().partial_fit(Rows(torch.from_numpy(X).float()))
        assert not net.module_.training

    def test_the_validation_part_is_the_seeds(self, X: np.ndarray) -> None:
        data = Rows(torch.from_numpy(X).float())
        parts = [
            self.net(validation_fraction=0.2, seed=seed).get_split_datasets(data)
            for seed in (0, 0, 1)
        ]
        assert [len(valid) for _, valid in parts] == [14, 14, 14]
        assert torch.equal(parts[0][1].rows, parts[1][1].rows)
        assert not torch.equal(parts[0][1].rows, parts[2][1].rows)
        assert self.net().get_split_datasets(data) == (data, None)

    def test_it_pickles_with_its_weights(self, X: np.ndarray) -> None:
        net = small().fit(X).net_
        twin = pickle.loads(pickle.dumps(net))
        rows = torch.from_numpy(X).float()
        assert torch.equal(twin.module_(rows), net.module_(rows))
        assert twin.history == net.history


@pytest.mark.parametrize("verbose", [0, 1])
def test_checkpoints_are_written(
    X: np.ndarray, tmp_path: Path, verbose: int, capsys: Any
) -> None:
    best = Checkpoint(monitor="train_loss_best", dirname=tmp_path / "best")
    last = TrainEndCheckpoint(dirname=tmp_path / "last")
    small(callbacks=[best, last], verbose=verbose).fit(X)
    for name in ("best", "last"):
        assert list((tmp_path / name).glob("*params.pt"))
