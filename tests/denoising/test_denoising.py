"""DenoisingAutoencoder: whose noise, what is compared, and how well it does."""

from __future__ import annotations

import copy
import functools
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from denoisers import X_TEST, X, tiny, with_noise
from helpers import IMAGES, ROWS, ValidationRecorder, assert_same_weights
from sklearn.base import clone
from sklearn.decomposition import PCA, KernelPCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from skorch.callbacks import Callback
from torch import nn

from skautoencoder import DenoisingAutoencoder
from skautoencoder._estimator.plan import Samples
from skautoencoder.architectures import Conv, Custom, Dense

# ---- what training sees ----


class Watcher(nn.Module):
    """An encoder that keeps the rows that training shows it."""

    seen: list[torch.Tensor]

    def __init__(self, code_size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(64, code_size)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        if self.training and torch.is_grad_enabled():
            self.seen.append(rows.detach().clone())
        return self.linear(rows)


def watch(estimator: Any, X: Any, **clean: Any) -> list[torch.Tensor]:
    Watcher.seen = []
    architecture = Custom(Watcher, lambda code_size: nn.Linear(code_size, 64))
    estimator.set_params(architecture=architecture).fit(X, **clean)
    return Watcher.seen


def test_noise_is_drawn_anew_for_every_batch() -> None:
    n_epochs = 3
    estimator = tiny(
        noise_level=0.2, clip=None, batch_size=200, max_epochs=n_epochs
    ).set_params(iterator_train__shuffle=False)
    seen = watch(estimator, X)
    assert len(seen) == n_epochs
    drawn = [rows.numpy() - X for rows in seen]
    for noise in drawn:
        assert noise.std() == pytest.approx(0.2, rel=0.05)
    assert abs(np.corrcoef(drawn[0].ravel(), drawn[1].ravel())[0, 1]) < 0.05


def test_the_loss_is_against_the_clean_rows() -> None:
    # A network that cannot change: what it answers with is known.
    class Mean(nn.Module):
        def forward(self, codes: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(codes), 64) + 0 * self.weight

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(()))

    architecture = Custom(lambda: nn.Linear(64, 2), Mean)
    for loss, expected in {
        "mse": np.square(X).mean(),
        "l1": np.abs(X).mean(),
    }.items():
        estimator = tiny(noise_level=5.0, architecture=architecture, loss=loss).fit(X)
        assert estimator.history_[0]["train_loss"] == pytest.approx(expected, rel=1e-4)


def test_pairs_are_shown_as_they_are_and_compared_with_the_clean() -> None:
    noisy = with_noise(X, "gaussian", 0.3, 0)
    seen = watch(
        tiny(batch_size=200, iterator_train__shuffle=False, max_epochs=2),
        noisy,
        X_clean=X,
    )
    for rows in seen:
        np.testing.assert_allclose(rows.numpy(), noisy, rtol=1e-6)


def test_fresh_noise_in_the_network_is_no_noise_in_answers() -> None:
    estimator = tiny(noise_level=0.5).fit(X)
    for method in (estimator.predict, estimator.transform, estimator.score_samples):
        np.testing.assert_array_equal(method(X), method(X))


def test_early_stopping_watches_rows_with_one_fixed_noise() -> None:
    recorder = ValidationRecorder()
    estimator = tiny(
        noise_level=0.3,
        clip=None,
        early_stopping=True,
        callbacks=[recorder],
        max_epochs=4,
        n_iter_no_change=9,
    )
    estimator.fit(X)
    shown = list(recorder.named("valid"))
    assert len(shown) == 4
    assert all(torch.equal(rows, shown[0]) for rows in shown)
    clean = torch.from_numpy(X).float()
    distances = torch.cdist(shown[0], clean)
    assert distances.min() > 0.1  # none of them is a clean row


class KeepsValidation(Callback):
    kept: dict[str, Any]

    def on_epoch_end(self, net: Any, dataset_valid: Any, **kwargs: Any) -> None:
        type(self).kept = {"net": net, "data": dataset_valid}


