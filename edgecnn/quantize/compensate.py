"""Compensated rounding: one pass over the layers, each making up for the errors before it.

The calibration photos go through the network as the integer file will compute it. At each
layer with weights, the weights are rounded so that on *these* inputs its output is
nearest to the float network's, and its bias is refitted; then the photos go on through
the rounded layer. Photos need no labels.

Sources: see `edgecnn.quantize.rounding`; sequential bias correction after Nagel et al.
2019, arXiv:1906.04721, section 4.2.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.core import progress
from edgecnn.quantize.plan import Layer as Decision
from edgecnn.quantize.plan import Plan, Rounded
from edgecnn.quantize.rounding import round_dense, round_depthwise
from edgecnn.quantize.stream import Stream
from edgecnn.quantize.targets import Target, layer_of, sample
from edgecnn.quantize.tflite_layer import Layer

Array: TypeAlias = npt.NDArray[Any]

_SAMPLES_BYTES = 400_000_000
# A covariance of more inputs than this takes gigabytes: such a layer's bias is refitted only.
_MOST_INPUTS = 5_000


def compensate(float_file: bytes, plan: Plan, inputs: Callable[[], Iterable[Array]]) -> Plan:
    """Return the plan with weights that are rounded to compensate, and refitted biases.

    Args:
        float_file: The float32 TFLite file that the plan was made on.
        plan: Grids and precisions; its layers' integers are replaced.
        inputs: Returns the photos, [1, H, W, C] float32 each, anew at each call; the first
            of them are used where a large network's activations on all would not fit into
            memory.
    """
    stream = Stream(float_file, plan)
    stream.enter(inputs())
    chosen = itertools.islice(inputs(), stream.photos)
    targets = sample(float_file, chosen, photos=stream.photos, limit_bytes=_SAMPLES_BYTES)
    by_operator = {target.operator: target for target in targets}
    layers = dict(plan.layers)
    with progress.bar("rounding", total=len(stream.operators)) as advance:
        for place, name in stream.operators.items():
            decision = layers[name]
            target = by_operator.pop(place, None)
            if target is not None and decision.rounded is not None:
                layers[name] = decision = _decide(stream, target, decision)
            stream.advance(place, decision)
            advance()
    return dataclasses.replace(plan, layers=layers)


def _decide(stream: Stream, target: Target, decision: Decision) -> Decision:
    layer = layer_of(stream.model, target)
    rounded = decision.rounded
    if rounded is None:
        return decision
    integers = _integers(stream, target, layer, rounded)
    weights = _as_rows(layer, integers) * rounded.scales.astype(np.float64)[:, None]
    bias = _refitted(stream, target, layer, weights)
    return dataclasses.replace(
        decision,
        rounding="compensated",
        rounded=dataclasses.replace(rounded, weights=integers, bias=bias),
    )


def _integers(stream: Stream, target: Target, layer: Layer, rounded: Rounded) -> Array:
    exact = _as_rows(layer, layer.weights)
    if layer.name == "DEPTHWISE_CONV_2D":
        own = _own_covariances(stream, target, layer)
        found = round_depthwise(exact, rounded.scales, own, limit=rounded.limit)
    elif exact.shape[1] > _MOST_INPUTS:
        return rounded.weights
    else:
        groups = _groups(stream, layer)
        covariances = _covariances(stream, target, layer, groups)
        parts = np.split(exact, groups)
        scales = np.split(np.broadcast_to(rounded.scales, len(exact)), groups)
        rows = zip(parts, scales, covariances, strict=True)
        found = np.concatenate([round_dense(*row, limit=rounded.limit) for row in rows])
    return _from_rows(layer, found)


def _as_rows(layer: Layer, weights: Array) -> Array:
    """Return weights as [channels, inputs]."""
    return np.moveaxis(weights, layer.axis, 0).reshape(weights.shape[layer.axis], -1)


def _from_rows(layer: Layer, rows: Array) -> Array:
    shape = list(layer.weights.shape)
    moved = [shape.pop(layer.axis), *shape]
    return np.ascontiguousarray(np.moveaxis(rows.reshape(moved), 0, layer.axis))


def _groups(stream: Stream, layer: Layer) -> int:
    channels = stream.model.subgraphs[0].tensors[layer.data].shape[-1]
    return int(channels // layer.weights.shape[-1]) if layer.name == "CONV_2D" else 1


def _covariances(stream: Stream, target: Target, layer: Layer, groups: int) -> Array:
    """Return [groups, d, d]: of the inputs that each group's channels read.

    Products are of distances from the first photo's mean, or single precision loses a
    variance that is small beside it.
    """
    size = layer.weights[0].size
    products = np.zeros((groups, size, size))
    total, count, origin = np.zeros((groups, size)), 0, None
    for _, rows in stream.rows(layer, target):
        origin = rows.mean(axis=0) if origin is None else origin
        grouped = (rows - origin).reshape(*rows.shape[:2], groups, -1).transpose(2, 0, 1, 3)
        grouped = grouped.reshape(groups, len(rows), -1)
        products += grouped.transpose(0, 2, 1) @ grouped
        total += grouped.sum(axis=1)
        count += len(rows)
    return products / count - total[:, :, None] * total[:, None] / count**2


def _own_covariances(stream: Stream, target: Target, layer: Layer) -> Array:
    """Return [channels, taps, taps]: each channel's own, of positions that matter to it."""
    channels = layer.weights.shape[3]
    taps = layer.weights[0, ..., 0].size
    products = np.zeros((channels, taps, taps))
    total, count, origin = np.zeros((channels, taps)), np.zeros(channels), None
    for photos, rows in stream.rows(layer, target):
        origin = rows.mean(axis=0) if origin is None else origin
        wide = np.repeat(rows - origin, channels // rows.shape[2], axis=2).transpose(2, 0, 1)
        matter = target.weights_of(target.rows(photos))
        weighted = wide if matter is None else wide * matter.T[:, :, None]
        products += weighted.transpose(0, 2, 1) @ wide
        total += weighted.sum(axis=1)
        count += len(rows) if matter is None else matter.sum(axis=0)
    return (products - total[:, :, None] * total[:, None] / count[:, None, None]) / count[
        :, None, None
    ]


def _refitted(stream: Stream, target: Target, layer: Layer, weights: Array) -> Array:
    """Return the bias with which the rounded layer answers right on average."""
    total, count = np.zeros(len(weights)), np.zeros(len(weights))
    groups = _groups(stream, layer)
    weights = weights.astype(np.float32)
    for photos, rows in stream.rows(layer, target):
        missing = wanted = target.rows(photos)
        if target.partner is not None:
            missing = wanted - stream.samples(target.partner, target, photos)
        matter = target.weights_of(wanted)
        if matter is None:  # a layer is linear: the sum of its answers is its answer to the sum
            answer = _product(layer, rows.sum(axis=0, keepdims=True), weights, groups)[0]
            total += missing.sum(axis=0) - answer
            count += len(rows)
        else:
            total += ((missing - _product(layer, rows, weights, groups)) * matter).sum(axis=0)
            count += matter.sum(axis=0)
    return total / count


def _product(layer: Layer, rows: Array, weights: Array, groups: int) -> Array:
    """Return [P, channels]: rows [P, taps, C] times weights [channels, inputs]."""
    if layer.name == "DEPTHWISE_CONV_2D":
        wide = np.repeat(rows, len(weights) // rows.shape[2], axis=2)
        return (wide * weights.T).sum(axis=1)
    grouped = rows.reshape(*rows.shape[:2], groups, -1).transpose(2, 0, 1, 3)
    parts = weights.reshape(groups, len(weights) // groups, -1).transpose(0, 2, 1)
    product = grouped.reshape(groups, len(rows), -1) @ parts
    return product.transpose(1, 0, 2).reshape(len(rows), -1)
