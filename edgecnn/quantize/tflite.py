"""A float32 TFLite file to a full-integer one, by rewriting its flatbuffer.

Weights become int8, symmetric, per channel (convolutions) or per tensor (dense layers:
per-channel ones need a runtime newer than many boards have); activations int8,
asymmetric, per tensor; biases int32. Operations keep their order, so that a file costs
what its float twin does in structure, and nothing stays float in between.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgecnn.core.artifact import Io
from edgecnn.core.errors import InputError
from edgecnn.core.quiet import quiet_stderr
from edgecnn.quantize.correction import mean_taps, same_padding
from edgecnn.quantize.grid import (
    PROBABILITY,
    Grid,
    activation_grid,
    round_bias,
    round_weights,
    weight_scales,
)
from edgecnn.quantize.observe import Observed, Observer
from edgecnn.quantize.tflite_graph import (
    activations,
    constant,
    drop_unused,
    give_buffer,
    is_constant,
    name_of,
    new_operator,
    operation,
    pack,
    read,
)

Array: TypeAlias = npt.NDArray[Any]

# Operation to its version for int8: TensorFlow 2.21, lite/tools/versioning/op_version.cc.
_VERSIONS = {
    "ADD": 2,
    "AVERAGE_POOL_2D": 2,
    "CONCATENATION": 2,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "DEQUANTIZE": 2,
    "FULLY_CONNECTED": 4,
    "LOGISTIC": 2,
    "MAX_POOL_2D": 2,
    "MEAN": 2,
    "MUL": 2,
    "PAD": 2,
    "QUANTIZE": 1,
    "RELU": 2,
    "RELU6": 2,
    "RESHAPE": 1,
    "SOFTMAX": 2,
    "SQUEEZE": 1,
    "SUB": 2,
}
# The channels' axis of each weighted operation's weights; None is one scale for all.
_WEIGHTED: dict[str, int | None] = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": None}
# The kernels of these move or pool integers as they are: one grid for input and output.
_SAME_GRID = {"AVERAGE_POOL_2D", "CONCATENATION", "MAX_POOL_2D", "PAD", "RESHAPE", "SQUEEZE"}
_FIXED_GRID = {"LOGISTIC": PROBABILITY, "SOFTMAX": PROBABILITY}
_IO_TYPES = {
    "uint8": schema.TensorType.UINT8,
    "int8": schema.TensorType.INT8,
    "float32": schema.TensorType.FLOAT32,
}


def observe(float_file: bytes, inputs: Iterable[Array], *, threads: int = 2) -> Observer:
    """Run photos through the float file and watch all its activations.

    Every activation is made an output, so that the fast kernels compute all of them.

    Args:
        float_file: A float32 TFLite file with one input.
        inputs: [1, H, W, C] float32 each, as the file's input wants them.
        threads: Threads of the runtime.
    """
    model = read(float_file)
    graph = model.subgraphs[0]
    watched = list(activations(model))
    graph.outputs = np.asarray([i for i in watched if i not in set(graph.inputs)], np.int32)
    with quiet_stderr():  # the runtime announces its delegate there
        interpreter = Interpreter(model_content=pack(model), num_threads=threads)
        interpreter.allocate_tensors()
    observer = Observer()
    for value in inputs:
        interpreter.set_tensor(int(graph.inputs[0]), value)
        interpreter.invoke()
        observer.add({name_of(graph.tensors[i]): interpreter.get_tensor(i) for i in watched})
    return observer


def quantize(
    float_file: bytes, observer: Observer, *, input_grid: Grid, input_shift: float, io: Io
) -> bytes:
    """Return the full-integer file.

    Args:
        float_file: The float32 file that was observed.
        observer: What `observe` saw.
        input_grid: The input's grid; not observed but known, so that raw pixels fit it.
        input_shift: What the grid's real values exceed the true ones by (half a pixel
            step where the true zero point is no integer); the first layer's bias takes it
            up, exactly but for the zero padding at the border.
        io: Type of the file's input and output.

    Raises:
        InputError: an operation without an integer form; it is named.
    """
    model = read(float_file)
    graph = model.subgraphs[0]
    _refuse_unknown(model)
    grids = _plan(model, observer.tensors, input_grid)
    for operator in graph.operators:
        name = operation(model, operator)
        if name in _WEIGHTED:
            layer = _Layer(model, operator, name)
            observed = observer.tensors[name_of(graph.tensors[operator.inputs[0]])]
            shift = input_shift if operator.inputs[0] == graph.inputs[0] else 0.0
            layer.quantize(grids[operator.inputs[0]], observed, shift)
        else:
            _quantize_constants(model, operator)
    for index, grid in grids.items():
        _set_grid(graph.tensors[index], grid)
    _adapt_io(model, io, grids)
    for operator in graph.operators:
        model.operatorCodes[operator.opcodeIndex].version = _VERSIONS[operation(model, operator)]
    drop_unused(model)
    return pack(model)


def _refuse_unknown(model: Any) -> None:
    for operator in model.subgraphs[0].operators:
        name = operation(model, operator)
        if name not in _VERSIONS:
            output = name_of(model.subgraphs[0].tensors[operator.outputs[0]])
            raise InputError(
                f"operation {name} has no integer form here",
                where=f"layer {output}",
                fix="export with --float16 or --dynamic instead of --int8",
            )


def _plan(model: Any, observed: dict[str, Observed], input_grid: Grid) -> dict[int, Grid]:
    """Choose each activation's grid; tensors that must share one share the union's range."""
    graph = model.subgraphs[0]
    fixed = {int(graph.inputs[0]): input_grid}
    for operator in graph.operators:
        if (name := operation(model, operator)) in _FIXED_GRID:
            fixed[int(operator.outputs[0])] = _FIXED_GRID[name]
    grids = {}
    for members in _sharing(model):
        seen = [observed[name_of(graph.tensors[i])] for i in members]
        known = next((fixed[i] for i in members if i in fixed), None)
        grid = known or activation_grid(min(s.low for s in seen), max(s.high for s in seen))
        grids.update(dict.fromkeys(members, grid))
    return grids


def _sharing(model: Any) -> list[set[int]]:
    """Return the groups of activations that must have one grid; most groups are single."""
    groups = {index: {index} for index in activations(model)}
    for operator in model.subgraphs[0].operators:
        if operation(model, operator) not in _SAME_GRID:
            continue
        for index in (int(i) for i in operator.inputs if int(i) in groups):
            merged = groups[index] | groups[int(operator.outputs[0])]
            groups.update(dict.fromkeys(merged, merged))
    return list({id(group): group for group in groups.values()}.values())


@dataclasses.dataclass(frozen=True)
class _Layer:
    """One operation with weights, about to become integer."""

    model: Any
    operator: Any
    name: str

    def quantize(self, input_grid: Grid, observed: Observed, input_shift: float) -> None:
        graph = self.model.subgraphs[0]
        weights_tensor = graph.tensors[self.operator.inputs[1]]
        weights = constant(self.model, weights_tensor, np.float32)
        bias = self._bias() - input_shift * self._sum_channels(weights)
        axis = _WEIGHTED[self.name]
        scales = weight_scales(
            weights if axis is not None else weights.reshape(1, -1),
            bias if axis is not None else None,
            input_grid.scale,
            axis or 0,
        )
        integers = round_weights(weights, scales, axis or 0)
        error = integers * _spread(scales, weights.ndim, axis) - weights
        bias = bias - self._expected(error, observed.mean + input_shift)
        self._replace(1, integers, schema.TensorType.INT8, scales, axis or 0)
        bias_scales = (input_grid.scale * scales.astype(np.float64)).astype(np.float32)
        whole = round_bias(bias, input_grid.scale, scales)
        self._replace(2, whole, schema.TensorType.INT32, bias_scales, 0)

    def _bias(self) -> Array:
        index = self.operator.inputs[2] if len(self.operator.inputs) > 2 else -1
        if index >= 0:
            tensor = self.model.subgraphs[0].tensors[index]
            return constant(self.model, tensor, np.float32).astype(np.float64)
        output = self.model.subgraphs[0].tensors[self.operator.outputs[0]]
        return np.zeros(output.shape[-1])

    def _sum_channels(self, weights: Array) -> Array:
        axis = _WEIGHTED[self.name] or 0
        return weights.sum(axis=tuple(i for i in range(weights.ndim) if i != axis), dtype=float)

    def _expected(self, error: Array, mean: Array) -> Array:
        """Return each output channel's mean shift by an error of the weights."""
        if self.name == "FULLY_CONNECTED":
            return error @ mean.reshape(-1, error.shape[1]).mean(axis=0)
        options = self.operator.builtinOptions
        kernel = (error.shape[1], error.shape[2])
        stride = (options.strideH, options.strideW)
        dilation = (options.dilationHFactor, options.dilationWFactor)
        padding = (0, 0, 0, 0)
        if options.padding == schema.Padding.SAME:
            padding = same_padding(mean.shape[1:3], kernel, stride, dilation)
        taps = mean_taps(mean[0], kernel=kernel, stride=stride, dilation=dilation, padding=padding)
        if self.name == "CONV_2D":
            return np.einsum("oyxi,yxi->o", error, taps)
        multiplier = error.shape[3] // taps.shape[2]
        return np.einsum("yxo,yxo->o", error[0], np.repeat(taps, multiplier, axis=2))

    def _replace(self, position: int, values: Array, kind: int, scales: Array, axis: int) -> None:
        """Give the operation a tensor of its own: converters share equal constants."""
        graph = self.model.subgraphs[0]
        missing = position + 1 - len(self.operator.inputs)
        inputs = [*self.operator.inputs, *[-1] * missing]
        tensor = (
            schema.TensorT()
            if inputs[position] < 0
            else (copy.copy(graph.tensors[inputs[position]]))
        )
        if inputs[position] < 0:
            tensor.name = name_of(graph.tensors[inputs[1]]) + "/bias"
        tensor.shape, tensor.type = np.asarray(values.shape, np.int32), kind
        tensor.quantization = _quantization(scales, np.zeros(len(scales), np.int64), axis)
        give_buffer(self.model, tensor, values)
        inputs[position] = len(graph.tensors)
        graph.tensors.append(tensor)
        self.operator.inputs = np.asarray(inputs, np.int32)


