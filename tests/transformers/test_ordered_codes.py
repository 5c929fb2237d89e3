"""Ordered codes: leading numbers of a code are codes themselves."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch import nn

from skautoencoder import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    load,
    save,
)
from skautoencoder._estimator.ordered_codes import start_in_order
from skautoencoder.architectures import Conv1d, Custom, Dense
from skautoencoder.objectives import OrderedObjective
from skautoencoder.objectives.random_generators import seeded_generator

SIZES = [1, 2, 3, 4, 6, 8]
SMALL: dict[str, Any] = {
    "architecture": Dense((32, 16)),
    "max_epochs": 3,
    "random_state": 0,
}


def linear_table(seed: int, n_rows: int) -> Any:
    """Normal numbers in a space of eight directions of falling variance, and noise."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.normal(size=(12, 8)))[0].T
    scales = 2.0 ** -np.arange(8)
    rows = rng.normal(size=(n_rows, 8)) * scales @ directions
    return rows + 0.02 * rng.normal(size=rows.shape)


def test_leading_codes_of_linear_data_are_near_principal_components():
    seed = 0
    X, X_test = np.split(linear_table(seed, 800), [400])
    ours = AutoencoderTransformer(
        8,
        ordered=True,
        architecture=Dense((32, 16)),
        lr=1e-2,
        max_epochs=30,
        random_state=seed,
    ).fit(X)
    linear = PCA(8).fit(X)
    codes, projections = ours.transform(X_test), linear.transform(X_test)
    total = np.square(X_test - X_test.mean(axis=0)).sum()
    for size in SIZES:
        residual = X_test - ours.inverse_transform(codes[:, :size])
        kept = projections[:, :size] @ linear.components_[:size] + linear.mean_
        lost, least = np.square(residual).sum(), np.square(X_test - kept).sum()
        assert lost < 1.05 * least + 0.005 * total, size


def test_path_is_the_error_of_each_size_on_held_out_rows():
    X, X_valid = np.split(linear_table(0, 300), [200])
    ours = AutoencoderTransformer(5, ordered=True, **SMALL).fit(X, X_valid=X_valid)
    codes = ours.transform(X_valid)
    errors = np.stack(
        [
            np.square(ours.inverse_transform(codes[:, :size]) - X_valid).mean(axis=1)
            for size in range(1, 6)
        ]
    )
    np.testing.assert_allclose(ours.error_path_, errors.mean(axis=1), rtol=1e-4)
    standard_errors = errors.std(axis=1, ddof=1) / np.sqrt(100)
    np.testing.assert_allclose(
        ours.error_path_standard_errors_, standard_errors, rtol=1e-3
    )
    shares = ours.explained_variance_ratio_
    assert shares.shape == (5,)
    assert shares.sum() == pytest.approx(ours.score(X_valid), abs=1e-4)


@pytest.mark.parametrize("n_rows", [9, 300])  # fewer and more than features
def test_the_linear_part_starts_at_principal_axes(n_rows):
    X = torch.from_numpy(linear_table(0, n_rows)).float()
    network = Dense((6,)).build((12,), 5, ordered=True)
    start_in_order(network, X)
    axes = network.encoder.line.weight.detach().numpy()
    cosines = np.abs((axes * PCA(5).fit(X.numpy()).components_).sum(axis=1))
    np.testing.assert_allclose(cosines, 1, atol=1e-3)


def test_units_without_an_axis_start_at_random():
    network = Dense((6,)).build((12,), 5, ordered=True)
    before = network.encoder.line.weight.detach().clone()
    start_in_order(network, torch.ones(40, 12))
    assert torch.equal(network.encoder.line.weight, before)
    start_in_order(network, torch.eye(12)[:1] * torch.arange(40.0)[:, None])
    assert torch.equal(network.encoder.line.weight[1:], before[1:])
    np.testing.assert_allclose(network.encoder.line.weight[0].abs().max().item(), 1)


