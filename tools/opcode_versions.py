"""Ask the TFLite runtime of an interpreter which versions of which operations it has.

Run: python tools/opcode_versions.py [PYTHON]   (default: this one's LiteRT)
Prints OPERATION:VERSION for `edgecnn/targets/opcodes.py`; each in a process of its own, since
a runtime may crash on an operation without inputs that make sense.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

_NEWEST = 15
_ASK = """
import sys
try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:
    from tflite_runtime.interpreter import Interpreter
newest = 0
for number, path in enumerate(sys.argv[1:], 1):
    try:
        Interpreter(model_path=path)
        newest = number
    except Exception as error:
        if "find op for builtin" not in str(error) and "Registration failed" not in str(error):
            newest = number
print(newest)
"""


def file_with(operation: int, version: int) -> bytes:
    """Return a file of one operation between two numbers."""
    code = schema.OperatorCodeT()
    code.builtinCode, code.version = operation, version
    code.deprecatedBuiltinCode = min(operation, 127)
    ends = []
    for name in (b"in", b"out"):
        tensor = schema.TensorT()
        tensor.shape, tensor.name = [1], name
        ends.append(tensor)
    step, graph, model = schema.OperatorT(), schema.SubGraphT(), schema.ModelT()
    step.opcodeIndex, step.inputs, step.outputs = 0, [0], [1]
    graph.tensors, graph.inputs, graph.outputs, graph.operators = ends, [0], [1], [step]
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [schema.BufferT()]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def main() -> None:
    python = sys.argv[1] if len(sys.argv) > 1 else sys.executable
    operations = {
        name: value
        for name, value in vars(schema.BuiltinOperator).items()
        if isinstance(value, int)
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, value in operations.items():
            paths = [Path(folder) / f"{version}.tflite" for version in range(1, _NEWEST)]
            for version, path in enumerate(paths, 1):
                path.write_bytes(file_with(value, version))
            words = [python, "-c", _ASK, *map(str, paths)]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            print(f"{name}:{done.stdout.strip() or 'crashed'}", flush=True)


if __name__ == "__main__":
    main()
