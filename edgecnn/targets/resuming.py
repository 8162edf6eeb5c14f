"""Rows that an earlier, interrupted run left in a folder, so that only the others are measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgecnn.bench import RUNTIMES, Protocol
from edgecnn.core import files, schema
from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Measurement
from edgecnn.targets.cells import Cell


def earlier(out: Path, cells: Sequence[Cell]) -> dict[int, Measurement]:
    """Return the rows of a folder that answer cells, by the cells' indices.

    A row counts where the file's bytes, the target, the threads, the runtime and the whole
    protocol are the same, and something was measured; one that says only why not is no answer.

    Args:
        out: May be absent.
        cells: What would be measured.
    """
    rows = [row for path in sorted(out.glob("*.json")) if (row := _read(path)) is not None]
    if not rows:
        return {}
    hashes = {path: files.sha256(path) for path in {cell.job.path for cell in cells}}
    found: dict[int, Measurement] = {}
    for index, cell in enumerate(cells):
        for row in rows:
            if row.sha256 == hashes[cell.job.path] and _answers(row, cell):
                found[index] = dataclasses.replace(row, accuracy=cell.job.accuracy or row.accuracy)
    return found


def _read(path: Path) -> Measurement | None:
    """Read a row; other files of a folder of results are none."""
    try:
        return schema.read(Measurement, path)
    except InputError:
        return None


def _answers(row: Measurement, cell: Cell) -> bool:
    job = cell.job
    measured = row.latency_ms is not None or row.instructions is not None
    runtimes = {name: known for name, known in RUNTIMES.items() if name == row.format}
    asked = [job.runtime] if job.runtime else next(iter(runtimes.values()), ())
    return (
        measured
        and (row.model, row.target) == (job.path.name, cell.target.place.name)
        and row.threads == job.threads
        and row.runtime in asked
        and _same(row.protocol, job.protocol)
        and (not job.protocol.per_op or bool(row.per_op))
    )


def _same(told: dict[str, Any], protocol: Protocol) -> bool:
    """Tell whether a row was timed in this way; an emulated board counts, in its own way."""
    asked = schema.encode(protocol)
    del asked["per_op"]
    return "method" in told or all(told.get(name) == value for name, value in asked.items())
