from __future__ import annotations

import copy
import pickle
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import make_low_rank_matrix
from sklearn.decomposition import PCA
from torch import nn
from torch.nn import functional as F

from skautoencoder import AutoencoderTransformer
from skautoencoder.architectures import Dense, Network


def linear_shapes(module: nn.Module) -> list[tuple[int, int]]:
    return [
        (m.in_features, m.out_features)
        for m in module.modules()
        if isinstance(m, nn.Linear)
    ]


def n_weights(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("hidden", "encoder", "decoder"),
    [
        ((), [(9, 3)], [(3, 9)]),
        ((6,), [(9, 6), (6, 3)], [(3, 6), (6, 9)]),
        ((7, 5), [(9, 7), (7, 5), (5, 3)], [(3, 5), (5, 7), (7, 9)]),
    ],
)
def test_the_decoder_mirrors_the_encoder(
    hidden: tuple[int, ...], encoder: list[Any], decoder: list[Any]
) -> None:
    network = Dense(hidden).build((9,), 3)
    assert linear_shapes(network.encoder) == encoder
    assert linear_shapes(network.decoder) == decoder


@settings(deadline=None, max_examples=25, derandomize=True)
@given(
    n_features=st.integers(1, 12),
    hidden=st.lists(st.integers(1, 7), max_size=3),
    code_size=st.integers(1, 5),
    batch_norm=st.booleans(),
    tied=st.booleans(),
)
def test_any_sizes_give_codes_and_rows_and_the_expected_number_of_weights(
    n_features: int, hidden: list[int], code_size: int, batch_norm: bool, tied: bool
) -> None:
    network = Dense(tuple(hidden), batch_norm=batch_norm, tied_weights=tied).build(
        (n_features,), code_size
    )
    rows = torch.rand(4, n_features)
    assert network.encode(rows).shape == (4, code_size)
    assert network(rows).shape == (4, n_features)

    sizes = [n_features, *hidden, code_size]
    matrices = sum(a * b for a, b in pairwise(sizes))
    expected = matrices * (1 if tied else 2) + sum(sizes[1:]) + sum(sizes[:-1])
    if batch_norm:  # a factor and a shift a unit; a tied decoder has no norms
        expected += 2 * sum(hidden) * (1 if tied else 2)
    assert n_weights(network) == expected


def test_samples_of_any_rank_are_flat_rows() -> None:
    assert Dense((5,)).build((2, 3, 4), 2)(torch.rand(3, 24)).shape == (3, 24)


def test_output_by_the_formula() -> None:
    torch.manual_seed(0)
    network = Dense((6,), activation="elu", code_activation="tanh").build((8,), 3)
    rows = torch.randn(5, 8)
    (w1, b1), (w2, b2), (w3, b3), (w4, b4) = (
        (m.weight.detach().numpy().astype(float), m.bias.detach().numpy().astype(float))
        for m in network.modules()
        if isinstance(m, nn.Linear)
    )

    def elu(values: np.ndarray) -> np.ndarray:
        return np.where(values > 0, values, np.expm1(values))

    codes = np.tanh(elu(rows.numpy() @ w1.T + b1) @ w2.T + b2)
    expected = elu(codes @ w3.T + b3) @ w4.T + b4
    with torch.no_grad():
        np.testing.assert_allclose(network.encode(rows).numpy(), codes, atol=1e-5)
        np.testing.assert_allclose(network(rows).numpy(), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("activation", "variance"),
    [
        ("silu", 2 / 400),
        ("softplus", 2 / 400),
        ("tanh", 2 / (400 + 200)),
        ("identity", 2 / (400 + 200)),
    ],
)
def test_first_weights_have_the_variance_of_he_or_glorot(
    activation: str, variance: float
) -> None:
    torch.manual_seed(0)
    first = Dense((200,), activation=activation).build((400,), 2).encoder[0]
    assert first.weight.var().item() == pytest.approx(variance, rel=0.03)
    assert not first.bias.any()


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "elu"])
@pytest.mark.parametrize("hidden", [(4, 3), (200, 50)])
def test_untrained_hidden_units_are_on_for_the_mean_row(
    hidden: tuple[int, ...], activation: str, tied: bool
) -> None:
    architecture = Dense(hidden, activation=activation, tied_weights=tied)
    network = architecture.build((5,), 2)
    seen: list[torch.Tensor] = []
    for layer in network.modules():
        if type(layer) in (nn.ReLU, nn.LeakyReLU, nn.ELU):
            layer.register_forward_hook(lambda _, __, output: seen.append(output))
    with torch.no_grad():
        codes = network.encode(torch.zeros(1, 5))
        rows = network.decode(codes)
    # A tied decoder asks its activation before a layer, but for the first.
    assert [s.shape[1] for s in seen] == [*hidden, *reversed(hidden)]
    for values in seen:
        assert torch.equal(values, torch.full_like(values, 0.5))
    assert not codes.any(), "exactly the mean row, whatever the order of sums"
    assert not rows.any()


