"""A Checkpoint to TFLite and ONNX files that explain themselves, checked after writing."""

from edgecnn.export.export import Options, export

__all__ = ["Options", "export"]
