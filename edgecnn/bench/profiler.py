"""Time each operation of one model file in this process: JSON on stdin, JSON on stdout.

Each runtime's own profiler tells how long its kernels took. Like `worker.py` beside it, this
needs Python 3.9, numpy and one runtime, and runs where nothing else of ours is installed.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.bench import worker
from edgecnn.bench.kernels import CUT_US, Kernel, Run, middle, summary, time_both
from edgecnn.bench.onnx_trace import profile_onnxruntime

SCHEMA = "edgecnn/profiler/1"
Json = dict[str, Any]


def profile(request: Json) -> Json:
    """Time one file's operations.

    Args:
        request: As that of `worker.measure`.

    Raises:
        WorkerError: no such runtime here, a file that it refuses, or no profiler in it.
    """
    profilers: dict[str, Callable[[Json], tuple[list[float], list[Run]]]] = {
        "litert": profile_litert,
        "onnxruntime": profile_onnxruntime,
    }
    if request["runtime"] not in profilers:
        raise worker.WorkerError("no_profiler", f"{request['runtime']} has no profiler")
    package = worker.RUNTIMES[request["runtime"]][1]
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version(package)
    except PackageNotFoundError as error:
        raise worker.WorkerError("no_runtime", f"ModuleNotFoundError: {package}") from error
    try:
        plain, runs = profilers[request["runtime"]](request)
    except worker.WorkerError:
        raise
    # Runtimes' errors have no common base but Exception.
    except Exception as error:
        raise worker.WorkerError("bad_file", f"{error}") from error
    return {
        "schema": SCHEMA,
        "runtime_version": found,
        "method": METHODS[request["runtime"]],
        "plain_ms": middle(plain),
        **summary(runs),
    }


METHODS = {
    "litert": "LiteRT's profiler through its C interface: each kernel of XNNPACK and each "
    "operation outside it, in whole microseconds",
    "onnxruntime": "ONNX Runtime's profiler: kernel time of each node, in whole microseconds",
}


# From litert/c/litert_profiler_event.h: an operation, one inside a delegate (in two forms).
OPERATION, IN_DELEGATE = 1 << 1, (1 << 2, 1 << 3)
EVENT_TYPES = frozenset(1 << bit for bit in range(9))
# The events' struct ends in two numbers and an enumeration, all in eight bytes each; how long
# it is depends on what a build measures of memory, so that its length is read from the array.
EVENT_HEAD, EVENT_TAIL, MAX_EVENT = 32, 24, 512
# From litert/c/litert_model_types.h.
ELEMENTS = {1: "float32", 3: "uint8", 7: "int16", 9: "int8"}


class Layout(ctypes.Structure):
    """`LiteRtLayout`; the low seven bits of rank are the rank."""

    _fields_ = [
        ("rank", ctypes.c_uint32),
        ("sizes", ctypes.c_int32 * 8),
        ("strides", ctypes.c_uint32 * 8),
    ]


class TensorType(ctypes.Structure):
    """`LiteRtRankedTensorType`."""

    _fields_ = [("element", ctypes.c_int32), ("layout", Layout)]

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes; an open one is a single image."""
        rank = min(self.layout.rank & 127, 8)
        return tuple(max(1, size) for size in list(self.layout.sizes)[:rank])


def profile_litert(request: Json) -> tuple[list[float], list[Run]]:
    """Run a file in LiteRT's compiled model, whose profiler Python's interface leaves out."""
    network = LiteRt(request["model"], request["threads"])
    network.fill(request["input"])
    network.run()
    return time_both(request, network.run, network.traced)


# From litert/c/litert_common.h.
CPU, GPU = 1, 2


