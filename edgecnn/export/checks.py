"""A written file, parsed again: is it what its name says?"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from edgecnn.core.artifact import Format, Io, Scheme
from edgecnn.core.errors import CheckFailed
from edgecnn.runtime import onnx, tflite
from edgecnn.runtime.inspect import read_ort
from edgecnn.runtime.tflite import Graph

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
        CheckFailed: a wrong input or output type, or a float island in an int8 file.
    """
    read = {"tflite": tflite.read, "onnx": onnx.read, "ort": read_ort}[suffix]
    graph = read(data, where=where)
    types = {graph.tensors[place].dtype for place in (*graph.inputs, *graph.outputs)}
    problem = ""
    if types != {io}:
        problem = f"its input and output are {', '.join(sorted(types))}, not {io}"
    elif scheme == "int8":
        floats = _float_operations(graph)
        wrong = [name for name in floats if name not in _BETWEEN | {*in_float}]
        if wrong or (floats and not in_float and io != "float32"):
            problem = f"{len(floats)} of its {len(graph.operators)} operations compute in float"
    if problem:
        raise CheckFailed(f"{where.name} is not the {scheme} file it should be: {problem}")
    return graph.opcodes


def _float_operations(graph: Graph) -> list[str]:
    """Return the name of each operation that reads or writes a float activation."""
    floats = {
        place
        for place, tensor in enumerate(graph.tensors)
        if tensor.dtype.startswith("float") and not tensor.is_constant
    }
    return [o.name for o in graph.operators if floats & {*o.inputs, *o.outputs}]
