"""Default transformers of tables reconstruct new rows at least as well as PCA does."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, load_wine, make_moons
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from skautoencoder import AutoencoderTransformer, load, save
from skautoencoder.architectures import Dense

EACH_SEED = pytest.mark.parametrize("seed", range(2))


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Default fits end early, where nobody asks how good the network has become."""
    monkeypatch.setattr(AutoencoderTransformer, "_usual_steps", 10)


@pytest.fixture
def fewer_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough of them for a network that gets ahead of PCA."""
    monkeypatch.setattr(AutoencoderTransformer, "_usual_steps", 500)


quick = pytest.mark.usefixtures("few_steps")


def normal_rows(n_rows: int, seed: int = 0) -> np.ndarray:
    """Rows whose best code is linear."""
    rng = np.random.RandomState(seed)
    factors = rng.normal(size=(3, 8)) * [[4.0], [2.0], [1.0]]
    return rng.normal(size=(n_rows, 3)) @ factors + 0.5 * rng.normal(size=(n_rows, 8))


def arc(n_rows: int, seed: int = 0) -> np.ndarray:
    """Rows of which one number, an angle, says nearly all."""
    rng = np.random.RandomState(seed)
    angle = rng.uniform(-2, 2, size=n_rows)
    rows = np.column_stack([np.cos(angle), np.sin(angle), np.cos(2 * angle)])
    return rows + 0.03 * rng.normal(size=rows.shape)


def error(reconstructed: Any, X: np.ndarray) -> float:
    return float(np.square(np.asarray(reconstructed) - X).sum())


def error_of_pca(X_train: np.ndarray, X: np.ndarray, code_size: int) -> float:
    pca = PCA(code_size).fit(X_train)
    return error(pca.inverse_transform(pca.transform(X)), X)


def transformer(code_size: int = 3, **params: Any) -> AutoencoderTransformer:
    return AutoencoderTransformer(code_size, **{"random_state": 0, **params})


@quick
@EACH_SEED
def test_linear_data_get_the_codes_of_pca(seed: int) -> None:
    X, X_new = normal_rows(60, seed), normal_rows(500, seed + 10)
    fitted = transformer(random_state=seed).fit(X)
    assert fitted.is_linear_
    pca = PCA(3).fit(X)
    np.testing.assert_allclose(
        fitted.predict(X_new),
        pca.inverse_transform(pca.transform(X_new)),
        rtol=1e-4,
        atol=1e-4,
    )
    # Codes are in the network's units, and each axis has a sign of its own.
    codes, of_pca = np.abs(fitted.transform(X_new)), np.abs(pca.transform(X_new))
    unit = codes.sum() / of_pca.sum()
    np.testing.assert_allclose(codes, unit * of_pca, rtol=1e-4, atol=1e-4)
    assert fitted.code_size_ == 3
    assert len(fitted.history_) == fitted.n_iter_ > 1


@quick
@pytest.mark.parametrize(("code_size", "seed"), [(2, 0), (8, 2)])
def test_features_of_very_different_variance(code_size: int, seed: int) -> None:
    # Of the raw wines PCA loses a millionth of the variance: no step of training
    # finds its axes so exactly.
    X_train, X_test = train_test_split(load_wine().data, random_state=seed)
    with pytest.warns(UserWarning, match="StandardScaler"):
        fitted = transformer(code_size, random_state=seed).fit(X_train)
    of_pca = error_of_pca(X_train, X_test, code_size)
    assert error(fitted.predict(X_test), X_test) <= 1.01 * of_pca


def test_a_small_table_in_unit_intervals() -> None:
    seed = 0
    X = load_iris().data
    X = (X - X.min(axis=0)) / np.ptp(X, axis=0)
    X_train, X_test = train_test_split(X, train_size=64, random_state=seed)
    fitted = transformer(2, random_state=seed).fit(X_train)
    of_pca = error_of_pca(X_train, X_test, 2)
    assert error(fitted.predict(X_test), X_test) <= 1.01 * of_pca


def test_a_network_that_is_ahead_by_chance_is_not_kept() -> None:
    # By 2.2 standard errors in halves of 35 rows, and behind on the other 372.
    X_train, X_test = train_test_split(
        load_diabetes().data, train_size=70, random_state=0
    )
    scaler = StandardScaler().fit(X_train)
    X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
    fitted = transformer(2).fit(X_train)
    of_pca = error_of_pca(X_train, X_test, 2)
    assert error(fitted.predict(X_test), X_test) <= 1.01 * of_pca


@pytest.mark.usefixtures("fewer_steps")
def test_a_network_that_does_better_is_kept() -> None:
    X, X_new = arc(150), arc(500, 10)
    fitted = transformer(1).fit(X)
    assert not fitted.has_linear_codes_
    assert error(fitted.predict(X_new), X_new) < 0.3 * error_of_pca(X, X_new, 1)
    # Validation rows decide where there are some. It is the network of all rows.
    judged = transformer(1).fit(X, X_valid=X_new)
    np.testing.assert_array_equal(fitted.transform(X_new), judged.transform(X_new))
    # Rows that lie elsewhere, where a network trained on X knows nothing.
    assert transformer(1).fit(X, X_valid=10 * arc(50, 1)).has_linear_codes_


@quick
@pytest.mark.parametrize(("shape", "name"), [((8, 1), "conv1d"), ((4, 4), "conv")])
def test_sequences_and_few_images_get_the_codes_of_pca(
    shape: tuple[int, int], name: str, tmp_path: Path
) -> None:
    # Of images, two pixels have the same number.
    n_copies = shape[0] * shape[1] // 8
    rows, rows_new = (np.tile(normal_rows(*of), n_copies) for of in ((60,), (500, 10)))
    X = rows.reshape(-1, *shape)
    fitted = transformer().fit(X)
    assert fitted.is_linear_
    predicted = fitted.predict(rows_new.reshape(-1, *shape))
    assert predicted.shape == (500, *shape)
    of_pca = error_of_pca(rows, rows_new, 3)
    assert error(predicted.reshape(500, -1), rows_new) == pytest.approx(of_pca, 1e-3)
    save(fitted, tmp_path / "fitted")
    again = load(tmp_path / "fitted").predict(rows_new.reshape(-1, *shape))
    np.testing.assert_array_equal(again, predicted)
    assert not transformer(architecture=name).fit(X).has_linear_codes_


@quick
def test_ragged_sequences_and_many_images_keep_the_network() -> None:
    X = normal_rows(60).reshape(-1, 8, 1)
    assert not transformer().fit([X[0, 1:], *X[1:]]).has_linear_codes_
    images = np.tile(normal_rows(200), 2).reshape(-1, 4, 4)
    assert transformer().fit(images[:199]).has_linear_codes_
    assert not transformer().fit(images).has_linear_codes_


@quick
def test_many_rows_are_judged_by_themselves() -> None:
    X = normal_rows(2001)
    fitted = transformer(batch_size=512).fit(X)
    assert fitted.is_linear_
    assert error(fitted.predict(X), X) <= 1.0001 * error_of_pca(X, X, 3)


@quick
@pytest.mark.parametrize(
    "params",
    [
        {"architecture": "dense"},
        {"architecture": Dense((16,))},
        {"max_epochs": 3},
        {"loss": "bce"},
        {"penalty": "l1"},
        {"code_size": 8},
    ],
)
def test_what_was_asked_for_is_kept(params: dict[str, Any]) -> None:
    X = normal_rows(30)
    X = (X - X.min()) / np.ptp(X)
    assert not transformer(**params).fit(X).is_linear_


@quick
@pytest.mark.parametrize("loss", ["l1", "huber"])
def test_other_losses(loss: str) -> None:
    X, X_new = normal_rows(60), normal_rows(500, 1)
    pca = PCA(3).fit(X)
    of_pca = np.abs(pca.inverse_transform(pca.transform(X_new)) - X_new).mean()
    found = np.abs(transformer(loss=loss).fit(X).predict(X_new) - X_new).mean()
    assert found <= 1.01 * of_pca


@quick
def test_a_linear_network_is_stored_and_trained_on(tmp_path: Path) -> None:
    X = normal_rows(60)
    fitted = transformer().fit(X)
    codes = fitted.transform(X)
    save(fitted, tmp_path / "linear.safetensors")
    for other in (
        load(tmp_path / "linear.safetensors"),
        pickle.loads(pickle.dumps(fitted)),
        clone(fitted).fit(X),
    ):
        assert other.is_linear_
        np.testing.assert_array_equal(other.transform(X), codes)
    assert fitted.partial_fit(X).is_linear_
    assert not np.array_equal(fitted.transform(X), codes)
    again = transformer(warm_start=True).fit(X)
    assert again.fit(X).is_linear_
    # Training starts at PCA, and can only stay near it.
    assert again.score(X) == pytest.approx(transformer().fit(X).score(X), abs=0.01)


@quick
def test_another_architecture_does_not_go_on_with_a_linear_network() -> None:
    X = normal_rows(60)
    fitted = transformer(warm_start=True).fit(X).set_params(architecture="dense")
    with pytest.raises(ValueError, match="warm_start"):
        fitted.fit(X)
    assert fitted.is_linear_


class Count(Callback):  # type: ignore[misc]
    def __init__(self) -> None:
        self.n_fits = 0

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.n_fits += 1


@quick
def test_callbacks_and_output_are_those_of_one_fit(
    capsys: pytest.CaptureFixture[str],
) -> None:
    X, count = normal_rows(60), Count()
    fitted = transformer(callbacks=[("count", count)], verbose=1).fit(X)
    assert fitted.is_linear_
    assert dict(fitted.net_.callbacks_).get("count", count).n_fits <= 1
    printed = capsys.readouterr()
    assert (printed.out + printed.err).count("epoch 1/") <= 1


@quick
def test_a_random_state_is_drawn_from_once() -> None:
    X, state = normal_rows(60), np.random.RandomState(0)
    transformer(random_state=state).fit(X)
    other = np.random.RandomState(0)
    transformer(architecture="dense", max_epochs=1, random_state=other).fit(X)
    assert state.randint(1000) == other.randint(1000)


def test_one_number_follows_two_crescents_in_a_plane() -> None:
    train, _ = make_moons(300, random_state=0)
    test, _ = make_moons(500, random_state=1)
    pca = PCA(1).fit(train)
    lost = np.square(test - pca.inverse_transform(pca.transform(test))).sum()
    own = AutoencoderTransformer(1, random_state=0).fit(train)
    residual = test - own.inverse_transform(own.transform(test))
    # .58 after 111 epochs, .08 after 444.
    assert np.square(residual).sum() < 0.3 * lost
