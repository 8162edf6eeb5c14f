"""Reading a TFLite file without any runtime: tensors, operators, quantization.

Only numpy is needed, and no byte is believed: a damaged or forged file gives an
`InputError`, never a crash or endless work.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from edgecnn.core.errors import InputError
from edgecnn.runtime.flatbuffer import Buffer, FlatbufferError, Table
from edgecnn.runtime.tflite_schema import DTYPES, OPERATORS, OPTIONS

IDENTIFIER = b"TFL3"
"""Bytes 4..8 of every TFLite file."""

# The largest image networks have some thousand tensors; planning memory is quadratic in them.
MAX_TENSORS = 20_000
_MAX_RANK = 16
# Axes, orders and paddings; weights are never copied.
MAX_VALUES = 8
_WHOLE_NUMBERS = {"int32": "<i4", "int64": "<i8"}

Options: TypeAlias = "dict[str, int | float | str | tuple[int, ...]]"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tensor:
    """One tensor of the graph.

    Attributes:
        name: As the converter named it.
        shape: Sizes of the axes; an unknown one is -1 or 1, as the converter wrote it.
        dtype: "float32", "int8", "uint8", ...
        is_constant: The file holds its content (weights, biases, shapes).
        bytes: Stored size of a constant, else the size that the shape gives.
        scales: Quantization, one value or one a channel; empty for none.
        zero_points: As many as scales.
        quantized_dimension: The axis of the channels.
        is_variable: State that survives an inference.
        values: Content of a short constant of whole numbers, such as axes.
        symbols: What an ONNX file calls the axes whose size it leaves open; "" for others.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    is_constant: bool
    bytes: int
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    quantized_dimension: int
    is_variable: bool = False
    values: tuple[int, ...] = ()
    symbols: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Operator:
    """One operation.

    Attributes:
        name: "CONV_2D", ...; the own name of a custom operation.
        version: Of the operation's definition.
        inputs: Places in the graph's tensors; -1 is an optional input left out.
        outputs: Places in the graph's tensors.
        options: stride_h, padding, activation, ... of the common operations; ONNX's attributes.
        node: An ONNX node's own name; TFLite's have none.
    """

    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Options
    node: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Graph:
    """A TFLite file's first subgraph (image networks have one), in order of execution.

    Attributes:
        description: What the converter says about itself.
        tensors: All tensors; operators name them by place.
        operators: In order of execution.
        inputs: Places of the graph's inputs.
        outputs: Places of the graph's outputs.
        opcodes: Operation name to its highest version in the whole file.
        size: Of the file, bytes.
        subgraphs: How many there are; the others are bodies of loops and branches.
    """

    description: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    opcodes: dict[str, int]
    size: int
    subgraphs: int = 1


def read(data: bytes, *, where: str | Path) -> Graph:
    """Parse a TFLite file.

    Args:
        data: The file; what is appended to the flatbuffer (a zip) does not matter.
        where: The file's name, for errors.

    Raises:
        InputError: not a TFLite model, truncated or damaged.
    """
    if data[4:8] != IDENTIFIER:
        raise InputError("no TFLite model", where=where, fix="check the path, or export it again")
    try:
        return _graph(Buffer(data).root(), size=len(data))
    except FlatbufferError as error:
        raise InputError(
            f"a damaged TFLite model ({error})", where=where, fix="export or download it again"
        ) from error


def _graph(model: Table, *, size: int) -> Graph:
    codes = [_opcode(code) for code in model.tables(1)]
    buffers = [(_stored_bytes(buffer, size), buffer) for buffer in model.tables(4)]
    subgraphs = list(model.tables(2))
    if not subgraphs:
        raise FlatbufferError("no graph")
    main = subgraphs[0]
    if main.count(0, item_bytes=4) > MAX_TENSORS:
        raise FlatbufferError(f"more than {MAX_TENSORS} tensors")
    tensors = tuple(_tensor(tensor, buffers) for tensor in main.tables(0))
    operators = tuple(_operator(table, codes, len(tensors)) for table in main.tables(3))
    inputs = _places(main, 1, len(tensors))
    variables = [place for place, tensor in enumerate(tensors) if tensor.is_variable]
    _refuse_circles(operators, {*inputs, *variables})
    opcodes: dict[str, int] = {}
    for name, version in codes:
        opcodes[name] = max(version, opcodes.get(name, 0))
    return Graph(
        description=model.text(3),
        tensors=tensors,
        operators=operators,
        inputs=inputs,
        outputs=_places(main, 2, len(tensors)),
        opcodes=dict(sorted(opcodes.items())),
        size=size,
        subgraphs=len(subgraphs),
    )