def test_the_validation_loss_is_that_of_denoising() -> None:
    estimator = tiny(
        "masking", noise_level=0.4, early_stopping=True, callbacks=[KeepsValidation()]
    ).fit(X)
    data = KeepsValidation.kept["data"]
    clean, noisy = data.targets.numpy(), data.rows.numpy()
    assert ((noisy == 0) & (clean > 0)).mean() > 0.1
    assert (noisy == clean)[noisy != 0].all()
    # At the end the weights of the best epoch are back.
    answered = estimator.predict(noisy)
    assert np.square(answered - clean).mean() == pytest.approx(
        min(estimator.history_[:, "valid_loss"]), rel=1e-3
    )


# ---- parameters ----


@pytest.mark.parametrize(
    ("noise", "expected"),
    [("gaussian", 0.5 * np.sqrt(X.var(axis=0).mean())), ("masking", 0.25)],
)
def test_the_auto_level(noise: str, expected: float) -> None:
    corruption = tiny(noise).fit(X).net_.criterion_.corruption
    assert corruption.level == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("scale", [1.0, 16.0, 1e-3])
def test_levels_are_in_units_of_the_data(scale: float) -> None:
    shift = 0.0 if scale == 1.0 else 3.0
    given = tiny(noise_level=0.2 * scale, clip=None).fit(scale * X + shift)
    corruption = given.net_.criterion_.corruption
    scaling = given.trained_network.scaling
    shown = scaling.to_network(scale * X + shift)
    torch.manual_seed(0)
    noise = given.trained_network.scaling.to_data(corruption(shown), X.dtype) - (
        scale * X + shift
    )
    assert noise.std() == pytest.approx(0.2 * scale, rel=0.02)


@pytest.mark.parametrize(
    ("data", "clip", "expected"),
    [
        (X, "auto", (0, 1)),
        (0.1 * X, "auto", None),
        (16 * X, "auto", None),
        (X, None, None),
        (16 * X, (0, 16), (0, 16)),
        (X, [0.25, 0.75], (0.25, 0.75)),
    ],
)
def test_clip(data: np.ndarray, clip: Any, expected: Any) -> None:
    estimator = tiny(noise_level=float(data.max()), clip=clip).fit(data)
    corruption = estimator.net_.criterion_.corruption
    torch.manual_seed(0)
    noisy = estimator.trained_network.scaling.to_data(
        corruption(estimator.trained_network.scaling.to_network(data)), data.dtype
    )
    if expected is None:
        assert noisy.min() < -data.max()
        assert noisy.max() > 2 * data.max()
    else:
        bounds = (noisy.min(), noisy.max())
        np.testing.assert_allclose(bounds, expected, atol=1e-5 * data.max())


def test_salt_and_pepper_are_the_extremes_of_the_data_or_of_clip() -> None:
    data = 16 * X - 3
    for clip, low, high in (("auto", -3, 13), ((-5, 20), -5, 20)):
        estimator = tiny("salt_and_pepper", noise_level=1.0, clip=clip).fit(data)
        noisy = estimator.trained_network.scaling.to_data(
            estimator.net_.criterion_.corruption(
                estimator.trained_network.scaling.to_network(data)
            ),
            data.dtype,
        )
        np.testing.assert_allclose(np.unique(noisy.round(3)), [low, high])


def test_a_callable_sees_what_fit_was_given() -> None:
    shapes = []

    def hide_the_middle(images: torch.Tensor) -> torch.Tensor:
        shapes.append(tuple(images.shape))
        assert images.min() == pytest.approx(0, abs=1e-4)
        assert images.max() == pytest.approx(16, abs=1e-4)
        images[:, 3:5, 3:5] = 0
        return images

    estimator = tiny(hide_the_middle, batch_size=50, architecture=Conv((4,)))
    estimator.fit(16 * IMAGES[:200])
    assert set(shapes) == {(50, 8, 8)}
    assert np.isfinite(estimator.score(16 * IMAGES[200:300]))


def test_a_callable_that_draws_with_torch_follows_the_seed() -> None:
    def dim(rows: torch.Tensor) -> torch.Tensor:
        return rows * torch.rand(len(rows), 1)

    one, other = (tiny(dim).fit(X) for _ in range(2))
    assert_same_weights(one, other)
    assert one.score(X) == other.score(X)


