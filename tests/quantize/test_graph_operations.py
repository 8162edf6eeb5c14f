"""One tiny TFLite file an operation: TensorFlow's answer on a batch against the runtime's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import tensorflow as tf

from edgecnn.convert import tflite
from edgecnn.convert.frozen import freeze_call
from edgecnn.quantize.graph_function import GraphFunction
from edgecnn.quantize.graph_operations import OPERATIONS

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

SHAPE = (1, 9, 12, 8)
RANDOM = np.random.default_rng(4)


def constant(*shape: int) -> np.ndarray:
    return RANDOM.normal(0, 0.4, shape).astype(np.float32)


def conv(kernel: tuple[int, ...] = (3, 3, 8, 6), stride: Any = 1, **options: Any) -> Callable:
    weights = constant(*kernel)
    padding = options.pop("padding", "SAME")
    return lambda x: tf.nn.conv2d(x, weights, stride, padding, **options)


def depthwise(stride: int = 1, multiplier: int = 1, padding: str = "SAME") -> Callable:
    weights = constant(3, 3, 8, multiplier)
    strides = (1, stride, stride, 1)
    return lambda x: tf.nn.depthwise_conv2d(x, weights, strides, padding)


def transposed(padding: str) -> Callable:
    weights = constant(3, 3, 5, 8)
    shape = (1, 18, 24, 5) if padding == "SAME" else (1, 19, 25, 5)
    return lambda x: tf.nn.conv2d_transpose(x, weights, shape, 2, padding)


def pooled(kind: Callable, **options: Any) -> Callable:
    return lambda x: kind(x, 3, 2, options.get("padding", "SAME"))


def dense(x: Any) -> Any:
    return tf.matmul(tf.reshape(x, (1, -1)), constant(9 * 12 * 8, 5))


def resized(kind: str, **options: bool) -> Callable:
    return lambda x: getattr(tf.raw_ops, kind)(images=x, size=(13, 20), **options)


# name: graph, the operation that the file must hold
GRAPHS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "convolution": (conv(), "CONV_2D"),
    "convolution, bias and relu6": (
        lambda x: tf.nn.relu6(conv()(x) + np.float32([1, 2, 3, -1, -2, 0])), "CONV_2D"
    ),
    "convolution, strided": (conv(stride=2), "CONV_2D"),
    "convolution, valid, uneven strides": (conv(stride=(1, 2), padding="VALID"), "CONV_2D"),
    "convolution, dilated": (conv(dilations=2, padding="VALID"), "CONV_2D"),
    "convolution, grouped": (conv((3, 3, 2, 8)), "CONV_2D"),
    "convolution, 3-D": (
        lambda x: tf.nn.conv3d(tf.reshape(x, (1, 9, 6, 4, 4)), constant(2, 3, 3, 4, 3),
                               (1, 1, 2, 1, 1), "SAME"), "CONV_3D"
    ),
    "depthwise": (depthwise(), "DEPTHWISE_CONV_2D"),
    "depthwise, strided": (depthwise(2), "DEPTHWISE_CONV_2D"),
    "depthwise, of two, valid": (depthwise(2, 2, "VALID"), "DEPTHWISE_CONV_2D"),
    "transposed": (transposed("SAME"), "TRANSPOSE_CONV"),
    "transposed, valid": (transposed("VALID"), "TRANSPOSE_CONV"),
    "dense": (dense, "FULLY_CONNECTED"),
    "average pooling": (pooled(tf.nn.avg_pool2d), "AVERAGE_POOL_2D"),
    "average pooling, valid": (pooled(tf.nn.avg_pool2d, padding="VALID"), "AVERAGE_POOL_2D"),
    "max pooling": (pooled(tf.nn.max_pool2d), "MAX_POOL_2D"),
    "mean": (lambda x: tf.reduce_mean(x, (1, 2)), "MEAN"),
    "mean, kept": (lambda x: tf.reduce_mean(x, (1, 2), keepdims=True), "MEAN"),
    "sum": (lambda x: tf.reduce_sum(x, -1), "SUM"),
    "maximum over": (lambda x: tf.reduce_max(x, (1, 2)), "REDUCE_MAX"),
    "minimum over": (lambda x: tf.reduce_min(x, (1, 2)), "REDUCE_MIN"),
    "sum of two": (lambda x: x + tf.nn.relu(x), "ADD"),
    "difference": (lambda x: x - tf.nn.relu(x), "SUB"),
    "product": (lambda x: x * tf.reduce_mean(x, (1, 2), keepdims=True), "MUL"),
    "quotient": (lambda x: x / (2.0 + tf.nn.relu(x)), "DIV"),
    "larger": (lambda x: tf.maximum(x, constant(8)), "MAXIMUM"),
    "smaller": (lambda x: tf.minimum(x, -x), "MINIMUM"),
    "squared difference": (
        lambda x: tf.math.squared_difference(x, tf.reduce_mean(x, -1, keepdims=True)),
        "SQUARED_DIFFERENCE",
    ),
    "power": (lambda x: tf.pow(tf.abs(x), 1.3), "POW"),
    "negative": (lambda x: tf.reduce_max(-x, 1), "NEG"),
    "absolute": (tf.abs, "ABS"),
    "exponential": (tf.exp, "EXP"),
    "square": (tf.square, "SQUARE"),
    "root": (lambda x: tf.sqrt(tf.abs(x)), "SQRT"),
    "inverse root": (lambda x: tf.math.rsqrt(tf.abs(x) + 1.0), "RSQRT"),
    "relu": (tf.nn.relu, "RELU"),
    "relu6": (lambda x: tf.nn.relu6(tf.exp(x)), "RELU6"),
    "leaky relu": (lambda x: tf.nn.leaky_relu(x, 0.1), "LEAKY_RELU"),
    "elu": (tf.nn.elu, "ELU"),
    "hard swish": (lambda x: x * tf.nn.relu6(x + 3.0) * (1 / 6), "HARD_SWISH"),
    "sigmoid": (tf.sigmoid, "LOGISTIC"),
    "tanh": (tf.tanh, "TANH"),
    "gelu": (tf.nn.gelu, "GELU"),
    "softmax": (tf.nn.softmax, "SOFTMAX"),
    "log softmax": (tf.nn.log_softmax, "LOG_SOFTMAX"),
    "prelu": (
        lambda x: tf.nn.relu(x) + constant(1, 1, 8) * tf.nn.relu(-x), "PRELU"
    ),
    "local response": (
        lambda x: tf.nn.local_response_normalization(x, 2, 1.5, 0.1, 0.7),
        "LOCAL_RESPONSE_NORMALIZATION",
    ),
    "concatenated": (lambda x: tf.concat((x, tf.abs(x)), -1), "CONCATENATION"),
    "stacked": (lambda x: tf.stack((x, tf.abs(x)), 2), "PACK"),
    "unstacked": (lambda x: tf.add(*tf.unstack(x, axis=1)[3:5]), "UNPACK"),
    "split": (lambda x: tf.split(x, 2, -1)[1], "SPLIT"),
    "split in parts": (lambda x: tf.add(*tf.split(x, (4, 1, 4), 1)[::2]), "SPLIT_V"),
    "padded": (lambda x: tf.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0))), "PAD"),
    "padded with a number": (
        lambda x: tf.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0)), constant_values=-3.0), "PADV2"
    ),
    "mirrored": (lambda x: tf.pad(x, ((0, 0), (1, 2), (2, 1), (0, 0)), "REFLECT"), "MIRROR_PAD"),
    "mirrored with the edge": (
        lambda x: tf.pad(x, ((0, 0), (1, 2), (2, 1), (0, 0)), "SYMMETRIC"), "MIRROR_PAD"
    ),
    "reshaped": (lambda x: tf.nn.relu(tf.reshape(x, (1, 108, 8))), "RESHAPE"),
    "rows without a batch": (
        lambda x: tf.reshape(tf.matmul(tf.reshape(x, (108, 8)), constant(8, 5)), (1, 9, 12, 5)),
        "FULLY_CONNECTED",
    ),
    "transposed axes": (lambda x: tf.transpose(x, (0, 2, 1, 3)), "TRANSPOSE"),
    "sliced": (lambda x: tf.slice(x, (0, 1, 2, 0), (1, 4, 5, 8)), "SLICE"),
    "sliced with steps": (lambda x: x[:, 1::2, :-1, ::-1], "STRIDED_SLICE"),
    "tiled": (lambda x: tf.tile(x, (1, 2, 1, 1)), "TILE"),
    "bilinear": (
        resized("ResizeBilinear", half_pixel_centers=True), "RESIZE_BILINEAR"
    ),
    "bilinear, corners": (resized("ResizeBilinear", align_corners=True), "RESIZE_BILINEAR"),
    "nearest": (
        resized("ResizeNearestNeighbor", half_pixel_centers=True), "RESIZE_NEAREST_NEIGHBOR"
    ),
    "depth to space": (lambda x: tf.nn.depth_to_space(x, 2), "DEPTH_TO_SPACE"),
    "space to depth": (lambda x: tf.nn.space_to_depth(x[:, :8], 2), "SPACE_TO_DEPTH"),
    "space to batch and back": (
        lambda x: tf.batch_to_space(
            tf.abs(tf.space_to_batch(x, (2, 2), ((0, 1), (0, 0)))), (2, 2), ((0, 1), (0, 0))
        ), "SPACE_TO_BATCH_ND",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GRAPHS)
def test_an_operation_gives_the_runtimes_answer_on_a_batch(name: str) -> None:
    from ai_edge_litert.interpreter import Interpreter

    call, operation = GRAPHS[name]
    content = tflite.float32(freeze_call(call, SHAPE))
    graph = GraphFunction(content)
    assert operation in {step.name for step in graph.steps}
    inputs = np.random.default_rng(1).normal(0, 1.5, (3, *SHAPE[1:])).astype(np.float32)
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    entry, leave = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    expected = []
    for value in inputs:
        interpreter.set_tensor(entry["index"], value[None])
        interpreter.invoke()
        expected.append(interpreter.get_tensor(leave["index"])[0])
    found = graph(tf.constant(inputs))[graph.output].numpy()
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(found, np.stack(expected), atol=1e-5 * scale)


def test_every_operation_is_tried() -> None:
    tried = {operation for _, operation in GRAPHS.values()}
    moves_only = {"EXPAND_DIMS", "SQUEEZE", "BATCH_TO_SPACE_ND"}  # reshapes, and a way back
    assert tried | moves_only == set(OPERATIONS)
