"""Outlier detection with an autoencoder."""

from skautoencoder.outliers.detector import AutoencoderOutlierDetector

__all__ = ["AutoencoderOutlierDetector"]