def test_the_auto_code_size() -> None:
    conv = DenoisingAutoencoder(architecture=Conv((3, 5)), max_epochs=1).fit(IMAGES[:9])
    assert conv.code_size_ == 5 * 2 * 2
    architecture = Conv((3, 5), hidden_layer_sizes=(7,))
    for params in (
        {"architecture": architecture},
        {"architecture": "dense"},
        {"architecture": Custom(lambda code_size: nn.Linear(64, code_size), Unflat)},
    ):
        estimator = DenoisingAutoencoder(max_epochs=1, **params).fit(ROWS[:9])
        assert estimator.code_size_ == 128


@pytest.mark.parametrize(
    ("n_rows", "batch_size", "n_epochs"),
    # As many as without noise where that is many already, more on large data.
    [(1800, 32, 50), (60_000, 128, 19), (1_000_000, 128, 18)],
)
def test_the_auto_number_of_epochs(n_rows: int, batch_size: int, n_epochs: int) -> None:
    denoiser = DenoisingAutoencoder
    steps = denoiser._usual_steps, denoiser._fewest_epochs, denoiser._few_features
    samples = Samples(
        rows=np.empty((n_rows, 4)),
        data_shape=(4,),
        sample_shape=(4,),
        architecture=Dense(),
    )
    assert samples.usual_epochs(n_rows, batch_size, *steps) == n_epochs


def test_denoisers_of_few_features_take_no_more_epochs() -> None:
    # Their codes are not short: small tables would be overfitted.
    denoiser = DenoisingAutoencoder(architecture=Dense((4,)), random_state=0)
    assert denoiser.fit(ROWS[:32, :3]).n_iter_ == 200


class Unflat(nn.Linear):
    def __init__(self, code_size: int) -> None:
        super().__init__(code_size, 64)


@pytest.mark.parametrize("noise", ["gaussian", "masking", "salt_and_pepper"])
def test_the_same_seed_gives_the_same_bits(noise: str) -> None:
    one = tiny(noise, early_stopping=True).fit(X)
    torch.rand(3)
    state = torch.get_rng_state()
    other = tiny(noise, early_stopping=True).fit(X)
    assert_same_weights(one, other)
    assert one.score(X_TEST) == other.score(X_TEST)
    assert torch.equal(torch.get_rng_state(), state)


def test_it_survives_pickling_and_clones() -> None:
    estimator = tiny("masking", noise_level=0.3, clip=(0, 1)).fit(X)
    loaded = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(loaded.predict(X), estimator.predict(X))
    assert loaded.score(X) == estimator.score(X)
    assert str(clone(estimator)) == str(estimator)


@pytest.mark.parametrize("library", ["pickle", "cloudpickle"])
def test_lambdas_are_stored(library: str) -> None:
    stores = pytest.importorskip(library)
    architecture = Custom(lambda: nn.Linear(64, 12), lambda: nn.Linear(12, 64))
    estimator = tiny(lambda rows: rows / 2, architecture=architecture).fit(X)
    loaded = stores.loads(stores.dumps(estimator))
    np.testing.assert_array_equal(loaded.predict(X), estimator.predict(X))
    assert loaded.partial_fit(X).score(X) == estimator.partial_fit(X).score(X)


def test_a_shallow_copy_shares_its_lambda() -> None:
    estimator = tiny(lambda rows: rows / 2).fit(X)
    copied = copy.copy(estimator)
    assert copied.noise is estimator.noise
    assert copied.net_ is estimator.net_


def test_partial_fit_makes_noise_of_the_first_part() -> None:
    estimator = tiny(noise_level=0.2).partial_fit(X).partial_fit(X / 2)
    assert estimator.net_.criterion_.corruption.level == 0.2
    assert len(estimator.history_) == 2


def test_a_warm_start_goes_on() -> None:
    estimator = tiny(warm_start=True).fit(X)
    before = estimator.history_[-1]["train_loss"]
    estimator.set_params(noise_level=0.1).fit(X)
    assert estimator.history_[-1]["train_loss"] < before
    assert estimator.net_.criterion_.corruption.level == 0.1


NOISY = with_noise(X, "gaussian", 0.3, 0)


# ---- score ----


