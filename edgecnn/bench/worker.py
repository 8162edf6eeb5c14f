"""Time one model file in this process: a JSON request on stdin, a JSON answer on stdout.

With `machine.py` and `pace.py` beside it, Python 3.9, numpy and one runtime are all it needs,
so that it runs unchanged in another environment (`place.py` starts it) or on a board (`edgecnn
bundle` makes one file of them). Nothing else happens in the process, which is what makes its
memory figures the model's own.
"""

from __future__ import annotations

import gc
import importlib
import json
import math
import os
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from edgecnn.bench.machine import (
    NoSuchCore,
    change,
    machine_facts,
    memory_mb,
    pin,
    rename_memory,
    snapshot,
    spent_mj,
)
from edgecnn.bench.pace import Pace

SCHEMA = "edgecnn/worker/1"
# A run of microseconds would fill megabytes: then only every so many runs are timed.
MAX_SAMPLES = 10_000
Json = dict[str, Any]


class WorkerError(Exception):
    """The file can't be measured here; ``kind`` is for the caller, the text for people."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Loaded(NamedTuple):
    """A model ready to run; only ``run`` is timed."""

    input_shape: tuple[int, ...]
    input_dtype: str
    set_input: Callable[[Any], None]
    run: Callable[[], Any]
    output: Callable[[], Any]
    delegation: Callable[[], Json]


# ------------------------------------------------------------------ runtimes


def load_litert(
    module: Any, model: str, threads: int, delegate: str | None = None, batch: int = 1
) -> Loaded:
    """Load a TFLite file; LiteRT and tflite-runtime have the same interface.

    XNNPACK is what the interpreter takes unasked; only leaving it out needs to be said.
    """
    require_delegate(delegate, ("xnnpack", "none"))
    kernels = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    plain = {"experimental_op_resolver_type": kernels} if delegate == "none" else {}
    interpreter = module.Interpreter(model_path=model, num_threads=threads, **plain)
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    require_one_input(len(inputs))
    shape = (batch, *(int(n) for n in inputs[0]["shape"][1:]))
    if batch > 1:
        interpreter.resize_tensor_input(inputs[0]["index"], shape)
    interpreter.allocate_tensors()
    return Loaded(
        input_shape=shape,
        input_dtype=np.dtype(inputs[0]["dtype"]).name,
        set_input=lambda values: interpreter.set_tensor(inputs[0]["index"], values),
        run=interpreter.invoke,
        output=lambda: interpreter.get_tensor(outputs[0]["index"]),
        delegation=lambda: litert_delegation(getattr(interpreter, "_get_ops_details", list)()),
    )


def litert_delegation(operators: list[Json]) -> Json:
    """Count the nodes that the delegate took.

    The runtime keeps replaced nodes in its list and appends one DELEGATE node for each part
    that it replaced: all that leads from the DELEGATE node's inputs to its outputs.
    """
    nodes = [op for op in operators if op["op_name"] != "DELEGATE"]
    makers = {int(tensor): index for index, op in enumerate(nodes) for tensor in op["outputs"]}
    taken: set[int] = set()
    for part in (op for op in operators if op["op_name"] == "DELEGATE"):
        given, reached = {int(tensor) for tensor in part["inputs"]}, list(part["outputs"])
        while reached:
            tensor = int(reached.pop())
            index = None if tensor in given else makers.get(tensor)
            if index is not None and index not in taken:
                taken.add(index)
                reached += list(nodes[index]["inputs"])
    if not nodes:
        return {"delegate": "unknown", "delegated_nodes": None, "total_nodes": None}
    # XNNPACK is the only delegate that the runtime applies unasked.
    name = "XNNPACK" if taken else "none"
    return {"delegate": name, "delegated_nodes": len(taken), "total_nodes": len(nodes)}


def load_onnxruntime(
    module: Any, model: str, threads: int, delegate: str | None = None, batch: int = 1
) -> Loaded:
    """Load an ONNX file on the CPU; this runtime doesn't tell the number of its nodes."""
    own = "XnnpackExecutionProvider"
    require_delegate(delegate, ("xnnpack",) if own in module.get_available_providers() else ())
    first = [own] if delegate == "xnnpack" else []
    options = module.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = module.InferenceSession(model, options, providers=[*first, "CPUExecutionProvider"])
    inputs, outputs = session.get_inputs(), [session.get_outputs()[0].name]
    require_one_input(len(inputs))
    feed: Json = {}
    dtype = inputs[0].type[len("tensor(") : -1]
    return Loaded(
        input_shape=sized(inputs[0].shape, batch),
        input_dtype={"float": "float32", "double": "float64"}.get(dtype, dtype),
        set_input=lambda values: feed.update({inputs[0].name: values}),
        run=lambda: session.run(outputs, feed),
        output=lambda: session.run(outputs, feed)[0],
        delegation=lambda: {
            "delegate": session.get_providers()[0],
            "delegated_nodes": None,
            "total_nodes": None,
        },
    )


