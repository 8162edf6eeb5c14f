"""Our benchmark beside a bare loop and LiteRT's own benchmark, on the same files.

Each round measures a file once with each, in a fresh process, in turn, so that a machine
that warms up or gets busy hits all of them. The ratio of a round is ours over the peer's
median; the headline is the median of the rounds' ratios. Target: within 3 % of 1.
A round in which our row says that the machine was disturbed does not count, for either side.

    python tools/bench_against_peers.py model.tflite model.onnx --rounds 5
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from edgecnn import bench

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


def ours(path: Path, threads: int, seconds: float) -> float:
    """Return our median, or NaN where the row itself says not to believe it."""
    row = bench.measure(path, threads=threads, protocol=bench.read_protocol(seconds=seconds))
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


def compare(path: Path, *, threads: int, seconds: float, rounds: int) -> dict[str, list[float]]:
    """Return each peer's medians, one a round, milliseconds."""
    expected_ms = bare_loop(path, threads, 0.2)
    peers: dict[str, Callable[[], float]] = {
        "edgecnn bench": lambda: ours(path, threads, seconds),
        "bare loop": lambda: bare_loop(path, threads, seconds),
    }
    if path.suffix == ".tflite":
        peers["litert-benchmark"] = lambda: litert_benchmark(
            path, threads, seconds, expected_ms=expected_ms
        )
    medians: dict[str, list[float]] = {name: [] for name in peers}
    for index in range(rounds):
        # Each round begins with another one: whoever comes first may find a cooler machine.
        names = list(peers)[index % len(peers) :] + list(peers)[: index % len(peers)]
        for name in names:
            medians[name].append(peers[name]())
    return medians


def show(path: Path, threads: int, medians: dict[str, list[float]]) -> float:
    """Print one file's table; return how far the headline ratios are from 1 at most."""
    quiet = [i for i, ms in enumerate(medians["edgecnn bench"]) if not math.isnan(ms)]
    told = {name: [values[i] for i in quiet] for name, values in medians.items()}
    mine = told.pop("edgecnn bench")
    if not quiet:
        print(f"{path.name}, {threads} threads: the machine was never quiet, no verdict")
        return math.inf
    print(f"{path.name}, {threads} threads, {len(quiet)} rounds: {statistics.median(mine):.3f} ms")
    furthest = 0.0
    for name, theirs in told.items():
        ratios = [a / b for a, b in zip(mine, theirs, strict=True)]
        ratio = statistics.median(ratios)
        furthest = max(furthest, abs(ratio - 1))
        print(
            f"  {name:17} {statistics.median(theirs):.3f} ms   ratio {ratio:.3f}"
            f"   rounds {min(ratios):.3f} to {max(ratios):.3f}"
        )
    return furthest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each timed part")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    worst = 0.0
    for path in args.files:
        medians = compare(path, threads=args.threads, seconds=args.seconds, rounds=args.rounds)
        worst = max(worst, show(path, args.threads, medians))
    print(f"furthest from 1: {100 * worst:.1f} % (target: within 3 %)")
    return 0 if worst <= 0.03 else 1


if __name__ == "__main__":
    sys.exit(main())
