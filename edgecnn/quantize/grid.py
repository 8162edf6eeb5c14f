"""Integer grids: which scale and zero point a tensor gets. Both formats use these.

Source: Jacob et al. 2018, arXiv:1712.05877, section 2.1; TFLite's 8-bit specification.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.core.normalization import Normalization

Array: TypeAlias = npt.NDArray[Any]

# Below this fraction of the largest channel's scale a channel counts as dead: its weights
# contribute nothing, and a smaller scale only makes its bias overflow 32 bits.
_DEAD = 1e-6
# No scale is smaller: the products of two scales must stay within what kernels can multiply by.
_SMALLEST_SCALE = 1e-9
# An int32 bias keeps this many bits, which leaves the accumulator room for the products;
# an int64 one, beside activations of 16 bits, what a kernel can rescale (47 bits).
_BIAS_BITS = {8: 24, 16: 40}


@dataclasses.dataclass(frozen=True)
class Grid:
    """Real value = scale * (integer - zero_point), integers within int8's or int16's range."""

    scale: float
    zero_point: int
    bits: int = 8

    @property
    def unsigned_zero_point(self) -> int:
        """The same grid in uint8, 0..255."""
        return self.zero_point + 128

    @property
    def _half(self) -> int:
        return int(2 ** (self.bits - 1))

    @property
    def low(self) -> float:
        """Smallest real value on the grid."""
        return self.scale * (-self._half - self.zero_point)

    @property
    def high(self) -> float:
        """Largest real value on the grid."""
        return self.scale * (self._half - 1 - self.zero_point)

    @property
    def wide(self) -> Grid:
        """Return the grid of int16 on which each step of this one has 128: symmetric.

        Integers of 8 bits have their exact twins on it, at most 255 * 128 from its zero.
        """
        return Grid(self.scale / 128, 0, 16)

    def integers(self, values: Array) -> Array:
        """Return real values on the grid, int8 or int16."""
        steps = np.rint(values / np.float32(self.scale)) + self.zero_point
        return steps.clip(-self._half, self._half - 1).astype(f"int{self.bits}")


PROBABILITY = Grid(1 / 256, -128)
"""What TFLite's integer softmax and sigmoid write, whatever was observed."""

SIGNED_UNIT = Grid(1 / 128, 0)
"""What TFLite's integer tanh writes."""


def activation_grid(low: float, high: float) -> Grid:
    """Return the asymmetric grid over a range, widened so that zero is exact.

    Args:
        low: Smallest observed value.
        high: Largest observed value.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255
    if scale < _SMALLEST_SCALE:
        scale = 1.0  # a tensor that is always zero fits any grid
    zero_point = round(-128 - low / scale)
    return Grid(float(np.float32(scale)), int(np.clip(zero_point, -128, 127)))


def input_grid(normalization: Normalization) -> tuple[Grid, float]:
    """Return the grid on which a camera's bytes are the network's input, and its shift.

    Args:
        normalization: What the network applies to pixels 0..255; the same for all channels.

    Returns:
        The grid, and how much its real values exceed the true ones: 0 where the pixel that
        means zero is whole (EfficientNet-Lite's 127), half a step where it isn't (127.5).
    """
    (scale, *_), (offset, *_) = normalization.scale, normalization.offset
    pixel = min(max(int(-offset // scale), 0), 255)
    return Grid(scale, pixel - 128), -pixel * scale - offset


def weight_scales(
    weights: Array, bias: Array | None, input_scale: float, axis: int, *, input_bits: int = 8
) -> Array:
    """Return one symmetric scale a channel, such that weights and bias both fit.

    Args:
        weights: Float weights, any shape.
        bias: [channels] or None.
        input_scale: Scale of the layer's input; bias scale = input scale * weight scale.
        axis: The channels' axis in ``weights``.
        input_bits: Of the layer's input; they tell how many a bias has.

    Returns:
        [channels], float32. A dead channel gets a scale on which its bias fits, where the
        usual max / 127 would overflow it.
    """
    others = tuple(i for i in range(weights.ndim) if i != axis)
    largest = np.maximum(weights.max(axis=others), -weights.min(axis=others))
    scales = largest.astype(np.float64) / 127
    scales = np.maximum(scales, max(scales.max() * _DEAD, _SMALLEST_SCALE))
    if bias is not None:
        scales = np.maximum(scales, np.abs(bias) / (input_scale * 2 ** _BIAS_BITS[input_bits]))
    return scales.astype(np.float32)


def round_weights(weights: Array, scales: Array, axis: int) -> Array:
    """Return int8 weights within -127..127, rounded to the nearest."""
    shape = [1] * weights.ndim
    shape[axis] = -1
    steps = np.broadcast_to(scales.astype(np.float64).reshape(shape), weights.shape)
    integers = np.empty(weights.shape, np.int8)
    # Row by row: the dense layers of the classics have 100 million weights.
    for row, step, target in zip(weights, steps, integers, strict=True):
        target[...] = np.rint(row / step).clip(-127, 127)
    return integers


def rounding_error(weights: Array, integers: Array, scales: Array, axis: int) -> Array:
    """Return what rounding added to each weight, float32."""
    shape = [1] * weights.ndim
    shape[axis] = -1
    error = integers * scales.reshape(shape)
    error -= weights
    return error


def round_bias(bias: Array, input_scale: float, scales: Array, *, input_bits: int = 8) -> Array:
    """Return the bias on the accumulator's grid, int32; int64 beside inputs of 16 bits."""
    step = input_scale * scales.astype(np.float64)
    limit, kind = (2**31 - 1, np.int32) if input_bits == 8 else (2**46, np.int64)
    return np.rint(bias.astype(np.float64) / step).clip(-limit, limit).astype(kind)
