"""An autoencoder that finds outliers."""

from skautoencoder.outliers.detector import AutoencoderOutlierDetector

__all__ = ["AutoencoderOutlierDetector"]
