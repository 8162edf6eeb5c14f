"""A Checkpoint to TFLite and ONNX files that explain themselves, checked after writing."""

from edgecnn.export.export import export
from edgecnn.export.options import Options

__all__ = ["Options", "export"]
