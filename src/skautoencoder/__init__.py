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
from skautoencoder.objectives import KL, L1, MMD, Contraction, Penalty, TopK
from skautoencoder.outliers import AutoencoderOutlierDetector
from skautoencoder.sampling import VAEOverSampler, VAESampler
from skautoencoder.transformers import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
)

__version__ = "0.1.0.dev0"

__all__ = [
    "KL",
    "L1",
    "MMD",
    "Architecture",
    "AutoencoderImputer",
    "AutoencoderOutlierDetector",
    "AutoencoderTransformer",
    "Contraction",
    "Conv",
    "ConvAutoencoderTransformer",
    "Custom",
    "DenoisingAutoencoder",
    "Dense",
    "Network",
    "Penalty",
    "TopK",
    "VAEOverSampler",
    "VAESampler",
    "VariationalNetwork",
    "__version__",
]
