"""A float32 TFLite file to an integer one, by rewriting its flatbuffer.

Weights become int8, symmetric, per channel (convolutions) or per tensor (dense layers:
per-channel ones need a runtime newer than many boards have); activations int8,
asymmetric, per tensor; biases int32. Operations keep their order, so that a file costs
what its float twin does in structure; those without an int8 kernel stay in float between
DEQUANTIZE and QUANTIZE.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgecnn.core.artifact import Io
from edgecnn.core.quiet import quiet_stderr
from edgecnn.quantize.grid import Grid, activation_grid
from edgecnn.quantize.observe import Observed, Observer
from edgecnn.quantize.quantized import Quantized
from edgecnn.quantize.tflite_graph import (
    activations,
    constant,
    drop_unused,
    give_buffer,
    is_constant,
    name_of,
    new_operator,
    new_tensor,
    operation,
    pack,
    quantization,
    read,
    replace,
)
from edgecnn.quantize.tflite_layer import Layer
from edgecnn.quantize.tflite_operations import (
    FIXED_GRID,
    JOINING,
    SAME_GRID,
    WEIGHTED,
    has_kernel,
    raise_versions,
    touches_floats,
)

Array: TypeAlias = npt.NDArray[Any]

_IO_TYPES = {
    "uint8": schema.TensorType.UINT8,
    "int8": schema.TensorType.INT8,
    "float32": schema.TensorType.FLOAT32,
}


def observe(float_file: bytes, inputs: Iterable[Array], *, threads: int = 2) -> Observer:
    """Run photos through the float file and watch all its activations.

    Every activation is made an output, so that the fast kernels compute all of them.

    Args:
        float_file: A float32 TFLite file with one input.
        inputs: [1, H, W, C] float32 each, as the file's input wants them.
        threads: Threads of the runtime.
    """
    model = read(float_file)
    graph = model.subgraphs[0]
    watched = list(activations(model))
    graph.outputs = np.asarray([i for i in watched if i not in set(graph.inputs)], np.int32)
    with quiet_stderr():  # the runtime announces its delegate there
        interpreter = Interpreter(model_content=pack(model), num_threads=threads)
        interpreter.allocate_tensors()
    observer = Observer()
    for value in inputs:
        interpreter.set_tensor(int(graph.inputs[0]), value)
        interpreter.invoke()
        observer.add({name_of(graph.tensors[i]): interpreter.get_tensor(i) for i in watched})
    return observer


def quantize(
    float_file: bytes, observer: Observer, *, input_grid: Grid, input_shift: float, io: Io
) -> Quantized:
    """Return the integer file.

    Args:
        float_file: The float32 file that was observed.
        observer: What `observe` saw.
        input_grid: The input's grid; not observed but known, so that raw pixels fit it.
        input_shift: What the grid's real values exceed the true ones by (half a pixel
            step where the true zero point is no integer); the first layer's bias takes it
            up, exactly but for the zero padding at the border.
        io: Type of the file's input and output.
    """
    model = read(float_file)
    graph = model.subgraphs[0]
    numeric = [operator for operator in graph.operators if touches_floats(model, operator)]
    integer = [operator for operator in numeric if has_kernel(model, operator)]
    in_float = _without(numeric, integer)
    grids = _plan(model, integer, observer.tensors, input_grid)
    pixels = _copies_of_input(model)
    for operator in integer:
        if operation(model, operator) in WEIGHTED:
            layer = Layer(model, operator)
            observed = observer.tensors[name_of(graph.tensors[layer.data])]
            shift = input_shift if layer.data in pixels else 0.0
            layer.quantize(grids[layer.data], observed, shift)
        else:
            _quantize_constants(model, operator, grids)
    _surround(model, in_float, grids)
    _convert_joined(model, integer, grids)
    for index, grid in grids.items():
        _set_grid(graph.tensors[index], grid)
    _adapt_io(model, io, grids)
    raise_versions(model, _without(graph.operators, in_float))
    drop_unused(model)
    return Quantized(pack(model), tuple(sorted({operation(model, o) for o in in_float})))


def _without(operators: list[Any], others: list[Any]) -> list[Any]:
    identities = set(map(id, others))
    return [operator for operator in operators if id(operator) not in identities]


def _copies_of_input(model: Any) -> set[int]:
    """Return the input and what only moves or pads its values."""
    graph = model.subgraphs[0]
    found = {int(graph.inputs[0])}
    for operator in graph.operators:
        if operation(model, operator) in SAME_GRID and int(operator.inputs[0]) in found:
            found.update(map(int, operator.outputs))
    return found


def _plan(
    model: Any, operators: list[Any], observed: dict[str, Observed], input_grid: Grid
) -> dict[int, Grid]:
    """Choose each activation's grid; tensors that must share one share the union's range."""
    graph = model.subgraphs[0]
    fixed = {int(graph.inputs[0]): input_grid}
    for operator in operators:
        if (name := operation(model, operator)) in FIXED_GRID:
            fixed[int(operator.outputs[0])] = FIXED_GRID[name]
    grids = {}
    for members in _sharing(model, operators, set(fixed)):
        seen = [observed[name_of(graph.tensors[i])] for i in members]
        known = next((fixed[i] for i in members if i in fixed), None)
        grid = known or activation_grid(min(s.low for s in seen), max(s.high for s in seen))
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


def _quantize_constants(model: Any, operator: Any, grids: dict[int, Grid]) -> None:
    """Quantize constant operands, each on its own grid, or on the one that all must share."""
    graph = model.subgraphs[0]
    name = operation(model, operator)
    for position, index in enumerate(operator.inputs):
        tensor = graph.tensors[index]
        if tensor.type != schema.TensorType.FLOAT32 or not is_constant(model, tensor):
            continue
        values = constant(model, tensor, np.float32)
        grid = activation_grid(float(values.min()), float(values.max()))
        if name in SAME_GRID | JOINING:
            grid = grids[int(operator.outputs[0])]
        integers = np.rint(values / grid.scale + grid.zero_point).clip(-128, 127)
        place = new_tensor(model, index, f"/{position}")
        give_buffer(model, graph.tensors[place], integers.astype(np.int8))
        _set_grid(graph.tensors[place], grid)
        inputs = np.array(operator.inputs)
        inputs[position] = place
        operator.inputs = inputs


def _surround(model: Any, in_float: list[Any], grids: dict[int, Grid]) -> None:
    """Give operations that stay in float tensors in float, converted where integers meet them."""
    graph = model.subgraphs[0]
    floats, real = set(map(id, in_float)), dict[int, int]()
    integer = [operator for operator in graph.operators if id(operator) not in floats]
    wanted = {int(i) for owner in (graph, *integer) for i in (*owner.inputs, *owner.outputs)}
    operators: list[Any] = []
    for operator in graph.operators:
        if id(operator) not in floats:
            operators.append(operator)
            continue
        for index in sorted(set(map(int, operator.inputs)) & set(grids)):
            if index not in real:
                real[index] = new_tensor(model, index, "/real")
                operators.append(new_operator(model, "DEQUANTIZE", index, real[index]))
            operator.inputs = replace(operator.inputs, index, real[index])
        operators.append(operator)
        for index in sorted(set(map(int, operator.outputs)) & set(grids)):
            real[index] = new_tensor(model, index, "/real")
            operator.outputs = replace(operator.outputs, index, real[index])
            if index in wanted:
                operators.append(new_operator(model, "QUANTIZE", real[index], index))
    graph.operators = operators


def _convert_joined(model: Any, integer: list[Any], grids: dict[int, Grid]) -> None:
    """Put a QUANTIZE before an operation that joins tensors, where one is on another grid."""
    graph = model.subgraphs[0]
    for operator in integer:
        if operation(model, operator) not in JOINING:
            continue
        grid = grids[int(operator.outputs[0])]
        others = {int(i) for i in operator.inputs if grids.get(int(i), grid) != grid}
        for index in sorted(others):
            place = new_tensor(model, index, "/joined")
            _set_grid(graph.tensors[place], grid)
            position = next(i for i, o in enumerate(graph.operators) if o is operator)
            graph.operators.insert(position, new_operator(model, "QUANTIZE", index, place))
            operator.inputs = replace(operator.inputs, index, place)


def _adapt_io(model: Any, io: Io, grids: dict[int, Grid]) -> None:
    """Give the file's input and output their type: int8 as it is, others by one operation."""
    if io == "int8":
        return
    graph = model.subgraphs[0]
    inner_in, inner_out = int(graph.inputs[0]), int(graph.outputs[0])
    outer_in = _outer_tensor(model, inner_in, io, grids[inner_in])
    outer_out = _outer_tensor(model, inner_out, io, grids[inner_out])
    graph.inputs = np.asarray([outer_in], np.int32)
    graph.outputs = np.asarray([outer_out], np.int32)
    leave = "DEQUANTIZE" if io == "float32" else "QUANTIZE"
    graph.operators.insert(0, new_operator(model, "QUANTIZE", outer_in, inner_in))
    graph.operators.append(new_operator(model, leave, inner_out, outer_out))


def _outer_tensor(model: Any, inner: int, io: Io, grid: Grid) -> int:
    graph = model.subgraphs[0]
    tensor = copy.copy(graph.tensors[inner])
    graph.tensors[inner].name = name_of(tensor) + "/int8"
    tensor.type = _IO_TYPES[io]
    tensor.quantization = None
    if io == "uint8":
        scales = np.asarray([grid.scale], np.float32)
        tensor.quantization = quantization(scales, np.asarray([grid.unsigned_zero_point]), 0)
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _set_grid(tensor: Any, grid: Grid) -> None:
    tensor.type = schema.TensorType.INT8
    tensor.quantization = quantization(
        np.asarray([grid.scale], np.float32), np.asarray([grid.zero_point], np.int64), 0
    )
