"""An autoencoder that fills holes."""

from skautoencoder.imputation.imputer import AutoencoderImputer

__all__ = ["AutoencoderImputer"]
