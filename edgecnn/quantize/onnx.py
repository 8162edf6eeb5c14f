"""A float32 ONNX file to a full-integer QDQ one.

Weights become uint8 with zero point 128, per channel; activations uint8, per tensor.
Unsigned weights are right on every CPU: kernels for signed ones saturate on x86 without
VNNI. One zero point for all channels, dead ones too: mixed ones fall onto a slow path.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from edgecnn.core.artifact import Io
from edgecnn.core.errors import InputError
from edgecnn.quantize.correction import mean_taps, same_padding
from edgecnn.quantize.grid import (
    PROBABILITY,
    Grid,
    activation_grid,
    round_bias,
    round_weights,
    weight_scales,
)
from edgecnn.quantize.observe import Observer

Array: TypeAlias = npt.NDArray[Any]

# Operations that ONNX Runtime computes in integers between QuantizeLinear nodes.
_KNOWN = {
    "Add", "AveragePool", "Clip", "Concat", "Conv", "Flatten", "Gemm", "GlobalAveragePool",
    "MatMul", "MaxPool", "Mul", "Pad", "Relu", "Reshape", "Sigmoid", "Softmax", "Squeeze",
    "Transpose", "Unsqueeze",
}  # fmt: skip
_SAME_GRID = {"Flatten", "MaxPool", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
_FIXED_GRID = {"Sigmoid": PROBABILITY, "Softmax": PROBABILITY}
_IO_TYPES = {"uint8": TensorProto.UINT8, "int8": TensorProto.INT8, "float32": TensorProto.FLOAT}
_UNSIGNED = 128


def observe(float_file: bytes, inputs: Iterable[Array], *, threads: int = 2) -> Observer:
    """Run photos through the float file and watch all its activations.

    Args:
        float_file: A float32 ONNX file with one input.
        inputs: [1, H, W, C] float32 each, as the file's input wants them.
        threads: Threads of the runtime.
    """
    model = onnx.load_from_string(float_file)
    image = model.graph.input[0].name
    names = [output for node in model.graph.node for output in node.output]
    final = {value.name for value in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names if n not in final)
    session = _session(model.SerializeToString(), threads=threads)
    observer = Observer()
    for value in inputs:
        values = dict(zip(names, session.run(names, {image: value}), strict=True))
        observer.add({image: value, **values})
    return observer


def quantize(
    float_file: bytes, observer: Observer, *, input_grid: Grid, input_shift: float, io: Io
) -> bytes:
    """Return the full-integer file; the arguments are those of `edgecnn.quantize.tflite`.

    Raises:
        InputError: an operation without an integer form; it is named.
    """
    model = onnx.load_from_string(float_file)
    for node in model.graph.node:
        if node.op_type not in _KNOWN:
            raise InputError(
                f"operation {node.op_type} has no integer form here",
                where=f"layer {node.name}",
                fix="export with --float32 instead of --int8",
            )
    _merge_dense_bias(model.graph)
    _drop_saturated_activations(model.graph)
    writer = _Writer(model.graph, observer, input_grid, input_shift)
    writer.write(io)
    model.ir_version = min(model.ir_version, 10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def plain_agreement(
    quantized_file: bytes, inputs: Iterable[Array], *, threads: int = 2
) -> tuple[float, float]:
    """Compare optimized with plain execution, which computes in float between roundings.

    The optimized integer kernels of some CPUs saturate on some files.

    Args:
        quantized_file: The QDQ file.
        inputs: The file's own inputs, one photo each.
        threads: Threads of the runtime.

    Returns:
        Share of photos with the same answer, 0..1, and the mean absolute difference of the
        scores in output steps.
    """
    level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    fast = _session(quantized_file, threads=threads)
    plain = _session(quantized_file, threads=threads, level=level)
    name = fast.get_inputs()[0].name
    same, distance = [], []
    for value in inputs:
        a, b = (s.run(None, {name: value})[0].astype(np.float32) for s in (fast, plain))
        same.append(a.argmax() == b.argmax())
        distance.append(np.abs(a - b).mean())
    return float(np.mean(same)), float(np.mean(distance))


def float16(float_file: bytes) -> bytes:
    """Store large weights as float16; a Cast brings them back when the file is loaded."""
    model = onnx.load_from_string(float_file)
    for tensor in [t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT]:
        values = numpy_helper.to_array(tensor)
        if values.ndim < 2:
            continue
        stored = numpy_helper.from_array(values.astype(np.float16), f"{tensor.name}/float16")
        model.graph.initializer.remove(tensor)
        model.graph.initializer.append(stored)
        cast = helper.make_node("Cast", [stored.name], [tensor.name], to=TensorProto.FLOAT)
        model.graph.node.insert(0, cast)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _session(model: bytes, *, threads: int, level: Any = None) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    if level is not None:
        options.graph_optimization_level = level
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _merge_dense_bias(graph: Any) -> None:
    """Turn MatMul and its Add into one Gemm: the form that has an integer kernel."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in [n for n in graph.node if n.op_type == "MatMul"]:
        if node.input[1] not in constants or len(constants[node.input[1]].dims) != 2:
            continue
        node.op_type = "Gemm"
        readers = [n for n in graph.node if node.output[0] in n.input]
        if len(readers) != 1 or readers[0].op_type != "Add":
            continue
        other = next((i for i in readers[0].input if i != node.output[0]), "")
        if other in constants and len(constants[other].dims) == 1:
            node.input.append(other)
            node.output[0] = readers[0].output[0]
            graph.node.remove(readers[0])


