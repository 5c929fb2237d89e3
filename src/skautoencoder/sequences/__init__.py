"""Outliers in long series."""

from skautoencoder.sequences.detector import SeriesOutlierDetector

__all__ = ["SeriesOutlierDetector"]
