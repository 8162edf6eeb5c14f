"""A float TFLite file's operations by the names that a plan has for them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.core.labels import labels_of
from edgecnn.explain.partial import MOVING
from edgecnn.quantize.plan import Plan
from edgecnn.quantize.tflite_graph import name_of, operation, read
from edgecnn.quantize.tflite_layer import Layer
from edgecnn.quantize.tflite_operations import JOINING, WEIGHTED, touches_floats
from edgecnn.runtime import tflite
from edgecnn.runtime.operations import macs_of

Array: TypeAlias = npt.NDArray[Any]

# A channel whose weights are this much smaller than the largest contributes nothing.
_DEAD = 1e-6


class Graph:
    """What is known of a float file before anything runs.

    Attributes:
        model: The flatbuffer, read.
        operators: Operations on floats, by the name of their first output, in order.
    """

    def __init__(self, float_file: bytes) -> None:
        self._file = float_file
        self.model = read(float_file)
        graph = self.model.subgraphs[0]
        self.operators = {
            name_of(graph.tensors[operator.outputs[0]]): operator
            for operator in graph.operators
            if touches_floats(self.model, operator)
        }

    def kind(self, name: str) -> str:
        """Return an operation, as "CONV_2D"."""
        return operation(self.model, self.operators[name])

    @cached_property
    def labels(self) -> dict[str, str]:
        """Short names."""
        return labels_of({name: self.kind(name) for name in self.operators})

    @cached_property
    def macs(self) -> dict[str, int]:
        """Multiply-accumulates of one inference."""
        graph = tflite.read(self._file, where=Path("the float network"))
        found = {
            graph.tensors[operator.outputs[0]].name: macs_of(graph, operator)
            for operator in graph.operators
        }
        return {name: found.get(name, 0) for name in self.operators}

    def layer(self, name: str) -> Layer | None:
        """Return an operation with weights of its own; None for any other."""
        found = self.operators[name]
        if self.kind(name) not in WEIGHTED:
            return None
        return Layer(self.model, found)

    def input_of(self, layer: Layer) -> str:
        """Return the name of the tensor that a layer reads."""
        return name_of(self.model.subgraphs[0].tensors[layer.data])

    def makes_noise(self, name: str, plan: Plan) -> bool:
        """Tell whether an operation adds an error of its own where the plan is followed.

        One that moves values doesn't, nor one that joins what is on its grid already, nor
        one in float whose result nobody reads as an integer.
        """
        if self.kind(name) in MOVING or name not in plan.tensors:
            return False
        operator, tensors = self.operators[name], self.model.subgraphs[0].tensors
        if self.kind(name) in JOINING:
            grid = plan.tensors[name].grid
            read_names = [name_of(tensors[i]) for i in operator.inputs]
            return any(plan.tensors[n].grid != grid for n in read_names if n in plan.tensors)
        return plan.layers[name].precision != "float32" or self._is_read_as_integer(name, plan)

    def _is_read_as_integer(self, name: str, plan: Plan) -> bool:
        outputs = set(map(int, self.operators[name].outputs))
        readers = [n for n, o in self.operators.items() if outputs & set(map(int, o.inputs))]
        return any(plan.layers[reader].precision != "float32" for reader in readers)

    def weight_spread(self, name: str) -> float | None:
        """Return the largest range of a channel's weights over the smallest living one."""
        layer = self.layer(name)
        if layer is None:
            return None
        others = tuple(i for i in range(layer.weights.ndim) if i != layer.axis)
        largest = np.abs(layer.weights).max(axis=others)
        living = largest[largest > _DEAD * largest.max()]
        return float(living.max() / living.min()) if len(living) else None
