"""An autoencoder that takes noise away."""

from skautoencoder.denoising.denoiser import DenoisingAutoencoder

__all__ = ["DenoisingAutoencoder"]
