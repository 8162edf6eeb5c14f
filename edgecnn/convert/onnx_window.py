"""ONNX operations with a window, in TensorFlow's: convolutions and pooling.

TensorFlow pads by its own rule ("SAME") or not at all; where ONNX's margins are others, a
border is put around the image first.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from edgecnn.convert.onnx_node import Node, Unsupported
from edgecnn.convert.onnx_tensor import Tensor, image

Array: TypeAlias = npt.NDArray[Any]
Margins: TypeAlias = tuple[tuple[int, int], tuple[int, int]]


@dataclasses.dataclass(frozen=True)
class Window:
    """Kernel, stride, dilation and margins, along height and width."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    margins: Margins

    @property
    def is_open(self) -> bool:
        """Tell whether there are no margins."""
        return not any(map(any, self.margins))

    def is_same(self, size: tuple[int, ...]) -> bool:
        """Tell whether TensorFlow's own rule gives these margins."""
        return self.margins == tuple(
            _same(*each) for each in zip(size, self.kernel, self.stride, self.dilation, strict=True)
        )


def convolution(node: Node) -> Tensor:
    """Translate Conv with constant weights on images."""
    x, weights = node.image(0), node.constant(1)
    if weights.ndim != 4:
        raise Unsupported(f"Conv of {weights.ndim - 2} dimensions")
    window = _window(node, weights.shape[2:], x.shape[2:])
    groups, channels = node.get("group", 1), x.shape[1]
    kernel = weights.transpose(2, 3, 1, 0)  # [h, w, in, out]
    if groups == channels and weights.shape[1] == 1:
        result = _depthwise(x, kernel.reshape(*kernel.shape[:2], channels, -1), window)
    elif groups == 1:
        result = _dense(x.held, kernel, window)
    else:
        parts = zip(tf.split(x.held, groups, -1), np.split(kernel, groups, -1), strict=True)
        result = tf.concat([_dense(part, k, window) for part, k in parts], axis=-1)
    return image(result if len(node) < 3 else tf.nn.bias_add(result, node.constant(2)))


def max_pool(node: Node) -> Tensor:
    """Translate MaxPool of images."""
    x = node.image(0)
    window = _window(node, node.get("kernel_shape", ()), x.shape[2:])
    if window.dilation != (1, 1):
        raise Unsupported("MaxPool with dilations")
    held, padding = x.held, "SAME"
    if not window.is_same(x.shape[2:]):
        held, padding = _framed_for_maximum(x, window), "VALID"
    return x.like(
        tf.nn.max_pool2d(held, window.kernel, window.stride, padding), is_positive=x.is_positive
    )


def average_pool(node: Node) -> Tensor:
    """Translate AveragePool of images."""
    x = node.image(0)
    window = _window(node, node.get("kernel_shape", ()), x.shape[2:])
    if window.dilation != (1, 1):
        raise Unsupported("AveragePool with dilations")
    counts_margins = bool(node.get("count_include_pad", 0))
    if window.is_same(x.shape[2:]) and (window.is_open or not counts_margins):
        held = tf.nn.avg_pool2d(x.held, window.kernel, window.stride, "SAME")
        return x.like(held, is_positive=x.is_positive)

    def average(values: Any) -> Any:
        return tf.nn.avg_pool2d(_framed(values, window), window.kernel, window.stride, "VALID")

    held = average(x.held)
    if not window.is_open and not counts_margins:
        with tf.init_scope():  # computed now, not in the graph
            inside = average(tf.ones((1, *x.shape[2:], 1))).numpy()
        held = held * (1 / inside)
    return x.like(held, is_positive=x.is_positive)


def _window(node: Node, kernel: Any, size: tuple[int, ...]) -> Window:
    if len(kernel) != 2 or len(size) != 2:
        raise Unsupported(f"{node.op} of {len(kernel)} dimensions")
    stride = tuple(node.get("strides", (1, 1)))
    dilation = tuple(node.get("dilations", (1, 1)))
    rule = node.get("auto_pad", b"NOTSET")
    each = list(zip(size, kernel, stride, dilation, strict=True))
    if rule == b"SAME_UPPER":
        margins = [_same(*axis) for axis in each]
    elif rule == b"SAME_LOWER":
        margins = [_same(*axis)[::-1] for axis in each]
    else:
        top, left, bottom, right = node.get("pads", (0, 0, 0, 0))
        margins = [(top, bottom), (left, right)]
    if node.get("ceil_mode", 0):
        margins = [_rounded_up(*axis, margin) for axis, margin in zip(each, margins, strict=True)]
    return Window(tuple(kernel), stride, dilation, tuple(margins))  # type: ignore[arg-type]


def _same(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Return TensorFlow's margins: as little as gives size / stride outputs, more behind."""
    reach = (kernel - 1) * dilation + 1
    total = max((math.ceil(size / stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def _rounded_up(
    size: int, kernel: int, stride: int, dilation: int, margin: tuple[int, int]
) -> tuple[int, int]:
    """Return margins with which the last, unfinished window counts too."""
    reach = (kernel - 1) * dilation + 1
    count = math.ceil((size + sum(margin) - reach) / stride) + 1
    if (count - 1) * stride >= size + margin[0]:  # it would begin beyond the image
        count -= 1
    return margin[0], max(margin[1], (count - 1) * stride + reach - size - margin[0])


def _framed(held: Any, window: Window, *, mode: str = "CONSTANT", value: float = 0.0) -> Any:
    if window.is_open:
        return held
    return tf.pad(held, [(0, 0), *window.margins, (0, 0)], mode, constant_values=value)


def _framed_for_maximum(x: Tensor, window: Window) -> Any:
    """Put a border around an image that no maximum over a window comes from."""
    if x.is_positive:
        return _framed(x.held, window)
    ends = zip(window.margins, window.kernel, strict=True)
    # What is mirrored into such a border lies within the window anyway.
    if all(2 * max(margin) < kernel for margin, kernel in ends):
        return _framed(x.held, window, mode="REFLECT")
    raise Unsupported("MaxPool with margins of half its window and more")


def _dense(held: Any, kernel: Array, window: Window) -> Any:
    size = tuple(held.shape.as_list()[1:3])
    padding = "SAME" if window.is_same(size) else "VALID"
    held = held if padding == "SAME" else _framed(held, window)
    kernel = np.ascontiguousarray(kernel)
    return tf.nn.conv2d(held, kernel, window.stride, padding, dilations=window.dilation)


def _depthwise(x: Tensor, kernel: Array, window: Window) -> Any:
    if window.stride[0] != window.stride[1]:
        raise Unsupported("depthwise Conv with two strides")
    padding = "SAME" if window.is_same(x.shape[2:]) else "VALID"
    held = x.held if padding == "SAME" else _framed(x.held, window)
    return tf.nn.depthwise_conv2d(
        held, np.ascontiguousarray(kernel), (1, *window.stride, 1), padding,
        dilations=window.dilation,
    )  # fmt: skip
