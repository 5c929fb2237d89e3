"""Imputation of missing values with an autoencoder."""

from skautoencoder.imputation.imputer import AutoencoderImputer

__all__ = ["AutoencoderImputer"]
