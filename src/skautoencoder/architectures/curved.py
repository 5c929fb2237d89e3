"""Linear codes, and a decoder that bends the plane onto which PCA projects."""

from __future__ import annotations

import math
from numbers import Integral

from sklearn.utils._param_validation import Interval
from torch import nn

from skautoencoder.architectures._architecture import (
    Architecture,
    require_code_size,
)
from skautoencoder.architectures._curved_decoder import CurvedDecoder
from skautoencoder.architectures._layers import linear


class Curved(Architecture):
    """A single linear layer as the encoder, and a :class:`CurvedDecoder`.

    Parameters
    ----------
    n_hidden_units : int, default=1024
        Number of the decoder's hidden units.
    has_limits : bool, default=False
        Whether the decoder is affine beyond the codes of training.
    """

    _parameter_constraints = {
        "n_hidden_units": [Interval(Integral, 1, None, closed="left")],
        "has_limits": ["boolean"],
    }
    output_activation = "identity"

    def __init__(self, n_hidden_units: int = 1024, has_limits: bool = False) -> None:
        self.n_hidden_units = n_hidden_units
        self.has_limits = has_limits

    def _build_encoder_decoder(
        self, sample_shape: tuple[int, ...], code_size: int | None, code_activation: str
    ) -> tuple[nn.Module, nn.Module]:
        code_size = require_code_size(code_size, self)
        n_features = math.prod(sample_shape)
        encoder = nn.Sequential(linear(n_features, code_size))
        decoder = CurvedDecoder(
            code_size, self.n_hidden_units, n_features, has_limits=self.has_limits
        )
        return encoder, decoder
