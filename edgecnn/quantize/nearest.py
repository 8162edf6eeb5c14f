"""Weights rounded to the nearest integer, and a bias that takes back the expected shift.

Quick: one pass over the photos for all layers. Better answers: `edgecnn.quantize.compensate`.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.quantize.correction import mean_taps
from edgecnn.quantize.grid import Grid, round_weights, rounding_error
from edgecnn.quantize.plan import Rounded
from edgecnn.quantize.tflite_layer import Layer

Array: TypeAlias = npt.NDArray[Any]


def round_nearest(
    layer: Layer, *, input_grid: Grid, mean: Array, shift: float, per_tensor: bool = False
) -> Rounded:
    """Round a layer's weights and correct its bias.

    Args:
        layer: The layer in float.
        input_grid: Of its input.
        mean: Its mean input over the calibration photos, the tensor's own shape.
        shift: What the grid's real values exceed the true ones by.
        per_tensor: Let all channels share one scale.
    """
    bias = layer.bias - shift * layer.sum_of_weights()
    scales = layer.scales(input_grid, bias, per_tensor=per_tensor)
    integers = round_weights(layer.weights, scales, layer.axis)
    error = rounding_error(layer.weights, integers, scales, layer.axis)
    shifted = expected_shift(layer, error, (mean + shift).astype(np.float32))
    return Rounded(integers, scales, bias - shifted)


def expected_shift(layer: Layer, error: Array, mean: Array) -> Array:
    """Return each output channel's mean shift by an error of the weights.

    Args:
        layer: Whose weights they are.
        error: What is added to each weight.
        mean: The mean input over the photos, the tensor's own shape.
    """
    if layer.name == "FULLY_CONNECTED":
        return np.asarray(error @ mean.reshape(-1, error.shape[1]).mean(axis=0))
    if layer.name == "TRANSPOSE_CONV":
        # Each input value goes to as many outputs as the kernel has taps; those that
        # fall off the border are counted, which is right but for the border.
        share = np.prod(mean.shape[1:3]) / np.prod(layer.output_shape[1:3])
        return np.asarray(share * np.einsum("oyxi,i->o", error, mean.mean(axis=(0, 1, 2))))
    window = layer.window((mean.shape[1], mean.shape[2]))
    taps = mean_taps(
        mean.mean(axis=0),
        kernel=window.kernel,
        stride=window.stride,
        dilation=window.dilation,
        padding=window.padding,
    )
    if layer.name == "CONV_2D":
        groups = taps.shape[2] // error.shape[3]
        taps = taps.reshape(*taps.shape[:2], groups, -1)
        per_group = error.reshape(groups, -1, *error.shape[1:])
        return np.einsum("goyxi,yxgi->go", per_group, taps).reshape(-1)
    multiplier = error.shape[3] // taps.shape[2]
    return np.einsum("yxo,yxo->o", error[0], np.repeat(taps, multiplier, axis=2))
