"""A flat functional model as a graph: what runs when, where it can be cut, what it costs."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator
from typing import Any

import keras
from keras import layers

_FLOAT_BYTES = 4
_BLOCK = re.compile(r"(stage\d+_)?block\d+|[^_]+")

# Layers that a runtime computes in the buffer of their input, or merges into the layer before.
_IN_PLACE = (
    layers.Activation,
    layers.BatchNormalization,
    layers.Dropout,
    layers.ReLU,
    layers.Rescaling,
    layers.Softmax,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerCost:
    """One layer: its parameters, multiply-accumulates of one image, bytes of its weights."""

    name: str
    op: str
    output_shape: tuple[int, ...]
    params: int
    macs: int
    bytes: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """What one float32 inference takes.

    Attributes:
        params: As Keras counts: batch norm's statistics included.
        macs: Multiply-accumulates of convolutions and dense layers, one image.
        activation_peak_bytes: Most bytes of activations alive at once, batch norm and
            activation functions computed in place.
        layers: In the order of execution, without the input.
    """

    params: int
    macs: int
    activation_peak_bytes: int
    layers: tuple[LayerCost, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class _Step:
    """One layer of a model with the tensors that it reads and the one that it makes."""

    layer: keras.Layer
    inputs: tuple[keras.KerasTensor, ...]
    output: keras.KerasTensor


def cut_points(model: keras.Model) -> tuple[str, ...]:
    """Return the layers that end a block and whose output alone crosses to what follows.

    Their order is that of execution; all their outputs are images, [N, H, W, C]. The input
    and its normalization don't count.
    """
    last_of_block: dict[str, str] = {}
    for step, alive in _walk(model):
        is_image = len(step.output.shape) == 4
        is_first = isinstance(step.layer, (layers.InputLayer, layers.Rescaling))
        if is_image and not is_first and alive == {id(step.output)}:
            last_of_block[_block_of(step.layer.name)] = step.layer.name
    return tuple(last_of_block.values())


def split(model: keras.Model, at: str) -> tuple[keras.Model, keras.Model]:
    """Cut a model in two, which share its layers: lower(x), then upper, equals model(x).

    Args:
        model: Flat and functional.
        at: One of `cut_points`: the last layer of the lower part.

    Raises:
        ValueError: more than that layer's output crosses there.
    """
    for step, alive in _walk(model):
        if step.layer.name == at and alive == {id(step.output)}:
            lower = keras.Model(model.input, step.output, name=f"{model.name}_lower")
            upper = keras.Model(step.output, model.output, name=f"{model.name}_upper")
            return lower, upper
    raise ValueError(f"{model.name} cannot be cut at {at!r}")


def cost(model: keras.Model) -> Cost:
    """Count parameters, multiply-accumulates and the memory of activations of one image."""
    steps = [step for step in _steps(model) if not isinstance(step.layer, layers.InputLayer)]
    rows = tuple(_layer_cost(step) for step in steps)
    return Cost(
        params=model.count_params(),
        macs=sum(row.macs for row in rows),
        activation_peak_bytes=_peak_bytes(model),
        layers=rows,
    )


def _steps(model: keras.Model) -> list[_Step]:
    """Return a model's layers in the order of execution.

    Only the model's own nodes count: a layer that other models share has more of them.
    """
    depths = sorted(model._nodes_by_depth, reverse=True)
    nodes = [node for depth in depths for node in model._nodes_by_depth[depth]]
    return [_Step(n.operation, tuple(n.input_tensors), n.output_tensors[0]) for n in nodes]


def _walk(model: keras.Model) -> Iterator[tuple[_Step, set[int]]]:
    """Yield each step with the tensors that are needed after it, by identity."""
    steps = _steps(model)
    last_use = {id(t): index for index, step in enumerate(steps) for t in step.inputs}
    last_use[id(model.outputs[0])] = len(steps)
    alive: set[int] = set()
    for index, step in enumerate(steps):
        alive = {tensor for tensor in alive if last_use[tensor] > index} | {id(step.output)}
        yield step, alive


def _peak_bytes(model: keras.Model) -> int:
    sizes: dict[int, int] = {}
    peak, before = 0, set[int]()
    for step, alive in _walk(model):
        sizes[id(step.output)] = _FLOAT_BYTES * math.prod(step.output.shape[1:])
        reused = {id(t) for t in step.inputs} if isinstance(step.layer, _IN_PLACE) else set()
        # While a layer runs, all that it reads and all that is needed later is there.
        there = (before | alive) - (reused - alive)
        peak, before = max(peak, sum(sizes[tensor] for tensor in there)), alive
    return peak


def _block_of(name: str) -> str:
    found = _BLOCK.match(name)
    return found.group() if found else name


def _layer_cost(step: _Step) -> LayerCost:
    params = step.layer.count_params()
    return LayerCost(
        name=step.layer.name,
        op=type(step.layer).__name__,
        output_shape=tuple(step.output.shape[1:]),
        params=params,
        macs=_macs(step.layer, step.output.shape),
        bytes=params * _FLOAT_BYTES,
    )


def _macs(layer: keras.Layer, output_shape: tuple[Any, ...]) -> int:
    """Each weight of a kernel is used once at each place of the output."""
    kernels: tuple[Any, ...]
    match layer:
        case layers.SeparableConv2D():
            kernels = (layer.depthwise_kernel, layer.pointwise_kernel)
        case layers.Conv2D() | layers.DepthwiseConv2D() | layers.Dense():
            kernels = (layer.kernel,)
        case _:
            return 0
    places = math.prod(output_shape[1:-1])
    return places * sum(math.prod(kernel.shape) for kernel in kernels)
