"""Predicted rows beside measured ones on the terminal, never in the same column."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

from edgecnn.core.measurement import Measurement
from edgecnn.report import units
from edgecnn.report.text import new_table, plain_text


def predictions_table(measurements: Iterable[Measurement]) -> list[Any]:
    """Return one line a row, measured or predicted, and how good predictions were."""
    table = new_table(
        *("file", "target", ">threads", ">median", ">predicted", ">at best", ">at worst"),
        *(">arena", ">peak memory", ">size", "valid"),
    )
    said: dict[str, None] = {}
    for row in measurements:
        guess, memory = row.predicted_ms, row.memory_mb
        reasons = "; ".join(row.invalid_reasons)
        arena_mb = memory.arena if memory else None
        if row.prediction is not None:
            said[f"predicted: {row.prediction.sentence}; arena and size are exact"] = None
            reasons, arena_mb = "a prediction", row.prediction.arena_mb
        table.add_row(
            plain_text(PurePath(row.model).name),
            plain_text(row.target),
            str(row.threads),
            units.milliseconds(row.latency_ms.median if row.latency_ms else None),
            units.milliseconds(guess.mid if guess else None),
            units.milliseconds(guess.low if guess else None),
            units.milliseconds(guess.high if guess else None),
            units.megabytes(arena_mb),
            units.megabytes(memory.rss_peak if memory else None),
            units.bytes_(row.bytes),
            plain_text("yes" if row.valid else f"no: {reasons}"),
        )
    return [table, *said]
