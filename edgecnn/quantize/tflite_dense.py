"""Dense layers as 1x1 convolutions: a scale a channel on every runtime.

Kernels for dense layers with one scale a channel are younger than many boards'
runtimes; a convolution of a single position computes the same, with the same weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgecnn.quantize.tflite_graph import (
    give_buffer,
    is_constant,
    name_of,
    new_operator,
    new_tensor,
    operation,
    pack,
    read,
)

_PLAIN = schema.FullyConnectedOptionsWeightsFormat.DEFAULT


def dense_as_convolution(float_file: bytes) -> bytes:
    """Return a float32 TFLite file whose dense layers with constant weights are convolutions."""
    model = read(float_file)
    graph = model.subgraphs[0]
    operators = []
    for operator in graph.operators:
        operators += _convolution(model, operator) if _is_dense(model, operator) else [operator]
    graph.operators = operators
    return pack(model)


def _is_dense(model: Any, operator: Any) -> bool:
    if operation(model, operator) != "FULLY_CONNECTED":
        return False
    weights = model.subgraphs[0].tensors[operator.inputs[1]]
    plain = operator.builtinOptions.weightsFormat == _PLAIN
    return plain and weights.type == schema.TensorType.FLOAT32 and is_constant(model, weights)


def _convolution(model: Any, operator: Any) -> list[Any]:
    """Return what computes the same: a reshape, the convolution, a reshape back."""
    tensors = model.subgraphs[0].tensors
    source, weights, target = int(operator.inputs[0]), operator.inputs[1], operator.outputs[0]
    outputs, inputs = (int(size) for size in tensors[weights].shape)
    rows = int(np.prod(tensors[target].shape)) // outputs
    entry = _shaped(model, source, "/rows", (1, 1, rows, inputs))
    kernel = _shaped(model, int(weights), "/kernel", (outputs, 1, 1, inputs))
    leave = _shaped(model, int(target), "/rows", (1, 1, rows, outputs))
    convolution = new_operator(model, "CONV_2D", entry, leave)
    bias = next((int(i) for i in operator.inputs[2:3] if i >= 0), None)
    bias = _zeros(model, int(target), outputs) if bias is None else bias
    convolution.inputs = np.asarray([entry, kernel, bias], np.int32)
    options = schema.Conv2DOptionsT()
    options.padding, options.strideH, options.strideW = schema.Padding.VALID, 1, 1
    options.fusedActivationFunction = operator.builtinOptions.fusedActivationFunction
    convolution.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
    convolution.builtinOptions = options
    return [
        _reshape(model, source, entry),
        convolution,
        _reshape(model, leave, int(target)),
    ]


def _shaped(model: Any, like: int, suffix: str, shape: tuple[int, ...]) -> int:
    """Add a tensor of the same values in another shape; return its place."""
    place = new_tensor(model, like, suffix)
    tensor = model.subgraphs[0].tensors[place]
    tensor.shape = np.asarray(shape, np.int32)
    tensor.shapeSignature = None
    return place


def _zeros(model: Any, like: int, size: int) -> int:
    """Add a bias of zeros: a convolution must have one."""
    place = _shaped(model, like, "/bias", (size,))
    give_buffer(model, model.subgraphs[0].tensors[place], np.zeros(size, np.float32))
    return place


def _reshape(model: Any, source: int, target: int) -> Any:
    graph = model.subgraphs[0]
    shape = schema.TensorT()
    shape.name = name_of(graph.tensors[target]) + "/shape"
    # The first size is left open, so that a runtime can take several images at once.
    values = np.asarray([-1, *graph.tensors[target].shape[1:]], np.int32)
    shape.shape, shape.type = np.asarray(values.shape, np.int32), schema.TensorType.INT32
    give_buffer(model, shape, values)
    operator = new_operator(model, "RESHAPE", source, target)
    operator.inputs = np.asarray([source, len(graph.tensors)], np.int32)
    graph.tensors.append(shape)
    operator.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
    operator.builtinOptions = schema.ReshapeOptionsT()
    operator.builtinOptions.newShape = values
    return operator
