"""Products in blocks, each computed by one thread."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from skautoencoder.training.threads import Crew, added

Task = Callable[[], object]

# Operations that make up for waking another thread in the middle of a network.
_BLOCK_WORK = 1e8
# Numbers that an optimizer changes in the time that it takes to wake one.
_BLOCK_NUMBERS = 2**18
# Numbers of a weight that is not worth dividing.
_SHORT = 2**14
# Blocks of matrices begin at multiples of this. The routines for products take so many
# columns at a time or fewer, and round those that are left over in ways of their own.
_GRAIN = 32

_aten = torch.ops.aten


class Blocks(TorchFunctionMode):
    """Within the block, long operations are divided among the threads of a crew.

    Those are linear layers, convolutions, and steps of optimizers that have one kernel
    for them. Into which blocks depends on their size and on the number of threads in
    the crew, not on how many of those are running. Whatever else a network does is
    computed by the thread that asks.

    Parameters
    ----------
    crew : Crew
        The threads.
    """

    def __init__(self, crew: Crew) -> None:
        super().__init__()
        self.crew = crew
        # Of the last step: which tensors were divided, and into what.
        self.divided: tuple[tuple[int, ...], list[list[list[Tensor]]]] | None = None

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Answer a call of one of torch's functions."""
        divided = _DIVIDED.get(func)
        if divided is None:
            return func(*args, **(kwargs or {}))
        return divided(self, func, *args, **(kwargs or {}))


# ---- linear layers -----------------------------------------------------------------


def _linear(
    blocks: Blocks,
    plain: Callable[..., Tensor],
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
) -> Tensor:
    work = 2.0 * math.prod(input.shape[:-1]) * weight.numel()
    n_blocks = _n_blocks(blocks.crew, work)
    if n_blocks < 2 or weight.ndim != 2 or not _fit(input, weight):
        return plain(input, weight, bias)
    rows, dtype = input.reshape(-1, input.shape[-1]), _dtype_of(input)
    outputs: Tensor = _Linear.apply(rows, weight, bias, blocks.crew, dtype, n_blocks)
    return outputs.reshape(*input.shape[:-1], len(weight))


class _Linear(torch.autograd.Function):
    """A product of rows and a matrix, plus a bias."""

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        crew: Crew,
        dtype: torch.dtype,
        n_blocks: int,
    ) -> Tensor:
        ctx.save_for_backward(rows, weight, bias)
        rows, weight = rows.to(dtype), weight.to(dtype)
        ctx.rounded, ctx.crew, ctx.n_blocks = (rows, weight), crew, n_blocks
        outputs = rows.new_empty(len(rows), len(weight))
        if bias is not None:
            bias = bias.to(dtype)
        crew.do(product(rows, weight.t(), outputs, n_blocks, bias))
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (gradient,) = gradients
        rows, weight, bias = ctx.saved_tensors
        if torch.is_grad_enabled():
            # Somebody wants the derivatives of these: autograd has to see them.
            rows, weight = rows.to(gradient.dtype), weight.to(gradient.dtype)
            by_bias = None if bias is None else gradient.sum(0)
            return gradient @ weight, gradient.t() @ rows, by_bias, None, None, None
        by_rows = by_weight = by_bias = None
        tasks: list[Task] = []
        if ctx.needs_input_grad[1]:
            by_weight = torch.empty_like(weight, memory_format=torch.contiguous_format)
            tasks += product(gradient.t(), ctx.rounded[0], by_weight, ctx.n_blocks)
        if ctx.needs_input_grad[0]:
            by_rows = torch.empty_like(rows, memory_format=torch.contiguous_format)
            tasks += product(gradient, ctx.rounded[1], by_rows, ctx.n_blocks)
        if bias is not None and ctx.needs_input_grad[2]:
            by_bias = torch.empty_like(bias)
            sums = partial(torch.sum, gradient, 0, dtype=bias.dtype, out=by_bias)
            tasks.append(sums)
        ctx.crew.do(tasks)
        return by_rows, by_weight, by_bias, None, None, None


def product(
    left: Tensor,
    right: Tensor,
    outputs: Tensor,
    n_blocks: int,
    bias: Tensor | None = None,
) -> list[Task]:
    """Return what is to be done for a product of two matrices: blocks of its result.

    No sum is divided, so that blocks are what the whole product would have there.

    Parameters
    ----------
    left, right : Tensor
        The matrices.
    outputs : Tensor
        Where to write the product.
    n_blocks : int
        How many blocks at most.
    bias : Tensor, default=None
        What is added to each row of it.
    """
    n_rows, n_columns = outputs.shape
    by_columns = n_columns >= n_rows
    tasks: list[Task] = []
    for block in _blocks(n_columns if by_columns else n_rows, n_blocks):
        if by_columns:
            own_bias = None if bias is None else bias[block]
            pieces = left, right[:, block], outputs[:, block], own_bias
        else:
            pieces = left[block], right, outputs[block], bias
        tasks.append(partial(_multiply, *pieces))
    return tasks


