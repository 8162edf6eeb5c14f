"""A written file, parsed again: is it what its name says?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path

from edgecnn.core.artifact import Format, Io, Scheme
from edgecnn.core.errors import CheckFailed
from edgecnn.quantize.schemes import WEIGHT_ONLY
from edgecnn.runtime import arena, onnx, operations, tflite
from edgecnn.runtime.inspect import read_ort
from edgecnn.runtime.tflite import Graph

_FEW = 0.1  # of all weights may be float: those of layers that a format has no such form of
# They lead from integers to floats or back; what they lead to is what counts.
_BETWEEN = {"DEQUANTIZE", "QUANTIZE", "DequantizeLinear", "QuantizeLinear"}


def check_file(
    data: bytes,
    suffix: Format,
    *,
    scheme: Scheme,
    io: Io,
    where: Path,
    in_float: Collection[str] = (),
) -> dict[str, int]:
    """Parse a file and refuse it where its content contradicts its name.

    Args:
        data: The file.
        suffix: Its format.
        scheme: What it should be.
        io: Type of its input and output.
        where: Its path, for errors.
        in_float: Operations that may compute in float in an int8 file.

    Returns:
        Operation name to highest version (TFLite), or the operator sets' versions (ONNX).

    Raises:
        CheckFailed: a wrong input or output type, a float island in an integer file, or
            weights stored in another type than the scheme's.
    """
    graph = _read(data, suffix, where)
    types = {graph.tensors[place].dtype for place in (*graph.inputs, *graph.outputs)}
    problem = ""
    if types != {io}:
        problem = f"its input and output are {', '.join(sorted(types))}, not {io}"
    elif scheme in ("int8", "mixed"):
        problem = _in_float(graph, io=io, allowed=in_float)
    elif scheme == "int16x8":
        problem = _in_float(graph, io=io, allowed=in_float) or _of_other_width(graph)
    elif scheme in WEIGHT_ONLY:
        problem = _other_weights(graph, f"int{WEIGHT_ONLY[scheme]}")
    if problem:
        raise CheckFailed(f"{where.name} is not the {scheme} file it should be: {problem}")
    return graph.opcodes


def _read(data: bytes, suffix: Format, where: Path) -> Graph:
    if suffix == "tflite":
        return tflite.read(data, where=where)
    return onnx.read(data, where=where) if suffix == "onnx" else read_ort(data, where=where)


def _in_float(graph: Graph, *, io: Io, allowed: Collection[str]) -> str:
    """Say which operations compute in float though none but the allowed ones should."""
    floats = _float_operations(graph)
    wrong = [name for name in floats if name not in _BETWEEN | {*allowed}]
    if wrong or (floats and not allowed and io != "float32"):
        return f"{len(floats)} of its {len(graph.operators)} operations compute in float"
    return ""


def _of_other_width(graph: Graph) -> str:
    """Say which operations with weights read activations of other than 16 bits."""
    layers = [o for o in graph.operators if operations.parameters_of(o)]
    widths = {graph.tensors[o.inputs[operations.data_of(o)]].dtype for o in layers} - {"float32"}
    return "" if widths == {"int16"} else f"its layers read {', '.join(sorted(widths))}"


def _other_weights(graph: Graph, dtype: str) -> str:
    """Say how the weights are stored where hardly any is of the type that they should have."""
    stored = stored_weights(graph)
    floats = sum(count for name, count in stored.items() if name.startswith("float"))
    if stored[dtype] and floats <= _FEW * stored.total():
        return ""
    return f"its weights are stored as {', '.join(sorted(stored)) or 'nothing'}"


def stored_weights(graph: Graph) -> Counter[str]:
    """Return how many weights of convolutions and dense layers a file stores in each type."""
    packed = {
        operator.outputs[0]: operator.inputs[0]
        for step, operator in enumerate(graph.operators)
        if arena.is_unpacking(graph, step)
    }
    found: Counter[str] = Counter()
    for operator in graph.operators:
        for place in operations.parameters_of(operator)[:1]:
            given = operator.inputs[place] if place < len(operator.inputs) else -1
            tensor = graph.tensors[packed.get(given, given)]
            if given >= 0 and tensor.is_constant:
                found[tensor.dtype] += operations.elements(tensor)
    return found


def _float_operations(graph: Graph) -> list[str]:
    """Return the name of each operation that reads or writes a float activation."""
    floats = {
        place
        for place, tensor in enumerate(graph.tensors)
        if tensor.dtype.startswith("float") and not tensor.is_constant
    }
    return [o.name for o in graph.operators if floats & {*o.inputs, *o.outputs}]