def _drop_saturated_activations(graph: Any) -> None:
    """Remove ReLU and ReLU6 behind a layer: the output's grid ends where they clip."""
    producers = {output: node for node in graph.node for output in node.output}
    for node in [n for n in graph.node if n.op_type in ("Clip", "Relu")]:
        source = producers.get(node.input[0])
        readers = [n for n in graph.node if node.input[0] in n.input]
        if source is not None and source.op_type in ("Conv", "Gemm", "Add") and len(readers) == 1:
            source.output[0] = node.output[0]
            graph.node.remove(node)


@dataclasses.dataclass
class _Writer:
    """Rebuilds a graph with QuantizeLinear and DequantizeLinear around everything."""

    graph: Any
    observer: Observer
    input_grid: Grid
    input_shift: float

    def __post_init__(self) -> None:
        self.constants = {tensor.name: tensor for tensor in self.graph.initializer}
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}
        self.image = self.graph.input[0].name
        self.pixels = {self.image}  # tensors that are the input itself, perhaps transposed
        for node in self.graph.node:
            if node.op_type == "Transpose" and node.input[0] in self.pixels:
                self.pixels.add(node.output[0])
        self.grids = self._plan()

    def write(self, io: Io) -> None:
        self._enter(io)
        for node in list(self.graph.node):
            if node.output[0] in self.pixels:
                continue
            if node.op_type in ("Conv", "Gemm"):
                self._quantize_layer(node)
            else:
                self._keep_constants(node)
            for index, name in enumerate(node.input):
                if name in self.grids:
                    node.input[index] = f"{name}/real"
            self.nodes.append(node)
            self._round_trip(node.output[0])
        self._leave(io)
        del self.graph.node[:], self.graph.initializer[:], self.graph.value_info[:]
        self.graph.node.extend(self.nodes)
        self.graph.initializer.extend(self.initializers.values())

    def _plan(self) -> dict[str, Grid]:
        """Choose each activation's grid; tensors that must share one take the producer's."""
        grids = dict.fromkeys(self.pixels, self.input_grid)
        for node in self.graph.node:
            name = node.output[0]
            if name in grids:
                continue
            seen = self.observer.tensors[name]
            grid = _FIXED_GRID.get(node.op_type) or activation_grid(seen.low, seen.high)
            if node.op_type in _SAME_GRID:
                grid = grids[node.input[0]]
            grids[name] = grid
        return grids

    def _enter(self, io: Io) -> None:
        """Bring the file's input to dequantized pixels, the transpose on bytes first."""
        self.graph.input[0].type.tensor_type.elem_type = _IO_TYPES[io]
        name, readers = self.image, [n for n in self.graph.node if n.output[0] in self.pixels]
        if io == "float32":
            self._quantize_linear(name, f"{name}/bytes", self.input_grid)
            name = f"{name}/bytes"
        elif io == "int8":
            self._dequantize_linear(name, f"{name}/float", self.input_grid, signed=True)
            self._quantize_linear(f"{name}/float", f"{name}/bytes", self.input_grid)
            name = f"{name}/bytes"
        for node in readers:
            node.input[0] = name if node.input[0] == self.image else f"{node.input[0]}/bytes"
            outer = node.output[0]
            node.output[0] = f"{outer}/bytes"
            self.nodes.append(node)
            self._dequantize_linear(node.output[0], f"{outer}/real", self.input_grid)
            self.pixels.add(node.output[0])
        if not readers:
            self._dequantize_linear(name, f"{self.image}/real", self.input_grid)

    def _leave(self, io: Io) -> None:
        """Let the file's output be what the caller asked for."""
        output = self.graph.output[0]
        output.type.tensor_type.elem_type = _IO_TYPES[io]
        inner = {"uint8": "integers", "float32": "real", "int8": "int8"}[io]
        if io == "int8":
            grid = self.grids[output.name]
            source = f"{output.name}/real"
            self._quantize_linear(source, f"{output.name}/int8", grid, signed=True)
        else:
            unused = {"uint8": "real", "float32": ""}[io]
            self.nodes = [n for n in self.nodes if n.output[0] != f"{output.name}/{unused}"]
        for node in self.nodes:
            for names in (node.input, node.output):
                for index, name in enumerate(names):
                    if name == f"{output.name}/{inner}":
                        names[index] = output.name

    def _round_trip(self, name: str) -> None:
        self._quantize_linear(name, f"{name}/integers", self.grids[name])
        # The plain name is the float value before rounding; the file's output takes it over.
        if name == self.graph.output[0].name:
            self.nodes[-2].output[0] = self.nodes[-1].input[0] = f"{name}/float"
        self._dequantize_linear(f"{name}/integers", f"{name}/real", self.grids[name])

    def _quantize_linear(
        self, source: str, target: str, grid: Grid, *, signed: bool = False
    ) -> None:
        names = self._grid_names(grid, signed)
        self.nodes.append(helper.make_node("QuantizeLinear", [source, *names], [target], target))

    def _dequantize_linear(
        self, source: str, target: str, grid: Grid, *, signed: bool = False
    ) -> None:
        names = self._grid_names(grid, signed)
        self.nodes.append(helper.make_node("DequantizeLinear", [source, *names], [target], target))

    def _grid_names(self, grid: Grid, signed: bool) -> tuple[str, str]:
        point = np.array(
            grid.zero_point if signed else grid.unsigned_zero_point, np.int8 if signed else np.uint8
        )
        scale_name, point_name = f"scale_{grid.scale!r}", f"zero_{point.dtype}_{point}"
        self._add(scale_name, np.array(grid.scale, np.float32))
        self._add(point_name, point)
        return scale_name, point_name

    def _add(self, name: str, values: Array) -> None:
        if name not in self.initializers:
            self.initializers[name] = numpy_helper.from_array(values, name)

    def _keep_constants(self, node: Any) -> None:
        """Keep constants that steer (shapes, bounds); quantize those that are operands."""
        for index, name in enumerate(node.input):
            tensor = self.constants.get(name)
            if tensor is None:
                continue
            if node.op_type not in ("Add", "Mul", "Concat"):
                self.initializers[name] = tensor
                continue
            values = numpy_helper.to_array(tensor)
            grid = activation_grid(float(values.min()), float(values.max()))
            point = grid.unsigned_zero_point
            integers = np.rint(values / grid.scale + point).clip(0, 255).astype(np.uint8)
            self._add(f"{name}/integers", integers)
            self._dequantize_linear(f"{name}/integers", f"{node.name}/{name}", grid)
            node.input[index] = f"{node.name}/{name}"

    def _quantize_layer(self, node: Any) -> None:
        weights = numpy_helper.to_array(self.constants[node.input[1]]).astype(np.float64)
        axis = 1 if node.op_type == "Gemm" and not _attribute(node, "transB", 0) else 0
        channels = weights.shape[axis]
        bias = np.zeros(channels)
        if len(node.input) > 2:
            bias = numpy_helper.to_array(self.constants[node.input[2]]).astype(np.float64)
        shift = self.input_shift if node.input[0] in self.pixels else 0.0
        others = tuple(i for i in range(weights.ndim) if i != axis)
        bias = bias - shift * weights.sum(axis=others)
        input_grid = self.grids[node.input[0]]
        scales = weight_scales(weights, bias, input_grid.scale, axis)
        integers = round_weights(weights, scales, axis)
        shape = [-1 if i == axis else 1 for i in range(weights.ndim)]
        error = integers * scales.astype(np.float64).reshape(shape) - weights
        mean = self.observer.tensors[node.input[0]].mean + shift
        bias = bias - _expected(node, error, mean)
        unsigned = (integers.astype(np.int16) + _UNSIGNED).astype(np.uint8)
        points = np.full(channels, _UNSIGNED, np.uint8)
        self._constant(node, 1, unsigned, scales, points, axis)
        bias_scales = (input_grid.scale * scales.astype(np.float64)).astype(np.float32)
        whole = round_bias(bias, input_grid.scale, scales)
        self._constant(node, 2, whole, bias_scales, np.zeros(channels, np.int32), 0)

    def _constant(
        self, node: Any, position: int, values: Array, scales: Array, points: Array, axis: int
    ) -> None:
        base = f"{node.output[0]}/{'weights' if position == 1 else 'bias'}"
        parts = [f"{base}/{part}" for part in ("integers", "scales", "zero_points")]
        for part, array in zip(parts, (values, scales, points), strict=True):
            self._add(part, array)
        self.nodes.append(helper.make_node("DequantizeLinear", parts, [base], base, axis=axis))
        if position == len(node.input):
            node.input.append(base)
        else:
            node.input[position] = base


