"""Write small real model files with the stock converters; run as a script: FOLDER."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import tensorflow as tf  # isort: skip
import keras
import numpy as np
import tf2onnx
from keras import layers


def network() -> keras.Model:
    keras.utils.set_random_seed(1)
    image = keras.Input((32, 32, 3), batch_size=1, name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    for index, channels in enumerate((8, 16)):
        x = layers.Conv2D(channels, 3, 2, "same", use_bias=False, name=f"conv{index}")(x)
        x = layers.ReLU(6, name=f"relu{index}")(layers.BatchNormalization()(x))
        x = layers.DepthwiseConv2D(3, 1, "same", activation="relu", name=f"depthwise{index}")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(4, activation="softmax", name="scores")(x))


def two_convolutions(between: Callable[[tf.Tensor], tf.Tensor], scale: float) -> bytes:
    """Return a TFLite file with something between its two layers."""
    random = np.random.default_rng(0)
    first = tf.constant(random.normal(0, 0.2, (3, 3, 3, 8)), tf.float32)
    second = tf.constant(random.normal(0, 0.2, (3, 3, 8, 8)), tf.float32)
    last = tf.constant(random.normal(0, 0.3, (8, 4)), tf.float32)

    def infer(x: tf.Tensor) -> tf.Tensor:
        x = between(tf.nn.relu(tf.nn.conv2d(x * scale, first, 2, "SAME")))
        x = tf.nn.relu(tf.nn.conv2d(x, second, 2, "SAME"))
        return tf.nn.softmax(tf.matmul(tf.reduce_mean(x, [1, 2]), last))

    signature = [tf.TensorSpec((1, 32, 32, 3), tf.float32, name="image")]
    concrete = tf.function(infer, signature).get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert()


def beyond_float16(x: tf.Tensor) -> tf.Tensor:
    """Return about what came in, by way of numbers around a million."""
    kernel = np.eye(8, dtype=np.float32)[None, None]
    x = tf.nn.conv2d(x, tf.constant(kernel * 1e4), 1, "SAME")
    return tf.nn.conv2d(tf.nn.relu(x), tf.constant(kernel * 1e-4), 1, "SAME")


def remainder(x: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.cast(8 * x, tf.int64) % 7, tf.float32)


def main(folder: Path) -> None:
    # A GPU takes no 64-bit integers, and float16 ends at 65,504.
    mixed = two_convolutions(remainder, scale=1 / 255)
    (folder / "tiny-mixed.tflite").write_bytes(mixed)
    (folder / "tiny-overflow.tflite").write_bytes(two_convolutions(beyond_float16, scale=1.0))
    model = network()
    signature = [tf.TensorSpec((1, 32, 32, 3), tf.float32, name="image")]
    concrete = tf.function(lambda x: model(x, training=False), signature).get_concrete_function()
    (folder / "tiny-float32.tflite").write_bytes(
        tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert()
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    random = np.random.default_rng(0)
    converter.representative_dataset = lambda: (
        [random.integers(0, 256, (1, 32, 32, 3)).astype(np.float32)] for _ in range(16)
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    (folder / "tiny-int8.tflite").write_bytes(converter.convert())
    proto, _ = tf2onnx.convert.from_function(
        tf.function(lambda x: model(x, training=False)), signature, opset=17
    )
    (folder / "tiny-float32.onnx").write_bytes(proto.SerializeToString())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
