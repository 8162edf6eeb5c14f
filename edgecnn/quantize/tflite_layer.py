"""One TFLite operation with weights: what it has in float, and how it becomes integer."""

from __future__ import annotations

import copy
import dataclasses
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from edgecnn.quantize.correction import same_padding
from edgecnn.quantize.grid import Grid, round_bias, weight_scales
from edgecnn.quantize.plan import Rounded
from edgecnn.quantize.tflite_graph import constant, give_buffer, name_of, operation, quantization
from edgecnn.quantize.tflite_operations import WEIGHTED, Weighted

Array: TypeAlias = npt.NDArray[Any]

_TYPES = {
    "int8": schema.TensorType.INT8,
    "int64": schema.TensorType.INT64,
    "int32": schema.TensorType.INT32,
    "float32": schema.TensorType.FLOAT32,
}


@dataclasses.dataclass(frozen=True)
class Window:
    """Where a convolution looks: down, across; its padding is top, left, bottom, right."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[int, int, int, int]


@dataclasses.dataclass(frozen=True)
class Layer:
    """A convolution or a dense layer of a float TFLite graph."""

    model: Any
    operator: Any

    @cached_property
    def name(self) -> str:
        """The operation, as "CONV_2D"."""
        return operation(self.model, self.operator)

    @cached_property
    def _places(self) -> Weighted:
        return WEIGHTED[self.name]

    @property
    def data(self) -> int:
        """The tensor that the layer reads besides its weights."""
        return int(self.operator.inputs[self._places.data])

    @property
    def weights_place(self) -> int:
        """Where among its inputs the operation has its weights."""
        return self._places.weights

    @property
    def input_channels(self) -> int:
        """Of the tensor that the layer reads."""
        return int(self.model.subgraphs[0].tensors[self.data].shape[-1])

    @property
    def axis(self) -> int:
        """The channels' axis of the weights."""
        return self._places.axis or 0

    @cached_property
    def weights(self) -> Array:
        """Float32, in TFLite's layout for the operation."""
        tensors = self.model.subgraphs[0].tensors
        tensor = tensors[self.operator.inputs[self._places.weights]]
        return constant(self.model, tensor, np.float32)

    @cached_property
    def bias(self) -> Array:
        """[channels], float64; zeros where the operation has none."""
        place = self._places.bias
        index = self.operator.inputs[place] if len(self.operator.inputs) > place else -1
        if index >= 0:
            tensor = self.model.subgraphs[0].tensors[index]
            return constant(self.model, tensor, np.float32).astype(np.float64)
        return np.zeros(self.weights.shape[self.axis])

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Of the operation's output."""
        return tuple(self.model.subgraphs[0].tensors[self.operator.outputs[0]].shape)

    def sum_of_weights(self) -> Array:
        """[channels]: what a constant shift of the input adds to the output."""
        others = tuple(i for i in range(self.weights.ndim) if i != self.axis)
        return np.asarray(self.weights.sum(axis=others, dtype=float))

    def scales(self, input_grid: Grid, bias: Array, *, per_tensor: bool = False) -> Array:
        """Return the weights' scales: [channels], or [1] where a kernel knows one for all.

        Args:
            input_grid: Of the layer's input.
            bias: [channels], which has to fit as well.
            per_tensor: Let all channels share the largest of their scales.
        """
        if self._places.axis is None:
            return weight_scales(self.weights.reshape(1, -1), None, input_grid.scale, 0)
        step, bits = input_grid.scale, input_grid.bits
        scales = weight_scales(self.weights, bias, step, self.axis, input_bits=bits)
        return scales.max(keepdims=True) if per_tensor else scales

    def window(self, size: tuple[int, int]) -> Window:
        """Return where a convolution looks in an input of this height and width."""
        options = self.operator.builtinOptions
        kernel = (self.weights.shape[1], self.weights.shape[2])
        stride = (options.strideH, options.strideW)
        dilation = (options.dilationHFactor, options.dilationWFactor)
        padding = (0, 0, 0, 0)
        if options.padding == schema.Padding.SAME:
            padding = same_padding(size, kernel, stride, dilation)
        return Window(kernel, stride, dilation, padding)

    def write(self, rounded: Rounded, input_grid: Grid) -> None:
        """Replace weights and bias by integers."""
        scales = rounded.scales
        points = np.zeros(len(scales), np.int64)
        axis = self.axis if len(scales) > 1 else 0
        self._replace(self._places.weights, rounded.weights, quantization(scales, points, axis))
        step, bits = input_grid.scale, input_grid.bits
        whole = round_bias(rounded.bias, step, scales, input_bits=bits)
        steps = (step * scales.astype(np.float64)).astype(np.float32)
        self._replace(self._places.bias, whole, quantization(steps, points, 0))

    def write_floats(self, weights: Array, bias: Array) -> None:
        """Replace weights and bias by others."""
        self._replace(self._places.weights, weights.astype(np.float32), None)
        self._replace(self._places.bias, bias.astype(np.float32), None)

    def _replace(self, position: int, values: Array, grid: Any) -> None:
        """Give the operation a tensor of its own: converters share equal constants."""
        graph = self.model.subgraphs[0]
        missing = position + 1 - len(self.operator.inputs)
        inputs = [*self.operator.inputs, *[-1] * missing]
        if inputs[position] < 0:
            tensor = schema.TensorT()
            tensor.name = name_of(graph.tensors[inputs[self._places.weights]]) + "/bias"
        else:
            tensor = copy.copy(graph.tensors[inputs[position]])
        tensor.shape, tensor.type = np.asarray(values.shape, np.int32), _TYPES[values.dtype.name]
        tensor.quantization = grid
        give_buffer(self.model, tensor, values)
        inputs[position] = len(graph.tensors)
        graph.tensors.append(tensor)
        self.operator.inputs = np.asarray(inputs, np.int32)
