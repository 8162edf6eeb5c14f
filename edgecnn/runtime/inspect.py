"""What a model file is made of: layers, parameters, multiplications, memory, quantization."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecnn.core import receptive, schema
from edgecnn.core.artifact import Format
from edgecnn.core.errors import InputError
from edgecnn.core.layer import Layer
from edgecnn.core.receptive import Field
from edgecnn.runtime import arena, onnx, ort, tflite
from edgecnn.runtime.metadata import format_of, mapped, read_metadata
from edgecnn.runtime.operations import (
    elements,
    field_of,
    macs_of,
    parameters_of,
    window_of,
)
from edgecnn.runtime.tflite import Graph, Operator, Tensor

# Of an image in planes, [N, C, H, W]: no more channels than these come from a camera.
_CAMERA_CHANNELS = 4


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


def inspect(path: Path, *, shapes: Mapping[str, tuple[int, ...]] | None = None) -> dict[str, Any]:
    """Describe a ``.tflite``, ``.onnx`` or ``.ort`` file without running it.

    Args:
        path: The file.
        shapes: Sizes of an ONNX file's inputs that it leaves open, by name.

    Returns:
        The object that ``edgecnn inspect --json`` prints.

    Raises:
        InputError: no model file, a damaged one, or one whose tensors have no known size.
        MissingExtra: an ONNX file, and the onnx package is not installed.
    """
    metadata = read_metadata(path)
    kind, graph = _read(path, shapes or {})
    _require_sizes(graph, path)
    layers = _layers(graph)
    return {
        "path": str(path),
        "format": kind,
        "params": sum(layer.params for layer in layers),
        "macs": sum(layer.macs for layer in layers),
        "activation_peak_bytes": arena.peak_bytes(graph),
        "arena_bytes": arena.runtime_arena_bytes(graph) if kind == "tflite" else None,
        "bytes": graph.size,
        "receptive_field": list(layers[-1].receptive_field) if layers else [],
        "layers": schema.encode(layers),
        "inputs": [_port(graph.tensors[place]) for place in graph.inputs],
        "outputs": [_port(graph.tensors[place]) for place in graph.outputs],
        "opcodes": graph.opcodes,
        **dataclasses.asdict(precision(graph)),
        "description": graph.description,
        "metadata": schema.encode(metadata),
    }


def read_graph(path: Path) -> Graph:
    """Read the graph of a ``.tflite`` or ``.onnx`` file; see `inspect`."""
    return _read(path, {})[1]


def _read(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> tuple[Format, Graph]:
    with mapped(path) as data:
        kind = format_of(data, where=path)
        if kind == "onnx":
            return kind, onnx.read(data[:], where=path, shapes=shapes)
        if kind == "ort":
            return kind, read_ort(data[:], where=path, shapes=shapes)
        if shapes:
            raise InputError("fixed sizes", where=path, fix="leave out --shape")
        return kind, tflite.read(data[:], where=path)


def read_ort(
    data: bytes, *, where: Path, shapes: Mapping[str, tuple[int, ...]] | None = None
) -> Graph:
    """Parse a file in ONNX Runtime's format; see `edgecnn.runtime.onnx.read`."""
    graph = onnx.read(ort.as_onnx(data, where=where), where=where, shapes=shapes)
    return dataclasses.replace(graph, size=len(data))


def _require_sizes(graph: Graph, path: Path) -> None:
    """Refuse a graph that leaves sizes open: its figures would be those of nothing."""
    computed = [place for operator in graph.operators for place in operator.outputs]
    inputs = {*graph.inputs}
    for place in (*graph.inputs, *computed):
        tensor = graph.tensors[place]
        # The batch alone may be open: figures are those of one image.
        axis = next((i for i, size in enumerate(tensor.shape) if size < 0 < i), None)
        is_input = place in inputs
        if axis is None and (tensor.dtype != "unknown" or not tensor.name):
            continue
        if axis is None:
            what = "an unknown shape"
        else:
            symbol = tensor.symbols[axis] if tensor.symbols else ""
            named = f" ({symbol})" if symbol else ""
            what = f"an open size of dimension {axis}{named}"
        usual = ",".join("1" if size < 0 and i == 0 else "224" if size < 0 else str(size)
                         for i, size in enumerate(tensor.shape))  # fmt: skip
        give = f"say it, such as --shape {tensor.name}={usual or '1,3,224,224'}"
        raise InputError(
            f"{what} of {'input' if is_input else 'tensor'} {tensor.name!r}",
            where=path,
            fix=give if is_input else "export it again with fixed sizes",
        )


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


