"""Memory of a row: what the worker used, beside what the file itself plans."""

from __future__ import annotations

from pathlib import Path

from edgecnn.bench.answer import ProcessMemory
from edgecnn.core import files
from edgecnn.core.artifact import Format
from edgecnn.core.measurement import Memory
from edgecnn.runtime import arena, tflite

MAX_FILE_BYTES = 2_000_000_000


def arena_mb(path: Path, kind: Format) -> float | None:
    """Return the activations' memory as TFLite's planner lays it out, MB; none for ONNX."""
    if kind != "tflite":
        return None
    data = files.read_bytes(path, limit=MAX_FILE_BYTES, kind="TFLite model")
    return arena.planned_arena_bytes(tflite.read(data, where=path)) / 1e6


def memory_of(process: ProcessMemory, *, arena: float | None) -> Memory | None:
    """Join both; none where the worker's system tells nothing (it isn't Linux)."""
    baseline, anon = process.baseline, process.rss_anon
    mapped, peak = process.rss_file, process.rss_peak
    if baseline is None or anon is None or mapped is None or peak is None:
        return None
    return Memory(baseline=baseline, arena=arena, rss_anon=anon, rss_file=mapped, rss_peak=peak)
