"""A frozen graph made ready for integers: scales and shifts folded into the layers beside them.

What `edgecnn.convert.fold` does to a checkpoint's Keras layers, for graphs that come from
anywhere: batch norms in each of the forms that TensorFlow has for them, rescalings that a
network begins with, and the caller's normalization. Where nothing can take a scale a channel
over, a 1x1 depthwise convolution does it: its weights have one grid a channel, a
multiplication's operand only one.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.convert.graph import Graph, channels_of
from edgecnn.core.normalization import Normalization, same_for_all

Array: TypeAlias = npt.NDArray[Any]
Affine: TypeAlias = tuple[str, Array, Array]
"""What is read, gain and shift of each channel, float64."""

_LAYERS = {"Conv2D", "DepthwiseConv2dNative", "MatMul"}
_NORMS = {"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"}
_ONE_STEP = {"strides": [1, 1, 1, 1], "padding": b"VALID", "data_format": b"NHWC"}


def peel(graph: Graph, normalization: Normalization) -> Normalization:
    """Take the scales and shifts that a graph begins with out of it.

    Args:
        graph: Takes what ``normalization`` makes of pixels; is changed.
        normalization: One scale and offset for all channels, or one each.

    Returns:
        The normalization that the graph then wants of its caller.
    """
    channels = (graph.shapes[graph.input] or (1,))[-1]
    scale, offset = (
        np.resize(np.asarray(v, np.float64), channels)
        for v in (normalization.scale, normalization.offset)
    )
    while (reader := graph.only_reader(graph.input)) is not None:
        affine = _affine(graph, reader)
        if affine is None or reader.name == graph.output or affine[1].min() <= 0:
            break
        scale, offset = scale * affine[1], offset * affine[1] + affine[2]
        graph.redirect(reader.name, graph.input)
        del graph.nodes[reader.name]
    if np.ptp(scale) == 0 and np.ptp(offset) == 0:
        return same_for_all(float(scale[0]), float(offset[0]))
    return Normalization(tuple(scale.tolist()), tuple(offset.tolist()))


def fold_input(graph: Graph, normalization: Normalization, *, is_bgr: bool) -> Normalization:
    """Let the first layers do what differs from channel to channel; see `fold_channels`.

    Args:
        graph: Takes what ``normalization`` makes of pixels, in its own order of colours.
        normalization: In that order.
        is_bgr: The graph wants blue first; its callers have red first.

    Returns:
        The normalization, the same for all channels, that the graph then takes.
    """
    if normalization.is_scalar and not is_bgr:
        return normalization
    channels = (graph.shapes[graph.input] or (1,))[-1]
    scale, offset = (
        np.resize(np.asarray(v, np.float64), channels)
        for v in (normalization.scale, normalization.offset)
    )
    readers = _first_layers(graph, channels, is_bgr=is_bgr)
    if not readers:
        _insert(graph, scale, offset, is_bgr=is_bgr)
        return same_for_all(1.0, 0.0)
    common, zero = float(scale.mean()), float((-offset / scale).mean())
    if not normalization.is_scalar:  # the pixel that means zero differs: they get a whole one
        zero = float(round(zero))
    for layer in readers:
        weights = np.asarray(graph.constant(layer.input[1]), np.float64)
        shift = (weights * (offset + zero * scale)[:, None]).sum(axis=(0, 1))
        weights = weights * (scale / common)[:, None]
        if layer.op == "Conv2D":
            shift = shift.sum(axis=0)
        if is_bgr:
            weights = weights[:, :, ::-1]
        layer.input[1] = graph.add_constant(f"{layer.name}/scaled", weights.astype(np.float32))
        if np.any(shift):
            _shift_behind(graph, layer.name, shift.reshape(-1))
    return same_for_all(common, -common * zero)


def fold_layers(graph: Graph) -> None:
    """Fold scales and shifts into the layers before them, or make them layers; in place."""
    for fold, wanted in ((_fold_behind, _LAYERS), (_fold_ahead, {"MatMul"}), (_make_layer, _FORMS)):
        for node in list(graph.nodes.values()):
            if node.op in wanted and graph.nodes.get(node.name) is node:
                fold(graph, node)


def _affine(graph: Graph, node: Any) -> Affine | None:
    """Read a node as a gain and a shift of each channel, if that is what it is."""
    shape = graph.shapes.get(node.name)
    if not shape or len(shape) < 2 or node.op not in _FORMS:
        return None
    found = _FORMS[node.op](graph, node, shape[-1])
    # A source of another shape is spread by the operation: no matter of channels alone.
    return found if found and graph.shapes.get(found[0]) == shape else None


def _norm(graph: Graph, node: Any, count: int) -> Affine | None:
    values = [graph.constant(name) for name in node.input[1:5]]
    is_last = node.attr["data_format"].s in (b"", b"NHWC")
    if any(value is None for value in values) or node.attr["is_training"].b or not is_last:
        return None
    gamma, beta, mean, variance = (np.asarray(value, np.float64) for value in values)
    gain = gamma / np.sqrt(variance + node.attr["epsilon"].f)
    return graph.sources(node)[0], gain, beta - mean * gain


def _operand(graph: Graph, node: Any, count: int) -> tuple[str, Array, bool] | None:
    """Return what a binary operation reads, its constant, and whether that comes second."""
    for place in (1, 0):
        values = graph.constant(node.input[place])
        other = graph.sources(node)[1 - place]
        if values is not None and graph.constant(other) is None:
            spread = channels_of(values, count)
            return None if spread is None else (other, spread, place == 1)
    return None


def _product(graph: Graph, node: Any, count: int) -> Affine | None:
    found = _operand(graph, node, count)
    return found and (found[0], found[1], np.zeros(count))


def _quotient(graph: Graph, node: Any, count: int) -> Affine | None:
    found = _operand(graph, node, count)
    return (found[0], 1 / found[1], np.zeros(count)) if found and found[2] else None


def _sum(graph: Graph, node: Any, count: int) -> Affine | None:
    found = _operand(graph, node, count)
    return found and (found[0], np.ones(count), found[1])


def _difference(graph: Graph, node: Any, count: int) -> Affine | None:
    found = _operand(graph, node, count)
    if found is None:
        return None
    source, values, is_second = found
    ones = np.ones(count)
    return (source, ones, -values) if is_second else (source, -ones, values)


_FORMS = {
    **dict.fromkeys(_NORMS, _norm),
    "Add": _sum,
    "AddV2": _sum,
    "BiasAdd": _sum,
    "Div": _quotient,
    "Mul": _product,
    "RealDiv": _quotient,
    "Sub": _difference,
}


def _fold_behind(graph: Graph, layer: Any) -> None:
    weights = graph.constant(layer.input[1])
    shape = graph.shapes.get(layer.name)
    if weights is None or shape is None or not _is_last(layer):
        return
    weights = weights.astype(np.float64)
    shift, last, has_gain = np.zeros(shape[-1]), layer.name, False
    taken: list[str] = []
    while (reader := graph.only_reader(last)) is not None:
        if (affine := _affine(graph, reader)) is not None:
            weights, shift = _scaled(layer, weights, affine[1]), shift * affine[1] + affine[2]
            has_gain |= bool(np.any(affine[1] != 1))
        elif (after := _dense_after(graph, layer, reader)) is not None:
            weights, shift, has_gain = weights @ after, shift @ after, True
        else:
            break
        last = reader.name
        taken.append(last)
    if has_gain or len(taken) > 1:
        _forget(graph, taken)
        name = graph.add_constant(f"{layer.name}/folded", weights.astype(np.float32))
        layer.input[1] = name
        bias = graph.add_constant(f"{layer.name}/shift", shift.astype(np.float32))
        graph.shapes[layer.name] = graph.shapes[last]
        graph.add("BiasAdd", last, [layer.name, bias])


def _forget(graph: Graph, names: list[str]) -> None:
    """Drop nodes that something else does the work of; a last one's name is given anew."""
    for name in names:
        del graph.nodes[name]


