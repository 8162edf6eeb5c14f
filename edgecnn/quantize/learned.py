"""What of a plan can be learned, as variables: scales of activations, weights and biases.

All are in units that suit one learning rate: a weight's step, some steps of the layer's
output for its bias, a hundredth of a scale.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import tensorflow as tf  # isort: skip - before keras, or the converter fails later
import keras
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from edgecnn.quantize.fake_quant import round_weights, straight_round
from edgecnn.quantize.grid import Grid
from edgecnn.quantize.plan import Rounded

Array: TypeAlias = npt.NDArray[Any]

# A variable that grows by one changes its scale by this share.
_SCALE_UNIT = 0.01
# A bias that grows by one moves its layer's output by as many steps: refitting biases gains
# most, and costs nothing of what makes weights shake.
_BIAS_STEPS = 5.0
# A weight starts where the float one is, but not nearer to the next integer than this.
_WITHIN_CELL = 0.45


class Scale:
    """The scale of a grid that one or several tensors share.

    Attributes:
        variable: In hundredths of the scale; None where the grid is dictated.
    """

    def __init__(self, grid: Grid, *, learned: bool) -> None:
        self._start = grid
        self.zero_point = grid.zero_point
        self.variable = keras.Variable(0.0, dtype="float32") if learned else None

    def value(self) -> Any:
        """Return the scale as it stands."""
        start = tf.constant(self._start.scale, tf.float32)
        if self.variable is None:
            return start
        return start * tf.exp(_SCALE_UNIT * self.variable.value)

    def grid(self) -> Grid:
        """Return the grid as it stands."""
        if self.variable is None:
            return self._start
        return Grid(float(self.value().numpy()), self.zero_point)

    def bounds(self, activation: int) -> tuple[Any, Any]:
        """Return the steps from zero that are on the grid and that an activation lets through."""
        low, high = tf.constant(-128.0 - self.zero_point), tf.constant(127.0 - self.zero_point)
        kinds, scale = schema.ActivationFunctionType, tf.stop_gradient(self.value())
        if activation in (kinds.RELU, kinds.RELU6):
            low = tf.maximum(low, 0.0)
        if activation == kinds.RELU6:
            high = tf.minimum(high, tf.round(6.0 / scale))
        if activation == kinds.RELU_N1_TO_1:
            one = tf.round(1.0 / scale)
            low, high = tf.maximum(low, -one), tf.minimum(high, one)
        return low, high


class Weights:
    """Weights and bias of a layer, about to be rounded.

    Attributes:
        steps: The weights divided by their scales.
        scales: [channels], or [1] where all share one.
        bias: In units of some of the output's steps.
    """

    def __init__(
        self, planned: Rounded, floats: Array, axis: int | None, output_scale: float
    ) -> None:
        shape = [1] * floats.ndim
        shape[axis or 0] = -1
        self.scales = planned.scales.astype(np.float32)
        self._bits, self._limit = planned.bits, planned.limit
        integers = planned.weights.astype(np.float32)
        rest = floats / self.scales.reshape(shape) - integers
        self.steps = keras.Variable(
            integers + rest.clip(-_WITHIN_CELL, _WITHIN_CELL), dtype="float32"
        )
        self._bias_unit = _BIAS_STEPS * output_scale
        self.bias = keras.Variable(planned.bias / self._bias_unit, dtype="float32")

    def integer_weights(self) -> Any:
        """Return the weights in integers."""
        return round_weights(self.steps.value, self._limit)

    def integer_bias(self, input_scale: Any) -> Any:
        """Return the bias in the accumulator's integers."""
        step = tf.cast(tf.stop_gradient(input_scale), tf.float64) * self.scales.astype(np.float64)
        bias = tf.cast(self.bias.value, tf.float64) * self._bias_unit
        return tf.cast(straight_round(bias / step), tf.float32)

    def to_rounded(self) -> Rounded:
        """Return the integers."""
        integers = self.integer_weights().numpy().astype(np.int8)
        bias = self.bias.numpy().astype(np.float64) * self._bias_unit
        return Rounded(integers, self.scales, bias, self._bits)
