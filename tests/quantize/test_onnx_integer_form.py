"""Each operation's int8 ONNX file in QDQ notation against the integer-only form of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")  # before keras

from keras import layers

from tests.quantize.test_operations import (
    NORMALIZATION,
    OPERATIONS,
    conv,
    network,
    quantized,
    run,
    squeeze_excite,
)

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

NOTATION = ("QuantizeLinear", "DequantizeLinear")


@pytest.fixture(scope="module")
def inputs(pictures: Any) -> list[Any]:
    return [NORMALIZATION.apply(picture[None, ::2, ::2][:, :12, :12]) for picture in pictures[:24]]


def operations(content: bytes) -> Counter[str]:
    import onnx

    return Counter(node.op_type for node in onnx.load_from_string(content).graph.node)


def plainly(content: bytes, inputs: list[Any]) -> np.ndarray:
    """Run a file without the runtime's graph optimizations."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(content, options)
    return np.concatenate([session.run(None, {"image": value})[0] for value in inputs])


@pytest.mark.parametrize("kind", OPERATIONS)
def test_the_integer_form_computes_what_the_qdq_file_says(kind, inputs):
    from edgecnn.quantize.onnx_integer_form import integer_form

    graph, _, in_float = OPERATIONS[kind]
    made = quantized("onnx", network(graph), inputs)
    form = integer_form(made.content)
    expected = run("onnx", made.content, inputs)
    # Step for step what the runtime makes of QDQ, and with no optimization of its own.
    np.testing.assert_array_equal(run("onnx", form, inputs), expected)
    # What stays in float differs in the last bits, which may round to the next step.
    step = 1.01 * np.diff(np.unique(expected)).min() if in_float else 0
    np.testing.assert_allclose(plainly(form, inputs), expected, rtol=0, atol=step)
    floats_ends = 2 + 3 * len(in_float)
    assert sum(operations(form)[name] for name in NOTATION) <= floats_ends


def test_a_whole_network_has_no_conversion_left(inputs):
    from edgecnn.quantize.onnx_integer_form import integer_form

    def graph(x: Any) -> Any:
        x = squeeze_excite(conv()(x))
        return layers.Softmax()(layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))

    made = quantized("onnx", network(graph), inputs, io="uint8")
    assert operations(made.content)["QuantizeLinear"] > 5
    names = operations(integer_form(made.content))
    assert not set(names) & {*NOTATION, "Conv", "Gemm", "Add", "Mul", "Sigmoid", "Softmax"}


def test_a_reader_sees_the_same_layers_in_both_notations(inputs, tmp_path):
    from edgecnn.quantize.onnx_integer_form import integer_form
    from edgecnn.runtime.inspect import inspect

    made = quantized("onnx", network(lambda x: layers.Dense(5)(layers.Flatten()(x))), inputs)
    found = []
    for name, content in (("qdq", made.content), ("integer", integer_form(made.content))):
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(content)
        found.append(inspect(path))
    for key in ("params", "macs", "activation_peak_bytes", "int8_ops", "float_ops"):
        assert found[0][key] == found[1][key]
    for one, other in zip(*(each["layers"] for each in found), strict=True):
        for key in ("params", "macs", "bytes", "kernel", "stride", "receptive_field"):
            assert one[key] == other[key]


def test_the_integer_form_is_a_valid_int8_file(inputs):
    from edgecnn.export.checks import check_file
    from edgecnn.quantize.onnx_integer_form import integer_form

    made = quantized("onnx", network(squeeze_excite), inputs, io="uint8")
    opcodes = check_file(
        integer_form(made.content), "onnx", scheme="int8", io="uint8", where=Path("test")
    )
    assert {"QLinearConv", "QLinearMul", "QLinearSigmoid"} <= set(opcodes)


def test_what_has_several_readers_in_float_keeps_its_conversion(inputs):
    """A float that is read twice cannot become integers for one of its readers alone."""
    import onnx
    from onnx import helper

    from edgecnn.quantize.onnx_integer_form import integer_form

    model = onnx.load_from_string(quantized("onnx", network(conv()), inputs).content)
    inner = next(node for node in model.graph.node if node.op_type == "Conv").output[0]
    model.graph.node.append(helper.make_node("Relu", [inner], ["extra"]))
    model.graph.output.append(helper.make_tensor_value_info("extra", 1, None))
    names = operations(integer_form(model.SerializeToString()))
    assert (names["Conv"], names["QLinearConv"], names["Relu"]) == (1, 1, 1)
