from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from torch import nn

from skautoencoder.architectures import Conv
from skautoencoder.architectures._layers import make_activation
from skautoencoder.architectures.conv import (
    Crop,
    Enlarge,
    EnlargedConv,
    ResidualBlock,
    as_image_shape,
    conv,
)


def halved(length: int, times: int) -> int:
    for _ in range(times):
        length = -(-length // 2)
    return length


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    n_channels=st.integers(1, 3),
    height=st.integers(1, 21),
    width=st.integers(1, 21),
    channels=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    kernel_size=st.integers(1, 5),
    n_downsamplings=st.none() | st.integers(0, 5),
    downsampling=st.sampled_from(["stride", "max_pool"]),
    upsampling=st.sampled_from(["transpose", "nearest"]),
    upsampling_kernel_size=st.integers(2, 5),
    residual=st.booleans(),
    batch_norm=st.booleans(),
)
def test_every_size_comes_back_and_maps_are_halved_rounding_up(
    n_channels: int, height: int, width: int, n_downsamplings: int | None, **params: Any
) -> None:
    n_stages = len(params["channels"])
    if n_downsamplings is not None:
        n_downsamplings = min(n_downsamplings, n_stages)
    network = Conv(n_downsamplings=n_downsamplings, **params).build(
        (n_channels, height, width), None
    )
    rows = torch.rand(2, n_channels * height * width)
    codes = network.encode(rows)
    times = n_stages if n_downsamplings is None else n_downsamplings
    n_pixels = halved(height, times) * halved(width, times)
    assert codes.shape == (2, params["channels"][-1] * n_pixels)
    assert network.decode(codes).shape == rows.shape


@settings(deadline=None, max_examples=15, derandomize=True)
@given(
    height=st.integers(1, 13),
    width=st.integers(1, 13),
    code_size=st.integers(1, 6),
    hidden=st.lists(st.integers(1, 6), max_size=2),
)
def test_flat_codes_have_any_size(
    height: int, width: int, code_size: int, hidden: list[int]
) -> None:
    network = Conv((3, 4), hidden_layer_sizes=tuple(hidden)).build(
        (height, width), code_size
    )
    rows = torch.rand(3, height * width)
    assert network.encode(rows).shape == (3, code_size)
    assert network(rows).shape == rows.shape


@pytest.mark.parametrize(
    ("sample_shape", "image_shape"),
    [
        ((28, 28), (1, 28, 28)),
        ((3, 32, 20), (3, 32, 20)),
        ((64,), (1, 8, 8)),
        ((1,), (1, 1, 1)),
        ((30,), (1, 1, 30)),
    ],
)
def test_samples_are_seen_as_images(
    sample_shape: tuple[int, ...], image_shape: tuple[int, ...]
) -> None:
    assert as_image_shape(sample_shape) == image_shape
    n_features = int(np.prod(sample_shape))
    network = Conv((2,)).build(sample_shape, 2)
    assert network(torch.rand(2, n_features)).shape == (2, n_features)


def test_samples_of_four_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match=r"sample_shape=\(1, 2, 3, 4\)"):
        Conv().build((1, 2, 3, 4), 2)


@pytest.mark.parametrize("downsampling", ["stride", "max_pool"])
@pytest.mark.parametrize("upsampling", ["nearest", "transpose"])
@pytest.mark.parametrize("shape", [(28, 28), (27, 13), (1, 9)])
def test_layer_by_layer_sizes(
    shape: tuple[int, int], downsampling: str, upsampling: str
) -> None:
    network = Conv(
        (4, 5, 6), downsampling=downsampling, upsampling=upsampling, batch_norm=False
    ).build(shape, None)
    seen: list[torch.Size] = []
    for layer in [*network.encoder, *network.decoder]:
        layer.register_forward_hook(lambda _, __, out: seen.append(out.shape[1:]))
    network(torch.rand(1, shape[0] * shape[1]))
    sizes = [tuple(halved(n, k) for n in shape) for k in range(4)]
    met = list(dict.fromkeys(tuple(s[1:]) for s in seen if len(s) == 3))
    # Cut-off pixels beyond an odd size are seen between doubling and cutting.
    assert [size for size in met if size in sizes] == list(dict.fromkeys(sizes))
    assert seen[-2] == (1, *shape)


