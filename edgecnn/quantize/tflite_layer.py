"""One TFLite operation with weights, float to integer."""

from __future__ import annotations

import copy
import dataclasses
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from edgecnn.quantize.correction import mean_taps, same_padding
from edgecnn.quantize.grid import (
    Grid,
    round_bias,
    round_weights,
    rounding_error,
    weight_scales,
)
from edgecnn.quantize.observe import Observed
from edgecnn.quantize.tflite_graph import constant, give_buffer, name_of, operation, quantization
from edgecnn.quantize.tflite_operations import WEIGHTED, Weighted

Array: TypeAlias = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Layer:
    """A convolution or a dense layer, about to become integer."""

    model: Any
    operator: Any

    @cached_property
    def _name(self) -> str:
        return operation(self.model, self.operator)

    @cached_property
    def _places(self) -> Weighted:
        return WEIGHTED[self._name]

    @property
    def data(self) -> int:
        """The tensor that the layer reads besides its weights."""
        return int(self.operator.inputs[self._places.data])

    def quantize(self, input_grid: Grid, observed: Observed, input_shift: float) -> None:
        """Round weights and bias.

        Args:
            input_grid: Of the layer's input.
            observed: The layer's input on the calibration photos.
            input_shift: What the grid's real values exceed the true ones by.
        """
        tensors = self.model.subgraphs[0].tensors
        weights_tensor = tensors[self.operator.inputs[self._places.weights]]
        weights = constant(self.model, weights_tensor, np.float32)
        bias = self._bias() - input_shift * self._sum_channels(weights)
        axis = self._places.axis
        scales = weight_scales(
            weights if axis is not None else weights.reshape(1, -1),
            bias if axis is not None else None,
            input_grid.scale,
            axis or 0,
        )
        integers = round_weights(weights, scales, axis or 0)
        error = rounding_error(weights, integers, scales, axis or 0)
        bias = bias - self._expected(error, (observed.mean + input_shift).astype(np.float32))
        self._replace(self._places.weights, integers, schema.TensorType.INT8, scales)
        bias_scales = (input_grid.scale * scales.astype(np.float64)).astype(np.float32)
        whole = round_bias(bias, input_grid.scale, scales)
        self._replace(self._places.bias, whole, schema.TensorType.INT32, bias_scales)

    def _bias(self) -> Array:
        place = self._places.bias
        index = self.operator.inputs[place] if len(self.operator.inputs) > place else -1
        tensors = self.model.subgraphs[0].tensors
        if index >= 0:
            return constant(self.model, tensors[index], np.float32).astype(np.float64)
        return np.zeros(tensors[self.operator.outputs[0]].shape[-1])

    def _sum_channels(self, weights: Array) -> Array:
        axis = self._places.axis or 0
        return weights.sum(axis=tuple(i for i in range(weights.ndim) if i != axis), dtype=float)

    def _expected(self, error: Array, mean: Array) -> Array:
        """Return each output channel's mean shift by an error of the weights."""
        if self._name == "FULLY_CONNECTED":
            return error @ mean.reshape(-1, error.shape[1]).mean(axis=0)
        output = self.model.subgraphs[0].tensors[self.operator.outputs[0]]
        if self._name == "TRANSPOSE_CONV":
            # Each input value goes to as many outputs as the kernel has taps; those that
            # fall off the border are counted, which is right but for the border.
            share = np.prod(mean.shape[1:3]) / np.prod(output.shape[1:3])
            return share * np.einsum("oyxi,i->o", error, mean.mean(axis=(0, 1, 2)))
        taps = self._mean_taps(error, mean)
        if self._name == "CONV_2D":
            groups = taps.shape[2] // error.shape[3]
            taps = taps.reshape(*taps.shape[:2], groups, -1)
            per_group = error.reshape(groups, -1, *error.shape[1:])
            return np.einsum("goyxi,yxgi->go", per_group, taps).reshape(-1)
        multiplier = error.shape[3] // taps.shape[2]
        return np.einsum("yxo,yxo->o", error[0], np.repeat(taps, multiplier, axis=2))

    def _mean_taps(self, error: Array, mean: Array) -> Array:
        options = self.operator.builtinOptions
        kernel = (error.shape[1], error.shape[2])
        stride = (options.strideH, options.strideW)
        dilation = (options.dilationHFactor, options.dilationWFactor)
        padding = (0, 0, 0, 0)
        if options.padding == schema.Padding.SAME:
            padding = same_padding(mean.shape[1:3], kernel, stride, dilation)
        return mean_taps(
            mean.mean(axis=0), kernel=kernel, stride=stride, dilation=dilation, padding=padding
        )

    def _replace(self, position: int, values: Array, kind: int, scales: Array) -> None:
        """Give the operation a tensor of its own: converters share equal constants."""
        graph = self.model.subgraphs[0]
        missing = position + 1 - len(self.operator.inputs)
        inputs = [*self.operator.inputs, *[-1] * missing]
        if inputs[position] < 0:
            tensor = schema.TensorT()
            tensor.name = name_of(graph.tensors[inputs[self._places.weights]]) + "/bias"
        else:
            tensor = copy.copy(graph.tensors[inputs[position]])
        axis = self._places.axis if position == self._places.weights else 0
        tensor.shape, tensor.type = np.asarray(values.shape, np.int32), kind
        tensor.quantization = quantization(scales, np.zeros(len(scales), np.int64), axis or 0)
        give_buffer(self.model, tensor, values)
        inputs[position] = len(graph.tensors)
        graph.tensors.append(tensor)
        self.operator.inputs = np.asarray(inputs, np.int32)
