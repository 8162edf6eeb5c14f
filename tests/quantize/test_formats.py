"""Both formats' full-integer files, on a network with the layers that go wrong elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from edgecnn.core.normalization import same_for_all
from edgecnn.quantize.grid import input_grid

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

NORMALIZATION = same_for_all(1 / 127.5, -1.0)


@pytest.fixture(scope="module")
def floats(separable_network):
    """The float files behind the normalization, by format."""
    from edgecnn.convert import onnx, tflite
    from edgecnn.convert.fold import fold_batch_norm
    from edgecnn.convert.frozen import freeze

    frozen = freeze(fold_batch_norm(separable_network, start="normalize"))
    return {"tflite": tflite.float32(frozen), "onnx": onnx.float32(frozen)}


@pytest.fixture(scope="module")
def quantized(floats, pictures):
    """A function (format, io) to the full-integer file's bytes."""
    from edgecnn.quantize import onnx, tflite
    from edgecnn.quantize.planning import make_plan
    from edgecnn.quantize.twins import translate

    inputs = [p[None].astype(np.float32) / np.float32(127.5) - 1 for p in pictures[:32]]
    grid, shift = input_grid(NORMALIZATION)
    known = {"input_grid": grid, "input_shift": shift}
    plan = make_plan(floats["tflite"], tflite.observe(floats["tflite"], inputs).tensors, **known)
    rooms = {"tflite": tflite, "onnx": onnx}
    first, same = (next(rooms[name].activations_of(floats[name], inputs)) for name in rooms)
    decided = translate(plan, first, same)
    assert not onnx.undecided(floats["onnx"], decided)
    seen = onnx.observe(floats["onnx"], inputs[:1]).tensors

    def make(name, io="uint8"):
        if name == "tflite":
            made = tflite.quantize(floats[name], plan, io=io)
        else:
            made = onnx.quantize(floats[name], seen, **known, io=io, decided=decided)
        assert made.float_operations == ()
        return made.content

    return make


def answers(name: str, content: bytes, io: str, pictures: np.ndarray) -> np.ndarray:
    feed = {
        "uint8": lambda p: p,
        "int8": lambda p: (p.astype(np.int16) - 128).astype(np.int8),
        "float32": lambda p: (p.astype(np.float32) - 127) / np.float32(127.5),
    }[io]
    if name == "tflite":
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_content=content)
        interpreter.allocate_tensors()
        entry, leave = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        assert entry["dtype"] == np.dtype(io)
        outputs = []
        for picture in pictures:
            interpreter.set_tensor(entry["index"], feed(picture)[None])
            interpreter.invoke()
            outputs.append(interpreter.get_tensor(leave["index"])[0])
    else:
        import onnxruntime

        session = onnxruntime.InferenceSession(content)
        outputs = [session.run(None, {"image": feed(p)[None]})[0][0] for p in pictures]
    scores = np.stack(outputs).astype(np.float32)
    return {"uint8": scores / 256, "int8": (scores + 128) / 256, "float32": scores}[io]


@pytest.mark.parametrize("io", ["uint8", "int8", "float32"])
@pytest.mark.parametrize("name", ["tflite", "onnx"])
def test_full_integer_answers_stay_near_the_float_ones(
    quantized, separable_network, pictures, name, io
):
    expected = np.asarray(separable_network(pictures.astype(np.float32)))
    found = answers(name, quantized(name, io), io, pictures)
    assert np.mean(found.argmax(1) == expected.argmax(1)) >= 0.9
    assert np.abs(found - expected).mean() < 0.02


def test_both_formats_answer_alike(quantized, pictures):
    tflite = answers("tflite", quantized("tflite"), "uint8", pictures)
    onnx = answers("onnx", quantized("onnx"), "uint8", pictures)
    assert np.abs(tflite - onnx).mean() < 0.01


def test_nothing_in_the_tflite_file_stays_float(quantized):
    from edgecnn.runtime import tflite

    graph = tflite.read(quantized("tflite"), where="test")
    assert {tensor.dtype for tensor in graph.tensors} <= {"int8", "uint8", "int32"}
    assert graph.opcodes["CONV_2D"] == 3


