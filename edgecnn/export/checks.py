"""A written file, parsed again: is it what its name says?"""

from __future__ import annotations

from pathlib import Path

from edgecnn.core.artifact import Format, Io, Scheme
from edgecnn.core.errors import CheckFailed
from edgecnn.runtime import tflite

_ENTRY = {"QUANTIZE", "DEQUANTIZE"}
_INTEGERS = {"int8", "uint8"}


def opcodes(data: bytes, suffix: Format, *, where: Path) -> dict[str, int]:
    """Return operation name to highest version (TFLite), or the operator set (ONNX)."""
    if suffix == "tflite":
        return dict(tflite.read(data, where=where).opcodes)
    import onnx

    return {s.domain or "ai.onnx": s.version for s in onnx.load_from_string(data).opset_import}


def check_file(data: bytes, suffix: Format, *, scheme: Scheme, io: Io, where: Path) -> None:
    """Refuse a file whose content contradicts its name.

    Raises:
        CheckFailed: a wrong input or output type, or a float island in an int8 file.
    """
    problems = _tflite(data, scheme, io, where) if suffix == "tflite" else _onnx(data, scheme, io)
    if problems:
        raise CheckFailed(f"{where.name} is not the {scheme} file it should be: {problems[0]}")


def _tflite(data: bytes, scheme: Scheme, io: Io, where: Path) -> list[str]:
    graph = tflite.read(data, where=where)
    problems = [
        f"{role} is {graph.tensors[i].dtype}, not {io}"
        for role, ends in (("input", graph.inputs), ("output", graph.outputs))
        for i in ends
        if graph.tensors[i].dtype != io
    ]
    if scheme == "int8":
        problems += [
            f"operation {operator.name} computes in {graph.tensors[i].dtype}"
            for operator in graph.operators
            if operator.name not in _ENTRY
            for i in (*operator.inputs[:2], *operator.outputs)
            if graph.tensors[i].dtype not in _INTEGERS | {"int32"}
        ]
    return problems


def _onnx(data: bytes, scheme: Scheme, io: Io) -> list[str]:
    import onnx

    graph = onnx.load_from_string(data).graph
    wanted = {"uint8": onnx.TensorProto.UINT8, "int8": onnx.TensorProto.INT8}.get(
        io, onnx.TensorProto.FLOAT
    )
    problems = [
        f"{value.name} is of type {value.type.tensor_type.elem_type}, not {io}"
        for value in (*graph.input, *graph.output)
        if value.type.tensor_type.elem_type != wanted
    ]
    if scheme == "int8":
        rounded = {n.input[0] for n in graph.node if n.op_type == "QuantizeLinear"}
        problems += [
            f"operation {node.op_type} leaves {node.output[0]} in float"
            for node in graph.node
            if node.op_type in ("Conv", "Gemm", "MatMul", "Add", "GlobalAveragePool")
            and node.output[0] not in rounded
        ]
    return problems
