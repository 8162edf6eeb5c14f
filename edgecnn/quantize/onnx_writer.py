"""Rebuilds a float ONNX graph with QuantizeLinear and DequantizeLinear around its operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper

from edgecnn.convert.onnx_layout import leading_to
from edgecnn.core.artifact import Io
from edgecnn.quantize.grid import PROBABILITY, SIGNED_UNIT, Grid, activation_grid
from edgecnn.quantize.observe import Observed
from edgecnn.quantize.onnx_graph import constants_of
from edgecnn.quantize.onnx_layer import Integers, follow, round_layer, shifted_bias
from edgecnn.quantize.twins import Decided
from edgecnn.runtime.onnx_integer import INTEGER_OPERATIONS

Array: TypeAlias = npt.NDArray[Any]

IO_TYPES = {"uint8": TensorProto.UINT8, "int8": TensorProto.INT8, "float32": TensorProto.FLOAT}

_SAME_GRID = {
    "Flatten", "MaxPool", "Pad", "ReduceMax", "Reshape", "Slice", "Split", "Squeeze",
    "Tile", "Transpose", "Unsqueeze",
}  # fmt: skip
_FIXED_GRID = {"Sigmoid": PROBABILITY, "Softmax": PROBABILITY, "Tanh": SIGNED_UNIT}
WEIGHTED = {"Conv", "Gemm"}
_WITH_OPERANDS = {"Add", "Concat", "Mul"}
# The writer's own forms of two that no runtime computes in integers as they stand.
_OWN_FORMS = {"Pad", "Tanh"}
_UNSIGNED = 128


class Writer:
    """One graph, node by node, from float to integer.

    Attributes:
        in_float: Names of the operations that stayed in float.
    """

    def __init__(
        self,
        graph: Any,
        observed: Mapping[str, Observed],
        decided: Decided,
        *,
        input_grid: Grid,
        input_shift: float,
    ) -> None:
        self.graph, self.observed, self.decided = graph, observed, decided
        self.input_grid, self.input_shift = input_grid, input_shift
        self.in_float: set[str] = set()
        self.constants = constants_of(graph)
        self.output = graph.output[0].name
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}
        self.grids: dict[str, Grid] = {}
        self.integers: dict[str, str] = {}  # tensor -> where its integers are
        self.floats: dict[str, str] = {}  # tensor -> where its value in float is, for float readers
        self.image = graph.input[0].name
        self.pixels = set(self._moved_pixels())

    def write(self, io: Io) -> None:
        """Rebuild the graph in place."""
        self._enter(io)
        for node in list(self.graph.node):
            if node.output[0] not in self.integers:
                self._take(node)
        self._leave(io)
        del self.graph.node[:], self.graph.initializer[:], self.graph.value_info[:]
        self.graph.node.extend(leading_to({self.output}, self.nodes))
        self.graph.initializer.extend(self.initializers.values())

    def _moved_pixels(self) -> Iterator[str]:
        """Yield the input and what only moves or pads its values."""
        found = {self.image}
        for node in self.graph.node:
            if node.op_type in _SAME_GRID and node.input[0] in found:
                found.update(node.output)
        yield from found

    def _take(self, node: Any) -> None:
        if not any(name in self.observed for name in node.output):
            self._keep_float(node)  # arithmetic on shapes
        elif not self._has_integer_form(node):
            self.in_float.add(node.op_type)
            self._keep_float(node)
        elif self._is_rescaling(node):
            self._rescale(node)
        elif node.op_type == "Tanh":
            self._tanh(node)
        elif node.op_type == "Pad":
            self._pad(node)
        else:
            self._quantize(node)

    def _has_integer_form(self, node: Any) -> bool:
        decision = self.decided.layers.get(node.output[0])
        if decision is not None and decision.precision != "int8":
            return False
        if node.op_type in WEIGHTED:
            return all(name in self.constants for name in node.input[1:])
        return node.op_type in INTEGER_OPERATIONS | _OWN_FORMS

    def _keep_float(self, node: Any) -> None:
        """Keep a node as it is, reading and writing floats."""
        if node.op_type in WEIGHTED and node.input[0] in self.pixels:
            self._take_back_shift(node)
        for index, name in enumerate(node.input):
            if name in self.constants:
                self._add(name, self.constants[name])
            elif name in self.integers:
                node.input[index] = self._float_of(name)
        self.nodes.append(node)
        for index, name in enumerate(node.output):
            if name not in self.observed:
                continue
            node.output[index] = self.floats[name] = f"{name}/exact"
            self._round(name, f"{name}/exact", self._grid_of(name))

    def _take_back_shift(self, node: Any) -> None:
        """Let the bias of a layer in float take back what the input's grid adds to pixels."""
        weights = self.constants.get(node.input[1])
        if weights is None or not self.input_shift:
            return
        name = f"{node.output[0]}/bias"
        bias = self.constants[node.input[2]] if len(node.input) > 2 else None
        shifted = shifted_bias(node, weights, bias, self.input_shift)
        self.constants[name] = shifted.astype(np.float32)
        node.input[:] = [*node.input[:2], name]

    def _float_of(self, name: str) -> str:
        if name not in self.floats:
            self.floats[name] = f"{name}/in_float"
            self._dequantize_linear(self.integers[name], self.floats[name], self.grids[name])
        return self.floats[name]

    def _grid_of(self, name: str) -> Grid:
        if name in self.decided.grids:
            return self.decided.grids[name]
        return activation_grid(*self.observed[name].range())

    def _is_rescaling(self, node: Any) -> bool:
        """Tell a multiplication by one positive number: the same integers on another grid."""
        factors = [self.constants[name] for name in node.input if name in self.constants]
        return (
            node.op_type == "Mul"
            and len(factors) == 1
            and factors[0].size == 1
            and factors[0].item() > 0
        )

    def _rescale(self, node: Any) -> None:
        (factor,) = (self.constants[name].item() for name in node.input if name in self.constants)
        (source,) = (name for name in node.input if name not in self.constants)
        grid = self.grids[source]
        self._publish(node.output[0], self.integers[source], self._scaled(grid, factor))

    @staticmethod
    def _scaled(grid: Grid, factor: float) -> Grid:
        return Grid(float(np.float32(grid.scale * factor)), grid.zero_point)

    def _tanh(self, node: Any) -> None:
        """Write tanh(x) as 2 sigmoid(2 x) - 1: both changes of scale are other grids only."""
        source, target = node.input[0], node.output[0]
        doubled = f"{target}/doubled"
        grid = self._scaled(self.grids[source], 2)
        self._dequantize_linear(self.integers[source], doubled, grid)
        self.nodes.append(helper.make_node("Sigmoid", [doubled], [f"{target}/sigmoid"], node.name))
        self._quantize_linear(f"{target}/sigmoid", f"{target}/integers", PROBABILITY)
        self._publish(target, f"{target}/integers", SIGNED_UNIT)

    def _pad(self, node: Any) -> None:
        """Pad the integers: no runtime takes a padding between QDQ nodes for one of integers."""
        source, grid = node.input[0], self.grids[node.input[0]]
        value = self.constants[node.input[2]].item() if len(node.input) > 2 and node.input[2] else 0
        point = np.clip(np.rint(value / grid.scale) + grid.unsigned_zero_point, 0, 255)
        self._add(node.input[1], self.constants[node.input[1]])
        self._add(f"{node.output[0]}/border", np.array(point, np.uint8))
        node.input[:] = [self.integers[source], node.input[1], f"{node.output[0]}/border"]
        target, node.output[0] = node.output[0], f"{node.output[0]}/integers"
        self.nodes.append(node)
        self._publish(target, node.output[0], grid)

    def _quantize(self, node: Any) -> None:
        sources = [name for name in node.input if name in self.grids]
        if node.op_type in WEIGHTED:
            self._quantize_layer(node)
        else:
            self._keep_constants(node)
        for index, name in enumerate(node.input):
            if name in self.grids:
                node.input[index] = f"{name}/real"
        self.nodes.append(node)
        for index, name in enumerate(node.output):
            grid = _FIXED_GRID.get(node.op_type) or self._grid_of(name)
            if node.op_type in _SAME_GRID:
                grid = self.grids[sources[0]]
            node.output[index] = f"{name}/exact"
            self._round(name, f"{name}/exact", grid)

    def _round(self, name: str, exact: str, grid: Grid) -> None:
        self._quantize_linear(exact, f"{name}/integers", grid)
        self._publish(name, f"{name}/integers", grid)

    def _publish(self, name: str, integers: str, grid: Grid) -> None:
        """Let others read a tensor: its integers, and what they stand for."""
        self.integers[name], self.grids[name] = integers, grid
        self._dequantize_linear(integers, f"{name}/real", grid)

    def _enter(self, io: Io) -> None:
        """Bring the file's input to dequantized pixels, the transpose on bytes first."""
        self.graph.input[0].type.tensor_type.elem_type = IO_TYPES[io]
        bytes_name = self.image
        if io == "float32":
            bytes_name = f"{self.image}/bytes"
            self._quantize_linear(self.image, bytes_name, self.input_grid)
        elif io == "int8":
            bytes_name = f"{self.image}/bytes"
            self._dequantize_linear(self.image, f"{self.image}/float", self.input_grid, signed=True)
            self._quantize_linear(f"{self.image}/float", bytes_name, self.input_grid)
        self._publish(self.image, bytes_name, self.input_grid)
        for node in self.graph.node:
            if node.op_type == "Transpose" and node.input[0] in self.integers:
                target, node.output[0] = node.output[0], f"{node.output[0]}/bytes"
                node.input[0] = self.integers[node.input[0]]
                self.nodes.append(node)
                self._publish(target, node.output[0], self.input_grid)
                self.integers[node.output[0]] = node.output[0]  # taken

    def _leave(self, io: Io) -> None:
        """Let the file's output be what the caller asked for."""
        self.graph.output[0].type.tensor_type.elem_type = IO_TYPES[io]
        inner = {"uint8": self.integers[self.output], "float32": f"{self.output}/real"}.get(io)
        if inner is None:
            self._quantize_linear(
                f"{self.output}/real", self.output, self.grids[self.output], signed=True
            )
            return
        for node in self.nodes:
            for names in (node.input, node.output):
                for index, name in enumerate(names):
                    if name == inner:
                        names[index] = self.output

    def _quantize_linear(
        self, source: str, target: str, grid: Grid, *, signed: bool = False
    ) -> None:
        names = self._grid_names(grid, signed)
        self.nodes.append(helper.make_node("QuantizeLinear", [source, *names], [target], target))

    def _dequantize_linear(
        self, source: str, target: str, grid: Grid, *, signed: bool = False
    ) -> None:
        names = self._grid_names(grid, signed)
        self.nodes.append(helper.make_node("DequantizeLinear", [source, *names], [target], target))

    def _grid_names(self, grid: Grid, signed: bool) -> tuple[str, str]:
        point = np.array(
            grid.zero_point if signed else grid.unsigned_zero_point, np.int8 if signed else np.uint8
        )
        scale_name, point_name = f"scale_{grid.scale!r}", f"zero_{point.dtype}_{point}"
        self._add(scale_name, np.array(grid.scale, np.float32))
        self._add(point_name, point)
        return scale_name, point_name

    def _add(self, name: str, values: Array) -> None:
        if name not in self.initializers:
            self.initializers[name] = numpy_helper.from_array(values, name)

    def _keep_constants(self, node: Any) -> None:
        """Keep constants that steer (shapes, bounds); quantize those that are operands."""
        for index, name in enumerate(node.input):
            values = self.constants.get(name)
            if values is None:
                continue
            if node.op_type not in _WITH_OPERANDS:
                self._add(name, values)
                continue
            grid = activation_grid(float(values.min()), float(values.max()))
            point = grid.unsigned_zero_point
            integers = np.rint(values / grid.scale + point).clip(0, 255).astype(np.uint8)
            self._add(f"{name}/integers", integers)
            self._dequantize_linear(f"{name}/integers", f"{node.name}/{name}", grid)
            node.input[index] = f"{node.name}/{name}"

    def _quantize_layer(self, node: Any) -> None:
        source = node.input[0]
        layer = self._decided_layer(node) or self._rounded_layer(node)
        unsigned = (layer.weights.astype(np.int16) + _UNSIGNED).astype(np.uint8)
        points = np.full(len(layer.scales), _UNSIGNED, np.uint8)
        self._constant(node, 1, (unsigned, layer.scales, points), layer.axis)
        steps = self.grids[source].scale * layer.scales.astype(np.float64)
        zeros = np.zeros(len(steps), np.int32)
        self._constant(node, 2, (layer.bias, steps.astype(np.float32), zeros), 0)

    def _rounded_layer(self, node: Any) -> Integers:
        source, weights = node.input[0], self.constants[node.input[1]]
        bias = self.constants[node.input[2]] if len(node.input) > 2 else None
        shift = self.input_shift if source in self.pixels else 0.0
        return round_layer(
            node,
            weights,
            shifted_bias(node, weights, bias, shift),
            grid=self.grids[source],
            mean=self.observed[source].mean + shift,
            per_tensor=self.decided.per_tensor,
        )

    def _decided_layer(self, node: Any) -> Integers | None:
        decision = self.decided.layers.get(node.output[0])
        if decision is None or decision.rounded is None:
            return None
        weights = self.constants[node.input[1]]
        return follow(node, weights, decision.rounded, self.grids[node.input[0]])

    def _constant(self, node: Any, position: int, arrays: tuple[Array, ...], axis: int) -> None:
        base = f"{node.output[0]}/{'weights' if position == 1 else 'bias'}"
        parts = [f"{base}/{part}" for part in ("integers", "scales", "zero_points")]
        integers, *grid = arrays
        if len(grid[0]) == 1:  # one for the tensor: numbers, not lists of one
            grid = [array.reshape(()) for array in grid]
        for part, array in zip(parts, (integers, *grid), strict=True):
            self._add(part, array)
        self.nodes.append(helper.make_node("DequantizeLinear", parts, [base], base, axis=axis))
        if position == len(node.input):
            node.input.append(base)
        else:
            node.input[position] = base