def test_convolution_weights_have_one_scale_a_channel(quantized):
    from edgecnn.runtime import tflite

    graph = tflite.read(quantized("tflite"), where="test")
    for operator in graph.operators:
        if operator.name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            weights = graph.tensors[operator.inputs[1]]
            assert len(weights.scales) == weights.shape[weights.quantized_dimension]
            assert set(weights.zero_points) == {0}


def test_onnx_weights_are_unsigned_with_one_zero_point_dead_filters_too(quantized):
    import onnx
    from onnx import numpy_helper

    graph = onnx.load_from_string(quantized("onnx")).graph
    points = [
        numpy_helper.to_array(t)
        for t in graph.initializer
        if t.name.endswith("weights/zero_points")
    ]
    assert points
    assert all(p.dtype == np.uint8 and set(p.ravel().tolist()) == {128} for p in points)


def test_the_raw_pixel_input_costs_at_most_the_half_step_at_the_border(floats, pictures):
    """A zero-padded tap sees 0 where the shifted grid makes it half a step: the stated bound."""
    import tensorflow as tf

    random = np.random.default_rng(0)
    weights = random.normal(0, 0.3, (3, 3, 3, 4)).astype(np.float32)
    true = pictures[:4].astype(np.float32) / 127.5 - 1
    _, shift = input_grid(NORMALIZATION)
    exact = tf.nn.conv2d(true, weights, 2, "SAME").numpy()
    shifted = tf.nn.conv2d(true + shift, weights, 2, "SAME").numpy() - shift * weights.sum(
        (0, 1, 2)
    )
    difference = np.abs(exact - shifted)
    assert difference[:, :-1, :-1].max() < 1e-5  # stride 2 on an even size pads below, right
    edge = shift * np.abs(weights).sum((0, 1, 2))
    assert np.all(difference.max(axis=(0, 1, 2)) <= edge)


def test_plain_and_optimized_execution_of_the_onnx_file_agree(quantized, pictures):
    from edgecnn.quantize import onnx

    same, steps = onnx.plain_agreement(quantized("onnx"), [p[None] for p in pictures])
    assert same >= 0.95
    assert steps < 2


def test_half_precision_onnx_weights_halve_the_file_and_keep_the_answers(floats, pictures):
    import onnxruntime

    from edgecnn.quantize import onnx

    small = onnx.float16(floats["onnx"])
    x = pictures[:1].astype(np.float32) / np.float32(127.5) - 1
    before, after = (
        onnxruntime.InferenceSession(content).run(None, {"image": x})[0]
        for content in (floats["onnx"], small)
    )
    np.testing.assert_allclose(before, after, atol=5e-3)


@pytest.mark.parametrize("name", ["tflite", "onnx"])
def test_a_first_layer_in_float_sees_the_true_pixels(name, floats, pictures):
    """The input's zero point is 127, half a pixel beside the true one."""
    from edgecnn.quantize import onnx, tflite
    from edgecnn.quantize.planning import make_plan
    from edgecnn.quantize.twins import translate

    inputs = [p[None].astype(np.float32) / np.float32(127.5) - 1 for p in pictures[:16]]
    grid, shift = input_grid(NORMALIZATION)
    known = {"input_grid": grid, "input_shift": shift}
    plan = make_plan(floats["tflite"], tflite.observe(floats["tflite"], inputs).tensors, **known)
    plan = plan.in_float(plan.layers, why="all of it, to see the input alone")
    if name == "tflite":
        content = tflite.quantize(floats[name], plan, io="float32").content
    else:
        pair = [
            next(r.activations_of(floats[n], inputs))
            for n, r in (("tflite", tflite), ("onnx", onnx))
        ]
        decided = translate(plan, *pair)
        seen = onnx.observe(floats[name], inputs).tensors
        content = onnx.quantize(floats[name], seen, **known, io="float32", decided=decided).content
    expected = answers(name, floats[name], "float32", pictures)
    assert np.abs(answers(name, content, "float32", pictures) - expected).max() < 0.01
