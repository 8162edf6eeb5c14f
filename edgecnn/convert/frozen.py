"""A Keras model to one frozen inference graph: the common source of all formats.

Freezing first, instead of going through a SavedModel, makes the TFLite conversion
several times faster, and keeps the converter from writing variables as resources.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf  # isort: skip - before keras, or the converter fails later
import keras
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

INPUT_NAME = "image"
OUTPUT_NAME = "scores"


@dataclasses.dataclass(frozen=True, eq=False)
class Frozen:
    """An inference graph whose weights are constants.

    Attributes:
        function: TensorFlow's concrete function, one input and one output.
        shape: [N, H, W, C] or another fixed shape of the input, float32.
    """

    function: Any
    shape: tuple[int, ...]


def freeze(model: keras.Model, *, batch: int = 1) -> Frozen:
    """Freeze a model for inference: dropout gone, batch norm ready to be folded.

    Args:
        model: One input, one output.
        batch: The fixed batch size of the graph.
    """
    return freeze_call(lambda image: model(image, training=False), (batch, *model.input_shape[1:]))


def freeze_call(call: Callable[[Any], Any], shape: tuple[int, ...]) -> Frozen:
    """Freeze what TensorFlow's operations make of one tensor.

    Args:
        call: Takes a tensor of the shape, float32, and returns one; traced once.
        shape: All sizes known, the batch's too.
    """

    def infer(image: tf.Tensor) -> tf.Tensor:
        return tf.identity(call(image), name=OUTPUT_NAME)

    signature = tf.TensorSpec(shape, tf.float32, name=INPUT_NAME)
    with _without_inner_functions():
        # As it is written: AutoGraph would rewrite the callers of what is traced, and their errors.
        concrete = tf.function(infer, autograph=False).get_concrete_function(signature)
    return Frozen(convert_variables_to_constants_v2(concrete), shape)


@contextlib.contextmanager
def _without_inner_functions() -> Iterator[None]:
    """Trace calls of compiled functions as the operations in them.

    Keras puts a grouped convolution into a function for XLA, which tf2onnx does not open.
    """
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)
