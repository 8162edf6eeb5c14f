"""Weights alone in few bits, activations float: which layer gets how many, and which integers.

The plan is made on the float TFLite graph and followed by both formats' writers, as that of
an int8 file. Its layers compute in float32: only what is stored has been rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.core.errors import InputError
from edgecnn.quantize.compensate import compensate
from edgecnn.quantize.grid import round_weights, weight_scales
from edgecnn.quantize.plan import Layer as Decision
from edgecnn.quantize.plan import Plan, Rounded
from edgecnn.quantize.tflite_graph import name_of, operation, read
from edgecnn.quantize.tflite_layer import Layer
from edgecnn.quantize.tflite_operations import WEIGHTED, has_kernel, touches_floats

Array: TypeAlias = npt.NDArray[Any]

# Clipping the largest weights makes the steps of the others finer: with 15 steps the best
# scale is nearly always below the one that clips none (measured by squared error).
_SHARES = np.linspace(0.6, 1.0, 17)
# Few weights are many inputs' only way through a network, most of all near the image: the
# smallest layers keep 8 bits, at a cost of half this share of the file.
_SMALL = 0.05


def plan_weights(
    float_file: bytes, *, bits: int, inputs: Callable[[], Iterable[Array]] | None = None
) -> Plan:
    """Return a plan that rounds weights and leaves activations float.

    Args:
        float_file: A float32 TFLite file.
        bits: 8, or 4 where a runtime computes with such weights; the others get 8.
        inputs: Returns calibration photos, [1, H, W, C] float32 each, on which rounding
            makes up for its errors; None rounds to the nearest.

    Raises:
        InputError: 4 bits for a network in which no layer can have them.
    """
    model = read(float_file)
    graph = model.subgraphs[0]
    layers, weighted = dict[str, Decision](), dict[str, Layer]()
    for operator in (o for o in graph.operators if touches_floats(model, o)):
        name, kind = name_of(graph.tensors[operator.outputs[0]]), operation(model, operator)
        layers[name] = Decision(operation=kind, precision="float32", why="no weights")
        if kind in WEIGHTED and has_kernel(model, operator):
            weighted[name] = Layer(model, operator)
    products = {name: layer for name, layer in weighted.items() if is_product(layer)}
    fit = products.keys() - _smallest(products)
    for name, layer in weighted.items():
        layers[name] = _decision(layer, bits if name in fit else 8)
    if not any(layer.rounded and layer.rounded.bits == bits for layer in layers.values()):
        raise InputError(
            f"no layer whose weights could have {bits} bits (1x1 convolutions and dense ones can)",
            where="this network",
            fix="use --weights8",
        )
    plan = Plan(tensors={}, layers=layers, input=name_of(graph.tensors[graph.inputs[0]]))
    return plan if inputs is None else compensate(float_file, plan, inputs)


def _smallest(layers: dict[str, Layer]) -> set[str]:
    """Return the layers which together have next to no weights."""
    sizes = {name: layer.weights.size for name, layer in layers.items()}
    room = _SMALL * sum(sizes.values())
    found = set()
    for name in sorted(sizes, key=sizes.__getitem__):
        room -= sizes[name]
        if room < 0:
            break
        found.add(name)
    return found


def is_product(layer: Layer) -> bool:
    """Tell a layer that multiplies each pixel, or the whole input, with one matrix.

    Of weights in 4 bits XNNPACK takes those of FULLY_CONNECTED alone, and a 1x1 convolution
    is one; with others the interpreter's own kernels compute, many times slower.
    """
    if layer.name == "FULLY_CONNECTED":
        return True
    options = layer.operator.builtinOptions
    return (
        layer.name == "CONV_2D"
        and layer.weights.shape[1:3] == (1, 1)
        and (options.strideH, options.strideW) == (1, 1)
        and layer.input_channels == layer.weights.shape[3]
    )


def _decision(layer: Layer, bits: int) -> Decision:
    scales = weight_scales(layer.weights, None, 1.0, layer.axis)
    if bits == 8:
        integers = round_weights(layer.weights, scales, layer.axis)
    else:
        scales = _least_error(layer, scales, bits)
        integers = _rounded(layer, scales, bits)
    return Decision(
        operation=layer.name,
        precision="float32",
        why=f"weights in {bits} bits, activations float",
        rounding="nearest",
        rounded=Rounded(integers, scales, layer.bias, bits),
    )


def _least_error(layer: Layer, scales: Array, bits: int) -> Array:
    """Return each channel's scale that rounds to the nearest with the least squared error."""
    limit = 2 ** (bits - 1) - 1
    others = tuple(i for i in range(layer.weights.ndim) if i != layer.axis)
    best, least = scales, np.full(len(scales), np.inf)
    for share in _SHARES:
        tried = (scales * (127 / limit) * share).astype(np.float32)
        shape = [1] * layer.weights.ndim
        shape[layer.axis] = -1
        error = _rounded(layer, tried, bits) * tried.reshape(shape) - layer.weights
        sums = np.sum(np.square(error, dtype=np.float64), axis=others)
        best, least = np.where(sums < least, tried, best), np.minimum(sums, least)
    return best.astype(np.float32)


def _rounded(layer: Layer, scales: Array, bits: int) -> Array:
    limit = 2 ** (bits - 1) - 1
    shape = [1] * layer.weights.ndim
    shape[layer.axis] = -1
    return np.rint(layer.weights / scales.reshape(shape)).clip(-limit, limit).astype(np.int8)


def pack_nibbles(integers: Array) -> Array:
    """Return integers of 4 bits two a byte, the first in the lower half: both formats' order."""
    flat = integers.reshape(-1)
    flat = np.append(flat, np.zeros(flat.size % 2, np.int8))
    return ((flat[::2] & 15) | ((flat[1::2] & 15) << 4)).astype(np.uint8)
