"""Weights in 8 and 4 bits, in both formats, on a real network: what is stored, and the answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.core.errors import CheckFailed, InputError

pytest.importorskip("tensorflow")  # before keras

import keras
from keras import layers

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def floats(separable_network: Any) -> dict[str, bytes]:
    """The float files, pixels in, by format."""
    from edgecnn.convert import onnx, tflite
    from edgecnn.convert.fold import fold_batch_norm
    from edgecnn.convert.frozen import freeze

    frozen = freeze(fold_batch_norm(separable_network))
    return {"tflite": tflite.float32(frozen), "onnx": onnx.float32(frozen)}


@pytest.fixture(scope="module")
def made(floats: dict[str, bytes], pictures: Any) -> dict[tuple[int, str, str], bytes]:
    """Bits, rounding and format to the file."""
    from edgecnn.quantize import weight_only_onnx, weight_only_tflite
    from edgecnn.quantize.weight_only import plan_weights

    def photos() -> Any:
        return (picture[None].astype(np.float32) for picture in pictures[:32])

    files = {}
    for bits in (8, 4):
        for rounding, inputs in (("nearest", None), ("compensated", photos)):
            plan = plan_weights(floats["tflite"], bits=bits, inputs=inputs)
            files[bits, rounding, "tflite"] = weight_only_tflite.store_weights(
                floats["tflite"], plan
            )
            files[bits, rounding, "onnx"] = weight_only_onnx.store_weights(
                floats["onnx"], floats["tflite"], plan
            )
    return files


def answers(suffix: str, content: bytes, pictures: Any, **options: Any) -> np.ndarray:
    values = pictures.astype(np.float32)
    if suffix == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(content)
        return np.concatenate([session.run(None, {"image": v[None]})[0] for v in values])
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, **options)
    interpreter.allocate_tensors()
    entry, leave = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    outputs = []
    for value in values:
        interpreter.set_tensor(entry["index"], value[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(leave["index"]))
    return np.concatenate(outputs)


def read(suffix: str, content: bytes) -> Any:
    from edgecnn.runtime import onnx, tflite

    return {"tflite": tflite, "onnx": onnx}[suffix].read(content, where="test")


@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
@pytest.mark.parametrize(("bits", "largest"), [(8, 0.03), (4, 0.12)])
def test_answers_stay_near_the_float_ones(made, separable_network, pictures, bits, largest, suffix):
    expected = np.asarray(separable_network(pictures.astype(np.float32)))
    distances = {}
    for rounding in ("nearest", "compensated"):
        found = answers(suffix, made[bits, rounding, suffix], pictures)
        distances[rounding] = np.abs(found - expected).mean()
    assert distances["compensated"] < largest / 4
    assert distances["compensated"] < distances["nearest"]
    assert np.abs(found - expected).max() < 4 * largest


@pytest.mark.parametrize("bits", [8, 4])
def test_both_formats_store_the_same_weights_and_answer_alike(made, pictures, bits):
    tflite, onnx = (
        answers(suffix, made[bits, "compensated", suffix], pictures)
        for suffix in ("tflite", "onnx")
    )
    # LiteRT multiplies 4-bit weights with inputs of 8 bits; ONNX Runtime computes in float.
    assert np.abs(tflite - onnx).max() < (1e-4 if bits == 8 else 0.03)


@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
def test_1x1_convolutions_and_dense_layers_alone_have_four_bits(made, suffix):
    from edgecnn.export.checks import stored_weights

    # project 8x8, separable 8x12, logits 12x5; stem 3x3x3x8 and two depthwise of 3x3x8
    expected = {"int4": 64 + 96 + 60, "int8": 216 + 72 + 72}
    assert stored_weights(read(suffix, made[4, "nearest", suffix])) == expected
    assert stored_weights(read(suffix, made[8, "nearest", suffix])) == {"int8": 580}


@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
@pytest.mark.parametrize("bits", [8, 4])
def test_activations_and_biases_are_float(made, bits, suffix):
    graph = read(suffix, made[bits, "nearest", suffix])
    for operator in graph.operators:
        for place in operator.outputs:
            assert graph.tensors[place].dtype == "float32"
    assert not any(name in graph.opcodes for name in ("QUANTIZE", "QuantizeLinear"))


@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
def test_a_file_of_other_weights_is_not_called_so(made, floats, suffix):
    from edgecnn.export.checks import check_file

    for bits in (8, 4):
        content = made[bits, "nearest", suffix]
        check = {"io": "float32", "where": Path("x")}
        check_file(content, suffix, scheme=f"weights{bits}", **check)
        with pytest.raises(CheckFailed, match="its weights are stored as float32"):
            check_file(floats[suffix], suffix, scheme=f"weights{bits}", **check)
    with pytest.raises(CheckFailed, match=r"is not the weights4 file .* stored as int8"):
        check_file(made[8, "nearest", suffix], suffix, scheme="weights4", **check)


def test_eight_bits_are_computed_in_float_by_the_delegate_as_a_whole(made):
    """The unpacked weights are constants for it: nothing is left for the interpreter."""
    from ai_edge_litert.interpreter import Interpreter

    for bits in (8, 4):
        interpreter = Interpreter(model_content=made[bits, "nearest", "tflite"])
        interpreter.allocate_tensors()
        names = [operator["op_name"] for operator in interpreter._get_ops_details()]
        assert names.count("DELEGATE") == 1


def test_without_the_delegate_the_answers_are_the_same(made, pictures):
    from ai_edge_litert.interpreter import OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    for bits, largest in ((8, 1e-4), (4, 0.05)):
        content = made[bits, "nearest", "tflite"]
        found = answers("tflite", content, pictures[:8], experimental_op_resolver_type=plain)
        assert np.abs(found - answers("tflite", content, pictures[:8])).max() < largest


def test_the_runtime_unpacks_the_onnx_weights_once(made, tmp_path):
    import onnx
    import onnxruntime

    for bits in (8, 4):
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / f"{bits}.onnx")
        onnxruntime.InferenceSession(made[bits, "nearest", "onnx"], options)
        names = {node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node}
        assert "Cast" not in names


def test_a_network_without_such_a_layer_has_no_four_bits():
    from edgecnn.convert import tflite
    from edgecnn.convert.frozen import freeze
    from edgecnn.quantize.weight_only import plan_weights

    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 1, 2)(layers.Conv2D(4, 3)(image))  # 1x1, but with a stride
    content = tflite.float32(freeze(keras.Model(image, layers.GlobalAveragePooling2D()(x))))
    with pytest.raises(InputError, match=r"no layer whose weights could have 4 bits.*--weights8"):
        plan_weights(content, bits=4)
    assert plan_weights(content, bits=8).layers


@given(st.lists(st.integers(-7, 7), min_size=1, max_size=9))
def test_two_integers_share_a_byte_the_first_in_its_lower_half(integers):
    from edgecnn.quantize.weight_only import pack_nibbles

    packed = pack_nibbles(np.asarray(integers, np.int8))
    assert len(packed) == (len(integers) + 1) // 2
    halves = np.stack([packed & 15, packed >> 4], axis=1).reshape(-1)
    signed = np.where(halves > 7, halves.astype(int) - 16, halves)
    assert signed[: len(integers)].tolist() == integers
