"""Measure what a machine can do at most, in this process: multiplications, and bytes moved.

A single 1x1 convolution, which is what XNNPACK is best at, tells the first; copies of as many
bytes as a network has tell the second. The fastest run counts: a ceiling is no average.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from edgecnn.bench import worker

SCHEMA = "edgecnn/ceilings/1"
# Weights of 64 to 256 kB stay in any second-level cache; a run takes a millisecond or two.
SIDE, CHANNELS = 28, 256
MACS = SIDE * SIDE * CHANNELS * CHANNELS
SECONDS, RUNS = 0.25, 20
# Copies of less than this measure Python; of more, they'd fill a small board.
BYTES = (1 << 18, 1 << 27)
Json = dict[str, Any]


def measure(request: Json) -> Json:
    """Measure the ceilings.

    Args:
        request: ``threads``, and ``ceilings``: bytes that a network reads and writes.

    Raises:
        WorkerError: no LiteRT, or one that can't build a network.
    """
    try:
        from ai_edge_litert import interpreter, schema_py_generated
    except Exception as error:
        raise worker.WorkerError("no_runtime", f"{type(error).__name__}: {error}") from error
    threads = request["threads"]
    rates = {}
    for dtype in ("float32", "int8"):
        content = convolution(schema_py_generated, dtype)
        loaded = interpreter.Interpreter(model_content=content, num_threads=threads)
        loaded.allocate_tensors()
        rates[dtype] = MACS / fastest_ms(loaded.invoke) / 1e6
    return {"schema": SCHEMA, "gmacs": rates, "gb_per_s": copying(request["ceilings"], threads)}


def fastest_ms(run: Callable[[], Any]) -> float:
    """Return the shortest time of many runs."""
    worker.time_runs(run, seconds=0.05, runs=3, max_seconds=1)
    return min(worker.time_runs(run, seconds=SECONDS, runs=RUNS, max_seconds=4 * SECONDS))


def copying(size: int, threads: int) -> float:
    """Return 1e9 bytes a second, read and written, that copies of so many bytes reach."""
    half = min(max(size, BYTES[0]), BYTES[1]) // 2 // threads
    pairs = [(np.ones(half, np.uint8), np.empty(half, np.uint8)) for _ in range(threads)]
    rounds = max(1, (1 << 24) // half)
    start = threading.Barrier(threads + 1)
    best = 0.0

    def copy(source: Any, target: Any) -> None:
        start.wait()
        for _ in range(rounds):
            np.copyto(target, source)
        start.wait()

    for _ in range(8):
        workers = [threading.Thread(target=copy, args=pair) for pair in pairs]
        for one in workers:
            one.start()
        start.wait()
        begin = time.perf_counter()
        start.wait()
        best = max(best, 2 * half * threads * rounds / (time.perf_counter() - begin) / 1e9)
        for one in workers:
            one.join()
    return best


def convolution(schema: Any, dtype: str) -> bytes:
    """Build a TFLite file of a single 1x1 convolution."""
    import flatbuffers

    random = np.random.default_rng(0)
    weights = random.integers(-100, 100, (CHANNELS, 1, 1, CHANNELS))
    is_float = dtype == "float32"
    model = schema.ModelT()
    model.version = 3
    kernel = (weights / 1000).astype(np.float32) if is_float else weights.astype(np.int8)
    bias = np.zeros(CHANNELS, np.float32 if is_float else np.int32)
    model.buffers = [buffer(schema, data) for data in (b"", kernel.tobytes(), bias.tobytes())]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CONV_2D
    code.version = 1 if is_float else 3
    model.operatorCodes = [code]
    kind = schema.TensorType.FLOAT32 if is_float else schema.TensorType.INT8
    image = [1, SIDE, SIDE, CHANNELS]
    tensors = [
        tensor(schema, "image", image, kind, 0, () if is_float else (0.05,)),
        tensor(schema, "kernel", [CHANNELS, 1, 1, CHANNELS], kind, 1,
               () if is_float else (0.001,) * CHANNELS),
        tensor(schema, "bias", [CHANNELS], kind if is_float else schema.TensorType.INT32, 2,
               () if is_float else (0.00005,) * CHANNELS),
        tensor(schema, "result", image, kind, 0, () if is_float else (0.1,)),
    ]  # fmt: skip
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs = tensors, [0], [3]
    graph.operators = [operator(schema)]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1 << 19)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def buffer(schema: Any, data: bytes) -> Any:
    """Build one of the file's contents."""
    made = schema.BufferT()
    made.data = np.frombuffer(data, np.uint8) if data else None
    return made


def tensor(
    schema: Any, name: str, shape: list[int], kind: int, place: int, scales: tuple[float, ...]
) -> Any:
    """Build a tensor; a scale a channel belongs to the first axis."""
    made = schema.TensorT()
    made.name, made.shape, made.type, made.buffer = name, shape, kind, place
    if scales:
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale = list(scales)
        made.quantization.zeroPoint = [0] * len(scales)
    return made


def operator(schema: Any) -> Any:
    """Build the convolution itself."""
    made = schema.OperatorT()
    made.inputs, made.outputs = [0, 1, 2], [3]
    made.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
    made.builtinOptions = schema.Conv2DOptionsT()
    made.builtinOptions.strideW = made.builtinOptions.strideH = 1
    return made


def main() -> None:
    """Answer one request."""
    worker.main(measure)
