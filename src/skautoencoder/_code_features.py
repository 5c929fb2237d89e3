"""Codes as the features that a transformer puts out."""

from __future__ import annotations

from typing import Any

from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags


class CodeFeaturesMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Names and types of what `transform` returns where that is codes.

    The estimator has ``code_size_``.
    """

    @property
    def _n_features_out(self: Any) -> int:
        n_features_out: int = self.code_size_
        return n_features_out

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
