"""A float32 TFLite file with its weights stored in 8 or 4 bits.

Weights of 8 bits pass through a DEQUANTIZE of constants, which XNNPACK does once, when the
file is loaded: from then on it is the float file. Weights of 4 bits stay what they are: a
dense layer, or a 1x1 convolution written as one, multiplies with them; XNNPACK rounds each
row of its input to 8 bits for that, on a grid of that row's own.

Measured with LiteRT 2.3: a DEQUANTIZE of 4 bits, and CONV_2D with such weights, leave XNNPACK
and take 2 to 9 times as long; DEPTHWISE_CONV_2D refuses them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgecnn.quantize.plan import Plan, Rounded
from edgecnn.quantize.tflite_graph import (
    drop_unused,
    give_buffer,
    name_of,
    new_operator,
    new_tensor,
    operation,
    pack,
    quantization,
    read,
    replace,
)
from edgecnn.quantize.tflite_layer import Layer
from edgecnn.quantize.weight_only import pack_nibbles

# Versions with weights of integers a channel and floats around: op_version.cc, TensorFlow 2.21.
_DEQUANTIZE_VERSION, _DENSE_VERSION = 5, 12


def store_weights(float_file: bytes, plan: Plan) -> bytes:
    """Return the file with its weights as the plan has them.

    Args:
        float_file: The float32 file that the plan was made on.
        plan: Of `edgecnn.quantize.weight_only.plan_weights`.
    """
    model = read(float_file)
    graph = model.subgraphs[0]
    operators: list[Any] = []
    for operator in graph.operators:
        decision = plan.layers.get(name_of(graph.tensors[operator.outputs[0]]))
        if decision is not None and decision.rounded is not None:
            layer = Layer(model, operator)
            layer.write_floats(layer.weights, decision.rounded.bias)
            if decision.rounded.bits == 8:
                operators.append(_unpacking(layer, decision.rounded))
            else:
                _multiply(layer, decision.rounded)
        operators.append(operator)
    graph.operators = operators
    for operator in operators:
        code = model.operatorCodes[operator.opcodeIndex]
        if operation(model, operator) == "DEQUANTIZE":
            code.version = max(code.version, _DEQUANTIZE_VERSION)
    drop_unused(model)
    return pack(model)


def _unpacking(layer: Layer, rounded: Rounded) -> Any:
    """Let a layer read what an operation of its own makes of integers; return that."""
    model, place = layer.model, layer.weights_place
    floats = int(layer.operator.inputs[place])
    stored = new_tensor(model, floats, "/stored")
    _store(model, stored, rounded, layer.axis)
    model.subgraphs[0].tensors[floats].buffer = 0
    return new_operator(model, "DEQUANTIZE", stored, floats)


def _multiply(layer: Layer, rounded: Rounded) -> None:
    """Make a layer a dense one with integer weights, if it isn't."""
    model, operator = layer.model, layer.operator
    floats = int(operator.inputs[layer.weights_place])
    stored = new_tensor(model, floats, "/stored")
    _store(model, stored, rounded, 0)
    tensor = model.subgraphs[0].tensors[stored]
    tensor.shape = np.asarray([len(rounded.weights), rounded.weights[0].size], np.int32)
    if layer.name == "CONV_2D":
        options = schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = operator.builtinOptions.fusedActivationFunction
        options.keepNumDims = True
        operator.builtinOptions = options
        operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
        operator.opcodeIndex = new_operator(model, "FULLY_CONNECTED", 0, 0).opcodeIndex
    operator.builtinOptions.asymmetricQuantizeInputs = True
    operator.inputs = replace(operator.inputs, floats, stored)
    code = model.operatorCodes[operator.opcodeIndex]
    code.version = max(code.version, _DENSE_VERSION)


def _store(model: Any, place: int, rounded: Rounded, axis: int) -> None:
    tensor = model.subgraphs[0].tensors[place]
    is_packed = rounded.bits == 4
    tensor.type = schema.TensorType.INT4 if is_packed else schema.TensorType.INT8
    points = np.zeros(len(rounded.scales), np.int64)
    tensor.quantization = quantization(rounded.scales, points, axis)
    give_buffer(model, tensor, pack_nibbles(rounded.weights) if is_packed else rounded.weights)
