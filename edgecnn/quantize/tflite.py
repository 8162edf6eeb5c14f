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
from edgecnn.quantize.input_shift import correct_float_layers
from edgecnn.quantize.observe import Observer
from edgecnn.quantize.plan import Plan
from edgecnn.quantize.quantized import Quantized
from edgecnn.quantize.ranges import Method
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
    set_grid,
)
from edgecnn.quantize.tflite_layer import Layer
from edgecnn.quantize.tflite_operations import (
    JOINING,
    SAME_GRID,
    raise_versions,
    touches_floats,
)

Array: TypeAlias = npt.NDArray[Any]

_IO_TYPES = {
    "uint8": schema.TensorType.UINT8,
    "int8": schema.TensorType.INT8,
    "float32": schema.TensorType.FLOAT32,
}


def activations_of(
    float_file: bytes, inputs: Iterable[Array], *, threads: int = 2
) -> Iterator[dict[str, Array]]:
    """Run photos through the float file and yield all its activations by name, for each.

    Every activation is made an output, so that the fast kernels compute all of them.

    Args:
        float_file: A float32 TFLite file with one input.
        inputs: [1, H, W, C] float32 each, as the file's input wants them.
        threads: Threads of the runtime.
    """
    interpreter, image, watched = _watched(float_file, threads)
    for value in inputs:
        interpreter.set_tensor(image, value)
        interpreter.invoke()
        yield {name: interpreter.get_tensor(i) for name, i in watched.items()}


def outputs_of(file: bytes, inputs: Iterable[Array], *, threads: int = 2) -> Iterator[Array]:
    """Run photos through a file and yield its output for each, as its own type."""
    with quiet_stderr():
        interpreter = Interpreter(model_content=file, num_threads=threads)
        interpreter.allocate_tensors()
    (entry,), (leave,) = interpreter.get_input_details(), interpreter.get_output_details()
    for value in inputs:
        interpreter.set_tensor(entry["index"], value)
        interpreter.invoke()
        yield interpreter.get_tensor(leave["index"])


def observe(
    float_file: bytes, inputs: Iterable[Array], *, method: Method = "minmax", threads: int = 2
) -> Observer:
    """Run photos through the float file and watch all its activations, as a method needs."""
    observer = Observer(method)
    interpreter, image, watched = _watched(float_file, threads)
    views = {name: interpreter.tensor(i) for name, i in watched.items()}
    for value in inputs:
        interpreter.set_tensor(image, value)
        interpreter.invoke()
        # Views, not copies, which would take as long as the network; none outlives this line.
        observer.add({name: view() for name, view in views.items()})
    return observer


def _watched(float_file: bytes, threads: int) -> tuple[Any, int, dict[str, int]]:
    """Return an interpreter that keeps all activations, its input, and their places by name."""
    model = read(float_file)
    graph = model.subgraphs[0]
    watched = list(activations(model))
    graph.outputs = np.asarray([i for i in watched if i not in set(graph.inputs)], np.int32)
    with quiet_stderr():  # the runtime announces its delegate there
        interpreter = Interpreter(model_content=pack(model), num_threads=threads)
        interpreter.allocate_tensors()
    return interpreter, int(graph.inputs[0]), {name_of(graph.tensors[i]): i for i in watched}


