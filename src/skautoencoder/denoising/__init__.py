"""Denoising with an autoencoder."""

from skautoencoder.denoising.denoiser import DenoisingAutoencoder

__all__ = ["DenoisingAutoencoder"]