@pytest.mark.parametrize("data", [X_TEST, 16 * X_TEST - 5], ids=["unit", "other"])
def test_score_is_the_variance_explained_of_the_clean_data(data: np.ndarray) -> None:
    estimator = tiny(noise_level=0.2).fit(data)
    noisy = data + np.random.RandomState(0).normal(scale=0.2, size=data.shape)
    residual = np.square(estimator.predict(noisy) - data).sum()
    expected = 1 - residual / np.square(data - data.mean(axis=0)).sum()
    assert estimator.score(noisy, X_clean=data) == pytest.approx(expected, rel=1e-6)
    # Its own noise is another draw of the same, and not none.
    assert estimator.score(data) == estimator.score(data)
    unit = np.sqrt(data.var(axis=0).mean())
    estimator = tiny(noise_level=1.5 * unit, clip=None, max_epochs=20).fit(data)
    noisy = data + np.random.RandomState(0).normal(scale=1.5 * unit, size=data.shape)
    assert estimator.score(data) == pytest.approx(
        estimator.score(noisy, X_clean=data), abs=0.03
    )
    assert estimator.score(data) < estimator.score(data, X_clean=data) - 0.05


def test_score_of_samples_without_variance() -> None:
    estimator = tiny(noise_level=0.0).fit(X)
    assert estimator.score(np.zeros((5, 64))) == 0.0
    # Its mean, rounded, is not quite 0.1; that is not variance.
    constant = np.full((30, 64), 0.1)
    assert estimator.score(constant) == 0.0
    by_heart = tiny(max_epochs=1).fit(constant[:, :4])
    assert by_heart.score(constant[:, :4]) in (0.0, 1.0)


def test_score_after_pairs_asks_for_pairs() -> None:
    estimator = tiny().fit(NOISY, X_clean=X)
    with pytest.raises(ValueError, match=r"score needs the clean samples.*X_clean="):
        estimator.score(NOISY)
    assert isinstance(estimator.score(NOISY, X_clean=X), float)


# ---- with the rest of scikit-learn ----


def test_as_a_step_of_a_classifier() -> None:
    y = (ROWS[:, 20] > 0.5).astype(int)
    pipeline = make_pipeline(MinMaxScaler(), tiny(max_epochs=10), LogisticRegression())
    scores = cross_val_score(pipeline, 7 * ROWS[:300], y[:300], cv=2)
    assert scores.min() > 0.8


def test_a_grid_search_over_noise_and_architecture() -> None:
    search = GridSearchCV(
        tiny(max_epochs=10),
        {"architecture__hidden_layer_sizes": [(2,), (48,)], "noise": ["masking"]},
        cv=2,
    )
    search.fit(ROWS[:300])
    assert search.best_params_["architecture__hidden_layer_sizes"] == (48,)


def test_as_the_last_step_of_a_pipeline_it_denoises() -> None:
    pipeline = make_pipeline(StandardScaler(), tiny()).fit(ROWS[:300])
    assert pipeline.predict(ROWS[:5]).shape == (5, 64)
    assert pipeline.transform(ROWS[:5]).shape == (5, 12)


# ---- how well ----


TRAIN = ROWS[:500]


@functools.cache
def denoised_by_scikit_learn(noise: str, level: float) -> float:
    """The lower error of the two of scikit-learn's image-denoising example."""
    noisy_train = with_noise(TRAIN, noise, level, 1)
    noisy = with_noise(X_TEST, noise, level, 2)
    pcas = [
        PCA(n_components=32, random_state=0),
        KernelPCA(
            n_components=400,
            kernel="rbf",
            gamma=1e-3,
            fit_inverse_transform=True,
            alpha=5e-3,
            random_state=0,
        ),
    ]
    errors = []
    for pca in pcas:
        pca.fit(noisy_train)
        answered = pca.inverse_transform(pca.transform(noisy))
        errors.append(np.square(answered - X_TEST).mean())
    return min(errors)


@pytest.mark.parametrize(
    ("noise", "level", "seed"),
    [("gaussian", 0.3, 0), ("masking", 0.3, 1), ("salt_and_pepper", 0.2, 2)],
)
def test_it_beats_pca_and_kernel_pca(noise: str, level: float, seed: int) -> None:
    estimator = DenoisingAutoencoder(
        noise, noise_level=level, max_epochs=12, random_state=seed
    ).fit(TRAIN)
    noisy = with_noise(X_TEST, noise, level, 2)
    error = np.square(estimator.predict(noisy) - X_TEST).mean()
    assert error < 0.85 * denoised_by_scikit_learn(noise, level)


