"""TFLite's integer hard swish, bit by bit: its 16-bit arithmetic is coarser than rounding once.

Source: TensorFlow 2.21, lite/kernels/internal/reference/hard_swish.h, for the arithmetic, and
lite/kernels/activations.cc for the multipliers.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

_SHIFT = 7  # the input is computed with in 1/128 of its steps
_UNIT = 3.0 / 2**15  # 16 bits hold the sigmoid-like factor's -3..3


def hard_swish_table(input_scale: Any, output_scale: Any, input_zero_point: int) -> Any:
    """Return the output of each int8 input, in steps from its zero, before the grid's bounds.

    Args:
        input_scale: float32 scalar.
        output_scale: float32 scalar.
        input_zero_point: The input's integer that stands for zero.

    Returns:
        [256] int32, from the input -128 on.
    """
    hires = (tf.range(-128, 128) - input_zero_point) * 2**_SHIFT
    hires_scale = input_scale / tf.constant(float(2**_SHIFT))
    output_factor, output_exponent = _multiplier(hires_scale / output_scale)
    factor, exponent = _multiplier(hires_scale / tf.constant(_UNIT))
    value = _rounding_product(hires, output_factor)
    gate = _saturated(hires * _power(exponent - 1))
    gate = _rounding_product(gate, factor)
    gate = _saturated(gate * tf.where(exponent > 0, 2, 1))
    gate = tf.bitwise.right_shift(_divided(gate, -exponent) + 2**15, 1)
    product = tf.cast(tf.truncatediv(gate * value, 2**15), tf.int32)
    return _divided(product, -output_exponent)


def _multiplier(real: Any) -> tuple[Any, Any]:
    """Return a factor as 16 bits of 1/2..1 and the power of two that goes with them."""
    wide = tf.cast(real, tf.float64)
    exponent = tf.floor(tf.math.log(wide) / tf.math.log(tf.constant(2.0, tf.float64))) + 1
    bits = tf.cast(tf.round(wide / 2.0**exponent * 2.0**31), tf.int64)
    short = tf.minimum(tf.bitwise.right_shift(bits + 2**15, 16), 2**15 - 1)
    return tf.cast(short, tf.int32), tf.cast(exponent, tf.int32)


def _power(exponent: Any) -> Any:
    """Return two to a power, and one where that is negative."""
    return tf.bitwise.left_shift(1, tf.maximum(exponent, 0))


def _saturated(values: Any) -> Any:
    return tf.clip_by_value(values, -(2**15), 2**15 - 1)


def _rounding_product(values: Any, factor: Any) -> Any:
    """Return the high half of twice a product of 16 bits, rounded half away from zero."""
    product = values * factor
    nudge = tf.where(product >= 0, 2**14, 1 - 2**14)
    return tf.truncatediv(product + nudge, 2**15)


def _divided(values: Any, exponent: Any) -> Any:
    """Return values over a power of two, rounded half away from zero."""
    exponent = tf.maximum(exponent, 0)
    mask = tf.bitwise.left_shift(1, exponent) - 1
    rest = tf.bitwise.bitwise_and(values, mask)
    threshold = tf.bitwise.right_shift(mask, 1) + tf.cast(values < 0, tf.int32)
    return tf.bitwise.right_shift(values, exponent) + tf.cast(rest > threshold, tf.int32)
