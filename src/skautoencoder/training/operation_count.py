"""How many floating-point operations a network takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor, nn

from skautoencoder.training.devices import evaluating


@dataclass
class OperationCount:
    """A counter of floating-point operations.

    Parameters
    ----------
    n_operations : float, default=0.0
        Number of operations so far.
    """

    n_operations: float = 0.0

    def count(
        self,
        layer: nn.Module,
        args: tuple[Any, ...],
        named: dict[str, Any],
        output: Any,
    ) -> None:
        """Add the operations of a layer for one sample (a forward hook)."""
        inputs = [*args, *named.values()]
        if isinstance(layer, nn.RNNBase | nn.RNNCellBase):
            # A packed sequence holds the time steps of all samples in one tensor.
            given = getattr(inputs[0], "data", inputs[0])
            n_steps = given.numel() // layer.input_size
            matrices = [weight for weight in layer.parameters() if weight.ndim == 2]
            n_products = n_steps * sum(weight.numel() for weight in matrices)
        elif isinstance(layer, nn.MultiheadAttention):
            # Its output is projected without a call of the layer that does so. Scores
            # and sums of values have a product for each pair of steps and feature.
            n_asked, n_keys = (given.numel() // given.shape[-1] for given in inputs[:2])
            projected = n_asked * 2 * layer.embed_dim + n_keys * (
                layer.kdim + layer.vdim
            )
            n_products = layer.embed_dim * (projected + 2 * n_asked * n_keys)
        else:
            # A transposed convolution applies its kernel once per input position,
            # other layers apply their weight once per output vector.
            transposed = getattr(layer, "transposed", False)
            vectors = inputs[0] if transposed else output
            if not isinstance(vectors, Tensor):
                return
            weight = cast(Tensor, layer.weight)
            n_products = vectors.numel() // max(len(weight), 1) * weight.numel()
        self.n_operations += 2.0 * n_products


# Layers that have a weight, but no matrix product.
_WITHOUT_PRODUCTS = (nn.Embedding, nn.EmbeddingBag, nn.LayerNorm)


def _multiplies(layer: nn.Module) -> bool:
    """Return whether a layer has weight matrices or kernels to multiply by."""
    if isinstance(layer, nn.RNNBase | nn.RNNCellBase | nn.MultiheadAttention):
        return True
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, Tensor) or weight.ndim < 2 or layer._modules:
        return False
    return not isinstance(layer, _WITHOUT_PRODUCTS)


@contextmanager
def counting_operations(network: nn.Module) -> Iterator[OperationCount]:
    """Count the operations that a network takes for a sample within the block.

    Only layers with weight matrices or kernels are counted: the others are small
    beside them. The network is in evaluation mode, and its state is left as it was.

    Parameters
    ----------
    network : torch.nn.Module
        The network, which the block calls.
    """
    work = OperationCount()
    hooks = [
        layer.register_forward_hook(work.count, with_kwargs=True)
        for layer in network.modules()
        if _multiplies(layer)
    ]
    try:
        with evaluating(network):
            yield work
    finally:
        for hook in hooks:
            hook.remove()
