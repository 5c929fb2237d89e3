"""Layers of convolutional networks."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skautoencoder.architectures._calls import call
from skautoencoder.architectures._layers import initialize, make_activation

Size = tuple[int, int]


def conv(
    n_in: int,
    n_out: int,
    kernel_size: int,
    stride: Size = (1, 1),
    activation: str = "identity",
    *,
    normalized: bool = False,
) -> nn.Module:
    """Return an initialised convolution that divides height and width by `stride`.

    They are rounded up. An even kernel is padded by one more pixel on the
    right and at the bottom than on the left and at the top.

    A strided 1×1 convolution is replaced by one without stride on every `stride`-th
    pixel: with channels last, the gradient of a strided 1×1 convolution of 2 to 7
    channels writes past its buffer on processors without AVX-512 (oneDNN 3.x in torch
    2.13, https://github.com/uxlfoundation/oneDNN/issues/6035), and the process dies.
    """
    if kernel_size == 1 and stride != (1, 1):
        single = conv(n_in, n_out, 1, activation=activation, normalized=normalized)
        return nn.Sequential(StridedPixels(stride), single)
    before, after = (kernel_size - 1) // 2, kernel_size // 2
    padding = before if before == after else 0
    layer = initialize(
        nn.Conv2d(n_in, n_out, kernel_size, stride=stride, padding=padding),
        activation,
        normalized=normalized,
    )
    if before == after:
        return layer
    return nn.Sequential(nn.ZeroPad2d((before, after, before, after)), layer)


def halving(size: Size) -> Size:
    """Return the stride that halves images of this height and width, rounding up.

    A single column is no longer halved: with a stride along it, torch 2.13 leaves the
    gradients of weights that meet no pixel undefined in bfloat16, on processors with
    AVX-512, and what was in memory before ends the fit as NaN.
    """
    return 2, 2 if size[1] > 1 else 1


class StridedPixels(nn.Module):
    """Keeps every `stride`-th pixel along height and width, starting at the first."""

    def __init__(self, stride: Size) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, images: Tensor) -> Tensor:
        """Return the pixels."""
        return images[..., :: self.stride[0], :: self.stride[1]]


class ResidualBlock(nn.Module):
    """Two convolutions whose output is added to their input (He et al., 2016)."""

    def __init__(
        self,
        n_in: int,
        n_out: int,
        stride: Size,
        *,
        kernel_size: int,
        activation: str,
        batch_norm: bool,
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            conv(n_in, n_out, kernel_size, stride, activation, normalized=batch_norm),
            *([nn.BatchNorm2d(n_out)] if batch_norm else []),
            make_activation(activation),
            conv(n_out, n_out, kernel_size, normalized=batch_norm),
            *([nn.BatchNorm2d(n_out)] if batch_norm else []),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != (1, 1) or n_in != n_out:
            # With the same stride, so that it has the output size of the block's first
            # convolution.
            self.shortcut = conv(n_in, n_out, 1, stride)
        self.activation = make_activation(activation)

    def forward(self, images: Tensor) -> Tensor:
        """Return the block's output for images."""
        outputs = call(self.layers, images) + call(self.shortcut, images)
        return call(self.activation, outputs)


class SkipEncoder(nn.Module):
    """An encoder whose code consists of the feature maps of several stages.

    Parameters
    ----------
    stages : list of list of Module
        The stages.
    n_skips : int
        Number of stages, from the first on, whose maps are passed to the decoder. The
        map of the last stage is always part of the code, and comes first in it.
    """

    def __init__(self, stages: list[list[nn.Module]], n_skips: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(nn.Sequential(*stage) for stage in stages)
        self.n_skips = n_skips

    def forward(self, images: Tensor) -> Tensor:
        """Return flat codes: the last map, then the others from small to large."""
        maps = []
        for stage in self.stages:
            images = call(stage, images)
            maps.append(images)
        kept = [maps[-1], *reversed(maps[: self.n_skips])]
        # Flattened in channels-last order, which is that of memory.
        return torch.cat([m.permute(0, 2, 3, 1).flatten(1) for m in kept], dim=1)


class SkipDecoder(nn.Module):
    """A decoder whose stages also take feature maps of the encoder.

    Parameters
    ----------
    stages : list of list of Module
        The stages. Those after the last skip connection take only the output of the
        previous stage.
    map_shape : tuple of int
        Shape (n_channels, height, width) of the encoder's last map.
    skipped : list of tuple
        Channels and size of the maps of the skip connections, in the encoder's order.
    """

    def __init__(
        self,
        stages: list[list[nn.Module]],
        map_shape: tuple[int, ...],
        skipped: list[tuple[int, Size]],
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(nn.Sequential(*stage) for stage in stages)
        self.shapes = [map_shape, *((n, *size) for n, size in reversed(skipped))]

    def forward(self, codes: Tensor) -> Tensor:
        """Return the images that flat codes stand for."""
        parts = codes.split([math.prod(shape) for shape in self.shapes], dim=1)
        maps = [
            part.unflatten(1, (*shape[1:], shape[0])).permute(0, 3, 1, 2)
            for part, shape in zip(parts, self.shapes, strict=True)
        ]
        images, *skipped = maps
        for i, stage in enumerate(self.stages):
            if 0 < i <= len(skipped):
                images = torch.cat([images, skipped[i - 1]], dim=1)
            images = call(stage, images)
        return images


class Enlarge(nn.Module):
    """Doubles an image by repeating pixels, then crops it to `size`."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        """Return the enlarged images."""
        return enlarge(images, self.size)


class EnlargedConv(nn.Conv2d):
    """A convolution of an enlarged image, computed without enlarging it.

    In an image that was doubled by repeating pixels, several weights of a kernel meet
    the same original pixel. Adding these up gives four smaller kernels, one for each
    position in a block of 2×2 pixels, that are applied to the original image: the same
    result, without the memory of the enlarged image.

    Parameters
    ----------
    n_in, n_out : int
        Channels.
    kernel_size : int
        An odd number.
    size : tuple of int
        Height and width of the enlarged image.
    """

    gather: Tensor

    def __init__(self, n_in: int, n_out: int, kernel_size: int, size: Size) -> None:
        super().__init__(n_in, n_out, kernel_size, padding=kernel_size // 2)
        self.size = size
        self.register_buffer("gather", gather_matrix(kernel_size), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the convolution of the enlarged images."""
        height, width = images.shape[-2:]
        if self.size != (2 * height, 2 * width):
            # Beyond the border of a cropped image there must be zeros, but the original
            # has pixels there.
            return super().forward(enlarge(images, self.size))
        n_taps = self.gather.shape[-1]
        kernels = torch.einsum(
            "oihw,ahp,bwq->oabipq", self.weight, self.gather, self.gather
        )
        outputs = F.conv2d(
            images,
            kernels.reshape(4 * self.out_channels, self.in_channels, n_taps, n_taps),
            None if self.bias is None else self.bias.repeat_interleave(4),
            padding=n_taps // 2,
        )
        return F.pixel_shuffle(outputs, 2)


def gather_matrix(kernel_size: int) -> Tensor:
    """Return which original pixel each weight of a kernel meets in a doubled row.

    Parameters
    ----------
    kernel_size : int
        An odd number of weights.

    Returns
    -------
    gather : Tensor of shape (2, kernel_size, n_taps)
        1 where, for the first or the second pixel of a pair, a weight meets an original
        pixel, whose index is relative to the pixel that the pair is made from.
    """
    reach = kernel_size // 2
    small_reach = (reach + 1) // 2
    # On the CPU also where weights get no memory, as it is not stored with them.
    gather = torch.zeros(2, kernel_size, 2 * small_reach + 1, device="cpu")
    for place in range(2):
        for tap in range(kernel_size):
            gather[place, tap, (place + tap - reach) // 2 + small_reach] = 1
    return gather


class Crop(nn.Module):
    """Crops an image to `size`, at the right and at the bottom."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        """Return the cropped images."""
        return cut(images, self.size)


def enlarge(images: Tensor, size: Size) -> Tensor:
    """Return images doubled by repeating pixels, then cropped."""
    return cut(F.interpolate(images, scale_factor=2.0, mode="nearest"), size)


def cut(images: Tensor, size: Size) -> Tensor:
    """Return the top left part of `images` that has this height and width."""
    if images.shape[-2:] == size:
        return images
    return images[..., : size[0], : size[1]]