def _fold_ahead(graph: Graph, layer: Any) -> None:
    """Fold what is done to a dense layer's input into its weights."""
    weights = graph.constant(layer.input[1])
    if weights is None or not _is_last(layer) or layer.name == graph.output:
        return
    weights, shift, source = weights.astype(np.float64), np.zeros(weights.shape[1]), ""
    while graph.only_reader(node := graph.sources(layer)[0]) is layer:
        affine = _affine(graph, graph.nodes[node])
        if affine is None:
            break
        source = layer.input[0] = affine[0]
        _forget(graph, [node])
        shift, weights = shift + affine[2] @ weights, affine[1][:, None] * weights
    if source:
        name = f"{layer.name}/taken_in"
        layer.input[1] = graph.add_constant(name, weights.astype(np.float32))
        _shift_behind(graph, layer.name, shift)
        _fold_behind(graph, layer)


def _dense_after(graph: Graph, layer: Any, reader: Any) -> Array | None:
    """Return the weights of a dense layer right behind another."""
    if layer.op != "MatMul" or reader.op != "MatMul" or not _is_last(reader):
        return None
    values = graph.constant(reader.input[1])
    return None if values is None else values.astype(np.float64)


def _is_last(layer: Any) -> bool:
    """Tell whether a layer's output channels are where they usually are."""
    if layer.op == "MatMul":
        return not (layer.attr["transpose_a"].b or layer.attr["transpose_b"].b)
    return layer.attr["data_format"].s in (b"", b"NHWC")


