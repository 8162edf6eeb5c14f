"""Reading ONNX Runtime's own format: the same graph as an ONNX file, in a flatbuffer.

Source: onnxruntime/core/flatbuffers/schema/ort.fbs; the numbers are the fields' places there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgecnn.core.errors import InputError, MissingExtra
from edgecnn.runtime.flatbuffer import Buffer, FlatbufferError, Table

IDENTIFIER = b"ORTM"
"""Bytes 4..8 of every file in the ORT format."""

_FIXED_SIZE = 1  # DimensionValueType.VALUE
_TENSOR_TYPE = 1  # TypeInfoValue.tensor_type
# AttributeType, as ONNX numbers them: those that image networks have.
_FLOAT, _INT, _STRING, _TENSOR, _FLOATS, _INTS = 1, 2, 3, 4, 6, 7


def as_onnx(data: bytes, *, where: str | Path) -> bytes:
    """Return the graph of an ORT file as an ONNX model.

    Args:
        data: The file; what is appended to the flatbuffer (a zip) does not matter.
        where: The file's name, for errors.

    Raises:
        InputError: no ORT model, truncated or damaged.
        MissingExtra: the onnx package is not installed.
    """
    try:
        import onnx  # noqa: F401 - that it is there, said in one line
    except ImportError:
        raise MissingExtra("reading ORT files", "onnx") from None
    if data[4:8] != IDENTIFIER:
        raise InputError("no ORT model", where=where, fix="check the path, or export it again")
    try:
        return _model(Buffer(data).root())
    # A forged size or number is also refused by the package's own checks.
    except (FlatbufferError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [""])[0][:200]
        raise InputError(
            f"a damaged ORT model ({reason})", where=where, fix="export or download it again"
        ) from error


def _model(session: Table) -> bytes:
    from onnx import helper

    model = session.table(1)
    source = model.table(7) if model else None
    if model is None or source is None:
        raise FlatbufferError("no graph")
    values = {value.text(0): value for value in source.tables(1)}
    constants = [_tensor(tensor) for tensor in source.tables(0)]
    inputs, outputs = list(source.texts(5)), list(source.texts(6))
    known = {*inputs, *outputs, *(tensor.name for tensor in constants)}
    graph = helper.make_graph(
        list(_in_order([_node(node) for node in source.tables(2)])),
        "graph",
        [_value(name, values) for name in inputs],
        [_value(name, values) for name in outputs],
        initializer=constants,
        value_info=[_value(name, values) for name in values if name and name not in known],
    )
    versions = [(entry.text(0), entry.integer(1, "q")) for entry in model.tables(1)]
    imports = [helper.make_opsetid(domain, version) for domain, version in versions]
    proto = helper.make_model(graph, opset_imports=imports, producer_name=model.text(2))
    proto.ir_version = model.integer(0, "q")
    return bytes(proto.SerializeToString())


def _value(name: str, values: dict[str, Table]) -> Any:
    from onnx import helper

    kind = values[name].table(2) if name in values else None
    if kind is None or kind.integer(1, "B") != _TENSOR_TYPE:
        return helper.make_empty_tensor_value_info(name)
    tensor = kind.table(2)
    shape = tensor.table(1) if tensor else None
    if tensor is None:
        return helper.make_empty_tensor_value_info(name)
    sizes = None if shape is None else [_size(axis.table(0)) for axis in shape.tables(0)]
    return helper.make_tensor_value_info(name, tensor.integer(0, "i"), sizes)


def _size(axis: Table | None) -> int | str | None:
    if axis is None:
        return None
    return axis.integer(1, "q") if axis.integer(0, "b") == _FIXED_SIZE else axis.text(2) or None


def _tensor(table: Table) -> Any:
    from onnx import TensorProto

    return TensorProto(
        name=table.text(0),
        dims=table.array(2, "<i8").tolist(),
        data_type=table.integer(3, "i"),
        raw_data=table.array(4, "u1").tobytes(),
    )


def _node(table: Table) -> Any:
    from onnx import NodeProto

    return NodeProto(
        name=table.text(0),
        domain=table.text(2),
        op_type=table.text(5),
        input=list(table.texts(8)),
        output=list(table.texts(9)),
        attribute=[_attribute(attribute) for attribute in table.tables(10)],
    )


def _attribute(table: Table) -> Any:
    from onnx import AttributeProto

    attribute = AttributeProto(name=table.text(0), type=table.integer(2, "i"))
    match table.integer(2, "i"):
        case kind if kind == _FLOAT:
            attribute.f = table.scalar(3, "f")
        case kind if kind == _INT:
            attribute.i = table.integer(4, "q")
        case kind if kind == _STRING:
            attribute.s = table.text(5).encode()
        case kind if kind == _TENSOR:
            held = table.table(6)
            attribute.t.CopyFrom(_tensor(held) if held else attribute.t)
        case kind if kind == _FLOATS:
            attribute.floats.extend(table.array(8, "<f4").tolist())
        case kind if kind == _INTS:
            attribute.ints.extend(table.array(9, "<i8").tolist())
    return attribute


def _in_order(nodes: list[Any]) -> Iterator[Any]:
    """Yield nodes such that each comes after those that it reads from: the file's order is free.

    Raises:
        FlatbufferError: they go in a circle.
    """
    makers = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    missing = [
        {makers[name] for name in node.input if name in makers} - {index}
        for index, node in enumerate(nodes)
    ]
    readers: dict[int, list[int]] = {}
    for index, needed in enumerate(missing):
        for maker in needed:
            readers.setdefault(maker, []).append(index)
    ready = [index for index, needed in enumerate(missing) if not needed][::-1]
    count = 0
    while ready:
        index = ready.pop()
        yield nodes[index]
        count += 1
        for reader in readers.get(index, ()):
            missing[reader].discard(index)
            if not missing[reader]:
                ready.append(reader)
    if count < len(nodes):
        raise FlatbufferError("operations that read what only later ones make")