@pytest.mark.parametrize("seed", range(2))
def test_numbers_that_do_not_help_do_no_harm(seed):
    X, X_valid = np.split(load_digits().data[:300] / 16, [200])
    ours = AutoencoderTransformer(20, ordered=True, **{**SMALL, "random_state": seed})
    path = ours.fit(X, X_valid=X_valid).error_path_
    assert ours.decoder_.sizes == [2, 4, 8, 20]
    for before, size in pairwise(ours.decoder_.sizes):
        assert (path[before : size - 1] <= path[before - 1]).all()
    codes = ours.transform(X_valid)
    for size in range(1, 21):
        residual = ours.inverse_transform(codes[:, :size]) - X_valid
        assert np.square(residual).mean() == pytest.approx(path[size - 1], rel=1e-4)


def test_large_decoders_read_the_hidden_layers_of_small_ones():
    X = linear_table(0, 200)
    ours = AutoencoderTransformer(8, ordered=True, **SMALL).fit(X)
    codes = ours.transform(X)
    before = {size: ours.inverse_transform(codes[:, :size]) for size in (1, 2, 4, 8)}
    with torch.no_grad():
        ours.decoder_.decoders[0][0].bias.add_(1)  # seen by all, however it is reached
    for size, rows in before.items():
        now = ours.inverse_transform(codes[:, :size])
        assert not np.allclose(now, rows, rtol=0, atol=1e-4), size


@pytest.mark.parametrize("architecture", [Dense(()), Conv1d((2,))])
def test_others_read_codes_alone(architecture):
    network = architecture.build((12, 1), 8, ordered=True, laterals=True)
    assert network.decoder.laterals is None


@pytest.mark.parametrize(("n_rows", "n_cut"), [(6, 1), (32, 3), (128, 13)])
def test_few_rows_of_a_step_have_codes_between_two_sizes(n_rows, n_cut):
    network = Dense((6,)).build((12,), 8, ordered=True).train()
    objective, found = OrderedObjective("mse"), set()
    with seeded_generator(0):
        for _ in range(40):
            for part in objective.parts(network, [2, 4, 8], n_rows, 8):
                if part.n_cut:
                    assert part.n_cut == n_cut
                    found.add((part.size, part.n_units))
    assert found == {(2, 1), (4, 3), (8, 5), (8, 6), (8, 7)}


def test_rows_of_the_path_are_not_trained_on():
    X = linear_table(0, 200)
    ours = AutoencoderTransformer(4, ordered=True, **SMALL)
    ours.set_params(validation_fraction=0.5, batch_size=100, max_epochs=1).fit(X)
    assert ours.history_[-1, "train_batch_count"] == 1
    assert "valid_loss" in ours.history_[-1]


def test_auto_takes_the_smallest_size_within_a_standard_error():
    rng = np.random.default_rng(0)
    directions = np.linalg.qr(rng.normal(size=(10, 3)))[0].T
    X = rng.normal(size=(300, 3)) @ directions + 0.1 * rng.normal(size=(300, 10))
    ours = AutoencoderTransformer(
        "auto", architecture=Dense((32, 16)), lr=1e-2, max_epochs=12, random_state=0
    ).fit(X)
    path, errors = ours.error_path_, ours.error_path_standard_errors_
    best = path.argmin()
    assert ours.code_size_ == np.flatnonzero(path <= path[best] + errors[best])[0] + 1
    assert path.shape == (9,)
    assert ours.transform(X).shape == (300, ours.code_size_)
    assert ours.explained_variance_ratio_.shape == (ours.code_size_,)
    assert ours.score(X) > PCA(3).fit(X).explained_variance_ratio_.sum() - 0.02
    ours.partial_fit(X)
    assert ours.transform(X).shape == (300, ours.code_size_)


