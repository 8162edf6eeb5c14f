"""Dense layers as convolutions: the same answers, a scale a channel."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7,), (3, 7)])
def test_the_answers_stay_the_same(bias: bool, shape: tuple[int, ...]) -> None:
    import keras

    from edgecnn.convert import tflite
    from edgecnn.convert.frozen import freeze
    from edgecnn.quantize.tflite import outputs_of
    from edgecnn.quantize.tflite_dense import dense_as_convolution
    from edgecnn.quantize.tflite_graph import operation, read

    keras.utils.set_random_seed(2)
    entry = keras.Input(shape)
    hidden = keras.layers.Dense(6, activation="relu", use_bias=bias)(entry)
    content = tflite.float32(freeze(keras.Model(entry, keras.layers.Dense(5)(hidden))))
    made = dense_as_convolution(content)
    model = read(made)
    kinds = [operation(model, operator) for operator in model.subgraphs[0].operators]
    assert kinds.count("CONV_2D") == 2
    assert "FULLY_CONNECTED" not in kinds
    value = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    (expected,), (found,) = outputs_of(content, [value]), outputs_of(made, [value])
    assert found.shape == expected.shape
    assert np.allclose(found, expected, atol=1e-6)


def test_an_integer_dense_layer_has_a_scale_a_channel(checkpoint, tmp_path) -> None:
    from edgecnn.export import Options, export
    from edgecnn.runtime.tflite import read

    (made,) = export(checkpoint, tmp_path, Options(schemes=("int8",), calibration_count=20))
    graph = read(made.path.read_bytes(), where=made.path)
    dense = [o for o in graph.operators if o.name == "CONV_2D"][-1]
    kernel = graph.tensors[dense.inputs[1]]
    assert kernel.shape[:3] == (len(checkpoint.card.classes), 1, 1)
    assert len(kernel.scales) == len(checkpoint.card.classes)


def test_an_integer_file_answers_several_images_at_once(checkpoint, pictures, tmp_path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    from edgecnn.export import Options, export

    (made,) = export(checkpoint, tmp_path, Options(schemes=("int8",), calibration_count=20))
    images = pictures[:4]
    together = Interpreter(str(made.path), num_threads=1)
    entry, leave = together.get_input_details()[0], together.get_output_details()[0]
    together.resize_tensor_input(entry["index"], images.shape)
    together.allocate_tensors()
    together.set_tensor(entry["index"], images)
    together.invoke()
    alone = Interpreter(str(made.path), num_threads=1)
    alone.allocate_tensors()
    for image, answer in zip(images, together.get_tensor(leave["index"]), strict=True):
        alone.set_tensor(entry["index"], image[None])
        alone.invoke()
        assert np.array_equal(answer, alone.get_tensor(leave["index"])[0])
