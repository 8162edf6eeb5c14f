"""TFLite's float operations as TensorFlow's: batched, differentiable, equal to the runtime's.

Shapes in a file are those of one photo. Whatever holds one is taken with a free first axis
here, so that a graph that was converted for one photo runs on a batch.

Source: TFLite's schema for the options, its reference kernels for what they mean.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeAlias

import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

_NO_PADDING = (0, 0)


@dataclasses.dataclass(frozen=True)
class Call:
    """One operation and what it reads.

    Attributes:
        values: Its inputs in order: tensors; integer constants as arrays; None where an
            optional one is absent.
        options: TFLite's builtin options of the operation; None where it has none.
        shape: Of its first output for one photo.
    """

    values: tuple[Any, ...]
    options: Any
    shape: tuple[int, ...]

    def __getitem__(self, position: int) -> Any:
        """Return an input, None where the file leaves it out."""
        return self.values[position] if position < len(self.values) else None


Operation: TypeAlias = Callable[[Call], Any]


def run_operation(name: str, call: Call) -> tuple[Any, ...]:
    """Return the outputs of an operation before its fused activation.

    Args:
        name: Its name in TFLite, a key of `OPERATIONS`.
        call: What it reads.
    """
    made = OPERATIONS[name](call)
    return tuple(made) if isinstance(made, list | tuple) else (made,)


def activated(options: Any, value: Any) -> Any:
    """Return an output after the activation that its operation's options name."""
    fused = _ACTIVATIONS.get(getattr(options, "fusedActivationFunction", 0))
    return fused(value) if fused else value


_ACTIVATIONS: dict[int, Callable[[Any], Any]] = {
    schema.ActivationFunctionType.RELU: tf.nn.relu,
    schema.ActivationFunctionType.RELU6: tf.nn.relu6,
    schema.ActivationFunctionType.RELU_N1_TO_1: lambda x: tf.clip_by_value(x, -1.0, 1.0),
    schema.ActivationFunctionType.TANH: tf.tanh,
}


def _convolution(call: Call) -> Any:
    """[N, H, W, I] with weights [O, h, w, I / groups]."""
    options, x = call.options, call[0]
    kernel = tf.transpose(call[1], (1, 2, 3, 0))
    groups = x.shape[-1] // kernel.shape[2]
    # TensorFlow has no gradient of a grouped convolution on a CPU.
    pairs = zip(tf.split(x, groups, -1), tf.split(kernel, groups, -1), strict=True)
    parts = [
        tf.nn.conv2d(
            part,
            weights,
            (options.strideH, options.strideW),
            _padding(options),
            dilations=(options.dilationHFactor, options.dilationWFactor),
        )
        for part, weights in pairs
    ]
    return _with_bias(tf.concat(parts, -1) if groups > 1 else parts[0], call[2])


