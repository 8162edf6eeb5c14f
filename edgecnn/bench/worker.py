"""Time one model file in this process: a JSON request on stdin, a JSON answer on stdout.

The file stands alone: Python 3.9, numpy and one runtime are all it needs, so that it runs
unchanged in another environment or on a board::

    python worker.py < request.json > answer.json

Nothing else happens in the process, which is what makes its memory figures the model's own.
What a machine doesn't tell is null, never guessed.
"""

from __future__ import annotations

import gc
import importlib
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

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
    session = module.InferenceSession(
        model, options, providers=[*first, "CPUExecutionProvider"]
    )
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
    pin(request["protocol"].get("pin"))
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
    from importlib.metadata import version  # megabytes that are no model's

    return {
        "schema": SCHEMA,
        "runtime_version": version(package),
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


def load_and_time(
    loader: Callable[..., Loaded], module: Any, request: Json
) -> tuple[Loaded, Json]:
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
    (first_ms,) = in_batches(
        lambda: time_runs(model.run, seconds=0, runs=1, max_seconds=0), batch
    )
    require_alike(np.asarray(model.output()), batch)
    warmup = time_runs(
        model.run,
        seconds=how["warmup_seconds"],
        runs=how["warmup_runs"],
        max_seconds=how["max_seconds"] / 2,
    )
    every = 1 + int(how["seconds"] * 1e3 / min(warmup) / MAX_SAMPLES)
    before = snapshot()
    samples = time_runs(
        model.run,
        seconds=how["seconds"],
        runs=how["runs"],
        max_seconds=how["max_seconds"],
        every=every,
    )
    after = snapshot()
    spent = spent_mj(before["energy_uj"], after["energy_uj"])
    return model, {
        "energy_mj": None if spent is None else spent / (len(samples) * every),
        "init_ms": init_ms,
        "first_ms": first_ms,
        "warmup_runs": len(warmup),
        "samples_ms": samples,
        "machine": change(before, after),
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
    every: int = 1,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
) -> list[float]:
    """Time at least so many seconds and runs, but no longer than ``max_seconds``.

    Args:
        run: One inference.
        seconds: Shortest time in all.
        runs: Fewest timed runs; one at least.
        max_seconds: After this no further run begins.
        every: Which runs are timed: each, each second, ...
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
            for _ in range(every - 1):
                run()
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


# ------------------------------------------------------------------- memory


def memory_mb() -> dict[str, float]:
    """Return the process's own memory figures, MB (1e6 bytes), under the kernel's names."""
    lines = (line.split() for line in read("/proc/self/status").splitlines())
    return {
        words[0].rstrip(":"): int(words[1]) * 1024 / 1e6
        for words in lines
        if len(words) == 3 and words[2] == "kB"
    }


def rename_memory(status: dict[str, float]) -> dict[str, float | None]:
    """Name what counts for a model.

    The peak is VmHWM: ru_maxrss would begin with the size of the process that started this one.
    """
    return {
        "rss_anon": status.get("RssAnon"),
        "rss_file": status.get("RssFile"),
        "rss_peak": status.get("VmHWM"),
    }


# ------------------------------------------------------------------ machine

# Part numbers of ARM's cores, from the MIDR_EL1 entry of each core's reference manual.
ARM_PARTS = {
    "0xd03": "Cortex-A53",
    "0xd04": "Cortex-A35",
    "0xd05": "Cortex-A55",
    "0xd08": "Cortex-A72",
    "0xd0b": "Cortex-A76",
}
# Bits of the Raspberry Pi firmware's get_throttled; 16 bits higher: happened since it started.
PI_THROTTLE_BITS = ("under-voltage", "clock capped", "throttled", "soft temperature limit")


def machine_facts() -> Json:
    """Return what doesn't change while a file is timed."""
    cpuinfo = dict(
        [part.strip() for part in line.split(":", 1)]
        for line in reversed(read("/proc/cpuinfo").splitlines())
        if ":" in line
    )
    part = cpuinfo.get("CPU part", "")
    system = read("/etc/os-release").partition('PRETTY_NAME="')[2].partition('"')[0]
    return {
        "arch": platform.machine(),
        "cpu": cpuinfo.get("model name") or ARM_PARTS.get(part) or platform.processor() or None,
        "board": read("/proc/device-tree/model").strip("\0\n") or None,
        "cores": os.cpu_count(),
        "os": f"{system or platform.system()}, kernel {platform.release()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "governor": read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip() or None,
        "affinity": sorted(getattr(os, "sched_getaffinity", lambda _: ())(0)),
    }


def pin(cores: list[int] | None) -> None:
    """Keep this process, and the threads that it will start, on these cores."""
    if not cores:
        return
    try:
        os.sched_setaffinity(0, cores)
    # Not Linux, no such core, or a container that may not use it.
    except (AttributeError, OSError, ValueError) as error:
        raise WorkerError("bad_option", f"cannot be pinned to cores {cores} ({error})") from error


def snapshot() -> Json:
    """Return the machine's counters and sensors at this moment; null where there is none."""
    total = next(iter(read("/proc/stat").splitlines()), "").split()[1:9]
    tick = os.sysconf("SC_CLK_TCK")
    user, nice, system, _, _, irq, softirq, steal = (
        [int(n) / tick for n in total] if len(total) == 8 else [math.nan] * 8
    )
    own = os.times()
    return {
        "wall_s": time.perf_counter(),
        "busy_s": user + nice + system + irq + softirq,
        "steal_s": steal,
        "own_s": own.user + own.system,
        "waited_s": waited_seconds(),
        "clock_mhz": clock_mhz(),
        "temperature_c": number("/sys/class/thermal/thermal_zone0/temp", 1e3),
        "throttle_count": number(
            "/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", 1
        ),
        "pi_throttled": pi_throttled(),
        "energy_uj": energy_uj(),
    }


def change(before: Json, after: Json) -> Json:
    """Return what happened to the machine between two snapshots.

    ``others_share`` is the part of all cores that other processes used, ``waiting_share`` the
    part of the time that the thread which waited most was ready and had no core.
    """
    spent = {k: after[k] - before[k] for k in ("wall_s", "busy_s", "steal_s", "own_s")}
    wall, capacity = spent["wall_s"], spent["wall_s"] * (os.cpu_count() or 1)
    waited = [s - before["waited_s"].get(name, 0.0) for name, s in after["waited_s"].items()]
    return {
        "others_share": known((spent["busy_s"] - spent["own_s"]) / capacity),
        "steal_share": known(spent["steal_s"] / capacity),
        "waiting_share": known(max(waited, default=math.nan) / wall),
        "clock_mhz": before["clock_mhz"],
        "clock_mhz_end": after["clock_mhz"],
        "temperature_c": before["temperature_c"],
        "temperature_c_end": after["temperature_c"],
        "throttled": throttling(before, after),
    }


def throttling(before: Json, after: Json) -> list[str]:
    """Name what slowed the clock between two snapshots, as far as the machine tells."""
    names = []
    if (after["throttle_count"] or 0) > (before["throttle_count"] or 0):
        names.append("thermal throttling")
    happened = after["pi_throttled"] | (after["pi_throttled"] & ~before["pi_throttled"]) >> 16
    names += [name for bit, name in enumerate(PI_THROTTLE_BITS) if happened >> bit & 1]
    return names


def energy_uj(root: str = "/sys/class/powercap") -> dict[str, tuple[float, float]]:
    """Return each processor's energy counter (RAPL) and where it begins anew; microjoules.

    Only root may read it on most systems, and a virtual machine has none.
    """
    found = {}
    for zone in map(str, Path(root).glob("intel-rapl:*")):  # AMD's processors have it, too
        now, end = number(f"{zone}/energy_uj", 1), number(f"{zone}/max_energy_range_uj", 1)
        if read(f"{zone}/name").startswith("package") and now is not None and end:
            found[zone] = (now, end)
    return found


def spent_mj(
    before: dict[str, tuple[float, float]], after: dict[str, tuple[float, float]]
) -> float | None:
    """Return what all processors used between two looks, millijoules; None where untold."""
    if not before or before.keys() != after.keys():
        return None
    return sum((after[zone][0] - now) % end for zone, (now, end) in before.items()) / 1e3


def waited_seconds() -> dict[str, float]:
    """Return, for each thread of this process, how long it was ready to run but had no core."""
    texts = {t.name: read(str(t / "schedstat")).split() for t in Path("/proc/self/task").glob("*")}
    return {name: int(words[1]) / 1e9 for name, words in texts.items() if len(words) == 3}


def clock_mhz() -> float | None:
    """Return the first core's clock."""
    scaled = number("/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", 1e3)
    if scaled is not None:
        return scaled
    found = read("/proc/cpuinfo").partition("cpu MHz")[2].partition("\n")[0].strip(" \t:")
    return float(found) if found else None


def pi_throttled() -> int:
    """Return the Raspberry Pi firmware's throttle bits; 0 on other machines."""
    program = shutil.which("vcgencmd")
    if program is None:
        return 0
    told = subprocess.run([program, "get_throttled"], capture_output=True, text=True, check=False)
    try:
        return int(told.stdout.strip().partition("=")[2], 16)
    except ValueError:
        return 0


def number(path: str, divisor: float) -> float | None:
    """Read a number of the kernel's; None where it isn't told."""
    try:
        return float(read(path)) / divisor
    except ValueError:
        return None


def known(share: float) -> float | None:
    """Return a share at or above 0, four digits, or None for what the machine didn't tell."""
    return None if math.isnan(share) else max(0.0, round(share, 4))


def read(path: str) -> str:
    """Return a small text of the kernel's; empty where it is absent."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


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