def _multiply(left: Tensor, right: Tensor, output: Tensor, bias: Tensor | None) -> None:
    if output.dtype != left.dtype:
        output.copy_(left @ right)
    elif bias is None:
        torch.mm(left, right, out=output)
    else:
        torch.addmm(bias, left, right, out=output)


# ---- convolutions ------------------------------------------------------------------


def _convolution(
    blocks: Blocks,
    plain: Callable[..., Tensor],
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    n_uses = input.numel() / math.prod(_of_axes(stride, weight.ndim - 2))
    n_blocks = _n_blocks_of_images(blocks.crew, input, weight, n_uses)
    if n_blocks < 2 or isinstance(padding, str):
        return plain(input, weight, bias, stride, padding, dilation, groups)
    settings = (stride, padding, dilation, False, 0, groups)
    return _convolved(blocks.crew, n_blocks, input, weight, bias, settings)


def _transposed_convolution(
    blocks: Blocks,
    plain: Callable[..., Tensor],
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    n_blocks = _n_blocks_of_images(blocks.crew, input, weight, input.numel())
    if n_blocks < 2:
        further = (stride, padding, output_padding, groups, dilation)
        return plain(input, weight, bias, *further)
    settings = (stride, padding, dilation, True, output_padding, groups)
    return _convolved(blocks.crew, n_blocks, input, weight, bias, settings)


def _n_blocks_of_images(
    crew: Crew, input: Tensor, weight: Tensor, n_uses: float
) -> int:
    """Return into how many blocks a convolution is divided.

    Parameters
    ----------
    crew : Crew
        Who is to compute it.
    input, weight : Tensor
        Images and kernels.
    n_uses : float
        How many numbers of the images the kernels are used at.
    """
    if input.ndim != weight.ndim or not _fit(input, weight):
        # A single image, or a mistake, of which torch will tell.
        return 1
    work = 2.0 * n_uses / input.shape[1] * weight.numel()
    return min(_n_blocks(crew, work), len(input))


def _convolved(
    crew: Crew,
    n_blocks: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    settings: tuple[Any, ...],
) -> Tensor:
    stride, padding, dilation, transposed, output_padding, groups = settings
    stride, padding, dilation, output_padding = (
        _of_axes(value, weight.ndim - 2)
        for value in (stride, padding, dilation, output_padding)
    )
    settings = (stride, padding, dilation, transposed, output_padding, groups)
    outputs: Tensor = _Convolution.apply(
        input, weight, bias, crew, _dtype_of(input), n_blocks, settings
    )
    return outputs


class _Convolution(torch.autograd.Function):
    """A convolution of images, some of them at a time."""

    @staticmethod
    def forward(
        ctx: Any,
        images: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        crew: Crew,
        dtype: torch.dtype,
        n_blocks: int,
        settings: tuple[Any, ...],
    ) -> Tensor:
        ctx.save_for_backward(images, weight, bias)
        ctx.dtype = weight.dtype
        images, weight = images.to(dtype), weight.to(dtype)
        ctx.rounded, ctx.crew = (images, weight), crew
        ctx.n_blocks, ctx.settings = n_blocks, settings
        if bias is not None:
            bias = bias.to(dtype)

        def convolve(part: Tensor) -> Tensor:
            return torch.convolution(part, weight, bias, *settings)

        parts = images.tensor_split(n_blocks)
        return torch.cat(_answers(crew, [partial(convolve, part) for part in parts]))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (gradient,) = gradients
        images, weight, bias = ctx.saved_tensors
        sizes = None if bias is None else list(bias.shape)
        wanted = list(ctx.needs_input_grad[:3])

        def derive(gradient: Tensor, images: Tensor, weight: Tensor) -> Any:
            return _aten.convolution_backward(
                gradient, images, weight, sizes, *ctx.settings, wanted
            )

        if torch.is_grad_enabled():
            # Somebody wants the derivatives of these: autograd has to see them.
            dtype = gradient.dtype
            found = derive(gradient, images.to(dtype), weight.to(dtype))
            return *found, None, None, None, None
        images, weight = ctx.rounded
        pieces = zip(
            gradient.tensor_split(ctx.n_blocks),
            images.tensor_split(ctx.n_blocks),
            strict=True,
        )
        tasks = [partial(derive, *piece, weight) for piece in pieces]
        by_images, by_weight, by_bias = zip(*_answers(ctx.crew, tasks), strict=True)
        return (
            torch.cat(by_images) if wanted[0] else None,
            added([t.to(ctx.dtype) for t in by_weight]) if wanted[1] else None,
            added([t.to(ctx.dtype) for t in by_bias]) if wanted[2] else None,
            *[None] * 4,
        )


def _answers(crew: Crew, tasks: Sequence[Callable[[], Any]]) -> list[Any]:
    """Return what tasks return, in their order."""
    answers: list[Any] = [None] * len(tasks)

    def answer(number: int) -> None:
        answers[number] = tasks[number]()

    crew.do([partial(answer, number) for number in range(len(tasks))])
    return answers


def _of_axes(value: Any, n_axes: int) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, Sequence) else (value,)
    return values * n_axes if len(values) == 1 else values


# ---- steps of optimizers -----------------------------------------------------------


def _step(
    blocks: Blocks,
    plain: Callable[..., None],
    *lists: list[Tensor],
    **settings: Any,
) -> None:
    """Change weights with a kernel that treats each number alone.

    The first list has the weights, the others their gradients and states.
    """
    n_numbers = sum(weight.numel() for weight in lists[0])
    n_blocks = min(n_numbers // _BLOCK_NUMBERS, blocks.crew.n_threads)
    if n_blocks < 2 or not all(map(_is_divisible, chain(*lists))):
        plain(*lists, **settings)
        return
    # To divide them takes as long as to change them. Most of the time they are those
    # of the step before, which are kept, so that no other can have their identities.
    named = tuple(map(id, chain(*lists)))
    if blocks.divided is None or blocks.divided[0] != named:
        blocks.divided = named, _divided(lists, n_blocks)
    blocks.crew.do([partial(plain, *block, **settings) for block in blocks.divided[1]])


def _is_divisible(tensor: Tensor) -> bool:
    return tensor.is_contiguous() and tensor.device.type == "cpu"


def _divided(lists: Sequence[list[Tensor]], n_blocks: int) -> list[list[list[Tensor]]]:
    """Return lists of blocks of tensors, for each thread."""
    divided: list[list[list[Tensor]]] = [[[] for _ in lists] for _ in range(n_blocks)]
    for i, weight in enumerate(lists[0]):
        n = weight.numel()
        # A short one is for the first thread alone.
        step = _rounded_up(n / n_blocks) if n > _SHORT else max(n, 1)
        for column, tensors in enumerate(lists):
            if not tensors:
                continue
            if tensors[i].numel() == n:
                own = tensors[i].view(-1).split(step)
            else:
                # Steps are counted for each weight, not for each number in it.
                own = (tensors[i],) * math.ceil(n / step)
            for block, piece in zip(divided, own, strict=False):
                block[column].append(piece)
    return divided


# ---- what they share ---------------------------------------------------------------


def _n_blocks(crew: Crew, work: float) -> int:
    """Return into how many blocks an operation is divided."""
    return min(max(int(work / _BLOCK_WORK), 1), crew.n_threads)


def _blocks(length: int, n_blocks: int) -> Iterator[slice]:
    """Go through at most so many blocks of a length."""
    step = _rounded_up(length / n_blocks)
    for start in range(0, length, step):
        yield slice(start, min(start + step, length))


def _rounded_up(length: float) -> int:
    return math.ceil(length / _GRAIN) * _GRAIN


def _fit(input: Tensor, weight: Tensor) -> bool:
    """Return whether torch would multiply two tensors."""
    return input.dtype == weight.dtype or torch.is_autocast_enabled("cpu")


def _dtype_of(input: Tensor) -> torch.dtype:
    """Return in which type torch would multiply."""
    if torch.is_autocast_enabled("cpu"):
        return torch.get_autocast_dtype("cpu")
    return input.dtype


_DIVIDED: dict[Any, Callable[..., Any]] = {
    F.linear: _linear,
    F.conv1d: _convolution,
    F.conv2d: _convolution,
    F.conv3d: _convolution,
    F.conv_transpose1d: _transposed_convolution,
    F.conv_transpose2d: _transposed_convolution,
    F.conv_transpose3d: _transposed_convolution,
}
# torch's own, and not for the public: where they are missing, so is who would call.
for _name in ("_fused_adam_", "_fused_adamw_", "_fused_sgd_"):
    if hasattr(torch, _name):
        _DIVIDED[getattr(torch, _name)] = _step
