"""A float32 ONNX file to an integer QDQ one.

Weights become uint8 with zero point 128, per channel; activations uint8, per tensor.
Unsigned weights are right on every CPU: kernels for signed ones saturate on x86 without
VNNI. One zero point for all channels, dead ones too: mixed ones fall onto a slow path.
Operations without an integer kernel stay in float, with no QDQ pair that would deny it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from edgecnn.core.artifact import Io
from edgecnn.quantize.grid import Grid
from edgecnn.quantize.observe import Observed, Observer
from edgecnn.quantize.onnx_graph import simplify
from edgecnn.quantize.onnx_writer import WEIGHTED, Writer
from edgecnn.quantize.quantized import Quantized
from edgecnn.quantize.ranges import Method
from edgecnn.quantize.twins import NOTHING, Decided

Array: TypeAlias = npt.NDArray[Any]


def activations_of(
    float_file: bytes, inputs: Iterable[Array], *, threads: int = 2
) -> Iterator[dict[str, Array]]:
    """Run photos through the float file and yield all its activations by name, for each.

    Args:
        float_file: A float32 ONNX file with one input.
        inputs: [1, H, W, C] float32 each, as the file's input wants them.
        threads: Threads of the runtime.
    """
    model = onnx.load_from_string(float_file)
    image = model.graph.input[0].name
    names = [output for node in model.graph.node for output in node.output]
    final = {value.name for value in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names if n not in final)
    session = _session(model.SerializeToString(), threads=threads)
    for value in inputs:
        values = dict(zip(names, session.run(names, {image: value}), strict=True))
        floats = {name: v for name, v in values.items() if v.dtype == np.float32}
        yield {image: value, **floats}


def observe(
    float_file: bytes, inputs: Iterable[Array], *, method: Method = "minmax", threads: int = 2
) -> Observer:
    """Run photos through the float file and watch all its activations, as a method needs."""
    observer = Observer(method)
    for values in activations_of(float_file, inputs, threads=threads):
        observer.add(values)
    return observer


def undecided(float_file: bytes, decided: Decided) -> bool:
    """Tell whether a plan leaves tensors or layers of this file open, to be observed here."""
    graph = onnx.load_from_string(float_file).graph
    decided = _simplified(graph, decided)
    return any(
        name not in decided.grids or (node.op_type in WEIGHTED and name not in decided.layers)
        for node in graph.node
        for name in node.output
    )


def _simplified(graph: Any, decided: Decided) -> Decided:
    """Simplify a graph; a layer whose activation stays in float does so itself."""
    in_float = {name for name, layer in decided.layers.items() if layer.precision == "float32"}
    kept = simplify(graph, in_float)
    before = {layer: decided.layers[activation] for layer, activation in kept.items()}
    return dataclasses.replace(decided, layers={**decided.layers, **before})


def quantize(
    float_file: bytes,
    observed: Mapping[str, Observed],
    *,
    input_grid: Grid,
    input_shift: float,
    io: Io,
    decided: Decided = NOTHING,
) -> Quantized:
    """Return the integer file.

    Args:
        float_file: The float32 file that was observed.
        observed: What its activations did.
        input_grid: The input's grid; not observed but known, so that raw pixels fit it.
        input_shift: What the grid's real values exceed the true ones by.
        io: Type of the file's input and output.
        decided: What a plan says; the rest follows from what was observed.
    """
    model = onnx.load_from_string(float_file)
    decided = _simplified(model.graph, decided)
    writer = Writer(model.graph, observed, decided, input_grid=input_grid, input_shift=input_shift)
    writer.write(io)
    model.ir_version = min(model.ir_version, 10)
    onnx.checker.check_model(model)
    return Quantized(bytes(model.SerializeToString()), tuple(sorted(writer.in_float)))


def plain_agreement(
    quantized_file: bytes,
    inputs: Iterable[Array],
    *,
    twin: bytes | None = None,
    threads: int = 2,
) -> tuple[float, float]:
    """Compare optimized with plain execution, which computes in float between roundings.

    The optimized integer kernels of some CPUs saturate on some files.

    Args:
        quantized_file: The QDQ file, or one in the integer-only form.
        inputs: The file's own inputs, one photo each.
        twin: The QDQ file that the integer-only form was made from: that is executed plainly.
        threads: Threads of the runtime.

    Returns:
        Share of photos with the same answer, 0..1, and the mean absolute difference of the
        scores in output steps.
    """
    level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    fast = _session(quantized_file, threads=threads)
    plain = _session(twin or quantized_file, threads=threads, level=level)
    name = fast.get_inputs()[0].name
    same, distance = [], []
    for value in inputs:
        a, b = (s.run(None, {name: value})[0].astype(np.float32) for s in (fast, plain))
        same.append(a.argmax() == b.argmax())
        distance.append(np.abs(a - b).mean())
    return float(np.mean(same)), float(np.mean(distance))


def float16(float_file: bytes) -> bytes:
    """Store large weights as float16; a Cast brings them back when the file is loaded."""
    model = onnx.load_from_string(float_file)
    for tensor in [t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT]:
        values = numpy_helper.to_array(tensor)
        if values.ndim < 2:
            continue
        stored = numpy_helper.from_array(values.astype(np.float16), f"{tensor.name}/float16")
        model.graph.initializer.remove(tensor)
        model.graph.initializer.append(stored)
        cast = helper.make_node("Cast", [stored.name], [tensor.name], to=TensorProto.FLOAT)
        model.graph.node.insert(0, cast)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _session(model: bytes, *, threads: int, level: Any = None) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    if level is not None:
        options.graph_optimization_level = level
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
