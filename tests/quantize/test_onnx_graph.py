"""Graphs made by hand: what is merged answers as before, what may not be merged stays."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgecnn.quantize.onnx_graph import simplify

RANDOM = np.random.default_rng(0)
CONSTANTS = {
    "kernel": RANDOM.normal(size=(4, 3, 3, 3)).astype(np.float32),
    "spread": RANDOM.normal(size=(3, 4, 3, 3)).astype(np.float32),
    "dense": RANDOM.normal(size=(3, 4)).astype(np.float32),
    "vector": RANDOM.normal(size=4).astype(np.float32),
    "channels": RANDOM.normal(size=(1, 4, 1, 1)).astype(np.float32),
    "planes": RANDOM.normal(size=(1, 4, 6, 6)).astype(np.float32),
    "border": np.array([0, 0, 1, 2, 0, 0, 0, 1]),
    "deep_border": np.array([0, 1, 0, 0, 0, 0, 0, 0]),
    "one": np.array(1.0, np.float32),
    "none": np.array(0.0, np.float32),
    "six": np.array(6.0, np.float32),
}


def graph_of(*rows: tuple, shape: tuple[int, ...] = (1, 3, 8, 8)) -> onnx.ModelProto:
    """Rows are (operation, inputs, output, attributes); "x" comes in, "y" goes out."""
    nodes = [helper.make_node(op, ins.split(), [out], **kw) for op, ins, out, kw in rows]
    read = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v, name) for name, v in CONSTANTS.items() if name in read],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def answer(model: onnx.ModelProto, shape: tuple[int, ...]) -> np.ndarray:
    value = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"x": value})[0]


def simplified(*rows: tuple, shape: tuple[int, ...] = (1, 3, 8, 8)) -> Counter[str]:
    model = graph_of(*rows, shape=shape)
    before = answer(model, shape)
    simplify(model.graph)
    np.testing.assert_allclose(answer(model, shape), before, atol=1e-5)
    return Counter(node.op_type for node in model.graph.node)


def test_a_constant_a_channel_becomes_the_bias_of_its_convolution():
    for op, weights in (("Conv", "kernel"), ("ConvTranspose", "spread")):
        rows = ((op, f"x {weights}", "c", {}), ("Add", "c channels", "y", {}))
        assert simplified(*rows) == {op: 1}


def test_a_constant_a_place_stays_an_addition():
    rows = (("Conv", "x kernel", "c", {}), ("Add", "c planes", "y", {}))
    assert simplified(*rows) == {"Conv": 1, "Add": 1}


def test_a_product_with_constants_and_its_sum_become_one_dense_layer():
    rows = (("MatMul", "x dense", "m", {}), ("Add", "m vector", "y", {}))
    assert simplified(*rows, shape=(1, 3)) == {"Gemm": 1}


@pytest.mark.parametrize("attributes", [{}, {"pads": [1, 1, 1, 1]}], ids=str)
def test_a_convolution_pads_for_itself(attributes):
    rows = (("Pad", "x border", "p", {}), ("Conv", "p kernel", "y", attributes))
    assert simplified(*rows) == {"Conv": 1}


@pytest.mark.parametrize(
    "rows",
    [
        (("Pad", "x border one", "p", {}), ("Conv", "p kernel", "y", {})),
        (("Pad", "x border", "p", {}), ("MaxPool", "p", "y", {"kernel_shape": [3, 3]})),
        (("Pad", "x border", "p", {}), ("Conv", "p kernel", "y", {"auto_pad": "SAME_UPPER"})),
    ],
    ids=["of ones", "before pooling", "computed padding"],
)
def test_other_borders_stay(rows):
    assert simplified(*rows)["Pad"] == 1


def test_a_border_that_others_read_stays():
    rows = (
        ("Pad", "x border", "p", {}),
        ("Conv", "p kernel", "c", {}),
        ("GlobalMaxPool", "p", "q", {}),
        ("ReduceMax", "q", "r", {"axes": [1], "keepdims": 1}),
        ("Mul", "c r", "y", {}),
    )
    assert simplified(*rows) == {"Pad": 1, "Conv": 1, "ReduceMax": 2, "Mul": 1}


def test_an_activation_stays_where_the_grid_cannot_end_at_its_bound():
    above = (("Conv", "x kernel", "c", {}), ("Clip", "c one six", "y", {}))
    assert simplified(*above) == {"Conv": 1, "Clip": 1}
    shared = (
        ("Conv", "x kernel", "c", {}),
        ("Relu", "c", "r", {}),
        ("Add", "c r", "y", {}),
    )
    assert simplified(*shared) == {"Conv": 1, "Relu": 1, "Add": 1}


def test_relu6_is_left_to_the_grid_of_its_layer():
    model = graph_of(("Conv", "x kernel", "c", {}), ("Clip", "c none six", "y", {}))
    simplify(model.graph)
    assert [node.op_type for node in model.graph.node] == ["Conv"]
