"""Convolutional autoencoders, for images of any size."""

from __future__ import annotations

import math
from itertools import chain, pairwise
from numbers import Integral

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from skautoencoder.architectures._architecture import (
    Architecture,
    require_code_size,
)
from skautoencoder.architectures._conv_layers import (
    Crop,
    Enlarge,
    EnlargedConv,
    ResidualBlock,
    Size,
    SkipDecoder,
    SkipEncoder,
    conv,
    halving,
)
from skautoencoder.architectures._layers import (
    ACTIVATIONS,
    MONOTONE,
    dense_stack,
    initialize,
    lift_of,
    linear,
    make_activation,
)
from skautoencoder.architectures.dense import check_sizes, code_layers


class Conv(Architecture):
    """A convolutional encoder and a decoder that undoes it, stage by stage.

    Each stage of the encoder is a convolution (or a residual block) that halves
    the image, rounding up; each stage of the decoder doubles it again and cuts
    it to the size that the encoder had there, so that every height and width
    works. Stages that do not halve have no counterpart in the decoder.

    Parameters
    ----------
    channels : tuple of int, default=(32, 64, 128)
        Number of channels of each stage of the encoder.
    kernel_size : int, default=3
        Height and width of the kernels.
    n_downsamplings : int, default=None
        How many stages, counted from the input, halve the image. None: all.
    activation : str, default="silu"
        Follows every convolution: "elu", "gelu", "identity", "leaky_relu",
        "relu", "sigmoid", "silu", "softplus" or "tanh".
    downsampling : {"stride", "max_pool"}, default="stride"
        Whether the convolution itself takes steps of two pixels, or 2×2
        max-pooling follows it.
    upsampling : {"transpose", "nearest"}, default="transpose"
        Whether a stage of the decoder is a transposed convolution with stride
        2, the last one straight to the image; or a convolution followed by
        nearest-neighbour upsampling, with one more convolution to the image.
    upsampling_kernel_size : int, default=4
        Height and width of the kernels of transposed convolutions. Sizes that 2
        divides reach all pixels equally often.
    residual : bool, default=False
        Whether stages have residual blocks (two convolutions and a shortcut).
    skip_connections : bool, default=False
        Whether each stage of the decoder sees, beside what comes from the stage
        before, the map that the encoder had at the same size. All these maps are
        the code, which ``code_size=None`` leaves as large as it is: not for short
        codes, but for filling holes and for taking noise away, where the details
        around should find their way into the answer.
    batch_norm : bool, default=True
        Whether to normalise over the batch before each activation.
    hidden_layer_sizes : tuple of int, default=()
        Dense layers between the spatial map and a flat code.
    code_activation : str, default="auto"
        Activation of the code. "auto" is "identity", and "sigmoid" where the
        objective needs a code in (0, 1). A spatial map has its stage's activation;
        if it is to have another, one more convolution, of single pixels, precedes
        that.
    output_activation : {"auto", "identity", "sigmoid"}, default="auto"
        Activation of the reconstruction. "auto" is "sigmoid" where the
        training data lie in [0, 1] and span at least half of it, or the loss is
        "bce"; "identity" elsewhere.

    See Also
    --------
    Dense : Fully connected layers.
    Conv1d : Convolutions along the steps of sequences.
    Custom : Modules of your own.

    References
    ----------
    Masci, Meier, Cireşan and Schmidhuber, "Stacked convolutional auto-encoders
    for hierarchical feature extraction", ICANN 2011.
    He, Zhang, Ren and Sun, "Deep residual learning for image recognition",
    CVPR 2016.
    Ronneberger, Fischer and Brox, "U-Net: convolutional networks for biomedical
    image segmentation", MICCAI 2015: skip connections.

    Examples
    --------
    >>> import torch
    >>> from skautoencoder.architectures import Conv
    >>> network = Conv(channels=(16, 8, 8)).build((28, 28), code_size=None)
    >>> images = torch.zeros(5, 28 * 28)
    >>> network.encode(images).shape  # 8 channels of 4 x 4 pixels
    torch.Size([5, 128])
    >>> network(images).shape
    torch.Size([5, 784])
    """

    _parameter_constraints = {
        "channels": ["array-like"],
        "kernel_size": [Interval(Integral, 1, None, closed="left")],
        "n_downsamplings": [Interval(Integral, 0, None, closed="left"), None],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "downsampling": [StrOptions({"stride", "max_pool"})],
        "upsampling": [StrOptions({"transpose", "nearest"})],
        "upsampling_kernel_size": [Interval(Integral, 2, None, closed="left")],
        "residual": ["boolean"],
        "skip_connections": ["boolean"],
        "batch_norm": ["boolean"],
        "hidden_layer_sizes": ["array-like"],
        "code_activation": [StrOptions({"auto", *ACTIVATIONS})],
        "output_activation": [StrOptions({"auto", "identity", "sigmoid"})],
    }

    def __init__(
        self,
        channels: tuple[int, ...] = (32, 64, 128),
        *,
        kernel_size: int = 3,
        n_downsamplings: int | None = None,
        activation: str = "silu",
        downsampling: str = "stride",
        upsampling: str = "transpose",
        upsampling_kernel_size: int = 4,
        residual: bool = False,
        skip_connections: bool = False,
        batch_norm: bool = True,
        hidden_layer_sizes: tuple[int, ...] = (),
        code_activation: str = "auto",
        output_activation: str = "auto",
    ) -> None:
        self.channels = channels
        self.kernel_size = kernel_size
        self.n_downsamplings = n_downsamplings
        self.activation = activation
        self.downsampling = downsampling
        self.upsampling = upsampling
        self.upsampling_kernel_size = upsampling_kernel_size
        self.residual = residual
        self.skip_connections = skip_connections
        self.batch_norm = batch_norm
        self.hidden_layer_sizes = hidden_layer_sizes
        self.code_activation = code_activation
        self.output_activation = output_activation

    def check(self) -> None:
        """Raise an error that names the parameter whose value is not allowed."""
        super().check()
        check_sizes("channels", self.channels)
        check_sizes("hidden_layer_sizes", self.hidden_layer_sizes, allow_empty=True)
        if (self.n_downsamplings or 0) > len(self.channels):
            raise ValueError(
                f"n_downsamplings={self.n_downsamplings} is more than the "
                f"{len(self.channels)} stages of channels={self.channels!r}."
            )
        if self.skip_connections and self._n_halvings < 2:
            raise ValueError(
                "skip_connections=True needs at least two stages that halve the image, "
                f"but channels={self.channels!r} and n_downsamplings="
                f"{self.n_downsamplings} have {self._n_halvings}. Add a stage, or set "
                "it to False."
            )

    @property
    def _channels(self) -> tuple[int, ...]:
        # A grid search may pass NumPy integers, which torch rejects.
        return tuple(int(n) for n in self.channels)

    def _build_encoder_decoder(
        self, sample_shape: tuple[int, ...], code_size: int | None, code_activation: str
    ) -> tuple[nn.Module, nn.Module]:
        image_shape = as_image_shape(sample_shape)
        sizes = [image_shape[1:]]
        for _ in range(self._n_halvings):
            height, width = sizes[-1]
            sizes.append(((height + 1) // 2, (width + 1) // 2))

        map_shape = (self._channels[-1], *sizes[-1])
        down = self._encoder_stages(image_shape[0], sizes)
        up = self._decoder_stages(image_shape[0], sizes)
        if self.skip_connections:
            self._check_skips(code_size)
            shapes = list(zip(self._channels, sizes[1:-1], strict=False))
            down = [[SkipEncoder(down, len(shapes))]]
            up = [[SkipDecoder(up, map_shape, shapes)]]
        else:
            up.insert(0, self._code_to_map(map_shape, code_size))
        to_code = self._map_to_code(map_shape, code_size, code_activation)
        encoder = nn.Sequential(
            nn.Unflatten(1, image_shape), *chain.from_iterable(down), *to_code
        )
        decoder = nn.Sequential(*chain.from_iterable(up), nn.Flatten())
        # Convolutions are fastest on a CPU with channels last.
        encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        decoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return encoder, decoder

    @property
    def _n_halvings(self) -> int:
        if self.n_downsamplings is None:
            return len(self.channels)
        return int(self.n_downsamplings)

    def _check_skips(self, code_size: int | None) -> None:
        if not self.map_is_code(code_size):
            raise ValueError(
                f"skip_connections=True makes the maps of all stages the code, but "
                f"code_size={code_size} and hidden_layer_sizes="
                f"{self.hidden_layer_sizes!r} ask for a flat one. Set code_size=None "
                "and hidden_layer_sizes=(), or skip_connections=False."
            )

    def _start_code_at(self, activity: float, encoder: nn.Module) -> None:
        if self.skip_connections:
            raise ValueError(
                "The penalty KL (sparsity='kl') needs units made for the code. With "
                "skip_connections=True it is the maps of all stages, which have "
                "their own activation. Set one of the two otherwise."
            )
        super()._start_code_at(activity, encoder)

    @property
    def _hidden_lift(self) -> float:
        has_hidden = len(self.hidden_layer_sizes) > 0
        return lift_of(self.activation, self.batch_norm) if has_hidden else 0.0

    def grid_shape(self, sample_shape: tuple[int, ...]) -> tuple[int, int, int]:
        """Return the shape of the images that samples are."""
        return as_image_shape(sample_shape)

    def map_is_code(self, code_size: int | None) -> bool:
        """Return whether the spatial map itself is the code."""
        return code_size is None and not len(self.hidden_layer_sizes)

    def _map_to_code(
        self, map_shape: tuple[int, ...], code_size: int | None, code_activation: str
    ) -> list[nn.Module]:
        if self.map_is_code(code_size):
            flatten = [] if self.skip_connections else [nn.Flatten()]
            # The activation of the last stage was already applied to the map.
            if code_activation in ("identity", self.activation):
                return [*flatten]
            activation = make_activation(code_activation)
            if self.skip_connections:
                return [activation]
            # Two activations in a row would restrict the range of codes (a sigmoid of
            # a relu is never below one half), so a 1×1 convolution comes between them.
            n_channels = map_shape[0]
            convolution = nn.Conv2d(n_channels, n_channels, kernel_size=1)
            return [initialize(convolution, code_activation), activation, *flatten]
        sizes = (math.prod(map_shape), *self.hidden_layer_sizes)
        return [
            nn.Flatten(),
            *dense_stack(sizes, self.activation, batch_norm=self.batch_norm),
            *code_layers(
                sizes[-1],
                require_code_size(code_size, self),
                code_activation,
                lifted=self._hidden_lift,
            ),
        ]

    def _code_to_map(
        self, map_shape: tuple[int, ...], code_size: int | None
    ) -> list[nn.Module]:
        unflatten = nn.Unflatten(1, map_shape)
        if self.map_is_code(code_size):
            return [unflatten]
        sizes = (require_code_size(code_size, self), *reversed(self.hidden_layer_sizes))
        return [
            *dense_stack(sizes, self.activation, batch_norm=self.batch_norm),
            linear(
                sizes[-1],
                math.prod(map_shape),
                self.activation,
                normalized=self.batch_norm,
                lifted=self._hidden_lift,
            ),
            unflatten,
            # Normalised per channel, like the following stages, not per pixel.
            *self._normalized_activation(map_shape[0]),
        ]

    def _encoder_stages(
        self, n_image_channels: int, sizes: list[Size]
    ) -> list[list[nn.Module]]:
        stages: list[list[nn.Module]] = []
        for i, (n_in, n_out) in enumerate(
            pairwise((n_image_channels, *self._channels))
        ):
            halves = i < self._n_halvings
            strides = halves and self.downsampling == "stride"
            stride = halving(sizes[i]) if strides else (1, 1)
            stage = self._stage(n_in, n_out, stride)
            if halves and self.downsampling == "max_pool":
                # A monotone activation commutes with max-pooling; pooling first leaves
                # a quarter of the work.
                first = self.activation in MONOTONE and not self.residual
                stage.insert(
                    -1 if first else len(stage), nn.MaxPool2d(2, ceil_mode=True)
                )
            stages.append(stage)
        return stages

    def _n_skipped(self, level: int) -> int:
        """Return how many channels a decoder stage takes by its skip connection."""
        deepest = level == self._n_halvings - 1
        return 0 if deepest or not self.skip_connections else self._channels[level]

    def _decoder_stages(
        self, n_image_channels: int, sizes: list[Size]
    ) -> list[list[nn.Module]]:
        if self.upsampling == "nearest" or len(sizes) == 1:
            return self._nearest_stages(n_image_channels, sizes)
        stages: list[list[nn.Module]] = []
        n_in = self._channels[-1]
        outputs = [n_image_channels, *self._channels[: len(sizes) - 2]]
        for level in reversed(range(len(outputs))):
            n_out, last = outputs[level], level == 0
            n_given = n_in + self._n_skipped(level)
            stage: list[nn.Module] = []
            if self.residual:
                stage, n_given = self._stage(n_given, n_in), n_in
            stage += [self._transposed(n_given, n_out, last), Crop(sizes[level])]
            if not last:
                stage += self._normalized_activation(n_out)
            stages.append(stage)
            n_in = n_out
        return stages

    def _nearest_stages(
        self, n_image_channels: int, sizes: list[Size]
    ) -> list[list[nn.Module]]:
        stages: list[list[nn.Module]] = []
        n_in = self._channels[-1]
        for level in reversed(range(len(sizes) - 1)):
            n_given, n_out = n_in + self._n_skipped(level), self._channels[level]
            stages.append([*self._stage(n_given, n_out), Enlarge(sizes[level])])
            n_in = n_out
        if stages and self.kernel_size % 2:
            enlarged = EnlargedConv(n_in, n_image_channels, self.kernel_size, sizes[0])
            stages[-1][-1] = initialize(enlarged)
        else:
            stages.append([conv(n_in, n_image_channels, self.kernel_size)])
        return stages

    def _transposed(self, n_in: int, n_out: int, last: bool) -> nn.Module:
        """Return a transposed convolution that exactly doubles height and width."""
        kernel_size = self.upsampling_kernel_size
        layer = nn.ConvTranspose2d(
            n_in,
            n_out,
            kernel_size,
            stride=2,
            padding=(kernel_size - 1) // 2,
            output_padding=kernel_size % 2,
        )
        activation = "identity" if last else self.activation
        normalized = self.batch_norm and not last
        return initialize(layer, activation, normalized=normalized)

    def _stage(self, n_in: int, n_out: int, stride: Size = (1, 1)) -> list[nn.Module]:
        if self.residual:
            return [
                ResidualBlock(
                    n_in,
                    n_out,
                    stride,
                    kernel_size=self.kernel_size,
                    activation=self.activation,
                    batch_norm=self.batch_norm,
                )
            ]
        return [
            conv(
                n_in,
                n_out,
                self.kernel_size,
                stride,
                self.activation,
                normalized=self.batch_norm,
            ),
            *self._normalized_activation(n_out),
        ]

    def _normalized_activation(self, n_channels: int) -> list[nn.Module]:
        norm = [nn.BatchNorm2d(n_channels)] if self.batch_norm else []
        return [*norm, make_activation(self.activation)]


def is_small(sample_shape: tuple[int, ...]) -> bool:
    """Return whether images of this shape have at most 8×8 pixels."""
    return max(as_image_shape(sample_shape)[1:]) <= 8


def as_image_shape(sample_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return a sample shape as (n_channels, height, width)."""
    if len(sample_shape) == 3:
        n_channels, height, width = sample_shape
        return n_channels, height, width
    if len(sample_shape) == 2:
        return 1, *sample_shape
    if len(sample_shape) == 1:
        side = round(sample_shape[0] ** 0.5)
        square = side * side == sample_shape[0]
        return (1, side, side) if square else (1, 1, sample_shape[0])
    raise ValueError(
        "A convolutional architecture takes samples of shape (height, width) or "
        f"(n_channels, height, width), got sample_shape={sample_shape}."
    )
