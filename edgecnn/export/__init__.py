"""A Checkpoint to TFLite and ONNX files that explain themselves, checked after writing."""

from edgecnn.export.export import export

__all__ = ["export"]
