"""A TFLite flatbuffer as objects that can be edited: read, look at, change, write.

Thin helpers over the schema that the runtime's own wheel carries.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, TypeAlias

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from edgecnn.quantize.grid import Grid

Array: TypeAlias = npt.NDArray[Any]

_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if name[0] != "_"}


def read(data: bytes) -> Any:
    """Return the file's ModelT; only for files that this toolkit's converters wrote."""
    return schema.ModelT.InitFromPackedBuf(data, 0)


def pack(model: Any) -> bytes:
    """Return the flatbuffer of a ModelT."""
    builder = _Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


class _Builder(flatbuffers.Builder):
    """Aligns weights to 16 bytes, as TFLite's schema asks for and Python's packer doesn't."""

    def StartVector(self, size: int, count: int, alignment: int) -> Any:  # noqa: N802 - its name
        return super().StartVector(size, count, 16 if size == 1 else alignment)


def activations(model: Any) -> Iterator[int]:
    """Yield the float tensors that are computed, in order, the input first."""
    graph = model.subgraphs[0]
    yield from (int(i) for i in graph.inputs)
    for operator in graph.operators:
        for index in operator.outputs:
            if graph.tensors[index].type == schema.TensorType.FLOAT32:
                yield int(index)


def operation(model: Any, operator: Any) -> str:
    """Return an operation's name, as "CONV_2D"."""
    return str(_NAMES[model.operatorCodes[operator.opcodeIndex].builtinCode])


def name_of(tensor: Any) -> str:
    """Return a tensor's name as text."""
    return tensor.name.decode() if isinstance(tensor.name, bytes) else str(tensor.name)


def constant(model: Any, tensor: Any, dtype: Any) -> Array:
    """Return a constant tensor's values in its own shape."""
    return np.frombuffer(model.buffers[tensor.buffer].data, dtype).reshape(tensor.shape)


def is_constant(model: Any, tensor: Any) -> bool:
    """Tell a weight from an activation."""
    return model.buffers[tensor.buffer].data is not None


def give_buffer(model: Any, tensor: Any, values: Array) -> None:
    """Store a constant tensor's values in a buffer of its own."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    tensor.buffer = len(model.buffers)
    model.buffers.append(buffer)


def quantization(scales: Array, zero_points: Array, axis: int) -> Any:
    """Return a tensor's quantization: one scale and zero point, or one a channel of an axis."""
    parameters = schema.QuantizationParametersT()
    parameters.scale = scales
    parameters.zeroPoint = zero_points
    parameters.quantizedDimension = axis
    return parameters


def set_grid(tensor: Any, grid: Grid) -> None:
    """Make a tensor int8 or int16, on a grid."""
    tensor.type = schema.TensorType.INT8 if grid.bits == 8 else schema.TensorType.INT16
    tensor.quantization = quantization(
        np.asarray([grid.scale], np.float32), np.asarray([grid.zero_point], np.int64), 0
    )


def new_tensor(model: Any, like: int, suffix: str) -> int:
    """Add a copy of a tensor under another name; return its place."""
    graph = model.subgraphs[0]
    tensor = copy.copy(graph.tensors[like])
    tensor.name = name_of(tensor) + suffix
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def replace(places: Array, old: int, new: int) -> Array:
    """Return an operation's inputs or outputs with another tensor instead of one."""
    return np.where(np.asarray(places) == old, new, places).astype(np.int32)


def new_operator(model: Any, name: str, source: int, target: int) -> Any:
    """Return an operation with one input and one output, its code registered."""
    operator = schema.OperatorT()
    operator.opcodeIndex = code_of(model, name)
    operator.inputs = np.asarray([source], np.int32)
    operator.outputs = np.asarray([target], np.int32)
    return operator


def code_of(model: Any, name: str) -> int:
    """Return the place of an operation's code, registered where it is new."""
    code_number = getattr(schema.BuiltinOperator, name)
    codes = [code.builtinCode for code in model.operatorCodes]
    if code_number in codes:
        return codes.index(code_number)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = code_number
    model.operatorCodes.append(code)
    return len(codes)


def drop_unused(model: Any) -> None:
    """Remove tensors and buffers that no operation reads any more."""
    graph = model.subgraphs[0]
    owners = (graph, *graph.operators)
    used = {int(i) for owner in owners for i in (*owner.inputs, *owner.outputs) if i >= 0}
    kept = sorted(used)
    number = {old: new for new, old in enumerate(kept)} | {-1: -1}
    graph.tensors = [graph.tensors[i] for i in kept]
    for owner in owners:
        owner.inputs = np.asarray([number[int(i)] for i in owner.inputs], np.int32)
        owner.outputs = np.asarray([number[int(i)] for i in owner.outputs], np.int32)
    buffers = [model.buffers[0]]
    for holder in (*graph.tensors, *(model.metadata or [])):
        if holder.buffer:
            buffers.append(model.buffers[holder.buffer])
            holder.buffer = len(buffers) - 1
    model.buffers = buffers
