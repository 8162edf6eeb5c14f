"""Our benchmark held against what else can be known: other clocks, itself, and the kernel.

For each file: the median against a bare loop of the same runtime and, for TFLite, against
LiteRT's own benchmark; how far repeated benches lie apart; what a row takes beyond its
measuring time; the planned arena against the runtime's own; the peak against VmHWM.

Rounds go in turn, each measuring with each in a fresh process, so that a machine that warms up
or gets busy hits all of them. A round in which our row says that the machine was disturbed
does not count, for either side; the headline is the median of the rounds' ratios.

    python tools/bench_against_peers.py model.tflite model.onnx
    python tools/bench_against_peers.py model.tflite --only agreement --rounds 10

Run it on a quiet machine: a busy one gives rows without a verdict, never a good one.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from edgecnn import bench
from edgecnn.core.measurement import Measurement
from edgecnn.runtime import arena as planner
from edgecnn.runtime import tflite
from edgecnn.targets import CpuTarget
from edgecnn.targets.cells import Cell, measure_cell

# What a person would write: no garbage collection settings, no snapshots, nothing kept apart.
BARE_LOOP = """
import statistics, sys, time
import numpy as np
path, threads, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
if path.endswith(".onnx"):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    shape = [n if isinstance(n, int) else 1 for n in source.shape]
    dtype = {"tensor(float)": "float32"}.get(source.type, source.type[7:-1])
    image = np.random.default_rng(0).integers(0, 128, shape).astype(dtype)
    feed = {source.name: image}
    run = lambda: session.run(None, feed)
else:
    from ai_edge_litert.interpreter import Interpreter
    interpreter = Interpreter(model_path=path, num_threads=threads)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]
    image = np.random.default_rng(0).integers(0, 128, source["shape"]).astype(source["dtype"])
    interpreter.set_tensor(source["index"], image)
    run = interpreter.invoke
begin = time.perf_counter()
while time.perf_counter() - begin < 0.5:
    run()
times = []
begin = time.perf_counter()
while time.perf_counter() - begin < seconds:
    start = time.perf_counter()
    run()
    times.append(time.perf_counter() - start)
print(1000 * statistics.median(times))
"""


def ours(path: Path, threads: int, seconds: float) -> Measurement:
    protocol = bench.read_protocol(seconds=seconds)
    return measure_cell(Cell(bench.Job(path, threads=threads, protocol=protocol), CpuTarget()))


def valid_median(path: Path, threads: int, seconds: float) -> float:
    """Return our median, or NaN where the row itself says not to believe it."""
    row = ours(path, threads, seconds)
    if row.latency_ms is None or not row.valid:
        print(f"  a round does not count: {'; '.join(row.invalid_reasons)}", file=sys.stderr)
        return math.nan
    return row.latency_ms.median


def bare_loop(path: Path, threads: int, seconds: float) -> float:
    command = [sys.executable, "-c", BARE_LOOP, path, str(threads), str(seconds)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def litert_benchmark(path: Path, threads: int, seconds: float, *, expected_ms: float) -> float:
    """Run the program of the ai-edge-litert wheel; it counts runs, so time becomes a count."""
    program = Path(sys.executable).with_name("litert-benchmark")
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [
            program,
            f"--model={path}",
            f"--num_threads={threads}",
            f"--warmup_runs={max(10, int(500 / expected_ms))}",
            f"--num_runs={max(64, int(1000 * seconds / expected_ms))}",
            f"--result_json={result}",
        ]
        subprocess.run(command, check=True, capture_output=True)
        return float(json.loads(result.read_text())["latency"]["median_ms"])


# Each check prints one line a file and returns whether its target held; None: no verdict.
Check = Callable[[Path, argparse.Namespace], "list[bool | None]"]


def agreement(path: Path, args: argparse.Namespace) -> list[bool | None]:
    """Median against a bare loop and litert-benchmark: within 2 %, median of the ratios."""
    expected_ms = bare_loop(path, args.threads, 0.2)
    peers: dict[str, Callable[[], float]] = {
        "edgecnn bench": lambda: valid_median(path, args.threads, args.seconds),
        "bare loop": lambda: bare_loop(path, args.threads, args.seconds),
    }
    if path.suffix == ".tflite":
        peers["litert-benchmark"] = lambda: litert_benchmark(
            path, args.threads, args.seconds, expected_ms=expected_ms
        )
    medians: dict[str, list[float]] = {name: [] for name in peers}
    for index in range(args.rounds):
        # Each round begins with another one: whoever comes first may find a cooler machine.
        names = list(peers)[index % len(peers) :] + list(peers)[: index % len(peers)]
        for name in names:
            medians[name].append(peers[name]())
    quiet = [i for i, ms in enumerate(medians["edgecnn bench"]) if not math.isnan(ms)]
    told = {name: [values[i] for i in quiet] for name, values in medians.items()}
    mine = told.pop("edgecnn bench")
    found: list[bool | None] = []
    for name, theirs in told.items():
        ratios = [a / b for a, b in zip(mine, theirs, strict=True)]
        holds = abs(statistics.median(ratios) - 1) <= 0.02 if ratios else None
        figures = "the machine was never quiet"
        if ratios:
            figures = (
                f"{statistics.median(mine):.4f} against {statistics.median(theirs):.4f} ms, ratio "
                f"{statistics.median(ratios):.4f} ({min(ratios):.3f} to {max(ratios):.3f}), "
                f"{len(ratios)} of {args.rounds} rounds"
            )
        show(path, f"against {name}", figures, "within 2 %", holds)
        found.append(holds)
    return found


def repetition(path: Path, args: argparse.Namespace) -> list[bool | None]:
    """Five benches of the same file: medians within 5 %, or the row says invalid."""
    rows = [ours(path, args.threads, args.seconds) for _ in range(args.repeats)]
    medians = [row.latency_ms.median for row in rows if row.valid and row.latency_ms]
    spread = max(medians) / min(medians) - 1 if medians else math.nan
    holds = spread <= 0.05 if len(medians) > 1 else None
    figures = f"{len(medians)} of {len(rows)} rows valid"
    if len(medians) > 1:
        figures += f", spread of their medians {spread:.1%}"
    show(path, "repeated benches", figures, "within 5 %, or invalid", holds)
    return [holds]


def overhead(path: Path, args: argparse.Namespace) -> list[bool | None]:
    """What a row takes beyond its warm-up and its timed runs."""
    extra = []
    for _ in range(args.repeats):
        begin = time.perf_counter()
        row = ours(path, args.threads, 1.0)
        took = time.perf_counter() - begin
        latency = row.latency_ms
        if latency is None:
            continue
        # Of very fast runs only some are samples: then the protocol's own seconds count.
        timed = max(1.0, sum(latency.samples_ms) / 1000)
        warmup = max(0.5, latency.warmup_runs * latency.median / 1000)
        extra.append(took - timed - warmup)
    holds = statistics.median(extra) <= 1.5 if extra else None
    figures = f"{statistics.median(extra):.2f} s, at most {max(extra):.2f} s" if extra else "none"
    show(path, "overhead of a row", figures, "at most 1.5 s", holds)
    return [holds]


def arena(path: Path, args: argparse.Namespace) -> list[bool | None]:
    """The planned arena against where LiteRT puts its tensors without delegates.

    There its kernels also lay windows out as rows; the row's figure is that of activations
    alone, which is what XNNPACK's networks need.
    """
    if path.suffix != ".tflite":
        return []
    graph = tflite.read(path.read_bytes(), where=path)
    activations, planned = planner.planned_arena_bytes(graph), planner.runtime_arena_bytes(graph)
    taken = taken_bytes(path, graph)
    figures = (
        f"{planned:,} bytes planned (activations alone {activations:,}), {taken:,} taken, "
        f"ratio {planned / taken:.3f}"
    )
    holds = abs(planned / taken - 1) <= 0.10
    show(path, "planned arena", figures, "within 10 %", holds)
    return [holds]


def taken_bytes(path: Path, graph: tflite.Graph) -> int:
    """Return the bytes between the first and the last address that LiteRT gives activations."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    native = Interpreter(str(path), experimental_op_resolver_type=kernels, num_threads=1)
    native.allocate_tensors()
    starts, stops = [], []
    for place, life in planner.lifetimes(graph).items():
        starts.append(native.tensor(place)().__array_interface__["data"][0])
        stops.append(starts[-1] + life.bytes)
    return int(max(stops) - min(starts))


