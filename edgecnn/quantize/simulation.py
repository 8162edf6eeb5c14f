"""What the integer file of a plan answers, with gradients to all that can be learned.

Integer operations compute in the very integers of the file, held as float32, and round as
the kernels do, so that the answers are the file's own and not merely near them.

Grids' scales, weights and biases are variables; zero points, the weights' scales and the
grids that kernels dictate stay as planned.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeAlias

import tensorflow as tf  # isort: skip - before keras, or the converter fails later
import keras
import numpy as np
import numpy.typing as npt

from edgecnn.core.errors import InputError
from edgecnn.quantize.fake_quant import round_within
from edgecnn.quantize.graph_function import GraphFunction, Step
from edgecnn.quantize.graph_operations import activated
from edgecnn.quantize.grid import Grid, activation_grid
from edgecnn.quantize.hard_swish import hard_swish_table
from edgecnn.quantize.learned import Scale, Weights
from edgecnn.quantize.plan import Plan, Rounded, Tensor
from edgecnn.quantize.tflite_operations import FIXED_GRID, JOINING, SAME_GRID, WEIGHTED

Array: TypeAlias = npt.NDArray[Any]

# These compute new values on their input's grid; others of SAME_GRID only choose or move.
_AVERAGING = frozenset({"AVERAGE_POOL_2D", "RESIZE_BILINEAR"})
# More than the noise of float32 sums, less than any difference of averages that counts.
_OFF_TIE = 1e-3
# Source: XNNPACK, src/microparams-init.c, the conversion from int8 to int8.
_CONVERSION = 256.0


class Simulation:
    """A float file and its plan, as a function that learns.

    Attributes:
        graph: The float graph.
    """

    def __init__(self, float_file: bytes, plan: Plan) -> None:
        """Start from a plan.

        Raises:
            InputError: activations of 16 bits, or an operation that has no counterpart here.
        """
        if any(layer.precision == "int16x8" for layer in plan.layers.values()):
            raise InputError(
                "can't train activations of 16 bits",
                where="this plan",
                fix="leave training out: they lose hardly anything",
            )
        self.graph = GraphFunction(float_file)
        self._plan = plan
        self._integer = {n for n, layer in plan.layers.items() if layer.precision == "int8"}
        self._scales = self._shared_scales()
        self._weights = {
            step.outputs[0]: self._layer(step, rounded)
            for step in self.graph.steps
            if (rounded := self._rounded(step)) is not None
        }
        self._in_float = {
            name
            for step in self.graph.steps
            if step.outputs[0] not in self._integer
            for name in step.outputs
        }

    def _rounded(self, step: Step) -> Rounded | None:
        layer = self._plan.layers.get(step.outputs[0])
        return None if layer is None else layer.rounded

    def _layer(self, step: Step, rounded: Rounded) -> Weights:
        places = WEIGHTED[step.name]
        floats = self.graph.constants[step.inputs[places.weights] or ""]
        unit = self._plan.tensors[step.outputs[0]].grid.scale
        return Weights(rounded, floats, places.axis, unit)

    def _shared_scales(self) -> dict[str, Scale]:
        """Return each activation's scale, one object for those that share a grid."""
        tensors = self._plan.tensors
        groups = {name: {name} for name in tensors}
        for source, target in self._bonds():
            merged = groups[source] | groups[target]
            groups.update(dict.fromkeys(merged, merged))
        dictated = {self._plan.input} | {
            step.outputs[0] for step in self.graph.steps if step.name in FIXED_GRID
        }
        scales: dict[str, Scale] = {}
        for members in {id(group): group for group in groups.values()}.values():
            scale = Scale(tensors[min(members)].grid, learned=not members & dictated)
            scales.update(dict.fromkeys(members, scale))
        return scales

    def _bonds(self) -> list[tuple[str, str]]:
        """Return pairs of tensors that the plan put on one grid because their operation must."""
        tensors = self._plan.tensors
        return [
            (source, target)
            for step in self.graph.steps
            if step.outputs[0] in self._integer and step.name in SAME_GRID | JOINING
            for source in step.inputs
            for target in step.outputs
            if source in tensors and tensors[source].grid == tensors[target].grid
        ]

    @property
    def trainable(self) -> list[keras.Variable]:
        """All variables, in a fixed order."""
        scales = {id(scale): scale for scale in self._scales.values()}.values()
        learned = [scale.variable for scale in scales if scale.variable is not None]
        layers = self._weights.values()
        return learned + [variable for w in layers for variable in (w.steps, w.bias)]

    def __call__(self, integers: Any) -> tuple[Any, Any]:
        """Return what a final softmax reads (or else the output) and the output.

        Args:
            integers: [N, H, W, C] int8, as the file takes them.

        Returns:
            The real values of the file's integers.
        """
        steps = tf.cast(integers, tf.float32) - self._scales[self.graph.input].zero_point
        values = self.graph(steps, self._read, self._write)
        return self._answer(self.graph.scores, values), self._answer(self.graph.output, values)

    def _answer(self, name: str, values: dict[str, Any]) -> Any:
        steps = self._steps(name, values[name]) if name in self._in_float else values[name]
        return steps * self._scales[name].value()

    def _read(self, step: Step, position: int, value: Any) -> Any:
        """Return an operand: steps from zero where kernels compute in these, or real values."""
        target, source = step.outputs[0], step.inputs[position]
        if target not in self._integer:
            is_steps = source in self._scales and source not in self._in_float
            return value * self._scales[source or ""].value() if is_steps else value
        if source in self._in_float:
            value = self._steps(source, value)
        if (weights := self._weights.get(target)) is not None:
            places = WEIGHTED[step.name]
            if position == places.weights:
                return weights.integer_weights()
            if position == places.bias:
                return weights.integer_bias(self._scales[step.inputs[places.data] or ""].value())
            return value
        return value if source is None else self._operand(step, source, value)

    def _operand(self, step: Step, source: str, value: Any) -> Any:
        """Return what an integer operation without weights reads."""
        target = step.outputs[0]
        moving = step.name in JOINING | SAME_GRID
        if source in self.graph.constants:
            return self._steps(target, value) if moving else _constant_on_grid(value)
        if not moving:
            return value * self._scales[source].value()
        if step.name in JOINING and self._scales[source] is not self._scales[target]:
            return self._converted(source, target, value)
        return value

    def _converted(self, source: str, target: str, value: Any) -> Any:
        """Return steps on another tensor's grid, as XNNPACK converts: by a factor of 8 bits."""
        factor = self._scales[source].value() / self._scales[target].value()
        coarse = tf.stop_gradient(tf.round(factor * _CONVERSION) / _CONVERSION / factor)
        return round_within(value * (factor * coarse) + _OFF_TIE, *self._bounds(target))

    def _write(self, step: Step, name: str, value: Any, operands: Sequence[Any]) -> Any:
        options = step.operator.builtinOptions
        if step.outputs[0] not in self._integer:
            return activated(options, value)
        activation = getattr(options, "fusedActivationFunction", 0)
        bounds, scale = self._bounds(name, activation), self._scales[name]
        if (weights := self._weights.get(step.outputs[0])) is not None:
            source = self._scales[step.inputs[WEIGHTED[step.name].data] or ""]
            return round_within(value * (source.value() * weights.scales / scale.value()), *bounds)
        if step.name in _AVERAGING:
            # Averages of integers often are half way: pooling rounds away from zero, resizing up.
            side = tf.sign(value + scale.zero_point) if step.name == "AVERAGE_POOL_2D" else 1.0
            return round_within(value + _OFF_TIE * side, *bounds)
        if step.name in JOINING | SAME_GRID:
            return tf.clip_by_value(value, *bounds) if activation else value
        if step.name == "HARD_SWISH":
            value = self._hard_swish(step, value, operands[0])
        return round_within(value / scale.value(), *bounds)

    def _hard_swish(self, step: Step, value: Any, real: Any) -> Any:
        """Return what the kernel's own arithmetic gives, with the exact one's gradient."""
        source, scale = self._scales[step.inputs[0] or ""], self._scales[step.outputs[0]].value()
        table = hard_swish_table(source.value(), scale, source.zero_point)
        places = tf.cast(tf.round(real / source.value()), tf.int32) + (source.zero_point + 128)
        found = tf.cast(tf.gather(table, places), tf.float32) * scale
        return value + tf.stop_gradient(found - value)

    def _steps(self, name: str, value: Any) -> Any:
        return round_within(value / self._scales[name].value(), *self._bounds(name))

    def _bounds(self, name: str, activation: int = 0) -> tuple[Any, Any]:
        return self._scales[name].bounds(activation)

    def to_plan(self) -> Plan:
        """Return the plan with what was learned: grids, integers and biases."""
        layers = dict(self._plan.layers)
        for name, weights in self._weights.items():
            layers[name] = dataclasses.replace(
                layers[name], rounding="trained", rounded=weights.to_rounded()
            )
        tensors = {name: _tensor(scale.grid()) for name, scale in self._scales.items()}
        return dataclasses.replace(self._plan, tensors=tensors, layers=layers)


def _constant_on_grid(values: Array) -> Array:
    grid = activation_grid(float(values.min()), float(values.max()))
    integers = np.rint(values / grid.scale + grid.zero_point).clip(-128, 127)
    return ((integers - grid.zero_point) * grid.scale).astype(np.float32)


def _tensor(grid: Grid) -> Tensor:
    return Tensor(low=grid.low, high=grid.high, grid=grid)
