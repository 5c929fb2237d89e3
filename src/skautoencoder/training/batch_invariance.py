"""Operations whose results for a row do not depend on the other rows of the batch.

Kernels of matrix products and convolutions choose the order of their sums by the shape
of the batch, and some also by the position of a row in it. Which ones do is not
documented and differs between processors. So an operation is called with as many rows
as a full batch has, or with a smaller number of rows for which a test on random numbers
gave equal bits. The test runs once per process and shape; that is enough, because the
order of sums does not depend on the values.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

# Batch sizes below the full one that are tested, for rows and for images.
_FEW_ROWS, _FEW_IMAGES = (4, 8, 16, 32, 128), (1, 2, 8, 16, 32)
# Positions in the full batch from which the rows of a smaller one are taken, for that.
_PLACES = 8
# For weight matrices above this size no test is made; all batches have the full size.
_LARGE = 2**24
# Size of weight matrices up to which double precision costs little.
_SMALL = 2**14
# Matrix products whose results depend on a row's position do not if the number of
# columns is padded to a multiple of what a kernel computes at once.
_COLUMNS = (16, 48)
# Up to so many pixels, convolutions of so few channels, and transposed ones to so few,
# are left to torch's own kernels: oneDNN's take two to six times as long for an image.
_FEW_PIXELS, _FEW_INPUTS, _FEW_OUTPUTS = 32 * 32, 2, 4
# Their names, which another version of torch may not know.
_OWN_KERNELS = ("thnn_conv2d", "slow_conv_transpose2d")
# Elementwise kernels compute this many numbers at once (a multiple of the vector
# length), and the rest with other instructions.
VECTOR = 32

_CONVOLUTIONS = {
    F.conv1d,
    F.conv2d,
    F.conv3d,
    F.conv_transpose1d,
    F.conv_transpose2d,
    F.conv_transpose3d,
}
_RECURRENT = {torch.gru, torch.lstm}
_OF_SINGLE_NUMBERS = {
    F.celu,
    F.elu,
    F.gelu,
    F.mish,
    F.selu,
    F.silu,
    F.softplus,
    torch.sigmoid,
    Tensor.sigmoid,
}

# They multiply and add in one rounding or in two, by the layout of the whole batch: a
# part of larger images is dense if it is of one image alone.
_NORMALIZATIONS = {
    F.batch_norm,
    F.group_norm,
    F.instance_norm,
    F.layer_norm,
    torch.batch_norm,
}
# The order of sums over the columns of a transposed matrix depends on the number of
# rows; in a contiguous one, each row is summed by itself.
_SUMS = {
    torch.logsumexp,
    torch.mean,
    torch.sum,
    Tensor.logsumexp,
    Tensor.mean,
    Tensor.sum,
}

_REPLACED = {
    F.linear,
    *_CONVOLUTIONS,
    *_RECURRENT,
    *_OF_SINGLE_NUMBERS,
    *_NORMALIZATIONS,
    *_SUMS,
}

# Results of the tests in this process: batch sizes with equal bits, by operation.
_known: dict[Any, tuple[int, ...]] = {}


class BatchInvariant(TorchFunctionMode):
    """Makes results of a row the same in every batch within the block.

    This holds for torch's layers. What modules of the user's own compute with operators
    is the same among batches of the same size.

    Parameters
    ----------
    whole : int
        Number of rows of a full batch.
    """

    def __init__(self, whole: int) -> None:
        super().__init__()
        self.whole = whole

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Replace functions whose results depend on the batch; call others as usual."""
        kwargs = kwargs or {}
        if func not in _REPLACED:
            return func(*args, **kwargs)
        if func is F.linear:
            return self._linear(*args, **kwargs)
        if func in _SUMS and args:
            return func(args[0].contiguous(), *args[1:], **kwargs)
        if func in _CONVOLUTIONS:
            return self._convolution(func, *args, **kwargs)
        # Packed sequences, which are no rows, have other arguments.
        if func in _RECURRENT and isinstance(args[3], bool):
            return self._recurrent(func, *args)
        if func in _NORMALIZATIONS:
            return func(_dense(args[0]), *args[1:], **kwargs)
        if func in _OF_SINGLE_NUMBERS:
            return _in_vectors(lambda flat: func(flat, *args[1:], **kwargs), args[0])
        return func(*args, **kwargs)

    def _linear(
        self, input: Tensor, weight: Tensor, bias: Tensor | None = None
    ) -> Tensor:
        if input.ndim > 2:
            answers = self._linear(input.flatten(0, -2), weight, bias)
            return answers.unflatten(0, input.shape[:-1])
        if input.ndim != 2 or input.dtype != weight.dtype:
            return F.linear(input, weight, bias)
        is_small = weight.numel() <= _SMALL and input.dtype == torch.float32
        if input.device.type != "cpu":
            in_double = is_small and input.device.type != "mps"
            return (_linear_in_double if in_double else F.linear)(input, weight, bias)
        input = input.contiguous()
        if sizes := self._sizes(F.linear, input, weight, bias):
            return _in_pieces(F.linear, sizes, input, weight, bias)
        for unit in _COLUMNS:
            if len(weight) % unit:  # else tried above
                padded = self._linear_in_units(unit, input, weight, bias)
                if padded is not None:
                    return padded
        # After rounding from double to single precision, nearly all results are equal.
        function = _linear_in_double if is_small else F.linear
        return _in_pieces(function, (self.whole,), input, weight, bias)

    def _linear_in_units(
        self, unit: int, input: Tensor, weight: Tensor, bias: Tensor | None
    ) -> Tensor | None:
        """Return products with the number of columns padded to a multiple of a unit.

        Only the last columns are padded, as a copy of all weights would take longer
        than a row's product. None: their results depend on a row's position, too.
        """
        n_columns = len(weight)
        n_first = n_columns - n_columns % unit
        n_more = -n_columns % unit
        last_bias = None if bias is None else F.pad(bias[n_first:], (0, n_more))
        parts = [(F.pad(weight[n_first:], (0, 0, 0, n_more)), last_bias)]
        if n_first:
            first_bias = None if bias is None else bias[:n_first]
            parts.insert(0, (weight[:n_first], first_bias))
        sizes = [self._sizes(F.linear, input, *part) for part in parts]
        if not all(sizes):
            return None
        answers = [
            _in_pieces(F.linear, size, input, *part)
            for size, part in zip(sizes, parts, strict=True)
        ]
        return torch.cat(answers, dim=1)[:, :n_columns].contiguous()

    def _convolution(
        self,
        function: Any,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        *settings: Any,
        **named: Any,
    ) -> Tensor:
        if (
            input.ndim != weight.ndim
            or input.dtype != weight.dtype
            or input.device.type != "cpu"
        ):
            # A single image, another device, or invalid input, for which torch raises.
            answers: Tensor = function(input, weight, bias, *settings, **named)
            return answers
        input = _dense(input)
        for kernel in _kernels(function, input, weight, settings):
            if sizes := self._sizes(kernel, input, weight, bias, *settings, **named):
                break
        sizes = sizes or (self.whole,)
        return _in_pieces(kernel, sizes, input, weight, bias, *settings, **named)

    def _recurrent(
        self,
        function: Any,
        input: Tensor,
        start: Tensor | tuple[Tensor, ...],
        weights: list[Tensor],
        *settings: Any,
    ) -> tuple[Tensor, ...]:
        samples_first = settings[-1]
        if not samples_first or input.device.type != "cpu":
            given: tuple[Tensor, ...] = function(input, start, weights, *settings)
            return given
        states = start if isinstance(start, tuple) else (start,)
        recurrence = _Recurrence(
            function,
            tuple(input.shape[1:]),
            tuple((len(state), state.shape[2]) for state in states),
            tuple(tuple(weight.shape) for weight in weights),
            settings,
        )
        rows = torch.cat([input.flatten(1), *map(_flat_state, states)], dim=1)
        weight = torch.cat([weight.flatten() for weight in weights])
        if sizes := self._sizes(recurrence, rows, weight, None):
            answers = _in_pieces(recurrence, sizes, rows, weight, None)
            return recurrence.take_apart(answers)
        # In double precision, as for linear layers: GRUs of up to three units need it.
        exact = rows.double(), weight.double(), None
        answers = _in_pieces(recurrence, (self.whole,), *exact).to(rows.dtype)
        return recurrence.take_apart(answers)

    def _sizes(
        self,
        function: Any,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        *settings: Any,
        **named: Any,
    ) -> tuple[int, ...]:
        """Return the batch sizes for which a function gives equal bits.

        In ascending order; the last is the full batch. Empty if the results depend on
        the position of a row even in a full batch.
        """
        key: Any = (
            *(function, input.shape[1:], weight.shape, weight.stride(), bias is None),
            *(input.stride()[1:], input.dtype, self.whole, settings, *named.items()),
        )
        try:
            sizes = _known.get(key)
        except TypeError:  # lists among the settings
            key = str(key)
            sizes = _known.get(key)
        if sizes is None:
            sizes = self._find_sizes(function, input, weight, bias, *settings, **named)
            _known[key] = sizes
        return sizes

    def _find_sizes(
        self,
        function: Any,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        *settings: Any,
        **named: Any,
    ) -> tuple[int, ...]:
        if weight.numel() > _LARGE:
            return (self.whole,)
        generator = torch.Generator().manual_seed(0)

        def draw(like: Tensor) -> Tensor:
            return torch.empty_like(like).normal_(generator=generator)

        weight, bias = draw(weight), None if bias is None else draw(bias)
        half = draw(_empty(self.whole // 2, input))
        # Each row occurs at two positions.
        rows = torch.cat([half, half.roll(1, 0)])

        def answer(rows: Tensor) -> Tensor:
            answers: Tensor = function(rows, weight, bias, *settings, **named)
            return answers

        answers = answer(rows)
        first, second = answers.chunk(2)
        if not torch.equal(first.roll(1, 0), second):
            return ()

        def is_same(size: int) -> bool:
            # In memory of their own, as the rows of a smaller batch have.
            most = self.whole - size
            return all(
                torch.equal(answer(rows[i : i + size].clone()), answers[i : i + size])
                for i in {most * place // (_PLACES - 1) for place in range(_PLACES)}
            )

        few = _FEW_ROWS if function is F.linear else _FEW_IMAGES
        same = [size for size in few if size < self.whole and is_same(size)]
        return (*same, self.whole)


@dataclass(frozen=True)
class _Recurrence:
    """A function for recurrent layers that takes flat rows and returns such.

    A row has the inputs of all steps, then the states before the first; an answer the
    outputs of all steps, then the states after the last.

    Parameters
    ----------
    function : callable
        The function of torch's.
    steps_shape : tuple of int
        Numbers of steps and of inputs.
    state_shapes : tuple of tuple
        Number of layers, times that of directions, and size, of each kind of states.
    weight_shapes : tuple of tuple
        Shapes of the weights.
    settings : tuple
        The function's other arguments.
    """

    function: Callable[..., tuple[Tensor, ...]]
    steps_shape: tuple[int, ...]
    state_shapes: tuple[tuple[int, int], ...]
    weight_shapes: tuple[tuple[int, ...], ...]
    settings: tuple[Any, ...]

    def __call__(self, rows: Tensor, weight: Tensor, bias: None) -> Tensor:
        steps, *states = _split(rows, (self.steps_shape, *self.state_shapes))
        states = [state.transpose(0, 1).contiguous() for state in states]
        weights = _split(weight[None], self.weight_shapes)
        output, *states = self.function(
            steps,
            tuple(states) if len(states) > 1 else states[0],
            [weight[0] for weight in weights],
            *self.settings,
        )
        return torch.cat([output.flatten(1), *map(_flat_state, states)], dim=1)

    def take_apart(self, answers: Tensor) -> tuple[Tensor, ...]:
        """Return outputs and states from flat answers."""
        n_numbers = answers.shape[1] - sum(map(math.prod, self.state_shapes))
        n_steps = self.steps_shape[0]
        outputs, *states = _split(
            answers, ((n_steps, n_numbers // n_steps), *self.state_shapes)
        )
        return outputs, *(state.transpose(0, 1) for state in states)


def _flat_state(state: Tensor) -> Tensor:
    """Return states of shape (n_layers, n_samples, size) as a row for each sample."""
    return state.transpose(0, 1).flatten(1)


def _split(rows: Tensor, shapes: tuple[tuple[int, ...], ...]) -> list[Tensor]:
    """Return the arrays of these shapes that rows are made of."""
    parts = rows.split([math.prod(shape) for shape in shapes], dim=1)
    return [
        part.reshape(len(part), *shape)
        for part, shape in zip(parts, shapes, strict=True)
    ]


def _kernels(
    function: Callable[..., Tensor],
    images: Tensor,
    weight: Tensor,
    settings: tuple[Any, ...],
) -> tuple[Callable[..., Tensor], ...]:
    """Return functions that compute a convolution, the quickest first."""
    is_small = (
        images.ndim == 4
        and images.shape[2] * images.shape[3] <= _FEW_PIXELS
        and images.device.type == "cpu"  # elsewhere there are other kernels
        and all(hasattr(torch.ops.aten, name) for name in _OWN_KERNELS)
    )
    match function, settings:
        case F.conv2d, (_, tuple(), (1, 1), 1) if (
            is_small and weight.shape[1] <= _FEW_INPUTS
        ):
            return _narrow_conv2d, _conv2d
        case F.conv2d, _:
            return (_conv2d,)
        case F.conv_transpose2d, (_, _, _, 1, _) if (
            is_small and weight.shape[1] <= _FEW_OUTPUTS
        ):
            return _narrow_conv_transpose2d, function
    return (function,)


def _narrow_conv2d(
    images: Tensor, weight: Tensor, bias: Tensor | None, *settings: Any
) -> Tensor:
    """F.conv2d of few channels, as by the first layer of an encoder."""
    stride, padding, _, _ = settings
    answers: Tensor = torch.ops.aten.thnn_conv2d(
        images, weight, weight.shape[2:], bias, stride, padding
    )
    return answers


def _narrow_conv_transpose2d(
    images: Tensor, weight: Tensor, bias: Tensor | None, *settings: Any
) -> Tensor:
    """F.conv_transpose2d to few channels, as by the last layer of a decoder."""
    stride, padding, output_padding, _, dilation = settings
    answers: Tensor = torch.ops.aten.slow_conv_transpose2d(
        *(images, weight, weight.shape[2:], bias),
        *(stride, padding, output_padding, dilation),
    )
    return answers


def _conv2d(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    *settings: Any,
    **named: Any,
) -> Tensor:
    """F.conv2d, with the kernel of several images for a single one, too.

    For a small image alone torch takes another kernel, whose sums have another order.
    """
    if (
        images.shape[0] != 1
        or weight.shape[2:] == (1, 1)  # of which torch takes the same
        or weight.dtype != torch.float32
        or len(settings) < 4
        or {*map(type, settings[:3])} != {tuple}
        or not torch.backends.mkldnn.is_available()
    ):
        answers: Tensor = F.conv2d(images, weight, bias, *settings, **named)
        return answers
    stride, padding, dilation, groups = settings
    return torch.mkldnn_convolution(
        images, weight, bias, padding, stride, dilation, groups
    )


def _linear_in_double(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    bias = None if bias is None else bias.double()
    return F.linear(rows.double(), weight.double(), bias).to(rows.dtype)


def _in_pieces(
    function: Callable[..., Tensor],
    sizes: tuple[int, ...],
    rows: Tensor,
    *args: Any,
    **kwargs: Any,
) -> Tensor:
    """Return the results of a function that is called with batches of given sizes."""
    n_rows, start = rows.shape[0], 0
    if n_rows in sizes:
        return function(rows, *args, **kwargs)
    answers = []
    while n_left := n_rows - start:
        size = _next_size(sizes, n_left)
        part = rows if n_left == n_rows <= size else rows[start : start + size]
        if n_left < size:
            part = F.pad(part, (0, 0) * (part.ndim - 1) + (0, size - n_left))
        answers.append(function(part, *args, **kwargs)[:n_left])
        start += min(size, n_left)
    return torch.cat(answers) if len(answers) > 1 else answers[0]


def _next_size(sizes: tuple[int, ...], n_left: int) -> int:
    """Return the size of the next batch of the rows that are left.

    The smallest size for all of them, unless more than half of it would be padding.
    """
    enough = min(bisect_left(sizes, n_left), len(sizes) - 1)
    is_half_padding = enough > 0 and sizes[enough] >= 2 * n_left
    return sizes[enough - 1 if is_half_padding else enough]


def _in_vectors(function: Callable[[Tensor], Tensor], numbers: Tensor) -> Tensor:
    """Return an elementwise function of numbers, padded to a multiple of VECTOR."""
    numbers = _dense(numbers)
    n_numbers = numbers.numel()
    if not n_numbers % VECTOR:
        return function(numbers)
    # All numbers as one axis, in the order in which they lie in memory.
    flat = numbers.as_strided((n_numbers,), (1,), numbers.storage_offset())
    answers = function(F.pad(flat, (0, -n_numbers % VECTOR)))
    return answers.as_strided(numbers.shape, numbers.stride())


def _dense(rows: Tensor) -> Tensor:
    """Return rows in contiguous or channels-last memory, copied only if needed."""
    if rows.ndim == 4 and not rows.is_contiguous():
        return rows.contiguous(memory_format=torch.channels_last)
    rows = rows.contiguous()
    # Resets the strides of axes of length 1, which may be arbitrary.
    strides = _strides(rows.shape)
    return rows if rows.stride() == strides else rows.as_strided(rows.shape, strides)


@lru_cache
def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides of a contiguous tensor."""
    return torch.empty(shape, device="meta").stride()


def _empty(n_rows: int, like: Tensor) -> Tensor:
    """Return an empty tensor for rows, with the memory layout of another one."""
    strides = (math.prod(like.shape[1:]), *like.stride()[1:])
    return like.new_empty_strided((n_rows, *like.shape[1:]), strides)
