"""A float32 ONNX file with its weights stored in 8 or 4 bits.

They pass through Cast and Mul, which the runtime does once, when it loads the file: from
then on it is the float file. A DequantizeLinear would say the same in one operation, but
ONNX Runtime does it again at each inference (1.31: three times as long for a MobileNetV2).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper, version_converter

from edgecnn.quantize.onnx_graph import attribute, constants_of, merge_biases
from edgecnn.quantize.onnx_layer import in_onnx_layout
from edgecnn.quantize.plan import Plan, Rounded
from edgecnn.quantize.tflite_graph import name_of, read
from edgecnn.quantize.tflite_layer import Layer
from edgecnn.quantize.weight_only import pack_nibbles

Array: TypeAlias = npt.NDArray[Any]

# The first with integers of 4 bits, which Cast takes too.
_OPSET_OF_4_BITS, _IR_OF_4_BITS = 21, 10
_LAYERS = ("Conv", "Gemm")


def store_weights(float_onnx: bytes, float_tflite: bytes, plan: Plan) -> bytes:
    """Return the ONNX file with its weights as the plan has them.

    Args:
        float_onnx: The float32 ONNX file.
        float_tflite: The float32 TFLite file of the same network, that the plan was made on.
        plan: Of `edgecnn.quantize.weight_only.plan_weights`.
    """
    model = onnx.load_from_string(float_onnx)
    pairs = list(_pairs(float_tflite, plan))
    if any(rounded.bits == 4 for _, rounded in pairs):
        model = version_converter.convert_version(model, _OPSET_OF_4_BITS)
        model.ir_version = _IR_OF_4_BITS
    merge_biases(model.graph)
    constants = constants_of(model.graph)
    for node in [n for n in model.graph.node if n.op_type in _LAYERS]:
        weights = constants.get(node.input[1])
        found = None if weights is None else _rounded_of(node, weights, pairs)
        if found is not None:
            layer, rounded = found
            own = constants.get(node.input[2]) if len(node.input) > 2 else None
            # What the other format's layer has for a bias may be an operation of its own here.
            bias = rounded.bias - layer.bias + (0 if own is None else own)
            _store(model.graph, node, dataclasses.replace(rounded, bias=bias))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _pairs(float_tflite: bytes, plan: Plan) -> Iterator[tuple[Layer, Rounded]]:
    """Yield each layer of the TFLite file, and what its weights are rounded to."""
    model = read(float_tflite)
    graph = model.subgraphs[0]
    for operator in graph.operators:
        decision = plan.layers.get(name_of(graph.tensors[operator.outputs[0]]))
        if decision is not None and decision.rounded is not None:
            yield Layer(model, operator), decision.rounded


def _rounded_of(
    node: Any, weights: Array, pairs: Sequence[tuple[Layer, Rounded]]
) -> tuple[Layer, Rounded] | None:
    """Return the layer with a node's weights, and its integers in the node's own layout."""
    for layer, rounded in pairs:
        same = in_onnx_layout(node, layer.weights)
        if same.shape == weights.shape and np.allclose(same, weights, rtol=1e-5, atol=1e-7):
            integers = in_onnx_layout(node, rounded.weights)
            return layer, dataclasses.replace(rounded, weights=integers)
    return None


def _store(graph: Any, node: Any, rounded: Rounded) -> None:
    integers = rounded.weights
    base = f"{node.output[0]}/weights"
    axis = 1 if node.op_type == "Gemm" and not attribute(node, "transB", 0) else 0
    shape = [1] * integers.ndim
    shape[axis] = -1
    stored = numpy_helper.from_array(np.ascontiguousarray(integers), f"{base}/stored")
    if rounded.bits == 4:
        packed = pack_nibbles(integers).tobytes()
        stored = TensorProto(
            name=stored.name, dims=integers.shape, data_type=TensorProto.INT4, raw_data=packed
        )
    scales = np.broadcast_to(rounded.scales, integers.shape[axis]).reshape(shape)
    bias = numpy_helper.from_array(rounded.bias.astype(np.float32), f"{node.output[0]}/bias")
    scale = numpy_helper.from_array(scales.astype(np.float32), f"{base}/scales")
    graph.initializer.extend([stored, scale, bias])
    cast = helper.make_node("Cast", [stored.name], [f"{base}/steps"], to=TensorProto.FLOAT)
    widen = helper.make_node("Mul", [cast.output[0], scale.name], [base])
    graph.node.insert(0, widen)
    graph.node.insert(0, cast)
    replaced = {*node.input[1:]}
    node.input[:] = [node.input[0], base, bias.name]
    _drop(graph, replaced)


def _drop(graph: Any, names: set[str]) -> None:
    """Remove constants that nobody reads any more."""
    read_still = {name for node in graph.node for name in node.input}
    for tensor in [t for t in graph.initializer if t.name in names - read_still]:
        graph.initializer.remove(tensor)