class LiteRt:
    """A file in LiteRT's compiled model, through the C interface of the library in its wheel.

    Its profiler is only there when asked for: with it, nothing runs on a GPU.
    """

    def __init__(
        self, model: str, threads: int, *, hardware: int = CPU, profiled: bool = True
    ) -> None:
        self._library = load_library()
        environment, content, options = (ctypes.c_void_p() for _ in range(3))
        self._call("LiteRtCreateEnvironment", 0, None, ctypes.byref(environment))
        name = os.fsencode(model)
        self._call("LiteRtCreateModelFromFile", environment, name, ctypes.byref(content))
        self._call("LiteRtCreateOptions", ctypes.byref(options))
        self._call("LiteRtSetOptionsHardwareAccelerators", options, hardware)
        if profiled:
            self._add(options, "runtime_options_string", "enable_profiling = true\n")
        self._add(options, "xnnpack", f"num_threads = {threads}\n")
        self._model = ctypes.c_void_p()
        self._call(
            "LiteRtCreateCompiledModel", environment, content, options, ctypes.byref(self._model)
        )
        signature = ctypes.c_void_p()
        self._call("LiteRtGetModelSignature", content, ctypes.c_size_t(0), ctypes.byref(signature))
        for side in ("Input", "Output"):
            count = ctypes.c_size_t()
            self._call(f"LiteRtGetNumSignature{side}s", signature, ctypes.byref(count))
            if side == "Input":
                worker.require_one_input(count.value)
            made = [self._buffer(environment, signature, side, i) for i in range(count.value)]
            buffers = (ctypes.c_void_p * len(made))(*(buffer for buffer, _ in made))
            if side == "Input":
                self._inputs, self._type = buffers, made[0][1]
            else:
                self._outputs, self._result = buffers, made[0][1]
        self._profiler = ctypes.c_void_p()
        if profiled:
            self._call("LiteRtCompiledModelGetProfiler", self._model, ctypes.byref(self._profiler))

    def _call(self, name: str, *given: Any) -> None:
        try:
            status = getattr(self._library, name)(*given)
        except AttributeError as error:
            raise worker.WorkerError("no_profiler", f"this LiteRT has no {name}") from error
        if status:
            raise worker.WorkerError("bad_file", f"{name} gives status {status}")

    def _add(self, options: Any, kind: str, text: str) -> None:
        c = ctypes.CDLL(None)
        c.strdup.restype = ctypes.c_void_p
        # LiteRT frees the text.
        copy, free = ctypes.c_void_p(c.strdup(text.encode())), ctypes.cast(c.free, ctypes.c_void_p)
        made = ctypes.c_void_p()
        self._call("LiteRtCreateOpaqueOptions", kind.encode(), copy, free, ctypes.byref(made))
        self._call("LiteRtAddOpaqueOptions", options, made)

    def _buffer(self, environment: Any, signature: Any, side: str, at: int) -> tuple[Any, Any]:
        tensor, wanted, buffer = (ctypes.c_void_p() for _ in range(3))
        kind, place, first = TensorType(), ctypes.c_size_t(at), ctypes.c_size_t(0)
        self._call(f"LiteRtGetSignature{side}TensorByIndex", signature, place, ctypes.byref(tensor))
        self._call("LiteRtGetRankedTensorType", tensor, ctypes.byref(kind))
        self._call(
            f"LiteRtGetCompiledModel{side}BufferRequirements",
            self._model,
            first,
            place,
            ctypes.byref(wanted),
        )
        self._call(
            "LiteRtCreateManagedTensorBufferFromRequirements",
            environment,
            ctypes.byref(kind),
            wanted,
            ctypes.byref(buffer),
        )
        return buffer, kind

    @property
    def input_type(self) -> tuple[tuple[int, ...], str]:
        """Shape and dtype of the input."""
        return self._type.shape, element_of(self._type, "input")

    def fill(self, how: Json | None) -> None:
        """Write something like a photo into the input."""
        self.write(worker.input_values(*self.input_type, how))

    def write(self, values: Any) -> None:
        """Write values of the input's shape and dtype."""
        content = values.tobytes()
        size, place = ctypes.c_size_t(), ctypes.c_void_p()
        buffer = ctypes.c_void_p(self._inputs[0])
        self._call("LiteRtGetTensorBufferPackedSize", buffer, ctypes.byref(size))
        if size.value != len(content):
            raise worker.WorkerError("no_profiler", "an input of another size than it says")
        self._call("LiteRtLockTensorBuffer", buffer, ctypes.byref(place), 1)  # to write
        ctypes.memmove(place, content, len(content))
        self._call("LiteRtUnlockTensorBuffer", buffer)

    def read(self) -> Any:
        """Return the first output; waits for the device that computes it."""
        size, place = ctypes.c_size_t(), ctypes.c_void_p()
        buffer = ctypes.c_void_p(self._outputs[0])
        self._call("LiteRtGetTensorBufferPackedSize", buffer, ctypes.byref(size))
        self._call("LiteRtLockTensorBuffer", buffer, ctypes.byref(place), 0)  # to read
        content = ctypes.string_at(place, size.value)
        self._call("LiteRtUnlockTensorBuffer", buffer)
        found = np.frombuffer(content, element_of(self._result, "output"))
        return found.reshape(self._result.shape)

    def is_wholly_on_gpu(self) -> bool:
        """Return whether the CPU is left with no operation, as LiteRT sees it."""
        whole = ctypes.c_bool()
        name = "LiteRtCompiledModelIsNonCpuFullyAccelerated"
        self._call(name, self._model, ctypes.byref(whole))
        return whole.value

    def run(self) -> None:
        """Infer once."""
        self._call(
            "LiteRtRunCompiledModel",
            self._model,
            ctypes.c_size_t(0),
            ctypes.c_size_t(len(self._inputs)),
            self._inputs,
            ctypes.c_size_t(len(self._outputs)),
            self._outputs,
        )

    def traced(self) -> Run:
        """Infer once, and return what the profiler saw."""
        self._call("LiteRtResetProfiler", self._profiler)
        self._call("LiteRtStartProfiler", self._profiler)
        start = time.perf_counter_ns()
        self.run()
        whole_ms = (time.perf_counter_ns() - start) / 1e6
        self._call("LiteRtStopProfiler", self._profiler)
        return Run(whole_ms, in_parts(self._events()))

    def _events(self) -> list[tuple[int, str, int, int]]:
        count = ctypes.c_int()
        self._call("LiteRtGetNumProfilerEvents", self._profiler, ctypes.byref(count))
        space = ctypes.create_string_buffer(b"\xff" * (count.value * MAX_EVENT))
        if count.value:
            self._call("LiteRtGetProfilerEvents", self._profiler, count, space)
        return read_events(space.raw[: count.value * MAX_EVENT], count.value)


