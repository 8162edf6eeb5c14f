"""One ONNX operation with weights, float to integer."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.quantize.correction import mean_taps, same_padding
from edgecnn.quantize.grid import (
    Grid,
    round_bias,
    round_weights,
    rounding_error,
    weight_scales,
)
from edgecnn.quantize.onnx_graph import attribute
from edgecnn.quantize.plan import Rounded
from edgecnn.quantize.twins import fits

Array: TypeAlias = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Integers:
    """Weights and bias of a layer in integers.

    Attributes:
        weights: int8, the shape of the float ones.
        scales: [channels], float32, or [1] where all share one.
        axis: The channels' axis of the weights.
        bias: [channels], int32, on a grid of input scale times weight scale.
    """

    weights: Array
    scales: Array
    axis: int
    bias: Array


def follow(node: Any, weights: Array, rounded: Rounded, grid: Grid) -> Integers | None:
    """Take over a plan's integers; None where they are another layer's.

    Args:
        node: A Conv or a Gemm.
        weights: As the node has them, float.
        rounded: Of the plan, in TFLite's layout.
        grid: Of the layer's input.
    """
    axis = channel_axis(node)
    integers = in_onnx_layout(node, rounded.weights)
    if not fits(dataclasses.replace(rounded, weights=integers), weights, axis):
        return None
    bias = round_bias(rounded.bias, grid.scale, rounded.scales)
    return Integers(integers, rounded.scales, axis, bias)


def round_layer(
    node: Any,
    weights: Array,
    bias: Array,
    *,
    grid: Grid,
    mean: Array,
    per_tensor: bool = False,
) -> Integers:
    """Round a Conv or a Gemm to the nearest.

    Args:
        node: The operation.
        weights: As the node has them.
        bias: [channels], on which the input's grid was taken into account.
        grid: Of the layer's input.
        mean: The layer's mean input over the calibration photos, as the grid has it.
        per_tensor: Let all channels share one scale.
    """
    axis = channel_axis(node)
    scales = weight_scales(weights, bias, grid.scale, axis)
    scales = scales.max(keepdims=True) if per_tensor else scales
    integers = round_weights(weights, scales, axis)
    error = rounding_error(weights, integers, scales, axis)
    bias = bias - _expected(node, error, mean.astype(np.float32))
    return Integers(integers, scales, axis, round_bias(bias, grid.scale, scales))


def shifted_bias(node: Any, weights: Array, bias: Array | None, shift: float) -> Array:
    """Return [channels], float64: a bias that takes back a constant shift of the input."""
    axis = channel_axis(node)
    others = tuple(i for i in range(weights.ndim) if i != axis)
    plain = np.zeros(weights.shape[axis]) if bias is None else bias.astype(np.float64)
    return np.asarray(plain - shift * weights.sum(axis=others, dtype=float))


def channel_axis(node: Any) -> int:
    """Return the channels' axis of a node's weights."""
    return 1 if node.op_type == "Gemm" and not attribute(node, "transB", 0) else 0


def in_onnx_layout(node: Any, weights: Array) -> Array:
    """Return weights in TFLite's layout as the node has them."""
    if node.op_type == "Gemm":  # a convolution of one position, where the plan was made
        weights = weights.reshape(len(weights), -1)
        return weights if attribute(node, "transB", 0) else weights.T
    if weights.ndim != 4:
        return weights
    if weights.shape[0] == 1 and attribute(node, "group", 1) > 1:  # depthwise: [1, H, W, O]
        return weights.transpose(3, 0, 1, 2)
    return weights.transpose(0, 3, 1, 2)


def _expected(node: Any, error: Array, mean: Array) -> Array:
    """Return each output channel's mean shift by an error of the weights."""
    if node.op_type == "Gemm":
        if attribute(node, "transB", 0):
            error = error.T
        return np.asarray(mean.reshape(-1, error.shape[0]).mean(axis=0) @ error)
    groups = attribute(node, "group", 1)
    per_group = error.reshape(groups, -1, *error.shape[1:])
    if error.ndim != 4:  # without the border's share of zeros: rare layers, small effect
        means = mean.mean(axis=(0, *range(2, mean.ndim))).reshape(groups, -1)
        taps_summed = per_group.sum(axis=tuple(range(3, per_group.ndim)))
        return np.einsum("goi,gi->go", taps_summed, means).reshape(-1)
    kernel = (error.shape[2], error.shape[3])
    stride = tuple(attribute(node, "strides", (1, 1)))
    dilation = tuple(attribute(node, "dilations", (1, 1)))
    padding = tuple(attribute(node, "pads", (0, 0, 0, 0)))
    if attribute(node, "auto_pad", b"NOTSET") == b"SAME_UPPER":
        padding = same_padding(mean.shape[2:], kernel, stride, dilation)
    channels_last = mean.mean(axis=0).transpose(1, 2, 0)
    taps = mean_taps(
        channels_last, kernel=kernel, stride=stride, dilation=dilation, padding=padding
    )
    taps = taps.reshape(*kernel, groups, error.shape[1])
    return np.einsum("goiyx,yxgi->go", per_group, taps).reshape(-1)