def _expected(node: Any, error: Array, mean: Array) -> Array:
    """Return each output channel's mean shift by an error of the weights."""
    if node.op_type == "Gemm":
        if _attribute(node, "transB", 0):
            error = error.T
        return np.asarray(mean.reshape(-1, error.shape[0]).mean(axis=0) @ error)
    kernel = (error.shape[2], error.shape[3])
    stride = tuple(_attribute(node, "strides", (1, 1)))
    dilation = tuple(_attribute(node, "dilations", (1, 1)))
    padding = tuple(_attribute(node, "pads", (0, 0, 0, 0)))
    if _attribute(node, "auto_pad", b"NOTSET") == b"SAME_UPPER":
        padding = same_padding(mean.shape[2:], kernel, stride, dilation)
    taps = mean_taps(
        mean[0].transpose(1, 2, 0), kernel=kernel, stride=stride, dilation=dilation, padding=padding
    )
    groups = _attribute(node, "group", 1)
    per_group = error.reshape(groups, -1, *error.shape[1:])
    taps = taps.reshape(*kernel, groups, error.shape[1])
    return np.einsum("goiyx,yxgi->go", per_group, taps).reshape(-1)


def _attribute(node: Any, name: str, default: Any) -> Any:
    found = next((a for a in node.attribute if a.name == name), None)
    return default if found is None else helper.get_attribute_value(found)
