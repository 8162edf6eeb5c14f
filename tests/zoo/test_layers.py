"""Every kind of layer that a course teaches: built, exported to both formats, compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from edgecnn import zoo
from edgecnn.convert import onnx, tflite
from edgecnn.convert.frozen import freeze
from edgecnn.runtime.litert import LiteRt
from edgecnn.runtime.onnxruntime import OnnxRuntime

pytestmark = pytest.mark.tensorflow

SEQUENCE, PICTURE, VOLUME = (12, 4), (10, 9, 4), (5, 6, 7, 2)

# Name: what goes in, the layer, what comes out. Pooling in 3-D is not here: TFLite has none.
KINDS: dict[str, tuple[tuple[int, ...], Callable[[], keras.Layer], tuple[int, ...]]] = {
    "convolution, 1-D": (SEQUENCE, lambda: layers.Conv1D(3, 5), (8, 3)),
    "convolution, 1-D causal and dilated": (
        SEQUENCE,
        lambda: layers.Conv1D(3, 2, padding="causal", dilation_rate=4),
        (12, 3),
    ),
    "convolution, 3-D": (VOLUME, lambda: layers.Conv3D(3, 3, 2, padding="same"), (3, 3, 4, 3)),
    "convolution, dilated": (PICTURE, lambda: layers.Conv2D(3, 3, dilation_rate=2), (6, 5, 3)),
    "convolution, two groups": (
        PICTURE,
        lambda: layers.Conv2D(6, 3, padding="same", groups=2),
        (10, 9, 6),
    ),
    "convolution, one group a pair": (
        (8, 8, 16),
        lambda: layers.Conv2D(32, 3, 2, padding="same", groups=8, use_bias=False),
        (4, 4, 32),
    ),
    "convolution, depthwise": (
        PICTURE,
        lambda: layers.DepthwiseConv2D(3, 2, depth_multiplier=2),
        (4, 4, 8),
    ),
    "convolution, separable": (PICTURE, lambda: layers.SeparableConv2D(5, 3), (8, 7, 5)),
    "convolution, separable 1-D": (SEQUENCE, lambda: layers.SeparableConv1D(5, 3), (10, 5)),
    "convolution, transposed": (
        PICTURE,
        lambda: layers.Conv2DTranspose(3, 4, 2, padding="same"),
        (20, 18, 3),
    ),
    "pooling, depth-wise": (PICTURE, lambda: zoo.DepthwiseMaxPooling(2), (10, 9, 2)),
    "pooling, depth-wise of a sequence": (SEQUENCE, lambda: zoo.DepthwiseMaxPooling(4), (12, 1)),
    "pooling, global average": (PICTURE, layers.GlobalAveragePooling2D, (4,)),
    "pooling, global average of a sequence": (SEQUENCE, layers.GlobalAveragePooling1D, (4,)),
    "normalization, local response": (
        PICTURE,
        lambda: zoo.LocalResponseNormalization(1, offset=1.0, alpha=0.5),
        (10, 9, 4),
    ),
}


def network(kind: str) -> keras.Model:
    shape, make, _ = KINDS[kind]
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape, name="inputs")
    return keras.Model(inputs, make()(inputs))


def samples(kind: str) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 1, (2, *KINDS[kind][0])).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_layer_answers_the_same_in_keras_tflite_and_onnx(kind: str, tmp_path: Path) -> None:
    model, batch = network(kind), samples(kind)
    assert model.output_shape == (None, *KINDS[kind][2])
    frozen = freeze(model)
    (tmp_path / "a.tflite").write_bytes(tflite.float32(frozen))
    (tmp_path / "a.onnx").write_bytes(onnx.float32(frozen))
    engines = LiteRt(tmp_path / "a.tflite", threads=1), OnnxRuntime(tmp_path / "a.onnx", threads=1)
    expected = np.asarray(model(batch, training=False))
    assert np.ptp(expected) > 0.1
    for engine in engines:
        answers = [engine.invoke(sample[None])[0] for sample in batch]
        np.testing.assert_allclose(answers, expected, atol=1e-5)


def test_local_response_normalization_is_the_papers_formula() -> None:
    x = np.random.default_rng(0).normal(0, 10, (1, 2, 2, 7)).astype(np.float32)
    answer = zoo.LocalResponseNormalization()(x)
    expected = np.empty_like(x)
    for channel in range(7):
        neighbours = x[..., max(0, channel - 2) : channel + 3]
        strength = 2.0 + 1e-4 * np.sum(neighbours**2, axis=-1)
        expected[..., channel] = x[..., channel] / strength**0.75
    np.testing.assert_allclose(answer, expected, rtol=1e-5)


def test_depthwise_pooling_keeps_the_largest_of_neighbouring_channels() -> None:
    x = np.array([[1.0, 5.0, -3.0, -2.0]], np.float32)
    np.testing.assert_array_equal(zoo.DepthwiseMaxPooling(2)(x), [[5.0, -2.0]])


def test_own_layers_come_back_from_a_keras_file(tmp_path: Path) -> None:
    inputs = keras.Input((4, 4, 6))
    x = zoo.LocalResponseNormalization(1, offset=3.0, alpha=0.2, beta=0.5)(inputs)
    model = keras.Model(inputs, zoo.DepthwiseMaxPooling(3)(x))
    model.save(tmp_path / "own.keras")
    photo = np.random.default_rng(0).normal(size=(1, 4, 4, 6)).astype(np.float32)
    again = keras.models.load_model(tmp_path / "own.keras")
    np.testing.assert_array_equal(again(photo), model(photo))


@pytest.mark.parametrize(
    "make",
    [
        lambda: zoo.DepthwiseMaxPooling(0),
        lambda: zoo.DepthwiseMaxPooling(3)(keras.Input((4, 4, 8))),
        lambda: zoo.LocalResponseNormalization(-1),
        lambda: zoo.LocalResponseNormalization(offset=0.0),
    ],
)
def test_constants_that_cannot_be_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"groups of|channels in|may divide by zero"):
        make()
