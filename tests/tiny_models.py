"""Write small real model files with the stock converters; run as a script: FOLDER."""

import os
import sys
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


def main(folder: Path) -> None:
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
