from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow


def run_tflite(content: bytes, batch: np.ndarray) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (entry,), (leave,) = interpreter.get_input_details(), interpreter.get_output_details()
    answers = []
    for photo in batch:
        interpreter.set_tensor(entry["index"], photo[None])
        interpreter.invoke()
        answers.append(interpreter.get_tensor(leave["index"])[0])
    return np.stack(answers)


def test_keras_tflite_and_onnx_give_the_same_answer(separable_network, pictures):
    import onnxruntime

    from edgecnn.convert import onnx, tflite
    from edgecnn.convert.fold import fold_batch_norm
    from edgecnn.convert.frozen import freeze

    batch = pictures[:8].astype(np.float32)
    expected = np.asarray(separable_network(batch))
    frozen = freeze(fold_batch_norm(separable_network))
    np.testing.assert_allclose(run_tflite(tflite.float32(frozen), batch), expected, atol=1e-5)
    session = onnxruntime.InferenceSession(onnx.float32(frozen))
    (name,) = [value.name for value in session.get_inputs()]
    assert name == "image"
    answers = [session.run(["scores"], {name: photo[None]})[0][0] for photo in batch]
    np.testing.assert_allclose(answers, expected, atol=1e-5)


@pytest.mark.parametrize(("scheme", "bound"), [("float16", 5e-3), ("dynamic", 0.1)])
def test_smaller_tflite_schemes_stay_near_the_float_answers(
    separable_network, pictures, scheme, bound
):
    from edgecnn.convert import tflite
    from edgecnn.convert.fold import fold_batch_norm
    from edgecnn.convert.frozen import freeze

    frozen = freeze(fold_batch_norm(separable_network))
    batch = pictures[:8].astype(np.float32)
    answers = run_tflite(getattr(tflite, scheme)(frozen), batch)
    assert np.abs(answers - np.asarray(separable_network(batch))).max() < bound


def test_converting_prints_nothing(separable_network, capfd):
    from edgecnn.convert import onnx, tflite
    from edgecnn.convert.frozen import freeze

    frozen = freeze(separable_network)
    capfd.readouterr()
    tflite.float32(frozen)
    onnx.float32(frozen)
    assert capfd.readouterr() == ("", "")


def test_onnx_adds_two_convolutions_of_one_place():
    """Keras sees a bias in a tensor [1, 1, 1, C]; the convolution before it has one already."""
    import keras
    import onnxruntime
    from keras import layers

    from edgecnn.convert import onnx
    from edgecnn.convert.frozen import freeze

    image = keras.Input((3, 3, 2))
    ways = [layers.Conv2D(4, 3, bias_initializer="ones")(image) for _ in range(2)]
    model = keras.Model(image, layers.ReLU()(layers.Add()(ways)))
    photo = np.random.default_rng(0).normal(size=(1, 3, 3, 2)).astype(np.float32)
    session = onnxruntime.InferenceSession(onnx.float32(freeze(model)))
    (answer,) = session.run(["scores"], {"image": photo})
    np.testing.assert_allclose(answer, model(photo), atol=1e-5)
