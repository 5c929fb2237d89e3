"""Autoencoders that behave like scikit-learn estimators."""

from skautoencoder.architectures import (
    Architecture,
    Conv,
    Custom,
    Dense,
    Network,
    VariationalNetwork,
)
from skautoencoder.denoising import DenoisingAutoencoder
from skautoencoder.imputation import AutoencoderImputer
from skautoencoder.outliers import AutoencoderOutlierDetector
from skautoencoder.sampling import VAEOverSampler, VAESampler
from skautoencoder.transformers import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
)

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
