"""Time the bundle's model on the board: `on_board` is what runs there, and has this inside."""

from __future__ import annotations

import datetime
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from edgecnn.bench.protocol import Protocol
from edgecnn.bench.stages import FRAME_SHAPE, postprocess_ms, preprocess_ms
from edgecnn.bench.validity import reasons
from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Latency
from edgecnn.targets.board_model import HERE, ends_of, refused

MEASUREMENT_SCHEMA = "edgecnn/measurement/1"  # as `core.measurement.Measurement.SCHEMA`
# `edgecnn bundle` puts bench/worker.py here, with what it imports: it times the file in a fresh
# process.
WORKER = ""


def measure(about: dict[str, Any], *, runtime: str, threads: int, how: Protocol) -> dict[str, Any]:
    """Time the file in a fresh process.

    Returns:
        A Measurement, as `edgecnn bench` writes and `edgecnn report` reads it.

    Raises:
        InputError: the runtime refused the file, crashed or hung.
    """
    told = ask(about, runtime=runtime, threads=threads, how=how)
    latency = Latency(
        init=told["init_ms"],
        first=told["first_ms"],
        warmup_runs=told["warmup_runs"],
        samples_ms=tuple(told["samples_ms"]),
    )
    doubts = list(reasons(latency, told["machine"]))
    if not told["finite"]:
        doubts.insert(0, "wrong answer: the output holds NaN or infinity")
    now = datetime.datetime.now(datetime.timezone.utc)  # noqa: UP017 - Python 3.9 has no UTC
    copied = ("runtime_version", "delegate", "delegated_nodes", "total_nodes", "machine")
    ends = ends_of(about)
    # Times of an emulator's are no board's.
    is_timed = not told["machine"].get("emulator")
    return {
        "schema": MEASUREMENT_SCHEMA,
        "model": about["file"],
        **{name: about[name] for name in ("sha256", "bytes", "format", "scheme")},
        "target": about["device"],
        "runtime": runtime,
        **{name: told[name] for name in copied},
        "threads": threads,
        "latency_ms": latency.to_json() if is_timed else None,
        "preprocess_ms": preprocess_ms(ends) if is_timed else None,
        "postprocess_ms": postprocess_ms(ends, tuple(told["output_shape"])) if is_timed else None,
        "memory_mb": memory_of(told["memory_mb"], about["arena_mb"]),
        "accuracy": None,
        "protocol": {**vars(how), "frame_shape": list(FRAME_SHAPE)},
        "valid": not doubts,
        "invalid_reasons": doubts,
        "when": now.isoformat(timespec="seconds"),
        "per_op": [],
        "per_op_about": None,
        "per_op_reason": "",
    }


def memory_of(process: dict[str, Any], arena: float | None) -> dict[str, Any] | None:
    """Join what the process used and what the file plans; None where nothing is told."""
    return None if None in process.values() else {**process, "arena": arena}


def ask(about: dict[str, Any], *, runtime: str, threads: int, how: Protocol) -> dict[str, Any]:
    """Give one request to a worker process and return its answer."""
    path = HERE / about["file"]
    request = {
        "model": str(path),
        "runtime": runtime,
        "threads": threads,
        "input": {name: about["input"][name] for name in ("scale", "offset")},
        "protocol": vars(how),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-c", WORKER],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=how.timeout_seconds,
            cwd=HERE,
            check=False,
        )
        answer: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
    except subprocess.TimeoutExpired:
        raise InputError("no answer in time", where=path, fix="measure fewer runs") from None
    if done.returncode < 0:
        raise killed(-done.returncode, runtime, path)
    if not answer:
        last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise InputError(f"a measurement that failed ({last[:200]})", where=path, fix="free memory")
    if "error" in answer:
        raise refused(runtime, Exception(answer["error"]["text"]), path)
    return answer


def killed(number: int, runtime: str, path: Path) -> InputError:
    """Build the error for a worker that a signal ended: the kernel's, or native code's own."""
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    if name == "SIGKILL":
        return InputError(f"a worker that was killed ({name})", where=path, fix="free memory")
    return InputError(
        f"a file that makes {runtime} crash ({name})", where=path, fix="export it again"
    )