def require_one_input(count: int) -> None:
    """Refuse what is not a network of one image."""
    if count != 1:
        raise WorkerError("bad_file", f"{count} inputs instead of one image")


def require_delegate(asked: str | None, known: tuple[str, ...]) -> None:
    """Refuse to pretend that a delegate was used."""
    if asked is not None and asked not in known:
        told = " or ".join(known) or "its own kernels"
        raise WorkerError("bad_option", f"runs with {told}, not with delegate {asked!r}")


def sized(shape: list[Any], batch: int) -> tuple[int, ...]:
    """Return an input's shape for so many images; a free size has a name, not a number."""
    sizes = [n if isinstance(n, int) and n > 0 else None for n in shape]
    if sizes and sizes[0] is not None and batch not in (1, sizes[0]):
        raise WorkerError("fixed_batch", f"its input is {shape}")
    first = [(batch if batch > 1 else sizes[0]) or 1] if sizes else []
    return (*first, *(n or 1 for n in sizes[1:]))


# name: module, package that knows the version, loader
RUNTIMES: dict[str, tuple[str, str, Callable[..., Loaded]]] = {
    "litert": ("ai_edge_litert.interpreter", "ai-edge-litert", load_litert),
    "tflite-runtime": ("tflite_runtime.interpreter", "tflite-runtime", load_litert),
    "onnxruntime": ("onnxruntime", "onnxruntime", load_onnxruntime),
}


# ------------------------------------------------------------------- timing


def measure(request: Json) -> Json:
    """Load, warm up and time one file.

    Args:
        request: ``model`` (path), ``runtime``, ``threads``, ``input`` (``scale`` and
            ``offset`` that turn pixels 0..255 into input values; null where unknown) and
            ``protocol`` (``seconds``, ``runs``, ``warmup_seconds``, ``warmup_runs``,
            ``max_seconds``; where there: ``delegate``, ``batch``, ``pin``).

    Raises:
        WorkerError: the runtime is not installed, or it refuses the file.
    """
    load_at_start = os.getloadavg()[0]
    try:
        pin(request["protocol"].get("pin"))
    except NoSuchCore as error:
        raise WorkerError("bad_option", f"{error}") from error
    module_name, package, loader = RUNTIMES[request["runtime"]]
    try:
        module = importlib.import_module(module_name)
    # numpy 2 under a runtime built for numpy 1 raises SystemError or AttributeError.
    except Exception as error:
        raise WorkerError("no_runtime", f"{type(error).__name__}: {error}") from error
    baseline = memory_mb()
    try:
        model, timing = load_and_time(loader, module, request)
    except WorkerError:
        raise
    except Exception as error:
        raise WorkerError("bad_file", f"{error}") from error
    memory = {"baseline": baseline.get("VmRSS"), **rename_memory(memory_mb())}
    output = np.asarray(model.output())
    machine = {**machine_facts(), "load": load_at_start, **timing.pop("machine")}
    return {
        "schema": SCHEMA,
        "runtime_version": version_of(module, package),
        **model.delegation(),
        "input_shape": list(model.input_shape),
        "input_dtype": model.input_dtype,
        "output_shape": list(output.shape),
        "output_dtype": output.dtype.name,
        "finite": bool(np.isfinite(output.astype(np.float64)).all()),
        **timing,
        "memory_mb": memory,
        "machine": machine,
    }


def version_of(module: Any, package: str) -> str:
    """Return a runtime's version; ONNX Runtime comes in packages of several names."""
    from importlib.metadata import PackageNotFoundError, version  # megabytes that are no model's

    try:
        return version(package)
    except PackageNotFoundError:
        return str(getattr(module, "__version__", "unknown"))