@pytest.mark.parametrize("seed", range(3))
def test_the_untrained_network_is_linear_near_the_mean_row(seed: int) -> None:
    torch.manual_seed(seed)
    network = Dense((4, 3), activation="relu").build((5,), 2)
    rows = 0.2 * F.normalize(torch.randn(50, 5))
    with torch.no_grad():
        torch.testing.assert_close(network(-rows), -network(rows))
        norms = network.encode(rows).norm(dim=1)
    assert norms.max() <= 0.2 + 1e-5, "orthogonal weights stretch nothing"
    assert norms.mean() > 0.05, "and lose no more than they must"


@pytest.mark.parametrize("activation", ["relu", "elu"])
def test_normalised_layers_keep_the_weights_that_they_learn_fastest_with(
    activation: str,
) -> None:
    network = Dense((6,), activation=activation, batch_norm=True).build((8,), 3)
    biases = [m.bias for m in network.modules() if isinstance(m, nn.Linear)]
    assert not any(bias.any() for bias in biases)


def test_weights_come_from_torchs_generator() -> None:
    def build() -> torch.Tensor:
        return Dense((4,)).build((5,), 2).encoder[0].weight

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        first, second = build(), build()
        torch.manual_seed(3)
        again = build()
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_batch_norm_stands_between_layer_and_activation() -> None:
    network = Dense((6,), activation="relu", batch_norm=True).build((8,), 3)
    kinds = [type(m) for m in network.encoder]
    assert kinds == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear]
    assert [type(m) for m in network.decoder] == kinds


def test_code_batch_norm_normalises_the_activated_code() -> None:
    torch.manual_seed(0)
    network = Dense((), code_activation="relu", code_batch_norm=True).build((8,), 4)
    kinds = [type(m) for m in network.encoder]
    assert kinds == [nn.Linear, nn.ReLU, nn.BatchNorm1d]
    codes = network.encode(torch.randn(200, 8)).detach()
    np.testing.assert_allclose(codes.mean(0).numpy(), 0, atol=1e-5)
    np.testing.assert_allclose(codes.var(0, correction=0).numpy(), 1, atol=1e-2)


def test_dropout_acts_in_training_only() -> None:
    torch.manual_seed(0)
    network = Dense((2000,), activation="identity", dropout=0.25).build((3,), 2)
    rows = torch.ones(1, 3)
    hidden = network.encoder[:-1]
    share = (hidden(rows) == 0).float().mean().item()
    assert share == pytest.approx(0.25, abs=0.04)
    network.eval()
    assert torch.equal(network(rows), network(rows))
    assert not (hidden(rows) == 0).any()


