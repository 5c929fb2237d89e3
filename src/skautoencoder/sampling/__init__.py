"""Variational autoencoders: sampling of new rows, and log-likelihoods of rows."""

from skautoencoder.sampling.over_sampler import VAEOverSampler
from skautoencoder.sampling.sampler import VAESampler

__all__ = ["VAEOverSampler", "VAESampler"]
