"""Fitted estimators as ONNX models, which run without Python."""

from skautoencoder.deployment.onnx_export import to_onnx
from skautoencoder.deployment.skl2onnx_converters import register_converters

__all__ = ["register_converters", "to_onnx"]
