from __future__ import annotations

import numpy as np
import pytest

from edgecnn.core.errors import InputError

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


def test_an_operation_that_tflite_has_not_is_named():
    import keras
    from keras import layers

    from edgecnn.convert import onnx, tflite
    from edgecnn.convert.frozen import freeze

    image = keras.Input((8, 8, 8, 2))
    frozen = freeze(keras.Model(image, layers.MaxPooling3D(2)(image)))
    with pytest.raises(InputError, match="no form of MaxPool3D in TFLite"):
        tflite.float32(frozen)
    assert onnx.float32(frozen)


def test_an_operation_that_onnx_has_not_is_named():
    import keras
    import tensorflow as tf

    from edgecnn.convert import onnx
    from edgecnn.convert.frozen import freeze

    class Bessel(keras.layers.Layer):
        def call(self, inputs):
            return tf.math.special.bessel_i0(inputs)

    image = keras.Input((4, 4, 1))
    with pytest.raises(InputError, match="no form of BesselI0 in ONNX"):
        onnx.float32(freeze(keras.Model(image, Bessel()(image))))


def test_a_grouped_convolution_is_one_operation_in_onnx():
    import keras
    import onnx as onnx_package
    from keras import layers

    from edgecnn.convert import onnx
    from edgecnn.convert.frozen import freeze

    image = keras.Input((8, 8, 4))
    content = onnx.float32(freeze(keras.Model(image, layers.Conv2D(8, 3, groups=2)(image))))
    nodes = onnx_package.load_from_string(content).graph.node
    (groups,) = (a.i for node in nodes for a in node.attribute if a.name == "group")
    assert groups == 2
