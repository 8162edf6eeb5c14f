"""ONNX files in ONNX Runtime, on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgecnn.core.errors import InputError, MissingExtra
from edgecnn.runtime.engine import Port, Raw, contiguous, refused

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
}
_SILENT = 4  # only what is fatal; each failure comes as an exception too


class OnnxRuntime:
    """One ONNX file, open for inference on the CPU."""

    def __init__(self, path: Path, *, threads: int) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise MissingExtra("running ONNX files", "onnx") from None
        self.version: str = onnxruntime.__version__
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _SILENT
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        try:
            session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        # Its errors have no common base but Exception.
        except Exception as error:
            raise refused("ONNX Runtime", error, where=path) from error
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if len(inputs) != 1 or not outputs:
            raise InputError(
                f"a model with {len(inputs)} inputs and {len(outputs)} outputs",
                where=path,
                fix="use one with a single image as input",
            )
        self._path = path
        self._session = session
        self._names = inputs[0].name, outputs[0].name
        self.input, self.output = _port(inputs[0]), _port(outputs[0])

    def invoke(self, tensor: Raw) -> Raw:
        """Return the file's first output for one image."""
        read, write = self._names
        try:
            feed = {read: contiguous(tensor, self.input.dtype)}
            result: Raw = self._session.run([write], feed)[0]
        except Exception as error:
            raise refused("ONNX Runtime", error, where=self._path) from error
        return result


def _port(node: Any) -> Port:
    shape = tuple(axis if isinstance(axis, int) else -1 for axis in node.shape)
    return Port(shape=shape, dtype=_DTYPES.get(node.type, node.type))
