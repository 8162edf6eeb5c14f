"""ONNX operations in TensorFlow's: all that image classifiers are made of.

Each takes a `Node` and returns its outputs. What is computed from constants alone never gets
here: `edgecnn.convert.onnx_file` has done it before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from edgecnn.convert.onnx_node import Node, Unsupported, Value
from edgecnn.convert.onnx_tensor import Tensor, plain, spread
from edgecnn.convert.onnx_window import average_pool, convolution, max_pool

Translation: TypeAlias = Callable[[Node], Tensor | list[Tensor]]

_SIXTH = 1 / 6


def _pointwise(function: Callable[[Any], Any], *, is_positive: bool = False) -> Translation:
    def translate(node: Node) -> Tensor:
        x = node.tensor(0)
        return x.like(function(x.held), is_positive=is_positive)

    return translate


def _same_value(node: Node) -> Tensor:
    return node.tensor(0)


def _clip(node: Node) -> Tensor:
    x = node.tensor(0)
    low, high = node.setting("min", 1, -np.inf), node.setting("max", 2, np.inf)
    if low == 0 and high == 6:
        held = tf.nn.relu6(x.held)
    elif low == 0 and not np.isfinite(high):
        held = tf.nn.relu(x.held)
    else:
        held = tf.minimum(tf.maximum(x.held, np.float32(low)), np.float32(high))
    return x.like(held, is_positive=low >= 0)


def _hard_sigmoid(node: Node) -> Tensor:
    x = node.tensor(0)
    alpha, beta = node.get("alpha", 0.2), node.get("beta", 0.5)
    if abs(alpha - _SIXTH) < 1e-4 and beta == 0.5:  # the form that TFLite fuses
        return x.like(tf.nn.relu6(x.held + 3.0) * _SIXTH, is_positive=True)
    held = tf.minimum(tf.nn.relu(x.held * alpha + beta), 1.0)
    return x.like(held, is_positive=True)


def _hard_swish(node: Node) -> Tensor:
    x = node.tensor(0)
    return x.like(x.held * (tf.nn.relu6(x.held + 3.0) * _SIXTH))


def _leaky_relu(node: Node) -> Tensor:
    x = node.tensor(0)
    return x.like(tf.nn.leaky_relu(x.held, node.get("alpha", 0.01)))


def _elu(node: Node) -> Tensor:
    if node.get("alpha", 1.0) != 1:
        raise Unsupported("Elu with an alpha")
    return _pointwise(tf.nn.elu)(node)  # type: ignore[return-value]


def _prelu(node: Node) -> Tensor:
    x = node.tensor(0)
    slope = spread(node.constant(1), x.order)
    return x.like(tf.nn.relu(x.held) - slope * tf.nn.relu(-x.held))


def _gelu(node: Node) -> Tensor:
    x = node.tensor(0)
    return x.like(tf.nn.gelu(x.held, approximate=node.get("approximate", b"none") == b"tanh"))


def _cast(node: Node) -> Tensor:
    kind = node.get("to", 1)
    if kind not in (1, 10, 11):  # floats of whatever width: one width here
        raise Unsupported("Cast to a type that is no float")
    return node.tensor(0)


def _binary(function: Callable[[Any, Any], Any]) -> Translation:
    def translate(node: Node) -> Tensor:
        if len(node.inputs) == 1:
            return node.tensor(0)
        result = _combined(function, node.inputs[0], node.inputs[1])
        for value in node.inputs[2:]:
            result = _combined(function, result, value)
        return result

    return translate


def _combined(function: Callable[[Any, Any], Any], a: Value | None, b: Value | None) -> Tensor:
    first = a if isinstance(a, Tensor) else b
    if not isinstance(first, Tensor) or a is None or b is None:
        raise Unsupported("an operation on constants")
    rank = max(len(v.order) if isinstance(v, Tensor) else v.ndim for v in (a, b))
    if len(first.order) < rank:
        first = first.reshaped((1,) * (rank - len(first.order)) + first.shape)
    sides = [_held_as(value, first.order) for value in (a, b)]
    both = all(isinstance(v, Tensor) and v.is_positive for v in (a, b))
    return first.like(function(*sides), is_positive=both and function is tf.add)


def _held_as(value: Value, order: tuple[int, ...]) -> Any:
    if isinstance(value, Tensor):
        missing = len(order) - len(value.order)
        return value.reshaped((1,) * missing + value.shape).ordered(order).held
    return spread(value.astype(np.float32), order)


def _batch_norm(node: Node) -> Tensor:
    x = node.tensor(0)
    gamma, beta, mean, variance = (node.constant(i).astype(np.float64) for i in range(1, 5))
    gain = gamma / np.sqrt(variance + node.get("epsilon", 1e-5))
    shape = (1, -1) + (1,) * (len(x.order) - 2)
    shift = beta - mean * gain
    held = x.held * spread(gain.reshape(shape).astype(np.float32), x.order)
    return x.like(held + spread(shift.reshape(shape).astype(np.float32), x.order))


def _layer_norm(node: Node) -> Tensor:
    x = node.tensor(0)
    first = node.get("axis", -1) % len(x.order)
    axes = [x.place(axis) for axis in range(first, len(x.order))]
    centred = x.held - tf.reduce_mean(x.held, axes, keepdims=True)
    variance = tf.reduce_mean(centred * centred, axes, keepdims=True)
    held = centred * tf.math.rsqrt(variance + node.get("epsilon", 1e-5))
    held = held * spread(node.constant(1), x.order)
    return x.like(held + spread(node.constant(2), x.order) if len(node) > 2 else held)


def _local_norm(node: Node) -> Tensor:
    x, size = node.image(0), node.get("size", 5)
    if size % 2 == 0:
        raise Unsupported("LRN over an even number of channels")
    alpha, beta = node.get("alpha", 1e-4), node.get("beta", 0.75)
    held = tf.nn.local_response_normalization(
        x.held, size // 2, node.get("bias", 1.0), alpha / size, beta
    )
    return x.like(held, is_positive=x.is_positive)


def _global(function: Callable[..., Any]) -> Translation:
    def translate(node: Node) -> Tensor:
        x = node.tensor(0)
        axes = [x.place(axis) for axis in range(2, len(x.order))]
        return x.like(function(x.held, axes, keepdims=True), is_positive=x.is_positive)

    return translate


def _reduction(function: Callable[..., Any]) -> Translation:
    def translate(node: Node) -> Tensor:
        x = node.tensor(0)
        axes = node.setting("axes", 1) or list(range(len(x.order)))
        held = function(x.held, sorted(x.place(axis) for axis in axes), keepdims=True)
        kept = x.like(held, is_positive=x.is_positive)
        if node.get("keepdims", 1):
            return kept
        gone = {axis % len(x.order) for axis in axes}
        return kept.reshaped([n for axis, n in enumerate(kept.shape) if axis not in gone])

    return translate


def _softmax(function: Callable[..., Any]) -> Translation:
    def translate(node: Node) -> Tensor:
        x = node.tensor(0)
        axis = node.get("axis", -1 if node.version >= 13 else 1) % len(x.order)
        if node.version < 13 and any(size != 1 for size in x.shape[axis + 1 :]):
            raise Unsupported(f"{node.op} over several axes")
        place = x.place(axis)
        if place == len(x.order) - 1:
            return x.like(function(x.held), is_positive=function is tf.nn.softmax)
        order = (*(a for a in range(len(x.order)) if a != axis), axis)
        return Tensor(function(x.ordered(order).held), order, function is tf.nn.softmax)

    return translate


def _gemm(node: Node) -> Tensor:
    x, weights = node.tensor(0), node.constant(1).astype(np.float64)
    if node.get("transA", 0):
        x = x.transposed((1, 0))
    weights = (weights.T if node.get("transB", 0) else weights) * node.get("alpha", 1.0)
    result = tf.matmul(x.plain(), weights.astype(np.float32))
    if node.input(2) is not None:
        result = result + (node.constant(2) * node.get("beta", 1.0)).astype(np.float32)
    return plain(result)


def _matmul(node: Node) -> Tensor:
    sides = [v.plain() if isinstance(v, Tensor) else v for v in node.inputs]
    return plain(tf.matmul(*sides))


def _transpose(node: Node) -> Tensor:
    x = node.tensor(0)
    return x.transposed(node.get("perm", list(range(len(x.order)))[::-1]))


def _flatten(node: Node) -> Tensor:
    x = node.tensor(0)
    axis = node.get("axis", 1)
    before = int(np.prod(x.shape[:axis], dtype=int))
    return x.reshaped((before, int(np.prod(x.shape)) // before))


def _reshape(node: Node) -> Tensor:
    x = node.tensor(0)
    wanted = [int(n) for n in node.setting("shape", 1)]
    if not node.get("allowzero", 0):
        wanted = [x.shape[i] if n == 0 else n for i, n in enumerate(wanted)]
    if -1 in wanted:
        known = int(np.prod([n for n in wanted if n != -1], dtype=int))
        wanted[wanted.index(-1)] = int(np.prod(x.shape)) // max(known, 1)
    return x.reshaped(wanted)


def _squeeze(node: Node) -> Tensor:
    x = node.tensor(0)
    axes = node.setting("axes", 1) or [i for i, n in enumerate(x.shape) if n == 1]
    gone = {axis % len(x.order) for axis in axes}
    return x.reshaped([n for axis, n in enumerate(x.shape) if axis not in gone])


def _unsqueeze(node: Node) -> Tensor:
    x = node.tensor(0)
    axes = node.setting("axes", 1)
    rank = len(x.order) + len(axes)
    new = {axis % rank for axis in axes}
    sizes = iter(x.shape)
    return x.reshaped([1 if axis in new else next(sizes) for axis in range(rank)])


def _concat(node: Node) -> Tensor:
    first = next(v for v in node.inputs if isinstance(v, Tensor))
    sides = [_held_as(value, first.order) for value in node.inputs if value is not None]
    positive = all(isinstance(v, Tensor) and v.is_positive for v in node.inputs)
    return first.like(tf.concat(sides, first.place(node.get("axis", 0))), is_positive=positive)


def _split(node: Node) -> list[Tensor]:
    x = node.tensor(0)
    axis = node.get("axis", 0)
    count = len(node.proto.output)
    size = x.shape[axis % len(x.order)]
    each = -(-size // count)
    sizes = node.setting("split", 1) or [min(each, size - i * each) for i in range(count)]
    parts = tf.split(x.held, sizes, x.place(axis))
    return [x.like(part, is_positive=x.is_positive) for part in parts]


def _slice(node: Node) -> Tensor:
    x = node.tensor(0)
    starts, ends = node.setting("starts", 1), node.setting("ends", 2)
    axes = node.setting("axes", 3) or list(range(len(starts)))
    steps = node.setting("steps", 4) or [1] * len(starts)
    cut = [slice(None)] * len(x.order)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step < 1:
            raise Unsupported("Slice backwards")
        cut[x.place(axis)] = slice(*slice(start, end, step).indices(x.shape[axis]))
    return x.like(x.held[tuple(cut)], is_positive=x.is_positive)


def _gather(node: Node) -> Tensor:
    x, places = node.tensor(0), node.constant(1)
    axis = node.get("axis", 0) % len(x.order)
    if places.ndim > 1:
        raise Unsupported("Gather by a table")
    at = np.where(places < 0, places + x.shape[axis], places).reshape(-1)
    held = tf.gather(x.held, at.astype(np.int32), axis=x.place(axis))
    result = x.like(held, is_positive=x.is_positive)
    if places.ndim:
        return result
    return result.reshaped([n for i, n in enumerate(x.shape) if i != axis])


def _pad(node: Node) -> Tensor:
    x = node.tensor(0)
    margins = node.setting("pads", 1) or node.get("paddings", ())
    if node.input(3) is not None or len(margins) != 2 * len(x.order) or min(margins) < 0:
        raise Unsupported("Pad of chosen axes, or of less than nothing")
    value = float(np.asarray(node.setting("value", 2, 0.0)))
    mode = node.get("mode", b"constant")
    if mode not in (b"constant", b"reflect"):
        raise Unsupported(f"Pad of mode {mode.decode()}")
    rank = len(x.order)
    frame = [(margins[axis], margins[axis + rank]) for axis in x.order]
    held = tf.pad(x.held, frame, mode.decode().upper(), constant_values=value)
    return x.like(held, is_positive=x.is_positive and value >= 0)


def _expand(node: Node) -> Tensor:
    x = node.tensor(0)
    return _combined(tf.multiply, x, np.ones(node.constant(1), np.float32))


TRANSLATIONS: dict[str, Translation] = {
    "Abs": _pointwise(tf.abs, is_positive=True),
    "Add": _binary(tf.add),
    "AveragePool": average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": convolution,
    "Div": _binary(tf.divide),
    "Dropout": _same_value,
    "Elu": _elu,
    "Erf": _pointwise(tf.math.erf),
    "Exp": _pointwise(tf.exp, is_positive=True),
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "GlobalAveragePool": _global(tf.reduce_mean),
    "GlobalMaxPool": _global(tf.reduce_max),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "Identity": _same_value,
    "LRN": _local_norm,
    "LayerNormalization": _layer_norm,
    "LeakyRelu": _leaky_relu,
    "Log": _pointwise(tf.math.log),
    "LogSoftmax": _softmax(tf.nn.log_softmax),
    "MatMul": _matmul,
    "Max": _binary(tf.maximum),
    "MaxPool": max_pool,
    "Min": _binary(tf.minimum),
    "Mul": _binary(tf.multiply),
    "Neg": _pointwise(tf.negative),
    "PRelu": _prelu,
    "Pad": _pad,
    "Pow": _binary(tf.pow),
    "Reciprocal": _pointwise(tf.math.reciprocal),
    "ReduceMax": _reduction(tf.reduce_max),
    "ReduceMean": _reduction(tf.reduce_mean),
    "ReduceSum": _reduction(tf.reduce_sum),
    "Relu": _pointwise(tf.nn.relu, is_positive=True),
    "Reshape": _reshape,
    "Selu": _pointwise(tf.nn.selu),
    "Sigmoid": _pointwise(tf.sigmoid, is_positive=True),
    "Slice": _slice,
    "Softmax": _softmax(tf.nn.softmax),
    "Softplus": _pointwise(tf.math.softplus, is_positive=True),
    "Softsign": _pointwise(tf.nn.softsign),
    "Split": _split,
    "Sqrt": _pointwise(tf.sqrt, is_positive=True),
    "Squeeze": _squeeze,
    "Sub": _binary(tf.subtract),
    "Sum": _binary(tf.add),
    "Tanh": _pointwise(tf.tanh),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
"""A translation of each operation."""