def _layers(graph: Graph) -> list[Layer]:
    stored, counted = _unpacked(graph), set[int]()
    fields = {place: _image(graph.tensors[place]) for place in graph.inputs}
    makers: dict[int, int] = {}
    layers: list[Layer] = []
    for operator in _computing(graph):
        read = [(fields[p], graph.tensors[p]) for p in operator.inputs if p in fields]
        field = field_of(graph, operator, read)
        sources = dict.fromkeys(
            makers.get(place, -1) for place in operator.inputs if place in fields
        )
        weights = [p for p in _weights(graph, operator, stored) if p not in counted]
        counted.update(weights)
        for place in operator.outputs:
            fields[place], makers[place] = field, len(layers)
        numbers = [graph.tensors[place] for place in weights]
        layers.append(_layer(graph, operator, numbers, (field, tuple(sources))))
    return layers


def _layer(
    graph: Graph, operator: Operator, weights: list[Tensor], place: tuple[Field, tuple[int, ...]]
) -> Layer:
    result = graph.tensors[operator.outputs[0]] if operator.outputs else None
    window = window_of(graph, operator)
    return Layer(
        name=result.name if result else "",
        op=operator.name,
        output_shape=result.shape if result else (),
        params=sum(elements(tensor) for tensor in weights),
        macs=macs_of(graph, operator),
        bytes=sum(tensor.bytes for tensor in weights),
        activation_bytes=sum(graph.tensors[output].bytes for output in operator.outputs),
        kernel=window.kernel if window else None,
        stride=window.stride if window else None,
        padding=window.padding if window else None,
        dilation=window.dilation if window and max(window.dilation) > 1 else None,
        receptive_field=receptive.sizes(place[0]),
        inputs=place[1],
    )


def _image(tensor: Tensor) -> Field:
    """Return the field of an input: its axes but for the batch's and the channels'."""
    rank = len(tensor.shape)
    in_planes = rank > 2 and tensor.shape[1] <= _CAMERA_CHANNELS < tensor.shape[-1]
    return receptive.of_image(range(2, rank) if in_planes else range(1, rank - 1))


def _weights(graph: Graph, operator: Operator, stored: dict[int, int]) -> list[int]:
    """Return the places of an operation's parameters, unpacked or not."""
    always = parameters_of(operator)
    places: dict[int, None] = {}
    for index, given in enumerate(operator.inputs):
        place = stored.get(given, given)
        if place >= 0 and _is_parameter(graph.tensors[place], expected=index in always):
            places[place] = None
    return list(places)


def _unpacked(graph: Graph) -> dict[int, int]:
    """Return the stored weights behind each tensor that only unpacks them (float16 files)."""
    return {
        operator.outputs[0]: operator.inputs[0]
        for step, operator in enumerate(graph.operators)
        if arena.is_unpacking(graph, step) and operator.inputs and operator.outputs
    }


def _is_parameter(tensor: Tensor, *, expected: bool) -> bool:
    # Whole numbers without a scale are shapes, axes and paddings; a single number is a
    # setting, unless a layer of one output has it for a bias.
    is_weight = tensor.dtype.startswith(("float", "bfloat")) or bool(tensor.scales)
    return tensor.is_constant and is_weight and (expected or elements(tensor) > 1)


def _port(tensor: Tensor) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "dtype": tensor.dtype,
        "shape": list(tensor.shape),
        "scale": tensor.scales[0] if tensor.scales else None,
        "zero_point": tensor.zero_points[0] if tensor.zero_points else None,
    }
