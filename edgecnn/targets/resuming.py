"""Rows that an earlier, interrupted run left in a folder, so that only the others are measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgecnn import bench
from edgecnn.core import files, schema
from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Measurement
from edgecnn.targets.cells import Cell


def earlier(out: Path, cells: Sequence[Cell], protocol: bench.Protocol) -> dict[int, Measurement]:
    """Return the rows of a folder that answer cells, by the cells' indices.

    A row counts where the file's bytes, the target, the threads, the runtime and the whole
    protocol are the same, and something was measured; one that says only why not is no answer.

    Args:
        out: May be absent.
        cells: What would be measured.
        protocol: How.
    """
    rows = [row for path in sorted(out.glob("*.json")) if (row := _read(path)) is not None]
    if not rows:
        return {}
    hashes = {path: files.sha256(path) for path in {cell.path for cell in cells}}
    found: dict[int, Measurement] = {}
    for index, cell in enumerate(cells):
        for row in rows:
            if row.sha256 == hashes[cell.path] and _answers(row, cell, protocol):
                found[index] = dataclasses.replace(row, accuracy=cell.accuracy or row.accuracy)
    return found


def _read(path: Path) -> Measurement | None:
    """Read a row; other files of a folder of results are none."""
    try:
        return schema.read(Measurement, path)
    except InputError:
        return None


def _answers(row: Measurement, cell: Cell, protocol: bench.Protocol) -> bool:
    measured = row.latency_ms is not None or row.instructions is not None
    runtimes = {name: known for name, known in bench.RUNTIMES.items() if name == row.format}
    asked = [cell.runtime] if cell.runtime else next(iter(runtimes.values()), ())
    return (
        measured
        and (row.model, row.target) == (cell.path.name, cell.target.place.name)
        and row.threads == cell.threads
        and row.runtime in asked
        and _same(row.protocol, protocol)
        and (not protocol.per_op or bool(row.per_op))
    )


def _same(told: dict[str, Any], protocol: bench.Protocol) -> bool:
    """Tell whether a row was timed in this way; an emulated board counts, in its own way."""
    asked = schema.encode(protocol)
    del asked["per_op"]
    return "method" in told or all(told.get(name) == value for name, value in asked.items())
