"""Rounding that gradients pass: integers forward, as if they weren't backward.

Sources: Bengio et al. 2013, arXiv:1308.3432, for the straight-through gradient; Esser et al.
2020, arXiv:1902.08153, section 2.1, for scales that learn: x becomes round(x / scale) * scale,
and the gradient takes the rounding alone for the identity.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def straight_round(x: Any) -> Any:
    """Return the nearest integers; the gradient is that of the numbers themselves."""
    return x + tf.stop_gradient(tf.round(x) - x)


def round_within(x: Any, low: Any, high: Any) -> Any:
    """Return the nearest integers within bounds.

    Args:
        x: float32, any shape. Its gradient passes within the bounds and stops outside.
        low: Smallest integer, 0 or less, a float32 scalar.
        high: Largest integer, above 0.
    """

    def rounded(x: Any) -> Any:
        def gradient(upstream: Any) -> Any:
            # One fused kernel instead of a pass over memory for each comparison.
            return tf.raw_ops.FakeQuantWithMinMaxVarsGradient(
                gradients=upstream, inputs=x, min=low, max=high
            )[0]

        return tf.clip_by_value(tf.round(x), low, high), gradient

    return tf.custom_gradient(rounded)(x)


def round_weights(steps: Any, limit: int) -> Any:
    """Return weights in integers.

    Args:
        steps: Weights divided by their scale; their gradient passes within the limits.
        limit: The largest integer; the smallest is its negative.
    """
    return straight_round(tf.clip_by_value(steps, -float(limit), float(limit)))
