"""Autoencoders that behave like scikit-learn estimators."""

from skautoencoder.outliers import AutoencoderOutlierDetector
from skautoencoder.transformers import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
)

__version__ = "0.1.0.dev0"

__all__ = [
    "AutoencoderOutlierDetector",
    "AutoencoderTransformer",
    "ConvAutoencoderTransformer",
    "__version__",
]
