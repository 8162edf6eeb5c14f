"""Channels-first all the way through an ONNX graph, where the converter keeps changing back.

TensorFlow's tensors have their channels last and ONNX's convolutions have them first, so
the converter puts a Transpose on either side of each. It cancels many of them; those
around h-swish, squeeze-and-excitation and padding stay, and cost more than the work itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from onnx import helper, numpy_helper

Array: TypeAlias = npt.NDArray[Any]

# Element by element, so in any layout.
_POINTWISE = {
    "Add", "Clip", "Div", "Elu", "Erf", "Exp", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu",
    "Max", "Min", "Mul", "Neg", "PRelu", "Relu", "Sigmoid", "Softplus", "Sub", "Tanh",
}  # fmt: skip
_REDUCING = {"ReduceMax", "ReduceMean"}


def channels_first(graph: Any) -> None:
    """Move each Transpose to channels last behind all that can do without it; in place.

    Args:
        graph: A GraphProto whose convolutions are each between two Transposes.
    """
    layout = _Layout(graph)
    for node in list(graph.node):
        layout.take(node)
    del graph.node[:]
    graph.node.extend(layout.needed())
    read = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def leading_to(outputs: set[str], nodes: Sequence[Any]) -> list[Any]:
    """Return those of the nodes, in order, that some of the outputs depend on."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1]


class _Layout:
    """The graph as it is rebuilt, and which tensors exist with their channels first."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self.nodes: list[Any] = []
        self.first: dict[str, str] = {}  # channels last -> the same tensor, channels first
        self.rank: dict[str, int] = {}
        self.renamed: dict[str, str] = {}

    def take(self, node: Any) -> None:
        """Add a node, in the better layout where it has one."""
        for index, name in enumerate(node.input):
            node.input[index] = self.renamed.get(name, name)
        handler = self._handler(node)
        if node.op_type == "Transpose":
            self._transpose(node)
        elif handler is None or not handler(node):
            self.nodes.append(node)

    def needed(self) -> list[Any]:
        """Return the nodes that lead to the output."""
        return leading_to({value.name for value in self.graph.output}, self.nodes)

    def _handler(self, node: Any) -> Callable[[Any], bool] | None:
        if node.op_type in _POINTWISE:
            return self._pointwise
        if node.op_type in _REDUCING:
            return self._reduce
        return {"Concat": self._concat, "Pad": self._pad}.get(node.op_type)

    def _transpose(self, node: Any) -> None:
        order = list(_attribute(node, "perm", []))
        source, target = node.input[0], node.output[0]
        outputs = {value.name for value in self.graph.output}
        if order == _to_first(len(order)) and source in self.first and target not in outputs:
            self.renamed[target] = self.first[source]
            return
        if len(order) > 2 and order == _to_last(len(order)):
            self.first[target], self.rank[target] = source, len(order)
        self.nodes.append(node)

    def _pointwise(self, node: Any) -> bool:
        dynamic = [name for name in node.input if name and name not in self.constants]
        if not dynamic or not all(name in self.first for name in dynamic):
            return False
        rank = self.rank[dynamic[0]]
        constants = [name for name in node.input if name in self.constants]
        if any(self.constants[name].ndim > rank for name in constants):
            return False
        inputs = [
            self.first[name] if name in self.first else self._constant(name, rank)
            for name in node.input
        ]
        self._emit(node, inputs, rank)
        return True

    def _constant(self, name: str, rank: int) -> str:
        """Return a constant's name with its channels first; numbers and absences stay."""
        values = self.constants.get(name)
        if values is None or values.size == 1:
            return name
        spread = values.reshape((1,) * (rank - values.ndim) + values.shape)
        return self._add(f"{name}/first", spread.transpose(_to_first(rank)))

    def _reduce(self, node: Any) -> bool:
        source = node.input[0]
        axes = list(_attribute(node, "axes", []))
        if source not in self.first or not axes:
            return False
        rank = self.rank[source]
        moved = sorted(_to_first(rank).index(axis % rank) for axis in axes)
        keeps = bool(_attribute(node, "keepdims", 1))
        if not keeps and 1 in moved:
            return False
        node.input[0] = self.first[source]
        if node.op_type == "ReduceMean" and moved == list(range(2, rank)):
            node.op_type = "GlobalAveragePool"  # the form that has an integer kernel
            del node.attribute[:]
            if not keeps:
                self._squeeze_behind(node, moved)
                return True
        else:
            _set(node, "axes", moved)
        if keeps:
            self._emit(node, [*node.input], rank)
        else:
            self.nodes.append(node)
        return True

    def _squeeze_behind(self, node: Any, axes: list[int]) -> None:
        target, node.output[0] = node.output[0], f"{node.output[0]}/kept"
        name = self._add(f"{target}/axes", np.asarray(axes, np.int64))
        self.nodes += [node, helper.make_node("Squeeze", [node.output[0], name], [target])]

    def _concat(self, node: Any) -> bool:
        if not all(name in self.first for name in node.input):
            return False
        rank = self.rank[node.input[0]]
        axis = _attribute(node, "axis", 0) % rank
        _set(node, "axis", _to_first(rank).index(axis))
        self._emit(node, [self.first[name] for name in node.input], rank)
        return True

    def _pad(self, node: Any) -> bool:
        source, pads = node.input[0], self.constants.get(node.input[1])
        if source not in self.first or pads is None or len(node.input) > 3:
            return False
        rank = self.rank[source]
        moved = pads.reshape(2, rank)[:, _to_first(rank)].reshape(-1)
        margins = self._add(f"{node.input[1]}/first", moved)
        self._emit(node, [self.first[source], margins, *node.input[2:]], rank)
        return True

    def _emit(self, node: Any, inputs: list[str], rank: int) -> None:
        """Add a node whose inputs have their channels first, and its output's other layout."""
        target = node.output[0]
        node.input[:] = inputs
        node.output[0] = f"{target}/first"
        back = helper.make_node("Transpose", [node.output[0]], [target], perm=_to_last(rank))
        self.nodes += [node, back]
        self.first[target], self.rank[target] = node.output[0], rank

    def _add(self, name: str, values: Array) -> str:
        if name not in self.constants:
            self.constants[name] = values
            self.graph.initializer.append(numpy_helper.from_array(values.copy(), name))
        return name


def _to_first(rank: int) -> list[int]:
    return [0, rank - 1, *range(1, rank - 1)]


def _to_last(rank: int) -> list[int]:
    return [0, *range(2, rank), 1]


def _attribute(node: Any, name: str, default: Any) -> Any:
    found = next((a for a in node.attribute if a.name == name), None)
    return default if found is None else helper.get_attribute_value(found)


def _set(node: Any, name: str, value: Any) -> None:
    for attribute in [a for a in node.attribute if a.name == name]:
        node.attribute.remove(attribute)
    node.attribute.append(helper.make_attribute(name, value))
