"""Whether int8 is worth it on the machines that were measured: the numbers say it, or not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from edgecnn.report import units
from edgecnn.report.rows import Row

# Less than this is within what two runs of one file differ by.
_SLOWER = 1.05
_DROP_POINTS = 1.0
# The usual bound of a test of significance.
_LUCK = 0.05


def not_worth(rows: Sequence[Row]) -> list[str]:
    """Return a sentence for each int8 file that is slower than float or loses too much.

    Each is taken in its fastest setting in which the float file was measured, too; only
    latencies that can be trusted count.
    """
    pairs: dict[str, tuple[Row, Row]] = {}
    for row in sorted(rows, key=lambda r: (r.valid is not True, r.median_ms or 0.0)):
        twin = _float_twin(row, rows) if row.scheme == "int8" else None
        if twin is not None:
            pairs.setdefault(row.sha256, (row, twin))
    return [
        f"int8 isn't worth it here: {row.file} {' and '.join(why)}{_gain(row, twin)}."
        for row, twin in pairs.values()
        if (why := _reasons(row, twin))
    ]


def _float_twin(row: Row, rows: Sequence[Row]) -> Row | None:
    """Return the float32 file of the same model and format, in the same setting."""
    return next(
        (
            other
            for other in rows
            if other.scheme == "float32"
            and other.format == row.format
            and other.setting == row.setting
            and _model(other) == _model(row)
        ),
        None,
    )


def _model(row: Row) -> str:
    """Return the checkpoint's name, of ``<checkpoint>-<scheme>.<format>``."""
    return PurePath(row.file).stem.removesuffix(f"-{row.scheme}")


def _reasons(row: Row, twin: Row) -> list[str]:
    found = []
    speedup = _speedup(row, twin)
    if speedup is not None and speedup * _SLOWER < 1:
        found.append(
            f"takes {units.milliseconds(row.median_ms)} where float32 takes "
            f"{units.milliseconds(twin.median_ms)} ({row.setting})"
        )
    if row.top1 and twin.top1:
        lost = 100 * (twin.top1.value - row.top1.value)
        luck = row.changes is not None and row.changes.chance > _LUCK
        if lost > _DROP_POINTS and not luck:
            found.append(f"loses {lost:.1f} points of right answers")
    return found


def _speedup(row: Row, twin: Row) -> float | None:
    """Return how many times faster a file is than its twin; None where nobody knows."""
    if not (row.valid and twin.valid and row.median_ms and twin.median_ms):
        return None
    return twin.median_ms / row.median_ms


def _gain(row: Row, twin: Row) -> str:
    """Name what is left of int8's gains."""
    gains = []
    speedup = _speedup(row, twin)
    if speedup is not None and speedup >= _SLOWER:
        gains.append(f"{units.times(speedup)}× faster")
    if row.bytes and twin.bytes and twin.bytes > row.bytes:
        gains.append(f"{units.times(twin.bytes / row.bytes)}× smaller")
    return f", though it is {' and '.join(gains)}" if gains else ""