PEAK = """
import json, re, sys
from pathlib import Path
from edgecnn.bench import worker
seen, rename = [], worker.rename_memory
def noted(status):
    text = Path("/proc/self/status").read_text()
    seen.append(int(re.search(r"VmHWM:\\s+(\\d+)", text)[1]) * 1024 / 1e6)
    return rename(status)
worker.rename_memory = noted
print(worker.measure(json.load(sys.stdin))["memory_mb"]["rss_peak"], seen[0])
"""


def peak(path: Path, args: argparse.Namespace) -> list[bool | None]:
    """The row's peak against the kernel's own figure, read once more at that moment."""
    request = {
        "model": str(path.absolute()),
        "runtime": "litert" if path.suffix == ".tflite" else "onnxruntime",
        "threads": args.threads,
        "input": None,
        "protocol": {"seconds": 0.2, "runs": 10, "warmup_seconds": 0, "warmup_runs": 2,
                     "max_seconds": 10},
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", PEAK], input=json.dumps(request), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    row, kernel = map(float, re.findall(r"[\d.]+", done.stdout)[-2:])
    holds = abs(kernel - row) < 0.005  # a page more, between two looks
    figures = f"{row:.3f} MB in the row, {kernel:.3f} MB in /proc"
    show(path, "peak memory", figures, "equal", holds)
    return [holds]


def show(path: Path, what: str, figures: str, target: str, holds: bool | None) -> None:
    verdict = {True: "holds", False: "DOES NOT HOLD", None: "no verdict"}[holds]
    print(f"| {path.name} | {what} | {figures} | {target} | {verdict} |", flush=True)


CHECKS: dict[str, Check] = {
    "agreement": agreement,
    "repetition": repetition,
    "overhead": overhead,
    "arena": arena,
    "peak": peak,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each timed part")
    parser.add_argument("--rounds", type=int, default=10, help="interleaved, for agreement")
    parser.add_argument("--repeats", type=int, default=5, help="benches for the other checks")
    parser.add_argument("--only", choices=CHECKS, action="append", help="repeatable")
    args = parser.parse_args()
    print("| file | what | figures | target | verdict |\n|---|---|---|---|---|")
    found = [
        result
        for path in args.files
        for name in args.only or CHECKS
        for result in CHECKS[name](path, args)
    ]
    return 1 if False in found else 0


if __name__ == "__main__":
    sys.exit(main())