@pytest.mark.parametrize(
    "estimator",
    [
        AutoencoderTransformer(5, ordered=True, **SMALL),
        AutoencoderTransformer("auto", **SMALL),
        AutoencoderTransformer(5, ordered=True, sparsity="kl", **SMALL),
        AutoencoderTransformer(
            5, ordered=True, **{**SMALL, "architecture": Conv1d((4, 8))}
        ),
        ConvAutoencoderTransformer(
            5, ordered=True, channels=(8, 8), max_epochs=1, random_state=0
        ),
        DenoisingAutoencoder(code_size=5, ordered=True, **SMALL),
    ],
)
def test_files_and_continued_fits(estimator, tmp_path):
    X = load_digits().data[:70] / 16
    fitted = clone(estimator).fit(X)
    codes = fitted.transform(X)
    save(fitted, tmp_path / "file")
    loaded = load(tmp_path / "file")
    np.testing.assert_array_equal(loaded.transform(X), codes)
    np.testing.assert_array_equal(
        loaded.inverse_transform(codes[:, :1]), fitted.inverse_transform(codes[:, :1])
    )
    np.testing.assert_array_equal(loaded.error_path_, fitted.error_path_)
    assert len(fitted.get_feature_names_out()) == fitted.code_size_
    again = clone(estimator).fit(X)
    np.testing.assert_array_equal(again.transform(X), codes)
    again.set_params(warm_start=True).fit(X)
    again.partial_fit(X)
    assert np.isfinite(again.error_path_).all()


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (ConvAutoencoderTransformer(None, ordered=True), "ordered=True needs a code"),
        (
            AutoencoderTransformer(5, ordered=True, sparsity="top_k"),
            "Use sparsity='l1'",
        ),
        (
            AutoencoderTransformer(
                5, ordered=True, architecture=Dense(tied_weights=True)
            ),
            "tied_weights",
        ),
        (
            AutoencoderTransformer(
                ordered=True,
                architecture=Custom(nn.Linear(64, 5), nn.Linear(5, 64)),
            ),
            "functions of code_size",
        ),
        (
            # The encoder is right for the whole code and no other.
            AutoencoderTransformer(
                5,
                ordered=True,
                architecture=Custom(nn.Linear(64, 5), nn.Linear(5, 64)),
            ),
            "functions of code_size",
        ),
        (AutoencoderTransformer(5, ordered="yes"), "'ordered' parameter"),
    ],
)
def test_what_cannot_be_ordered(estimator, message):
    with pytest.raises(ValueError, match=message):
        estimator.fit(load_digits().data[:100] / 16)


def test_sequences_of_different_lengths_cannot_be_ordered():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 2)) for n in (5, 8, 8, 6, 7, 8)]
    with pytest.raises(ValueError, match="different lengths"):
        AutoencoderTransformer(4, ordered=True, max_epochs=1).fit(X)


def test_columns_that_are_not_the_leading_ones_are_refused():
    X = linear_table(0, 100)
    ours = AutoencoderTransformer(4, ordered=True, **SMALL).fit(X)
    codes = ours.set_output(transform="pandas").transform(X)
    expected = ours.inverse_transform(codes.to_numpy()[:, :2])
    np.testing.assert_array_equal(ours.inverse_transform(codes.iloc[:, :2]), expected)
    for others in (codes.iloc[:, 1:3], codes.iloc[:, ::-1]):
        with pytest.raises(ValueError, match="in their order, from the first on"):
            ours.inverse_transform(others)


@pytest.mark.parametrize("ordered", [True, False])
def test_parts_go_on_with_the_network_that_there_is(ordered):
    X = linear_table(0, 100)
    ours = AutoencoderTransformer(4, ordered=ordered, **SMALL).partial_fit(X)
    ours.set_params(ordered=not ordered).partial_fit(X)
    assert hasattr(ours, "error_path_") == ordered
    if ordered:
        error = np.square(ours.predict(X) - X).mean()
        assert ours.error_path_[-1] == pytest.approx(error, rel=1e-4)


def halved(X: Any) -> Any:
    return X / 2


def test_path_of_a_denoiser_is_of_noisy_rows():
    X = linear_table(0, 100)
    ours = DenoisingAutoencoder(code_size=4, ordered=True, noise=halved, **SMALL)
    for fitted in (clone(ours).fit(X, X_valid=X), clone(ours).partial_fit(X)):
        codes = fitted.transform(X / 2)
        for size in (1, 4):
            residual = fitted.inverse_transform(codes[:, :size]) - X
            error = fitted.error_path_[size - 1]
            assert error == pytest.approx(np.square(residual).mean(), rel=1e-4)


def test_unordered_codes_have_one_size():
    X = linear_table(0, 100)
    plain = AutoencoderTransformer(4, **SMALL).fit(X)
    with pytest.raises(ValueError, match="has code_size_=4"):
        plain.inverse_transform(plain.transform(X)[:, :2])
    assert not hasattr(plain, "error_path_")
