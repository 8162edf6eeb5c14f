"""Run one file in this process, and mark each inference for whoever counts instructions.

The same program runs on the emulated board and, for its outputs, on this machine. It reads
``request.json`` and ``inputs.npy`` where it stands, and writes ``answer.json`` and
``outputs.npy``. Python 3.9, numpy and one runtime are all it needs.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import struct
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.bench.machine import machine_facts
from edgecnn.bench.worker import RUNTIMES, Loaded, WorkerError

# As counting.c has it: no process is called that, so the call only fails.
MARK = 0x0BE7C4A0
SCHEMA = "edgecnn/counted/1"


def work(request: dict[str, Any], inputs: Any) -> tuple[dict[str, Any], Any]:
    """Answer all inputs, each inference between two marks.

    Args:
        request: ``model`` (path) and ``runtime``.
        inputs: [N, ...], each of the file's own shape and type.

    Returns:
        What the process was, and the outputs [N, ...].

    Raises:
        WorkerError: no such runtime, or it refuses the file.
    """
    module_name, package, loader = RUNTIMES[request["runtime"]]
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise WorkerError("no_runtime", f"{type(error).__name__}: {error}") from error
    baseline = resident_mb()
    try:
        model = loader(module, request["model"], 1)
        outputs = answers_of(model, inputs)
    except WorkerError:
        raise
    except Exception as error:
        raise WorkerError("bad_file", f"{error}") from error
    memory = memory_mb(os.getpid())
    # Under proot the two views can't be matched: then nothing is known.
    known = memory.pop("rss") > 0
    return {
        "schema": SCHEMA,
        "runtime_version": version(package),
        **model.delegation(),
        "memory_mb": {**memory, "baseline": baseline} if known else None,
        "machine": machine_facts(),
    }, np.stack(outputs)


def answers_of(model: Loaded, inputs: Any) -> list[Any]:
    """Return copies of the file's first output."""
    outputs = []
    gc.collect()
    gc.disable()
    for one in inputs:
        model.set_input(np.ascontiguousarray(one.reshape(model.input_shape)))
        mark()
        told = model.run()
        mark()
        # LiteRT leaves its answer in a tensor, ONNX Runtime returns it.
        outputs.append(np.array(model.output() if told is None else told[0]))
    gc.enable()
    return outputs


def mark() -> None:
    """Make the system call that the counting plugin looks for."""
    try:
        os.getpgid(MARK)
    except OSError:
        return


def resident_mb() -> float:
    """Return what is resident now, without a trace in this process's heap.

    What `memory_mb` reads is never the same twice, and where a heap's blocks lie decides over
    some instructions of an inference: a child reads it.
    """
    there, here = os.pipe()
    child = os.fork()
    if not child:
        # A child has its parent's mappings, but the parent's pages are only in the parent.
        os.write(here, struct.pack("d", memory_mb(os.getppid())["rss"]))
        os._exit(0)
    os.waitpid(child, 0)
    (told,) = struct.unpack("d", os.read(there, 8))
    return float(told)


def memory_mb(process: int) -> dict[str, float]:
    """Return the memory of what is emulated, MB (1e6 bytes), without the emulator's own.

    The emulator shows its program's own mappings in ``maps``, and all of the process in
    ``smaps`` and ``status``.

    Args:
        process: The number of this one, or of one with the same mappings.
    """
    kernels = Path("/.proc") / str(process)  # without what the board shows instead
    own = [range(start, end) for start, end, _ in mappings(Path("/proc/self/maps"))]
    starts = [one.start for one in own]
    anonymous, rss, others = 0, 0, 0
    for start, _, facts in mappings(kernels / "smaps"):
        at = int(np.searchsorted(starts, start, side="right")) - 1
        if at >= 0 and start in own[at]:
            anonymous, rss = anonymous + facts["Anonymous"], rss + facts["Rss"]
        else:
            others += facts["Rss"]
    status = (kernels / "status").read_text(encoding="utf-8").splitlines()
    highest = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    peak = max(rss, highest - others)
    kilobytes = {"rss": rss, "rss_anon": anonymous, "rss_file": rss - anonymous, "rss_peak": peak}
    return {name: 1024 * value / 1e6 for name, value in kilobytes.items()}


def mappings(path: Path) -> Iterator[tuple[int, int, dict[str, int]]]:
    """Yield start, end and the kernel's figures (kB) of each mapping."""
    place: tuple[int, int] | None = None
    facts: dict[str, int] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if "-" in words[0] and not words[0].endswith(":"):
            if place is not None:
                yield (*place, facts)
            start, _, end = words[0].partition("-")
            place, facts = (int(start, 16), int(end, 16)), {}
        elif len(words) == 3 and words[2] == "kB":
            facts[words[0].rstrip(":")] = int(words[1])
    if place is not None:
        yield (*place, facts)


def main() -> None:
    """Answer the request in this folder."""
    request = json.loads(Path("request.json").read_text(encoding="utf-8"))
    outputs = np.zeros(0)
    try:
        answer, outputs = work(request, np.load("inputs.npy", allow_pickle=False))
    except WorkerError as error:
        answer = {"schema": SCHEMA, "error": {"kind": error.kind, "text": str(error)[:2000]}}
    np.save("outputs.npy", outputs)
    Path("answer.json").write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
