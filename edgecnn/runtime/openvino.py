"""TFLite and ONNX files in OpenVINO, on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgecnn.core.errors import InputError, MissingExtra
from edgecnn.runtime import tflite
from edgecnn.runtime.engine import Port, Raw, contiguous, refused
from edgecnn.runtime.metadata import format_of, mapped


class OpenVino:
    """One file, open for inference on the CPU.

    In float32: its own choice on processors that have it is bfloat16, whose answers are others
    than the file's in every other runtime.
    """

    def __init__(self, path: Path, *, threads: int) -> None:
        try:
            import openvino
        except ImportError:
            raise MissingExtra("running files in OpenVINO", "openvino") from None
        self.version: str = openvino.__version__.partition("-")[0]
        scales = _scales(path)
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
        }
        try:
            core = openvino.Core()
            network = core.read_model(str(path))
            if len(network.inputs) != 1 or not network.outputs:
                raise InputError(
                    f"a model with {len(network.inputs)} inputs and {len(network.outputs)} outputs",
                    where=path,
                    fix="use one with a single image as input",
                )
            shape = _shape(network.input(0))
            if -1 in shape:
                network.reshape({network.input(0): [max(size, 1) for size in shape]})
            compiled = core.compile_model(network, "CPU", settings)
        except RuntimeError as error:
            raise refused("OpenVINO", error, where=path) from error
        self._path, self._tensor = path, openvino.Tensor
        self._request = compiled.create_infer_request()
        self.input = _port(compiled.input(0), shape, scales[0])
        self.output = _port(compiled.output(0), _shape(compiled.output(0)), scales[1])

    def invoke(self, tensor: Raw) -> Raw:
        """Return the file's first output for one image."""
        try:
            self._request.set_input_tensor(self._tensor(contiguous(tensor, self.input.dtype)))
            self._request.infer()
        except RuntimeError as error:
            raise refused("OpenVINO", error, where=self._path) from error
        result: Raw = self._request.get_output_tensor(0).data.copy()
        return result


def _scales(path: Path) -> tuple[tuple[float, int], tuple[float, int]]:
    """Return scale and zero point of input and output: OpenVINO keeps them to itself."""
    with mapped(path) as data:
        if format_of(data, where=path) != "tflite":
            return (1.0, 0), (1.0, 0)
        graph = tflite.read(data[:], where=path)
    ends = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    source, result = (
        (end.scales[0], end.zero_points[0]) if end.scales else (1.0, 0) for end in ends
    )
    return source, result


def _shape(node: Any) -> tuple[int, ...]:
    sizes = node.get_partial_shape()
    return tuple(-1 if size.is_dynamic else int(size.get_length()) for size in sizes)


def _port(node: Any, shape: tuple[int, ...], scale: tuple[float, int]) -> Port:
    dtype = node.get_element_type().to_dtype().name
    return Port(shape=shape, dtype=dtype, scale=scale[0], zero_point=scale[1])
