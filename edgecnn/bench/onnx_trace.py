"""ONNX Runtime's profiler: a trace in JSON that a session writes.

Like `worker.py` beside it, this needs Python 3.9, numpy and the runtime alone.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgecnn.bench import worker
from edgecnn.bench.kernels import CUT_US, Kernel, Run, time_both

Json = dict[str, Any]


def profile_onnxruntime(request: Json) -> tuple[list[float], list[Run]]:
    """Run a session that writes a trace, and read it."""
    try:
        import onnxruntime
    except ImportError as error:
        raise worker.WorkerError("no_runtime", f"{type(error).__name__}: {error}") from error
    plain = worker.load_onnxruntime(onnxruntime, request["model"], request["threads"])
    values = worker.input_values(plain.input_shape, plain.input_dtype, request["input"])
    plain.set_input(values)
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = request["threads"], 1
        options.log_severity_level = 3
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "trace")
        session = onnxruntime.InferenceSession(
            request["model"], options, providers=["CPUExecutionProvider"]
        )
        feed = {session.get_inputs()[0].name: values}
        wanted = [session.get_outputs()[0].name]
        session.run(wanted, feed)
        times, empty = time_both(
            request, plain.run, lambda: Run(0.0, session.run(wanted, feed) and [])
        )
        runs = list(traced_runs(read_trace(Path(session.end_profiling()))))
    # The first run of a session prepares its kernels.
    return times, runs[-len(empty) :]


def read_trace(path: Path) -> list[Json]:
    """Return a trace's events.

    Raises:
        WorkerError: something else than ONNX Runtime's trace.
    """
    try:
        events = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except (ValueError, RecursionError, OSError) as error:
        raise worker.WorkerError("no_profiler", f"a trace that is not JSON: {error}") from error
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        raise worker.WorkerError("no_profiler", "a trace that is no list of events")
    return events


def traced_runs(events: list[Json]) -> Iterator[Run]:
    """Yield each inference of a trace; the kernels come before the run that they belong to."""
    kernels: list[tuple[Kernel, float]] = []
    for event in events:
        name, duration = str(event.get("name", "")), event.get("dur")
        if not isinstance(duration, (int, float)):
            continue
        if name == "model_run":
            yield Run(duration / 1e3, kernels)
            kernels = []
        elif event.get("cat") == "Node" and name.endswith("_kernel_time"):
            given = event.get("args")
            kind = str(given.get("op_name", "")) if isinstance(given, dict) else ""
            kernel = Kernel(kind, name[: -len("_kernel_time")], None, None)
            kernels.append((kernel, (duration + CUT_US) / 1e3))
