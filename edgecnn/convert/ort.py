"""ONNX bytes to ONNX Runtime's own format, which its small builds for devices read."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnxruntime

# The one optimization whose result only the CPU that made it can run: it lays convolutions
# out in blocks as wide as that CPU's vectors. ONNX Runtime's own converter leaves it out
# too where it is told that the device is another one.
_OF_THIS_CPU = ["NchwcTransformer"]
_SILENT = 4


def from_onnx(model: bytes) -> bytes:
    """Return the optimized graph in the ORT format, to be run on any CPU.

    Bytes differ from one conversion to the next: the runtime writes names in no fixed order.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    options.add_session_config_entry("session.save_model_format", "ORT")
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        path = Path(folder) / "model.ort"
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(
            model,
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=_OF_THIS_CPU,
        )
        return path.read_bytes()