@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5])
def test_convolution_by_the_formula(kernel_size: int) -> None:
    torch.manual_seed(0)
    layer = conv(1, 1, kernel_size)
    kernel = next(p for p in layer.parameters() if p.ndim == 4).detach()[0, 0].numpy()
    image = torch.rand(6, 7)
    before, after = (kernel_size - 1) // 2, kernel_size // 2
    windows = sliding_window_view(np.pad(image, (before, after)), kernel.shape)
    expected = np.einsum("ijkl,kl->ij", windows, kernel)
    with torch.no_grad():
        result = layer(image[None, None])[0, 0].numpy()
    np.testing.assert_allclose(result, expected, atol=1e-5)
    with torch.no_grad():
        strided = conv(1, 1, kernel_size, (2, 2))
        for weight, other in zip(strided.parameters(), layer.parameters(), strict=True):
            weight.copy_(other)
        result = strided(image[None, None])[0, 0].numpy()
    np.testing.assert_allclose(result, expected[::2, ::2], atol=1e-5)


@pytest.mark.parametrize("kernel_size", [2, 3, 4, 5, 6, 7])
def test_transposed_convolutions_double_exactly(kernel_size: int) -> None:
    layer = Conv(upsampling_kernel_size=kernel_size)._transposed(2, 3, last=False)
    assert layer(torch.rand(1, 2, 5, 1)).shape == (1, 3, 10, 2)


def test_enlarging_repeats_pixels_and_cuts() -> None:
    image = torch.arange(6.0).reshape(1, 1, 2, 3)
    repeated = np.kron(image[0, 0].numpy(), np.ones((2, 2)))
    np.testing.assert_array_equal(Enlarge((4, 6))(image)[0, 0], repeated)
    np.testing.assert_array_equal(Enlarge((3, 5))(image)[0, 0], repeated[:3, :5])
    np.testing.assert_array_equal(Crop((1, 2))(image)[0, 0], image[0, 0, :1, :2])


@pytest.mark.parametrize("upsampling", ["nearest", "transpose"])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("shape", [(8, 8), (7, 13), (5, 1), (1, 1)])
def test_every_pixel_reaches_the_code_and_is_reached_from_it(
    shape: tuple[int, int], residual: bool, upsampling: str
) -> None:
    torch.manual_seed(0)
    network = Conv(
        (3, 4), activation="tanh", residual=residual, upsampling=upsampling
    ).build(shape, 3)
    network.eval()
    n_features = shape[0] * shape[1]

    row = torch.rand(1, n_features)
    to_code = torch.autograd.functional.jacobian(network.encode, row)[0, :, 0]
    assert (to_code.abs().amax(dim=0) > 0).all()
    from_code = torch.autograd.functional.jacobian(network.decode, torch.rand(1, 3))
    assert (from_code[0, :, 0].abs().amax(dim=1) > 0).all()


