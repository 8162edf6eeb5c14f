"""A written file, parsed again: is it what its name says?"""

from __future__ import annotations

from pathlib import Path

from edgecnn.core.artifact import Format, Io, Scheme
from edgecnn.core.errors import CheckFailed
from edgecnn.runtime import onnx, tflite
from edgecnn.runtime.inspect import precision

# Operations that may touch floats in a full-integer file with float ends: one at each end.
_ENDS = {"uint8": 0, "int8": 0, "float32": 2}


def check_file(
    data: bytes, suffix: Format, *, scheme: Scheme, io: Io, where: Path
) -> dict[str, int]:
    """Parse a file and refuse it where its content contradicts its name.

    Returns:
        Operation name to highest version (TFLite), or the operator sets' versions (ONNX).

    Raises:
        CheckFailed: a wrong input or output type, or a float island in an int8 file.
    """
    graph = (tflite if suffix == "tflite" else onnx).read(data, where=where)
    types = {graph.tensors[place].dtype for place in (*graph.inputs, *graph.outputs)}
    problem = ""
    if types != {io}:
        problem = f"its input and output are {', '.join(sorted(types))}, not {io}"
    elif scheme == "int8" and (floats := precision(graph).float_ops) > _ENDS[io]:
        problem = f"{floats} of its {len(graph.operators)} operations compute in float"
    if problem:
        raise CheckFailed(f"{where.name} is not the {scheme} file it should be: {problem}")
    return graph.opcodes
