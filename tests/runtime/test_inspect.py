from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from edgecnn.core.errors import InputError, MissingExtra
from edgecnn.runtime.inspect import inspect, precision, read_graph


def test_a_foreign_file_has_the_figures_of_its_paper(mobilenet: Path) -> None:
    facts = inspect(mobilenet)
    # Howard et al. 2017, arXiv:1704.04861, table 7: 0.25 MobileNet-128 has 0.5 M parameters
    # and about 14 M multiplications.
    assert facts["params"] == pytest.approx(0.47e6, rel=0.01)
    assert facts["macs"] == pytest.approx(13.6e6, rel=0.01)
    assert facts["bytes"] == mobilenet.stat().st_size
    assert facts["activation_peak_bytes"] <= facts["arena_bytes"]
    assert (facts["int8_ops"], facts["float_ops"]) == (31, 0)
    assert facts["inputs"][0] == {
        "name": "input",
        "dtype": "uint8",
        "shape": [1, 128, 128, 3],
        "scale": 0.0078125,
        "zero_point": 128,
    }
    assert facts["metadata"] is None


def test_both_formats_of_one_network_cost_the_same(tiny_files: Path) -> None:
    pytest.importorskip("onnx")
    tflite, onnx = (inspect(tiny_files / f"tiny-float32.{end}") for end in ("tflite", "onnx"))
    stem, depthwise = 32 // 2 * 32 // 2 * 8 * 3 * 3 * 3, 16 * 16 * 8 * 9
    second = 8 * 8 * 16 * 3 * 3 * 8 + 8 * 8 * 16 * 9
    assert tflite["macs"] == onnx["macs"] == stem + depthwise + second + 16 * 4
    assert onnx["arena_bytes"] is None
    assert onnx["opcodes"]["Conv"] == 17


def test_layers_add_up_and_go_into_json(tiny_files: Path) -> None:
    facts = inspect(tiny_files / "tiny-int8.tflite")
    for total in ("params", "macs"):
        assert facts[total] == sum(layer[total] for layer in facts["layers"])
    promised = {"name", "op", "output_shape", "params", "macs", "bytes"}
    assert all(set(layer) > promised for layer in facts["layers"])
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts


def test_the_description_of_ours_is_shown(own_files: Path) -> None:
    for path in sorted(own_files.iterdir()):
        if path.suffix == ".onnx":
            pytest.importorskip("onnx")
        assert inspect(path)["metadata"]["classes"] == ["ape", "bee", "cat", "dog"]


def test_precision_tells_integer_from_float_operations(tiny_files: Path) -> None:
    integer = precision(read_graph(tiny_files / "tiny-int8.tflite"))
    floating = precision(read_graph(tiny_files / "tiny-float32.tflite"))
    assert integer.float_ops == floating.int8_ops == floating.hybrid_ops == 0
    assert min(integer.int8_ops, floating.float_ops) > 0


