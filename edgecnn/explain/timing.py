"""What each layer of a quantized network costs in time, beside what it costs in accuracy."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from edgecnn.core import files, schema
from edgecnn.core.errors import InputError
from edgecnn.core.labels import layer_of
from edgecnn.core.measurement import Measurement
from edgecnn.core.noise import Noise


def with_times(noise: Noise, row: Measurement) -> Noise:
    """Return what was measured of the layers, each with its time in a file.

    Args:
        noise: Of the same network.
        row: The file, with the times of its operations; its tensors bear the layers' names.

    Raises:
        InputError: the row has no times, or those of another network.
    """
    if not row.per_op:
        raise InputError(
            "no times of operations", where=row.model, fix="measure it with edgecnn bench --per-op"
        )
    times: dict[str, float] = {}
    for op in row.per_op:
        name = layer_of(op.name)
        times[name] = times.get(name, 0.0) + (op.ms or 0.0)
    names = {layer.name for layer in noise.layers}
    if not names & times.keys():
        raise InputError(
            f"no operation of {noise.file or 'this network'}",
            where=row.model,
            fix="give times of a TFLite file of the same checkpoint",
        )
    return dataclasses.replace(
        noise,
        layers=tuple(dataclasses.replace(one, ms=times.get(one.name)) for one in noise.layers),
        timed=f"{row.model} in {row.runtime} {row.runtime_version}, {_threads(row.threads)}",
        operations_ms=sum(op.ms or 0.0 for op in row.per_op),
    )


def read_times(path: Path, *, file: str) -> Measurement:
    """Read a row of the benchmark that has the times of operations.

    Args:
        path: What ``bench --per-op`` wrote with ``--out``, or printed with ``--json``.
        file: Name of the quantized file: of several rows, the one with its name is taken.

    Raises:
        InputError: no such file, something else than the benchmark's, or no times in it.
    """
    content = files.read_bytes(path, limit=schema.JSON_LIMIT_BYTES, kind="file")
    parsed = schema.parse(content, where=path)
    rows = [schema.decode(Measurement, one, where=path) for one in _rows(parsed)]
    timed = [row for row in rows if row.per_op]
    if not timed:
        raise InputError(
            "no times of operations", where=path, fix="write it with edgecnn bench --per-op"
        )
    return next((row for row in timed if row.model == file), timed[0])


def _rows(parsed: Any) -> list[Any]:
    rows = parsed.get("measurements") if isinstance(parsed, dict) else None
    return rows if isinstance(rows, list) else [parsed]


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"
