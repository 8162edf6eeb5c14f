from __future__ import annotations

import contextlib

import numpy as np
import pytest

from edgecnn.core.errors import InputError

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def ort_file(tmp_path_factory):
    """One convolution, a sum and a Softmax with a setting, in the ORT format."""
    import onnx
    import onnxruntime
    from onnx import helper, numpy_helper

    weights = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "weights"], ["x"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Softmax", ["flat"], ["scores"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", 1, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("scores", 1, [1, 4])],
        initializer=[numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 10
    onnx.checker.check_model(model)
    path = tmp_path_factory.mktemp("ort") / "tiny.ort"
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.save_model_format", "ORT")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(model.SerializeToString(), options)
    return path


def test_the_graph_comes_back_as_it_was(ort_file):
    import onnx
    import onnxruntime

    from edgecnn.runtime.ort import as_onnx

    again = as_onnx(ort_file.read_bytes(), where=ort_file)
    onnx.checker.check_model(onnx.load_from_string(again))
    image = np.random.default_rng(1).normal(size=(1, 3, 8, 8)).astype(np.float32)
    found, expected = (
        onnxruntime.InferenceSession(model).run(None, {"image": image})[0]
        for model in (again, str(ort_file))
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_foreign_ort_file_is_inspected_as_any_other(ort_file):
    from edgecnn.runtime.inspect import inspect

    found = inspect(ort_file)
    assert (found["format"], found["params"], found["macs"]) == ("ort", 108, 1728)
    assert found["bytes"] == ort_file.stat().st_size
    assert [layer["op"] for layer in found["layers"]][:2] == ["Conv", "GlobalAveragePool"]
    assert found["layers"][0]["stride"] == [2, 2]
    assert found["metadata"] is None


def test_it_runs_in_onnx_runtime_and_nowhere_else(ort_file):
    from edgecnn.runtime import load

    model = load(ort_file)
    assert model.runtime == "onnxruntime"
    assert model.run(np.zeros((1, 8, 8, 3), np.uint8)).shape == (1, 4)
    with pytest.raises(InputError, match=r"a ort model for litert.*use --runtime onnxruntime"):
        load(ort_file, runtime="litert")


def test_metadata_goes_behind_the_flatbuffer_and_comes_back(ort_file, tmp_path, exported):
    import dataclasses

    from edgecnn.runtime import embed, read_metadata

    about = dataclasses.replace(exported[0].metadata, format="ort")
    path = tmp_path / "named.ort"
    path.write_bytes(embed(embed(ort_file.read_bytes(), about), about))
    assert read_metadata(path) == about
    damaged = bytearray(path.read_bytes())
    damaged[200] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(InputError, match="changed or damaged"):
        read_metadata(path)


def test_a_cut_or_forged_file_is_refused_in_one_line(ort_file):
    from edgecnn.runtime.inspect import read_ort

    data = ort_file.read_bytes()
    with pytest.raises(InputError, match="no ORT model"):
        read_ort(b"ONNX" * 8, where=ort_file)
    for stop in range(8, len(data) // 2, 97):
        with pytest.raises(InputError, match="damaged"):
            read_ort(data[:stop], where=ort_file)
    random = np.random.default_rng(2)
    for _ in range(300):
        forged = bytearray(data)
        for place in random.integers(8, len(data), 6):
            forged[place] = random.integers(256)
        with contextlib.suppress(InputError):
            read_ort(bytes(forged), where=ort_file)


def test_operations_in_a_circle_are_refused():
    from onnx import helper

    from edgecnn.runtime import ort
    from edgecnn.runtime.flatbuffer import FlatbufferError

    nodes = [helper.make_node("Relu", ["b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    with pytest.raises(FlatbufferError, match="only later ones make"):
        list(ort._in_order(nodes))
    straight = [helper.make_node("Relu", ["a"], ["b"]), helper.make_node("Relu", ["x"], ["a"])]
    assert [node.output[0] for node in ort._in_order(straight)] == ["a", "b"]
