"""A frozen graph as named nodes: who reads whom, what is constant, and new nodes for old."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.grappler import tf_optimizer
from tensorflow.python.training import saver

from edgecnn.core.errors import InputError

Array: TypeAlias = npt.NDArray[Any]

_PASSING = {"Identity", "StopGradient", "PreventGradient"}


class Graph:
    """The nodes of one graph, to be rewritten.

    Attributes:
        nodes: By name.
        shapes: Of each node's first output; None where a size is open.
    """

    def __init__(self, graph: Any, input_name: str, output_name: str) -> None:
        graph, self.shapes = _settled(graph, input_name, output_name)
        self.nodes: dict[str, Any] = {node.name: node for node in graph.node}
        self.versions = graph.versions
        self.input, self.output = input_name, output_name
        self._skip_passing()

    def graph_def(self) -> Any:
        """Return what leads to the output."""
        needed, waiting = set[str](), [self.output, self.input]
        while waiting:
            name = waiting.pop()
            if name not in needed:
                needed.add(name)
                waiting += map(_bare, self.nodes[name].input)
        graph = tf.compat.v1.GraphDef()
        graph.node.extend(node for name, node in self.nodes.items() if name in needed)
        graph.versions.CopyFrom(self.versions)
        return graph

    def readers(self, name: str) -> list[Any]:
        """Return the nodes that read a node's first output."""
        return [node for node in self.nodes.values() if name in map(_bare, node.input)]

    def only_reader(self, name: str) -> Any:
        """Return the one node that reads another; None where several do, or the user."""
        found = self.readers(name)
        return found[0] if len(found) == 1 and name != self.output else None

    def constant(self, name: str) -> Array | None:
        """Return a constant's values; None for what is computed."""
        node = self.nodes.get(_bare(name))
        return tf.make_ndarray(node.attr["value"].tensor) if node and node.op == "Const" else None

    def sources(self, node: Any) -> list[str]:
        """Return the names of the nodes that a node reads."""
        return [_bare(name) for name in node.input if not name.startswith("^")]

    def add_constant(self, name: str, values: Array) -> str:
        """Add a constant; return its name."""
        self.nodes[name] = _constant_node(name, values)
        return name

    def add(
        self, op: str, name: str, inputs: list[str], attributes: Mapping[str, Any] | None = None
    ) -> Any:
        """Add a node on floats, or put it in the place of the one of this name."""
        node = tf.compat.v1.NodeDef(name=name, op=op, input=inputs)
        node.attr["T"].type = tf.float32.as_datatype_enum
        for key, value in (attributes or {}).items():
            if isinstance(value, list):
                node.attr[key].list.i.extend(value)
            elif isinstance(value, bytes):
                node.attr[key].s = value
        self.nodes[name] = node
        return node

    def redirect(self, old: str, new: str, *, but: tuple[str, ...] = ()) -> None:
        """Let all that read one node read another."""
        for node in self.nodes.values():
            if node.name in but:
                continue
            for index, name in enumerate(node.input):
                if _bare(name) == old and not name.startswith("^"):
                    node.input[index] = new

    def _skip_passing(self) -> None:
        """Read past nodes that change nothing, and forget what only orders effects."""
        for node in list(self.nodes.values()):
            kept = [name for name in node.input if not name.startswith("^")]
            del node.input[:]
            node.input.extend(kept)
            if node.op in _PASSING and node.name != self.output:
                self.redirect(node.name, node.input[0])
                del self.nodes[node.name]


def last_operation(graph: Any, name: str, *, past: set[str]) -> Any:
    """Return the node that makes a GraphDef's output, before those that only shape it."""
    nodes = {node.name: node for node in graph.node}
    node = nodes[_bare(name)]
    while node.op in past | _PASSING:
        node = nodes[_bare(node.input[0])]
    return node


def constants(graph: Any) -> Iterator[tuple[str, Array]]:
    """Yield the float constants of a GraphDef, by name."""
    for node in graph.node:
        if node.op == "Const" and node.attr["dtype"].type == tf.float32.as_datatype_enum:
            yield node.name, tf.make_ndarray(node.attr["value"].tensor)


def refuse_no_numbers(weights: Iterable[tuple[str, Array]], *, where: Path) -> None:
    """Refuse weights of which some are no numbers.

    Args:
        weights: Name and float values of each.
        where: The model's file.

    Raises:
        InputError: one holds NaN, or an infinity among others.
    """
    for name, values in weights:
        # One infinity is a bound, as of a maximum's border; many are a training gone wrong.
        if np.isnan(values).any() or (values.size > 1 and np.isinf(values).any()):
            raise InputError(
                f"weights that are no numbers ({name})", where=where, fix="train it again"
            )


def _constant_node(name: str, values: Array) -> Any:
    node = tf.compat.v1.NodeDef(name=name, op="Const")
    node.attr["dtype"].type = tf.as_dtype(values.dtype).as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values))
    return node


def _bare(name: str) -> str:
    return name.partition(":")[0].lstrip("^")


def _settled(
    graph: Any, input_name: str, output_name: str
) -> tuple[Any, dict[str, tuple[int, ...] | None]]:
    """Compute what depends on no pixel; return the graph and its shapes."""
    place = _imported(_with_known_shapes(graph))
    meta = saver.export_meta_graph(graph_def=place.as_graph_def(), graph=place)
    for name in (input_name, output_name):
        meta.collection_def["train_op"].node_list.value.append(f"{name}:0")
    config = config_pb2.ConfigProto()
    config.graph_options.rewrite_options.optimizers.append("constfold")
    config.graph_options.rewrite_options.min_graph_nodes = -1
    settled = tf_optimizer.OptimizeGraph(config, meta)
    operations = _imported(settled).get_operations()
    return settled, {o.name: _shape(o.outputs[0].shape) for o in operations if o.outputs}


def _with_known_shapes(graph: Any) -> Any:
    """Write down the sizes that a graph asks for while it runs: they are fixed here."""
    shapes = {
        operation.name: _shape(operation.inputs[0].shape)
        for operation in _imported(graph).get_operations()
        if operation.type == "Shape"
    }
    copy = tf.compat.v1.GraphDef()
    copy.CopyFrom(graph)
    for node in copy.node:
        if (shape := shapes.get(node.name)) is not None:
            kind = tf.as_dtype(node.attr["out_type"].type or tf.int32.as_datatype_enum)
            node.CopyFrom(_constant_node(node.name, np.asarray(shape, kind.as_numpy_dtype)))
    return copy


def _imported(graph: Any) -> Any:
    with (place := tf.Graph()).as_default():
        tf.graph_util.import_graph_def(graph, name="")
    return place


def _shape(shape: Any) -> tuple[int, ...] | None:
    return tuple(shape.as_list()) if shape.is_fully_defined() else None


def channels_of(values: Array, count: int) -> Array | None:
    """Return a constant as one number a channel (the last axis), float64; None if it isn't."""
    if values.size == 1:
        return np.full(count, values.item(), np.float64)
    if values.size == count and values.shape[-1] == count:
        return values.reshape(-1).astype(np.float64)
    return None