def _refuse_circles(operators: tuple[Operator, ...], there: set[int]) -> None:
    """Refuse operations that read what only a later one makes: no order could run them."""
    computed = {place for operator in operators for place in operator.outputs}
    for operator in operators:
        if any(place in computed and place not in there for place in operator.inputs):
            raise FlatbufferError(f"{operator.name} reads what only a later operation makes")
        there.update(operator.outputs)


def _opcode(code: Table) -> tuple[str, int]:
    # The first field is one byte wide and was outgrown; the larger of both counts.
    number = max(code.integer(0, "b"), code.integer(3, "i"))
    version = code.integer(2, "i", 1)
    if number < 0:
        raise FlatbufferError(f"operation number {number}")
    if number >= len(OPERATORS):
        return f"OPERATION_{number}", version
    name = OPERATORS[number]
    return (code.text(1) or name) if name == "CUSTOM" else name, version


def _stored_bytes(buffer: Table, size: int) -> int:
    # Files beyond 2 GB keep content behind the flatbuffer: offset and size instead of a vector.
    offset, length = buffer.integer(1, "Q"), buffer.integer(2, "Q")
    if offset <= 1:
        return buffer.count(0)
    if offset + length > size:
        raise FlatbufferError("content outside the file")
    return length


def _tensor(table: Table, buffers: list[tuple[int, Table]]) -> Tensor:
    shape = _integers(table, 0, "<i4")
    if len(shape) > _MAX_RANK or any(axis < -1 for axis in shape):
        raise FlatbufferError(f"a tensor of shape {shape[: _MAX_RANK + 1]}")
    dtype, bits = _choice(DTYPES, table.integer(1, "b"))
    place = table.integer(2, "I")
    if place >= max(len(buffers), 1):
        raise FlatbufferError(f"buffer {place} of {len(buffers)}")
    stored = buffers[place][0] if buffers else 0
    values = _short_content(buffers[place][1], dtype) if stored else ()
    quantization = table.table(4)
    scales, zero_points, axis = _quantization(quantization) if quantization else ((), (), 0)
    return Tensor(
        name=table.text(3),
        shape=shape,
        dtype=dtype,
        is_constant=stored > 0,
        bytes=stored or math.ceil(math.prod(abs(axis) for axis in shape) * bits / 8),
        scales=scales,
        zero_points=zero_points,
        quantized_dimension=axis,
        is_variable=bool(table.integer(5, "?")),
        values=values,
    )


def _short_content(buffer: Table, dtype: str) -> tuple[int, ...]:
    """Return the numbers of a short constant of whole numbers; of others nothing."""
    code = _WHOLE_NUMBERS.get(dtype)
    if code is None or buffer.count(0) > MAX_VALUES * np.dtype(code).itemsize:
        return ()
    content = buffer.array(0, "u1").tobytes()
    whole = len(content) // np.dtype(code).itemsize * np.dtype(code).itemsize
    return tuple(np.frombuffer(content[:whole], code).tolist())


def _quantization(table: Table) -> tuple[tuple[float, ...], tuple[int, ...], int]:
    scales = tuple(float(scale) for scale in table.array(2, "<f4"))
    zero_points = _integers(table, 3, "<i8") or (0,) * len(scales)
    if any(not math.isfinite(scale) or scale < 0 for scale in scales):
        raise FlatbufferError("a quantization scale that is no positive number")
    if len(zero_points) not in (len(scales), 1):
        raise FlatbufferError(f"{len(scales)} scales and {len(zero_points)} zero points")
    if len(zero_points) != len(scales):
        zero_points *= len(scales)
    return scales, zero_points, table.integer(6, "i")


def _operator(table: Table, codes: list[tuple[str, int]], tensors: int) -> Operator:
    name, version = _choice(codes, table.integer(0, "I"))
    given = table.table(4)
    return Operator(
        name=name,
        version=version,
        inputs=_places(table, 1, tensors, lowest=-1),
        outputs=_places(table, 2, tensors),
        options=_options(given, table.integer(3, "B")) if given else {},
    )


def _options(given: Table, kind: int) -> Options:
    options: Options = {}
    for field, (name, code, default) in OPTIONS.get(kind, {}).items():
        if isinstance(code, tuple):
            options[name] = _choice(code, given.integer(field, "b", default))
        else:
            options[name] = given.scalar(field, code, default)
    return options


def _places(table: Table, field: int, tensors: int, *, lowest: int = 0) -> tuple[int, ...]:
    places = _integers(table, field, "<i4")
    if any(not lowest <= place < tensors for place in places):
        raise FlatbufferError("a tensor that is not there")
    return places


def _integers(table: Table, field: int, dtype: str) -> tuple[int, ...]:
    return tuple(table.array(field, dtype).tolist())


def _choice(names: Any, index: int) -> Any:
    if not 0 <= index < len(names):
        raise FlatbufferError(f"number {index} of {len(names)} known ones")
    return names[index]