def quantized_onnx(path: Path, *, scheme: str) -> None:
    """One 1x1 convolution and a ReLU: QDQ at every tensor, or at the weights alone."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    def quantized(name: str) -> list[object]:
        return [
            helper.make_node("QuantizeLinear", [name, "scale", "zero"], [f"{name}_q"]),
            helper.make_node("DequantizeLinear", [f"{name}_q", "scale", "zero"], [f"{name}_f"]),
        ]

    whole = scheme == "static"
    nodes = [
        helper.make_node("DequantizeLinear", ["w_q", "w_scale", "w_zero"], ["w"]),
        *(quantized("x") if whole else []),
        helper.make_node("Conv", ["x_f" if whole else "x", "w"], ["y"]),
        *(quantized("y") if whole else []),
        helper.make_node("Relu", ["y_f" if whole else "y"], ["z"]),
        *(quantized("z") if whole else []),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 4, 4])],
        [helper.make_tensor_value_info("z_f" if whole else "z", TensorProto.FLOAT, [1, 2, 4, 4])],
        [
            helper.make_tensor("w_q", TensorProto.INT8, [2, 3, 1, 1], [1] * 6),
            helper.make_tensor("w_scale", TensorProto.FLOAT, [], [0.5]),
            helper.make_tensor("w_zero", TensorProto.INT8, [], [0]),
            helper.make_tensor("scale", TensorProto.FLOAT, [], [0.25]),
            helper.make_tensor("zero", TensorProto.UINT8, [], [7]),
        ],
    )
    path.write_bytes(helper.make_model(graph).SerializeToString())
    onnx.checker.check_model(str(path))


def test_an_operation_between_quantized_tensors_counts_as_integer(tmp_path: Path) -> None:
    path = tmp_path / "static.onnx"
    quantized_onnx(path, scheme="static")
    graph = read_graph(path)
    names = [operator.name for operator in graph.operators]
    assert names == ["QuantizeLinear", "Conv", "Relu", "DequantizeLinear"]
    facts = inspect(path)
    # Only the steps from and to the float world at both ends touch floats.
    assert (facts["int8_ops"], facts["float_ops"]) == (2, 2)
    assert (facts["params"], facts["macs"]) == (6, 4 * 4 * 2 * 3)
    quantized = next(tensor for tensor in graph.tensors if tensor.name == "x_q")
    assert (quantized.scales, quantized.zero_points) == ((0.25,), (7,))


def test_a_step_from_one_scale_to_another_stays_an_operation(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        [
            helper.make_node("DequantizeLinear", ["a", "scale", "zero"], ["x"]),
            helper.make_node("QuantizeLinear", ["x", "other", "zero"], ["b"]),
        ],
        "g",
        [helper.make_tensor_value_info("a", kinds.UINT8, [1, 4])],
        [helper.make_tensor_value_info("b", kinds.UINT8, [1, 4])],
        [
            helper.make_tensor("scale", kinds.FLOAT, [], [0.25]),
            helper.make_tensor("other", kinds.FLOAT, [], [0.5]),
            helper.make_tensor("zero", kinds.UINT8, [], [7]),
        ],
    )
    path = tmp_path / "requantize.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    (step,) = read_graph(path).operators
    assert step.name == "QuantizeLinear"
    assert inspect(path)["activation_peak_bytes"] == 8


def test_integer_weights_alone_make_an_operation_hybrid(tmp_path: Path) -> None:
    path = tmp_path / "weights.onnx"
    quantized_onnx(path, scheme="weights")
    facts = inspect(path)
    assert (facts["int8_ops"], facts["float_ops"], facts["hybrid_ops"]) == (0, 2, 1)


def test_a_damaged_file_is_refused_in_one_line(tiny_files: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    for name in ("tiny-int8.tflite", "tiny-float32.onnx"):
        path = tmp_path / name
        path.write_bytes((tiny_files / name).read_bytes()[:-2000])
        with pytest.raises(InputError) as caught:
            inspect(path)
        assert "\n" not in str(caught.value)


def test_an_onnx_file_of_nonsense_inside_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    path = tmp_path / "nonsense.onnx"
    path.write_bytes(b"\x08\x07\x3a\x04\xff\xff\xff\xff")
    with pytest.raises(InputError, match="a damaged ONNX model"):
        inspect(path)


def test_an_onnx_file_without_its_package_names_the_extra(
    tiny_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtra, match=r"pip install 'edgecnn\[onnx\]'"):
        inspect(tiny_files / "tiny-float32.onnx")


def test_a_constant_node_is_a_constant(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    value = helper.make_tensor("value", kind, [3, 2], [1.0] * 6)
    graph = helper.make_graph(
        [
            helper.make_node("Constant", [], ["w"], value=value),
            helper.make_node("Gemm", ["x", "w", ""], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", kind, ["batch", 3])],
        [helper.make_tensor_value_info("y", kind, ["batch", 2])],
    )
    path = tmp_path / "constant.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    facts = inspect(path)
    assert (facts["params"], facts["macs"]) == (6, 6)
    assert facts["inputs"][0]["shape"] == [-1, 3]
    assert [layer["op"] for layer in facts["layers"]] == ["Gemm"]
