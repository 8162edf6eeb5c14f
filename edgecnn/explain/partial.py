"""A float TFLite graph in which some operations compute what integers would.

Weights are replaced by those that integers stand for, and tensors pass through their grid:
all else stays in float, so that what changes comes from there alone.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from edgecnn.quantize.grid import Grid, activation_grid
from edgecnn.quantize.plan import Plan
from edgecnn.quantize.tflite_graph import (
    constant,
    give_buffer,
    is_constant,
    name_of,
    new_operator,
    new_tensor,
    operation,
    pack,
    read,
    replace,
    set_grid,
)
from edgecnn.quantize.tflite_layer import Layer
from edgecnn.quantize.tflite_operations import JOINING, SAME_GRID, WEIGHTED

Array: TypeAlias = npt.NDArray[Any]

MOVING = SAME_GRID - {"AVERAGE_POOL_2D", "RESIZE_BILINEAR"}
"""These choose or move values that are on a grid already: they add no error."""


@dataclasses.dataclass(frozen=True)
class Weights:
    """What a layer computes with, in real values: weights as the float file has them, bias."""

    weights: Array
    bias: Array


@dataclasses.dataclass(frozen=True)
class Partial:
    """A float file, some of whose operations behave as integers.

    Attributes:
        content: The file; its inputs are the float file's.
        scores: Place of the tensor that a final softmax reads, or of the output.
        output: Place of the output.
        pair: Places of one operation's output, as it would be in float and as it is here;
            none where no operation was asked for.
    """

    content: bytes
    scores: int
    output: int
    pair: tuple[int, int] | None


def partly_quantized(
    float_file: bytes,
    plan: Plan,
    *,
    weights: Mapping[str, Weights],
    on_grid: Collection[str],
    beside: str | None = None,
) -> Partial:
    """Write a float file some of whose operations behave as integers.

    Args:
        float_file: The file that the plan was made on.
        plan: Its grids.
        weights: New weights, by the operation's name in the plan.
        on_grid: Names of the operations whose results go to their grid.
        beside: Name of one operation that is also computed in float, from the same inputs.
    """
    model = read(float_file)
    graph = model.subgraphs[0]
    writer = _Writer(model, plan)
    scores, pair = scores_place(model), None
    for operator in list(graph.operators):
        name = name_of(graph.tensors[operator.outputs[0]])
        if name == beside:
            pair = writer.add_float_copy(operator), int(operator.outputs[0])
        if name in weights:
            Layer(model, operator).write_floats(weights[name].weights, weights[name].bias)
        writer.add(operator, rounded=name in on_grid)
    graph.operators = writer.operators
    output = int(graph.outputs[0])
    watched = dict.fromkeys((output, scores, *(pair or ())))
    graph.outputs = np.asarray(list(watched), np.int32)
    return Partial(pack(model), scores, output, pair)


def scores_place(model: Any) -> int:
    """Return what a final softmax reads: a lead among probabilities has no steady scale."""
    graph = model.subgraphs[0]
    output = int(graph.outputs[0])
    last = next((o for o in graph.operators if output in o.outputs), None)
    if last is not None and operation(model, last) == "SOFTMAX":
        return int(last.inputs[0])
    return output


class _Writer:
    """Collects operations, with conversions to grids and back around some of them."""

    def __init__(self, model: Any, plan: Plan) -> None:
        self.model, self.graph = model, model.subgraphs[0]
        self.operators: list[Any] = []
        self._grids = {
            index: plan.tensors[name].grid
            for index, tensor in enumerate(self.graph.tensors)
            if (name := name_of(tensor)) in plan.tensors and not is_constant(model, tensor)
        }

    def add(self, operator: Any, *, rounded: bool) -> None:
        """Add an operation; where asked for, what it computes goes to the grid."""
        name = operation(self.model, operator)
        if not rounded or name in MOVING:
            self.operators.append(operator)
        elif name in JOINING:
            self._add_joining(operator)
        else:
            self._round_constants(operator)
            self._add_rounding(operator)

    def add_float_copy(self, operator: Any) -> int:
        """Compute an operation a second time; return the place of its first output."""
        twin = copy.copy(operator)
        twin.inputs = np.array(operator.inputs)
        twin.outputs = np.asarray(
            [new_tensor(self.model, int(i), "/exact") for i in operator.outputs], np.int32
        )
        self.operators.append(twin)
        return int(twin.outputs[0])

    def _add_joining(self, operator: Any) -> None:
        """Convert what is on another grid than the joined; the rest has its error already."""
        grid = self._grids.get(int(operator.outputs[0]))
        for index in sorted(set(map(int, operator.inputs))):
            if grid is not None and index in self._grids and self._grids[index] != grid:
                place = new_tensor(self.model, index, "/joined")
                self._convert(index, place, grid)
                operator.inputs = replace(operator.inputs, index, place)
        self.operators.append(operator)

    def _add_rounding(self, operator: Any) -> None:
        outputs = [int(i) for i in operator.outputs]
        self.operators.append(operator)
        for index in outputs:
            if index not in self._grids:
                continue
            raw = new_tensor(self.model, index, "/raw")
            operator.outputs = replace(operator.outputs, index, raw)
            self._convert(raw, index, self._grids[index])

    def _convert(self, source: int, target: int, grid: Grid) -> None:
        between = new_tensor(self.model, source, "/int8")
        set_grid(self.graph.tensors[between], grid)
        self.operators.append(new_operator(self.model, "QUANTIZE", source, between))
        self.operators.append(new_operator(self.model, "DEQUANTIZE", between, target))

    def _round_constants(self, operator: Any) -> None:
        """Put constant operands on grids of their own; weights of layers were replaced."""
        if operation(self.model, operator) in WEIGHTED:
            return
        for position, index in enumerate(operator.inputs):
            tensor = self.graph.tensors[index]
            is_float = tensor.type == schema.TensorType.FLOAT32
            if index < 0 or not is_float or not is_constant(self.model, tensor):
                continue
            values = constant(self.model, tensor, np.float32)
            grid = activation_grid(float(values.min()), float(values.max()))
            place = new_tensor(self.model, int(index), f"/{position}")
            give_buffer(self.model, self.graph.tensors[place], _through(grid, values))
            inputs = np.array(operator.inputs)
            inputs[position] = place
            operator.inputs = inputs


def _through(grid: Grid, values: Array) -> Array:
    integers = np.rint(values / grid.scale + grid.zero_point).clip(-128, 127)
    return ((integers - grid.zero_point) * grid.scale).astype(np.float32)
