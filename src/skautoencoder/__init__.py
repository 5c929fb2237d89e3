"""Autoencoders that behave like scikit-learn estimators."""

from skautoencoder.architectures import (
    Architecture,
    Conv,
    Custom,
    Dense,
    Network,
    VariationalNetwork,
)
from skautoencoder.conv_transformer import ConvAutoencoderTransformer
from skautoencoder.denoising import DenoisingAutoencoder
from skautoencoder.imputation import AutoencoderImputer
from skautoencoder.outliers import AutoencoderOutlierDetector
from skautoencoder.over_sampling import VAEOverSampler
from skautoencoder.transformers import AutoencoderTransformer
from skautoencoder.variational import VAESampler

__version__ = "0.1.0.dev0"

__all__ = [
    "Architecture",
    "AutoencoderImputer",
    "AutoencoderOutlierDetector",
    "AutoencoderTransformer",
    "Conv",
    "ConvAutoencoderTransformer",
    "Custom",
    "DenoisingAutoencoder",
    "Dense",
    "Network",
    "VAEOverSampler",
    "VAESampler",
    "VariationalNetwork",
    "__version__",
]