def _depthwise(call: Call) -> Any:
    """[N, H, W, C] with weights [1, h, w, C * multiplier]."""
    options, x = call.options, call[0]
    _, height, width, outputs = call[1].shape
    kernel = tf.reshape(call[1], (height, width, x.shape[-1], outputs // x.shape[-1]))
    dilations = (options.dilationHFactor, options.dilationWFactor)
    if options.strideH == options.strideW:
        strides = (1, options.strideH, options.strideW, 1)
        y = tf.nn.depthwise_conv2d(x, kernel, strides, _padding(options), dilations=dilations)
    else:  # TensorFlow wants equal strides: compute all positions of the finer one, and choose
        y = _depthwise_uneven(x, kernel, options)
    return _with_bias(y, call[2])


def _depthwise_uneven(x: Any, kernel: Any, options: Any) -> Any:
    strides = (options.strideH, options.strideW)
    if options.padding == schema.Padding.SAME:
        pads = [
            _same(n, k, s) for n, k, s in zip(x.shape[1:3], kernel.shape[:2], strides, strict=True)
        ]
        x = tf.pad(x, (_NO_PADDING, *pads, _NO_PADDING))
    y = tf.nn.depthwise_conv2d(x, kernel, (1, 1, 1, 1), "VALID")
    return y[:, :: strides[0], :: strides[1]]


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _transposed(call: Call) -> Any:
    """Output shape, weights [O, h, w, I], [N, H, W, I] and perhaps a bias."""
    options, x = call.options, call[2]
    kernel = tf.transpose(call[1], (1, 2, 0, 3))
    y = tf.nn.conv2d_transpose(
        x,
        kernel,
        (tf.shape(x)[0], *call.shape[1:]),
        (options.strideH, options.strideW),
        _padding(options),
    )
    return _with_bias(y, call[3])


def _convolution_3d(call: Call) -> Any:
    options = call.options
    strides = (1, options.strideD, options.strideH, options.strideW, 1)
    return _with_bias(tf.nn.conv3d(call[0], call[1], strides, _padding(options)), call[2])


def _dense(call: Call) -> Any:
    """[N, ...] with weights [O, I]."""
    rows = tf.reshape(call[0], (-1, call[1].shape[1]))
    return _reshaped(_with_bias(tf.matmul(rows, call[1], transpose_b=True), call[2]), call.shape)


def _with_bias(x: Any, bias: Any) -> Any:
    return x if bias is None else x + bias


def _padding(options: Any) -> str:
    return "SAME" if options.padding == schema.Padding.SAME else "VALID"


def _pooling(kind: Callable[..., Any]) -> Operation:
    def pool(call: Call) -> Any:
        options = call.options
        window = (options.filterHeight, options.filterWidth)
        return kind(call[0], window, (options.strideH, options.strideW), _padding(options))

    return pool


def _reduction(kind: Callable[..., Any]) -> Operation:
    def reduce(call: Call) -> Any:
        return kind(call[0], call[1].reshape(-1).tolist(), keepdims=bool(call.options.keepDims))

    return reduce


def _resizing(kind: Callable[..., Any]) -> Operation:
    def resize(call: Call) -> Any:
        return kind(
            images=call[0],
            size=call[1],
            align_corners=bool(call.options.alignCorners),
            half_pixel_centers=bool(call.options.halfPixelCenters),
        )

    return resize


def _reshaped(x: Any, shape: tuple[int, ...]) -> Any:
    """Reshape each photo's part; the file's shape is that of one photo."""
    if len(shape) == 1:  # the one position of a photo, about to be added to such
        return tf.reshape(x, (-1, 1, 1, *shape))
    return tf.reshape(x, (-1, *shape[1:]))


def _reshape(call: Call) -> Any:
    return _reshaped(call[0], call.shape)


def _slice(call: Call) -> Any:
    begin, size = call[1], call[2].copy()
    size[0] = -1
    return tf.slice(call[0], begin, size)


def _strided_slice(call: Call) -> Any:
    options = call.options
    return tf.strided_slice(
        call[0],
        *call.values[1:4],
        begin_mask=options.beginMask | 1,
        end_mask=options.endMask | 1,
        ellipsis_mask=options.ellipsisMask,
        new_axis_mask=options.newAxisMask,
        shrink_axis_mask=options.shrinkAxisMask,
    )


def _mirror_pad(call: Call) -> Any:
    symmetric = call.options.mode == schema.MirrorPadMode.SYMMETRIC
    return tf.pad(call[0], call[1], "SYMMETRIC" if symmetric else "REFLECT")


def _local_response(call: Call) -> Any:
    options = call.options
    return tf.nn.local_response_normalization(
        call[0], options.radius, options.bias, options.alpha, options.beta
    )


PAIRWISE = frozenset(
    {"ADD", "DIV", "MAXIMUM", "MINIMUM", "MUL", "POW", "SQUARED_DIFFERENCE", "SUB"}
)
"""These broadcast their two inputs."""


def aligned(x: Any, rank: int) -> Any:
    """Return a batch of lower rank, [N, C], as one that broadcasts photo by photo: [N, 1, 1, C]."""
    missing = rank - len(x.shape)
    return tf.reshape(x, (-1, *[1] * missing, *x.shape[1:])) if missing > 0 else x


def _elementwise(kind: Callable[[Any], Any]) -> Operation:
    return lambda call: kind(call[0])


def _pairwise(kind: Callable[[Any, Any], Any]) -> Operation:
    return lambda call: kind(call[0], call[1])


OPERATIONS: dict[str, Operation] = {
    "ABS": _elementwise(tf.abs),
    "ADD": _pairwise(tf.add),
    "AVERAGE_POOL_2D": _pooling(tf.nn.avg_pool2d),
    "BATCH_TO_SPACE_ND": lambda call: tf.batch_to_space(*call.values),
    "CONCATENATION": lambda call: tf.concat(call.values, call.options.axis),
    "CONV_2D": _convolution,
    "CONV_3D": _convolution_3d,
    "DEPTHWISE_CONV_2D": _depthwise,
    "DEPTH_TO_SPACE": lambda call: tf.nn.depth_to_space(call[0], call.options.blockSize),
    "DIV": _pairwise(tf.divide),
    "ELU": _elementwise(tf.nn.elu),
    "EXP": _elementwise(tf.exp),
    "EXPAND_DIMS": _reshape,
    "FULLY_CONNECTED": _dense,
    "GELU": lambda call: tf.nn.gelu(call[0], approximate=bool(call.options.approximate)),
    "HARD_SWISH": lambda call: call[0] * tf.nn.relu6(call[0] + 3.0) / 6.0,
    "LEAKY_RELU": lambda call: tf.nn.leaky_relu(call[0], call.options.alpha),
    "LOCAL_RESPONSE_NORMALIZATION": _local_response,
    "LOGISTIC": _elementwise(tf.sigmoid),
    "LOG_SOFTMAX": _elementwise(tf.nn.log_softmax),
    "MAXIMUM": _pairwise(tf.maximum),
    "MAX_POOL_2D": _pooling(tf.nn.max_pool2d),
    "MEAN": _reduction(tf.reduce_mean),
    "MINIMUM": _pairwise(tf.minimum),
    "MIRROR_PAD": _mirror_pad,
    "MUL": _pairwise(tf.multiply),
    "NEG": _elementwise(tf.negative),
    "PACK": lambda call: tf.stack(call.values, call.options.axis),
    "PAD": lambda call: tf.pad(call[0], call[1]),
    "PADV2": lambda call: tf.pad(call[0], call[1], constant_values=call[2]),
    "POW": _pairwise(tf.pow),
    "PRELU": lambda call: tf.nn.relu(call[0]) - call[1] * tf.nn.relu(-call[0]),
    "REDUCE_MAX": _reduction(tf.reduce_max),
    "REDUCE_MIN": _reduction(tf.reduce_min),
    "RELU": _elementwise(tf.nn.relu),
    "RELU6": _elementwise(tf.nn.relu6),
    "RESHAPE": _reshape,
    "RESIZE_BILINEAR": _resizing(tf.raw_ops.ResizeBilinear),
    "RESIZE_NEAREST_NEIGHBOR": _resizing(tf.raw_ops.ResizeNearestNeighbor),
    "RSQRT": _elementwise(tf.math.rsqrt),
    "SLICE": _slice,
    "SOFTMAX": lambda call: tf.nn.softmax(call[0] * call.options.beta),
    "SPACE_TO_BATCH_ND": lambda call: tf.space_to_batch(*call.values),
    "SPACE_TO_DEPTH": lambda call: tf.nn.space_to_depth(call[0], call.options.blockSize),
    "SPLIT": lambda call: tf.split(call[1], call.options.numSplits, int(call[0])),
    "SPLIT_V": lambda call: tf.split(call[0], call[1].tolist(), int(call[2])),
    "SQRT": _elementwise(tf.sqrt),
    "SQUARE": _elementwise(tf.square),
    "SQUARED_DIFFERENCE": _pairwise(tf.math.squared_difference),
    "SQUEEZE": _reshape,
    "STRIDED_SLICE": _strided_slice,
    "SUB": _pairwise(tf.subtract),
    "SUM": _reduction(tf.reduce_sum),
    "TANH": _elementwise(tf.tanh),
    "TILE": lambda call: tf.tile(call[0], call[1]),
    "TRANSPOSE": lambda call: tf.transpose(call[0], call[1]),
    "TRANSPOSE_CONV": _transposed,
    "UNPACK": lambda call: tf.unstack(call[0], axis=call.options.axis),
}
