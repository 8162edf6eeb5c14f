"""One operation of a float TFLite graph, alone, between integers: quantization as it will be.

The runtime itself computes it, so that this holds for any operation that a file may have.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgecnn.core.quiet import quiet_stderr
from edgecnn.quantize.grid import Grid
from edgecnn.quantize.plan import Rounded
from edgecnn.quantize.tflite_graph import (
    is_constant,
    new_operator,
    new_tensor,
    pack,
    set_grid,
)
from edgecnn.quantize.tflite_layer import Layer

Array: TypeAlias = npt.NDArray[Any]


class Step:
    """Runs one operation; integers in and out where a grid is given, floats elsewhere.

    Attributes:
        inputs: The activations that it reads, as places in the graph.
        outputs: Those that it writes.
    """

    def __init__(
        self,
        model: Any,
        operator: Any,
        *,
        grids: Mapping[int, Grid],
        rounded: Rounded | None = None,
        threads: int = 2,
    ) -> None:
        tensors = model.subgraphs[0].tensors
        self.inputs = _activations(model, operator)
        self.outputs = [int(i) for i in operator.outputs]
        alone, place = _alone(model, operator)
        if rounded is not None:
            _give_weights(alone, operator=alone.subgraphs[0].operators[0], rounded=rounded)
        self._shapes = {i: tuple(tensors[i].shape) for i in self.inputs}
        entries = [_enter(alone, place[i], grids.get(i)) for i in self.inputs]
        leaves = [_leave(alone, place[i], grids.get(i)) for i in self.outputs]
        graph = alone.subgraphs[0]
        graph.inputs = np.asarray(entries, np.int32)
        graph.outputs = np.asarray(leaves, np.int32)
        with quiet_stderr():  # the runtime announces its delegate there
            self._interpreter = Interpreter(model_content=pack(alone), num_threads=threads)
            self._interpreter.allocate_tensors()
        # The file's order of inputs, but one that is read twice is there once.
        self._entries, self._leaves = entries, leaves

    def run(self, values: Sequence[Array]) -> list[Array]:
        """Return the outputs for one photo; the values are those of `inputs`, in order."""
        for place, entry, value in zip(self.inputs, self._entries, values, strict=True):
            self._interpreter.set_tensor(entry, value.reshape(self._shapes[place]))
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(leave) for leave in self._leaves]


def _activations(model: Any, operator: Any) -> list[int]:
    tensors = model.subgraphs[0].tensors
    places = dict.fromkeys(int(i) for i in operator.inputs if i >= 0)
    return [i for i in places if not is_constant(model, tensors[i])]


def _alone(model: Any, operator: Any) -> tuple[Any, dict[int, int]]:
    """Return a model of one operation, and where the graph's tensors are in it."""
    alone, graph = schema.ModelT(), schema.SubGraphT()
    alone.version, alone.subgraphs, alone.buffers = 3, [graph], [schema.BufferT()]
    alone.operatorCodes = [copy.copy(model.operatorCodes[operator.opcodeIndex])]
    graph.tensors, graph.operators = [], [copy.copy(operator)]
    place = {-1: -1}
    for index in dict.fromkeys(int(i) for i in (*operator.inputs, *operator.outputs) if i >= 0):
        tensor = copy.copy(model.subgraphs[0].tensors[index])
        buffer = model.buffers[tensor.buffer]
        tensor.buffer = 0
        if buffer.data is not None:
            tensor.buffer = len(alone.buffers)
            alone.buffers.append(buffer)
        place[index] = len(graph.tensors)
        graph.tensors.append(tensor)
    only = graph.operators[0]
    only.opcodeIndex = 0
    only.inputs = np.asarray([place[int(i)] for i in operator.inputs], np.int32)
    only.outputs = np.asarray([place[int(i)] for i in operator.outputs], np.int32)
    return alone, place


def _give_weights(alone: Any, *, operator: Any, rounded: Rounded) -> None:
    layer = Layer(alone, operator)
    shape = [1] * rounded.weights.ndim
    shape[layer.axis] = -1
    layer.write_floats(rounded.weights * rounded.scales.reshape(shape), rounded.bias)


def _enter(alone: Any, inner: int, grid: Grid | None) -> int:
    if grid is None:
        return inner
    graph = alone.subgraphs[0]
    outer = new_tensor(alone, inner, "/int8")
    set_grid(graph.tensors[outer], grid)
    graph.operators.insert(0, new_operator(alone, "DEQUANTIZE", outer, inner))
    return outer


def _leave(alone: Any, inner: int, grid: Grid | None) -> int:
    if grid is None:
        return inner
    graph = alone.subgraphs[0]
    outer = new_tensor(alone, inner, "/int8")
    set_grid(graph.tensors[outer], grid)
    graph.operators.append(new_operator(alone, "QUANTIZE", inner, outer))
    return outer