def quantize(float_file: bytes, plan: Plan, *, io: Io) -> Quantized:
    """Return the integer file.

    Args:
        float_file: The float32 file that the plan was made on.
        plan: Grids of the activations; precision and integers of the layers.
        io: Type of the file's input and output.
    """
    model = read(float_file)
    graph = model.subgraphs[0]
    correct_float_layers(model, plan)
    numeric = [operator for operator in graph.operators if touches_floats(model, operator)]
    decided = [plan.layers[name_of(graph.tensors[o.outputs[0]])] for o in numeric]
    pairs = zip(numeric, decided, strict=True)
    integer = [o for o, layer in pairs if layer.precision != "float32"]
    in_float = _without(numeric, integer)
    grids = {i: plan.tensors[name_of(graph.tensors[i])].grid for i in activations(model)}
    for operator, decision in zip(numeric, decided, strict=True):
        if decision.precision == "float32":
            continue
        if decision.rounded is not None:
            layer = Layer(model, operator)
            layer.write(decision.rounded, grids[layer.data])
        else:
            _quantize_constants(model, operator, grids)
    _surround(model, in_float, grids)
    _convert_joined(model, integer, grids)
    for index, grid in grids.items():
        set_grid(graph.tensors[index], grid)
    _adapt_io(model, io, plan)
    raise_versions(model, _without(graph.operators, in_float))
    drop_unused(model)
    return Quantized(pack(model), tuple(sorted({operation(model, o) for o in in_float})))


def _without(operators: list[Any], others: list[Any]) -> list[Any]:
    identities = set(map(id, others))
    return [operator for operator in operators if id(operator) not in identities]


def _quantize_constants(model: Any, operator: Any, grids: dict[int, Grid]) -> None:
    """Quantize constant operands, each on its own grid, or on the one that all must share."""
    graph = model.subgraphs[0]
    name = operation(model, operator)
    for position, index in enumerate(operator.inputs):
        tensor = graph.tensors[index]
        if tensor.type != schema.TensorType.FLOAT32 or not is_constant(model, tensor):
            continue
        values = constant(model, tensor, np.float32)
        shared = grids[int(operator.outputs[0])]
        grid = activation_grid(float(values.min()), float(values.max()))
        if name in SAME_GRID | JOINING:
            grid = shared
        elif shared.bits == 16:
            grid = grid.wide
        place = new_tensor(model, index, f"/{position}")
        give_buffer(model, graph.tensors[place], grid.integers(values))
        set_grid(graph.tensors[place], grid)
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
            set_grid(graph.tensors[place], grid)
            position = next(i for i, o in enumerate(graph.operators) if o is operator)
            graph.operators.insert(position, new_operator(model, "QUANTIZE", index, place))
            operator.inputs = replace(operator.inputs, index, place)


def _adapt_io(model: Any, io: Io, plan: Plan) -> None:
    """Give the file's input and output their type, by operations where it isn't theirs."""
    graph = model.subgraphs[0]
    inner = [int(graph.inputs[0]), int(graph.outputs[0])]
    tensors = [plan.tensors[name_of(graph.tensors[i])] for i in inner]
    is_wide = tensors[0].grid.bits == 16
    if io == "int8" and not is_wide:
        return
    # The grid of 8 bits that a wide one was made of has its range.
    grids = [activation_grid(t.low, t.high) if is_wide else t.grid for t in tensors]
    outer = [_outer_tensor(model, i, io, grid) for i, grid in zip(inner, grids, strict=True)]
    graph.inputs, graph.outputs = (np.asarray([i], np.int32) for i in outer)
    graph.operators.insert(0, new_operator(model, "QUANTIZE", outer[0], inner[0]))
    leaving = inner[1]
    if is_wide and io == "uint8":  # no kernel goes from int16 to uint8 at once
        leaving = new_tensor(model, inner[1], "/narrow")
        set_grid(graph.tensors[leaving], grids[1])
        graph.operators.append(new_operator(model, "QUANTIZE", inner[1], leaving))
    name = "DEQUANTIZE" if io == "float32" else "QUANTIZE"
    graph.operators.append(new_operator(model, name, leaving, outer[1]))


def _outer_tensor(model: Any, inner: int, io: Io, grid: Grid) -> int:
    graph = model.subgraphs[0]
    tensor = copy.copy(graph.tensors[inner])
    graph.tensors[inner].name = name_of(tensor) + "/integers"
    tensor.type = _IO_TYPES[io]
    tensor.quantization = None
    if io != "float32":
        scales = np.asarray([grid.scale], np.float32)
        point = grid.unsigned_zero_point if io == "uint8" else grid.zero_point
        tensor.quantization = quantization(scales, np.asarray([point]), 0)
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1
