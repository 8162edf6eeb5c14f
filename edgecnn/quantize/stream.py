"""Photos on their way through a network as its integer file will compute it, step by step."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.quantize.grid import Grid
from edgecnn.quantize.input_shift import correct_float_layers
from edgecnn.quantize.patches import rows_of
from edgecnn.quantize.plan import Layer as Decision
from edgecnn.quantize.plan import Plan
from edgecnn.quantize.targets import Target
from edgecnn.quantize.tflite_graph import activations, name_of, read
from edgecnn.quantize.tflite_layer import Layer
from edgecnn.quantize.tflite_operations import touches_floats
from edgecnn.quantize.tflite_step import Step

Array: TypeAlias = npt.NDArray[Any]

_STREAM_BYTES = 600_000_000
_ROWS_BYTES = 32_000_000


class Stream:
    """The calibration photos on their way through the network, as integers where it has grids.

    Attributes:
        photos: How many.
        operators: Place of each operation on floats, and its name in the plan.
    """

    def __init__(self, float_file: bytes, plan: Plan) -> None:
        self.model, self.plan = read(float_file), plan
        correct_float_layers(self.model, plan)
        graph = self.model.subgraphs[0]
        self.operators = {
            place: name_of(graph.tensors[operator.outputs[0]])
            for place, operator in enumerate(graph.operators)
            if touches_floats(self.model, operator)
        }
        names = {i: name_of(graph.tensors[i]) for i in activations(self.model)}
        self.grids = {
            i: plan.tensors[name].grid for i, name in names.items() if name in plan.tensors
        }
        self._last = {
            int(i): place for place in self.operators for i in graph.operators[place].inputs
        }
        self._values: dict[int, Array] = {}
        self.photos = 0

    def enter(self, inputs: Iterable[Array]) -> None:
        """Take in photos, as many as memory allows."""
        entry = int(self.model.subgraphs[0].inputs[0])
        grid, shift = self.grids.get(entry), self.plan.input_shift
        most = max(1, _STREAM_BYTES // self._peak())
        taken = [_on_grid(value + shift, grid) for value in itertools.islice(inputs, most)]
        self._values[entry], self.photos = np.stack(taken), len(taken)

    def advance(self, place: int, decision: Decision) -> None:
        """Compute one operation for all photos; forget what nobody reads any more."""
        operator = self.model.subgraphs[0].operators[place]
        step = Step(self.model, operator, grids=self.grids, rounded=decision.rounded)
        for photo in range(self.photos):
            results = step.run([self._values[i][photo] for i in step.inputs])
            for output, value in zip(step.outputs, results, strict=True):
                if output not in self._values:
                    self._values[output] = np.empty((self.photos, *value.shape), value.dtype)
                self._values[output][photo] = value
        for index in [i for i in self._values if self._last.get(i, -1) <= place]:
            del self._values[index]

    def samples(self, index: int, target: Target, photos: slice) -> Array:
        """Return a tensor's real values [rows, channels] at a target's positions."""
        values = zip(self._values[index][photos], target.places[photos], strict=True)
        picked = [value.reshape(-1, value.shape[-1])[places] for value, places in values]
        return _real(np.concatenate(picked), self.grids.get(index))

    def rows(self, layer: Layer, target: Target) -> Iterator[tuple[slice, Array]]:
        """Yield some photos after others, and the rows [P, taps, C] that the layer reads there."""
        grid, values = self.grids.get(layer.data), self._values[layer.data]
        zero = grid.zero_point if grid else 0
        read = layer.weights.size // layer.weights.shape[layer.axis]
        if layer.name == "DEPTHWISE_CONV_2D":
            read *= values.shape[-1]
        step = max(1, _ROWS_BYTES // (4 * read * target.places.shape[1]))
        for first in range(0, self.photos, step):
            photos = slice(first, min(first + step, self.photos))
            pairs = zip(values[photos], target.places[photos], strict=True)
            found = [rows_of(layer, value, places, zero=zero) for value, places in pairs]
            yield photos, _real(np.concatenate(found), grid)

    def _peak(self) -> int:
        """Return the most bytes that one photo's live tensors take."""
        tensors = self.model.subgraphs[0].tensors
        sizes = {
            i: int(np.prod(tensors[i].shape)) * (self.grids[i].bits // 8 if i in self.grids else 4)
            for i in activations(self.model)
        }
        born = {int(self.model.subgraphs[0].inputs[0]): -1}
        for place in self.operators:
            for i in self.model.subgraphs[0].operators[place].outputs:
                born.setdefault(int(i), place)
        return max(
            sum(sizes[i] for i in born if born[i] <= place <= self._last.get(i, born[i]))
            for place in self.operators
        )


def _on_grid(value: Array, grid: Grid | None) -> Array:
    if grid is None:
        return value
    return grid.integers(value)


def _real(integers: Array, grid: Grid | None) -> Array:
    if grid is None:
        return integers
    return (integers.astype(np.float32) - grid.zero_point) * np.float32(grid.scale)
