"""Autoencoders that behave like scikit-learn estimators."""

from skautoencoder.denoising import DenoisingAutoencoder
from skautoencoder.transformers import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
)

__version__ = "0.1.0.dev0"

__all__ = [
    "AutoencoderTransformer",
    "ConvAutoencoderTransformer",
    "DenoisingAutoencoder",
    "__version__",
]
