"""What a model file is made of: layers, parameters, multiplications, memory, quantization."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

from edgecnn.core import schema
from edgecnn.core.artifact import Format
from edgecnn.runtime import arena, onnx, tflite
from edgecnn.runtime.metadata import format_of, mapped, read_metadata
from edgecnn.runtime.tflite import Graph, Operator, Tensor

# Operations that multiply an input by weights -> the place of the weights among their inputs.
_MULTIPLYING = {
    "CONV_2D": 1,
    "DEPTHWISE_CONV_2D": 1,
    "FULLY_CONNECTED": 1,
    "TRANSPOSE_CONV": 1,
    "Conv": 1,
    "Gemm": 1,
    "MatMul": 1,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Precision:
    """How many operations compute in which numbers.

    Attributes:
        int8_ops: All activations at both ends are integers.
        float_ops: Some activation is a float.
        hybrid_ops: Those of float_ops that read integer weights (dynamic range).
    """

    int8_ops: int
    float_ops: int
    hybrid_ops: int


def inspect(path: Path) -> dict[str, Any]:
    """Describe a ``.tflite`` or ``.onnx`` file without running it.

    Returns:
        The object that ``edgecnn inspect --json`` prints.

    Raises:
        InputError: no model file, or a damaged one.
        MissingExtra: an ONNX file, and the onnx package is not installed.
    """
    metadata = read_metadata(path)
    kind, graph = _read(path)
    layers = _layers(graph)
    return {
        "path": str(path),
        "format": kind,
        "params": sum(layer["params"] for layer in layers),
        "macs": sum(layer["macs"] for layer in layers),
        "activation_peak_bytes": arena.peak_bytes(graph),
        "arena_bytes": arena.planned_arena_bytes(graph) if kind == "tflite" else None,
        "bytes": graph.size,
        "layers": layers,
        "inputs": [_port(graph.tensors[place]) for place in graph.inputs],
        "outputs": [_port(graph.tensors[place]) for place in graph.outputs],
        "opcodes": graph.opcodes,
        **dataclasses.asdict(precision(graph)),
        "description": graph.description,
        "metadata": schema.encode(metadata),
    }


def read_graph(path: Path) -> Graph:
    """Read the graph of a ``.tflite`` or ``.onnx`` file; see `inspect`."""
    return _read(path)[1]


def _read(path: Path) -> tuple[Format, Graph]:
    with mapped(path) as data:
        kind = format_of(data, where=path)
        reader = tflite.read if kind == "tflite" else onnx.read
        return kind, reader(data[:], where=path)


def precision(graph: Graph) -> Precision:
    """Count the operations by what they compute in; unpacking of stored weights is none."""
    integer = mixed = hybrid = 0
    for operator in _computing(graph):
        tensors = [graph.tensors[p] for p in (*operator.inputs, *operator.outputs) if p >= 0]
        if not any(t.dtype.startswith(("float", "bfloat")) for t in tensors if not t.is_constant):
            integer += 1
            continue
        mixed += 1
        hybrid += any(t.is_constant and t.scales for t in tensors)
    return Precision(int8_ops=integer, float_ops=mixed, hybrid_ops=hybrid)


def _computing(graph: Graph) -> list[Operator]:
    return [o for step, o in enumerate(graph.operators) if not arena.is_unpacking(graph, step)]


def _layers(graph: Graph) -> list[dict[str, Any]]:
    stored = _unpacked(graph)
    counted: set[int] = set()
    layers = []
    for operator in _computing(graph):
        places = [stored.get(place, place) for place in operator.inputs if place >= 0]
        weights = [p for p in dict.fromkeys(places) if _is_parameter(graph.tensors[p])]
        new = [graph.tensors[place] for place in weights if place not in counted]
        counted.update(weights)
        result = graph.tensors[operator.outputs[0]] if operator.outputs else None
        layers.append(
            {
                "name": result.name if result else "",
                "op": operator.name,
                "output_shape": list(result.shape) if result else [],
                "params": sum(_elements(tensor) for tensor in new),
                "macs": _macs(graph, operator),
                "bytes": sum(tensor.bytes for tensor in new),
            }
        )
    return layers


def _unpacked(graph: Graph) -> dict[int, int]:
    """Return the stored weights behind each tensor that only unpacks them (float16 files)."""
    return {
        operator.outputs[0]: operator.inputs[0]
        for step, operator in enumerate(graph.operators)
        if arena.is_unpacking(graph, step) and operator.inputs and operator.outputs
    }


def _is_parameter(tensor: Tensor) -> bool:
    # Whole numbers without a scale are shapes, axes and paddings; a single number is a setting.
    is_weight = tensor.dtype.startswith(("float", "bfloat")) or bool(tensor.scales)
    return tensor.is_constant and is_weight and _elements(tensor) > 1


def _macs(graph: Graph, operator: Operator) -> int:
    place = _MULTIPLYING.get(operator.name, len(operator.inputs))
    if place >= len(operator.inputs) or not operator.outputs or operator.inputs[place] < 0:
        return 0
    weights = graph.tensors[operator.inputs[place]]
    # A transposed convolution spreads each value of its input; the others gather their output.
    spreads = operator.name == "TRANSPOSE_CONV" and len(operator.inputs) > 2
    values = graph.tensors[operator.inputs[2] if spreads else operator.outputs[0]]
    channels = values.shape[1 if operator.name == "Conv" else -1] if len(values.shape) > 1 else 0
    return _elements(values) * _elements(weights) // channels if channels > 0 else 0


def _elements(tensor: Tensor) -> int:
    return math.prod(map(abs, tensor.shape))


def _port(tensor: Tensor) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "dtype": tensor.dtype,
        "shape": list(tensor.shape),
        "scale": tensor.scales[0] if tensor.scales else None,
        "zero_point": tensor.zero_points[0] if tensor.zero_points else None,
    }
