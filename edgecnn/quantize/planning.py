"""A float TFLite graph and what its activations did on photos, to a plan.

The TFLite graph is the one that plans are made on, for both formats: its operations are
those that integer kernels exist for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from edgecnn.quantize.grid import Grid, activation_grid
from edgecnn.quantize.input_shift import copies_of_input
from edgecnn.quantize.nearest import round_nearest
from edgecnn.quantize.observe import Observed
from edgecnn.quantize.plan import Layer, Plan, Precision, Tensor
from edgecnn.quantize.tflite_graph import activations, name_of, operation, read
from edgecnn.quantize.tflite_layer import Layer as TfliteLayer
from edgecnn.quantize.tflite_operations import (
    FIXED_GRID,
    JOINING,
    SAME_GRID,
    WEIGHTED,
    has_kernel,
    touches_floats,
    widened,
)


def make_plan(
    float_file: bytes,
    observed: Mapping[str, Observed],
    *,
    input_grid: Grid,
    input_shift: float = 0.0,
    bits: int = 8,
    per_tensor: bool = False,
) -> Plan:
    """Return the plan of an integer file, weights rounded to the nearest.

    Args:
        float_file: The float32 TFLite file that was observed.
        observed: What its activations did on the calibration photos.
        input_grid: The input's grid; not observed but known, so that raw pixels fit it.
        input_shift: What the grid's real values exceed the true ones by (half a pixel
            step where the true zero point is no integer); the first layer's bias takes it
            up, exactly but for the zero padding at the border.
        bits: Of the activations, 8 or 16; weights have 8.
        per_tensor: Let the channels of a layer's weights share one scale.
    """
    model = read(float_file)
    graph = model.subgraphs[0]
    numeric = [operator for operator in graph.operators if touches_floats(model, operator)]
    integer = [operator for operator in numeric if has_kernel(model, operator, bits=bits)]
    narrow = _grids(model, integer, observed, input_grid)
    grids = narrow if bits == 8 else _widened(model, narrow)
    precision: Precision = "int8" if bits == 8 else "int16x8"
    pixels = copies_of_input(model)
    in_integers = set(map(id, integer))
    layers = {}
    for operator in numeric:
        name = name_of(graph.tensors[operator.outputs[0]])
        kind = operation(model, operator)
        if id(operator) not in in_integers:
            layers[name] = Layer(operation=kind, precision="float32", why=f"no int{bits} kernel")
            continue
        layer = Layer(operation=kind, precision=precision, why=f"int{bits} kernel")
        if kind in WEIGHTED:
            weighted = TfliteLayer(model, operator)
            rounded = round_nearest(
                weighted,
                input_grid=grids[weighted.data],
                mean=observed[name_of(graph.tensors[weighted.data])].mean,
                shift=input_shift if weighted.data in pixels else 0.0,
                per_tensor=per_tensor,
            )
            why = f"{layer.why}, one scale for all weights" if per_tensor else layer.why
            layer = dataclasses.replace(layer, why=why, rounding="nearest", rounded=rounded)
        layers[name] = layer
    return Plan(
        tensors={
            name_of(graph.tensors[i]): Tensor(low=each.low, high=each.high, grid=grids[i])
            for i, each in narrow.items()
        },
        layers=layers,
        input=name_of(graph.tensors[graph.inputs[0]]),
        input_shift=input_shift,
        per_tensor=per_tensor,
    )


def _widened(model: Any, grids: dict[int, Grid]) -> dict[int, Grid]:
    """Return the grids of int16; what only moves integers keeps that of its input."""
    wide = {i: grid.wide for i, grid in grids.items()}
    for operator in model.subgraphs[0].operators:
        name = operation(model, operator)
        source = next((int(i) for i in operator.inputs if int(i) in wide), -1)
        for i in (int(i) for i in operator.outputs if int(i) in grids):
            wide[i] = (
                wide[source] if name in SAME_GRID and source in wide else widened(name, wide[i])
            )
    return wide


def _grids(
    model: Any, operators: list[Any], observed: Mapping[str, Observed], input_grid: Grid
) -> dict[int, Grid]:
    """Choose each activation's grid; tensors that must share one share the union's range."""
    graph = model.subgraphs[0]
    fixed = {int(graph.inputs[0]): input_grid}
    for operator in operators:
        if (name := operation(model, operator)) in FIXED_GRID:
            fixed[int(operator.outputs[0])] = FIXED_GRID[name]
    grids = {}
    for members in _sharing(model, operators, set(fixed)):
        ranges = [observed[name_of(graph.tensors[i])].range() for i in members]
        known = next((fixed[i] for i in members if i in fixed), None)
        grid = known or activation_grid(min(r[0] for r in ranges), max(r[1] for r in ranges))
        grids.update(dict.fromkeys(members, grid))
    return grids


def _sharing(model: Any, operators: list[Any], fixed: set[int]) -> list[set[int]]:
    """Return the groups of activations that must have one grid; most groups are single."""
    groups = {index: {index} for index in activations(model)}
    for source, target in _bonds(model, operators, fixed):
        if source in groups and target in groups:
            merged = groups[source] | groups[target]
            groups.update(dict.fromkeys(merged, merged))
    return list({id(group): group for group in groups.values()}.values())


def _bonds(model: Any, operators: list[Any], fixed: set[int]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of tensors that share a grid.

    What an operation joins takes over the joined grid only where nobody else reads it and
    its producer can write to any grid: others keep their own, finer one, and are converted.
    """
    readers: dict[int, int] = {}
    for operator in model.subgraphs[0].operators:
        for index in set(map(int, operator.inputs)):
            readers[index] = readers.get(index, 0) + 1
    bound = set(fixed)
    for operator in operators:
        name, outputs = operation(model, operator), [int(i) for i in operator.outputs]
        for index in (int(i) for i in operator.inputs):
            if name in SAME_GRID:
                yield from ((index, output) for output in outputs)
                bound.update(outputs)
            elif name in JOINING and index not in bound and readers[index] == 1:
                yield index, outputs[0]