def test_pairs_teach_as_well_as_noise() -> None:
    noisy = with_noise(TRAIN, "gaussian", 0.3, 5)
    estimator = DenoisingAutoencoder(max_epochs=12, random_state=0)
    estimator.fit(noisy, X_clean=TRAIN)
    shown = with_noise(X_TEST, "gaussian", 0.3, 2)
    error = np.square(estimator.predict(shown) - X_TEST).mean()
    assert error < 0.9 * denoised_by_scikit_learn("gaussian", 0.3)


# ---- bad input ----

NAMED = pd.DataFrame(X).add_prefix("pixel_")


@pytest.mark.parametrize(
    ("params", "data", "message"),
    [
        ({"noise": "gausian"}, (X,), "Did you mean 'gaussian'"),
        ({"noise": "salt&pepper"}, (X,), "Did you mean 'salt_and_pepper'"),
        ({"noise": "Masking"}, (X,), "Did you mean 'masking'"),
        ({"noise": 3}, (X,), "'noise' parameter"),
        ({"noise_level": -0.1}, (X,), "'noise_level' parameter"),
        ({"noise_level": "high"}, (X,), "'noise_level' parameter"),
        (
            {"noise": "masking", "noise_level": 1.1},
            (X,),
            r"noise_level=1.1 is out of range.*from 0 to 1",
        ),
        (
            {"noise": "salt_and_pepper", "noise_level": 30},
            (X,),
            r"noise_level=30 is out of range",
        ),
        ({"clip": (1, 0)}, (X,), r"clip must be .* got \(1, 0\)"),
        ({"clip": (0, 1, 2)}, (X,), "clip must be"),
        ({"clip": ("a", "b")}, (X,), "clip must be"),
        ({"clip": (0, np.nan)}, (X,), "clip must be"),
        ({"clip": (0, np.inf)}, (X,), "clip must be"),
        ({"clip": "yes"}, (X,), "'clip' parameter"),
        ({"code_size": "big"}, (X,), "'code_size' parameter"),
        ({}, (X, X[:, :5]), r"X_clean has shape \(200, 5\), but X has \(200, 64\)"),
        ({}, (X, X[:50]), r"X_clean has shape \(50, 64\), but X has \(200, 64\)"),
        ({}, (X, np.zeros((200, 1))), r"X_clean has shape \(200, 1\), but X has"),
        ({}, (X, X[:, 0]), "Expected 2D array, got 1D array"),
        ({}, (IMAGES[:9], IMAGES[:9, 1:]), r"X_clean has shape \(9, 7, 8\), but X"),
        ({}, (X, np.where(X > 0.9, np.nan, X)), "Input X_clean contains NaN"),
        ({}, (NAMED, NAMED[NAMED.columns[::-1]]), "'pixel_63' where X has 'pixel_0'"),
        (
            {"noise": lambda rows: rows[:, 1:]},
            (X,),
            "noise must return samples of the shape",
        ),
    ],
)
def test_errors_say_what_is_wrong(
    params: dict[str, Any], data: tuple[Any, ...], message: str
) -> None:
    estimator = tiny(**params)
    before = vars(estimator).copy()
    with pytest.raises(ValueError, match=message):
        estimator.fit(data[0], X_clean=data[1] if len(data) > 1 else None)
    assert vars(estimator) == before


@pytest.mark.parametrize("noise", [lambda: 0, lambda rows, level: rows])
def test_noise_takes_one_argument(noise: Any) -> None:
    with pytest.raises(TypeError, match=r"noise must be a callable that takes one"):
        tiny(noise=noise).fit(X)


def test_noise_may_have_arguments_with_defaults() -> None:
    assert tiny(noise=lambda rows, level=0.1: rows + level).fit(X).n_iter_ > 0


@pytest.mark.parametrize("pairs_first", [True, False])
def test_parts_with_and_without_pairs_do_not_mix(pairs_first: bool) -> None:
    clean = {True: X, False: None}
    estimator = tiny().partial_fit(X, X_clean=clean[pairs_first])
    before = "with" if pairs_first else "without"
    with pytest.raises(
        ValueError, match=f"called {before} clean samples \\(X_clean\\)"
    ):
        estimator.partial_fit(X, X_clean=clean[not pairs_first])
    estimator.partial_fit(X, X_clean=clean[pairs_first])
