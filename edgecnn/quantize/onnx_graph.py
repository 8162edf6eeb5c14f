"""A float ONNX graph as the integer kernels want it: what can be one operation becomes one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from onnx import helper, numpy_helper

Array: TypeAlias = npt.NDArray[Any]

_CONVOLUTIONS = ("Conv", "ConvTranspose")


def simplify(graph: Any, in_float: Collection[str] = ()) -> dict[str, str]:
    """Merge biases, padding and saturating activations into their layers; in place.

    Args:
        graph: Of a float file.
        in_float: Tensors that are computed in float: their activations stay.

    Returns:
        For each activation that stayed behind a layer: the layer's output, and its own.
    """
    merge_biases(graph)
    _merge_padding(graph)
    _reduce_to_maximum(graph)
    return _drop_saturated_activations(graph, in_float)


def merge_biases(graph: Any) -> None:
    """Give each layer the constants that are added behind it; in place."""
    _merge_dense_bias(graph)
    _merge_bias(graph)


def attribute(node: Any, name: str, default: Any) -> Any:
    """Return an attribute's value."""
    found = next((a for a in node.attribute if a.name == name), None)
    return default if found is None else helper.get_attribute_value(found)


def constants_of(graph: Any) -> dict[str, Array]:
    """Return the constants by name."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def _readers(graph: Any, name: str) -> list[Any]:
    return [node for node in graph.node if name in node.input]


def _only_reader(graph: Any, name: str) -> Any:
    """Return the one node that reads a tensor; None where others do, or the file's user."""
    readers = _readers(graph, name)
    is_output = any(value.name == name for value in graph.output)
    return readers[0] if len(readers) == 1 and not is_output else None


def _merge_dense_bias(graph: Any) -> None:
    """Turn MatMul and its Add into one Gemm: the form that has an integer kernel."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for node in [n for n in graph.node if n.op_type == "MatMul"]:
        if len(shapes.get(node.input[1], ())) != 2 or node.input[0] in shapes:
            continue
        node.op_type = "Gemm"
        reader = _only_reader(graph, node.output[0])
        if reader is None or reader.op_type != "Add":
            continue
        other = next((i for i in reader.input if i != node.output[0]), "")
        if len(shapes.get(other, ())) == 1:
            node.input.append(other)
            node.output[0] = reader.output[0]
            graph.node.remove(reader)


def _merge_bias(graph: Any) -> None:
    """Give a convolution the constants that are added to its channels."""
    constants = constants_of(graph)
    for node in [n for n in graph.node if n.op_type in _CONVOLUTIONS and len(n.input) == 2]:
        reader = _only_reader(graph, node.output[0])
        if reader is None or reader.op_type != "Add" or node.input[1] not in constants:
            continue
        other = next((i for i in reader.input if i != node.output[0]), "")
        weights = constants[node.input[1]]
        axis = 0 if node.op_type == "Conv" else 1
        channels = weights.shape[axis] * (attribute(node, "group", 1) if axis else 1)
        shape = (channels, *[1] * (weights.ndim - 2))
        if other not in constants or constants[other].shape not in (shape, (1, *shape)):
            continue
        name = f"{node.output[0]}/bias"
        graph.initializer.append(numpy_helper.from_array(constants[other].reshape(-1), name))
        node.input.append(name)
        node.output[0] = reader.output[0]
        graph.node.remove(reader)


def _merge_padding(graph: Any) -> None:
    """Let a convolution pad its input itself, where a border of zeros was put around it."""
    constants = constants_of(graph)
    for node in [n for n in graph.node if n.op_type == "Pad"]:
        reader, pads = _only_reader(graph, node.output[0]), constants.get(node.input[1])
        value = constants.get(node.input[2], np.ones(1)) if len(node.input) > 2 else np.zeros(1)
        if reader is None or reader.op_type != "Conv" or pads is None or value.any():
            continue
        spatial = pads.reshape(2, -1)[:, 2:]
        if pads.sum() != spatial.sum() or attribute(reader, "auto_pad", b"NOTSET") != b"NOTSET":
            continue
        own = np.asarray(attribute(reader, "pads", [0] * spatial.size)).reshape(2, -1)
        for old in [a for a in reader.attribute if a.name == "pads"]:
            reader.attribute.remove(old)
        total = (own + spatial).reshape(-1).tolist()
        reader.attribute.append(helper.make_attribute("pads", total))
        reader.input[0] = node.input[0]
        graph.node.remove(node)


def _reduce_to_maximum(graph: Any) -> None:
    """Turn global max pooling of [N, C, H, W] into the reduction that has an integer kernel."""
    for node in [n for n in graph.node if n.op_type == "GlobalMaxPool"]:
        node.op_type = "ReduceMax"
        node.attribute.extend(
            [helper.make_attribute("axes", [2, 3]), helper.make_attribute("keepdims", 1)]
        )


def _drop_saturated_activations(graph: Any, in_float: Collection[str]) -> dict[str, str]:
    """Remove ReLU and ReLU6 behind a layer: the output's grid ends where they clip."""
    kept = {}
    constants = constants_of(graph)
    producers = {output: node for node in graph.node for output in node.output}
    for node in [n for n in graph.node if n.op_type in ("Clip", "Relu")]:
        source = producers.get(node.input[0])
        # A grid always has zero on it: it can't end above.
        lowest = constants.get(node.input[1]) if len(node.input) > 1 else np.zeros(1)
        if source is None or lowest is None or lowest > 0:
            continue
        is_layer = source.op_type in (*_CONVOLUTIONS, "Gemm", "Add")
        if is_layer and node.output[0] in in_float:
            kept[source.output[0]] = node.output[0]
        elif is_layer and _only_reader(graph, node.input[0]) is node:
            source.output[0] = node.output[0]
            graph.node.remove(node)
    return kept