def _spread(scales: Array, ndim: int, axis: int | None) -> Array:
    return scales.astype(np.float64).reshape([-1 if i == (axis or 0) else 1 for i in range(ndim)])


def _quantize_constants(model: Any, operator: Any) -> None:
    """Quantize constant operands of element-wise operations, one scale each."""
    graph = model.subgraphs[0]
    for position, index in enumerate(operator.inputs):
        tensor = graph.tensors[index]
        if tensor.type != schema.TensorType.FLOAT32 or not is_constant(model, tensor):
            continue
        values = constant(model, tensor, np.float32)
        grid = activation_grid(float(values.min()), float(values.max()))
        integers = np.rint(values / grid.scale + grid.zero_point).clip(-128, 127)
        tensor = copy.copy(tensor)
        give_buffer(model, tensor, integers.astype(np.int8))
        _set_grid(tensor, grid)
        inputs = np.array(operator.inputs)
        inputs[position] = len(graph.tensors)
        operator.inputs = inputs
        graph.tensors.append(tensor)


def _adapt_io(model: Any, io: Io, grids: dict[int, Grid]) -> None:
    """Give the file's input and output their type: int8 as it is, others by one operation."""
    if io == "int8":
        return
    graph = model.subgraphs[0]
    inner_in, inner_out = int(graph.inputs[0]), int(graph.outputs[0])
    outer_in = _outer_tensor(model, inner_in, io, grids[inner_in])
    outer_out = _outer_tensor(model, inner_out, io, grids[inner_out])
    graph.inputs = np.asarray([outer_in], np.int32)
    graph.outputs = np.asarray([outer_out], np.int32)
    leave = "DEQUANTIZE" if io == "float32" else "QUANTIZE"
    graph.operators.insert(0, new_operator(model, "QUANTIZE", outer_in, inner_in))
    graph.operators.append(new_operator(model, leave, inner_out, outer_out))


def _outer_tensor(model: Any, inner: int, io: Io, grid: Grid) -> int:
    graph = model.subgraphs[0]
    tensor = copy.copy(graph.tensors[inner])
    graph.tensors[inner].name = name_of(tensor) + "/int8"
    tensor.type = _IO_TYPES[io]
    tensor.quantization = None
    if io == "uint8":
        scales = np.asarray([grid.scale], np.float32)
        tensor.quantization = _quantization(scales, np.asarray([grid.unsigned_zero_point]), 0)
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _set_grid(tensor: Any, grid: Grid) -> None:
    tensor.type = schema.TensorType.INT8
    tensor.quantization = _quantization(
        np.asarray([grid.scale], np.float32), np.asarray([grid.zero_point], np.int64), 0
    )


def _quantization(scales: Array, zero_points: Array, axis: int) -> Any:
    quantization = schema.QuantizationParametersT()
    quantization.scale = scales
    quantization.zeroPoint = zero_points
    quantization.quantizedDimension = axis
    return quantization
