"""Estimators in files that can hold no code."""

from skautoencoder.persistence.files import load, save
from skautoencoder.persistence.skops import SKOPS_TYPES

__all__ = ["SKOPS_TYPES", "load", "save"]