def load_and_time(loader: Callable[..., Loaded], module: Any, request: Json) -> tuple[Loaded, Json]:
    """Return the loaded model and its times; milliseconds."""
    how = request["protocol"]
    batch = how.get("batch", 1)
    start = time.perf_counter_ns()
    model = in_batches(
        lambda: loader(module, request["model"], request["threads"], how.get("delegate"), batch),
        batch,
    )
    init_ms = (time.perf_counter_ns() - start) / 1e6
    model.set_input(input_values(model.input_shape, model.input_dtype, request["input"]))
    (first_ms,) = in_batches(lambda: time_runs(model.run, seconds=0, runs=1, max_seconds=0), batch)
    require_alike(np.asarray(model.output()), batch)
    warmup = time_runs(
        model.run,
        seconds=how["warmup_seconds"],
        runs=how["warmup_runs"],
        max_seconds=how["max_seconds"] / 2,
    )
    pace = Pace()
    every = 1 + int(how["seconds"] * 1e3 / min(warmup) / MAX_SAMPLES)

    def before_each() -> None:
        for _ in range(every - 1):
            model.run()
        pace.read_now_and_then()

    before = snapshot()
    samples = time_runs(
        model.run,
        seconds=how["seconds"],
        runs=how["runs"],
        max_seconds=how["max_seconds"],
        before=before_each,
    )
    after = snapshot()
    spent = spent_mj(before["energy_uj"], after["energy_uj"])
    return model, {
        "energy_mj": None if spent is None else spent / (len(samples) * every),
        "init_ms": init_ms,
        "first_ms": first_ms,
        "warmup_runs": len(warmup),
        "samples_ms": samples,
        "machine": {**change(before, after), "pace_ms": pace.ms},
    }


def in_batches(work: Callable[[], Any], batch: int) -> Any:
    """Do what a file may refuse because it was made for another number of images."""
    try:
        return work()
    except WorkerError:
        raise
    except Exception as error:
        raise WorkerError("fixed_batch" if batch > 1 else "bad_file", f"{error}") from error


def require_alike(output: Any, batch: int) -> None:
    """Refuse an output that doesn't give each of several like images the same answer."""
    rows = output.astype(np.float64)
    if batch > 1 and (
        rows.ndim == 0 or len(rows) != batch or not np.allclose(rows, rows[:1], 1e-3, 1e-4)
    ):
        raise WorkerError("fixed_batch", f"its output is {list(output.shape)}")


def time_runs(
    run: Callable[[], Any],
    *,
    seconds: float,
    runs: int,
    max_seconds: float,
    before: Callable[[], None] = lambda: None,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
) -> list[float]:
    """Time at least so many seconds and runs, but no longer than ``max_seconds``.

    Args:
        run: One inference.
        seconds: Shortest time in all.
        runs: Fewest timed runs; one at least.
        max_seconds: After this no further run begins.
        before: What is done, untimed, before each of them.
        clock_ns: A clock that never goes back; nanoseconds.

    Returns:
        Milliseconds of each timed run, in order.
    """
    samples: list[float] = []
    gc.collect()
    gc.disable()
    begin = clock_ns()
    try:
        while True:
            before()
            start = clock_ns()
            run()
            stop = clock_ns()
            samples.append((stop - start) / 1e6)
            elapsed = (stop - begin) / 1e9
            if (len(samples) >= runs and elapsed >= seconds) or elapsed >= max_seconds:
                return samples
    finally:
        gc.enable()


def input_values(shape: tuple[int, ...], dtype: str, how: dict[str, float] | None) -> Any:
    """Make input values from something like a photo: smooth, with a little noise.

    Not zeros: sparse or repeated values are an easier task for some kernels. All images of
    a batch are alike.
    """
    integer = np.issubdtype(np.dtype(dtype), np.integer)
    at = np.arange(math.prod(shape[1:]))
    noise = at * 7919 % 29  # numpy's generators would take megabytes that are no model's
    pixels = np.rint(113 + 100 * np.sin(at / 500) + noise).astype(np.float32)
    if how is None:  # without better knowledge int8 takes pixels less 128, others take pixels
        how = {"scale": 1.0, "offset": -128.0 if dtype == "int8" else 0.0}
    values = pixels * np.float32(how["scale"]) + np.float32(how["offset"])
    if integer:
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return np.tile(values.astype(dtype), shape[0]).reshape(shape)


# ------------------------------------------------------------------ program


def main(work: Callable[[Json], Json] = measure) -> None:
    """Answer one request; what native code prints goes to stderr."""
    sys.stdout.flush()
    answer_to = os.dup(1)
    os.dup2(2, 1)
    try:
        answer = work(json.load(sys.stdin))
    except WorkerError as error:
        answer = {"schema": SCHEMA, "error": {"kind": error.kind, "text": str(error)[:2000]}}
    with os.fdopen(answer_to, "w", encoding="utf-8") as out:
        json.dump(answer, out)


if __name__ == "__main__":
    main()
