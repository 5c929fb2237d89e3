"""Autoencoders that behave like scikit-learn estimators."""

from skautoencoder.architectures import (
    Architecture,
    Conv,
    Conv1d,
    Custom,
    Dense,
    Network,
    Recurrent,
    VariationalNetwork,
)
from skautoencoder.channels import channels_first, channels_last
from skautoencoder.denoising import DenoisingAutoencoder
from skautoencoder.deployment import to_onnx
from skautoencoder.imputation import AutoencoderImputer
from skautoencoder.objectives import KL, L1, MMD, Contraction, Penalty, TopK
from skautoencoder.outliers import AutoencoderOutlierDetector
from skautoencoder.persistence import load, save
from skautoencoder.sampling import VAEOverSampler, VAESampler
from skautoencoder.sequences import SeriesOutlierDetector
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
    "Conv1d",
    "ConvAutoencoderTransformer",
    "Custom",
    "DenoisingAutoencoder",
    "Dense",
    "Network",
    "Penalty",
    "Recurrent",
    "SeriesOutlierDetector",
    "TopK",
    "VAEOverSampler",
    "VAESampler",
    "VariationalNetwork",
    "__version__",
    "channels_first",
    "channels_last",
    "load",
    "save",
    "to_onnx",
]
