"""Rounding that gradients pass: numbers on a grid forward, as if they weren't backward.

Sources: Bengio et al. 2013, arXiv:1308.3432, for the straight-through gradient; Esser et al.
2020, arXiv:1902.08153, section 2.1, for the gradient of a learned scale.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

_LOW, _HIGH = -128.0, 127.0


def straight_round(x: Any) -> Any:
    """Return the nearest integers; the gradient is that of the numbers themselves."""
    return x + tf.stop_gradient(tf.round(x) - x)


def on_grid(x: Any, scale: Any, zero_point: int) -> Any:
    """Return activations on an int8 grid.

    Args:
        x: float32, any shape. Its gradient passes within the grid's range and stops outside.
        scale: float32 scalar; learns what rounding and clipping cost.
        zero_point: The integer that stands for zero, -128..127: zero stays exact.
    """
    low, high = _LOW - zero_point, _HIGH - zero_point

    def rounded(x: Any, scale: Any) -> Any:
        ends = (scale * low, scale * high)
        y = tf.raw_ops.FakeQuantWithMinMaxVars(inputs=x, min=ends[0], max=ends[1])

        def gradient(upstream: Any) -> tuple[Any, Any]:
            inside, below, above = tf.raw_ops.FakeQuantWithMinMaxVarsGradient(
                gradients=upstream, inputs=x, min=ends[0], max=ends[1]
            )
            error = tf.reduce_sum(inside * (y - x)) / scale
            return inside, error + low * below + high * above

        return y, gradient

    # One fused kernel each way instead of a dozen passes over memory.
    return tf.custom_gradient(rounded)(x, scale)


def on_weight_grid(steps: Any, scales: Any) -> Any:
    """Return weights on symmetric int8 grids.

    Args:
        steps: Weights divided by their scale; within -127..127 their gradient passes.
        scales: Broadcastable to the weights.
    """
    return straight_round(tf.clip_by_value(steps, -127.0, 127.0)) * scales
