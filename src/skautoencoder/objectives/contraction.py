"""The contractive penalty: the norm of the encoder's Jacobian."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from skautoencoder.objectives.random_generators import generator_for

# Elementwise activations.
_ELEMENTWISE = (
    nn.ELU,
    nn.GELU,
    nn.Identity,
    nn.LeakyReLU,
    nn.ReLU,
    nn.Sigmoid,
    nn.SiLU,
    nn.Softplus,
    nn.Tanh,
)


def contraction(network: Any, rows: Tensor, codes: Tensor) -> Tensor:
    r"""Return the squared Frobenius norm of the encoder's Jacobian, mean over rows.

    For a single linear layer with an elementwise activation :math:`h`, it is
    exact,

    .. math:: \|J\|_F^2 = \sum_j h'(a_j)^2 \sum_i W_{ji}^2,

    with :math:`a` the layer's output before the activation. For any other encoder
    it is an unbiased estimate from one product with the Jacobian a row,

    .. math:: \|J\|_F^2 = \mathbb{E}\,\|J^\top v\|^2

    for :math:`v` of independent random signs (Hutchinson, 1990).

    Parameters
    ----------
    network : Network
        The network whose encoder is penalised.
    rows : Tensor of shape (n_samples, n_features)
        The encoder's input, with ``requires_grad``.
    codes : Tensor of shape (n_samples, code_size)
        The codes, computed from `rows`.

    Returns
    -------
    penalty : Tensor of shape ()
        The mean norm. Its gradient reaches the encoder's weights.

    Notes
    -----
    With batch normalisation in training, a code depends on all rows of the batch, and
    the norm is that of the derivatives by all of them. Signs are drawn from torch's
    global generator; for a network in evaluation mode they are always the same, so that
    its losses can be compared.

    References
    ----------
    Rifai, Vincent, Muller, Glorot and Bengio, "Contractive auto-encoders: explicit
    invariance during feature extraction", ICML 2011.
    Hutchinson, "A stochastic estimator of the trace of the influence matrix for
    Laplacian smoothing splines", Communications in Statistics 19, 1990.
    """
    layer, activations = _single_layer(network.encoder)
    if layer is not None:
        return _exact(network, layer, activations, rows)
    return _estimate(network, rows, codes)


def _exact(
    network: Any, layer: nn.Linear, activations: list[nn.Module], rows: Tensor
) -> Tensor:
    values = layer(network.encoder_input(rows))
    outputs = values
    for activation in activations:
        # A copy, as some activations work in place.
        outputs = activation(outputs.clone())
    if outputs is values:
        slopes = torch.ones_like(values)
    else:
        (slopes,) = torch.autograd.grad(outputs.sum(), values, create_graph=True)
    lengths = (layer.weight * network.input_scale).float().square().sum(dim=1)
    return (slopes.float().square() @ lengths).mean()


def _estimate(network: Any, rows: Tensor, codes: Tensor) -> Tensor:
    signs = torch.randint(
        2,
        codes.shape,
        generator=generator_for(network, codes.device),
        device=codes.device,
        dtype=codes.dtype,
    )
    (product,) = torch.autograd.grad(codes, rows, 2 * signs - 1, create_graph=True)
    return product.float().square().sum(dim=1).mean()


def _single_layer(encoder: nn.Module) -> tuple[nn.Linear | None, list[nn.Module]]:
    """Return the linear layer and activations of an encoder with no other layers."""
    modules = list(encoder) if isinstance(encoder, nn.Sequential) else [encoder]
    if not modules or not isinstance(modules[0], nn.Linear):
        return None, []
    if not all(isinstance(module, _ELEMENTWISE) for module in modules[1:]):
        return None, []
    return modules[0], modules[1:]
