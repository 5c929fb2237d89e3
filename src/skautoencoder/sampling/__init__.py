"""Variational autoencoders: new rows, and how likely rows are."""

from skautoencoder.sampling.over_sampler import VAEOverSampler
from skautoencoder.sampling.sampler import VAESampler

__all__ = ["VAEOverSampler", "VAESampler"]