def _scaled(layer: Any, weights: Array, gain: Array) -> Array:
    if layer.op == "DepthwiseConv2dNative":  # [h, w, channels, multiplier]
        return weights * gain.reshape(weights.shape[2:])
    return weights * gain


def _make_layer(graph: Graph, first: Any) -> None:
    """Turn scales of channels, one each, into a depthwise convolution."""
    shape = graph.shapes.get(first.name)
    source = _affine(graph, first)
    if shape is None or source is None or len(shape) != 4:
        return
    gain, shift, last = np.ones(shape[-1]), np.zeros(shape[-1]), first
    taken, node = [], first
    while node is not None and (affine := _affine(graph, node)) is not None:
        gain, shift = gain * affine[1], shift * affine[1] + affine[2]
        taken.append(node.name)
        last, node = node, graph.only_reader(node.name)
    if np.ptp(gain) == 0:  # one number for all channels: a multiplication says it as well
        return
    _forget(graph, taken)
    name = f"{last.name}/by_channel"
    weights = graph.add_constant(f"{name}/gain", gain.reshape(1, 1, -1, 1).astype(np.float32))
    bias = graph.add_constant(f"{name}/shift", shift.astype(np.float32))
    graph.add("DepthwiseConv2dNative", name, [source[0], weights], _ONE_STEP)
    graph.shapes[name] = shape
    graph.add("BiasAdd", last.name, [name, bias])


def _first_layers(graph: Graph, channels: int, *, is_bgr: bool) -> list[Any]:
    """Return the convolutions that read the input or the input in a frame; [] if others do."""
    names, layers = [graph.input], []
    while names:
        for node in graph.readers(names.pop()):
            if node.op == "Pad":
                names.append(node.name)
                continue
            weights = graph.constant(node.input[1]) if len(node.input) > 1 else None
            kinds = {"Conv2D"} if is_bgr else {"Conv2D", "DepthwiseConv2dNative"}
            if node.op not in kinds or weights is None or weights.shape[2] != channels:
                return []
            if not _is_last(node):
                return []
            layers.append(node)
    return layers


def _shift_behind(graph: Graph, name: str, shift: Array) -> None:
    """Add a number to each channel of a layer's output."""
    readers = [node.name for node in graph.readers(name)]
    inner = f"{name}/unshifted"
    if name == graph.output or not readers:
        raise ValueError(f"nothing reads {name}")
    bias = graph.add_constant(f"{inner}/shift", shift.astype(np.float32))
    graph.add("BiasAdd", inner, [name, bias])
    graph.shapes[inner] = graph.shapes[name]
    graph.redirect(name, inner, but=(inner,))


def _insert(graph: Graph, scale: Array, offset: Array, *, is_bgr: bool) -> None:
    """Put a layer between the pixels and the graph that normalizes and orders them."""
    name = f"{graph.input}/normalized"
    square = np.diag(scale)
    weights, op = (square[::-1], "Conv2D") if is_bgr else (scale[:, None], "DepthwiseConv2dNative")
    kernel = graph.add_constant(f"{name}/scale", weights[None, None].astype(np.float32))
    bias = graph.add_constant(f"{name}/offset", offset.astype(np.float32))
    graph.add(op, f"{name}/scaled", [graph.input, kernel], _ONE_STEP)
    graph.add("BiasAdd", name, [f"{name}/scaled", bias])
    for made in (name, f"{name}/scaled"):
        graph.shapes[made] = graph.shapes[graph.input]
    graph.redirect(graph.input, name, but=(f"{name}/scaled",))
