"""Model files in runtimes that use a GPU, and what those runtimes tell of who ran what."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgecnn.bench import profiler, worker
from edgecnn.bench.onnx_trace import read_trace
from edgecnn.bench.vulkan import vulkan_devices

PROVIDERS = {"cuda": "CUDAExecutionProvider", "webgpu": "WebGpuExecutionProvider"}
Json = dict[str, Any]


class Notes:
    """What native code wrote to stderr."""

    def __init__(self) -> None:
        self.text = ""

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Collect what is written within the block."""
        sys.stderr.flush()
        kept = os.dup(2)
        with tempfile.TemporaryFile() as file:
            os.dup2(file.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(kept, 2)
                os.close(kept)
                file.seek(0)
                self.text += file.read(1_000_000).decode("utf-8", "replace")


# ------------------------------------------------------------------- LiteRT


def load_litert(
    module: Any, model: str, threads: int, delegate: str | None = None, batch: int = 1
) -> worker.Loaded:
    """Load a TFLite file on the GPU, with the CPU for what the GPU can't do."""
    worker.require_delegate(delegate, ("webgpu",))
    if batch > 1:
        raise worker.WorkerError("fixed_batch", "LiteRT on a GPU")
    notes = Notes()
    try:
        with notes.taken():
            open_accelerator()
            network = profiler.LiteRt(
                model, threads, hardware=profiler.CPU | profiler.GPU, profiled=False
            )
    except worker.WorkerError as error:
        raise no_gpu(notes.text, error) from error
    told = litert_delegation(notes.text, network.is_wholly_on_gpu(), count_nodes(module, model))
    shape, dtype = network.input_type
    values: Json = {}

    def run() -> Any:
        network.write(values["input"])
        network.run()
        values["output"] = network.read()

    return worker.Loaded(
        input_shape=shape,
        input_dtype=dtype,
        set_input=lambda given: values.update(input=given),
        run=run,
        output=lambda: values["output"],
        delegation=lambda: told,
    )


def open_accelerator() -> None:
    """Open the part of LiteRT's wheel that LiteRT itself looks for among the system's libraries."""
    spec = importlib.util.find_spec("ai_edge_litert")
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    for library in sorted(folder.glob("libLiteRt*Accelerator.so")):
        with contextlib.suppress(OSError):
            ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)


def count_nodes(module: Any, model: str) -> int | None:
    """Return the number of the file's operations, or None where the runtime doesn't tell."""
    nodes: list[Json] = getattr(module.Interpreter(model_path=model), "_get_ops_details", list)()
    return len(nodes) or None


def litert_delegation(notes: str, whole: bool, nodes: int | None) -> Json:
    """Read what the GPU took from what LiteRT says of it.

    Raises:
        WorkerError: it took nothing.
    """
    parts = re.findall(
        r"(\d+) operations will run on the GPU, and the remaining (\d+) operations", notes
    )
    taken = sum(int(part) for part, _ in parts)
    total = taken + sum(int(rest) for _, rest in parts)
    if whole and not parts and nodes:
        taken = total = nodes
    if not taken:
        told = f"0 of {total or nodes or 'its'} nodes went to the GPU"
        raise worker.WorkerError("fell_back", f"{told}, the CPU ran them")
    return {"delegate": "WebGPU", "delegated_nodes": taken, "total_nodes": total, **adapter(notes)}


def adapter(notes: str) -> Json:
    """Return name and kind of the device that LiteRT chose."""
    found = re.search(r"Selected adapter: (.*?), arch=.*?adapterType=([^\n]*)", notes)
    return {"gpu": found[1], "gpu_kind": found[2].strip()} if found else {}


def no_gpu(notes: str, error: Exception) -> worker.WorkerError:
    """Tell a machine without a GPU from a file that the GPU can't take."""
    if "Selected adapter" in notes:
        reasons = [line for line in notes.splitlines() if "ERROR" in line or "not support" in line]
        return worker.WorkerError("bad_file", f"{error}; {' '.join(reasons[:3])}")
    return worker.WorkerError("no_gpu", "LiteRT finds no GPU that Vulkan reaches")


# ------------------------------------------------------------- ONNX Runtime


def load_onnxruntime(
    module: Any, model: str, threads: int, delegate: str | None = None, batch: int = 1
) -> worker.Loaded:
    """Load an ONNX file on the GPU, with the CPU for what the GPU can't do."""
    worker.require_delegate(delegate, tuple(PROVIDERS))
    there = module.get_available_providers()
    wanted = [PROVIDERS[delegate]] if delegate else list(PROVIDERS.values())
    provider = next((name for name in wanted if name in there), None)
    if provider is None:
        raise worker.WorkerError("no_gpu", f"this onnxruntime has {' and '.join(there)} alone")
    session = module.InferenceSession(model, options_for(module, threads), providers=[provider])
    if provider not in session.get_providers():
        raise worker.WorkerError("fell_back", f"{provider} did not start, the CPU ran it")
    inputs, outputs = session.get_inputs(), [session.get_outputs()[0].name]
    worker.require_one_input(len(inputs))
    feed: Json = {}
    found: Json = {}
    dtype = inputs[0].type[len("tensor(") : -1]
    return worker.Loaded(
        input_shape=worker.sized(inputs[0].shape, batch),
        input_dtype={"float": "float32", "double": "float64"}.get(dtype, dtype),
        set_input=lambda values: feed.update({inputs[0].name: values}),
        run=lambda: found.update(output=session.run(outputs, feed)[0]),
        output=lambda: found["output"],
        delegation=lambda: onnx_delegation(module, model, provider, feed),
    )


def options_for(module: Any, threads: int) -> Any:
    """Return a session's options."""
    options = module.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    return options


def onnx_delegation(module: Any, model: str, provider: str, feed: Json) -> Json:
    """Count the nodes that a provider ran, from ONNX Runtime's own trace of an inference.

    What it tells of a session's plan leaves out nodes that the provider laid out anew.

    Raises:
        WorkerError: it ran nothing.
    """
    with tempfile.TemporaryDirectory() as folder:
        options = options_for(module, 1)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "trace")
        session = module.InferenceSession(model, options, providers=[provider])
        session.run(None, feed)
        events = read_trace(Path(session.end_profiling()))
    ran = [event["args"].get("provider") for event in events
           if str(event.get("name")).endswith("_kernel_time") and "args" in event]  # fmt: skip
    if provider not in ran:
        told = f"0 of {len(ran)} nodes ran on {provider}"
        raise worker.WorkerError("fell_back", f"{told}, the CPU ran them")
    return {
        "delegate": provider,
        "delegated_nodes": ran.count(provider),
        "total_nodes": len(ran),
        **(nvidia_card() if provider == PROVIDERS["cuda"] else vulkan_adapter()),
    }


def vulkan_adapter() -> Json:
    """Return what WebGPU can have chosen: this runtime doesn't tell which it is."""
    found = vulkan_devices()
    names, kinds = zip(*found) if found else ((), ())  # noqa: B905 - Python 3.9
    told = {"gpu": " or ".join(dict.fromkeys(names)), "gpu_kind": " or ".join(dict.fromkeys(kinds))}
    return told if found else {}


def nvidia_card() -> Json:
    """Return the first card's name, where NVIDIA's own program tells."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return {}
    command = [program, "--query-gpu=name", "--format=csv,noheader"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    name = next(iter(told.stdout.splitlines()), "").strip()
    return {"gpu": name, "gpu_kind": "discrete GPU"} if name else {}