def element_of(kind: TensorType, what: str) -> str:
    """Return a tensor's dtype."""
    dtype = ELEMENTS.get(kind.element)
    if dtype is None:
        raise worker.WorkerError("bad_file", f"{what} of type {kind.element}")
    return dtype


def load_library() -> Any:
    """Open the library of the LiteRT that is installed.

    Raises:
        WorkerError: there is none.
    """
    spec = importlib.util.find_spec("ai_edge_litert")
    if spec is None or not spec.origin:
        raise worker.WorkerError("no_runtime", "ModuleNotFoundError: ai_edge_litert")
    try:
        return ctypes.CDLL(str(Path(spec.origin).with_name("libLiteRt.so")))
    except OSError as error:
        raise worker.WorkerError("no_profiler", f"LiteRT without its library: {error}") from error


def read_events(content: bytes, count: int) -> list[tuple[int, str, int, int]]:
    """Return type, name, microseconds and node of each event.

    Args:
        content: The array as LiteRT wrote it; behind its end bytes of 255.
        count: Number of events.

    Raises:
        WorkerError: the events look otherwise than they should.
    """
    if not count:
        return []
    written = len(content.rstrip(b"\xff"))
    length = -(-(-(-written // 8) * 8) // count)
    kinds = [_number(content, at * length + 8, 4) for at in range(count)]
    is_known = set(kinds) <= EVENT_TYPES
    if length % 8 or length < EVENT_HEAD + EVENT_TAIL or not is_known:
        raise worker.WorkerError("no_profiler", "events of an unknown form: another LiteRT")
    events = []
    for order, kind in enumerate(kinds):
        at = order * length
        took = _number(content, at + 24, 8)
        if kind == OPERATION or kind in IN_DELEGATE:
            tag = ctypes.cast(_number(content, at, 8), ctypes.c_char_p).value or b""
            node = _number(content, at + length - EVENT_TAIL, 8)
            events.append((kind, tag.decode("utf-8", "replace"), took, node))
    return events


def _number(content: bytes, at: int, size: int) -> int:
    return int.from_bytes(content[at : at + size], sys.byteorder)


def in_parts(events: list[tuple[int, str, int, int]]) -> list[tuple[Kernel, float]]:
    """Return the kernels; a delegate's numbers begin again with each part of the graph."""
    inside = any(kind in IN_DELEGATE for kind, *_ in events)
    found: list[tuple[Kernel, float]] = []
    part, before = -1, None
    for kind, tag, took, node in events:
        if kind in IN_DELEGATE:
            part += before is None or node <= before
            before = node
            found.append((Kernel(tag, "", None, part), (took + CUT_US) / 1e3))
            continue
        before = None
        # A delegate that tells of its kernels is not counted a second time as a whole.
        if not (inside and "delegate" in tag.lower()):
            found.append((Kernel(tag, "", node, None), took / 1e3))
    return found


def main() -> None:
    """Answer one request."""
    worker.main(profile)