class TestTiedWeights:
    @pytest.fixture
    def network(self) -> Network:
        torch.manual_seed(0)
        return Dense((5,), activation="tanh", tied_weights=True).build((7,), 3)

    def test_the_decoder_uses_the_transposed_matrices(self, network: Network) -> None:
        first, second = (m for m in network.encoder if isinstance(m, nn.Linear))
        biases = list(network.decoder.parameters())
        with torch.no_grad():
            biases[0].normal_()
            biases[1].normal_()
            codes = torch.randn(4, 3)
            hidden = torch.tanh(codes @ second.weight + biases[0])
            expected = hidden @ first.weight + biases[1]
            torch.testing.assert_close(network.decode(codes), expected)

    def test_the_gradient_is_the_sum_over_both_uses(self, network: Network) -> None:
        first, second = (m for m in network.encoder if isinstance(m, nn.Linear))
        rows = torch.randn(6, 7)
        F.mse_loss(network(rows), rows).backward()

        # The same network with matrices of the decoder's own.
        w1, w2 = (m.weight.detach().clone().requires_grad_() for m in (first, second))
        v1, v2 = (m.weight.detach().clone().requires_grad_() for m in (first, second))
        codes = F.linear(torch.tanh(F.linear(rows, w1)), w2)
        F.mse_loss(torch.tanh(codes @ v2) @ v1, rows).backward()
        for layer, encoding, decoding in ((first, w1, v1), (second, w2, v2)):
            assert encoding.grad.abs().max() > 0
            assert decoding.grad.abs().max() > 0
            torch.testing.assert_close(layer.weight.grad, encoding.grad + decoding.grad)

    def test_no_tensor_has_two_owners(self, network: Network) -> None:
        pointers = [value.data_ptr() for value in network.state_dict().values()]
        assert len(pointers) == len(set(pointers)) == 6

    @pytest.mark.parametrize(
        "copier", [copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))]
    )
    def test_copies_stay_tied_to_themselves(
        self, network: Network, copier: Any
    ) -> None:
        twin = copier(network)
        codes = torch.randn(4, 3)
        before = network.decode(codes)
        assert torch.equal(twin.decode(codes), before)
        with torch.no_grad():
            for parameter in twin.encoder.parameters():
                parameter.add_(1.0)
        assert torch.equal(network.decode(codes), before)
        assert not torch.equal(twin.decode(codes), before)

    def test_conversion_and_loading_keep_the_tie(self, network: Network) -> None:
        other = Dense((5,), activation="tanh", tied_weights=True).build((7,), 3)
        other.load_state_dict(network.state_dict())
        codes = torch.randn(4, 3)
        assert torch.equal(other.decode(codes), network.decode(codes))
        assert other.double().decoder(codes.double()).dtype == torch.float64

    def test_it_learns(self) -> None:
        X = make_low_rank_matrix(200, 8, effective_rank=2, random_state=0)
        autoencoder = AutoencoderTransformer(
            3,
            architecture=Dense((), tied_weights=True),
            lr=0.03,
            max_epochs=60,
            random_state=0,
        ).fit(X)
        pca = PCA(3).fit(X)
        assert autoencoder.score(X) > 0.97 * pca.explained_variance_ratio_.sum()


@pytest.mark.parametrize("n_components", [1, 2, 4])
def test_a_linear_network_reaches_the_error_of_pca(n_components: int) -> None:
    # Baldi and Hornik (1989): its only minimum is the principal subspace.
    rng = np.random.RandomState(0)
    X = rng.randn(200, 8) * np.linspace(3, 0.5, 8) @ rng.randn(8, 8) + 5
    pca = PCA(n_components).fit(X)
    smallest = ((pca.inverse_transform(pca.transform(X)) - X) ** 2).mean()
    autoencoder = AutoencoderTransformer(
        n_components, architecture=Dense(()), lr=0.1, max_epochs=60, random_state=0
    ).fit(X)
    error = -autoencoder.score_samples(X).mean()
    assert smallest * (1 - 1e-6) <= error <= smallest * 1.02
    assert autoencoder.score(X) == pytest.approx(
        pca.explained_variance_ratio_.sum(), abs=0.01
    )
    # The subspace itself: directions of the reconstructions.
    spanned = np.linalg.svd(autoencoder.predict(X) - X.mean(0))[2][:n_components]
    cosines = np.linalg.svd(spanned @ pca.components_.T, compute_uv=False)
    assert cosines.min() > 0.97


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": (4, -1)}, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": (2.5,)}, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": (True,)}, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": "64"}, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": 64}, "hidden_layer_sizes"),
        ({"activation": "rely"}, "activation"),
        ({"code_activation": "softmax"}, "code_activation"),
        ({"output_activation": "tanh"}, "output_activation"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": -0.1}, "dropout"),
        ({"tied_weights": "yes"}, "tied_weights"),
    ],
)
def test_a_bad_parameter_is_named(params: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Dense(**params).build((4,), 2)


def test_a_code_without_a_size_is_refused() -> None:
    with pytest.raises(ValueError, match="code_size=None has no meaning for Dense"):
        Dense().build((4,), None)


def test_building_leaves_the_description_as_it_is() -> None:
    architecture = Dense([6, 4], activation="relu")
    before = architecture.get_params()
    architecture.build((8,), 2)
    assert architecture.get_params() == before
    assert clone(architecture).get_params() == before
