from __future__ import annotations

import numpy as np
import pytest

from edgecnn.core.normalization import Normalization

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

PER_CHANNEL = Normalization((1 / 58.4, 1 / 57.1, 1 / 50.0), (-2.12, -2.04, -1.80))


def network(first_bias: bool = True):
    """Pixels to five probabilities, normalized a channel, with an operation without int8."""
    import keras
    from keras import layers

    from edgecnn.zoo.layers import LocalResponseNormalization

    keras.utils.set_random_seed(4)
    image = keras.Input((32, 32, 3), name="image")
    x = layers.Rescaling(list(PER_CHANNEL.scale), list(PER_CHANNEL.offset), name="normalize")(image)
    x = layers.Conv2D(8, 3, 2, padding="same", use_bias=first_bias, activation="relu")(x)
    x = LocalResponseNormalization(alpha=0.05)(x)
    x = layers.Conv2D(12, 3, activation="relu")(x)
    x = layers.Flatten()(layers.MaxPooling2D(3)(x))
    x = layers.Softmax(name="probabilities")(layers.Dense(5, name="logits")(x))
    return keras.Model(image, x)


@pytest.fixture(scope="module")
def writers(pictures):
    from edgecnn.export.writers import Writers

    return {
        bias: Writers(network(bias), PER_CHANNEL, lambda: (p[None] for p in pictures[:32]))
        for bias in (True, False)
    }


def answers(suffix, content, values):
    if suffix == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(content)
        return np.concatenate([session.run(None, {"image": v[None]})[0] for v in values])
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    outputs = []
    for value in values:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], value[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    return np.concatenate(outputs)


@pytest.mark.parametrize("first_bias", [True, False], ids=["folded", "explicit"])
@pytest.mark.parametrize("io", ["uint8", "int8", "float32"])
@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
def test_a_normalization_a_channel_fits_the_one_grid_of_the_input(
    writers, pictures, suffix, io, first_bias
):
    from edgecnn.export.writers import file_output

    writer = writers[first_bias]
    made = writer.make(suffix, "int8", io)
    how, out = writer.file_input("int8", io), file_output("int8", io)
    values = (pictures * np.float64(how.scale) + how.offset).astype(how.dtype)
    found = (answers(suffix, made.content, values).astype(float) - out.zero_point) * out.scale
    expected = np.asarray(writer.model(pictures.astype(np.float32)))
    assert np.abs(found - expected).mean() < 0.01
    assert np.mean(found.argmax(1) == expected.argmax(1)) >= 0.95


@pytest.mark.parametrize("scheme", ["float32", "float16", "dynamic"])
def test_float_files_normalize_each_channel_exactly(writers, pictures, scheme):
    writer = writers[True]
    expected = np.asarray(writer.model(pictures[:8].astype(np.float32)))
    for suffix in ("tflite", "onnx") if scheme != "dynamic" else ("tflite",):
        made = writer.make(suffix, scheme, "float32")
        found = answers(suffix, made.content, pictures[:8].astype(np.float32))
        bound = {"float32": 1e-5, "float16": 5e-3, "dynamic": 0.05}[scheme]
        assert np.abs(found - expected).max() < bound
        assert made.float_operations == ()


@pytest.mark.parametrize(
    ("suffix", "name"), [("tflite", "LOCAL_RESPONSE_NORMALIZATION"), ("onnx", "LRN")]
)
def test_what_computes_in_float_is_named_and_allowed_by_name_alone(writers, suffix, name):
    from pathlib import Path

    from edgecnn.core.errors import CheckFailed
    from edgecnn.export.checks import check_file

    made = writers[True].make(suffix, "int8", "uint8")
    assert made.float_operations == (name,)
    check = {"scheme": "int8", "io": "uint8", "where": Path("x")}
    check_file(made.content, suffix, **check, in_float=made.float_operations)
    with pytest.raises(CheckFailed, match="compute in float"):
        check_file(made.content, suffix, **check)