class TestEnlargedConv:
    @pytest.mark.parametrize("kernel_size", [1, 3, 5, 7])
    @pytest.mark.parametrize("cut", [0, 1])
    def test_it_convolves_the_enlarged_image(self, kernel_size: int, cut: int) -> None:
        torch.manual_seed(0)
        for height, width in [(7, 7), (1, 4), (2, 3)]:
            size = (2 * height - cut, 2 * width)
            layer = EnlargedConv(5, 3, kernel_size, size).double()
            plain = nn.Conv2d(5, 3, kernel_size, padding=kernel_size // 2).double()
            plain.load_state_dict(layer.state_dict())
            images = torch.randn(2, 5, height, width, dtype=torch.double)
            answers, gradients = [], []
            for network in (layer, nn.Sequential(Enlarge(size), plain)):
                given = images.clone().requires_grad_()
                answers.append(network(given))
                answers[-1].pow(3).sum().backward()
                weights = [given, *network.parameters()]
                gradients.append([weight.grad for weight in weights])
            torch.testing.assert_close(*answers)
            torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("activation", ["relu", "elu", "tanh", "silu"])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_pooling_before_an_activation_changes_nothing(
    activation: str, batch_norm: bool
) -> None:
    network = Conv(
        (3,), downsampling="max_pool", activation=activation, batch_norm=batch_norm
    ).build((7, 6), None)
    rows = torch.randn(4, 42)
    unflatten, convolution, *norm_and_more = network.encoder
    norm = [m for m in norm_and_more if isinstance(m, nn.BatchNorm2d)]
    expected = nn.Sequential(unflatten, convolution, *norm, make_activation(activation))
    pooled = nn.functional.max_pool2d(expected(rows), 2, ceil_mode=True)
    torch.testing.assert_close(network.encode(rows), pooled.flatten(1))


class TestResidualBlock:
    def test_two_silent_convolutions_leave_the_shortcut(self) -> None:
        block = ResidualBlock(
            3, 3, (1, 1), kernel_size=3, activation="tanh", batch_norm=False
        )
        nn.init.zeros_([m for m in block.layers if isinstance(m, nn.Conv2d)][-1].weight)
        images = torch.randn(2, 3, 5, 5)
        assert isinstance(block.shortcut, nn.Identity)
        torch.testing.assert_close(block(images), images.tanh())

    @pytest.mark.parametrize(("n_out", "stride"), [(4, 1), (3, 2), (4, 2)])
    @pytest.mark.parametrize("kernel_size", [2, 3])
    def test_the_shortcut_follows_in_size(
        self, n_out: int, stride: int, kernel_size: int
    ) -> None:
        block = ResidualBlock(
            3,
            n_out,
            (stride, stride),
            kernel_size=kernel_size,
            activation="silu",
            batch_norm=True,
        )
        size = (halved(7, stride - 1), halved(5, stride - 1))
        assert block(torch.rand(2, 3, 7, 5)).shape == (2, n_out, *size)
        assert next(block.shortcut.parameters()).shape == (n_out, 3, 1, 1)

    def test_by_the_formula(self) -> None:
        torch.manual_seed(0)
        block = ResidualBlock(
            2, 3, (1, 1), kernel_size=3, activation="relu", batch_norm=False
        )
        first, second = (m for m in block.layers if isinstance(m, nn.Conv2d))
        images = torch.randn(2, 2, 4, 4)
        inner = second(first(images).relu())
        torch.testing.assert_close(
            block(images), (inner + block.shortcut(images)).relu()
        )


def kinds(module: nn.Module) -> list[type[nn.Module]]:
    return [type(layer) for layer in module]


def test_what_a_stage_is_made_of() -> None:
    network = Conv((2,), downsampling="max_pool", upsampling="nearest").build((8, 8), 3)
    assert kinds(network.encoder) == [
        nn.Unflatten,
        nn.Conv2d,
        nn.BatchNorm2d,
        nn.SiLU,
        nn.MaxPool2d,
        nn.Flatten,
        nn.Linear,
    ]
    assert kinds(network.decoder) == [
        nn.Linear,
        nn.Unflatten,
        nn.BatchNorm2d,
        nn.SiLU,
        nn.Conv2d,
        nn.BatchNorm2d,
        nn.SiLU,
        EnlargedConv,
        nn.Flatten,
    ]


def test_without_batch_norm_there_is_none() -> None:
    network = Conv((2, 3), batch_norm=False, residual=True).build((8, 8), 3)
    norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    assert not any(isinstance(m, norms) for m in network.modules())


@pytest.mark.parametrize(
    ("code_activation", "last"),
    [("auto", nn.ReLU), ("relu", nn.ReLU), ("sigmoid", nn.Sigmoid)],
)
def test_a_spatial_code_has_its_stages_activation_unless_told(
    code_activation: str, last: type[nn.Module]
) -> None:
    network = Conv(
        (2,), activation="relu", batch_norm=False, code_activation=code_activation
    ).build((4, 4), None)
    kept = [m for m in network.encoder if not isinstance(m, nn.Flatten)]
    assert type(kept[-1]) is last
    assert sum(isinstance(m, nn.ReLU) for m in kept) == 1


def test_kernels_lie_channels_last() -> None:
    network = Conv((4, 8)).build((3, 8, 8), 2)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert convolutions
    for layer in convolutions:
        assert layer.weight.is_contiguous(memory_format=torch.channels_last)


def test_gradients_reach_every_weight() -> None:
    torch.manual_seed(0)
    network = Conv((3, 4), residual=True, hidden_layer_sizes=(6,)).build((9, 7), 3)
    network(torch.rand(4, 63)).square().mean().backward()
    without = [n for n, p in network.named_parameters() if p.grad is None]
    assert without == []


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"channels": ()}, "channels"),
        ({"channels": (8, 0)}, "channels"),
        ({"channels": (8.5,)}, "channels"),
        ({"channels": 8}, "channels"),
        ({"kernel_size": 0}, "kernel_size"),
        ({"kernel_size": 3.0}, "kernel_size"),
        ({"n_downsamplings": -1}, "n_downsamplings"),
        ({"n_downsamplings": 9}, "n_downsamplings"),
        ({"upsampling_kernel_size": 1}, "upsampling_kernel_size"),
        ({"downsampling": "avg_pool"}, "downsampling"),
        ({"upsampling": "bilinear"}, "upsampling"),
        ({"activation": "swish"}, "activation"),
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes"),
        ({"batch_norm": "yes"}, "batch_norm"),
    ],
)
def test_a_bad_parameter_is_named(params: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Conv(**params).build((8, 8), 2)


def test_a_spatial_code_behind_hidden_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="code_size=None has no meaning"):
        Conv(hidden_layer_sizes=(8,)).build((8, 8), None)
