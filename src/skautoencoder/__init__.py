"""Autoencoders that behave like scikit-learn estimators."""

from skautoencoder.imputation import AutoencoderImputer
from skautoencoder.transformers import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
)

__version__ = "0.1.0.dev0"

__all__ = [
    "AutoencoderImputer",
    "AutoencoderTransformer",
    "ConvAutoencoderTransformer",
    "__version__",
]
