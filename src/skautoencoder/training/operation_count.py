"""How many floating-point operations a network takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from torch import Tensor, nn

from skautoencoder.training.devices import evaluating

Answer = TypeVar("Answer")

# Layers that have a weight, but no matrix product.
_WITHOUT_PRODUCTS = (nn.Embedding, nn.EmbeddingBag, nn.LayerNorm)
_OF_STEPS = (nn.RNNBase, nn.RNNCellBase)


def count_operations(
    network: nn.Module, function: Callable[[], Answer]
) -> tuple[float, Answer]:
    """Count the operations that a network takes for a sample.

    Only layers with weight matrices or kernels are counted: the others are small
    beside them. The network is in evaluation mode, and its state is left as it was.

    Parameters
    ----------
    network : torch.nn.Module
        The network.
    function : callable
        Calls the network with one sample.

    Returns
    -------
    n_operations : float
        Number of floating-point operations.
    answer : object
        What the function returned.
    """
    n_products = 0

    def count(layer: nn.Module, args: Any, named: Any, output: Any) -> None:
        nonlocal n_products
        n_products += _products_of(layer, [*args, *named.values()], output)

    hooks = [
        layer.register_forward_hook(count, with_kwargs=True)
        for layer in network.modules()
        if _multiplies(layer)
    ]
    try:
        with evaluating(network):
            answer = function()
    finally:
        for hook in hooks:
            hook.remove()
    return 2.0 * n_products, answer


def _multiplies(layer: nn.Module) -> bool:
    """Return whether a layer has weight matrices or kernels to multiply by."""
    if isinstance(layer, (*_OF_STEPS, nn.MultiheadAttention)):
        return True
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, Tensor) or weight.ndim < 2 or layer._modules:
        return False
    return not isinstance(layer, _WITHOUT_PRODUCTS)


def _products_of(layer: nn.Module, inputs: list[Any], output: Any) -> int:
    """Return the products of a layer that was called, given inputs and output."""
    if isinstance(layer, _OF_STEPS):
        # A packed sequence holds the time steps of all samples in one tensor.
        given = getattr(inputs[0], "data", inputs[0])
        n_steps: int = given.numel() // layer.input_size
        matrices = [weight for weight in layer.parameters() if weight.ndim == 2]
        return n_steps * sum(weight.numel() for weight in matrices)
    if isinstance(layer, nn.MultiheadAttention):
        # Its output is projected without a call of the layer that does so. Scores
        # and sums of values have a product for each pair of steps and feature.
        n_asked, n_keys = (given.numel() // given.shape[-1] for given in inputs[:2])
        projected = n_asked * 2 * layer.embed_dim + n_keys * (layer.kdim + layer.vdim)
        return int(layer.embed_dim * (projected + 2 * n_asked * n_keys))
    # A transposed convolution applies its kernel once per input position, other
    # layers apply their weight once per output vector.
    vectors = inputs[0] if getattr(layer, "transposed", False) else output
    if not isinstance(vectors, Tensor):
        return 0
    weight = cast(Tensor, layer.weight)
    return vectors.numel() // max(len(weight), 1) * weight.numel()
